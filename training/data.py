"""Batches: everything one training step needs, as a function of (seed, step, process) alone.

So a resumed run sees exactly the batches that an uninterrupted one would have seen.
"""

import dataclasses
import itertools
import multiprocessing
import random
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from gouache.diffusion import guide
from gouache.scene import SHAPES
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


@dataclasses.dataclass(frozen=True)
class Plan:
    """A batch in words and small arrays: what can be made without a device, in another process.

    `words` are the phrases of each picture's layout entries; `layout` (B, 10, 388) holds their
    colours with the phrase vectors still zero; `bare` and `nothing` name the pictures that lose their
    layout, or everything they are told.
    """

    examples: list[Example]
    captions: list[str]
    words: list[list[str]]
    layout: np.ndarray
    coverage: np.ndarray
    bare: list[bool]
    nothing: list[bool]
    seed: str


class Planner:
    """Plans batches of a preset; a function of (seed, step, process) alone."""

    def __init__(self, preset: Preset, bank: Path):
        """Open the concept bank."""
        self.preset = preset
        self.grammar = Grammar(bank)

    def plan(self, seed: int, step: int, process: int) -> Plan:
        """Return one training batch; all its pictures have one shape, the same on every process."""
        p = self.preset
        shape_rng = random.Random(f"{seed} shape {step}")
        shape = shape_rng.choices(list(p.shapes), list(p.shapes.values()))[0]
        rng = random.Random(f"{seed} {step} {process}")
        count = p.batch if shape == "square" else max(1, round(p.batch * 4 / 7))
        examples = [self.grammar.example(rng, shape) for _ in range(count)]
        captions = ["" if rng.random() < p.text_dropped else e.caption for e in examples]
        bare = [rng.random() < p.layout_dropped for _ in range(count)]
        # Guidance subtracts a prediction that knows nothing: most of the captionless know nothing.
        nothing = [caption == "" and rng.random() < 0.7 for caption in captions]
        drawn = self.drawn(examples, captions, f"{seed} {step} {process} drawing")
        return dataclasses.replace(drawn, bare=bare, nothing=nothing)

    def drawn(self, examples: list[Example], captions: list[str], seed: str) -> Plan:
        """Return the plan of given examples of one picture shape, nothing dropped."""
        height, width = self.size(examples[0].scene.shape)
        listed = [guide.entries(e.scene, height=height, width=width) for e in examples]
        made = [guide.layout(entries, _no_vectors) for entries in listed]
        return Plan(
            examples,
            captions,
            [[entry.phrase for entry in entries] for entries in listed],
            np.stack([layout for layout, _ in made]),
            np.stack([coverage for _, coverage in made]),
            [False] * len(examples),
            [False] * len(examples),
            seed,
        )

    def size(self, shape: str) -> tuple[int, int]:
        """Return height and width of the preset's picture in a shape."""
        across, down = SHAPES[shape]
        unit = self.preset.side // min(across, down)
        return unit * down, unit * across


class Data:
    """Turns plans into batches on a device."""

    def __init__(self, preset: Preset, art: Path, bank: Path, device: torch.device):
        """Open the art, the concept bank and the text encoder."""
        self.preset = preset
        self.device = device
        self.bank = bank
        self.planner = Planner(preset, bank)
        self.composer = Composer(Art(art, device))
        self.text = Text(device)

    @property
    def grammar(self) -> Grammar:
        """The scene grammar over the bank."""
        return self.planner.grammar

    def batch(self, seed: int, step: int, process: int) -> Batch:
        """Return one training batch."""
        return self.render(self.planner.plan(seed, step, process), damaged=True)

    def batches(self, seed: int, first: int, process: int, *, workers: int) -> Iterator[Batch]:
        """Yield the batches from step `first` on; `workers` processes plan ahead, or none."""
        if workers == 0:
            for step in itertools.count(first):
                yield self.batch(seed, step, process)
        context = multiprocessing.get_context("spawn")
        opened = (self.preset, self.bank)
        with ProcessPoolExecutor(workers, context, _open_planner, opened) as pool:
            ahead: deque[Future[Plan]] = deque()
            for step in itertools.count(first):
                while len(ahead) < 2 * workers:
                    ahead.append(pool.submit(_plan, seed, step + len(ahead), process))
                yield self.render(ahead.popleft().result(), damaged=True)

    def finished(
        self, examples: list[Example], captions: list[str], seed: str, *, damaged: bool
    ) -> Batch:
        """Return pictures and conditioning of examples of one picture shape, nothing dropped."""
        return self.render(self.planner.drawn(examples, captions, seed), damaged=damaged)

    def render(self, plan: Plan, *, damaged: bool) -> Batch:
        """Draw a plan's pictures and guides and look up its vectors."""
        rng = random.Random(plan.seed)
        scenes = [e.scene for e in plan.examples]
        height, width = self.planner.size(scenes[0].shape)
        x = self.composer.pictures(scenes, height, width, rng)
        damage = self.preset.damage if damaged else None
        guides = self.composer.guides(scenes, height, width, rng, damage)
        phrases = plan.layout.copy()
        for picture, words in enumerate(plan.words):
            phrases[picture, : len(words), : minilm.WIDTH] = self.text.vectors(words)
        tokens, mask = self.text.states(plan.captions)
        made = Batch(
            x,
            tokens,
            mask,
            guides,
            torch.from_numpy(phrases).to(self.device),
            torch.from_numpy(plan.coverage).to(self.device),
        )
        silent = torch.tensor(plan.nothing, device=self.device)
        bare = torch.tensor(plan.bare, device=self.device) | silent
        made.guide[silent] = 0
        made.phrases[bare] = 0
        made.coverage[bare] = 0
        return made


def _no_vectors(phrases: Sequence[str]) -> np.ndarray:
    return np.zeros((len(phrases), minilm.WIDTH), np.float32)


_planners: list[Planner] = []
"""The planner of a planning process; empty elsewhere."""


def _open_planner(preset: Preset, bank: Path) -> None:
    _planners[:] = [Planner(preset, bank)]


def _plan(seed: int, step: int, process: int) -> Plan:
    return _planners[0].plan(seed, step, process)
