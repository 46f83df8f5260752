"""Cutouts: a picture's plain ground taken away from its borders, with soft edges.

Pixels are (H, W, 3) uint8 sRGB arrays; a cutout is (H, W, 4), its colours not multiplied by its alpha.
Ground that the picture encloses, as inside the letter O, stays: it may as well be a white eye.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

PLAIN_SHARE = 0.85
"""Share of the border that must be the ground; plain grounds of our own model have 0.97 and more, drawn
ones 0.6 and less."""

_SMALL = 256
"""Longest side of the small picture in which the ground is followed."""

_BORDER = 0.02
_LIKE_GROUND = 20.0
"""Distance of two sRGB colours, of 0 to 442, up to which one is the ground, brush marks and all."""

_FLOODED = 36.0
"""Distance up to which the flood goes on."""

_EDGE = 6
"""How far into the ground, in pixels of the small picture, something of the foreground may shine."""

_EMPTY_SHARE = 0.995
_CLEAR, _SOLID = 0.25, 0.85
"""Shares of the foreground in a pixel's colour that are taken for none of it and for all."""


@dataclass(frozen=True, slots=True)
class Ground:
    """A plain ground: its colour, the share of the border it covers, and its level everywhere.

    `plane` (3, 3) holds each channel's level in the middle and its change across and down.
    """

    colour: tuple[int, int, int]
    share: float
    plane: NDArray[np.float64]

    @property
    def is_plain(self) -> bool:
        """Whether it can be taken away."""
        return self.share >= PLAIN_SHARE

    def over(self, height: int, width: int) -> Floats:
        """Return the ground's colour at each pixel, (height, width, 3)."""
        y = np.linspace(-0.5, 0.5, height, dtype=np.float32)[:, None, None]
        x = np.linspace(-0.5, 0.5, width, dtype=np.float32)[None, :, None]
        middle, across, down = self.plane.astype(np.float32)
        return np.asarray(middle + across * x + down * y, dtype=np.float32)


