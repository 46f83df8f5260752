"""Textures as masks between two colours, for the guide: stripes, dots, rays, confetti, waves, checks.

A mask is float32 (rows, columns), 0 where the first colour shows and 1 where the second does. Each is
drawn at four times the size and averaged down, so that edges are smooth. Lengths are fractions of the
shorter side.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Axis = NDArray[np.float64]
Marks = NDArray[Any]
"""True where the second colour shows."""

FINER = 4
PIECES_OF_CONFETTI = 44
"""On a square; more on a longer canvas."""


def mask(kind: str, rows: int, columns: int) -> Array:
    """Return the mask of a texture that has shapes, one of `TEXTURES`."""
    short = min(rows, columns)
    down = (np.arange(FINER * rows) + 0.5) / (FINER * short)
    across = (np.arange(FINER * columns) + 0.5) / (FINER * short)
    marks = TEXTURES[kind](down[:, None], across[None, :])
    cells = marks.astype(np.float32).reshape(rows, FINER, columns, FINER)
    return np.asarray(cells.mean((1, 3)), np.float32)


def _stripes(y: Axis, x: Axis) -> Marks:
    return np.asarray((x + y) % (1 / 3) < 1 / 6)


def _checks(y: Axis, x: Axis) -> Marks:
    return np.asarray((np.floor(6 * x) + np.floor(6 * y)) % 2 == 1)


def _dots(y: Axis, x: Axis) -> Marks:
    row = np.floor(6 * y)
    beside = (6 * x + row % 2 / 2) % 1 - 0.5
    return np.asarray(beside**2 + (6 * y - row - 0.5) ** 2 < 0.24**2)


def _rays(y: Axis, x: Axis) -> Marks:
    angle = np.arctan2(y - y.mean(), x - x.mean())
    return np.asarray((12 * angle / (2 * np.pi)) % 1 < 0.5)


def _waves(y: Axis, x: Axis) -> Marks:
    level = 0.7 + 0.05 * np.sin(9 * x / x[:, -1:])
    return np.asarray(y / y[-1] > level)


def _confetti(y: Axis, x: Axis) -> Marks:
    """Scatter turned squares; the same ones on every canvas of a size."""
    rng = np.random.default_rng(1)
    high, wide = float(y[-1, 0]), float(x[0, -1])
    marks = np.zeros((y.size, x.size), np.bool_)
    for _ in range(round(PIECES_OF_CONFETTI * high * wide)):
        cy, cx, turn, side = rng.random(4) * (high, wide, np.pi, 0.012) + (0, 0, 0, 0.012)
        along = (x - cx) * np.cos(turn) + (y - cy) * np.sin(turn)
        beside = (y - cy) * np.cos(turn) - (x - cx) * np.sin(turn)
        marks |= np.maximum(abs(along), abs(beside)) < side
    return marks


TEXTURES: dict[str, Callable[[Axis, Axis], Marks]] = {
    "stripes": _stripes,
    "dots": _dots,
    "rays": _rays,
    "confetti": _confetti,
    "waves": _waves,
    "checks": _checks,
}
