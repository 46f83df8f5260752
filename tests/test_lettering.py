"""Words over pictures: where they stand, that they can be read, and which cannot be set."""

import numpy as np
import pytest

from gouache.lettering import CONTRAST, MARGIN, Line, contrast, letter, problem, spelt
from gouache.scene import Box

TOP = Box(0.5, 0.16, 0.9, 0.22)
NAME = (Line("Acme Bakery"),)


def plain(colour, size=(1024, 1024)):
    pixels = np.empty((size[1], size[0], 3), np.uint8)
    pixels[:] = colour
    return pixels


def busy(size=(1024, 1024)):
    """Return black and white squares, on which no colour can be read."""
    rows, columns = np.mgrid[: size[1], : size[0]]
    return np.repeat((((rows // 16 + columns // 16) % 2) * 255)[..., None], 3, 2).astype(np.uint8)


def changed(before, after):
    """Return the rectangle (left, top, right, bottom) in which the two pictures differ."""
    rows, columns = np.nonzero((before != after).any(axis=2))
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


def test_words_stand_in_their_zone_and_within_the_margins():
    before = plain((255, 255, 255))
    for zone in (TOP, Box(0.5, 0.5, 1.0, 1.0), Box(0.9, 0.9, 0.4, 0.4)):
        left, top, right, bottom = changed(before, letter(before, NAME, zone))
        assert left >= max(MARGIN, zone.cx - zone.w / 2) * 1024 - 4
        assert right <= min(1 - MARGIN, zone.cx + zone.w / 2) * 1024 + 4
        assert top >= (zone.cy - zone.h / 2) * 1024 - 4
        assert bottom <= min(1 - MARGIN, zone.cy + zone.h / 2) * 1024 + 4


@pytest.mark.parametrize("size", [(1024, 1024), (1792, 1024), (1024, 1792)])
def test_words_are_large_enough_to_be_read_and_centred(size):
    before = plain((250, 240, 220), size)
    left, top, right, bottom = changed(before, letter(before, NAME, TOP))
    assert bottom - top > 0.06 * 1024
    assert abs((left + right) / 2 - size[0] / 2) < 0.02 * size[0]


def test_words_at_the_left_begin_at_the_edge_of_their_zone():
    before = plain((255, 255, 255))
    left, *_ = changed(before, letter(before, NAME, Box(0.4, 0.5, 0.6, 0.5), left=True))
    assert abs(left - 0.1 * 1024) < 16


@pytest.mark.parametrize(
    "ground",
    [(0, 0, 0), (255, 255, 255), (128, 128, 128), (255, 0, 0), (250, 204, 34), (36, 104, 222)],
)
@pytest.mark.parametrize("ink", [(20, 150, 146), (250, 204, 34), (24, 38, 92)])
def test_words_keep_their_contrast_on_any_colour(ground, ink):
    before = plain(ground)
    after = letter(before, NAME, TOP, inks=[ink])
    left, top, right, bottom = changed(before, after)
    inside = after[top:bottom, left:right].reshape(-1, 3)
    colours, counts = np.unique(inside, axis=0, return_counts=True)
    paper, type_ = (tuple(int(v) for v in colours[i]) for i in np.argsort(-counts)[:2])
    assert contrast(paper, type_) >= CONTRAST


def test_a_suitable_colour_of_the_picture_comes_before_black():
    after = letter(plain((255, 255, 255)), NAME, TOP, inks=[(250, 204, 34), (140, 26, 36)])
    assert (after == (140, 26, 36)).all(axis=2).any()
    assert not (after == (250, 204, 34)).all(axis=2).any()


def test_a_plate_makes_words_readable_on_a_busy_ground():
    before = busy()
    after = letter(before, NAME, TOP)
    left, top, right, bottom = changed(before, after)
    inside = after[top + 12 : bottom - 12, left + 12 : right - 12].reshape(-1, 3).mean(axis=1)
    paper = inside[inside > 150]
    assert len(paper) > 0.5 * len(inside)
    ratios = [contrast((int(v),) * 3, (24, 28, 44)) for v in np.quantile(paper, (0.02, 0.5))]
    assert min(ratios) >= CONTRAST


def test_a_plate_can_be_asked_for():
    before = plain((160, 212, 245))
    bare, plated = letter(before, NAME, TOP), letter(before, NAME, TOP, plate=True)
    assert changed(before, plated)[1] < changed(before, bare)[1]


def test_words_move_to_the_calmer_part_of_their_zone():
    before = busy()
    before[500:, :] = 255
    _, top, _, _ = changed(before, letter(before, [Line("Acme")], Box(0.5, 0.45, 0.9, 0.5)))
    assert top >= 480


def test_long_words_break_into_even_rows():
    before = plain((255, 255, 255))
    words = "The Society for the Friends of Old Steam Engines and Narrow Railways"
    left, top, right, bottom = changed(before, letter(before, [Line(words)], TOP))
    assert right - left <= 0.9 * 1024
    assert bottom - top > 0.1 * 1024


def test_a_minor_line_is_smaller():
    before = plain((255, 255, 255))
    one = changed(before, letter(before, [Line("Maria")], TOP))
    two = changed(before, letter(before, [Line("Maria", is_main=False)], TOP))
    assert two[3] - two[1] < 0.7 * (one[3] - one[1])


def test_what_does_not_fit_is_left_out():
    before = plain((255, 255, 255))
    assert (letter(before, [Line("word " * 200)], Box(0.5, 0.5, 0.1, 0.05)) == before).all()


def test_the_picture_given_is_left_as_it_was():
    before = plain((255, 255, 255))
    letter(before, NAME, TOP)
    assert (before == 255).all()


@pytest.mark.parametrize(
    "text",
    ["Acme", "Łódź & Söhne", "Ελλάδα", "Каспий", "Đặng", "O'Neill", "50 % off!", "№ 5 — café"],
)
def test_european_words_can_be_set(text):
    assert problem(text) is None


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("שלום", "right to left"),
        ("مرحبا", "right to left"),
        ("花子", "has “花”, which the fonts have not"),
        ("नमस्ते", "which the fonts have not"),
        ("🎉", "has no letters"),
        ("...", "has no letters"),
        ("", "has no letters"),
    ],
)
def test_words_that_cannot_be_set_say_why(text, why):
    assert why in problem(text)


def test_words_are_spelt_for_print():
    assert spelt("  O'Neill \n 🎉 &  Cie\u200b ") == "O’Neill & Cie"
    assert spelt("e\u0301te\u0301") == "été"
