"""Sample sheets: what a denoiser draws now, beside its guide and the real composition."""

import random
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from gouache.diffusion.schedule import time_grid
from training.data import Batch, Data
from training.model import Denoiser

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
    times = time_grid(steps, shift=shift)
    return _walk(denoiser, batch, unconditional, z, times, guidance_scale, generator)


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
    return _walk(denoiser, batch, unconditional, z, times, guidance_scale, generator)


def _walk(
    denoiser: Denoiser,
    batch: Batch,
    unconditional: tuple[Tensor, Tensor],
    z: Tensor,
    times: list[float],
    guidance_scale: float,
    generator: torch.Generator,
) -> Tensor:
    """Take guided steps along increasing times that end in 1, as `sampling.ancestral` does."""
    count = len(z)
    nothing = (
        unconditional[0].expand(count, -1, -1),
        unconditional[1].expand(count, -1),
        *(torch.zeros_like(part) for part in (batch.guide, batch.phrases, batch.coverage)),
    )
    both = [torch.cat(pair) for pair in zip(batch.conditioning(), nothing, strict=True)]
    for t, t_next in zip(times[:-1], times[1:], strict=True):
        at = torch.full((2 * count,), t, device=z.device)
        cond, uncond = denoiser(torch.cat([z, z]), at, *both).float().chunk(2)
        x0 = uncond + guidance_scale * (cond - uncond)
        if t_next >= 1:
            return x0.clamp(-1, 1)
        noise = (z - t * x0) / (1 - t)
        if t >= RENEWED_FROM:
            noise = torch.randn(z.shape, generator=generator).to(z.device)
        z = t_next * x0 + (1 - t_next) * noise
    raise AssertionError("the last step ends at t = 1")


def text_only(batch: Batch) -> Batch:
    """Return the batch with nothing but its caption."""
    zeros = (torch.zeros_like(p) for p in (batch.guide, batch.phrases, batch.coverage))
    return Batch(batch.x, batch.tokens, batch.token_mask, *zeros)


def save_sheet(denoiser: Denoiser, data: Data, path: Path, *, seed: int = 7) -> None:
    """Write rows of guide, guided sample, text-only sample and real composition."""
    rng = random.Random(f"sheet {seed}")
    examples = [data.grammar.example(rng, "square", kind) for kind in KINDS]
    captions = [e.caption for e in examples]
    batch = data.finished(examples, captions, f"sheet {seed} drawing", damaged=False)
    nothing = data.text.states([""])
    rows = [
        F.interpolate(batch.guide[:, :3], scale_factor=2.0),
        sample(denoiser, batch, nothing),
        sample(denoiser, text_only(batch), nothing),
        batch.x,
    ]
    save_grid(rows, path)


def save_grid(rows: list[Tensor], path: Path) -> None:
    """Write a PNG of rows of pictures (N, 3, H, W) in [-1, 1]."""
    joined = torch.cat([torch.cat(list(row.cpu()), 2) for row in rows], 1)
    pixels = ((joined.clamp(-1, 1) + 1) * 127.5).round().byte().permute(1, 2, 0).numpy()
    Image.fromarray(np.ascontiguousarray(pixels)).save(path)
