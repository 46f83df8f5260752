"""Train the upscaler, which turns the denoiser's small picture into the one people see.

Shapes: a small picture is (B, 3, h, w), a large one (B, 3, 8h, 8w), both float32 in [-1, 1].

    python -m training.upscale --vectors vectors.jsonl.xz --minutes 15 --out upscaler.pt

A run leaves three files, renewed every few minutes: the checkpoint (averaged weights, what the
export reads), a `.state.pt` beside it for `--resume`, and a `.png` sheet: bicubic, ours, ours from a
damaged picture, truth.
"""

import argparse
import math
import random
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from training.muon import Muon
from training.upscale_pairs import (
    SCALE,
    Pairs,
    damage,
    load_drawings,
    reduce_area,
    render,
    scene_svg,
    to_unit,
)


class Upscaler(nn.Module):
    """Picture (B, 3, h, w) to (B, 3, scale*h, scale*w), both in [-1, 1].

    All convolutions run at the small size. The network cleans the small picture and, for each of
    the scale*scale pixels inside a small pixel, blends the nine cleaned colours around it. Blending
    weights sum to 1, so a flat area stays flat, and a weight near 1 makes an edge crisp. The
    untrained network is bilinear interpolation.

    Source: compact residual trunk after SRVGGNet (Wang et al. 2021, arXiv:2107.10833); blending
    after the convex upsampling of RAFT (Teed and Deng 2020, arXiv:2003.12039), section 3.3.
    """

    def __init__(self, width: int, depth: int, scale: int = SCALE):
        """Make `depth` convolutions of `width` channels, in residual pairs."""
        super().__init__()
        self.config = {"width": width, "depth": depth, "scale": scale}
        self.enter = nn.Conv2d(3, width, 3, padding=1)
        # Dilation lets smooth areas be judged from farther away at no cost.
        dilations = [(1, 2, 4)[index % 3] for index in range(depth // 2)]
        self.first = nn.ModuleList(
            nn.Conv2d(width, width, 3, padding=d, dilation=d) for d in dilations
        )
        self.second = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in dilations)
        self.clean = nn.Conv2d(width, 3, 3, padding=1)
        self.blend = nn.Conv2d(width, 9 * scale * scale, 1)
        for last in (self.clean, self.blend):
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)
        self.blend.bias.data.copy_((bilinear_weights(scale) + 1e-3).log().flatten())

    def forward(self, x: Tensor) -> Tensor:
        """Return the large picture."""
        scale = self.config["scale"]
        b, _, h, w = x.shape
        features = self.enter(x)
        for first, second in zip(self.first, self.second, strict=True):
            features = features + second(F.leaky_relu(first(features), 0.1))
        features = F.leaky_relu(features, 0.1)
        colours = F.pad((x + self.clean(features)).clamp(-1, 1), (1, 1, 1, 1), mode="replicate")
        around = [colours[:, :, k // 3 : k // 3 + h, k % 3 : k % 3 + w] for k in range(9)]
        # Rows of small pixels: the network runs channels-last, so these reshapes copy little.
        neighbours = torch.stack(around, 2).permute(0, 3, 4, 1, 2).reshape(b * h * w, 3, 9)
        weights = self.blend(features).permute(0, 2, 3, 1).reshape(b * h * w, 9, scale * scale)
        y = torch.bmm(neighbours, weights.softmax(1)).view(b, h, w, 3, scale, scale)
        return y.permute(0, 3, 1, 4, 2, 5).reshape(b, 3, h * scale, w * scale)


def bilinear_weights(scale: int) -> Tensor:
    """Return (9, scale*scale): how bilinear interpolation weighs the 3x3 small pixels around."""
    offset = (torch.arange(scale) + 0.5) / scale - 0.5
    axis = torch.stack([(-offset).clamp(min=0), 1 - offset.abs(), offset.clamp(min=0)])
    return torch.einsum("iy,jx->ijyx", axis, axis).reshape(9, scale * scale)


def restoration_loss(y: Tensor, truth: Tensor) -> Tensor:
    """Charbonnier distance plus a tenth of the distance between gradients.

    The first is almost L1, whose optimum at an unsure edge is one side or the other, not the mean.
    """
    error = y - truth
    slopes = error.diff(dim=-1).abs().mean() + error.diff(dim=-2).abs().mean()
    return (error.square() + 1e-6).sqrt().mean() + 0.1 * slopes


def psnr(y: Tensor, truth: Tensor) -> float:
    """Peak signal-to-noise ratio in dB of pictures in [-1, 1]."""
    return -10 * math.log10(((y.clamp(-1, 1) - truth) / 2).square().mean().item())


def edge_energy(y: Tensor, truth: Tensor) -> float:
    """Squared gradients relative to the truth's: below 1 is soft, 1 as crisp, above 1 noisy."""

    def energy(x: Tensor) -> Tensor:
        return x.diff(dim=-1).square().mean() + x.diff(dim=-2).square().mean()

    return (energy(y) / energy(truth)).item()


def load_upscaler(path: Path) -> Upscaler:
    """Open a checkpoint's network, ready for use."""
    stored = torch.load(path, weights_only=True)
    network = Upscaler(**stored["config"])
    network.load_state_dict(stored["state_dict"])
    return network.eval()


def _write(path: Path, content: dict) -> None:
    """Write by rename, so that an interrupted run leaves the previous file whole."""
    partial = path.with_suffix(".partial")
    torch.save(content, partial)
    partial.replace(path)


TRUNK_RATE = 1.7
"""How much faster than the rest the trunk learns; 0.021 in all at the default rate and width 48."""


class Trainer:
    """The network, its running average, optimiser and clock: all that a resumed run needs."""

    def __init__(self, network: Upscaler, *, minutes: float, rate: float, batch: int):
        """Prepare to train for so many minutes at the highest learning rate `rate`."""
        self.network = network.to(memory_format=torch.channels_last)
        self.average = {k: v.detach().clone() for k, v in network.state_dict().items()}
        square = [p for p in network.parameters() if p.ndim == 4 and p.shape[0] == p.shape[1]]
        chosen = {id(p) for p in square}
        others = [p for p in network.parameters() if id(p) not in chosen]
        self.optimizer = Muon(square, others, rate)
        self.minutes, self.rate, self.batch = minutes, rate, batch
        self.step, self.seconds = 0, 0.0

    def train_step(self, pairs: Pairs) -> float:
        """Take one optimiser step and return its loss."""
        start = time.monotonic()
        for group in self.optimizer.param_groups:
            ahead = TRUNK_RATE if group["orthogonal"] else 1.0
            group["lr"] = self.rate * self._rate_fraction() * ahead
        if self.step % 5 == 4:
            pairs.renew()
        low, high = pairs.batch(self.batch)
        loss = restoration_loss(self.network(low), high)
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), 3.0)
        self.optimizer.step()
        self.step += 1
        pace = 0.01 if self.step > 200 else 0.05
        for name, value in self.network.state_dict().items():
            self.average[name].lerp_(value, pace)
        self.seconds += time.monotonic() - start
        return loss.item()

    def _rate_fraction(self) -> float:
        done = self.seconds / (60 * self.minutes)
        return min(1, (self.step + 1) / 50) * max(0.01, min(1, (1 - done) / 0.5))

    def averaged(self) -> Upscaler:
        """Return a copy of the network with the averaged weights."""
        copy = Upscaler(**self.network.config)
        copy.load_state_dict(self.average)
        return copy.eval()

    def save(self, path: Path) -> None:
        """Write the state for resuming, then the checkpoint."""
        _write(
            state_path(path),
            {
                "config": self.network.config,
                "network": self.network.state_dict(),
                "average": self.average,
                "optimizer": self.optimizer.state_dict(),
                "step": self.step,
                "seconds": self.seconds,
            },
        )
        checkpoint = {"state_dict": self.average, "config": self.network.config, "step": self.step}
        _write(path, checkpoint)

    def restore(self, path: Path) -> None:
        """Go on from where `save` left off."""
        state = torch.load(state_path(path), weights_only=True)
        self.network.load_state_dict(state["network"])
        self.average = state["average"]
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.seconds = state["step"], state["seconds"]


