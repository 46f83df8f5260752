"""Bytes: words in each format, budgets kept, the same bytes for the same image."""

import io
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from PIL import Image

from gouache.encodings import ICON_SIDES, WORST_QUALITY, Words, as_ico, as_lossy, as_png, within
from gouache.errors import RequestError
from tests.pictures import disc, opened

WORDS = Words(alt="Zoë’s <fox> & a hen.", recipe='{"seed": 7}')
NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (200, 300, 3), dtype=np.uint8))


def test_a_png_carries_recipe_description_and_density():
    image = opened(as_png(NOISE, WORDS, dpi=300))
    assert image.info["gouache"] == WORDS.recipe
    assert image.info["Description"] == WORDS.alt
    assert image.info["dpi"] == pytest.approx((300, 300), abs=0.02)
    np.testing.assert_array_equal(np.asarray(image), np.asarray(NOISE))


@pytest.mark.parametrize("form", ["jpeg", "webp"])
def test_a_jpeg_and_a_webp_carry_the_words_twice_but_no_recipe(form):
    data = as_lossy(NOISE, form, WORDS, quality=80)
    image = opened(data)
    assert image.format == form.upper()
    assert image.getexif()[270].encode("latin-1").decode() == WORDS.alt
    root = ElementTree.fromstring(image.info["xmp"])
    said = [item.text for item in root.iter("{http://www.w3.org/1999/02/22-rdf-syntax-ns#}li")]
    assert said == [WORDS.alt, WORDS.alt]
    assert b"seed" not in data


@pytest.mark.parametrize("form", ["jpeg", "webp"])
def test_without_words_none_are_written(form):
    image = opened(as_lossy(NOISE, form, Words(), quality=80))
    assert 270 not in image.getexif()
    assert "xmp" not in image.info


def test_a_jpeg_is_a_baseline_one_with_its_density():
    image = opened(as_lossy(NOISE, "jpeg", Words(), quality=80, dpi=150))
    assert not image.info.get("progressive")
    assert image.info["dpi"] == (150, 150)


@pytest.mark.parametrize("form", ["jpeg", "webp"])
def test_a_budget_is_kept_with_the_best_quality_that_fits(form):
    sizes = {q: len(as_lossy(NOISE, form, WORDS, quality=q)) for q in range(WORST_QUALITY, 91)}
    budget = sizes[70] + 10
    data, size = within(NOISE, form, WORDS, max_bytes=budget, quality=90)
    assert (len(data), size) == (max(s for s in sizes.values() if s <= budget), NOISE.size)


def test_noise_of_the_best_quality_is_written_too():
    assert opened(as_lossy(NOISE, "jpeg", WORDS, quality=100)).size == NOISE.size


def test_a_generous_budget_leaves_the_quality_asked_for():
    data, _ = within(NOISE, "jpeg", WORDS, max_bytes=10**7, quality=40)
    assert data == as_lossy(NOISE, "jpeg", WORDS, quality=40)


@pytest.mark.parametrize("budget", [20_000, 6_000, 3_000])
def test_a_small_budget_makes_the_picture_smaller_and_keeps_its_shape(budget):
    data, (width, height) = within(NOISE, "jpeg", WORDS, max_bytes=budget, quality=85)
    assert budget / 2 < len(data) <= budget
    assert (width, height) < NOISE.size
    assert width / height == pytest.approx(1.5, rel=0.05)
    assert opened(data).size == (width, height)


def test_a_budget_that_cannot_be_kept_is_refused():
    with pytest.raises(RequestError, match=r"cannot be kept: at \d+ x \d+ it is [\d,]+") as caught:
        within(NOISE, "jpeg", WORDS, max_bytes=900, quality=85)
    assert caught.value.param == "max_bytes"


def test_an_icon_holds_its_three_sizes():
    with Image.open(io.BytesIO(as_ico(Image.fromarray(disc(100, 100))))) as icon:
        assert (
            icon.info["sizes"]
            == {(side, side) for side in ICON_SIDES}
            == {
                (16, 16),
                (32, 32),
                (48, 48),
            }
        )


@pytest.mark.parametrize("form", ["jpeg", "webp"])
def test_the_same_image_gives_the_same_bytes(form):
    assert as_lossy(NOISE, form, WORDS, quality=80) == as_lossy(NOISE, form, WORDS, quality=80)
    assert as_png(NOISE, WORDS) == as_png(NOISE, WORDS)
    assert as_ico(NOISE) == as_ico(NOISE)
