"""Words set as type over a finished picture: size, line breaks, place, colour and contrast.

Pixels are (H, W, 3) uint8 sRGB arrays. Every word keeps a contrast of `CONTRAST` to what is below it;
where the picture allows no colour that does, a soft plate is laid under it. The fonts hold Latin, Greek
and Cyrillic; `problem` says of other words why they cannot be set.

Source: relative luminance and contrast ratio are those of the W3C's WCAG 2.2.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from gouache.scene import Box

Pixels = NDArray[np.uint8]
Colour = tuple[int, int, int]

CONTRAST = 4.5
MARGIN = 0.05
"""What stays free at each edge, as a fraction of the canvas."""

LARGEST, SMALLEST = 0.15, 0.028
"""Type sizes, as fractions of the canvas' shorter side."""

MINOR = 0.55
"""Size of a minor line, as a fraction of the main one's."""

MOST_ROWS = 4
FEWER_ROWS = 0.82
"""Part of the type size that is given up for a row less."""

LEADING = 1.14
DARK: Colour = (24, 28, 44)
WHITE: Colour = (255, 255, 255)
FACES = {True: "Inter-Bold.otf", False: "Inter-Regular.otf"}
"""The font of main lines, and of minor ones."""


@dataclass(frozen=True, slots=True)
class Line:
    """Words to be set together; minor ones are smaller and lighter."""

    text: str
    is_main: bool = True


@dataclass(frozen=True, slots=True)
class _Row:
    """A line of type as it is set: its words, font, width, and height with the space below."""

    text: str
    font: ImageFont.FreeTypeFont
    width: float
    height: float


def spelt(text: str) -> str:
    """Return words as they are set: composed, with single blanks, without emoji and control signs."""
    kept = (" " if c.isspace() else c for c in unicodedata.normalize("NFC", text))
    shown = "".join(
        c for c in kept if unicodedata.category(c) not in ("So", "Sk", "Cc", "Cf", "Mn")
    )
    return " ".join(shown.replace("'", "’").split())


def problem(text: str) -> str | None:
    """Return why words cannot be set, as the end of a sentence, or None."""
    shown = spelt(text)
    if not any(c.isalnum() for c in shown):
        return "has no letters"
    if any(unicodedata.bidirectional(c) in ("R", "AL", "AN") for c in shown):
        return "runs from right to left, which cannot be set yet"
    missing = [c for c in dict.fromkeys(shown) if not _has(c)]
    return f"has “{missing[0]}”, which the fonts have not" if missing else None


@cache
def _font(face: str, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(files("gouache") / "fonts" / face), size)


@cache
def _has(character: str) -> bool:
    """Say whether the fonts can show a character: an unknown one looks like any other unknown one."""
    font = _font(FACES[True], 32)
    return character == " " or bytes(font.getmask(character)) != bytes(font.getmask("\U0010ffff"))


def letter(
    pixels: Pixels,
    lines: Sequence[Line],
    zone: Box,
    *,
    inks: Sequence[Colour] = (),
    left: bool = False,
    plate: bool = False,
) -> Pixels:
    """Return the picture with the lines set in a zone, centred or at its left, on a plate if need be.

    `inks` are the colours that suit the picture, best first; black or white serve where none of them
    stands out enough.
    """
    picture = Image.fromarray(pixels)
    area = _area(zone, picture.size)
    rows = _rows([Line(spelt(line.text), line.is_main) for line in lines], area, picture.size)
    if not rows:
        return pixels
    height = round(sum(row.height for row in rows))
    top = _calmest(pixels, area, height)
    box = _extent(rows, area, top, height, left)
    below = _luminance(pixels[box[1] : box[3], box[0] : box[2]])
    ink = next((i for i in [*inks, DARK, WHITE] if _least_contrast(i, below) >= CONTRAST), None)
    if ink is None or plate:
        ink = next((i for i in inks if contrast(i, WHITE) >= 7.0), DARK)
        picture = _plate(picture, box, rows[-1].font.size, ink)
    draw = ImageDraw.Draw(picture)
    y = float(top)
    for row in rows:
        x = area[0] if left else (area[0] + area[2] - row.width) / 2
        draw.text((x, y), row.text, font=row.font, fill=ink)
        y += row.height
    return np.asarray(picture)


