"""From scenes to tensors: the picture the denoiser should draw, and the guide it is given.

Everything is drawn in batches by `grid_sample` on whatever device the art lies on. A guide is always
worse than its picture: half the size, in the drawings' own colours, sometimes of another style, moved,
blurred, noisy, with things missing, or dropped whole (`GuideDamage`).
"""

import json
import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from gouache.scene import LANDSCAPES, STYLES, TEXTURES, Box, Item, Scene, rgb
from training import backdrops

LIGHT = (0.3, 0.59, 0.11)
VARIANTS = 16
"""How many versions of each landscape and texture are kept per picture shape."""


@dataclass(frozen=True)
class GuideDamage:
    """How much worse than the picture a training guide is; all are probabilities but `shift`."""

    dropped: float = 0.2
    thing_dropped: float = 0.1
    other_style: float = 0.15
    moved: float = 0.4
    shift: float = 0.05
    blurred: float = 0.4
    noisy: float = 0.4


@dataclass(frozen=True)
class _Layer:
    """Drawings at one depth of a batch: at most one per picture."""

    picture: list[int]
    row: list[int]
    box: list[Box]
    colour: list[str | None]
    rim: list[bool]


class Art:
    """The training drawings with their reduced copies, and how to find one by concept and style."""

    def __init__(self, folder: Path, device: torch.device):
        """Read `art.npy` and `art.json` of `training.library` onto a device."""
        rows = json.loads((folder / "art.json").read_text())
        full = torch.from_numpy(np.load(folder / "art.npy", mmap_mode="c"))
        self.levels = [full.to(device)]
        while self.levels[-1].shape[-1] > 32:
            parts = [F.avg_pool2d(p.float(), 2).round().byte() for p in self.levels[-1].split(256)]
            self.levels.append(torch.cat(parts))
        self.light = torch.tensor([0.0 if r["mono"] else r["light"] for r in rows], device=device)
        self.aspect = [r["aspect"] for r in rows]
        self._row = {(r["concept"], r["style"]): i for i, r in enumerate(rows)}
        self.device = device

    def row(self, item: Item, style: str) -> int:
        """Return the drawing of an item's concept in a style, or in the first style that has it."""
        return next(
            self._row[item.concept, s] for s in (style, *STYLES) if (item.concept, s) in self._row
        )


