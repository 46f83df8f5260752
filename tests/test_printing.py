"""The PDF of a picture: read back by hand, for the format says where everything is."""

import re
import zlib

import numpy as np
import pytest
from PIL import Image

from gouache.printing import page_of
from tests.pictures import disc


def objects(data):
    """Return each object by its number, found through the table at the end of the file."""
    start = int(re.search(rb"startxref\n(\d+)\n%%EOF", data)[1])
    table = data[start:].splitlines()
    assert table[0] == b"xref"
    count = int(table[1].split()[1])
    places = [int(line.split()[0]) for line in table[3 : 2 + count]]
    found = {}
    for number, place in enumerate(places, 1):
        head = b"%d 0 obj\n" % number
        assert data[place:].startswith(head)
        found[number] = data[place + len(head) : data.index(b"\nendobj", place)]
    return found


def samples(entry):
    """Return the pixels in an image's stream, by undoing the differences between its rows."""
    numbers = dict(re.findall(rb"/(Width|Height|Colors|Columns|Length) (\d+)", entry))
    width, height, channels = (int(numbers[name]) for name in (b"Width", b"Height", b"Colors"))
    stream = entry.split(b"stream\n", 1)[1][: int(numbers[b"Length"])]
    rows = np.frombuffer(zlib.decompress(stream), np.uint8).reshape(height, -1)
    assert (rows[:, 0] == 2).all()
    assert int(numbers[b"Columns"]) == width
    return np.cumsum(rows[:, 1:], axis=0, dtype=np.uint8).reshape(height, width, channels)


@pytest.mark.parametrize("dpi", [72, 300, 1])
def test_the_page_has_the_size_of_the_picture_in_print(dpi):
    data = page_of(Image.fromarray(disc(150, 300)), dpi=dpi, words="A disc.")
    box = re.search(rb"/MediaBox \[0 0 ([\d.]+) ([\d.]+)\]", data)
    assert float(box[1]) == pytest.approx(300 * 72 / dpi, abs=1e-3)
    assert float(box[2]) == pytest.approx(150 * 72 / dpi, abs=1e-3)


def test_the_picture_is_in_the_file_without_loss():
    pixels = disc(150, 300)
    found = objects(page_of(Image.fromarray(pixels), dpi=300, words=""))
    np.testing.assert_array_equal(samples(found[5]), pixels)
    assert len(found) == 8
    assert b"/SMask" not in found[5]


def test_what_is_clear_is_so_in_print():
    image = Image.fromarray(disc(40, 60)).convert("RGBA")
    alpha = np.arange(2400, dtype=np.uint8).reshape(40, 60)
    image.putalpha(Image.fromarray(alpha))
    found = objects(page_of(image, dpi=300, words=""))
    assert b"/SMask 9 0 R" in found[5]
    np.testing.assert_array_equal(samples(found[9])[..., 0], alpha)
    assert b"/DeviceGray" in found[9]


def test_the_words_are_the_title_and_the_description_of_the_figure():
    words = "Zoë (a fox) \U0001f98a \\"
    found = objects(page_of(Image.fromarray(disc(8, 8)), dpi=300, words=words))
    written = b"<" + ("\ufeff" + words).encode("utf-16-be").hex().encode() + b">"
    assert b"/Title " + written in found[8]
    assert b"/Alt " + written in found[7]
    assert b"/Marked true" in found[1]


def test_the_same_picture_gives_the_same_file():
    image = Image.fromarray(disc(30, 30))
    assert page_of(image, dpi=72, words="x") == page_of(image, dpi=72, words="x")
