"""What the denoiser is told of a scene beside its caption: layout and guide.

The layout says in words and colours what belongs where; the guide shows it, roughly: small
reference drawings pasted into their boxes at half the denoiser's size. Both are advice. Sampling
starts from noise alone, and no guide pixel reaches a picture (`tests/test_pipeline.py` proves it).
Guides of training show things in their own colours and no ground; those of a request are painted and
show the texture behind, which the model follows unasked (`training/LOG.md` has the figures).

Shapes, for a denoiser's picture of H x W: guide (8, H/2, W/2), phrases (10, 388), coverage
(10, H/8, W/8), all float32. Drawings are (4, 64, 64), premultiplied RGBA from 0 to 1.

Source: Blattmann et al. 2022 (arXiv:2204.11824) for retrieval beside the weights; Avrahami et al.
2023 (arXiv:2211.14305) for phrases painted into regions.
"""

import json
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gouache.diffusion import textures
from gouache.scene import (
    STYLES,
    TEXTURES,
    Background,
    Box,
    Scene,
    background_phrase,
    item_phrase,
    rgb,
)

Array = NDArray[np.float32]

ENTRIES = 10
PHRASE_WIDTH = 388
GUIDE_CHANNELS = 8
SIDE = 64
"""Pixels of a reference drawing, whose longer side fills them."""

LIGHT = np.array([0.3, 0.59, 0.11], np.float32)[:, None, None]
INK = 0.12
"""Lightness below which a drawing is all ink, and takes a colour flat."""


