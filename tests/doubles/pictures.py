"""The pictures that doubles draw, and what only looks like one."""

import base64
import hashlib
import io
import zlib

import numpy as np
from PIL import Image, PngImagePlugin

MANIFEST = b"jumb....c2pa: not a real manifest, and yet it must arrive as it is"


def picture(prompt, *, seed=0, size="1024x1024", form="PNG"):
    """Return the file of a picture that depends on the prompt and the seed only, with a manifest."""
    width, height = (int(side) for side in size.split("x"))
    digest = hashlib.sha256(f"{prompt}\n{seed}".encode()).digest()
    noise = np.random.default_rng(list(digest)).integers(0, 256, (24, 24, 3), dtype=np.uint8)
    image = Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC)
    chunks = PngImagePlugin.PngInfo()
    chunks.add(b"caBX", MANIFEST)
    file = io.BytesIO()
    if form == "PNG":
        image.save(file, form, pnginfo=chunks, compress_level=1)
    else:
        image.save(file, form, quality=90)
    return file.getvalue()


def bomb():
    """Return a small file that says it is a picture of 9000x9000."""
    file = picture("bomb", size="64x64")
    header = b"IHDR" + (9000).to_bytes(4, "big") * 2 + file[24:29]
    return file[:12] + header + zlib.crc32(header).to_bytes(4, "big") + file[33:]


async def endless():
    for _ in range(200):
        yield bytes(1024 * 1024)


def coded(data):
    return base64.b64encode(data).decode()
