"""Our own judge of pictures: which thing is in a box, in which colour, and on what ground.

`python -m training.classifier --minutes N --out FILE` trains it. It is a small convolutional net that
looks at 40 x 40 crops of things by their known boxes, and a smaller one that looks at whole pictures
for the ground. Both see renderings of their own: other scales, places, tints, grounds, neighbours and
random seeds than the denoiser's, blurred and noisy, so that a soft picture is not thereby a wrong one.

The judge knows everyday things only (`EVERYDAY`); concepts that differ by view or number alone share a
group (`group_of`).
"""

import argparse
import json
import random
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gouache.scene import COLOURS, LANDSCAPES, STYLES, TEXTURES, Box
from training import backdrops
from training.compose import LIGHT, Art

SIDE = 40
"""Pixels of a crop."""

MARGIN = 1.12
"""Side of a crop to the longer side of its box."""

GROUND_SIDE = 32
GROUNDS = ("plain", *TEXTURES, *LANDSCAPES)
GROUND_VARIANTS = 12
TINTS = (*COLOURS, "own")
"""What the colour head tells apart: the colour words, and a thing that keeps its own colours."""

EVERYDAY = {"animal", "food", "drink", "vehicle", "aircraft", "boat", "plant", "clothing", "device"}
SAME = {
    "black cat": "cat",
    "service dog": "dog",
    "guide dog": "dog",
    "poodle": "dog",
    "rat": "mouse",
    "ram": "sheep",
    "water buffalo": "ox",
    "two beers": "beer",
    "rooster": "chicken",
    "red apple": "apple",
    "green apple": "apple",
    "airplane arrival": "airplane",
    "airplane departure": "airplane",
    "low battery": "battery",
    "DVD": "CD",
    "camera with flash": "camera",
    "light rail train": "train",
    "bullet train": "train",
    "high-speed train": "train",
    "metro": "train",
    "trolleybus": "bus",
    "white flower": "flower",
}
MIN_RECOLOURED = 0.3
"""Share of a drawing that a colour word must change before its colour is asked for."""


def group_of(concept: str) -> str:
    """Return the group that the judge puts a concept in.

    The rule: a view (" face", " seen from the front", "closed", "open") does not count, nor do the
    differences of `SAME`: breeds, numbers and models that nobody would tell apart in a small picture.
    """
    plain = re.sub(r" face$| seen from the front$|^open |^closed ", "", concept)
    return SAME.get(plain, plain)


def everyday(bank: Path) -> list[str]:
    """Return the concepts that the judge knows, in the order of `concepts.json`."""
    rows: list[dict[str, Any]] = json.loads(bank.read_text(encoding="utf-8"))
    return [r["name"] for r in rows if r["kind"] == "object" and r["category"] in EVERYDAY]


def _stage(channels_in: int, channels: int, stride: int, kernel: int = 3) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels_in, channels, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(inplace=True),
    )


