"""The pipeline, with a whole model in miniature: real graphs, tiny sizes.

The central promise is proved here: a picture starts from noise that the seed alone decides, and the
guide goes into the denoiser as conditioning and nowhere else.
"""

import threading
from dataclasses import fields, replace

import numpy as np
import pytest

from gouache.diffusion import graphs, weights
from gouache.diffusion.denoiser import Conditioning
from gouache.diffusion.pipeline import Pipeline, reduced, side_for, size, starting_noise, to_pixels
from gouache.errors import WeightsUnusable
from gouache.scene import Background, Box, Item, Scene, caption
from tests.tiny_model import write_model

CAR = Item("race car", "sports car", Box(0.5, 0.65, 0.8, 0.5), "red")
CAT = Item("cat", "cat", Box(0.5, 0.3, 0.52, 0.52), "white")
SCENE = Scene((CAR, CAT), Background("plain", ("light blue",)), relation="sitting on")
OTHER = Scene((CAT,), Background("plain", ("navy",)))
SHAPES = {"square": (1024, 1024), "tall": (1792, 1024), "wide": (1024, 1792)}

GOLDEN = np.array(
    [
        [[149, 174, 190], [230, 239, 245], [231, 239, 245], [149, 174, 189]],
        [[162, 167, 182], [255, 251, 252], [255, 251, 252], [162, 167, 182]],
        [[175, 148, 164], [254, 89, 103], [254, 89, 103], [175, 149, 164]],
        [[163, 157, 173], [200, 117, 132], [200, 117, 132], [163, 157, 173]],
    ]
)
"""Means of 256 x 256 pixels of the miniature model's picture of SCENE, seed 7, 3 steps."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def pipeline(folder):
    return Pipeline.open(folder, threads=1)


def draw(pipeline, scene=SCENE, **options):
    options = {"num_inference_steps": 3, "seed": 7} | options
    return pipeline(scene, caption(scene), **options)


def taken_apart(pipeline, *, denoiser=None, upscaler=None):
    """Return the same pipeline with another denoiser or upscaler."""
    return Pipeline(
        pipeline.model,
        text_encoder=pipeline.text_encoder,
        references=pipeline.references,
        denoiser=denoiser or pipeline._denoiser,
        upscaler=upscaler or pipeline._upscaler,
    )


@pytest.mark.parametrize("shape", SHAPES)
def test_a_picture_has_its_shape_s_exact_size(pipeline, shape):
    pixels = draw(pipeline, Scene((CAT,), shape=shape))
    assert pixels.shape == (*SHAPES[shape], 3)
    assert pixels.dtype == np.uint8


@pytest.mark.parametrize(("shape", "small"), [("square", (192, 192)), ("wide", (192, 336))])
def test_a_scene_with_a_small_thing_is_drawn_larger(pipeline, shape, small):
    large = Item("cat", "cat", Box(0.5, 0.5, 0.55 / SHAPES[shape][1] * 1024, 0.55))
    drawn = {length: replace(large, box=Box(0.5, 0.5, 0.01, length)) for length in (0.49, 0.51)}
    for length, height in ((0.49, small[0]), (0.51, 128)):
        scene = Scene((large, drawn[length]), shape=shape)
        cond = pipeline.condition(scene, "a cat")
        assert cond.guide.shape[2] == height // 2
        assert cond.coverage.shape[3] == height * small[1] // small[0] // 8
    assert draw(pipeline, Scene((drawn[0.49],), shape=shape)).shape == (*SHAPES[shape], 3)
    assert side_for(Scene((drawn[0.49],)), 64) == 64, "96 would not fit the coarsest cells"


def test_what_is_drawn_larger_is_reduced_by_area():
    x = np.arange(2 * 6 * 9, dtype=np.float32).reshape(1, 2, 6, 9)
    fine = x.repeat(2, 2).repeat(2, 3)  # six pixels for three, so three of them are two of ours
    expected = fine.reshape(1, 2, 4, 3, 6, 3).mean((3, 5))
    np.testing.assert_allclose(reduced(x), expected, rtol=1e-5)


def test_a_golden_picture(pipeline):
    blocks = draw(pipeline).reshape(4, 256, 4, 256, 3).mean((1, 3))
    np.testing.assert_allclose(blocks, GOLDEN, atol=2)


def test_same_seed_same_pixels(folder, pipeline):
    first = draw(pipeline)
    np.testing.assert_array_equal(first, draw(pipeline))
    np.testing.assert_array_equal(first, draw(Pipeline.open(folder, threads=1)))
    assert (first != draw(pipeline, seed=8)).any()


def test_caption_scene_and_guidance_reach_the_picture(pipeline):
    first = draw(pipeline)
    assert (first != draw(pipeline, OTHER)).mean() > 0.1
    assert (first != draw(pipeline, guidance_scale=4)).mean() > 0.1
    other_words = pipeline(SCENE, "something else entirely", num_inference_steps=3, seed=7)
    assert (first != other_words).any()


def test_the_start_is_noise_that_the_seed_alone_decides(pipeline):
    starts = []

    def denoiser(x, t, conditioning):
        if t == 0:
            starts.append(x.copy())
        return pipeline._denoiser(x, t, conditioning)

    watched = taken_apart(pipeline, denoiser=denoiser)
    for scene in (SCENE, OTHER):
        for steps in (1, 3):
            draw(watched, scene, num_inference_steps=steps)
    assert len(starts) == 8, "each walk asks for the conditional and the unconditional at t = 0"
    expected = np.random.default_rng(7).standard_normal((1, 3, 128, 128), np.float32)
    for start in starts:
        np.testing.assert_array_equal(start, expected)
    assert abs(expected.mean()) < 0.02
    assert abs(expected.std() - 1) < 0.02
    np.testing.assert_array_equal(starting_noise(7, height=128, width=128), expected)


def test_a_denoiser_that_ignores_the_scene_draws_the_same_whatever_the_guide(pipeline):
    blind = taken_apart(pipeline, denoiser=lambda x, t, conditioning: np.tanh(x + np.float32(t)))
    first = draw(blind, SCENE)
    np.testing.assert_array_equal(first, draw(blind, OTHER))
    np.testing.assert_array_equal(first, draw(blind, Scene(())))


def test_a_denoiser_that_predicts_grey_leaves_no_trace_of_the_guide(pipeline):
    grey = taken_apart(pipeline, denoiser=lambda x, t, conditioning: np.zeros_like(x))
    assert (draw(grey) == 128).all()


def test_the_upscaler_sees_the_sampled_picture_and_nothing_else(pipeline):
    seen = []

    def upscaler(*arrays):
        seen.append(arrays)
        return pipeline._upscaler(*arrays)

    whole = taken_apart(pipeline, upscaler=upscaler)
    pixels = draw(whole)
    ((small,),) = seen
    cond = whole.condition(SCENE, caption(SCENE))
    sampled = whole.sample(cond, num_inference_steps=3, seed=7)
    np.testing.assert_array_equal(small, sampled)
    np.testing.assert_array_equal(pixels, to_pixels(pipeline._upscaler(sampled)))


def test_no_graph_but_the_denoiser_is_given_the_guide(folder, monkeypatch):
    """Every graph call of a drawing is recorded; the guide must be in one place only."""
    calls = []
    infer = graphs.Graph.__call__

    def recorded(self, *inputs):
        calls.append((self._path.name, inputs))
        return infer(self, *inputs)

    monkeypatch.setattr(graphs.Graph, "__call__", recorded)
    pipeline = Pipeline.open(folder, threads=1)
    draw(pipeline)
    guide = pipeline.condition(SCENE, caption(SCENE)).guide
    assert guide.any()
    places = {
        (name, i)
        for name, inputs in calls
        for i, array in enumerate(inputs)
        if array.shape == guide.shape and (array == guide).all()
    }
    assert places == {(weights.DENOISER, [f.name for f in fields(Conditioning)].index("guide") + 2)}
    (enlarged,) = [inputs for name, inputs in calls if name == weights.UPSCALER]
    assert [array.shape for array in enlarged] == [(1, 3, 128, 128)]


def test_the_unconditional_knows_nothing(pipeline):
    asked = []
    spied = taken_apart(pipeline, denoiser=lambda x, t, c: asked.append(c) or np.zeros_like(x))
    draw(spied, num_inference_steps=1)
    cond, uncond = asked
    assert cond.guide.any()
    assert cond.phrases.any()
    for part in (uncond.guide, uncond.phrases, uncond.coverage):
        assert not part.any()
    assert uncond.token_mask.sum() == 2


def test_guidance_1_asks_half_as_often(pipeline):
    asked = []
    spied = taken_apart(pipeline, denoiser=lambda x, t, c: asked.append(t) or np.zeros_like(x))
    draw(spied, num_inference_steps=4, guidance_scale=1)
    assert len(asked) == 4
    draw(spied, num_inference_steps=4, guidance_scale=2)
    assert len(asked) == 12


def test_steps_are_counted_with_a_preview(pipeline):
    heard = []
    pixels = draw(pipeline, on_step=lambda *step: heard.append(step))
    assert [(step, steps) for step, steps, _ in heard] == [(1, 3), (2, 3), (3, 3)]
    for _, _, preview in heard:
        assert preview.shape == (128, 128, 3)
        assert preview.dtype == np.uint8
    np.testing.assert_array_equal(draw(pipeline), pixels), "watching changes nothing"


def test_heun_counts_its_calls_as_steps(tmp_path):
    pipeline = Pipeline.open(write_model(tmp_path, sampler="heun"), threads=1)
    heard = []
    draw(pipeline, on_step=lambda step, steps, _: heard.append((step, steps)))
    assert heard == [(i, 5) for i in range(1, 6)]


def test_fresh_noise_comes_from_the_seed_too(tmp_path):
    pipeline = Pipeline.open(write_model(tmp_path, sampler="ancestral"), threads=1)
    np.testing.assert_array_equal(draw(pipeline), draw(pipeline))


def test_what_on_step_raises_stops_the_drawing(pipeline):
    class Enough(Exception):
        pass

    heard = []

    def stop(step, steps, preview):
        heard.append(step)
        raise Enough

    with pytest.raises(Enough):
        draw(pipeline, on_step=stop)
    assert heard == [1]
    assert draw(pipeline).shape == (1024, 1024, 3), "and the next one is drawn"


def test_threads_take_turns(pipeline):
    expected = draw(pipeline)
    results = []
    threads = [threading.Thread(target=lambda: results.append(draw(pipeline))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for pixels in results:
        np.testing.assert_array_equal(pixels, expected)
    assert len(results) == 3


def test_what_has_no_reference_in_the_style_is_said(pipeline):
    person = Item("person", "person", Box(0.5, 0.5, 0.5, 0.5))
    ghost = Item("ghost", "ghost", Box(0.5, 0.5, 0.5, 0.5))
    scene = Scene((CAT, person, ghost), style="soft")
    assert pipeline.undrawn(scene) == {"person": "flat", "ghost": None}
    assert pipeline.undrawn(SCENE) == {}


def test_sizes_follow_the_shape():
    assert [size(shape, 128) for shape in SHAPES] == [(128, 128), (224, 128), (128, 224)]
    assert size("wide", 256) == (256, 448)


def test_pixels_are_rounded_and_cut_off():
    x = np.array([-2, -1, 0, 0.999, 1, 7], np.float32).reshape(1, 1, 1, 6).repeat(3, 1)
    assert to_pixels(x)[0, :, 0].tolist() == [0, 0, 128, 255, 255, 255]


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(WeightsUnusable, match="model.json is missing"):
        Pipeline.open(tmp_path)


def test_a_graph_that_is_none_is_refused(tmp_path):
    (tmp_path / "broken.xml").write_text("<net/>")
    with pytest.raises(WeightsUnusable, match="broken.xml cannot be used"):
        graphs.Graph(tmp_path / "broken.xml", runtime=graphs.Runtime())(np.zeros(1))
