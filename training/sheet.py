"""Sample sheets: what a denoiser draws now, beside its guide and the real composition."""

import random
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from gouache.diffusion.schedule import time_grid
from training.data import Batch, Data
from training.model import Denoiser

Denoise = Callable[[Tensor, float], Tensor]
"""Clean pictures from noisy ones at a time, as in `gouache.diffusion.sampling`."""

RENEWED_FROM = 0.3
"""The time from which noise is drawn anew, as in `gouache.diffusion.sampling.ancestral`."""

KINDS = ("single", "single", "pair", "pair", "count", "trio", "logo", "icon", "avatar", "single")


@torch.no_grad()
def sample(
    denoiser: Denoiser,
    batch: Batch,
    unconditional: tuple[Tensor, Tensor],
    *,
    steps: int = 10,
    guidance_scale: float = 2.0,
    shift: float = 1.5,
    seed: int = 0,
) -> Tensor:
    """Return pictures (B, 3, H, W) drawn from noise by `steps` steps under guidance.

    `unconditional` are the token states and mask of the empty caption, for one picture. Only the
    shape of `batch.x` is used.
    """
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(batch.x.shape, generator=generator).to(batch.x.device)
    denoise = guided(denoiser, batch, unconditional, guidance_scale)
    return advance(denoise, z, time_grid(steps, shift=shift), generator)[1].clamp(-1, 1)


@torch.no_grad()
def finish(
    denoiser: Denoiser,
    batch: Batch,
    unconditional: tuple[Tensor, Tensor],
    *,
    start: float,
    steps: int = 12,
    guidance_scale: float = 1.5,
    seed: int = 0,
) -> Tensor:
    """Return `batch.x` as the denoiser finishes it from time `start`, where noise covers the rest."""
    generator = torch.Generator().manual_seed(seed)
    z = start * batch.x + (1 - start) * torch.randn(batch.x.shape, generator=generator)
    times = [start, *(t for t in time_grid(steps, shift=1.5) if t > start + 0.02)]
    denoise = guided(denoiser, batch, unconditional, guidance_scale)
    return advance(denoise, z, times, generator)[1].clamp(-1, 1)


def guided(
    denoiser: Denoiser, batch: Batch, unconditional: tuple[Tensor, Tensor], guidance_scale: float
) -> Denoise:
    """Return the denoiser told of a batch, under guidance; 1 is none and takes one pass, not two."""
    if guidance_scale == 1:
        return lambda z, t: denoiser(z, z.new_full((len(z),), t), *batch.conditioning()).float()
    count = len(batch.x)
    nothing = (
        unconditional[0].expand(count, -1, -1),
        unconditional[1].expand(count, -1),
        *(torch.zeros_like(part) for part in (batch.guide, batch.phrases, batch.coverage)),
    )
    both = [torch.cat(pair) for pair in zip(batch.conditioning(), nothing, strict=True)]

    def denoise(z: Tensor, t: float) -> Tensor:
        at = z.new_full((2 * count,), t)
        cond, uncond = denoiser(torch.cat([z, z]), at, *both).float().chunk(2)
        return uncond + guidance_scale * (cond - uncond)

    return denoise


def advance(
    denoise: Denoise,
    z: Tensor,
    times: Sequence[float],
    generator: torch.Generator,
    *,
    since: float = RENEWED_FROM,
) -> tuple[Tensor, Tensor]:
    """Step along increasing times as `sampling.ancestral` does, from z at the first of them.

    Returns the noisy pictures at the last time and what the last step predicted.
    """
    for t, t_next in pairwise(times):
        x0 = denoise(z, t)
        noise = (z - t * x0) / (1 - t)
        if t >= since:
            noise = torch.randn(z.shape, generator=generator).to(z.device)
        z = t_next * x0 + (1 - t_next) * noise
    return z, x0


def text_only(batch: Batch) -> Batch:
    """Return the batch with nothing but its caption."""
    zeros = (torch.zeros_like(p) for p in (batch.guide, batch.phrases, batch.coverage))
    return Batch(batch.x, batch.tokens, batch.token_mask, *zeros)


def save_sheet(
    denoiser: Denoiser,
    data: Data,
    path: Path,
    *,
    steps: int = 10,
    guidance_scale: float = 2.0,
    seed: int = 7,
) -> None:
    """Write rows of guide, guided sample, text-only sample and real composition."""
    rng = random.Random(f"sheet {seed}")
    examples = [data.grammar.example(rng, "square", kind) for kind in KINDS]
    captions = [e.caption for e in examples]
    batch = data.finished(examples, captions, f"sheet {seed} drawing", damaged=False)
    nothing = data.text.states([""])
    guided_or_not = [
        sample(denoiser, told, nothing, steps=steps, guidance_scale=guidance_scale)
        for told in (batch, text_only(batch))
    ]
    rows = [F.interpolate(batch.guide[:, :3], scale_factor=2.0), *guided_or_not, batch.x]
    save_grid(rows, path)


def save_grid(rows: list[Tensor], path: Path) -> None:
    """Write a PNG of rows of pictures (N, 3, H, W) in [-1, 1]."""
    joined = torch.cat([torch.cat(list(row.cpu()), 2) for row in rows], 1)
    pixels = ((joined.clamp(-1, 1) + 1) * 127.5).round().byte().permute(1, 2, 0).numpy()
    Image.fromarray(np.ascontiguousarray(pixels)).save(path)
