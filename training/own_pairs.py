"""Training pairs for the upscaler from the denoiser's own hand: soft small pictures, true large ones.

`python -m training.own_pairs --checkpoint F --sprites FOLDER --out pairs.npz` renders scenes at full
size from vectors, reduces them, lets noise take most of each, and has the denoiser finish them. So the
small picture is the denoiser's, and still lies exactly under the large one. Feed the file to
`training.upscale --pairs`.

Arrays: low uint8 (N, side, side, 3), high uint8 (N, 8 side, 8 side, 3).
"""

import argparse
import random
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from gouache.scene import Scene, rgb
from training import library
from training.checkpoints import load_denoiser
from training.data import Data
from training.presets import PRESETS
from training.scenes import Example
from training.sheet import finish
from training.upscale_pairs import SCALE

KINDS = ("single", "single", "pair", "count")


def vectors(sprites: Path) -> dict[tuple[str, str], str]:
    """Return the SVG of each (concept, style) of the reference library."""
    concepts = library.choose_concepts(library.read_jsonl(sprites / "sprites.jsonl.xz"))
    ids = {s["id"]: (c["name"], style) for c in concepts for style, s in c["sprites"].items()}
    rows = library.read_jsonl(sprites / "vectors.jsonl.xz")
    return {ids[row["id"]]: row["svg"] for row in rows if row["id"] in ids}


def is_renderable(scene: Scene, svgs: dict[tuple[str, str], str]) -> bool:
    """Return whether a scene is drawn from vectors alone: own colours on a plain ground."""
    return scene.background.kind == "plain" and all(
        item.colour is None and (item.concept, scene.style) in svgs for item in scene.items
    )


def render(scene: Scene, svgs: dict[tuple[str, str], str], side: int) -> np.ndarray:
    """Return a square scene at full size: float32 (3, side, side) in 0..1."""
    ground = np.array(rgb(scene.background.colours[0]), np.float32)[:, None, None] / 255
    canvas = np.broadcast_to(ground, (3, side, side)).copy()
    for item in scene.items:
        drawn = round(max(item.box.w, item.box.h) * side)
        rgba = library.rasterise(svgs[item.concept, scene.style], drawn)
        left, top = round(item.box.cx * side - drawn / 2), round(item.box.cy * side - drawn / 2)
        x0, y0, x1, y1 = max(0, left), max(0, top), min(side, left + drawn), min(side, top + drawn)
        part = rgba[:, y0 - top : y1 - top, x0 - left : x1 - left]
        canvas[:, y0:y1, x0:x1] = part[:3] + canvas[:, y0:y1, x0:x1] * (1 - part[3])
    return canvas


def main() -> None:
    """Make pairs from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--sprites", type=Path, default=Path("data/sprites"))
    parser.add_argument("--art", type=Path, default=Path("data/art"))
    parser.add_argument("--bank", type=Path, default=Path("src/gouache/weights/concepts.json"))
    parser.add_argument("--preset", choices=list(PRESETS), default="cpu")
    parser.add_argument("--count", type=int, default=160)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    data = Data(PRESETS[options.preset], options.art, options.bank, torch.device("cpu"))
    denoiser, _ = load_denoiser(options.checkpoint)
    svgs = vectors(options.sprites)
    rng = random.Random("own pairs")
    low, high = [], []
    while len(low) < options.count:
        example = data.grammar.example(rng, "square", rng.choice(KINDS))
        if is_renderable(example.scene, svgs):
            large = render(example.scene, svgs, SCALE * data.preset.side)
            low.append(_small(denoiser, data, example, large, rng))
            high.append(np.round(large.clip(0, 1) * 255).astype(np.uint8).transpose(1, 2, 0))
            print(f"{len(low)}/{options.count}", end="\r", flush=True)
    np.savez(options.out, low=np.stack(low), high=np.stack(high))


def _small(
    denoiser: torch.nn.Module, data: Data, example: Example, large: np.ndarray, rng: random.Random
) -> np.ndarray:
    """Return the denoiser's small version of a large picture: uint8 (side, side, 3)."""
    side = data.preset.side
    clean = large.reshape(3, side, SCALE, side, SCALE).mean((2, 4)) * 2 - 1
    batch = data.finished([example], [example.caption], str(rng.random()), damaged=False)
    batch.x = torch.from_numpy(clean.astype(np.float32))[None]
    drawn: Tensor = finish(
        denoiser,
        batch,
        data.text.states([""]),
        start=rng.uniform(0.1, 0.5),
        seed=rng.getrandbits(30),
    )
    return ((drawn[0].permute(1, 2, 0).numpy() + 1) * 127.5).round().astype(np.uint8)


if __name__ == "__main__":
    main()
