"""Variants: what a query asks for, what comes of it, and what is refused."""

import io
import time
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from PIL import Image

from gouache.errors import RequestError
from gouache.images import read_recipe
from gouache.variants import CONTENT_TYPES, EXTENSIONS, circle_of, read_variant, render
from tests.pictures import ALT, GREEN, RED, WHITE, disc, landscape, opened, png, rainbow

SOURCE = png(disc(300, 200))
TALL = png(disc(512, 256))


def variant(source=SOURCE, **query):
    return render(source, read_variant({name: str(value) for name, value in query.items()}))


def pixels(rendered):
    return np.asarray(opened(rendered.data).convert("RGBA")).astype(int)


def refusal(source=SOURCE, **query):
    with pytest.raises(RequestError) as caught:
        variant(source, **query)
    return caught.value


def near(pixel, colour):
    return max(abs(a - b) for a, b in zip(pixel, colour, strict=False)) <= 16


def test_without_a_parameter_a_variant_is_the_picture_with_its_recipe():
    rendered = variant()
    np.testing.assert_array_equal(pixels(rendered)[..., :3], disc(300, 200))
    assert read_recipe(rendered.data) == read_recipe(SOURCE)
    assert (rendered.width, rendered.height, rendered.warnings) == (200, 300, ())


@pytest.mark.parametrize(
    ("query", "size"),
    [
        ({"w": 100}, (100, 150)),
        ({"h": 100}, (67, 100)),
        ({"w": 100, "h": 100}, (100, 100)),
        ({"w": 100, "h": 100, "fit": "contain"}, (100, 100)),
        ({"w": 100, "h": 100, "fit": "fill"}, (100, 100)),
        ({"w": 100, "h": 100, "fit": "inside"}, (67, 100)),
        ({"w": 1}, (1, 2)),
        ({"w": 1, "h": 1}, (1, 1)),
        ({"w": 100, "circle": "true"}, (100, 100)),
        ({"h": 100, "circle": "true"}, (100, 100)),
        ({"circle": "true"}, (200, 200)),
        ({"w": 100, "circle": "true", "fit": "inside"}, (100, 100)),
    ],
)
def test_a_variant_has_the_size_asked_for(query, size):
    rendered = variant(**query)
    assert opened(rendered.data).size == (rendered.width, rendered.height) == size


def test_cover_cuts_off_what_is_too_much_on_both_sides():
    cut = pixels(variant(TALL, w=100, h=100))
    assert near(cut[50, 50], RED)
    assert near(cut[50, 15], RED) == near(cut[15, 50], RED)
    assert not near(cut[2, 2], RED)


def test_contain_adds_clear_margins_or_coloured_ones():
    clear = pixels(variant(TALL, w=200, h=100, fit="contain"))
    assert (clear[:, :70, 3] == 0).all()
    assert clear[50, 100, 3] == 255
    coloured = pixels(variant(TALL, w=200, h=100, fit="contain", background="0000ff"))
    assert (coloured[..., 3] == 255).all()
    assert tuple(coloured[5, 5]) == (0, 0, 255, 255)
    white = pixels(variant(TALL, w=200, h=100, fit="contain", format="jpeg"))
    assert near(white[5, 5], WHITE)


def test_fill_distorts():
    filled = pixels(variant(TALL, w=200, h=100, fit="fill"))
    reddish = [near(pixel, RED) for pixel in filled[50]]
    assert sum(reddish) > 1.8 * sum(near(pixel, RED) for pixel in filled[:, 100])


@pytest.mark.parametrize("form", CONTENT_TYPES)
def test_each_format_is_what_it_says(form):
    rendered = variant(format=form)
    begins = {
        "png": b"\x89PNG",
        "jpeg": b"\xff\xd8\xff",
        "webp": b"RIFF",
        "pdf": b"%PDF-1.7",
        "svg": b"<svg ",
        "ico": b"\0\0\1\0",
    }
    assert rendered.data.startswith(begins[form])
    assert (rendered.content_type, rendered.extension) == (CONTENT_TYPES[form], EXTENSIONS[form])
    assert rendered == variant(format=form), "the same variant has the same bytes"


def test_the_alternative_text_goes_along():
    assert opened(variant(w=50).data).info["Description"] == ALT
    for form in ("jpeg", "webp"):
        image = opened(variant(w=50, format=form).data)
        assert image.getexif()[270] == ALT
        assert ALT.encode() in image.info["xmp"]
    assert ("\ufeff" + ALT).encode("utf-16-be").hex().encode() in variant(format="pdf").data
    root = ElementTree.fromstring(variant(format="svg").data)
    assert root.find("{http://www.w3.org/2000/svg}title").text == ALT


def test_the_words_of_another_programs_picture_go_along():
    image = Image.fromarray(disc(20, 20))
    file = io.BytesIO()
    image.save(file, "PNG")
    assert "Description" not in opened(variant(file.getvalue()).data).info
    assert b"/Title <feff>" in variant(file.getvalue(), format="pdf").data


