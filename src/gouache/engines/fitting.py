"""From the sizes a model can draw to the exact size asked for, and a sentence that says so.

Pictures are (H, W, 3) uint8 arrays.
"""

import numpy as np
from PIL import Image

from gouache.engines import Pixels

MOST_LOST = 0.3
"""Sizes that lose more of the picture at its edges than this are not looked at."""


def nearest_native(width: int, height: int, *, pixels: int, multiple: int) -> tuple[int, int]:
    """Return the width and height to draw at, for a model of at most `pixels` and sides by `multiple`.

    It is the size asked for where the model can do that; else the one of which the least is cut away,
    where a quarter of the pixels weighs as much as an eighth of the picture.
    """
    if width * height <= pixels and width % multiple == height % multiple == 0:
        return width, height
    found: list[tuple[float, int, int]] = []
    for across in range(multiple, width + 1, multiple):
        down = min(height, pixels // across) // multiple * multiple
        for tall in (down, round(across * height / width / multiple) * multiple):
            if not multiple <= tall <= down:
                continue
            lost = _lost(across, tall, width, height)
            unused = 1 - across * tall / min(pixels, width * height)
            if lost <= MOST_LOST:
                found.append((lost + unused / 2, across, tall))
    _, across, tall = min(found, default=(0.0, multiple, multiple))
    return across, tall


def fit(picture: Pixels, width: int, height: int) -> tuple[Pixels, tuple[str, ...]]:
    """Return the picture in exactly this size, and a sentence where it was drawn in another.

    It covers the whole size: what hangs over at two edges is cut away, and the rest is scaled by
    Lanczos' filter.
    """
    tall, across = picture.shape[:2]
    if (across, tall) == (width, height):
        return picture, ()
    scale = max(width / across, height / tall)
    kept_width, kept_height = width / scale, height / scale
    left, top = (across - kept_width) / 2, (tall - kept_height) / 2
    box = (left, top, left + kept_width, top + kept_height)
    fitted = Image.fromarray(picture).resize((width, height), Image.Resampling.LANCZOS, box=box)
    done = []
    if _lost(across, tall, width, height) >= 0.5 / max(across, tall):
        done.append("cut at the sides" if left > top else "cut at top and bottom")
    if scale != 1:
        done.append("enlarged" if scale > 1 else "reduced")
    sentence = f"drawn at {across}x{tall}, {' and '.join(done)} to {width}x{height}"
    return np.asarray(fitted), (sentence,)


def _lost(across: int, tall: int, width: int, height: int) -> float:
    """Return the share of a picture that is cut away to give it the shape of another size."""
    ratio = (across * height) / (tall * width)
    return 1 - min(ratio, 1 / ratio)