class Composer:
    """Draws pictures and guides of scenes; keeps a bank of backdrops per picture shape."""

    def __init__(self, art: Art):
        """Keep the art; backdrops are drawn when a picture shape is first asked for."""
        self.art = art
        self._backdrops: dict[tuple[int, int], dict[str, Tensor]] = {}

    def pictures(self, scenes: list[Scene], height: int, width: int, rng: random.Random) -> Tensor:
        """Return the finished pictures (B, 3, H, W) in [-1, 1]."""
        ground = torch.stack([self._ground(scene, height, width, rng) for scene in scenes])
        layers = _layers(scenes, [[self.art.row(i, s.style) for i in s.items] for s in scenes])
        for layer in layers:
            drawn = self._drawn(layer, height, width)
            colour, alpha = _recoloured(drawn, layer, self.art), drawn[:, 3:4]
            if any(layer.rim):
                colour, alpha = _with_rim(colour, alpha, layer.rim, height // 26)
            at = torch.tensor(layer.picture, device=self.art.device)
            ground[at] = colour + ground[at] * (1 - alpha)
        return ground.clamp(0, 1) * 2 - 1

    def guides(
        self,
        scenes: list[Scene],
        height: int,
        width: int,
        rng: random.Random,
        damage: GuideDamage | None,
    ) -> Tensor:
        """Return guides (B, 8, H/2, W/2), see `gouache.diffusion.guide.guide`; None damages nothing."""
        rows, columns = height // 2, width // 2
        canvas = torch.zeros(len(scenes), 8, rows, columns, device=self.art.device)
        seen = scenes if damage is None else [_damaged(s, rng, damage) for s in scenes]
        chosen = [
            [
                self.art.row(item, self._guide_style(item, scene, rng, damage))
                for item in scene.items
            ]
            for scene in seen
        ]
        for layer in _layers(seen, chosen):
            drawn = self._drawn(layer, rows, columns)
            alpha = drawn[:, 3:4]
            wanted = torch.tensor(
                [[*(c / 127.5 - 1 for c in rgb(w)), 1.0] if w else [0.0] * 4 for w in layer.colour],
                device=self.art.device,
            )
            stacked = torch.cat([drawn[:, :4], wanted[:, :, None, None] * alpha], 1)
            at = torch.tensor(layer.picture, device=self.art.device)
            canvas[at] = stacked + canvas[at] * (1 - alpha)
        canvas[:, :3] = 2 * canvas[:, :3] - canvas[:, 3:4]
        return canvas if damage is None else _blurred(canvas, rng, damage)

    def _guide_style(
        self, item: Item, scene: Scene, rng: random.Random, damage: GuideDamage | None
    ) -> str:
        if damage is None or rng.random() >= damage.other_style:
            return scene.style
        return rng.choice([s for s in STYLES if s != "emblem"])

    def _drawn(self, layer: _Layer, height: int, width: int) -> Tensor:
        """Return the drawings of one layer on empty canvases: (n, 5, H, W) in 0..1."""
        sides = [self._side(r, b, height, width) for r, b in zip(layer.row, layer.box, strict=True)]
        theta = torch.tensor(
            [
                [
                    [width / s, 0, -(2 * b.cx - 1) * width / s],
                    [0, height / s, -(2 * b.cy - 1) * height / s],
                ]
                for s, b in zip(sides, layer.box, strict=True)
            ],
            device=self.art.device,
        )
        grid = F.affine_grid(theta, (len(sides), 5, height, width), align_corners=False)
        out = torch.zeros(len(sides), 5, height, width, device=self.art.device)
        full = self.art.levels[0].shape[-1]
        for level, art in enumerate(self.art.levels):
            last = level == len(self.art.levels) - 1
            here = [
                i
                for i, s in enumerate(sides)
                if (level == 0 or s <= full / 2**level) and (last or s > full / 2 ** (level + 1))
            ]
            if here:
                rows = torch.tensor([layer.row[i] for i in here], device=self.art.device)
                at = torch.tensor(here, device=self.art.device)
                sprites = art[rows].float() / 255
                out[at] = F.grid_sample(sprites, grid[at], align_corners=False)
        return out

    def _side(self, row: int, box: Box, height: int, width: int) -> float:
        """Return the pixels that a drawing's longer side takes in its tight box."""
        aspect = self.art.aspect[row]
        wide, high = min(1.0, aspect), min(1.0, 1 / aspect)
        return max(2.0, min(box.w * width / wide, box.h * height / high))

    def _ground(self, scene: Scene, height: int, width: int, rng: random.Random) -> Tensor:
        """Return one backdrop (3, H, W) in 0..1."""
        background = scene.background
        bank = self._bank(height, width)
        colours = torch.tensor(
            [rgb(c) for c in background.colours], dtype=torch.float32, device=self.art.device
        ).div(255)
        if background.kind == "plain":
            return colours[0][:, None, None].expand(3, height, width)
        picked = bank[background.kind][rng.randrange(VARIANTS)].float() / 255
        if background.kind in LANDSCAPES:
            return picked.flip(2) if rng.random() < 0.5 else picked
        first, second = colours[0][:, None, None], colours[1][:, None, None]
        return first + (second - first) * picked

    def _bank(self, height: int, width: int) -> dict[str, Tensor]:
        if (height, width) not in self._backdrops:
            rng = random.Random(f"backdrops {height} {width}")
            bank = {}
            for kind in LANDSCAPES:
                drawn = [backdrops.landscape(kind, width, height, rng) for _ in range(VARIANTS)]
                bank[kind] = torch.from_numpy(np.stack(drawn)).permute(0, 3, 1, 2)
            for kind in TEXTURES:
                masks = [backdrops.texture(kind, width, height, rng) for _ in range(VARIANTS)]
                bank[kind] = (torch.from_numpy(np.stack(masks))[:, None] * 255).round().byte()
            self._backdrops[height, width] = {k: v.to(self.art.device) for k, v in bank.items()}
        return self._backdrops[height, width]


def _layers(scenes: list[Scene], rows: list[list[int]]) -> list[_Layer]:
    """Sort the items of a batch by depth, so that each layer is drawn in one go."""
    layers = []
    for depth in range(max((len(s.items) for s in scenes), default=0)):
        at = [i for i, scene in enumerate(scenes) if len(scene.items) > depth]
        items = [scenes[i].items[depth] for i in at]
        layers.append(
            _Layer(
                at,
                [rows[i][depth] for i in at],
                [item.box for item in items],
                [item.colour for item in items],
                [scenes[i].intent == "sticker" for i in at],
            )
        )
    return layers


def _recoloured(drawn: Tensor, layer: _Layer, art: Art) -> Tensor:
    """Return premultiplied colours (n, 3, H, W) with the wanted colours put on by lightness."""
    has = torch.tensor([c is not None for c in layer.colour], device=drawn.device)
    if not has.any():
        return drawn[:, :3]
    tint = torch.tensor([rgb(c) if c else (0, 0, 0) for c in layer.colour], device=drawn.device)
    tint = tint.float()[:, :, None, None] / 255
    alpha, mask = drawn[:, 3:4], drawn[:, 4:5]
    weights = torch.tensor(LIGHT, device=drawn.device)[:, None, None]
    light = (drawn[:, :3] * weights).sum(1, keepdim=True) / alpha.clamp(min=1e-3)
    ruling = art.light[torch.tensor(layer.row, device=drawn.device)][:, None, None, None]
    darker = tint * (light / ruling.clamp(min=1e-3)).clamp(max=1)
    lighter = tint + (1 - tint) * 0.8 * ((light - ruling) / (1 - ruling)).clamp(0, 1)
    shaded = torch.where(light <= ruling, darker, lighter)
    shaded = torch.where(ruling == 0, tint, shaded)
    mixed = drawn[:, :3] * (1 - mask) + shaded * alpha * mask
    return torch.where(has[:, None, None, None], mixed, drawn[:, :3])


def _with_rim(
    colour: Tensor, alpha: Tensor, rims: list[bool], thickness: int
) -> tuple[Tensor, Tensor]:
    """Put a white rim around the stickers of a layer."""
    wide = F.max_pool2d(alpha, 2 * thickness + 1, 1, thickness)
    on = torch.tensor(rims, device=alpha.device)[:, None, None, None]
    return torch.where(on, colour + wide - alpha, colour), torch.where(on, wide, alpha)


def _damaged(scene: Scene, rng: random.Random, damage: GuideDamage) -> Scene:
    """Return the scene that the guide shows: perhaps empty, with things missing or moved."""
    if rng.random() < damage.dropped:
        return Scene(())
    items = []
    for item in scene.items:
        if rng.random() < damage.thing_dropped:
            continue
        box = item.box
        if rng.random() < damage.moved:
            span = damage.shift * max(box.w, box.h)
            scale = 1 + rng.uniform(-2, 2) * damage.shift
            box = Box(
                box.cx + rng.uniform(-span, span),
                box.cy + rng.uniform(-span, span),
                box.w * scale,
                box.h * scale,
            )
        items.append(Item(item.concept, item.said, box, item.colour))
    return Scene(tuple(items), style=scene.style)


def _blurred(canvas: Tensor, rng: random.Random, damage: GuideDamage) -> Tensor:
    """Blur and disturb the drawings of a part of the batch; wanted colours stay."""
    batch = len(canvas)
    blur = torch.tensor([rng.random() < damage.blurred for _ in range(batch)])
    noise = torch.tensor(
        [0.15 * rng.random() * (rng.random() < damage.noisy) for _ in range(batch)]
    )
    soft = F.avg_pool2d(F.pad(canvas, (1, 1, 1, 1), mode="replicate"), 3, 1)
    canvas = torch.where(blur.to(canvas.device)[:, None, None, None], soft, canvas)
    generator = torch.Generator().manual_seed(rng.getrandbits(60))
    disturbance = torch.randn(canvas[:, :3].shape, generator=generator) * noise[:, None, None, None]
    canvas[:, :3] += disturbance.to(canvas.device) * canvas[:, 3:4]
    return canvas