class References:
    """The reference library: a small drawing of each concept in some styles."""

    def __init__(self, concepts: Path, drawings: Path) -> None:
        """Read which drawings there are and the packed drawings themselves."""
        rows = json.loads(concepts.read_text(encoding="utf-8"))
        self._at: dict[str, dict[str, tuple[int, int, float]]] = {
            row["name"]: {
                style: (*drawn["at"], drawn["aspect"]) for style, drawn in row["styles"].items()
            }
            for row in rows
        }
        self._colour: dict[tuple[str, str], str | None] = {
            (row["name"], style): drawn["colour"]
            for row in rows
            for style, drawn in row["styles"].items()
        }
        self._packed = drawings.read_bytes()
        self._unpack = lru_cache(maxsize=256)(self._read)

    def style_for(self, concept: str, style: str) -> str | None:
        """Return `style` if the concept is drawn in it, else the first it has, else None."""
        styles = self._at.get(concept, {})
        return next((s for s in (style, *STYLES) if s in styles), None)

    def own_colours(self, scene: Scene) -> Scene:
        """Return the scene without the wanted colours that the drawings have of themselves.

        A red car that is to be red keeps its dark wheels if nothing asks to paint it. The words keep
        the colour. Emblems are one flat colour and always painted.
        """
        items = []
        for item in scene.items:
            style = self.style_for(item.concept, scene.style)
            own = None if style in (None, "emblem") else self._colour[item.concept, str(style)]
            if own is not None and own == item.colour:
                item = replace(item, said=item_phrase(item), colour=None)
            items.append(item)
        return replace(scene, items=tuple(items))

    def drawing(self, concept: str, style: str) -> tuple[Array, float]:
        """Return a drawing and its width : height; the style must be one that `style_for` gave."""
        return self._unpack(concept, style)

    def _read(self, concept: str, style: str) -> tuple[Array, float]:
        start, length, aspect = self._at[concept][style]
        steps = np.frombuffer(zlib.decompress(self._packed[start : start + length]), np.uint8)
        # Packed as differences along each row, modulo 256; see `training/library.py`.
        straight = np.cumsum(steps.reshape(4, SIDE, SIDE), axis=2, dtype=np.uint8)
        rgba = (straight / np.float32(255)).astype(np.float32)
        rgba[:3] *= rgba[3]
        return rgba, aspect


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the layout: words, a colour (0 to 255) or none, and coverage of the cells."""

    phrase: str
    colour: tuple[int, int, int] | None
    coverage: Array


def guide(scene: Scene, references: References, *, height: int, width: int) -> Array:
    """Draw the guide of a scene: (8, height/2, width/2).

    Channels: 0 to 2 the drawings in [-1, 1] over neutral grey, 3 their alpha, 4 to 6 the colour
    wanted in [-1, 1] where an item that has one is seen, 7 that silhouette. Items are pasted from
    back to front, behind them the marks of a texture; one that has no reference is left out.
    """
    rows, columns = height // 2, width // 2
    canvas = _ground(scene.background, rows, columns)
    for item in scene.items:
        style = references.style_for(item.concept, scene.style)
        if style is None:
            continue
        drawing, aspect = references.drawing(item.concept, style)
        if item.colour is not None:
            drawing = painted(drawing, item.colour)
        pasted = paste(drawing, aspect, item.box, rows=rows, columns=columns)
        layer = np.concatenate([pasted, _wanted(item.colour)[:, None, None] * pasted[3]])
        canvas = layer + canvas * (1 - pasted[3])
    canvas[:3] = 2 * canvas[:3] - canvas[3]  # premultiplied 0..1 over grey, as [-1, 1]
    return canvas


def paste(drawing: Array, aspect: float, box: Box, *, rows: int, columns: int) -> Array:
    """Return a drawing scaled into a box of an empty canvas: (4, rows, columns), premultiplied.

    The drawing keeps its shape: it fills the box in one direction and is centred in the other.
    """
    inked_w, inked_h = SIDE * min(1.0, aspect), SIDE * min(1.0, 1 / aspect)
    scale = min(box.w * columns / inked_w, box.h * rows / inked_h)
    down = resampling(rows, box.cy * rows, scale)
    across = resampling(columns, box.cx * columns, scale)
    return np.asarray((down @ drawing @ across.T).clip(0, 1), np.float32)


def resampling(size: int, centre: float, scale: float) -> Array:
    """Return the weights (size, 64) that draw a line of 64 pixels at `scale` around `centre`.

    Each target pixel averages the source under a triangle one and a half target pixels wide, or two
    source pixels if those are wider: bilinear when enlarging, antialiased when reducing, and of the
    widths tried the nearest to the guides of training. Outside the source there is nothing.
    """
    scale = max(scale, 1e-3)
    radius = max(1.0, 0.75 / scale)
    at = (np.arange(size) + 0.5 - centre) / scale + SIDE / 2
    margin = int(np.ceil(radius)) + 1
    inside = at.clip(-margin, SIDE + margin)  # the rest sees only the empty margin anyway
    source = np.arange(-2 * margin, SIDE + 2 * margin) + 0.5
    weights = np.maximum(0, 1 - np.abs(source - inside[:, None]) / radius)
    weights /= weights.sum(1, keepdims=True)
    return np.asarray(weights[:, 2 * margin : 2 * margin + SIDE], np.float32)


def entries(scene: Scene, *, height: int, width: int) -> list[Entry]:
    """Return the layout of a scene: its background, then its items from back to front, 10 at most.

    Where there are more items than entries, those at the back are left out.
    """
    rows, columns = height // 8, width // 8
    background = scene.background
    phrase = background_phrase(background)
    everywhere = np.ones((rows, columns), np.float32)
    colours = [rgb(colour) for colour in background.colours]
    if background.kind == "plain":
        listed = [Entry(phrase, colours[0], everywhere)]
    elif background.kind == "gradient":
        y = ((np.arange(rows) + 0.5) / rows).astype(np.float32)[:, None]
        listed = [
            Entry(phrase, colours[0], (1 - y) * everywhere),
            Entry(phrase, colours[1], y * everywhere),
        ]
    elif background.kind in TEXTURES:
        listed = [Entry(phrase, colour, everywhere) for colour in colours[:2]]
    else:
        listed = [Entry(phrase, None, everywhere)]
    items = scene.items[-(ENTRIES - len(listed)) :]
    listed += [
        Entry(
            item.said,
            rgb(item.colour) if item.colour else None,
            np.outer(
                covered(item.box.cy, item.box.h, rows), covered(item.box.cx, item.box.w, columns)
            ),
        )
        for item in items
    ]
    return listed


def covered(centre: float, length: float, cells: int) -> Array:
    """Return how much of each of `cells` equal cells of 0..1 an interval covers: (cells,), 0 to 1."""
    low, high = (centre - length / 2) * cells, (centre + length / 2) * cells
    starts = np.arange(cells)
    overlap = np.minimum(high, starts + 1) - np.maximum(low, starts)
    return overlap.clip(0, 1).astype(np.float32)


def layout(
    listed: Sequence[Entry], vectors: Callable[[Sequence[str]], Array]
) -> tuple[Array, Array]:
    """Return the phrases (10, 388) and the coverage (10, H/8, W/8) of a layout's entries.

    `vectors` turns N phrases into (N, 384). Columns 384 to 386 of a phrase are its colour in
    [-1, 1], column 387 whether it has one; unused entries are 0.
    """
    phrases = np.zeros((ENTRIES, PHRASE_WIDTH), np.float32)
    coverage = np.zeros((ENTRIES, *listed[0].coverage.shape), np.float32)
    unique = list(dict.fromkeys(entry.phrase for entry in listed))
    vector_of = dict(zip(unique, vectors(unique), strict=True))
    for k, entry in enumerate(listed):
        phrases[k, :384] = vector_of[entry.phrase]
        if entry.colour is not None:
            phrases[k, 384:387] = np.array(entry.colour) / 127.5 - 1
            phrases[k, 387] = 1
        coverage[k] = entry.coverage
    return phrases, coverage


def painted(drawing: Array, colour: str) -> Array:
    """Return a drawing (4, S, S), premultiplied, in shades of a colour instead of its own colours.

    What is as light as most of the drawing takes the colour itself, the rest is darker or lighter.
    """
    alpha = drawing[3]
    tint = np.array(rgb(colour), np.float32)[:, None, None] / 255
    light = (LIGHT * drawing[:3]).sum(0) / np.maximum(alpha, 1e-3)
    solid = light[alpha > 0.9]
    ruling = min(0.95, float(np.quantile(solid, 0.6))) if solid.size else 0.0
    if ruling < INK:
        return np.concatenate([tint * alpha, drawing[3:]])
    above = ((light - ruling) / (1 - ruling)).clip(0, 1)
    shaded = np.where(light <= ruling, tint * light / ruling, tint + (1 - tint) * 0.8 * above)
    return np.asarray(np.concatenate([shaded * alpha, drawing[3:]]), np.float32)


def _ground(background: Background, rows: int, columns: int) -> Array:
    """Return a guide without things: the marks of a texture, painted, or nothing."""
    canvas = np.zeros((GUIDE_CHANNELS, rows, columns), np.float32)
    if background.kind in textures.TEXTURES:
        second = background.colours[1]
        marks = textures.mask(background.kind, rows, columns)
        canvas[:3] = np.array(rgb(second), np.float32)[:, None, None] / 255 * marks
        canvas[3] = marks
        canvas[4:] = _wanted(second)[:, None, None] * marks
    return canvas


def _wanted(colour: str | None) -> Array:
    """Return (4,): the colour something shall have in [-1, 1] and 1, or zeros."""
    if colour is None:
        return np.zeros(4, np.float32)
    return np.array([*(np.array(rgb(colour)) / 127.5 - 1), 1], np.float32)
