"""Many pictures at once, for tests and benchmarks: written down as tasks that were drawn, not drawn."""

import uuid
import zlib
from functools import cache

import numpy as np
from PIL import Image, ImageDraw

from gouache import images, ledger, results
from gouache.contract import BUILT_IN_GATEWAY, FileObject, read_request
from gouache.database import writing
from gouache.engines import Drawing
from gouache.images import Recipe
from gouache.making import Made, Stored, fileuuid_of
from gouache.settings import BUILT_IN

COLOURS = ("red", "blue", "green", "gold", "white")
THINGS = ("ball", "moon", "coin", "button", "plate")
SIZES = ("1024x1024", "1024x1792", "1792x1024")


def prompt(number):
    """Return what the picture of this number, from 0, was asked for."""
    return f"A {COLOURS[number % 5]} {THINGS[number // 5 % 5]}, picture number {number}"


def seed_pictures(service, count, *, stubref=None):
    """Write down `count` tasks that have ended, in the order of their numbers; return their UUIDs."""
    with writing(service._engine) as connection:
        return [_ended(service, connection, number, stubref) for number in range(count)]


def _ended(service, connection, number, stubref):
    size = SIZES[number % 3]
    row = _inserted(connection, {"prompt": prompt(number), "size": size}, stubref)
    png = _numbered(_disc(size, COLOURS[number % 5]), number)
    name = f"picture-{number}.png"
    file = FileObject(
        fileuuid=fileuuid_of(row.taskuuid),
        filename=name,
        originalname=name,
        contentType=images.CONTENT_TYPE,
    )
    stored = Stored(file=file, size=len(png), stored=f"{file.fileuuid}-00")
    path = service._files.path(stored.stored)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(png)  # as `put` does, but without waiting for the disk
    drawing = Drawing(None, "fake-1", number, prompt(number))
    result = results.drawn(row, drawing, file, alt_text=f"{prompt(number)}.", started=ledger.now())
    made = Made(result=result, stored=stored, is_shown=True)
    assert service._stubs.end(connection, row, "succeeded", result, made=made)
    return row.taskuuid


def _inserted(connection, params, stubref):
    stubpostuuid = str(uuid.uuid4()) if stubref else None
    if stubref:
        ledger.insert_stubpost(
            connection, stubref, stubpostuuid, action="draw", message="", data={}, attachments=[]
        )
    return ledger.insert_task(
        connection,
        taskuuid=str(uuid.uuid4()),
        stubref=stubref,
        stubpostuuid=stubpostuuid,
        name="generate_image",
        tasktype="generate_image",
        taskapigatewayuuid=str(BUILT_IN_GATEWAY),
        gateway=BUILT_IN,
        params=params,
        conditions=None,
        warnings=[],
        seed=None,
        priority=0,
        state="queued",
    )


@cache
def _disc(size, colour):
    """Return the PNG of a disc on a grey ground, with a recipe as our pictures have it."""
    width, height = map(int, size.split("x"))
    image = Image.new("RGB", (width, height), "#99a")
    x, y, radius = width // 2, height // 2, min(width, height) // 3
    ImageDraw.Draw(image).ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)
    request = read_request({"prompt": colour, "size": size, "seed": 1})
    recipe = Recipe(request=request, seed=1, model="fake-1", revised_prompt=colour)
    return images.encode_png(np.asarray(image), recipe)


def _numbered(png, number):
    """Return a PNG with a comment before its end: the same picture in other bytes."""
    chunk = b"tEXtComment\0" + str(number).encode()
    length, check = len(chunk) - 4, zlib.crc32(chunk)
    return png[:-12] + length.to_bytes(4, "big") + chunk + check.to_bytes(4, "big") + png[-12:]
