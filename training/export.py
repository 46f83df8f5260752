"""Torch checkpoints to the graphs that the package ships.

`python -m training.export --checkpoint F --upscaler F --text --out src/gouache/weights` writes the
denoiser, the upscaler and the text encoder as OpenVINO IR, copies the word pieces, and writes
`model.json` (names, sizes, SHA-256) last. What is not given stays as it lies in the folder. Each
graph is run once and compared with its network.
"""

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import torch
from openvino import opset13 as ops
from torch import Tensor, nn

from gouache.diffusion import weights
from gouache.diffusion.graphs import Graph, Runtime
from gouache.diffusion.pipeline import SAMPLERS
from training import minilm
from training.checkpoints import load_denoiser
from training.presets import PRESETS
from training.upscale import load_upscaler

NAME = "gouache-1"
LICENCE = "Apache-2.0; the art it was trained with: see the notices beside this file"


def export(
    network: nn.Module,
    examples: Sequence[Tensor],
    shapes: Sequence[Sequence[int]],
    path: Path,
    *,
    int8: bool = False,
) -> None:
    """Write `network` as IR at `path` (.xml): weights in fp16, the big ones in int8 if asked.

    `shapes` are the shapes of the inputs, -1 where the size is open; `examples` are inputs to
    trace the network with.
    """
    graph = ov.convert_model(
        network.eval(),
        example_input=tuple(examples),
        input=[ov.PartialShape(list(shape)) for shape in shapes],
    )
    if int8:
        quantise(graph)
    path.parent.mkdir(parents=True, exist_ok=True)
    ov.save_model(graph, path, compress_to_fp16=True)
    print(f"{path.name}: differs from its network by {difference(network, examples, path):.4f}")


def difference(network: nn.Module, examples: Sequence[Tensor], path: Path) -> float:
    """Return by how much a stored graph's first output differs, relative to that output's spread."""
    with torch.no_grad():
        outputs = network(*examples)
    expected = (outputs if isinstance(outputs, Tensor) else outputs[0]).numpy()
    found = Graph(path, runtime=Runtime(threads=1))(*(example.numpy() for example in examples))[0]
    return float(np.sqrt(np.mean((found - expected) ** 2)) / expected.std())


def quantise(graph: ov.Model, *, at_least: int = 50_000) -> int:
    """Store the fp32 constants of at least so many numbers as int8, a row's range in 256 steps.

    A range that need not be symmetric matters: it takes the error of MiniLM's vectors from 0.4 % to
    0.1 %. The runtime multiplies the numbers out again. Returns how many were replaced.
    """
    replaced = 0
    for node in graph.get_ordered_ops():
        if node.get_type_name() != "Constant" or node.get_element_type() != ov.Type.f32:
            continue
        values: np.ndarray[Any, Any] = node.get_data()
        if values.ndim < 2 or values.size < at_least:
            continue
        rest = tuple(range(1, values.ndim))
        low = np.minimum(values.min(axis=rest, keepdims=True), 0)
        high = np.maximum(values.max(axis=rest, keepdims=True), 0)
        scale = np.maximum((high - low) / 255, 1e-7).astype(np.float16)
        zero = np.rint(-low / scale.astype(np.float32)).clip(0, 255)
        whole = np.rint(values / scale.astype(np.float32) + zero).clip(0, 255)
        shifted = ops.subtract(
            ops.convert(ops.constant(whole.astype(np.uint8)), "f16"),
            ops.convert(ops.constant(zero.astype(np.uint8)), "f16"),
        )
        back = ops.convert(ops.multiply(shifted, ops.constant(scale)), "f32")
        for reader in node.output(0).get_target_inputs():
            reader.replace_source_output(back.output(0))
        replaced += 1
    return replaced


def export_text_encoder(out: Path) -> None:
    """Write MiniLM, weights in int8 with its whole vocabulary, and copy its word pieces."""
    source = minilm.folder()
    ids, mask = torch.randint(1000, 2000, (2, 8)), torch.ones(2, 8)
    path = out / weights.TEXT_ENCODER
    export(minilm.load(source), (ids, mask), ((-1, -1), (-1, -1)), path, int8=True)
    shutil.copyfile(source / "tokenizer.json", out / weights.TOKENIZER)


def export_denoiser(network: nn.Module, path: Path, *, int8: bool = False) -> None:
    """Write a denoiser for pictures of any height and width divisible by 16."""
    examples = denoiser_examples(128, 128)
    sizes_open = [(-1, *e.shape[1:2], *([-1] * (e.ndim - 2))) for e in examples]
    for i in (2, 5):  # token states and phrases have no picture size
        sizes_open[i] = (-1, *examples[i].shape[1:])
    export(network, examples, sizes_open, path, int8=int8)


def export_upscaler(network: nn.Module, path: Path) -> None:
    """Write an upscaler for pictures of any height and width."""
    export(network, (torch.rand(1, 3, 32, 48) * 2 - 1,), ((-1, 3, -1, -1),), path)


def denoiser_examples(height: int, width: int) -> tuple[Tensor, ...]:
    """Return random inputs of a denoiser, in its order, for one picture."""
    mask = torch.zeros(1, 48)
    mask[:, :20] = 1
    return (
        torch.randn(1, 3, height, width),
        torch.full((1,), 0.3),
        torch.randn(1, 48, 384),
        mask,
        torch.randn(1, 8, height // 2, width // 2),
        torch.randn(1, 10, 388) * 0.05,
        torch.rand(1, 10, height // 8, width // 8),
    )


def main() -> None:
    """Export from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoint", type=Path, help="the denoiser's")
    parser.add_argument("--upscaler", type=Path, help="the upscaler's checkpoint")
    parser.add_argument("--text", action="store_true", help="write the text encoder, too")
    parser.add_argument("--int8", action="store_true", help="the denoiser's weights in int8")
    parser.add_argument("--out", type=Path, default=Path("src/gouache/weights"))
    parser.add_argument(
        "--preset", choices=tuple(PRESETS), default="cpu", help="what it was trained with"
    )
    parser.add_argument("--steps", type=int, default=10, help="denoiser steps for standard quality")
    parser.add_argument("--hd-steps", type=int, default=30, help="denoiser steps for hd quality")
    parser.add_argument("--guidance-scale", type=float, default=2.5)
    parser.add_argument("--sampler", choices=SAMPLERS, default="ancestral")
    parser.add_argument(
        "--shift", type=float, default=1.5, help="above 1: more steps near the noise"
    )
    given = parser.parse_args()
    # No marker, no model: whoever opens the folder meanwhile finds none rather than half of one.
    (given.out / weights.MANIFEST).unlink(missing_ok=True)
    made_by = None
    if given.text:
        export_text_encoder(given.out)
    if given.checkpoint:
        network, step = load_denoiser(given.checkpoint)
        export_denoiser(network, given.out / weights.DENOISER, int8=given.int8)
        made_by = {"denoiser_steps": step}
    if given.upscaler:
        export_upscaler(load_upscaler(given.upscaler), given.out / weights.UPSCALER)
    weights.write_manifest(
        given.out,
        name=NAME,
        preset=given.preset,
        licence=LICENCE,
        drawing=weights.Drawing(
            {"standard": given.steps, "hd": given.hd_steps},
            given.guidance_scale,
            given.sampler,
            given.shift,
            PRESETS[given.preset].side,
        ),
        made_by=made_by,
    )


if __name__ == "__main__":
    main()
