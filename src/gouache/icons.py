"""The icons of a web site, made from one picture: for browser tabs, home screens and installed apps.

A picture on a plain ground loses its margins, and its ground where an icon may be clear. The same
picture gives the same bytes.

Source: the Web Application Manifest, https://www.w3.org/TR/appmanifest/#icon-masks: of an icon that may be
masked, a circle of 80 % of its width is always seen.
"""

import io
import json
import zipfile
from html import escape

import numpy as np
from PIL import Image, ImageFilter

from gouache.cutouts import content_box, cut_out, find_ground
from gouache.encodings import Words, as_ico, as_png
from gouache.variants import open_picture, over, scaled

TOUCH_SIDE = 180
APP_SIDES = (192, 512)
MASKABLE_SIDE = 512
SAFE_SHARE = 0.8
MARGIN = 0.04
TOUCH_MARGIN = 0.1
NAMES = (
    "favicon.ico",
    "apple-touch-icon.png",
    *(f"icon-{side}.png" for side in APP_SIDES),
    "icon-maskable-512.png",
    "site.webmanifest",
    "head.html",
)
"""The files of a set, in their order."""

_LONG_AGO = (1980, 1, 1, 0, 0, 0)
_FILE_MODE = 0o644 << 16


def icon_set(data: bytes, *, name: str = "") -> bytes:
    """Return a zip archive of `NAMES`, made from a PNG, JPEG or WebP file; `name` is the site's.

    Raises:
        RequestError: the file is no such picture.
    """
    picture = open_picture(data)
    whole = over(picture.image, "ffffff")
    ground = find_ground(np.asarray(whole))
    cutout = cut_out(np.asarray(whole), ground) if ground.is_plain else None
    colour = "{:02x}{:02x}{:02x}".format(*ground.colour)
    if cutout is not None:
        content = Image.fromarray(cutout).crop(content_box(cutout))
        clear = _amid(content, 1 - 2 * MARGIN)
        opaque = over(_amid(content, 1 - 2 * TOUCH_MARGIN), colour)
        diagonal = float(np.hypot(*content.size)) / max(content.size)
        masked = over(_amid(content, SAFE_SHARE / diagonal), colour)
    else:
        clear = opaque = _middle(whole)
        masked = _spread(_middle(whole), SAFE_SHARE)
    words = Words(alt=picture.words.alt)
    sides = {f"icon-{side}.png": (clear, side) for side in APP_SIDES}
    sides |= {
        "apple-touch-icon.png": (opaque, TOUCH_SIDE),
        "icon-maskable-512.png": (masked, MASKABLE_SIDE),
    }
    files = {
        file: as_png(scaled(image, (side, side)), words) for file, (image, side) in sides.items()
    }
    files["favicon.ico"] = as_ico(clear)
    files["site.webmanifest"] = _manifest(name, f"#{colour}").encode()
    files["head.html"] = _head(f"#{colour}").encode()
    return _archive(files)


def _middle(image: Image.Image) -> Image.Image:
    """Return the square in the middle of an image."""
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return image.crop((left, top, left + side, top + side))


def _amid(content: Image.Image, share: float) -> Image.Image:
    """Return a clear square with the content in its middle; its longer side takes this share."""
    side = max(1, round(max(content.size) / share))
    square = Image.new("RGBA", (side, side))
    square.paste(content, ((side - content.width) // 2, (side - content.height) // 2))
    return square


def _spread(image: Image.Image, share: float) -> Image.Image:
    """Return a square image made smaller, with its own border spread around it, out of focus."""
    margin = round(image.width * (1 / share - 1) / 2)
    around = ((margin, margin), (margin, margin), (0, 0))
    spread = Image.fromarray(np.pad(np.asarray(image), around, mode="edge"))
    spread = spread.filter(ImageFilter.GaussianBlur(margin / 4))
    spread.paste(image, (margin, margin))
    return spread


def _manifest(name: str, colour: str) -> str:
    icons = [
        {"src": f"/icon-{side}.png", "type": "image/png", "sizes": f"{side}x{side}"}
        for side in APP_SIDES
    ]
    side = f"{MASKABLE_SIDE}x{MASKABLE_SIDE}"
    masked = {"src": "/icon-maskable-512.png", "type": "image/png", "sizes": side}
    manifest: dict[str, object] = {"name": name} if name else {}
    manifest |= {
        "icons": [*icons, masked | {"purpose": "maskable"}],
        "theme_color": colour,
        "background_color": colour,
        "display": "standalone",
    }
    return json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"


def _head(colour: str) -> str:
    return (
        '<link rel="icon" href="/favicon.ico" sizes="48x48">\n'
        '<link rel="icon" href="/icon-192.png" type="image/png" sizes="192x192">\n'
        '<link rel="apple-touch-icon" href="/apple-touch-icon.png">\n'
        '<link rel="manifest" href="/site.webmanifest">\n'
        f'<meta name="theme-color" content="{escape(colour)}">\n'
    )


def _archive(files: dict[str, bytes]) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as opened:
        for name in NAMES:
            entry = zipfile.ZipInfo(name, _LONG_AGO)
            entry.external_attr = _FILE_MODE
            entry.compress_type = zipfile.ZIP_DEFLATED
            opened.writestr(entry, files[name])
    return archive.getvalue()
