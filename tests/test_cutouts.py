"""Cutouts: which grounds are plain, and what is left when one is taken away."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from gouache.cutouts import content_box, cut_out, find_ground
from tests.pictures import GREEN, RED, WHITE, disc, landscape, rainbow


def cut(pixels):
    ground = find_ground(pixels)
    assert ground.is_plain
    return cut_out(pixels, ground)


@pytest.mark.parametrize("ground", [GREEN, WHITE, (13, 40, 94)])
@pytest.mark.parametrize("size", [(256, 256), (300, 170), (1024, 1024), (64, 64), (40, 400)])
def test_the_ground_of_a_picture_is_its_borders_colour(ground, size):
    found = find_ground(disc(*size, ground=ground))
    assert found.is_plain
    assert np.abs(np.array(found.colour) - ground).max() <= 4


@pytest.mark.parametrize("draw", [landscape, rainbow])
def test_a_ground_of_many_colours_is_not_plain(draw):
    ground = find_ground(draw())
    assert not ground.is_plain
    assert ground.share < 0.7


def test_a_ground_that_grows_lighter_to_one_side_is_plain():
    pixels = disc(slope=40)
    alpha = cut(pixels)[..., 3]
    assert (alpha[:, :20] == 0).all()
    assert (alpha[:, -20:] == 0).all()


@pytest.mark.parametrize("size", [(256, 256), (700, 500), (1024, 1024)])
@pytest.mark.parametrize(
    ("ground", "colour"), [(GREEN, RED), (WHITE, (20, 20, 20)), ((20, 24, 90), (250, 250, 250))]
)
def test_a_disc_is_cut_out_with_a_soft_edge(size, ground, colour):
    cutout = cut(disc(*size, ground=ground, colour=colour))
    height, width = size
    y, x = np.mgrid[0:height, 0:width] + 0.5
    distance = np.hypot(x - width / 2, y - height / 2) - 0.3 * min(size)
    alpha = cutout[..., 3]
    assert (alpha[distance < -2] == 255).all()
    assert (alpha[distance > 3] == 0).all()
    assert ((alpha > 0) & (alpha < 255)).sum() > 20


def test_nothing_of_the_ground_shines_through_at_the_edge():
    cutout = cut(disc(512, 512, ground=WHITE, colour=(20, 20, 20), noise=0))
    seen = cutout[..., 3] > 30
    assert cutout[seen][:, :3].max() < 90, "a light rim would be seen on a dark page"


def test_the_colours_inside_stay_as_they_are():
    pixels = disc(256, 256)
    np.testing.assert_array_equal(cut(pixels)[100:150, 100:150, :3], pixels[100:150, 100:150])


def test_ground_that_the_picture_encloses_stays():
    image = Image.fromarray(np.full((256, 256, 3), 255, np.uint8))
    ImageDraw.Draw(image).ellipse((50, 50, 206, 206), outline=RED, width=24)
    cutout = cut(np.asarray(image))
    assert tuple(cutout[128, 128]) == (255, 255, 255, 255)
    assert cutout[10, 10, 3] == 0


def test_worn_corners_go_with_the_ground():
    pixels = disc(256, 256, ground=WHITE)
    for rows in (slice(4), slice(-4, None)):
        for columns in (slice(4), slice(-4, None)):
            pixels[rows, columns] = (90, 90, 90)
    assert (cut(pixels)[:10, :10, 3] == 0).all()


def test_where_all_is_ground_nothing_is_cut_out():
    pixels = np.full((64, 64, 3), 200, np.uint8)
    assert cut(pixels) is None


def test_thin_lines_keep_their_colour():
    image = Image.fromarray(np.full((512, 512, 3), 255, np.uint8))
    ImageDraw.Draw(image).line((100, 100, 400, 300), fill=(20, 20, 120), width=5)
    red, green, blue, alpha = cut(np.asarray(image))[200, 250]
    assert alpha == 255
    assert (red, green, blue) == (20, 20, 120)


def test_the_content_is_what_is_left():
    left, top, right, bottom = content_box(cut(disc(200, 400, radius=0.4)))
    assert max(abs(left - 120), abs(top - 20), abs(right - 280), abs(bottom - 180)) <= 2
    assert content_box(np.zeros((4, 6, 4), np.uint8)) == (0, 0, 6, 4)
