"""A whole model folder in miniature, for tests: real graphs, seven small drawings, no training.

The denoiser paints the layout's colours and the guide into the picture and keeps a little of the
noise; the upscaler enlarges linearly. The text encoder is the one that ships.
"""

import json
import shutil
import zlib
from importlib.resources import files
from pathlib import Path

import numpy as np
import openvino as ov
from openvino import opset13 as ops

from gouache.concepts import phrase_list, read_concepts, write_vectors
from gouache.diffusion import weights

SHIPPED = Path(str(files("gouache") / "weights"))
INPUTS = {
    "x": (-1, 3, -1, -1),
    "t": (-1,),
    "tokens": (-1, 48, 384),
    "token_mask": (-1, 48),
    "guide": (-1, 8, -1, -1),
    "phrases": (-1, 10, 388),
    "coverage": (-1, 10, -1, -1),
}
CONCEPTS = {
    "disc": "shape",
    "hexagon": "shape",
    "rounded square": "shape",
    "shield": "shape",
    "cat": "animal",
    "race car": "object",
    "person": "person",
}


def write_denoiser(path):
    at = {name: ops.parameter(shape, np.float32, name) for name, shape in INPUTS.items()}
    guide = _enlarge(_columns(at["guide"], 0, 3, axis=1), 2)
    colours = _columns(at["phrases"], 384, 387, axis=2)
    layout = ops.einsum([at["coverage"], colours], "bkrc,bkd->bdrc")
    words = ops.multiply(at["tokens"], ops.unsqueeze(at["token_mask"], np.int64(2)))
    words = ops.reduce_mean(words, np.array([1, 2]))
    once = ops.constant(np.array([-1, 1, 1, 1], np.int64))
    parts = [
        ops.multiply(at["x"], np.float32(0.1)),
        ops.multiply(guide, np.float32(0.6)),
        ops.multiply(_enlarge(layout, 8), np.float32(0.3)),
        ops.reshape(words, once, False),
        ops.multiply(ops.reshape(at["t"], once, False), np.float32(0.05)),
    ]
    total = parts[0]
    for part in parts[1:]:
        total = ops.add(total, part)
    ov.save_model(ov.Model([ops.clamp(total, -1.0, 1.0)], list(at.values()), "denoiser"), path)


def write_upscaler(path):
    x = ops.parameter((-1, 3, -1, -1), np.float32, "x")
    ov.save_model(ov.Model([_enlarge(x, 8, mode="linear_onnx")], [x], "upscaler"), path)


def write_bank(folder):
    rows, packed = [], bytearray()
    for number, (name, kind) in enumerate(CONCEPTS.items()):
        drawing = draw_disc(number)
        stream = zlib.compress(np.diff(drawing, axis=2, prepend=np.uint8(0)).tobytes(), 9)
        drawn = {"aspect": 1.0, "seat": 0.1, "colour": None, "at": [len(packed), len(stream)]}
        styles = ("flat",) if name == "person" else ("flat", "cartoon", "bold", "soft", "emblem")
        rows.append(
            {"name": name, "aliases": [], "near": [], "keywords": [], "category": kind}
            | {"kind": kind, "article": "a", "emoji": None}
            | {"styles": {style: drawn for style in styles}}
        )
        packed += stream
    (folder / weights.REFERENCES).write_bytes(packed)
    (folder / weights.CONCEPTS).write_text(json.dumps(rows), encoding="utf-8")


def draw_disc(number):
    """Return uint8 (4, 64, 64), straight RGBA: a disc that fills it, red rising with the number."""
    y, x = np.mgrid[:64, :64] + 0.5
    inside = (x - 32) ** 2 + (y - 32) ** 2 < 32**2
    colour = np.array([30 * number, 200, 90, 255], np.uint8)
    return colour[:, None, None] * inside[None].astype(np.uint8)


def write_model(folder, **drawing):
    """Write a whole model into a folder and return the folder."""
    for name in (weights.TEXT_ENCODER, "text-encoder.bin", weights.TOKENIZER):
        shutil.copyfile(SHIPPED / name, folder / name)
    write_denoiser(folder / weights.DENOISER)
    write_upscaler(folder / weights.UPSCALER)
    write_bank(folder)
    phrases = phrase_list(read_concepts(folder / weights.CONCEPTS))
    vectors = np.eye(len(phrases), 384, dtype=np.float32)
    write_vectors(folder / weights.CONCEPT_VECTORS, phrases, vectors)
    usual = {
        "num_inference_steps": {"standard": 3, "hd": 5},
        "guidance_scale": 1.5,
        "sampler": "euler",
        "shift": 1.5,
        "side": 128,
    }
    weights.write_manifest(
        folder,
        name="tiny",
        preset="none",
        licence="Apache-2.0",
        drawing=weights.Drawing(**usual | drawing),
    )
    return folder


def _columns(node, start, stop, *, axis):
    bounds = [np.array([n], np.int64) for n in (start, stop, 1, axis)]
    return ops.slice(node, *bounds)


def _enlarge(node, factor, *, mode="nearest"):
    scales, axes = np.array([factor, factor], np.float32), np.array([2, 3], np.int64)
    return ops.interpolate(node, scales, mode, "scales", axes=axes)
