"""Rasterises drawings, trims them to their outline and measures colours, hue and fill.

Pictures are Pillow RGBA images; SIDE is the longest side of a trimmed drawing in pixels.
"""

import io
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import resvg_py
from PIL import Image

from training.assets.colours import colour_word

SIDE = 256
MIN_THICKNESS = 0.03
SEEN_ALPHA = 8
RASTER_QUALITY = 80
LIBRSVG_SECONDS = 25
HUE_BINS = 36
HUE_REACH = 25
"""Degrees around the main hue that count as that hue."""


class UnusableDrawing(Exception):
    """A drawing that is empty, too thin or not readable; the message is one short reason."""


def rasterise_svg(svg: str, side: int) -> Image.Image:
    """Return SVG text as a picture whose longer side is `side` pixels."""
    box = re.search(r'viewBox="([^"]+)"', svg)
    width, height = map(float, re.split(r"[ ,]+", box[1].strip())[2:4]) if box else (1, 1)
    size = {"width": side} if width >= height else {"height": side}
    png = bytes(resvg_py.svg_to_bytes(svg_string=svg, **size))
    return Image.open(io.BytesIO(png)).convert("RGBA")


def rasterise_old_svg(path: Path, side: int) -> Image.Image:
    """Return an SVG file of an old drawing program, by librsvg, which copes with more of them.

    Raises:
        UnusableDrawing: librsvg fails, or nothing is drawn.
    """
    picture = None
    for scale in (1.6, 5):
        box = str(int(side * scale))
        command = ["rsvg-convert", "-w", box, "-h", box, "-a", str(path)]
        done = subprocess.run(command, capture_output=True, timeout=LIBRSVG_SECONDS, check=False)
        if done.returncode or not done.stdout:
            raise UnusableDrawing("librsvg could not draw it")
        picture = Image.open(io.BytesIO(done.stdout)).convert("RGBA")
        if max(trimmed(picture).size) >= side * 0.8:
            break
    return picture


def has_librsvg() -> bool:
    """Tell whether the program rsvg-convert is there."""
    return shutil.which("rsvg-convert") is not None


def trimmed(picture: Image.Image) -> Image.Image:
    """Return a picture cut to what can be seen of it.

    Raises:
        UnusableDrawing: nothing can be seen.
    """
    seen = picture.getchannel("A").point(lambda alpha: 255 if alpha > SEEN_ALPHA else 0)
    box = seen.getbbox()
    if box is None:
        raise UnusableDrawing("nothing is drawn")
    return picture.crop(box)


def sprite_from_svg(svg: str) -> Image.Image:
    """Return the trimmed drawing of SVG text, drawn again larger if its margin was wide."""
    sprite = trimmed(rasterise_svg(svg, SIDE))
    check_thickness(sprite)
    scale = SIDE / max(sprite.size)
    if scale > 1.15:
        sprite = trimmed(rasterise_svg(svg, int(SIDE * scale)))
        sprite.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    return sprite


def sprite_from_file(path: Path) -> Image.Image:
    """Return the trimmed drawing of an image or SVG file, made smaller if it is too large."""
    is_svg = path.suffix == ".svg"
    picture = rasterise_old_svg(path, SIDE) if is_svg else Image.open(path).convert("RGBA")
    sprite = trimmed(picture)
    check_thickness(sprite)
    scale = SIDE / max(sprite.size)
    if scale < (1 if is_svg else 0.98):
        size = [max(1, round(length * scale)) for length in sprite.size]
        sprite = sprite.resize(size, Image.Resampling.LANCZOS)
    return sprite


def check_thickness(sprite: Image.Image) -> None:
    """Raise if a sprite is only a line.

    Raises:
        UnusableDrawing: its shorter side is less than 3% of SIDE.
    """
    if min(sprite.size) < SIDE * MIN_THICKNESS:
        raise UnusableDrawing("only a thin line")


def opaque_pixels(sprite: Image.Image) -> np.ndarray:
    """Return the colours of the solid pixels of a small copy, (N, 3) int, 0 to 255."""
    small = sprite.copy()
    small.thumbnail((48, 48))
    pixels = np.asarray(small).reshape(-1, 4).astype(int)
    return pixels[pixels[:, 3] > 128][:, :3]


def colour_shares(pixels: np.ndarray) -> list[tuple[str, float]]:
    """Return up to four colour words with their share of the pixels, the largest first."""
    shares: dict[str, int] = {}
    colours, first, counts = np.unique(pixels, axis=0, return_index=True, return_counts=True)
    for index in np.argsort(first):
        word = colour_word(*map(int, colours[index]))
        shares[word] = shares.get(word, 0) + int(counts[index])
    largest = sorted(shares.items(), key=lambda share: -share[1])[:4]
    total = max(len(pixels), 1)
    return [(word, round(n / total, 2)) for word, n in largest if n / total > 0.06]


def main_hue(pixels: np.ndarray) -> tuple[int | None, float]:
    """Return the commonest hue in degrees, None for grey drawings, and its share of all pixels."""
    high, low = pixels.max(1, initial=0), pixels.min(1, initial=255)
    spread = np.maximum(high - low, 1)
    red, green, blue = pixels.T
    sextant = np.select(
        [high == red, high == green],
        [(green - blue) / spread, 2 + (blue - red) / spread],
        4 + (red - green) / spread,
    )
    hue = sextant * 60 % 360
    coloured = ((high - low) / np.maximum(high, 1) > 0.25) & (high > 50)
    if coloured.sum() <= 5:
        return None, 0.0
    bins = np.histogram(hue[coloured], HUE_BINS, (0, 360))[0]
    width = 360 // HUE_BINS
    mode = int(bins.argmax()) * width + width // 2
    near = np.abs((hue - mode + 180) % 360 - 180) < HUE_REACH
    return mode, round(float((near & coloured).sum() / len(pixels)), 2)


def measure(sprite: Image.Image) -> dict[str, Any]:
    """Return size, colours, main hue and the filled share of a trimmed drawing."""
    pixels = opaque_pixels(sprite)
    hue, share = main_hue(pixels)
    return {
        "w": sprite.width,
        "h": sprite.height,
        "colors": [list(part) for part in colour_shares(pixels)],
        "hue": hue,
        "hue_frac": share,
        "fill": round(float((np.asarray(sprite)[..., 3] > 127).mean()), 3),
    }


def webp(sprite: Image.Image) -> bytes:
    """Return a sprite as WebP with its transparency."""
    file = io.BytesIO()
    sprite.save(file, "WEBP", quality=RASTER_QUALITY, alpha_quality=90, method=4)
    return file.getvalue()


def measure_drawing(
    svg: str | None, path: Path | None
) -> tuple[dict[str, Any] | None, bytes | None, str]:
    """Return measures, WebP (only for what is no SVG text) and the reason if it is unusable."""
    try:
        if svg is not None:
            return measure(sprite_from_svg(svg)), None, ""
        sprite = sprite_from_file(path)
        return measure(sprite), webp(sprite), ""
    except UnusableDrawing as reason:
        return None, None, str(reason)
    except (ValueError, OSError, subprocess.TimeoutExpired) as error:
        return None, None, f"not readable ({type(error).__name__})"
