"""Variants of a picture: other sizes and formats, an avatar's circle, a logo without its ground.

A picture comes as bytes and a variant leaves as bytes; the same picture and the same `Variant` give the
same bytes. The steps are always these: the ground is taken away (`cutouts`), the picture is cut and
scaled, the circle is cut out, a colour is put behind what is clear, and the format is written
(`encodings`, `printing`, `tracing`) with the words that are known of the picture.
"""

import io
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from PIL import Image, ImageOps
from pydantic import ConfigDict, Field, model_validator

from gouache.contract import read
from gouache.cutouts import PLAIN_SHARE, cut_out, find_ground
from gouache.encodings import DEFAULT_QUALITY, ICON_SIDES, Words, as_ico, as_lossy, as_png, within
from gouache.errors import RecipeNotFound, RequestError
from gouache.given import Given, refused, resembling, shortened
from gouache.images import alt_text, read_recipe
from gouache.printing import page_of
from gouache.tracing import WORKING_SIDE, trace

Fit = Literal["cover", "contain", "fill", "inside"]
Format = Literal["png", "jpeg", "webp", "pdf", "svg", "ico"]
Size = tuple[int, int]
Box = tuple[float, float, float, float]

MAX_SIDE = 4096
MAX_SOURCE_PIXELS = 50_000_000
MOST_ENLARGED = 2.0
PRINT_DPI = 300
READ = {"image/png": "PNG", "image/jpeg": "JPEG", "image/webp": "WEBP"}
"""The content types of pictures that have variants, and what Pillow calls them."""

_MAX_DESCRIPTION_CHARACTERS = 1000
WHITE = "ffffff"
TRANSPARENT = "transparent"

CONTENT_TYPES: dict[Format, str] = {
    "png": "image/png",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "pdf": "application/pdf",
    "svg": "image/svg+xml",
    "ico": "image/x-icon",
}
EXTENSIONS: dict[Format, str] = {
    "png": ".png",
    "jpeg": ".jpg",
    "webp": ".webp",
    "pdf": ".pdf",
    "svg": ".svg",
    "ico": ".ico",
}
ONLY_FOR: dict[str, tuple[Format, ...]] = {
    "w": ("png", "jpeg", "webp", "pdf", "svg"),
    "h": ("png", "jpeg", "webp", "pdf", "svg"),
    "quality": ("jpeg", "webp"),
    "max_bytes": ("jpeg", "webp"),
    "dpi": ("png", "jpeg", "pdf"),
}
"""The formats that a parameter is of use for; for others it is refused."""


class Variant(Given):
    """What a picture is made into; without any field, a PNG of its own size."""

    model_config = ConfigDict(extra="forbid")

    w: int | None = Field(
        None, ge=1, le=MAX_SIDE, description="Width in pixels; without it, as `h` leaves it."
    )
    h: int | None = Field(
        None, ge=1, le=MAX_SIDE, description="Height in pixels; without it, as `w` leaves it."
    )
    fit: Fit = Field(
        "cover",
        description="Where both are given: `cover` cuts off what is too much, `contain` adds margins, "
        "`fill` distorts, `inside` keeps within both.",
    )
    format: Format = Field("png", description="The format of the file.")
    circle: bool = Field(False, description="Whether only a circle is left, as of an avatar.")
    background: str | None = Field(
        None,
        pattern=r"^(transparent|#?[0-9a-fA-F]{6})$",
        examples=["transparent"],
        description="`transparent` takes a plain ground away, a colour like `#ffcc00` takes its place, "
        "and fills margins. With `circle` it is what lies outside the circle.",
    )
    quality: int | None = Field(
        None,
        ge=1,
        le=100,
        description=f"Of JPEG and WebP; {DEFAULT_QUALITY} without it. With `max_bytes`, the best tried.",
    )
    max_bytes: int | None = Field(
        None,
        ge=1000,
        le=100_000_000,
        description="Of JPEG and WebP: the quality is lowered, then the size, until it fits.",
    )
    dpi: int | None = Field(
        None,
        ge=1,
        le=2400,
        description="Of PNG, JPEG and PDF: pixels per inch in print; "
        f"{PRINT_DPI} for a PDF without it.",
    )

    @model_validator(mode="after")
    def _fits_together(self) -> "Variant":
        for name, formats in ONLY_FOR.items():
            if getattr(self, name) is not None and self.format not in formats:
                allowed = ", ".join(formats)
                why = f"is of no use with format {self.format}, only with {allowed}; leave it out"
                raise refused(type(self), name, why)
        if self.circle and None not in (self.w, self.h) and self.w != self.h:
            raise refused(type(self), "circle", "needs w and h to be equal; leave one of them out")
        if self.format == "jpeg" and self.background == TRANSPARENT:
            raise refused(
                type(self), "background", "cannot be transparent in a jpeg; use png or webp"
            )
        if self.format == "jpeg" and self.circle and self.background is None:
            why = "needs a background colour in a jpeg, where nothing is transparent; or use png"
            raise refused(type(self), "circle", why)
        return self

    @property
    def colour(self) -> str | None:
        """The colour to put behind the picture, as RRGGBB."""
        if self.background in (None, TRANSPARENT):
            return WHITE if self.format == "jpeg" else None
        return str(self.background).removeprefix("#")


