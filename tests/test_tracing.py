"""Tracing: a flat picture as an SVG that shows the same, and no other picture."""

import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from PIL import Image

from gouache.errors import RequestError
from gouache.tracing import FLAT_SHARE, trace
from tests.pictures import GREEN, RED, disc, landscape, rainbow

SVG = "{http://www.w3.org/2000/svg}"


def fills(svg):
    return [
        tuple(int(fill[i : i + 2], 16) for i in (0, 2, 4))
        for fill in re.findall(r'fill="#(\w{6})"', svg)
    ]


def test_a_disc_on_a_ground_is_two_layers_of_their_colours():
    svg = trace(Image.fromarray(disc(512, 512)), 100, 100, title="A disc.")
    assert len(fills(svg)) == 2
    for found, colour in zip(fills(svg), (GREEN, RED), strict=True):
        assert np.abs(np.array(found) - colour).max() < 12
    root = ElementTree.fromstring(svg)
    assert root.attrib["viewBox"] == "0 0 512 512"
    assert (root.attrib["width"], root.attrib["height"], root.attrib["role"]) == (
        "100",
        "100",
        "img",
    )
    assert root.find(f"{SVG}title").text == "A disc."


def test_what_is_clear_has_no_layer():
    image = Image.fromarray(disc(256, 256)).convert("RGBA")
    y, x = np.mgrid[0:256, 0:256]
    inside = np.hypot(x - 127.5, y - 127.5) < 70
    image.putalpha(Image.fromarray(inside.astype(np.uint8) * 255))
    (only,) = fills(trace(image, 256, 256, title=""))
    assert np.abs(np.array(only) - RED).max() < 12


def test_the_title_is_text_and_never_markup():
    svg = trace(Image.fromarray(landscape()), 9, 9, title='<script>"&</script>')
    assert ElementTree.fromstring(svg).find(f"{SVG}title").text == '<script>"&</script>'
    assert "<script" not in svg
    assert "<title" not in trace(Image.fromarray(landscape()), 9, 9, title="")


def test_the_same_picture_is_traced_the_same():
    image = Image.fromarray(disc(300, 200))
    assert trace(image, 3, 2, title="x") == trace(image, 3, 2, title="x")


def test_a_picture_that_is_not_flat_is_refused_with_what_was_measured():
    with pytest.raises(RequestError, match="not: its .* main colours tell .*% of it") as caught:
        trace(Image.fromarray(rainbow()), 256, 256, title="")
    assert caught.value.param == "format"
    assert f"{FLAT_SHARE:.0%}" in caught.value.message


def test_noise_is_refused():
    noise = np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype=np.uint8)
    with pytest.raises(RequestError, match="not flat|is not"):
        trace(Image.fromarray(noise).resize((1024, 1024)), 256, 256, title="")