@pytest.mark.parametrize("form", ["JPEG", "WEBP", "GIF", "BMP", "TIFF"])
def test_pictures_of_three_formats_have_variants(form):
    file = io.BytesIO()
    Image.fromarray(disc(40, 60)).save(file, form)
    if form in ("JPEG", "WEBP"):
        assert opened(variant(file.getvalue(), w=30).data).size == (30, 20)
    else:
        assert "only PNG, JPEG and WebP" in refusal(file.getvalue(), w=30).message


def test_a_picture_is_turned_as_its_camera_was_held():
    file = io.BytesIO()
    exif = Image.Exif()
    exif[274] = 6
    Image.fromarray(landscape(40, 60)).save(file, "JPEG", exif=exif)
    rendered = variant(file.getvalue())
    assert (rendered.width, rendered.height) == (40, 60)


@pytest.mark.parametrize("data", [b"", b"hello", SOURCE[:100], SOURCE[: len(SOURCE) // 2]])
def test_what_is_no_picture_is_refused(data):
    assert refusal(data, w=10).message == "only PNG, JPEG and WebP pictures have variants"


def test_a_picture_too_large_is_refused_before_it_is_read():
    file = io.BytesIO()
    Image.new("1", (10_000, 5_001)).save(file, "PNG")
    assert "more than 50,000,000 pixels" in refusal(file.getvalue(), w=10).message


def test_an_avatar_is_a_circle_with_a_soft_edge_that_touches_all_sides():
    alpha = pixels(variant(w=64, circle="true"))[..., 3]
    assert alpha[0, 0] == alpha[63, 63] == alpha[8, 8] == 0
    assert min(alpha[32, 0], alpha[0, 32], alpha[32, 63], alpha[63, 32]) > 250
    np.testing.assert_array_equal(alpha, alpha[::-1, ::-1])
    assert alpha.sum() / 255 == pytest.approx(np.pi * 32**2, rel=0.01)
    soft = ((alpha > 0) & (alpha < 255)).sum()
    assert 100 < soft < 400


def test_a_circle_of_a_cutout_keeps_what_was_clear():
    image = Image.new("RGBA", (32, 32))
    assert circle_of(image).getextrema()[3] == (0, 0)


def test_a_circle_in_a_jpeg_stands_on_the_colour_given():
    drawn = pixels(variant(w=64, circle="true", format="jpeg", background="#0000ff"))
    assert near(drawn[1, 1], (0, 0, 255))
    assert near(drawn[32, 8], GREEN), "the ground inside the circle stays"


@pytest.mark.parametrize("fit", ["contain", "inside"])
@pytest.mark.parametrize("form", ["png", "svg", "ico"])
def test_a_circle_and_an_icon_are_square_in_every_fit(fit, form):
    circle = {} if form == "ico" else {"circle": "true"}
    rendered = variant(fit=fit, format=form, **circle)
    assert rendered.width == rendered.height
    if form != "svg":
        assert pixels(rendered)[rendered.height // 2, 0, 3] == 0, (
            "margins at the sides, not distorted"
        )


@pytest.mark.parametrize("form", CONTENT_TYPES)
@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (3, 2)])
def test_the_smallest_pictures_have_variants(form, size):
    source = png(np.full((*size, 3), 90, np.uint8))
    rendered = variant(source, format=form, background="00ff00")
    assert rendered.data


def test_a_logo_loses_its_ground():
    drawn = pixels(variant(background="transparent"))
    assert drawn[5, 5, 3] == 0
    assert drawn[150, 100, 3] == 255


def test_a_colour_takes_the_place_of_the_ground():
    for form in ("png", "jpeg"):
        drawn = pixels(variant(background="#ffcc00", format=form))
        assert near(drawn[5, 5], (255, 204, 0))
        assert near(drawn[150, 100], RED)


def test_a_picture_that_is_clear_already_keeps_its_clear_parts():
    logo = variant(background="transparent").data
    again = variant(logo, background="transparent", w=100)
    assert pixels(again)[2, 2, 3] == 0
    assert near(pixels(variant(logo, background="0000ff"))[5, 5], (0, 0, 255))
    assert near(pixels(variant(logo, format="jpeg"))[5, 5], WHITE)


def test_scaling_lets_no_colour_of_clear_pixels_shine_through():
    image = np.zeros((64, 64, 4), np.uint8)
    image[:, :, 1] = 255  # green, but clear
    image[16:48, 16:48] = (255, 0, 0, 255)
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    small = pixels(variant(file.getvalue(), w=23))
    assert small[small[..., 3] > 10][:, 1].max() < 40


def test_a_ground_that_is_not_plain_is_refused_or_left():
    for source, why in (
        (png(landscape()), "its main colour covers 5"),
        (png(rainbow()), "its main colour covers"),
        (png(np.full((64, 64, 3), 90, np.uint8)), "nothing else is in the picture"),
    ):
        error = refusal(source, background="transparent")
        assert error.param == "background"
        assert error.message.startswith("background cannot be transparent, for the picture has no")
        assert why in error.message
        left = variant(source, background="0000ff")
        assert "the background colour fills margins only" in left.warnings[0]
        assert not near(pixels(left)[1, 1], (0, 0, 255))


def test_a_traced_logo_has_the_size_asked_for_and_no_ground():
    rendered = variant(format="svg", background="transparent", w=64)
    root = ElementTree.fromstring(rendered.data)
    assert (root.attrib["width"], root.attrib["height"]) == ("64", "96")
    assert root.attrib["viewBox"] == "0 0 427 640"
    assert rendered.data.count(b"<path") == 1
    assert rendered.warnings == ()


def test_what_is_not_flat_is_not_traced():
    assert refusal(png(rainbow()), format="svg").param == "format"


def test_enlarging_more_than_twice_is_said():
    assert variant(w=400).warnings == ()
    (said,) = variant(w=500).warnings
    assert said == "enlarged 2.5 times from 200 x 300 pixels, so it shows no finer detail"
    (said,) = variant(w=400, h=600, fit="inside", format="pdf", circle="false").warnings or [""]
    assert said == ""
    assert "enlarged 4.0 times" in variant(w=800, h=100).warnings[0]


def test_a_budget_is_kept_and_a_smaller_size_said():
    rendered = variant(png(rainbow(600, 600)), format="jpeg", max_bytes=4000)
    assert len(rendered.data) <= 4000
    size = (rendered.width, rendered.height)
    assert opened(rendered.data).size == size < (600, 600)
    assert rendered.warnings == (f"made {size[0]} x {size[1]} to stay within 4,000 bytes",)


def test_a_density_is_written_and_is_300_for_a_pdf_by_itself():
    assert opened(variant(dpi=150).data).info["dpi"] == pytest.approx((150, 150), abs=0.02)
    assert b"/MediaBox [0 0 48.000 72.000]" in variant(format="pdf").data
    assert b"/MediaBox [0 0 96.000 144.000]" in variant(format="pdf", dpi=150).data


@pytest.mark.parametrize(
    ("query", "param", "message"),
    [
        ({"w": 0}, "w", "w must be a whole number from 1 to 4096; not '0'"),
        ({"w": "x"}, "w", "w must be a whole number from 1 to 4096; not 'x'"),
        ({"w": 4097}, "w", "from 1 to 4096"),
        ({"h": "1.5"}, "h", "from 1 to 4096"),
        ({"h": ""}, "h", "from 1 to 4096"),
        ({"fit": "zoom"}, "fit", "fit must be one of cover, contain, fill, inside; not 'zoom'"),
        ({"format": "gif"}, "format", "must be one of png, jpeg, webp, pdf, svg, ico; not 'gif'"),
        ({"circle": "maybe"}, "circle", "circle must be true or false; not 'maybe'"),
        ({"circle": "true", "w": 3, "h": 4}, "circle", "circle needs w and h to be equal"),
        (
            {"circle": "true", "format": "jpeg"},
            "circle",
            "circle needs a background colour in a jpeg",
        ),
        ({"background": "red"}, "background", "must match ^(transparent|#?[0-9a-fA-F]{6})$"),
        ({"background": "transparent", "format": "jpeg"}, "background", "use png or webp"),
        ({"quality": 101, "format": "jpeg"}, "quality", "from 1 to 100"),
        ({"quality": 50}, "quality", "quality is of no use with format png, only with jpeg, webp"),
        ({"max_bytes": 999, "format": "jpeg"}, "max_bytes", "from 1000 to 100000000"),
        ({"max_bytes": 9999}, "max_bytes", "of no use with format png"),
        ({"dpi": 0}, "dpi", "from 1 to 2400"),
        ({"dpi": 72, "format": "webp"}, "dpi", "of no use with format webp, only with png"),
        ({"w": 16, "format": "ico"}, "w", "w is of no use with format ico"),
        ({"width": 16}, "width", "'width' is not a parameter of a variant"),
        ({"formt": "png"}, "formt", "did you mean format?"),
        ({"h": 4000, "w": 4000, "quality": 3, "format": "svg"}, "quality", "of no use with"),
    ],
)
def test_a_bad_parameter_is_refused_by_name(query, param, message):
    error = refusal(**query)
    assert error.param == param
    assert message in error.message


def test_a_side_that_follows_the_other_is_limited_too():
    wide = png(disc(20, 100))
    error = refusal(wide, h=1000)
    assert (error.param, "5000 x 1000" in error.message) == ("h", True)
    assert refusal(png(disc(100, 20)), w=1000).param == "w"


def test_a_small_variant_costs_a_fraction_of_a_large_one():
    source = png(disc(1024, 1024))

    def cost(width):
        asked, seconds = read_variant({"w": str(width)}), []
        for _ in range(5):
            started = time.process_time()
            render(source, asked)
            seconds.append(time.process_time() - started)
        return min(seconds)

    assert cost(256) < 0.6 * cost(1023)
