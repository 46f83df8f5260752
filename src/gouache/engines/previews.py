"""Small pictures of what is being drawn, without the decoder: a linear map from latents to colours.

The map is not known beforehand; it is learnt from pictures that are finished, whose last latents and
colours are both at hand: least squares over all of them. So a model's first picture has no previews,
and it costs no model anything.

Shapes: latents of one picture are (C, h, w), or (h * w, C) where the model packs them; grids are
(h, w, C) float32.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gouache.engines import Pixels

MAX_SIDE = 64
RIDGE = 1e-3

Grid = NDArray[np.float32]


class Projection:
    """Learns what colours a model's latents stand for."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self._inputs: NDArray[np.float64] | None = None
        self._outputs: NDArray[np.float64] | None = None
        self._map: NDArray[np.floating[Any]] | None = None
        self._deviation = 1.0

    @property
    def is_ready(self) -> bool:
        """Whether it has learnt from a picture."""
        return self._map is not None

    def learn(self, latents: Grid, picture: Pixels) -> None:
        """Take in the last latents of a picture, with the picture."""
        grid = _pooled(latents)
        height, width, channels = grid.shape
        small = Image.fromarray(picture).resize((width, height), Image.Resampling.BOX)
        x = _with_one(grid)
        y = np.asarray(small, np.float64).reshape(-1, 3)
        if self._inputs is None or self._outputs is None or len(self._inputs) != channels + 1:
            self._inputs = RIDGE * len(x) * np.eye(channels + 1)
            self._outputs = np.zeros((channels + 1, 3))
        self._inputs += x.T @ x
        self._outputs += x.T @ y
        self._map = np.linalg.solve(self._inputs, self._outputs)
        self._deviation = max(float(grid.std()), 1e-6)

    def preview(self, latents: Grid) -> Pixels | None:
        """Return the colours of latents that may still be noisy; None where nothing was learnt."""
        if self._map is None or len(self._map) != latents.shape[2] + 1:
            return None
        grid = _pooled(latents)
        louder = float(latents.std()) / self._deviation
        if louder > 1:
            grid = grid / louder  # samplers that begin with noise of more than one deviation
        colours = (_with_one(grid) @ self._map).reshape(*grid.shape[:2], 3)
        pixels: Pixels = np.clip(np.round(colours), 0, 255).astype(np.uint8)
        return pixels


def as_grid(latents: Grid, *, width: int, height: int) -> Grid | None:
    """Return the latents of one picture of this size as a grid; None where they are of no known form."""
    if latents.ndim == 4 and 1 in latents.shape[:2]:  # a film of one picture
        latents = latents.reshape(-1, *latents.shape[2:])
    if latents.ndim == 3:
        return np.moveaxis(latents, 0, 2)
    if latents.ndim == 2:
        rows = round((len(latents) * height / width) ** 0.5)
        if rows and len(latents) % rows == 0:
            return latents.reshape(rows, -1, latents.shape[1])
    return None


def _pooled(grid: Grid) -> Grid:
    """Return the means of squares, so that no side is longer than `MAX_SIDE`."""
    by = -(-max(grid.shape[:2]) // MAX_SIDE)
    if by == 1:
        return grid
    rows, columns = grid.shape[0] // by, grid.shape[1] // by
    kept = grid[: rows * by, : columns * by]
    pooled: Grid = kept.reshape(rows, by, columns, by, -1).mean((1, 3))
    return pooled


def _with_one(grid: Grid) -> NDArray[np.float64]:
    """Return (cells, channels + 1): the last is one, for what no channel says."""
    cells = grid.reshape(-1, grid.shape[2]).astype(np.float64)
    return np.hstack([cells, np.ones((len(cells), 1))])
