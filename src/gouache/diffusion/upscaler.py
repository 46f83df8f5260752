"""The upscaler: eight times the width and height, with the edges drawn anew.

A picture (B, 3, h, w) float32 in [-1, 1] becomes (B, 3, 8h, 8w), about in [-1, 1].
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gouache.diffusion.graphs import Graph, Runtime

Array = NDArray[np.float32]

FACTOR = 8


class Upscaler:
    """The upscaler's graph."""

    def __init__(self, graph: Path, *, runtime: Runtime) -> None:
        """Open the graph (.xml)."""
        self._graph = Graph(graph, runtime=runtime)

    def __call__(self, x: Array) -> Array:
        """Return the large picture."""
        (large,) = self._graph(x)
        return large
