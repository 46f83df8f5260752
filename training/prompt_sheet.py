"""Free prompts to one contact sheet: planned as the engine plans them, each picture over its prompt.

The pictures come from a checkpoint with the references that ship, or from the exported model.
"""

import argparse
import textwrap
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from gouache.concepts import ConceptBank, Embed
from gouache.diffusion.guide import References, entries, guide, layout
from gouache.diffusion.pipeline import Pipeline, size
from gouache.prompts import revise
from gouache.scene import Scene, caption
from training.checkpoints import load_denoiser
from training.data import Batch, Text
from training.model import Denoiser
from training.presets import PRESETS
from training.sheet import sample

COLUMNS = 8
CELL = 192
LABEL = 40
LINE = 32


def plan(prompts: list[str], bank: Path, embed: Embed, seed: int) -> list[Scene]:
    """Return the square scene of each prompt."""
    concepts = ConceptBank.load(bank)
    return [
        revise(prompt, shape="square", concepts=concepts, embed=embed, seed=seed).scene
        for prompt in prompts
    ]


def draw_scenes(
    denoiser: Denoiser,
    scenes: list[Scene],
    *,
    text: Text,
    references: References,
    side: int,
    steps: int,
    guidance_scale: float,
    seed: int,
) -> list[Tensor]:
    """Return a picture (3, H, W) of each scene, told to the denoiser as the pipeline tells it."""
    drawn = []
    for start in range(0, len(scenes), COLUMNS):
        batch = _told(scenes[start : start + COLUMNS], text, references, side)
        nothing = text.states([""])
        drawn += list(
            sample(denoiser, batch, nothing, steps=steps, guidance_scale=guidance_scale, seed=seed)
        )
    return drawn


def _told(scenes: list[Scene], text: Text, references: References, side: int) -> Batch:
    height, width = size(scenes[0].shape, side)
    guides = [guide(s, references, height=height, width=width) for s in scenes]
    made = [layout(entries(s, height=height, width=width), text.vectors) for s in scenes]
    tokens, mask = text.states([caption(s) for s in scenes])
    return Batch(
        torch.empty(len(scenes), 3, height, width),
        tokens,
        mask,
        torch.from_numpy(np.stack(guides)),
        torch.from_numpy(np.stack([phrases for phrases, _ in made])),
        torch.from_numpy(np.stack([coverage for _, coverage in made])),
    )


def save_labelled(pictures: list[Tensor], labels: list[str], path: Path) -> None:
    """Write a sheet of square pictures (3, S, S) in [-1, 1], each over its words."""
    rows = -(-len(pictures) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * CELL, rows * (CELL + LABEL)), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(10)
    for at, (picture, label) in enumerate(zip(pictures, labels, strict=True)):
        left, top = at % COLUMNS * CELL, at // COLUMNS * (CELL + LABEL)
        pixels = ((picture.clamp(-1, 1) + 1) * 127.5).round().byte().permute(1, 2, 0).numpy()
        shown = Image.fromarray(np.ascontiguousarray(pixels)).resize((CELL - 4, CELL - 4))
        sheet.paste(shown, (left + 2, top + 2))
        lines = textwrap.wrap(label, LINE, max_lines=3, placeholder=" …")
        pen.multiline_text((left + 3, top + CELL), "\n".join(lines), "black", font, spacing=1)
    sheet.save(path)


def draw_file(args: argparse.Namespace) -> None:
    """Draw a file of prompts, one a line, to `prompts.png`; see `training.evaluate` for the rest."""
    prompts = [line for line in args.prompts.read_text(encoding="utf-8").splitlines() if line]
    if args.engine:
        pipeline = Pipeline.open(args.bank, threads=1)
        scenes = plan(prompts, args.bank, pipeline.text_encoder.vectors, args.seed)
        told = [pipeline.condition(scene, caption(scene)) for scene in scenes]
        pictures = [
            torch.from_numpy(pipeline.sample(c, num_inference_steps=args.steps, seed=args.seed)[0])
            for c in told
        ]
    else:
        text = Text(torch.device("cpu"))
        denoiser, _ = load_denoiser(args.checkpoint)
        scenes = plan(prompts, args.bank, text.vectors, args.seed)
        pictures = draw_scenes(
            denoiser,
            scenes,
            text=text,
            references=References(args.bank / "concepts.json", args.bank / "references.bin"),
            side=PRESETS[args.preset].side,
            steps=args.steps,
            guidance_scale=args.guidance_scale,
            seed=args.seed,
        )
    save_labelled(pictures, prompts, args.out / "prompts.png")
