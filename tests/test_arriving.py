"""Pictures that arrive from elsewhere: what is kept, what is put right, what is refused."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from gouache.engines.arriving import ORIENTATION, arrived, decoded, preview
from gouache.errors import EngineError, EngineUnavailable
from tests.doubles.pictures import bomb, picture


def saved(image, form="PNG", **options):
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def test_base64_is_read_bare_and_in_a_data_url():
    text = base64.b64encode(b"picture").decode()
    assert decoded(text) == decoded(f"data:image/png;base64,{text}") == b"picture"


@pytest.mark.parametrize("text", ["not base64!", "abc", "é", "YWJj\x00"])
def test_broken_base64_may_be_whole_the_next_time(text):
    with pytest.raises(EngineUnavailable, match="not base64"):
        decoded(text)


@pytest.mark.parametrize("mode", ["RGBA", "P", "L", "I;16", "CMYK", "1"])
def test_pixels_are_rgb_whatever_the_file_has(mode):
    form = "JPEG" if mode == "CMYK" else "PNG"
    got = arrived(saved(Image.new(mode, (32, 48)), form), 32, 48)
    assert (got.pixels.shape, got.pixels.dtype) == ((48, 32, 3), np.uint8)
    assert got.encoded is not None


def test_what_is_transparent_shows_white_and_the_file_stays_as_it_is():
    data = saved(Image.new("RGBA", (32, 32), (200, 0, 0, 0)))
    got = arrived(data, 32, 32)
    assert (got.pixels == 255).all()
    assert got.encoded.data == data


def test_a_photograph_on_its_side_is_set_upright_and_its_file_not_kept():
    image = Image.new("RGB", (48, 32), "black")
    image.paste("white", (0, 0, 24, 32))
    exif = Image.Exif()
    exif[ORIENTATION] = 6  # to be turned by a quarter
    got = arrived(saved(image, "JPEG", exif=exif), 32, 48)
    assert got.pixels.shape == (48, 32, 3)
    assert got.encoded is None
    assert got.pixels[:20].min() > 200
    assert got.pixels[-20:].max() < 50


def test_another_size_is_brought_to_the_one_asked_for():
    got = arrived(picture("x", size="640x512"), 1024, 1024)
    assert got.pixels.shape == (1024, 1024, 3)
    assert got.encoded is None
    assert got.warnings == ("drawn at 640x512, cut at the sides and enlarged to 1024x1024",)


@pytest.mark.parametrize("data", [b"", b"GIF89a", b"<svg/>", picture("x")[:3000]])
def test_what_is_no_whole_picture_is_refused(data):
    for look in (lambda: arrived(data, 1024, 1024), lambda: preview(data)):
        with pytest.raises(EngineUnavailable, match="not a whole picture"):
            look()


def test_a_picture_that_would_fill_the_memory_is_not_opened():
    with pytest.raises(EngineError, match="too large: 9000x9000") as caught:
        arrived(bomb(), 1024, 1024)
    assert not caught.value.retryable


def test_a_preview_is_small():
    assert preview(picture("x", size="512x256")).shape == (64, 128, 3)