@dataclass(frozen=True, slots=True)
class Rendered:
    """A variant: its bytes, and what is to be said of them; `warnings` are sentences for the user."""

    data: bytes
    content_type: str
    extension: str
    width: int
    height: int
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture that was read: an RGB or RGBA image, and what is known of it."""

    image: Image.Image
    words: Words


def read_variant(query: Mapping[str, str]) -> Variant:
    """Return the variant that the parameters of a query describe.

    Raises:
        RequestError: a parameter is unknown, has a bad value, or does not go with another one.
    """
    for name in query:
        if name not in Variant.model_fields:
            sentence = f"{shortened(name)!r} is not a parameter of a variant"
            near = resembling(name, Variant.model_fields)
            raise RequestError(sentence + near, param=shortened(name))
    return read(Variant, query)


def render(data: bytes, variant: Variant) -> Rendered:
    """Return a variant of a picture that is a PNG, JPEG or WebP file.

    Raises:
        RequestError: the file is no such picture; its ground is to go and is not plain; it is to be
            traced and is not flat; it cannot be made as small as it is to be.
    """
    picture = open_picture(data)
    said: list[str] = []
    image = picture.image
    if variant.background is not None and not variant.circle:
        image = _without_ground(image, variant, said)
    image = _placed(image, variant, said)
    if variant.circle:
        image = circle_of(image)
    if variant.colour is not None:
        image = over(image, variant.colour)
    rendered = _encoded(image, variant, picture.words, _place(picture.image.size, variant).canvas)
    return replace(rendered, warnings=(*said, *rendered.warnings))


def open_picture(data: bytes) -> Picture:
    """Return the image in a file, turned as its camera held it, and the words that came with it.

    Raises:
        RequestError: it is no PNG, JPEG or WebP file, is damaged, or is too large.
    """
    try:
        with (
            warnings.catch_warnings(),
            Image.open(io.BytesIO(data), formats=tuple(READ.values())) as opened,
        ):
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # our limit is lower
            if opened.width * opened.height > MAX_SOURCE_PIXELS:
                raise RequestError(f"the picture has more than {MAX_SOURCE_PIXELS:,} pixels")
            words = _words(data, opened)
            mode = "RGBA" if opened.has_transparency_data else "RGB"
            ImageOps.exif_transpose(opened, in_place=True)
            return Picture(opened if opened.mode == mode else opened.convert(mode), words)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise RequestError("only PNG, JPEG and WebP pictures have variants") from error


def circle_of(image: Image.Image) -> Image.Image:
    """Return a square image with a circle of it left, and a soft edge of one pixel."""
    side = image.width
    middle = (side - 1) / 2
    y, x = np.ogrid[0:side, 0:side]
    distance = np.hypot(x - middle, y - middle)
    inside = np.rint(np.clip(side / 2 - distance + 0.5, 0, 1) * 255).astype(np.uint8)
    round_one = image.convert("RGBA")
    alpha = np.asarray(round_one.getchannel("A"), dtype=np.uint16) * inside // 255
    round_one.putalpha(Image.fromarray(alpha.astype(np.uint8)))
    return round_one


def over(image: Image.Image, colour: str) -> Image.Image:
    """Return an RGB image, with a colour (RRGGBB) behind what is clear in it."""
    if "A" not in image.getbands():
        return image
    whole = Image.new("RGBA", image.size, f"#{colour}")
    whole.alpha_composite(image)
    return whole.convert("RGB")


def scaled(image: Image.Image, size: Size, box: Box | None = None) -> Image.Image:
    """Return the part of an image inside a box, or all of it, in another size."""
    if image.size == size and box is None:
        return image
    clear = "A" in image.getbands()
    mixed = image.convert("RGBa") if clear else image  # else clear pixels would shine through
    resized = mixed.resize(size, Image.Resampling.LANCZOS, box=box, reducing_gap=2.0)
    return resized.convert("RGBA") if clear else resized


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a picture goes: the box of it that is used, its new size, and the canvas around that."""

    box: Box | None
    size: Size
    canvas: Size

    def times(self, factor: float) -> "_Place":
        """Return the same place on a larger or smaller canvas."""

        def times(size: Size) -> Size:
            return max(1, round(size[0] * factor)), max(1, round(size[1] * factor))

        return _Place(self.box, times(self.size), times(self.canvas))