def state_path(path: Path) -> Path:
    """Return where the state for resuming lies, beside the checkpoint."""
    return path.with_suffix(".state.pt")


@torch.no_grad()
def judge(network: nn.Module, scenes: list[Tensor], sheet: Path | None = None) -> dict[str, float]:
    """Compare with bicubic on held-out scenes (3, 8h, 8w) uint8, undamaged; draw a sheet."""
    totals: dict[str, float] = {}
    rows = []
    for scene in scenes:
        truth = to_unit(scene)[None]
        low = reduce_area(truth)
        bicubic = F.interpolate(low, scale_factor=SCALE, mode="bicubic").clamp(-1, 1)
        shown = {"bicubic": bicubic, "ours": network(low)}
        spoilt = network(damage(low[0], random.Random(len(rows) + 1))[None])
        for name, y in shown.items():
            totals[f"{name} dB"] = totals.get(f"{name} dB", 0) + psnr(y, truth)
            totals[f"{name} edges"] = totals.get(f"{name} edges", 0) + edge_energy(y, truth)
        totals["damaged dB"] = totals.get("damaged dB", 0) + psnr(spoilt, truth)
        h, w = (side // 4 for side in truth.shape[-2:])
        cells = (bicubic, shown["ours"], spoilt, truth)
        rows.append(torch.cat([x[0, :, h : 3 * h, w : 3 * w] for x in cells], 2))
    if sheet:
        pixels = ((torch.cat(rows[:4], 1) + 1) * 127.5).round().clamp(0, 255).byte()
        Image.fromarray(pixels.permute(1, 2, 0).numpy()).save(sheet)
    return {name: total / len(scenes) for name, total in totals.items()}


def train(trainer: Trainer, pairs: Pairs, held: list[Tensor], *, out: Path, every: float) -> None:
    """Train until the minutes are spent, printing progress and saving every `every` minutes."""
    saved, losses = time.monotonic(), []
    while trainer.seconds < 60 * trainer.minutes:
        losses.append(trainer.train_step(pairs))
        if trainer.step % 25 == 0:
            mean = sum(losses[-25:]) / len(losses[-25:])
            print(f"step {trainer.step} {trainer.seconds:.0f}s loss {mean:.4f}", flush=True)
        if time.monotonic() - saved > 60 * every:
            _report(trainer, held, out)
            saved = time.monotonic()
    _report(trainer, held, out)


def _report(trainer: Trainer, held: list[Tensor], out: Path) -> None:
    trainer.save(out)
    scores = judge(trainer.averaged(), held, out.with_suffix(".png"))
    shown = ", ".join(f"{name} {value:.2f}" for name, value in scores.items())
    print(f"step {trainer.step} saved {out.name}: {shown}", flush=True)


def main(arguments: list[str] | None = None) -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(description="Train the upscaler.")
    parser.add_argument("--vectors", type=Path, required=True, help="vectors.jsonl.xz of the pack")
    parser.add_argument("--out", type=Path, required=True, help="checkpoint to write")
    parser.add_argument("--minutes", type=float, default=15, help="training time in all")
    parser.add_argument("--every", type=float, default=3, help="minutes between checkpoints")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint")
    parser.add_argument("--start", type=Path, help="checkpoint whose weights to start from")
    parser.add_argument("--pairs", type=Path, help="npz with uint8 low and high, NHWC, mixed in")
    parser.add_argument("--width", type=int, default=48)
    parser.add_argument("--depth", type=int, default=8)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rate", type=float, default=3e-3, help="highest learning rate")
    parser.add_argument("--pool", type=int, default=64, help="scenes kept rendered")
    parser.add_argument("--held", type=int, default=8, help="held-out scenes to judge by")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args(arguments)

    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    network = (
        load_upscaler(options.start).train()
        if options.start
        else Upscaler(options.width, options.depth)
    )
    trainer = Trainer(network, minutes=options.minutes, rate=options.rate, batch=options.batch)
    if options.resume:
        trainer.restore(options.out)
    own = None
    if options.pairs:
        with np.load(options.pairs) as arrays:
            own = (arrays["low"], arrays["high"])
    drawings, held_drawings = load_drawings(options.vectors)
    # The step is part of the seed so that a resumed run draws new scenes.
    pairs = Pairs(drawings, random.Random(options.seed + trainer.step), pool=options.pool, own=own)
    held_rng = random.Random(99)
    held = [render(scene_svg(held_drawings, held_rng)) for _ in range(options.held)]
    train(trainer, pairs, held, out=options.out, every=options.every)


if __name__ == "__main__":
    main()
