import json
from dataclasses import replace

import numpy as np
import pytest

from gouache.diffusion import textures, weights
from gouache.diffusion.guide import (
    ENTRIES,
    PHRASE_WIDTH,
    References,
    covered,
    entries,
    guide,
    layout,
    painted,
    paste,
    resampling,
)
from gouache.scene import Background, Box, Item, Scene, rgb
from tests.tiny_model import draw_disc, write_bank

GOLDEN_ALPHA = [
    [0.0, 0.01, 0.25, 0.56],
    [0.42, 0.96, 0.68, 0.25],
    [0.77, 1.0, 0.96, 0.01],
    [0.27, 0.77, 0.42, 0.0],
]
"""Means of 4 x 4 pixels: a large disc low on the left, a small one high on the right."""

RED, WHITE = np.array([222, 45, 45]) / 127.5 - 1, np.ones(3)


@pytest.fixture(scope="module")
def references(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bank")
    write_bank(folder)
    return References(folder / weights.CONCEPTS, folder / weights.REFERENCES)


MIDDLE = Box(0.5, 0.5, 0.5, 0.5)


def item(concept="cat", box=MIDDLE, colour=None):
    return Item(concept, concept, box, colour)


def test_a_reference_is_what_was_packed(references):
    drawing, aspect = references.drawing("shield", "flat")
    straight = draw_disc(3) / 255
    np.testing.assert_allclose(drawing[:3], straight[:3] * straight[3], atol=1e-6)
    np.testing.assert_allclose(drawing[3], straight[3])
    assert aspect == 1


def test_a_style_that_is_not_drawn_gives_way_to_one_that_is(references):
    assert references.style_for("cat", "soft") == "soft"
    assert references.style_for("person", "soft") == "flat"
    assert references.style_for("no such thing", "soft") is None


def test_an_empty_scene_has_an_empty_guide(references):
    for height, width in ((128, 128), (224, 128), (128, 224)):
        drawn = guide(Scene(()), references, height=height, width=width)
        assert drawn.shape == (8, height // 2, width // 2)
        assert drawn.dtype == np.float32
        assert not drawn.any()


def test_an_unknown_concept_leaves_no_mark(references):
    assert not guide(Scene((item("unheard of"),)), references, height=128, width=128).any()


def test_a_drawing_lies_in_its_box(references):
    scene = Scene((item(box=Box(0.25, 0.5, 0.5, 0.25)),))
    alpha = guide(scene, references, height=128, width=128)[3]
    rows, columns = np.nonzero(alpha > 0.2)  # antialiasing spills a little into the next pixel
    # 16 px high around row 32, as wide as high, for it keeps its shape, around column 16
    assert (rows.min(), rows.max()) == (24, 39)
    assert (columns.min(), columns.max()) == (8, 23)
    assert alpha[32, 16] == pytest.approx(1)
    assert alpha.sum() == pytest.approx(np.pi * 8**2, rel=0.02), "the area of the disc"


def test_colours_are_told_where_the_item_is_seen(references):
    scene = Scene((item(colour="red"),))
    drawn = guide(scene, references, height=128, width=128)
    np.testing.assert_allclose(drawn[4:7, 32, 32], RED, atol=1e-5)
    np.testing.assert_allclose(drawn[7], drawn[3], atol=1e-6)
    assert not drawn[:, 0, 0].any()
    own = guide(Scene((item(),)), references, height=128, width=128)
    np.testing.assert_allclose(own[:3, 32, 32], draw_disc(4)[:3, 32, 32] / 127.5 - 1, atol=0.02)
    assert not own[4:].any()


def test_a_painted_drawing_keeps_its_outline_and_its_shades():
    drawing = np.zeros((4, 64, 64), np.float32)
    drawing[:, 8:56, 8:56] = np.array([0.9, 0.6, 0.2, 1])[:, None, None]
    drawing[:3, 30:34, 30:34] = 0.05  # an eye
    drawing[:3, 10:14, 10:14] = 1.0  # a highlight
    blue = painted(drawing, "blue")
    np.testing.assert_array_equal(blue[3], drawing[3])
    np.testing.assert_allclose(blue[:3, 20, 20] * 255, rgb("blue"), atol=0.1)
    assert blue[:3, 32, 32].max() < 0.1
    assert (blue[:3, 12, 12] > blue[:3, 20, 20]).all()
    assert not blue[:, :8].any()


def test_ink_takes_a_colour_flat():
    drawing = np.zeros((4, 64, 64), np.float32)
    drawing[3, 8:56, 8:56] = 1
    white = painted(drawing, "white")
    assert (white[:, 8:56, 8:56] == 1).all()


@pytest.mark.parametrize("kind", textures.TEXTURES)
def test_the_marks_of_a_texture_lie_behind_the_things(references, kind):
    scene = Scene((item(colour="red"),), Background(kind, ("navy", "white")))
    drawn = guide(scene, references, height=224, width=128)
    marks = textures.mask(kind, 112, 64)
    np.testing.assert_allclose(drawn[4:7, 56, 32], RED, atol=1e-5)
    behind = drawn[7, :16]
    np.testing.assert_allclose(behind, marks[:16], atol=1e-6)
    np.testing.assert_allclose(drawn[4, :16], marks[:16], atol=1e-6)  # white is 1


def test_a_gradient_and_a_landscape_leave_no_marks(references):
    for ground in (Background("gradient", ("teal", "navy")), Background("beach", ())):
        assert not guide(Scene((), ground), references, height=128, width=128).any()


def test_what_lies_in_front_hides_what_lies_behind(references):
    behind, before = item("disc", colour="red"), item("cat", Box(0.5, 0.5, 0.2, 0.2))
    drawn = guide(Scene((behind, before)), references, height=128, width=128)
    assert drawn[3, 32, 32] == pytest.approx(1)
    assert np.abs(drawn[4:8, 32, 32]).max() < 1e-6, "the cat keeps its own colours"
    assert drawn[7, 32, 20] == pytest.approx(1), "the disc is red where it is seen"
    turned = guide(Scene((before, behind)), references, height=128, width=128)
    np.testing.assert_allclose(turned[4:7, 32, 32], RED, atol=1e-5)


def test_a_golden_guide(references):
    scene = Scene(
        (item("disc", Box(0.4, 0.6, 0.7, 0.7), "white"), item("shield", Box(0.8, 0.2, 0.3, 0.3)))
    )
    drawn = guide(scene, references, height=32, width=32)
    blocks = drawn.reshape(8, 4, 4, 4, 4).mean((2, 4))
    np.testing.assert_allclose(blocks[3], GOLDEN_ALPHA, atol=0.01)
    assert blocks[7].sum() < blocks[3].sum()


@pytest.mark.parametrize("scale", [0.2, 0.5, 0.9, 1, 1.7, 5])
@pytest.mark.parametrize("centre", [-3.0, 16.0, 20.25, 40.0])
def test_resampling_keeps_flat_areas_flat_and_the_area_right(scale, centre):
    kept = resampling(32, centre, scale)
    assert kept.shape == (32, 64)
    assert (kept >= 0).all()
    assert kept.sum(1).max() <= 1 + 1e-5
    inside = np.abs(np.arange(32) + 0.5 - centre) < 32 * scale - max(1, scale)
    np.testing.assert_allclose(kept.sum(1)[inside], 1, atol=1e-5)
    whole = resampling(2000, 1000.0, scale)
    assert whole.sum() == pytest.approx(64 * scale, rel=0.02)


def test_resampling_at_scale_1_copies():
    np.testing.assert_allclose(resampling(64, 32.0, 1), np.eye(64), atol=1e-6)


@pytest.mark.parametrize("box", [Box(0.5, 0.5, 0, 0), Box(2, -3, 0.5, 0.5), Box(0.5, 0.5, 9, 9)])
def test_odd_boxes_are_pasted_without_harm(box):
    pasted = paste(draw_disc(1) / np.float32(255), 1.0, box, rows=64, columns=112)
    assert pasted.shape == (4, 64, 112)
    assert np.isfinite(pasted).all()
    assert pasted.max() <= 1


def test_coverage_is_exact():
    np.testing.assert_allclose(covered(0.5, 0.5, 4), [0, 1, 1, 0])
    np.testing.assert_allclose(covered(0.375, 0.25, 4), [0, 1, 0, 0])
    np.testing.assert_allclose(covered(0.5, 0.25, 4), [0, 0.5, 0.5, 0])
    np.testing.assert_allclose(covered(0.5, 0.1, 1), [0.1])
    np.testing.assert_allclose(covered(0, 0.5, 4), [1, 0, 0, 0])
    np.testing.assert_allclose(covered(2, 0.5, 4), [0, 0, 0, 0])


def test_a_box_covers_its_area():
    (_, entry) = entries(Scene((item(box=Box(0.43, 0.61, 0.37, 0.21)),)), height=224, width=128)
    assert entry.coverage.shape == (28, 16)
    assert entry.coverage.mean() == pytest.approx(0.37 * 0.21, rel=1e-5)


@pytest.mark.parametrize(
    ("background", "phrase", "colours"),
    [
        (Background("plain", ("white",)), "plain white background", [(255, 255, 255)]),
        (Background("sea", ()), "sea background", [None]),
        (
            Background("dots", ("white", "red")),
            "white background with red dots",
            [(255, 255, 255), (222, 45, 45)],
        ),
        (
            Background("gradient", ("red", "white")),
            "red to white gradient background",
            [(222, 45, 45), (255, 255, 255)],
        ),
    ],
)
def test_a_background_comes_first_and_covers_everything(background, phrase, colours):
    listed = entries(Scene((item(),), background), height=128, width=128)
    assert [entry.phrase for entry in listed] == [phrase] * len(colours) + ["cat"]
    assert [entry.colour for entry in listed[:-1]] == colours
    covers = np.stack([entry.coverage for entry in listed[:-1]])
    if background.kind == "gradient":
        np.testing.assert_allclose(covers.sum(0), 1)
        np.testing.assert_allclose(covers[0, :, 0], 1 - (np.arange(16) + 0.5) / 16, atol=1e-6)
    else:
        assert (covers == 1).all()


def test_more_items_than_entries_lose_those_at_the_back():
    many = tuple(Item("cat", f"cat {i}", Box(0.5, 0.5, 0.1, 0.1)) for i in range(12))
    listed = entries(Scene(many, Background("dots", ("white", "red"))), height=128, width=128)
    assert len(listed) == ENTRIES
    assert [entry.phrase for entry in listed[2:]] == [f"cat {i}" for i in range(4, 12)]


def test_a_layout_says_words_and_colours():
    scene = Scene((item(colour="red"), item("disc"), item(colour="white")))
    asked = []

    def vectors(phrases):
        asked.extend(phrases)
        return np.stack([np.full(384, i + 1, np.float32) for i in range(len(phrases))])

    phrases, coverage = layout(entries(scene, height=128, width=128), vectors)
    assert asked == ["plain white background", "cat", "disc"], (
        "each phrase once, without its colour"
    )
    assert phrases.shape == (ENTRIES, PHRASE_WIDTH)
    assert coverage.shape == (ENTRIES, 16, 16)
    np.testing.assert_allclose(phrases[:5, 0], [1, 2, 3, 2, 0])
    np.testing.assert_allclose(phrases[1, 384:], [*RED, 1], atol=1e-6)
    np.testing.assert_allclose(phrases[2, 384:], 0)
    np.testing.assert_allclose(phrases[3, 384:], [*WHITE, 1])
    assert not phrases[4:].any()
    assert not coverage[4:].any()


def test_a_colour_that_a_drawing_has_of_itself_is_said_but_not_painted(tmp_path):
    write_bank(tmp_path)
    rows = json.loads((tmp_path / "concepts.json").read_text())
    for row in rows:
        for drawn in row["styles"].values():
            drawn["colour"] = "red"
    (tmp_path / "concepts.json").write_text(json.dumps(rows))
    shown = References(tmp_path / "concepts.json", tmp_path / "references.bin")
    box = Box(0.5, 0.5, 0.5, 0.5)
    items = (Item("race car", "sports car", box, "red"), Item("cat", "cat", box, "white"))
    scene = shown.own_colours(Scene(items, style="cartoon"))
    assert scene.items == (replace(items[0], said="red sports car", colour=None), items[1])
    emblem = Scene(items, style="emblem")
    assert shown.own_colours(emblem) == emblem