def _words(data: bytes, opened: Image.Image) -> Words:
    try:
        recipe = read_recipe(data)
    except RecipeNotFound:
        said = str(opened.info.get("Description", ""))
        return Words("".join(c for c in said if c.isprintable())[:_MAX_DESCRIPTION_CHARACTERS])
    return Words(alt_text(recipe), recipe.model_dump_json())


def _without_ground(image: Image.Image, variant: Variant, said: list[str]) -> Image.Image:
    """Return the image without its plain ground; one that has clear parts already has none."""
    if "A" in image.getbands():
        return image
    pixels = np.asarray(image)
    ground = find_ground(pixels)
    cutout = cut_out(pixels, ground) if ground.is_plain else None
    if cutout is not None:
        return Image.fromarray(cutout)
    why = "nothing else is in the picture"
    if not ground.is_plain:
        why = f"its main colour covers {ground.share:.0%} of the border, and {PLAIN_SHARE:.0%} is needed"
    if variant.background == TRANSPARENT:
        message = f"background cannot be transparent, for the picture has no plain ground: {why}"
        raise RequestError(message, param="background")
    said.append(
        f"the background colour fills margins only, for the picture has no plain ground: {why}"
    )
    return image


def _placed(image: Image.Image, variant: Variant, said: list[str]) -> Image.Image:
    """Return the image cut, scaled and with margins, as the variant asks."""
    place = _place(image.size, variant)
    if variant.format == "svg":
        place = place.times(WORKING_SIDE / max(place.canvas))
    else:
        left, top, right, bottom = place.box or (0, 0, *image.size)
        factor = max(place.size[0] / (right - left), place.size[1] / (bottom - top))
        if factor > MOST_ENLARGED:
            was = f"{image.width} x {image.height}"
            said.append(
                f"enlarged {factor:.1f} times from {was} pixels, so it shows no finer detail"
            )
    resized = scaled(image, place.size, place.box)
    if place.canvas == place.size:
        return resized
    canvas = Image.new("RGBA", place.canvas)
    across, down = (
        (outer - inner) // 2 for outer, inner in zip(place.canvas, place.size, strict=True)
    )
    canvas.paste(resized, (across, down))
    return canvas


def _place(source: Size, variant: Variant) -> _Place:
    w, h = variant.w, variant.h
    square = variant.circle or variant.format == "ico"
    if square:
        w = h = w or h or min(source)
    if w is None or h is None:
        size = _size_of_one(source, w, h)
        return _Place(None, size, size)
    across, down = w / source[0], h / source[1]
    if variant.fit == "fill":
        return _Place(None, (w, h), (w, h))
    if variant.fit == "cover":
        width, height = w / max(across, down), h / max(across, down)
        left, top = (source[0] - width) / 2, (source[1] - height) / 2
        return _Place((left, top, left + width, top + height), (w, h), (w, h))
    scale = min(across, down)
    size = max(1, round(source[0] * scale)), max(1, round(source[1] * scale))
    return _Place(None, size, (w, h) if square or variant.fit == "contain" else size)


def _size_of_one(source: Size, w: int | None, h: int | None) -> Size:
    """Return the size where at most one side is asked for; the other keeps the proportions."""
    if w is None and h is None:
        return source
    scale = w / source[0] if w is not None else (h or 0) / source[1]
    width, height = max(1, round(source[0] * scale)), max(1, round(source[1] * scale))
    if max(width, height) > MAX_SIDE:
        name = "h" if w is None else "w"
        message = (
            f"{name} would make the picture {width} x {height}; at most {MAX_SIDE} are allowed"
        )
        raise RequestError(message, param=name)
    return width, height


def _encoded(image: Image.Image, variant: Variant, words: Words, size: Size) -> Rendered:
    said: tuple[str, ...] = ()
    quality = variant.quality or DEFAULT_QUALITY
    match variant.format:
        case "png":
            data = as_png(image, words, dpi=variant.dpi)
        case "jpeg" | "webp" if variant.max_bytes is None:
            data = as_lossy(image, variant.format, words, quality=quality, dpi=variant.dpi)
        case "jpeg" | "webp":
            data, size = within(
                image,
                variant.format,
                words,
                max_bytes=variant.max_bytes or 0,
                quality=quality,
                dpi=variant.dpi,
            )
            if size != image.size:
                said = (f"made {size[0]} x {size[1]} to stay within {variant.max_bytes:,} bytes",)
        case "pdf":
            data = page_of(image, dpi=variant.dpi or PRINT_DPI, words=words.alt)
        case "svg":
            data = trace(image, *size, title=words.alt).encode()
        case "ico":
            data, size = as_ico(image), (max(ICON_SIDES), max(ICON_SIDES))
    return Rendered(
        data=data,
        content_type=CONTENT_TYPES[variant.format],
        extension=EXTENSIONS[variant.format],
        width=size[0],
        height=size[1],
        warnings=said,
    )
