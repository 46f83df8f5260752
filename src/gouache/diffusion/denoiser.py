"""The denoiser: predicts the clean picture from a noisy one and what is wanted.

x and x0 are (B, 3, H, W) float32, in [-1, 1] when clean; t is a float from 0 (noise) to 1 (clean).
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gouache.diffusion.graphs import Graph, Runtime

Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Conditioning:
    """What is wanted, for a batch of pictures of H x W.

    tokens (B, 48, 384) and token_mask (B, 48) are the caption, see `text_encoder`; guide
    (B, 8, H/2, W/2), phrases (B, 10, 388) and coverage (B, 10, H/8, W/8) the scene, see `guide`.
    """

    tokens: Array
    token_mask: Array
    guide: Array
    phrases: Array
    coverage: Array

    def without_scene(self, tokens: Array, token_mask: Array) -> "Conditioning":
        """Return the same with another caption and nothing of the scene."""
        scene = (self.guide, self.phrases, self.coverage)
        return Conditioning(tokens, token_mask, *(np.zeros_like(part) for part in scene))


class Denoiser:
    """The denoiser's graph."""

    def __init__(self, graph: Path, *, runtime: Runtime) -> None:
        """Open the graph (.xml)."""
        self._graph = Graph(graph, runtime=runtime)

    def __call__(self, x: Array, t: float, conditioning: Conditioning) -> Array:
        """Return x0, the clean picture that the noisy x at time t comes from."""
        c = conditioning
        ts = np.full(len(x), t, np.float32)
        (x0,) = self._graph(x, ts, c.tokens, c.token_mask, c.guide, c.phrases, c.coverage)
        return x0
