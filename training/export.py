"""Torch checkpoints to the graphs that the package ships.

`python -m training.export --checkpoint F --upscaler F --out src/gouache/weights` writes the
denoiser, the upscaler and the text encoder as OpenVINO IR, copies the word pieces, and writes
`model.json` (names, sizes, SHA-256) last. What is not given is left as it lies in the folder.
"""

import argparse
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import torch
from openvino import opset13 as ops
from torch import Tensor, nn

from gouache.diffusion import weights
from training import minilm


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
    export(
        minilm.load(source),
        (ids, mask),
        ((-1, -1), (-1, -1)),
        out / weights.TEXT_ENCODER,
        int8=True,
    )
    shutil.copyfile(source / "tokenizer.json", out / weights.TOKENIZER)
