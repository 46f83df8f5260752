"""The preview: two pixels a character, only where a terminal can show it."""

import io

import numpy as np
from rich.console import Console

from gouache.engines import Step
from gouache.images import preview_url
from gouache.records import Progress
from gouache.terminal import can_preview, drawing_shown, half_blocks, step_of


def terminal(**looks):
    file = io.TextIOWrapper(io.BytesIO(), encoding=looks.pop("encoding", "utf-8"))
    return Console(file=file, force_terminal=True, width=60, **looks)


def test_each_character_shows_two_pixels_one_over_the_other():
    pixels = np.array([[[255, 0, 0]], [[0, 0, 255]]], np.uint8)
    text = half_blocks(pixels, 1)
    style = text.spans[0].style
    assert text.plain == "\u2580"
    assert style.color.triplet == (255, 0, 0)
    assert style.bgcolor.triplet == (0, 0, 255)


def test_a_preview_keeps_the_shape_of_the_picture():
    for height, width, lines in ((64, 64, 20), (112, 64, 35), (64, 112, 11)):
        text = half_blocks(np.zeros((height, width, 3), np.uint8), 40)
        assert [len(line) for line in text.plain.split("\n")] == [40] * lines


def test_a_preview_needs_true_colour_and_block_characters():
    assert can_preview(terminal(color_system="truecolor"))
    assert not can_preview(terminal(color_system="256"))
    assert not can_preview(terminal(color_system="truecolor", encoding="latin-1"))


def test_a_preview_and_its_bar_fit_the_window():
    console = terminal(color_system="truecolor", height=20)
    with drawing_shown(console) as on_step:
        on_step(Step(1, 1, np.zeros((112, 64, 3), np.uint8)))
    console.file.seek(0)
    last = console.file.read().split("drawing")[-2]
    assert 10 < last.count("\n") < 20


def test_nothing_is_shown_where_nobody_watches():
    console = Console(file=io.StringIO())
    with drawing_shown(console) as on_step:
        assert on_step is None
    assert console.file.getvalue() == ""


def test_steps_without_a_preview_move_the_bar():
    console = terminal(color_system="256")
    with drawing_shown(console) as on_step:
        on_step(Step(2, 5))
    console.file.seek(0)
    assert "2/5" in console.file.read()


def test_progress_of_a_stored_task_becomes_a_step_with_its_preview():
    pixels = np.full((64, 112, 3), (200, 30, 30), np.uint8)
    step = step_of(Progress(attempt=1, step=3, steps=4, preview=preview_url(pixels)))
    assert (step.step, step.steps, step.preview.shape) == (3, 4, (64, 112, 3))
    assert np.abs(step.preview.astype(int) - pixels).max() < 10, "JPEG keeps a plain colour"
    assert step_of(Progress(attempt=1, step=3, steps=4)).preview is None
