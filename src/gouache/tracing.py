"""Tracing: a flat picture as an SVG of a few colour layers.

Only what is flat can be traced: where few colours tell nearly all of a picture. The outlines are
traced by vtracer (MIT licence), whose colours we choose and whose SVG we give a size and a title.
"""

import io
import re
from html import escape

import numpy as np
import vtracer  # type: ignore[import-untyped]
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from gouache.errors import RequestError

MAX_COLOURS = 16
FLAT_SHARE = 0.9
"""Share of a picture that its few colours must tell; drawings of our own model have 0.95 and more,
smooth patterns 0.4."""

WORKING_SIDE = 640
_SAMPLED_SIDE = 200
"""Pixels among which the main colours are looked for: of noise, all would take ten seconds."""

_SAME = 32.0
"""Distance of two sRGB colours, of 0 to 442, up to which a pixel is told by one of the few."""

_MERGED = 40.0
_SMALLEST_SHARE = 0.004
_FIRST_COLOURS = 24


def trace(image: Image.Image, width: int, height: int, *, title: str) -> str:
    """Return an SVG of `width` x `height` units that shows an RGB or RGBA image.

    Raises:
        RequestError: the picture is not flat enough; `param` is "format".
    """
    clear = image.getchannel("A") if "A" in image.getbands() else None
    rgb = image.convert("RGB")
    rgb.thumbnail((WORKING_SIDE, WORKING_SIDE), Image.Resampling.LANCZOS)
    rgb = rgb.filter(ImageFilter.MedianFilter(5))
    flat = _in_few_colours(rgb)
    if clear is not None:
        flat.putalpha(clear.resize(flat.size, Image.Resampling.BOX).point(_solid_or_clear))
    file = io.BytesIO()
    flat.save(file, "PNG", compress_level=1)
    traced = vtracer.convert_raw_image_to_svg(
        file.getvalue(),
        img_format="png",
        colormode="color",
        hierarchical="stacked",
        mode="spline",
        filter_speckle=8,
        color_precision=8,
        layer_difference=0,
        corner_threshold=60,
        length_threshold=5.0,
        splice_threshold=45,
        path_precision=1,
    )
    paths = "\n".join(re.findall(r"<path [^>]*/>", traced))
    words = f"<title>{escape(title)}</title>\n" if title else ""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {flat.width} {flat.height}" role="img">\n{words}{paths}\n</svg>\n'
    )


def _solid_or_clear(alpha: int) -> int:
    return 255 if alpha > 127 else 0


def _in_few_colours(image: Image.Image) -> Image.Image:
    """Return the image in at most `MAX_COLOURS` colours.

    Raises:
        RequestError: they do not tell enough of it.
    """
    colours = _main_colours(image)
    palette = Image.new("P", (1, 1))
    palette.putpalette(colours.ravel().tolist())
    flat = image.quantize(palette=palette, dither=Image.Dither.NONE).convert("RGB")
    apart = np.asarray(flat, dtype=np.float32) - np.asarray(image, dtype=np.float32)
    share = float((np.sqrt((apart**2).sum(axis=-1)) < _SAME).mean())
    if len(colours) > MAX_COLOURS or share < FLAT_SHARE:
        raise RequestError(
            f"format svg is for flat pictures, and this one is not: its {len(colours)} main colours "
            f"tell {share:.0%} of it, and at most {MAX_COLOURS} must tell {FLAT_SHARE:.0%}; use png, "
            f"or draw it in a flat style",
            param="format",
        )
    return flat


def _main_colours(image: Image.Image) -> NDArray[np.uint8]:
    """Return colours (N, 3) that are unlike each other, without those of thin edges between two."""
    sample = image.copy()
    sample.thumbnail((_SAMPLED_SIDE, _SAMPLED_SIDE), Image.Resampling.NEAREST)
    rough = sample.quantize(_FIRST_COLOURS, Image.Quantize.MAXCOVERAGE, kmeans=3)
    counts = np.bincount(np.asarray(rough).ravel(), minlength=_FIRST_COLOURS).astype(float)
    palette = np.array((rough.getpalette() or [])[: 3 * _FIRST_COLOURS], dtype=float).reshape(-1, 3)
    used = counts[: len(palette)] > 0
    colours, counts = palette[used], counts[: len(palette)][used]
    while len(colours) > 1:
        apart = np.linalg.norm(colours[:, None] - colours[None], axis=-1)
        np.fill_diagonal(apart, np.inf)
        one, other = np.unravel_index(apart.argmin(), apart.shape)
        if apart[one, other] > _MERGED:
            break
        both = counts[one] + counts[other]
        colours[one] = (colours[one] * counts[one] + colours[other] * counts[other]) / both
        counts[one] = both
        colours, counts = np.delete(colours, other, 0), np.delete(counts, other)
    large = counts >= _SMALLEST_SHARE * counts.sum()
    return np.asarray(np.rint(colours[large]), dtype=np.uint8)