def find_ground(pixels: Pixels) -> Ground:
    """Return what the border of a picture is made of; a plain ground may grow lighter to one side."""
    small = _shrunk(pixels)
    border = _border(small.shape[0], small.shape[1])
    colours = small[border]
    height, width = border.shape
    y, x = np.mgrid[-0.5 : 0.5 : height * 1j, -0.5 : 0.5 : width * 1j]
    places = np.column_stack([np.ones(len(colours)), x[border], y[border]])
    kinds, kind = np.unique(colours // _LIKE_GROUND, axis=0, return_inverse=True)
    most = kind.ravel() == np.bincount(kind.ravel(), minlength=len(kinds)).argmax()
    near = _distance(colours, colours[most].mean(axis=0)) < 2 * _LIKE_GROUND
    middle = np.median(colours[near], axis=0)
    plane = np.zeros((3, 3))
    plane[0] = middle
    if near.mean() > 0.5:
        plane = np.linalg.lstsq(places[near], colours[near], rcond=None)[0]
    share = float((_distance(colours, places @ plane) < _LIKE_GROUND).mean())
    red, green, blue = (int(level) for level in np.clip(np.rint(middle), 0, 255))
    return Ground((red, green, blue), share, plane)


def cut_out(pixels: Pixels, ground: Ground) -> NDArray[np.uint8] | None:
    """Return the picture (H, W, 4) without its ground; None where nothing would remain.

    Where the flood ends, the colour of a pixel is taken for a mixture: the nearest colour of the
    foreground, and the ground. Its alpha is the foreground's part, and its colour the foreground's.
    """
    height, width = pixels.shape[:2]
    small = _shrunk(pixels)
    away = _distance(small, ground.over(*small.shape[:2]))
    away[_corners(*away.shape)] = 0  # where pictures are often worn
    flooded = _flood(away < _FLOODED, _border(*away.shape))
    if flooded.mean() > _EMPTY_SHARE:
        return None
    edge = _grown(flooded, 2)
    far = ~_grown(~flooded, _EDGE)
    scaled = _enlarged(edge.astype(np.float32) + far, width, height)
    cutout = np.full((height, width, 4), 255, np.uint8)
    cutout[..., :3] = pixels
    cutout[scaled > 1.5] = 0
    mixed = (scaled > 0.5) & (scaled <= 1.5)
    front = _smeared(small, _sureness(away, flooded, edge))
    colour = np.stack([_enlarged(front[..., i], width, height)[mixed] for i in range(3)], axis=-1)
    part = _part(pixels[mixed], colour, ground.over(height, width)[mixed])
    cutout[mixed, :3] = np.where((part < 1)[:, None], np.clip(colour, 0, 255), pixels[mixed])
    cutout[mixed, 3] = np.rint(part * 255)
    return cutout


def _sureness(away: Floats, flooded: Mask, edge: Mask) -> Floats:
    """Return how surely each pixel has the foreground's own colour: not what only shines beside it."""
    farthest = Image.fromarray(np.where(flooded, 0, away).clip(0, 255).astype(np.uint8))
    nearby = np.asarray(farthest.filter(ImageFilter.MaxFilter(2 * _EDGE + 1)), dtype=np.float32)
    sure = ~flooded & (away >= nearby / 2)
    return np.where(sure, np.where(edge, 0.02, 1), 0).astype(np.float32)


def _part(colours: Pixels, front: Floats, behind: Floats) -> Floats:
    """Return how much of each colour (N, 3), from 0 to 1, is what is in front."""
    whole = np.maximum(_distance(front, behind), 1.5 * _FLOODED)
    part = (_distance(colours, behind) / whole - _CLEAR) / (_SOLID - _CLEAR)
    return np.asarray(np.clip(part, 0, 1), dtype=np.float32)


def content_box(cutout: NDArray[np.uint8]) -> tuple[int, int, int, int]:
    """Return left, top, right and bottom of what is not clear in a cutout."""
    solid = cutout[..., 3] > 127
    across, down = np.flatnonzero(solid.any(axis=0)), np.flatnonzero(solid.any(axis=1))
    if not len(across):
        return 0, 0, cutout.shape[1], cutout.shape[0]
    return int(across[0]), int(down[0]), int(across[-1]) + 1, int(down[-1]) + 1


def _shrunk(pixels: Pixels) -> Floats:
    image = Image.fromarray(pixels)
    image.thumbnail((_SMALL, _SMALL), Image.Resampling.BOX)
    return np.asarray(image, dtype=np.float32)


def _distance(colours: NDArray[Any], others: NDArray[np.floating]) -> NDArray[np.floating]:
    return np.asarray(np.sqrt(((colours - others) ** 2).sum(axis=-1)))


def _border(height: int, width: int) -> Mask:
    thick = max(1, round(_BORDER * min(height, width)))
    border = np.ones((height, width), bool)
    border[thick:-thick, thick:-thick] = False
    return border


def _corners(height: int, width: int) -> Mask:
    thick = max(1, round(_BORDER * min(height, width)))
    corners = np.zeros((height, width), bool)
    for rows in (slice(thick), slice(-thick, None)):
        for columns in (slice(thick), slice(-thick, None)):
            corners[rows, columns] = True
    return corners


def _flood(passable: Mask, start: Mask) -> Mask:
    """Return what can be reached from `start` over passable pixels, across and down.

    A sweep in each of the four directions goes as far as it can, until a round reaches nothing new.
    """
    reached = passable & start
    before = -1
    while (count := int(reached.sum())) != before:
        before = count
        for _ in range(4):
            reached, passable = np.rot90(reached), np.rot90(passable)
            reached = reached.copy()
            for row in range(1, len(reached)):
                reached[row] |= reached[row - 1] & passable[row]
    return reached


def _grown(mask: Mask, steps: int) -> Mask:
    image = Image.fromarray(mask.astype(np.uint8) * 255)
    return np.asarray(image.filter(ImageFilter.MaxFilter(2 * steps + 1))) > 127


def _enlarged(values: NDArray[np.generic], width: int, height: int) -> Floats:
    image = Image.fromarray(values.astype(np.float32))
    return np.asarray(image.resize((width, height), Image.Resampling.BILINEAR))


def _smeared(colours: Floats, weight: Floats) -> Floats:
    """Return the colours that have a weight, and where there is none, means of those nearby."""
    found = np.zeros_like(colours)
    empty = np.ones(weight.shape, bool)
    for radius in (2, 4, 8, 16, 32):
        near = _blurred(weight, radius)
        sure = empty & (near > 1e-5)
        for i in range(3):
            found[sure, i] = _blurred(weight * colours[..., i], radius)[sure] / near[sure]
        empty &= ~sure
    return found


def _blurred(values: Floats, radius: int) -> Floats:
    """Return the mean over a square of 2 `radius` + 1 pixels around each."""
    side = 2 * radius + 1
    for _ in range(2):  # down, then across
        padded = np.pad(values, ((radius + 1, radius), (0, 0)), mode="edge")
        sums = padded.cumsum(axis=0, dtype=np.float64)
        values = ((sums[side:] - sums[:-side]) / side).astype(np.float32).T
    return values
