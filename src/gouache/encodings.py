"""Images as bytes: PNG, JPEG, WebP and ICO with their words, and JPEG and WebP within a budget.

What is known of a picture goes where its format has a place: the recipe and the description in a PNG's
text chunks; the alternative text (IPTC) in XMP, and in EXIF's ImageDescription. Nothing depends on the
clock, so the same image gives the same bytes.
"""

import io
import math
from contextlib import suppress
from dataclasses import dataclass
from html import escape
from typing import Any, Literal

from PIL import Image, PngImagePlugin

from gouache import __version__
from gouache.errors import RequestError
from gouache.images import RECIPE_KEYWORD

Lossy = Literal["jpeg", "webp"]

DEFAULT_QUALITY = 85
WORST_QUALITY = 50
"""What a byte budget may press the quality down to before the picture is made smaller."""

ICON_SIDES = (16, 32, 48)
MIN_SIDE = 16
_COMPRESSION = 4
"""A third of the time of zlib's usual level, for 4 % more bytes."""

_IMAGE_DESCRIPTION, _SOFTWARE = 270, 305


@dataclass(frozen=True, slots=True)
class Words:
    """What is said of a picture: for those who do not see it, and its recipe as JSON text."""

    alt: str = ""
    recipe: str | None = None


def as_png(image: Image.Image, words: Words, *, dpi: int | None = None) -> bytes:
    """Return a PNG file."""
    chunks = PngImagePlugin.PngInfo()
    if words.recipe is not None:
        chunks.add_itxt(RECIPE_KEYWORD, words.recipe)
    if words.alt:
        chunks.add_itxt("Description", words.alt)
    chunks.add_itxt("Software", f"gouache {__version__}")
    file = io.BytesIO()
    density = {"dpi": (dpi, dpi)} if dpi else {}
    image.save(file, "PNG", pnginfo=chunks, compress_level=_COMPRESSION, **density)
    return file.getvalue()


def as_lossy(
    image: Image.Image, form: Lossy, words: Words, *, quality: int, dpi: int | None = None
) -> bytes:
    """Return a JPEG or WebP file; a JPEG is a baseline one, which every mail program shows."""
    exif = Image.Exif()
    exif[_SOFTWARE] = f"gouache {__version__}"
    if words.alt:
        exif[_IMAGE_DESCRIPTION] = words.alt.encode()  # UTF-8, as readers expect by now
    options: dict[str, Any] = {"quality": quality, "exif": exif}
    if words.alt:
        options["xmp"] = _xmp(words.alt)
    if form == "jpeg":
        options["subsampling"] = 0 if quality >= DEFAULT_QUALITY else 2
        if dpi:
            options["dpi"] = (dpi, dpi)
        with suppress(OSError):  # a noisy picture is more than Pillow makes room for
            return _saved(image, "JPEG", optimize=True, **options)
        return _saved(image, "JPEG", **options)
    return _saved(image, "WEBP", method=4, **options)


def within(
    image: Image.Image,
    form: Lossy,
    words: Words,
    *,
    max_bytes: int,
    quality: int,
    dpi: int | None = None,
) -> tuple[bytes, tuple[int, int]]:
    """Return a JPEG or WebP file of at most `max_bytes`, and its size in pixels.

    It has the best quality that fits, up to `quality`; only where the worst one does not fit is the
    picture made smaller.

    Raises:
        RequestError: not even a tiny one fits.
    """
    whole = image
    while True:
        low = min(WORST_QUALITY, quality)
        best = as_lossy(image, form, words, quality=low, dpi=dpi)
        if len(best) <= max_bytes:
            break
        scale = min(0.9, math.sqrt(max_bytes / len(best)))
        width, height = round(image.width * scale), round(image.height * scale)
        if min(width, height) < MIN_SIDE:
            message = (
                f"max_bytes cannot be kept: at {image.width} x {image.height} it is {len(best):,}"
            )
            raise RequestError(message, param="max_bytes")
        image = whole.resize((width, height), Image.Resampling.LANCZOS)
    high = quality
    while low < high:
        middle = (low + high + 1) // 2
        data = as_lossy(image, form, words, quality=middle, dpi=dpi)
        if len(data) <= max_bytes:
            low, best = middle, data
        else:
            high = middle - 1
    return best, image.size


def as_ico(image: Image.Image) -> bytes:
    """Return an icon file with the image, a square one, at `ICON_SIDES`."""
    frames = [image.resize((side, side), Image.Resampling.LANCZOS) for side in ICON_SIDES]
    file = io.BytesIO()
    sizes = [frame.size for frame in frames]
    frames[-1].save(file, "ICO", sizes=sizes, append_images=frames[:-1])
    return file.getvalue()


def _saved(image: Image.Image, form: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def _xmp(alt: str) -> bytes:
    """Return an XMP packet with the alternative text, as IPTC's and as Dublin Core's description."""
    text = f'<rdf:Alt><rdf:li xml:lang="x-default">{escape(alt)}</rdf:li></rdf:Alt>'
    return (
        '<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?>'
        '<x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
        'xmlns:dc="http://purl.org/dc/elements/1.1/" '
        'xmlns:Iptc4xmpCore="http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/">'
        f"<Iptc4xmpCore:AltTextAccessibility>{text}</Iptc4xmpCore:AltTextAccessibility>"
        f"<dc:description>{text}</dc:description></rdf:Description></rdf:RDF></x:xmpmeta>"
        '<?xpacket end="r"?>'
    ).encode()
