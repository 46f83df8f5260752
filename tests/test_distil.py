"""Distillation: a student that draws in four steps comes nearer to its teacher's twelve."""

import json
from argparse import Namespace
from dataclasses import replace

import pytest
import torch

from tests.tiny_library import write_library
from training import distil as distillation
from training.checkpoints import load_denoiser
from training.data import Data
from training.distil import Course, Walks, take_step
from training.presets import DISTILLATIONS
from training.sheet import advance, guided
from training.train import open_run, save

CPU = torch.device("cpu")
SMOKE = DISTILLATIONS["smoke"]
PLAN = replace(SMOKE, student=replace(SMOKE.student, side=64))


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)  # so small a net loses more to threads than it gains
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_library(tmp_path_factory.mktemp("library"))


@pytest.fixture(scope="module")
def data(folder):
    return Data(PLAN.student, folder / "art", folder / "bank" / "concepts.json", CPU)


@pytest.fixture(scope="module")
def teacher(data, tmp_path_factory):
    """A checkpoint that nobody trained, whose picture depends on all that it is told."""
    path = tmp_path_factory.mktemp("teacher")
    run = open_run(PLAN.student, path, CPU, seed=3)
    generator = torch.Generator().manual_seed(3)
    for weights in run.average.values():
        if not weights.any():  # what starts at zero would hide the rest
            weights.normal_(std=0.05, generator=generator)
    save(run, path, data)
    return path / "denoiser.pt"


@pytest.fixture(scope="module")
def course(data, teacher):
    return Course(PLAN, load_denoiser(teacher)[0], data.text.states([""]))


@pytest.fixture
def options(folder, teacher):
    """Return the command line of a run into a folder."""

    def given(out):
        out.mkdir(exist_ok=True)
        return Namespace(
            teacher=teacher,
            out=out,
            art=folder / "art",
            bank=folder / "bank" / "concepts.json",
            seed=1,
            minutes=float("inf"),
            threads=1,
            workers=0,
        )

    return given


def for_steps(steps, **student):
    """Return the plan of so many steps."""
    return replace(PLAN, student=replace(PLAN.student, steps=steps, **student))


def test_a_student_comes_nearer_to_its_teacher_in_four_steps(options, tmp_path):
    distillation.distil(for_steps(50, learning_rate=2e-3), options(tmp_path / "run"))
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    before, *_, after = [line["apart"] for line in lines if "apart" in line]
    assert after < 0.9 * before


@pytest.mark.parametrize("save_minutes", [0, 60], ids=["saved each step", "never saved"])
def test_a_run_resumed_after_a_kill_equals_one_that_was_never_stopped(
    options, tmp_path, monkeypatch, save_minutes
):
    plan = for_steps(4, save_minutes=save_minutes)
    distillation.distil(plan, options(tmp_path / "whole"))

    def killed_at_2(run, *rest, **named):
        if run.step == 2:
            raise KeyboardInterrupt
        return take_step(run, *rest, **named)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(distillation, "take_step", killed_at_2)
        distillation.distil(plan, options(tmp_path / "killed"))
    distillation.distil(plan, options(tmp_path / "killed"))
    whole, resumed = (load_denoiser(tmp_path / run / "denoiser.pt") for run in ("whole", "killed"))
    assert whole[1] == resumed[1] == 4
    for name, value in whole[0].state_dict().items():
        assert torch.equal(value, resumed[0].state_dict()[name]), name


def test_a_walk_of_the_teacher_is_that_of_a_perfect_student(course, data):
    batch = data.batch(1, 0, 0)
    walk = course.walk(batch, None, "a seed")
    aims = iter(walk.aims)
    again = course.walk(batch, lambda z, t: next(aims), "a seed")
    assert torch.equal(walk.starts, again.starts)
    assert torch.equal(walk.aims, again.aims)


def test_a_student_s_walk_goes_from_its_own_hand(course, data):
    walk = course.walk(data.batch(1, 0, 0), lambda z, t: torch.zeros_like(z), "a seed")
    torch.testing.assert_close(walk.starts[1], (1 - course.times[1]) * walk.starts[0])


def test_an_aim_is_the_last_guided_prediction_and_follows_from_its_start_alone(course, data):
    batch = data.batch(1, 0, 0)
    walk = course.walk(batch, None, "a seed")
    denoise = guided(course.teacher, batch, course.nothing, PLAN.guidance_scale)
    for segment, (start, aim) in enumerate(zip(walk.starts, walk.aims, strict=True)):
        fine = course.fine[segment * PLAN.within : (segment + 1) * PLAN.within + 1]
        assert fine[0] == course.times[segment]
        with torch.no_grad():
            _, x0 = advance(denoise, start, fine, torch.Generator(), since=1)
        assert torch.equal(aim, x0.clamp(-1, 1) if fine[-1] == 1 else x0)


def test_a_step_knows_the_walks_made_before_it_and_forgets_the_oldest(course, data, tmp_path):
    walks = Walks(tmp_path, course, data, seed=1)
    assert [list(walks.known(step)) for step in (0, 2, 5)] == [[0, 1], [0, 1, 2], [1, 2, 3]]
    for step in (0, 2, 5):
        walks.make(step, course.teacher)
    assert sorted(path.name for path in (tmp_path / "walks").iterdir()) == [
        f"{number:06d}.pt" for number in (1, 2, 3)
    ]
