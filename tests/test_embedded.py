"""Our own model behind the engine seam, in miniature; `test_engines.py` has the shared suite."""

import numpy as np
import pytest

from gouache.contract import SIZES, read_request
from gouache.engines.embedded import SHAPE_OF_SIZE, EmbeddedEngine
from gouache.errors import Cancelled, UnsupportedByEngine, WeightsUnusable
from gouache.scene import STYLES
from gouache.settings import Settings
from tests.tiny_model import write_model

PROMPT = "A white cat sitting on a red race car."


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def engine(folder):
    return EmbeddedEngine(Settings(threads=1), weights=folder)


def draw(engine, on_step=None, **params):
    return engine.generate(read_request({"prompt": PROMPT, "seed": 7} | params), on_step)


@pytest.mark.parametrize("size", SIZES)
def test_each_size_is_drawn_exactly(engine, size):
    width, height = map(int, size.split("x"))
    assert draw(engine, size=size).pixels.shape == (height, width, 3)
    assert set(SHAPE_OF_SIZE) == set(SIZES)


def test_the_drawing_says_what_was_drawn(engine):
    drawing = draw(engine)
    assert drawing.model == "gouache-1"
    assert drawing.seed == 7
    assert "white cat sitting on a red race car" in drawing.revised_prompt
    assert drawing.unresolved == ()
    assert drawing.warnings == ()


def test_what_is_not_understood_is_said(engine):
    drawing = draw(engine, prompt="A white cat with a quxbrimble")
    assert "quxbrimble" in " ".join(drawing.unresolved)


@pytest.mark.parametrize(("quality", "steps"), [("standard", 3), ("hd", 5)])
def test_quality_is_a_number_of_steps(engine, quality, steps):
    heard = []
    draw(engine, heard.append, quality=quality, prompt="A white cat")
    assert [step.step for step in heard] == list(range(1, steps + 1))
    assert {step.steps for step in heard} == {steps}
    assert heard[-1].preview.shape == (128, 128, 3)


def test_same_seed_same_pixels_and_another_seed_others(engine):
    first = draw(engine).pixels
    np.testing.assert_array_equal(first, draw(engine).pixels)
    assert (first != draw(engine, seed=8).pixels).any()


def test_without_a_seed_one_is_chosen_and_told(engine):
    drawing = engine.generate(read_request({"prompt": PROMPT}))
    np.testing.assert_array_equal(drawing.pixels, draw(engine, seed=drawing.seed).pixels)


def test_cancelling_stops_after_one_step(engine):
    heard = []

    def stop(step):
        heard.append(step)
        raise Cancelled("enough")

    with pytest.raises(Cancelled):
        draw(engine, stop)
    assert len(heard) == 1


@pytest.mark.parametrize("style", STYLES)
def test_the_style_asked_for_is_drawn(engine, style):
    drawing = draw(engine, style=style)
    assert STYLES[style] in drawing.revised_prompt
    assert drawing.warnings == ()


def test_the_style_field_wins_over_the_prompt(engine):
    drawing = draw(engine, prompt=f"{PROMPT} Flat style.", style="cartoon")
    assert STYLES["cartoon"] in drawing.revised_prompt


def test_a_style_in_which_something_is_not_known_is_said(engine):
    drawing = draw(engine, prompt="A person", style="soft")
    assert any("soft 3D style" in sentence for sentence in drawing.warnings)


def test_a_style_that_is_none_is_refused_before_anything_is_loaded(tmp_path):
    engine = EmbeddedEngine(Settings(), weights=tmp_path)
    with pytest.raises(UnsupportedByEngine, match="style 'oil' is not supported"):
        draw(engine, style="oil")


def test_missing_weights_are_said_when_drawing_and_not_before(tmp_path):
    engine = EmbeddedEngine(Settings(), weights=tmp_path)
    assert "dall-e-3" in engine.capabilities.models
    with pytest.raises(WeightsUnusable, match="model.json is missing"):
        draw(engine)


def test_compiled_graphs_are_kept(folder, tmp_path):
    cache = tmp_path / "cache"
    first = draw(EmbeddedEngine(Settings(threads=1, cache_dir=cache), weights=folder))
    assert list(cache.iterdir())
    again = draw(EmbeddedEngine(Settings(threads=1, cache_dir=cache), weights=folder))
    np.testing.assert_array_equal(first.pixels, again.pixels)


def test_words_are_set_over_the_finished_picture(engine):
    drawing = draw(engine, prompt='a poster with the words "Blue Hour"')
    assert "with the words “Blue Hour”" in drawing.revised_prompt
    title = drawing.pixels[60:260, 70:950].reshape(-1, 3)
    _, counts = np.unique(title, axis=0, return_counts=True)
    assert counts.max() > 5000  # type is of one colour, which nothing that is drawn is


def test_words_that_cannot_be_set_are_warned_of(engine):
    drawing = draw(engine, prompt='a poster with the words "花子"')
    assert drawing.unresolved == ("花子",)
    assert "花" in drawing.warnings[0]


def test_a_rewriter_that_is_not_there_is_warned_of(folder):
    settings = Settings(rewriter_url="http://127.0.0.1:9/v1")
    drawing = draw(EmbeddedEngine(settings, weights=folder), prompt=PROMPT)
    assert "the rewriter cannot be reached" in drawing.warnings[0]
    assert "a white cat" in drawing.revised_prompt
