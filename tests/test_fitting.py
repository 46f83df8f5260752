import numpy as np
import pytest

from gouache.engines.fitting import fit, nearest_native

MEGAPIXEL = 1024 * 1024


@pytest.mark.parametrize(
    ("size", "pixels", "multiple", "native"),
    [
        ((1024, 1024), 512 * 512, 64, (512, 512)),
        ((1024, 1792), 512 * 512, 64, (384, 640)),
        ((1792, 1024), 512 * 512, 64, (640, 384)),
        ((1024, 1024), MEGAPIXEL, 64, (1024, 1024)),
        ((1024, 1792), MEGAPIXEL, 64, (768, 1344)),
        ((1792, 1024), MEGAPIXEL, 64, (1344, 768)),
        ((1024, 1792), 2 * MEGAPIXEL, 16, (1024, 1792)),
        ((1024, 1792), 16, 64, (64, 64)),
    ],
)
def test_the_nearest_native_size(size, pixels, multiple, native):
    assert nearest_native(*size, pixels=pixels, multiple=multiple) == native


def test_every_native_size_is_within_its_area_and_loses_little():
    for pixels in range(200_000, 2_000_000, 50_000):
        for multiple in (8, 16, 32, 64):
            for width, height in ((1024, 1024), (1024, 1792), (1792, 1024)):
                across, tall = nearest_native(width, height, pixels=pixels, multiple=multiple)
                assert across * tall <= pixels
                assert across % multiple == tall % multiple == 0
                ratio = across * height / tall / width
                assert 0.85 < ratio < 1.18, (pixels, multiple, across, tall)
                assert across * tall > 0.7 * min(pixels, width * height)


def striped(height, width):
    """A red picture with a white frame of an eighth of its sides."""
    picture = np.full((height, width, 3), 255, np.uint8)
    picture[height // 8 : -height // 8, width // 8 : -width // 8] = (255, 0, 0)
    return picture


def test_a_picture_of_the_size_is_left_as_it_is():
    picture = striped(64, 64)
    fitted, warnings = fit(picture, 64, 64)
    assert fitted is picture
    assert warnings == ()


@pytest.mark.parametrize(
    ("drawn", "size", "words"),
    [
        ((512, 512), (1024, 1024), "drawn at 512x512, enlarged to 1024x1024"),
        ((2048, 2048), (1024, 1024), "drawn at 2048x2048, reduced to 1024x1024"),
        ((1344, 768), (1792, 1024), "drawn at 1344x768, enlarged to 1792x1024"),
        ((1024, 1024), (1024, 1792), "cut at the sides and enlarged to 1024x1792"),
        ((1024, 1024), (1792, 1024), "cut at top and bottom and enlarged to 1792x1024"),
        ((1536, 1024), (1024, 1024), "drawn at 1536x1024, cut at the sides to 1024x1024"),
    ],
)
def test_a_picture_is_brought_to_the_exact_size_and_that_is_said(drawn, size, words):
    fitted, (sentence,) = fit(striped(drawn[1], drawn[0]), *size)
    assert fitted.shape == (size[1], size[0], 3)
    assert fitted.dtype == np.uint8
    assert words in sentence
    np.testing.assert_array_equal(fitted[size[1] // 2, size[0] // 2], (255, 0, 0))


def test_as_much_is_cut_away_on_one_side_as_on_the_other():
    fitted, _ = fit(striped(1024, 1024), 1024, 1792)
    np.testing.assert_array_equal(fitted, fitted[::-1])
    np.testing.assert_array_equal(fitted, fitted[:, ::-1])
