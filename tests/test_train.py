"""The trainer: it learns, and a run that was killed goes on as if it had not been."""

import random

import pytest
import torch

from gouache.scene import Background, Box, Item, Scene
from tests.tiny_library import DRAWINGS, write_library
from training import library
from training.checkpoints import keep, load_denoiser
from training.compose import Art, Composer, GuideDamage
from training.data import Data
from training.loss import draw_times, loss
from training.muon import orthogonal
from training.presets import PRESETS
from training.scenes import KINDS, Grammar, is_held_out_pair, is_held_out_word
from training.train import learning_rate, open_run, save, take_step

CPU = torch.device("cpu")
SMOKE = PRESETS["smoke"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A library of four drawings that differ a little from style to style."""
    return write_library(tmp_path_factory.mktemp("library"))


@pytest.fixture(scope="module")
def data(folders):
    return Data(SMOKE, folders / "art", folders / "bank" / "concepts.json", CPU)


def steps(run, data, count):
    forward = run.network
    return [
        take_step(run, forward, data.batch(1, run.step, 0), seed=1, process=0, processes=1)[0]
        for _ in range(count)
    ]


def test_a_run_resumed_after_a_kill_equals_one_that_was_never_stopped(data, tmp_path):
    whole = open_run(SMOKE, tmp_path / "none", CPU, seed=1)
    steps(whole, data, 4)
    first = open_run(SMOKE, tmp_path / "run", CPU, seed=1)
    steps(first, data, 2)
    save(first, tmp_path / "run", data)
    resumed = open_run(SMOKE, tmp_path / "run", CPU, seed=99)
    assert resumed.step == 2
    steps(resumed, data, 2)
    for name, value in whole.network.state_dict().items():
        assert torch.equal(value, resumed.network.state_dict()[name]), name
    for name, value in whole.average.items():
        assert torch.equal(value, resumed.average[name]), name


@pytest.mark.slow
def test_the_trainer_learns_one_batch_by_heart(data, tmp_path):
    run = open_run(SMOKE, tmp_path, CPU, seed=1)
    batch = data.batch(1, 0, 0)
    costs = [
        take_step(run, run.network, batch, seed=1, process=0, processes=1)[0] for _ in range(60)
    ]
    assert sum(costs[-10:]) < 0.4 * sum(costs[:10])


def test_a_save_leaves_a_usable_denoiser_and_a_sheet(data, tmp_path):
    run = open_run(SMOKE, tmp_path, CPU, seed=1)
    save(run, tmp_path, data)
    denoiser, step = load_denoiser(tmp_path / "denoiser.pt")
    assert step == 0
    batch = data.batch(1, 0, 0)
    assert (
        denoiser(batch.x, torch.zeros(len(batch.x)), *batch.conditioning()).shape == batch.x.shape
    )
    assert (tmp_path / "sheet-000000.png").exists()
    assert not list(tmp_path.glob("*.part"))


def test_a_kept_denoiser_starts_a_new_run_with_nearly_the_same_weights(data, tmp_path):
    run = open_run(SMOKE, tmp_path / "run", CPU, seed=1)
    steps(run, data, 2)
    save(run, tmp_path / "run", data)
    keep(tmp_path / "run" / "denoiser.pt", tmp_path / "kept.pt")
    new = open_run(SMOKE, tmp_path / "new", CPU, seed=2, start=tmp_path / "kept.pt")
    assert new.step == 0
    for name, value in run.average.items():
        assert (new.network.state_dict()[name] - value).abs().max() <= value.abs().max() / 127


def test_the_same_step_gives_the_same_batch_and_another_process_another(data):
    a, b, other = data.batch(1, 5, 0), data.batch(1, 5, 0), data.batch(1, 5, 1)
    assert torch.equal(a.x, b.x)
    assert torch.equal(a.guide, b.guide)
    assert a.x.shape == other.x.shape
    assert not torch.equal(a.x, other.x)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", ["square", "tall", "wide"])
def test_every_kind_of_scene_draws_in_every_shape(data, kind, shape):
    rng = random.Random(f"{kind} {shape}")
    if kind == "welcome":
        rng = random.Random(3)
    example = data.grammar.example(rng, shape, kind)
    batch = data.finished([example], [example.caption], kind, damaged=True)
    height, width = data.planner.size(shape)
    assert batch.x.shape == (1, 3, height, width)
    assert batch.guide.shape == (1, 8, height // 2, width // 2)
    assert batch.coverage.shape == (1, 10, height // 8, width // 8)
    assert batch.x.std() > 0.02
    assert batch.guide.isfinite().all()


def test_a_colour_word_recolours_the_ruling_hue_only(folders):
    composer = Composer(Art(folders / "art", CPU))
    item = Item("cat", "cat", Box(0.5, 0.5, 0.9, 0.9), "white")
    picture = composer.pictures(
        [Scene((item,), Background("plain", ("blue",)), "flat")], 64, 64, random.Random(1)
    )[0]
    assert (picture[:, 40, 40] > 0.9).all(), "the body is white"
    assert (picture.amin(0) < -0.8).any(), "the eye stays dark"


def test_an_undamaged_guide_shows_the_scene_and_a_dropped_one_nothing(folders):
    composer = Composer(Art(folders / "art", CPU))
    grammar = Grammar(folders / "bank" / "concepts.json")
    scene = grammar.example(random.Random(1), "square", "single").scene
    rng = random.Random(2)
    shown = composer.guides([scene], 128, 128, rng, None)
    assert shown[:, 3].max() > 0.9
    dropped = composer.guides([scene], 128, 128, rng, GuideDamage(dropped=1.0, noisy=0.0))
    assert dropped.abs().max() == 0


def test_batches_planned_ahead_are_the_ones_made_in_place(data):
    ahead = data.batches(1, 3, 0, workers=1)
    for step in (3, 4):
        expected, found = data.batch(1, step, 0), next(ahead)
        assert torch.equal(expected.x, found.x)
        assert torch.equal(expected.phrases, found.phrases)
        assert torch.equal(expected.guide, found.guide)
    ahead.close()


def test_held_out_pairs_and_words_never_appear(folders):
    grammar = Grammar(folders / "bank" / "concepts.json")
    rng = random.Random(1)
    for _ in range(300):
        scene = grammar.example(rng, "square", "pair").scene
        first, second = scene.items
        assert not is_held_out_pair(first.concept, second.concept)
        assert not any(
            is_held_out_word(item.said) for item in scene.items if item.said != item.concept
        )


def test_a_tenth_of_synonyms_is_held_out():
    words = [f"word {i}" for i in range(2000)]
    assert 0.05 < sum(map(is_held_out_word, words)) / len(words) < 0.15


def test_times_crowd_at_the_noisy_end_and_never_reach_the_clean_one():
    t = draw_times(20_000, 0.6, torch.Generator().manual_seed(1))
    assert 0.1 < (t < 0.03).float().mean() < 0.25
    assert t.max() < 0.98


def test_a_perfect_prediction_costs_nothing_and_late_errors_cost_more():
    x, t = torch.zeros(2, 3, 8, 8), torch.tensor([0.1, 0.1])
    assert loss(x, x, t) == 0
    assert loss(x + 0.1, x, t + 0.6) > loss(x + 0.1, x, t)


def test_the_learning_rate_warms_up_and_cools_down():
    preset = PRESETS["cpu"]
    rates = [learning_rate(preset, step, 1000) for step in (0, 99, 390, 850, 999)]
    assert rates[0] < rates[1] == rates[2] > rates[3] > rates[4] > 0


def test_a_reference_survives_packing():
    rgba = library.quantise(
        library.rasterise(
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">{DRAWINGS["cat"]}</svg>',
            64,
        )
    )
    assert (library.unpack_reference(library.pack_reference(rgba)) == rgba).all()


def test_orthogonal_evens_out_singular_values():
    values = torch.linalg.svdvals(orthogonal(torch.randn(6, 30)))
    assert values.min() > 0.6
    assert values.max() < 1.3
