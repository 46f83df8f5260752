"""Batches: everything one training step needs, as a function of (seed, step, process) alone.

So a resumed run sees exactly the batches that an uninterrupted one would have seen.
"""

import dataclasses
import random
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from gouache.diffusion import guide
from gouache.scene import SHAPES, Scene
from training import minilm
from training.compose import Art, Composer
from training.presets import Preset
from training.scenes import Example, Grammar

MAX_TOKENS = 48


@dataclasses.dataclass
class Batch:
    """Clean pictures x and the denoiser's conditioning, in the order it takes them."""

    x: Tensor
    tokens: Tensor
    token_mask: Tensor
    guide: Tensor
    phrases: Tensor
    coverage: Tensor

    def conditioning(self) -> tuple[Tensor, ...]:
        """Return (tokens, token_mask, guide, phrases, coverage)."""
        return self.tokens, self.token_mask, self.guide, self.phrases, self.coverage


class Text:
    """Captions and phrases to MiniLM vectors, on a device; phrases are remembered."""

    def __init__(self, device: torch.device):
        """Load the weights and word pieces of the installed package."""
        source = minilm.folder()
        self.network = minilm.load(source).to(device)
        self.pieces = Tokenizer.from_file(str(source / "tokenizer.json"))
        self.pieces.no_padding()
        self.pieces.enable_truncation(MAX_TOKENS)
        self.device = device
        self._vector = lru_cache(maxsize=50_000)(self._one_vector)

    @torch.no_grad()
    def states(self, texts: list[str]) -> tuple[Tensor, Tensor]:
        """Return token states (B, 48, 384) and mask (B, 48)."""
        mask, states, _ = self._encode(texts)
        short = MAX_TOKENS - mask.shape[1]
        pad = torch.nn.functional.pad
        return pad(states, (0, 0, 0, short)), pad(mask, (0, short))

    def vectors(self, phrases: list[str]) -> np.ndarray:
        """Return phrase vectors (N, 384) of length 1."""
        return np.stack([self._vector(phrase) for phrase in phrases])

    @torch.no_grad()
    def _one_vector(self, phrase: str) -> np.ndarray:
        return self._encode([phrase])[2][0].cpu().numpy()

    def _encode(self, texts: list[str]) -> tuple[Tensor, Tensor, Tensor]:
        rows = [row.ids for row in self.pieces.encode_batch(texts)]
        ids = torch.zeros(len(rows), max(map(len, rows)), dtype=torch.long)
        mask = torch.zeros(ids.shape)
        for i, row in enumerate(rows):
            ids[i, : len(row)] = torch.tensor(row)
            mask[i, : len(row)] = 1
        mask = mask.to(self.device)
        states, vectors = self.network(ids.to(self.device), mask)
        return mask, states, vectors


class Data:
    """Makes batches of a preset."""

    def __init__(self, preset: Preset, art: Path, bank: Path, device: torch.device):
        """Open the art, the concept bank and the text encoder."""
        self.preset = preset
        self.device = device
        self.grammar = Grammar(bank)
        self.composer = Composer(Art(art, device))
        self.text = Text(device)

    def size(self, shape: str) -> tuple[int, int]:
        """Return height and width of the preset's picture in a shape."""
        across, down = SHAPES[shape]
        unit = self.preset.side // min(across, down)
        return unit * down, unit * across

    def batch(self, seed: int, step: int, process: int) -> Batch:
        """Return one training batch; all its pictures have one shape, the same on every process."""
        p = self.preset
        shape_rng = random.Random(f"{seed} shape {step}")
        shape = shape_rng.choices(list(p.shapes), list(p.shapes.values()))[0]
        rng = random.Random(f"{seed} {step} {process}")
        count = p.batch if shape == "square" else max(1, round(p.batch * 4 / 7))
        examples = [self.grammar.example(rng, shape) for _ in range(count)]
        captions = ["" if rng.random() < p.text_dropped else e.caption for e in examples]
        made = self.finished(examples, captions, rng, damaged=True)
        bare = torch.tensor([rng.random() < p.layout_dropped for _ in range(count)])
        made.phrases[bare.to(self.device)] = 0
        made.coverage[bare.to(self.device)] = 0
        empty = torch.tensor([caption == "" for caption in captions]).to(self.device)
        # Guidance subtracts a prediction that knows nothing; half of the captionless know nothing.
        nothing = empty & torch.tensor([rng.random() < 0.7 for _ in range(count)]).to(self.device)
        for part in (made.guide, made.phrases, made.coverage):
            part[nothing] = 0
        return made

    def finished(
        self,
        examples: list[Example],
        captions: list[str],
        rng: random.Random,
        *,
        damaged: bool,
    ) -> Batch:
        """Return pictures and conditioning of examples of one picture shape, nothing dropped."""
        scenes = [e.scene for e in examples]
        height, width = self.size(scenes[0].shape)
        x = self.composer.pictures(scenes, height, width, rng)
        damage = self.preset.damage if damaged else None
        guides = self.composer.guides(scenes, height, width, rng, damage)
        phrases, coverage = self.layouts(scenes, height, width)
        tokens, mask = self.text.states(captions)
        return Batch(x, tokens, mask, guides, phrases, coverage)

    def layouts(self, scenes: list[Scene], height: int, width: int) -> tuple[Tensor, Tensor]:
        """Return phrases (B, 10, 388) and coverage (B, 10, H/8, W/8)."""
        made = [
            guide.layout(guide.entries(s, height=height, width=width), self.text.vectors)
            for s in scenes
        ]
        phrases = torch.from_numpy(np.stack([p for p, _ in made]))
        coverage = torch.from_numpy(np.stack([c for _, c in made]))
        return phrases.to(self.device), coverage.to(self.device)
