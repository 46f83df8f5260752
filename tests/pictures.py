"""Pictures for tests, drawn by formula: a disc on a ground, and what no ground is plain in."""

import io

import numpy as np
from PIL import Image

from gouache.contract import read_request
from gouache.images import Recipe, encode_png

GREEN, WHITE, RED = (150, 212, 150), (255, 255, 255), (222, 45, 45)
ALT = "A white cat."


def disc(height=256, width=256, *, ground=GREEN, colour=RED, radius=0.3, noise=4, slope=0):
    """Return pixels (H, W, 3): a smooth-edged disc in the middle, both a little uneven."""
    y, x = np.mgrid[0:height, 0:width] + 0.5
    distance = np.hypot(x - width / 2, y - height / 2)
    inside = np.clip(radius * min(height, width) - distance + 0.5, 0, 1)[..., None]
    uneven = np.random.default_rng(0).normal(0, noise, (height, width, 3))
    behind = np.array(ground) + slope * (x / width - 0.5)[..., None]
    return np.clip(behind * (1 - inside) + np.array(colour) * inside + uneven, 0, 255).astype(
        "uint8"
    )


def landscape(height=256, width=256):
    """Return pixels of which half are a sky and half a meadow."""
    pixels = np.full((height, width, 3), (143, 209, 248), np.uint8)
    pixels[height // 2 :] = (80, 170, 70)
    return pixels


def rainbow(height=256, width=256):
    """Return pixels whose colours all differ."""
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    return (np.stack([x, y, (x + y) / 2], axis=-1) * 255).astype("uint8")


def png(pixels, **params):
    """Return a PNG as our engines' pictures are stored."""
    request = read_request({"prompt": "A white cat"} | params)
    recipe = Recipe(request=request, seed=7, model="fake-1", revised_prompt="a white cat")
    return encode_png(pixels, recipe)


def opened(data):
    """Return the image in a file, read to its end."""
    image = Image.open(io.BytesIO(data))
    image.load()
    return image
