"""The upscaler: a larger picture with its edges drawn anew.

A picture (B, 3, h, w) float32 in [-1, 1] becomes (B, 3, f*h, f*w), about in [-1, 1]; the factor f is
the graph's own, 8 for a picture of 128 pixels.

The graph draws each small pixel's part by itself, so that parts of smooth areas meet in small steps, a
grid that can be seen on large screens. `without_seams` takes the steps out and leaves edges alone, as
video decoders do.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gouache.diffusion.graphs import Graph, Runtime

Array = NDArray[np.float32]

SEAM = 0.06
"""Steps up to here are seams and go, from twice as much on they are edges and stay."""


class Upscaler:
    """The upscaler's graph."""

    def __init__(self, graph: Path, *, runtime: Runtime) -> None:
        """Open the graph (.xml)."""
        self._graph = Graph(graph, runtime=runtime)

    def __call__(self, x: Array) -> Array:
        """Return the large picture."""
        (large,) = self._graph(x)
        return without_seams(large, large.shape[3] // x.shape[3])


def without_seams(large: Array, factor: int) -> Array:
    """Return a large picture (B, 3, H, W) whose small steps between parts of `factor` are made slopes.

    A step is shared by both parts: the pixels beside it meet halfway, those farther away move less.
    """
    half = factor // 2
    slope = ((np.arange(half) + 0.5) / factor).astype(np.float32)
    smooth = large.copy()
    for axis in (2, 3):
        across = np.moveaxis(smooth, axis, 3)  # a view, like all below
        parts = [across[..., k::factor] for k in range(factor)]
        step = parts[0][..., 1:] - parts[-1][..., :-1]
        step *= (2 - abs(step).max(1, keepdims=True) / SEAM).clip(0, 1)
        for k in range(half):
            parts[factor - half + k][..., :-1] += slope[k] * step
            parts[half - 1 - k][..., 1:] -= slope[k] * step
    return smooth
