"""The upscaler: a larger picture with its edges drawn anew.

A picture (B, 3, h, w) float32 in [-1, 1] becomes (B, 3, f*h, f*w), about in [-1, 1]; the factor f is
the graph's own, 8 for a picture of 128 pixels.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gouache.diffusion.graphs import Graph, Runtime

Array = NDArray[np.float32]


class Upscaler:
    """The upscaler's graph."""

    def __init__(self, graph: Path, *, runtime: Runtime) -> None:
        """Open the graph (.xml)."""
        self._graph = Graph(graph, runtime=runtime)

    def __call__(self, x: Array) -> Array:
        """Return the large picture."""
        (large,) = self._graph(x)
        return large
