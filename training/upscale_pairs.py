"""Pairs of pictures the upscaler learns from: vector scenes at two sizes, the small one damaged.

A scene is rendered at full size and area-reduced by 8, so both sizes register exactly; the small
one is then damaged the way a small diffusion model damages its pictures. Drawings come from the
vector file of the sprite library.

Shapes: scenes are (3, H, W) uint8; small pictures (3, h, w) and large ones (3, 8h, 8w) are float32
in [-1, 1].
"""

import io
import json
import lzma
import math
import random
import re
import zlib
from pathlib import Path

import numpy as np
import resvg_py
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

FAMILIES = (
    "fluent-emoji-flat",
    "noto",
    "twemoji",
    "fluent-emoji",
    "fluent-emoji-high-contrast",
)
"""Id prefixes of the drawings used: the five styles of the reference library."""

FAMILY_WEIGHTS = (3, 3, 3, 1.5, 1.5)
SCALE = 8
CANVAS = 1024
CROP = 32
"""Side of a training crop of the small picture, in pixels; a multiple of the block sizes."""


def load_drawings(path: Path) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Read the vector file; return (for training, held out), SVG texts by family.

    One name in twelve is held out, in every family at once.
    """
    train: dict[str, list[str]] = {family: [] for family in FAMILIES}
    held: dict[str, list[str]] = {family: [] for family in FAMILIES}
    with lzma.open(path, "rt") as lines:
        for line in lines:
            row = json.loads(line)
            family, _, name = row["id"].partition(":")
            if family in train:
                target = held if zlib.crc32(name.encode()) % 12 == 0 else train
                target[family].append(row["svg"])
    return train, held


def scene_svg(drawings: dict[str, list[str]], rng: random.Random, canvas: int = CANVAS) -> str:
    """Compose a square scene: a ground, a few shapes and strokes, one to three drawings."""
    parts = [_ground(rng)]
    parts += [_shape(rng) for _ in range(rng.choice((0, 0, 1, 2, 3)))]
    count = rng.choice((1, 1, 1, 2, 3))
    for index in range(count):
        size = rng.uniform(0.3, 0.95 if count == 1 else 0.6)
        parts.append(_placed(_pick(drawings, rng), size, index, rng))
    head = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    return f'{head} width="{canvas}" height="{canvas}" viewBox="0 0 1 1">{"".join(parts)}</svg>'


def render(svg: str) -> Tensor:
    """Rasterise an SVG text to (3, H, W) uint8."""
    png = resvg_py.svg_to_bytes(svg_string=svg, skip_system_fonts=True)
    pixels = np.array(Image.open(io.BytesIO(bytes(png))).convert("RGB"))
    return torch.from_numpy(pixels).permute(2, 0, 1).contiguous()


def _pick(drawings: dict[str, list[str]], rng: random.Random) -> str:
    families = [family for family in FAMILIES if drawings.get(family)]
    weights = [FAMILY_WEIGHTS[FAMILIES.index(family)] for family in families]
    family = rng.choices(families, weights)[0]
    svg = rng.choice(drawings[family])
    if family == "fluent-emoji-high-contrast":  # a one-colour glyph: any tint will do
        svg = re.sub(r'"(#000|#000000|currentColor)"', f'"{_colour(rng)}"', svg)
    return svg


def _placed(svg: str, size: float, index: int, rng: random.Random) -> str:
    svg = re.sub(r'\bid="([^"]+)"', rf'id="s{index}\1"', svg)
    svg = re.sub(r"url\(#([^)]+)\)", rf"url(#s{index}\1)", svg)
    svg = re.sub(r'href="#([^"]+)"', rf'href="#s{index}\1"', svg)
    box = re.search(r'viewBox="([^"]+)"', svg)
    x, y = (rng.uniform(-0.05, 1.05 - size) for _ in range(2))
    angle = rng.choice((0, 0, 0, rng.uniform(-20, 20)))
    view = box.group(1) if box else "0 0 32 32"
    frame = f'<svg x="{x:.4f}" y="{y:.4f}" width="{size:.4f}" height="{size:.4f}" viewBox="{view}">'
    body = re.sub(r"^.*?<svg[^>]*>", frame, svg, count=1, flags=re.DOTALL)
    return f'<g transform="rotate({angle:.1f} {x + size / 2:.3f} {y + size / 2:.3f})">{body}</g>'


def _colour(rng: random.Random) -> str:
    if rng.random() < 0.25:
        return rng.choice(("#ffffff", "#1c1c1e", "#fdf6de", "#a0d4f5"))
    return "#{:02x}{:02x}{:02x}".format(*(rng.randrange(256) for _ in range(3)))


def _ground(rng: random.Random) -> str:
    flat = f'<rect width="1" height="1" fill="{_colour(rng)}"/>'
    kind = rng.random()
    if kind < 0.25:
        stops = f'<stop stop-color="{_colour(rng)}"/><stop offset="1" stop-color="{_colour(rng)}"/>'
        slope = rng.choice(('x2="0" y2="1"', 'x2="1" y2="0"', 'x2="1" y2="1"'))
        return (
            f'<linearGradient id="ground" {slope}>{stops}</linearGradient>'
            '<rect width="1" height="1" fill="url(#ground)"/>'
        )
    if kind < 0.4:  # a horizon
        y = rng.uniform(0.4, 0.85)
        return f'{flat}<rect y="{y}" width="1" height="1" fill="{_colour(rng)}"/>'
    return flat


def _shape(rng: random.Random) -> str:
    x, y, r = rng.random(), rng.random(), rng.uniform(0.03, 0.35)
    colour = _colour(rng)
    stroke = f'fill="none" stroke="{colour}" stroke-width="{rng.uniform(0.006, 0.04):.4f}"'
    paint = rng.choice((f'fill="{colour}"', stroke))
    ends = f"{rng.random():.3f} {rng.random():.3f} {rng.random():.3f} {rng.random():.3f}"
    return rng.choice(
        (
            f'<circle cx="{x}" cy="{y}" r="{r}" {paint}/>',
            f'<rect x="{x}" y="{y}" width="{2 * r}" height="{r}" rx="{rng.choice((0, 0.04))}" '
            f'transform="rotate({rng.choice((0, rng.uniform(0, 90)))} {x} {y})" {paint}/>',
            f'<path d="M{x} {y}Q{ends}" {stroke}/>',
            f'<path d="M{x} {y}L{ends}Z" {paint}/>',
        )
    )


def reduce_area(high: Tensor) -> Tensor:
    """Average 8x8 blocks: (..., 3, 8h, 8w) to (..., 3, h, w)."""
    return F.avg_pool2d(high, SCALE)


def damage(low: Tensor, rng: random.Random) -> Tensor:
    """Spoil a small picture (3, h, w) as a small diffusion model would; one in four stays clean."""
    if rng.random() < 0.25:
        return low
    x = low[None]
    if rng.random() < 0.25:
        x = _wobbled(x, rng.uniform(0, 0.35))
    if rng.random() < 0.5:
        soft = F.avg_pool2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), 3, 1)
        x = torch.lerp(x, soft, rng.uniform(0.1, 0.7))
    if rng.random() < 0.3:
        x = _block_softened(x, rng.choice((4, 8)), rng.uniform(0.45, 0.9))
    if rng.random() < 0.4:
        x = x + _smooth_noise(x.shape, rng.choice((4, 8, 16))) * rng.uniform(0, 0.07)
    if rng.random() < 0.5:
        x = x + torch.randn_like(x) * rng.uniform(0, 0.05)
    return x[0].clamp(-1, 1)


def _smooth_noise(shape: torch.Size | tuple[int, ...], cell: int) -> Tensor:
    b, c, h, w = shape
    coarse = torch.randn(b, c, h // cell + 2, w // cell + 2)
    return F.interpolate(coarse, size=(h, w), mode="bicubic", align_corners=True)


def _wobbled(x: Tensor, pixels: float) -> Tensor:
    """Push contours about by `pixels` on average, smoothly."""
    h, w = x.shape[-2:]
    rows, columns = torch.meshgrid(torch.arange(h) + 0.5, torch.arange(w) + 0.5, indexing="ij")
    push = _smooth_noise((1, 2, h, w), 5)[0] * pixels
    grid = torch.stack([(columns + push[0]) * 2 / w - 1, (rows + push[1]) * 2 / h - 1], -1)
    return F.grid_sample(x, grid[None], padding_mode="border", align_corners=False)


def _block_softened(x: Tensor, block: int, keep: float) -> Tensor:
    """Drop the fine part of each block's cosine transform, as a patch-wise output does."""
    k = torch.arange(block)
    basis = torch.cos(math.pi * (2 * k[None] + 1) * k[:, None] / (2 * block))
    basis = basis * math.sqrt(2 / block)
    basis[0] /= math.sqrt(2)
    b, c, h, w = x.shape
    tiles = x.reshape(b, c, h // block, block, w // block, block).transpose(3, 4)
    mask = (k[:, None] + k[None] <= 2 * (block - 1) * keep).float()
    tiles = basis.T @ (basis @ tiles @ basis.T * mask) @ basis
    return tiles.transpose(3, 4).reshape(b, c, h, w)


class Pairs:
    """A pool of large scenes, renewed one by one, that training crops are cut from.

    With `own`, a pair of uint8 arrays low (N, h, w, 3) and high (N, 8h, 8w, 3), half of the crops
    come from there and are not damaged further: low is the model's own output.
    """

    def __init__(
        self,
        drawings: dict[str, list[str]],
        rng: random.Random,
        *,
        pool: int = 64,
        own: tuple[np.ndarray, np.ndarray] | None = None,
    ):
        """Render the first pool of scenes."""
        self.drawings, self.rng, self.own = drawings, rng, own
        self.scenes = [render(scene_svg(drawings, rng)) for _ in range(pool)]

    def renew(self) -> None:
        """Replace one scene of the pool."""
        fresh = render(scene_svg(self.drawings, self.rng))
        self.scenes[self.rng.randrange(len(self.scenes))] = fresh

    def batch(self, size: int) -> tuple[Tensor, Tensor]:
        """Return (low, high) crops: (size, 3, 32, 32) and (size, 3, 256, 256) in [-1, 1]."""
        lows, highs = zip(*(self._crop() for _ in range(size)), strict=True)
        return torch.stack(lows), torch.stack(highs)

    def _crop(self) -> tuple[Tensor, Tensor]:
        if self.own and self.rng.random() < 0.5:
            row = self.rng.randrange(len(self.own[0]))
            low, high = (torch.from_numpy(a[row]).permute(2, 0, 1) for a in self.own)
            y, x = (self.rng.randrange(side - CROP + 1) for side in low.shape[1:])
            low = to_unit(low[:, y : y + CROP, x : x + CROP])
        else:
            high = self.rng.choice(self.scenes)
            y, x = self._place(high)
            low = None
        y, x, side = y * SCALE, x * SCALE, CROP * SCALE
        high = to_unit(high[:, y : y + side, x : x + side])
        flips = [axis for axis in (1, 2) if self.rng.random() < 0.5]
        channels = self.rng.choice(((0, 1, 2), (0, 1, 2), (1, 2, 0), (2, 1, 0), (0, 2, 1)))
        high = high.flip(flips)[list(channels)]
        if low is None:
            return damage(reduce_area(high), self.rng), high
        return low.flip(flips)[list(channels)], high

    def _place(self, high: Tensor) -> tuple[int, int]:
        """Choose a corner on the block grid; of a few draws keep the one with the most edges."""

        def corner() -> tuple[int, int]:
            y, x = (8 * self.rng.randrange((n // SCALE - CROP) // 8 + 1) for n in high.shape[1:])
            return y, x

        def edges(place: tuple[int, int]) -> float:
            y, x = (SCALE * n for n in place)
            window = high[:, y : y + CROP * SCALE : 4, x : x + CROP * SCALE : 4].float()
            return (window.diff(dim=1).abs().mean() + window.diff(dim=2).abs().mean()).item()

        return max((corner() for _ in range(self.rng.choice((1, 4, 4)))), key=edges)


def to_unit(pixels: Tensor) -> Tensor:
    """Map uint8 to float32 in [-1, 1]."""
    return pixels.float() / 127.5 - 1
