"""Pictures that arrive from another machine: opened with care, and brought to the size asked for.

The file itself is kept where it is of that size already: it may say by a signature who drew it.
"""

import base64
import binascii
import io
import math
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageOps

from gouache import images
from gouache.engines import Encoded, Pixels
from gouache.engines.fitting import fit
from gouache.errors import EngineError, EngineUnavailable

FORMATS = ("PNG", "JPEG", "WEBP")
MAX_PIXELS = 40_000_000
GROUND = "white"
"""What shows through where a picture is transparent."""

ORIENTATION = 0x0112
"""The EXIF tag that says which side is up."""


@dataclass(frozen=True, slots=True, eq=False)
class Arrived:
    """A picture of the size asked for; `encoded` is its file, if that has the size too."""

    pixels: Pixels
    encoded: Encoded | None = None
    warnings: tuple[str, ...] = ()


def decoded(base64_text: str) -> bytes:
    """Return the bytes of a base64 text, also of one inside a data: URL.

    Raises:
        EngineUnavailable: it is broken; the next may not be.
    """
    text = base64_text.rpartition(",")[2] if base64_text.startswith("data:") else base64_text
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise EngineUnavailable("the picture arrived broken: it is not base64") from error


def arrived(data: bytes, width: int, height: int) -> Arrived:
    """Return the picture in a file, in the size asked for.

    Raises:
        EngineUnavailable: it is not a whole picture; the next may be.
        EngineError: it is too large to be opened.
    """
    image, content_type, is_upright = _opened(data)
    if image.size == (width, height):
        encoded = Encoded(data, content_type) if is_upright else None
        return Arrived(np.asarray(image), encoded)
    pixels, warnings = fit(np.asarray(image), width, height)
    return Arrived(pixels, warnings=warnings)


def preview(data: bytes) -> Pixels:
    """Return the small picture of a file that is not the last word.

    Raises:
        EngineUnavailable, EngineError: as of `arrived`.
    """
    return smaller(_opened(data)[0])


def smaller(image: Image.Image) -> Pixels:
    """Return a picture as a preview."""
    image = image.copy()
    image.thumbnail((images.MAX_PREVIEW_SIDE, images.MAX_PREVIEW_SIDE))
    return np.asarray(image)


def _opened(data: bytes) -> tuple[Image.Image, str, bool]:
    """Return a picture in RGB, the content type of its file, and whether that stands upright."""
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as opened:
            if math.prod(opened.size) > MAX_PIXELS:
                raise EngineError(f"the picture is too large: {opened.width}x{opened.height}")
            content_type = Image.MIME[opened.format or ""]
            is_upright = opened.getexif().get(ORIENTATION, 1) == 1
            image = ImageOps.exif_transpose(opened)
            if image.has_transparency_data:
                whole = Image.new("RGBA", image.size, GROUND)
                whole.alpha_composite(image.convert("RGBA"))
                image = whole
            return image.convert("RGB"), content_type, is_upright
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise EngineError("the picture is too large to be opened") from error
    except (OSError, ValueError, SyntaxError) as error:
        raise EngineUnavailable("what arrived is not a whole picture (PNG, JPEG, WebP)") from error