class Judge(nn.Module):
    """Names the thing of a crop, its colour, and the ground of a picture."""

    def __init__(self, concepts: Sequence[str], width: int = 32):
        super().__init__()
        self.concepts = list(concepts)
        self.groups = sorted({group_of(name) for name in concepts})
        self.width = width
        self.body = nn.Sequential(
            _stage(3, width, 2, 5),
            _stage(width, 2 * width, 2),
            _stage(2 * width, 4 * width, 2),
            _stage(4 * width, 4 * width, 1),
            nn.Flatten(),
            nn.Linear(4 * width * 25, 256, bias=False),
            nn.BatchNorm1d(256),
        )
        self.thing = nn.Linear(256, len(self.groups))
        self.colour = nn.Sequential(
            _stage(3, 32, 4, 5), _stage(32, 48, 2), nn.Flatten(), nn.Linear(48 * 25, len(TINTS))
        )
        self.ground = nn.Sequential(
            _stage(3, 24, 2),
            _stage(24, 32, 2),
            _stage(32, 48, 2),
            nn.Flatten(),
            nn.Linear(48 * 16, len(GROUNDS)),
        )

    def features(self, crops: Tensor) -> Tensor:
        """Return features (N, 256) of crops (N, 3, 40, 40) in [-1, 1]."""
        return self.body(crops)

    def forward(self, crops: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits over `groups` and over `TINTS` for crops (N, 3, 40, 40) in [-1, 1]."""
        return self.thing(F.relu(self.features(crops))), self.colour(crops)

    def grounds(self, pictures: Tensor) -> Tensor:
        """Return logits over `GROUNDS` for square pictures (N, 3, H, W) in [-1, 1]."""
        return self.ground(F.interpolate(pictures, size=(GROUND_SIDE, GROUND_SIDE), mode="area"))


def crop(pictures: Tensor, boxes: Sequence[Box]) -> Tensor:
    """Cut box i out of picture i: (N, 3, 40, 40); beyond the edge the edge goes on."""
    height, width = pictures.shape[2:]
    theta = []
    for box in boxes:
        side = MARGIN * max(box.w * width, box.h * height)
        across, down = side / width, side / height
        theta.append([[across, 0, 2 * box.cx - 1], [0, down, 2 * box.cy - 1]])
    grid = F.affine_grid(
        torch.tensor(theta), [len(boxes), 3, 3 * SIDE, 3 * SIDE], align_corners=False
    )
    return F.avg_pool2d(
        F.grid_sample(pictures, grid, padding_mode="border", align_corners=False), 3
    )


@dataclass(frozen=True)
class Crops:
    """A training batch: crops (N, 3, 40, 40) in [-1, 1], group and tint of each."""

    x: Tensor
    group: Tensor
    tint: Tensor


class Renderings:
    """Draws the judge's own training pictures straight from the art."""

    def __init__(self, art: Path, judge: Judge, seed: int):
        """Read the art and paint the grounds."""
        source = Art(art, torch.device("cpu"))
        at = {name: judge.groups.index(group_of(name)) for name in judge.concepts}
        rows = json.loads((art / "art.json").read_text())
        known = [i for i, row in enumerate(rows) if row["concept"] in at]
        self.drawings = source.levels[-2][known]
        self.light = source.light[known]
        self.group = torch.tensor([at[rows[i]["concept"]] for i in known])
        self.mono = torch.tensor([bool(rows[i]["mono"]) for i in known])
        self.tintable = self.mono | (recoloured_share(self.drawings) > MIN_RECOLOURED)
        self.random = torch.Generator().manual_seed(seed)
        self.masks = _paint_grounds(random.Random(f"judge {seed}"))
        self.palette = torch.tensor(list(COLOURS.values())) / 255

    def crops(self, count: int) -> Crops:
        """Return a batch of crops of random things."""
        rows = self._integers(len(self.group), count)
        ground = self._patches(count)
        tint = self._tints(rows, ground)
        theta = self._placed(count, 0.9, 1.2, 0.1) * MARGIN
        drawn = self._drawn(rows, tint, theta, SIDE)
        beside = self._neighbours(count)
        order = torch.rand(count, 1, 1, 1, generator=self.random) < 0.5
        x = torch.where(
            order, _over(drawn, _over(beside, ground)), _over(beside, _over(drawn, ground))
        )
        return Crops(self._degraded(x.clamp(0, 1) * 2 - 1), self.group[rows], tint)

    def pictures(self, count: int) -> tuple[Tensor, Tensor]:
        """Return small whole pictures (N, 3, 32, 32) in [-1, 1] with things, and their grounds."""
        kinds = self._integers(len(GROUNDS), count)
        kinds = kinds * (self._uniform(count, 0, 1) > 0.2)
        x = F.avg_pool2d(self._grounds(kinds), self.masks.shape[-1] // GROUND_SIDE)
        for _ in range(2):
            rows = self._integers(len(self.group), count)
            theta = self._placed(count, 1.05, 2.6, 0.8)
            x = _over(self._drawn(rows, self._tints(rows, x), theta, GROUND_SIDE), x)
        return self._degraded(x.clamp(0, 1) * 2 - 1), kinds

    def _uniform(self, count: int, low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(count, generator=self.random)

    def _integers(self, below: int, count: int) -> Tensor:
        return torch.randint(below, (count,), generator=self.random)

    def _placed(self, count: int, low: float, high: float, moved: float) -> Tensor:
        """Return maps (N, 2, 3) that shrink a drawing by `low` to `high` and move it."""
        scale = self._uniform(count, low, high)
        theta = torch.zeros(count, 2, 3)
        theta[:, 0, 0] = theta[:, 1, 1] = scale
        theta[:, :, 2] = moved * (torch.rand(count, 2, generator=self.random) * 2 - 1)
        return theta

    def _drawn(self, rows: Tensor, tint: Tensor, theta: Tensor, side: int) -> Tensor:
        """Return tinted drawings (N, 4, side, side), premultiplied RGBA in 0..1."""
        grid = F.affine_grid(theta, [len(rows), 5, side, side], align_corners=False)
        drawn = F.grid_sample(self.drawings[rows].float() / 255, grid, align_corners=False)
        own = tint == len(TINTS) - 1
        wanted = self.palette[tint.clamp(max=len(COLOURS) - 1)]
        wanted = (wanted + 0.05 * torch.randn(wanted.shape, generator=self.random)).clamp(0, 1)
        return torch.cat([shaded(drawn, wanted, own, self.light[rows]), drawn[:, 3:4]], 1)

    def _tints(self, rows: Tensor, ground: Tensor) -> Tensor:
        """Choose tints that are seen on the ground; drawings of one colour always have one."""
        apart = (self.palette[None] - ground.mean((2, 3))[:, None]).abs().sum(2)
        weights = (apart > 0.43).float() + 1e-6
        tint = torch.multinomial(weights, 1, generator=self.random)[:, 0]
        wanted = (self._uniform(len(rows), 0, 1) < 0.45) & self.tintable[rows]
        return torch.where(wanted | self.mono[rows], tint, len(TINTS) - 1)

    def _neighbours(self, count: int) -> Tensor:
        """Return drawings at the edge of the crop, in a third of the cases; else nothing."""
        rows = self._integers(len(self.group), count)
        side = self._uniform(count, 0, 2 * torch.pi)
        far = self._uniform(count, 1.3, 1.9)
        theta = self._placed(count, 0.8, 1.6, 0.0)
        theta[:, 0, 2] = -theta[:, 0, 0] * far * side.cos()
        theta[:, 1, 2] = -theta[:, 0, 0] * far * side.sin()
        drawn = self._drawn(rows, torch.full((count,), len(TINTS) - 1), theta, SIDE)
        return drawn * (self._uniform(count, 0, 1) < 0.33)[:, None, None, None]

    def _grounds(self, kinds: Tensor) -> Tensor:
        """Return grounds (N, 3, S, S) in 0..1; two-colour masks get random colours."""
        variant = self._integers(GROUND_VARIANTS, len(kinds))
        picked = self.masks[kinds, variant].float() / 255
        first, second = (self.palette[self._integers(24, len(kinds))] for _ in range(2))
        first = (first + 0.03 * torch.randn(first.shape, generator=self.random)).clamp(0, 1)
        mixed = first[:, :, None, None] + (second - first)[:, :, None, None] * picked
        return torch.where((kinds > len(TEXTURES))[:, None, None, None], picked, mixed)

    def _patches(self, count: int) -> Tensor:
        """Return pieces of grounds (N, 3, 40, 40), more than half of them plain."""
        kinds = self._integers(len(GROUNDS), count)
        kinds = kinds * (self._uniform(count, 0, 1) > 0.55)
        theta = self._placed(count, 0.35, 0.95, 0.05)
        grid = F.affine_grid(theta, [count, 3, SIDE, SIDE], align_corners=False)
        return F.grid_sample(self._grounds(kinds), grid, padding_mode="border", align_corners=False)

    def _degraded(self, x: Tensor) -> Tensor:
        """Blur a third of the pictures to half their size, and add some noise to each."""
        side = x.shape[-1]
        soft = F.interpolate(F.avg_pool2d(x, 2), size=(side, side), mode="bilinear")
        blur = (self._uniform(len(x), 0, 1) - 0.67).clamp(0, 0.1)[:, None, None, None] * 10
        noise = torch.randn(x.shape, generator=self.random)
        level = self._uniform(len(x), -0.06, 0.1).clamp(min=0)[:, None, None, None]
        return x + blur * (soft - x) + level * noise


def recoloured_share(drawings: Tensor) -> Tensor:
    """Return which share of drawings (N, 5, S, S) uint8 a colour word changes: (N,), 0 to 1."""
    alpha, mask = drawings[:, 3].float() / 255, drawings[:, 4].float() / 255
    return (alpha * mask).sum((1, 2)) / alpha.sum((1, 2)).clamp(min=1)


def shaded(drawn: Tensor, wanted: Tensor, own: Tensor, ruling: Tensor) -> Tensor:
    """Put wanted colours (N, 3) on drawings (N, 5, S, S) by lightness, as the composer does."""
    weights = torch.tensor(LIGHT)[:, None, None]
    alpha, mask = drawn[:, 3:4], drawn[:, 4:5]
    light = (drawn[:, :3] * weights).sum(1, keepdim=True) / alpha.clamp(min=1e-3)
    tint, ruling = wanted[:, :, None, None], ruling[:, None, None, None]
    darker = tint * (light / ruling.clamp(min=1e-3)).clamp(max=1)
    lighter = tint + (1 - tint) * 0.8 * ((light - ruling) / (1 - ruling)).clamp(0, 1)
    shade = torch.where(ruling == 0, tint, torch.where(light <= ruling, darker, lighter))
    mixed = drawn[:, :3] * (1 - mask) + shade * alpha * mask
    return torch.where(own[:, None, None, None], drawn[:, :3], mixed)


def _over(drawn: Tensor, ground: Tensor) -> Tensor:
    return drawn[:, :3] + ground * (1 - drawn[:, 3:4])


def _paint_grounds(rng: random.Random) -> Tensor:
    """Return grounds or two-colour masks for each kind: (25, 12, 3, 64, 64) uint8."""
    side = 2 * GROUND_SIDE
    made = np.zeros((len(GROUNDS), GROUND_VARIANTS, side, side, 3))
    for i, kind in enumerate(GROUNDS):
        for variant in range(GROUND_VARIANTS if i else 0):
            if kind in LANDSCAPES:
                made[i, variant] = backdrops.landscape(kind, side, side, rng)
            else:
                made[i, variant] = 255 * backdrops.texture(kind, side, side, rng)[:, :, None]
    return torch.from_numpy(made).round().byte().permute(0, 1, 4, 2, 3).contiguous()


def train(
    judge: Judge, draw: Renderings, share_done: Callable[[int], float], *, batch: int = 64
) -> None:
    """Train until `share_done`, which is told the steps taken, has come to 1."""
    rate = 4e-3
    optimiser = torch.optim.AdamW(judge.parameters(), rate, weight_decay=0.02)
    step, hits = 0, 0.0
    while (done := share_done(step)) < 1:
        for group in optimiser.param_groups:
            group["lr"] = rate * min(1.0, (step + 1) / 50) * max(0.01, 1 - done)
        crops = draw.crops(batch)
        thing, colour = judge(crops.x)
        cost = F.cross_entropy(thing, crops.group, label_smoothing=0.05)
        cost = cost + 0.5 * F.cross_entropy(colour, crops.tint)
        pictures, kinds = draw.pictures(batch // 4)
        cost = cost + 0.3 * F.cross_entropy(judge.grounds(pictures), kinds)
        optimiser.zero_grad()
        cost.backward()
        optimiser.step()
        hits += 0.01 * ((thing.argmax(1) == crops.group).float().mean().item() - hits)
        step += 1
        if step % 100 == 0:
            print(f"step {step}, {done:.0%}, loss {cost.item():.2f}, right {hits:.2f}", flush=True)


@torch.no_grad()
def accuracy(judge: Judge, draw: Renderings, count: int = 1000) -> dict[str, float]:
    """Return shares of right answers on fresh renderings: thing, thing within five, tint, ground."""
    judge.eval()
    crops = draw.crops(count)
    thing, colour = judge(crops.x)
    pictures, kinds = draw.pictures(count)
    ranked = thing.topk(min(5, len(judge.groups))).indices == crops.group[:, None]
    right = {
        "thing": ranked[:, 0],
        "thing of five": ranked.any(1),
        "tint": colour.argmax(1) == crops.tint,
        "ground": judge.grounds(pictures).argmax(1) == kinds,
    }
    return {name: hit.float().mean().item() for name, hit in right.items()}


def save_judge(judge: Judge, path: Path) -> None:
    """Write a judge with what it knows."""
    torch.save(
        {"concepts": judge.concepts, "width": judge.width, "state_dict": judge.state_dict()}, path
    )


def load_judge(path: Path) -> Judge:
    """Return a trained judge, ready for use."""
    stored = torch.load(path, weights_only=True, map_location="cpu")
    judge = Judge(stored["concepts"], stored["width"])
    judge.load_state_dict(stored["state_dict"])
    return judge.eval()


def main() -> None:
    """Train a judge from the command line and say how good it is."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, required=True, help="of processor time")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--start", type=Path, help="a judge to train on")
    parser.add_argument("--art", type=Path, default=Path("data/art"))
    parser.add_argument("--bank", type=Path, default=Path("src/gouache/weights/concepts.json"))
    parser.add_argument("--seed", type=int, default=77)
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    judge = load_judge(args.start).train() if args.start else Judge(everyday(args.bank))
    print(f"{len(judge.concepts)} concepts in {len(judge.groups)} groups, {len(STYLES)} styles")
    draw, seconds, began = (
        Renderings(args.art, judge, args.seed),
        60 * args.minutes,
        time.process_time(),
    )
    train(judge, draw, lambda step: (time.process_time() - began) / seconds)
    print(accuracy(judge, Renderings(args.art, judge, args.seed + 1)))
    save_judge(judge, args.out)


if __name__ == "__main__":
    main()