def _area(zone: Box, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return a zone as pixels (left, top, right, bottom), kept within the margins."""
    across, down = size
    sides = (zone.cx - zone.w / 2, zone.cy - zone.h / 2, zone.cx + zone.w / 2, zone.cy + zone.h / 2)
    left, top, right, bottom = (min(1 - MARGIN, max(MARGIN, side)) for side in sides)
    return round(left * across), round(top * down), round(right * across), round(bottom * down)


def _rows(
    lines: Sequence[Line], area: tuple[int, int, int, int], size: tuple[int, int]
) -> list[_Row]:
    """Return the lines broken into rows at about the largest size that fits; none where none fits."""
    short = min(size)
    wide, high = area[2] - area[0], area[3] - area[1]
    points = round(LARGEST * short)
    best: list[_Row] = []
    while points >= SMALLEST * short:
        rows = [row for line in lines for row in _broken(line, points, wide)]
        fits = all(row.width <= wide for row in rows) and sum(r.height for r in rows) <= high
        if best and rows[0].height < FEWER_ROWS * best[0].height:
            break
        if fits and len(rows) < (len(best) or MOST_ROWS * len(lines) + 1):
            best = rows
        points = min(points - 1, round(points * 0.95))
    return best


def _broken(line: Line, points: int, wide: int) -> list[_Row]:
    """Return a line in as few rows as fit, their widths as even as can be."""
    size = points if line.is_main else max(18, round(points * MINOR))
    font = _font(FACES[line.is_main], size)
    words = line.text.split(" ")
    widths = [font.getlength(word) for word in words]
    blank = font.getlength(" ")
    rows = _filled(words, widths, blank, wide)
    if len(rows) > 1:  # the narrowest column that takes no more rows makes them even
        steps = sorted({wide * share / 20 for share in range(8, 20)})
        narrower = (_filled(words, widths, blank, step) for step in steps if step >= max(widths))
        rows = next((made for made in narrower if len(made) == len(rows)), rows)
    return [_Row(text, font, font.getlength(text), size * LEADING) for text in rows]


def _filled(words: Sequence[str], widths: Sequence[float], blank: float, wide: float) -> list[str]:
    """Return words in rows, each filled up to a width; a word that is wider has a row of its own."""
    rows: list[str] = []
    used = 0.0
    for word, width in zip(words, widths, strict=True):
        if rows and used + blank + width <= wide:
            rows[-1] += f" {word}"
            used += blank + width
        else:
            rows.append(word)
            used = width
    return rows


def _calmest(pixels: Pixels, area: tuple[int, int, int, int], height: int) -> int:
    """Return the top of the calmest strip of an area, of those that lie about as well."""
    left, top, right, bottom = area
    room = bottom - top - height
    grey = pixels[top:bottom, left:right].mean(axis=2)
    unrest = np.abs(np.diff(grey, axis=0)).mean(axis=1)
    found = []
    for share in (0.5, 0.4, 0.6, 0.25, 0.75, 0.0, 1.0):
        offset = round(room * share)
        found.append((float(unrest[offset : offset + height].mean()) + abs(share - 0.5), offset))
    return top + min(found)[1]


def _extent(
    rows: Sequence[_Row], area: tuple[int, int, int, int], top: int, height: int, left: bool
) -> tuple[int, int, int, int]:
    """Return the rectangle the type covers, as pixels."""
    wide = max(row.width for row in rows)
    x = area[0] if left else (area[0] + area[2] - wide) / 2
    return int(x), top, int(x + wide) + 1, top + height


def _plate(
    picture: Image.Image, box: tuple[int, int, int, int], points: float, ink: Colour
) -> Image.Image:
    """Return the picture with a soft white plate under a rectangle, as clear as the ink allows."""
    pad = round(points * 0.35)
    across, down = picture.size
    edges = (
        max(0, box[0] - pad),
        max(0, box[1] - pad),
        min(across, box[2] + pad),
        min(down, box[3] + pad),
    )
    mask = Image.new("L", picture.size, 0)
    ImageDraw.Draw(mask).rounded_rectangle(edges, radius=round(points * 0.4), fill=255)
    mask = mask.filter(ImageFilter.GaussianBlur(max(1, points * 0.03)))
    inside = (slice(box[1], box[3]), slice(box[0], box[2]))
    for share in (0.86, 0.94, 1.0):
        plated = Image.composite(
            Image.blend(picture, Image.new("RGB", picture.size, WHITE), share), picture, mask
        )
        if _least_contrast(ink, _luminance(np.asarray(plated)[inside])) >= CONTRAST:
            break
    return plated


def contrast(one: Colour, other: Colour) -> float:
    """Return the contrast ratio of two colours, 1 to 21."""
    light, dark = sorted((_of_colour(one), _of_colour(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _of_colour(colour: Colour) -> float:
    return float(_luminance(np.array([[colour]], np.uint8))[0])


def _luminance(pixels: Pixels) -> NDArray[np.float32]:
    """Return the relative luminance, 0 to 1, of every second pixel, as one row."""
    share: NDArray[Any] = pixels[::2, ::2].reshape(-1, 3).astype(np.float32) / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    return np.asarray(linear @ np.array([0.2126, 0.7152, 0.0722], np.float32), np.float32)


def _least_contrast(ink: Colour, below: NDArray[np.float32]) -> float:
    """Return the contrast to the worst of what is below; the odd hundredth of it is let be."""
    own = _of_colour(ink)
    low, high = (float(q) for q in np.quantile(below, (0.01, 0.99)))
    if low <= own <= high:
        return 1.0
    light, dark = (own, high) if own > high else (low, own)
    return (light + 0.05) / (dark + 0.05)
