"""What a terminal shows while a picture is drawn: a bar, and a small preview where it can.

A character cell holds two pixels: the upper half block in one colour over a ground of another.
"""

import base64
import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from PIL import Image
from rich.color import Color
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar
from rich.style import Style
from rich.text import Text

from gouache.engines import OnStep, Pixels, Step
from gouache.records import Progress

PREVIEW_COLUMNS = 48


def half_blocks(pixels: Pixels, columns: int) -> Text:
    """Return a picture (H, W, 3) as lines of half blocks, `columns` wide."""
    height, width = pixels.shape[:2]
    lines = max(1, round(columns * height / width / 2))
    small = Image.fromarray(pixels).resize((columns, 2 * lines), Image.Resampling.BOX)
    rows = np.asarray(small).tolist()
    return Text("\n").join(
        Text.assemble(
            *(
                ("\u2580", Style(color=Color.from_rgb(*upper), bgcolor=Color.from_rgb(*lower)))
                for upper, lower in zip(rows[y], rows[y + 1], strict=True)
            )
        )
        for y in range(0, 2 * lines, 2)
    )


@contextmanager
def drawing_shown(console: Console) -> Iterator[OnStep | None]:
    """Yield the callback that shows the steps, or None where nobody watches."""
    if not console.is_terminal:
        yield None
        return
    progress = Bar(
        TextColumn("drawing"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
    )
    task = progress.add_task("drawing", total=None)
    with Live(progress, console=console) as live:

        def on_step(step: Step) -> None:
            progress.update(task, total=step.steps, completed=step.step)
            shown: RenderableType = progress
            if step.preview is not None and can_preview(console):
                columns = _columns(step.preview, console)
                shown = Group(half_blocks(step.preview, columns), progress)
            live.update(shown)

        yield on_step


def step_of(progress: Progress) -> Step:
    """Return the step that the progress of a stored task tells of."""
    preview = None
    if progress.preview is not None:
        data = base64.b64decode(progress.preview.partition(",")[2])
        preview = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    return Step(progress.step, progress.steps, preview)


def can_preview(console: Console) -> bool:
    """Whether the terminal shows true colour and block characters."""
    encoding = console.encoding.lower().replace("-", "")
    return console.color_system == "truecolor" and encoding == "utf8" and sys.platform != "win32"


def _columns(pixels: Pixels, console: Console) -> int:
    """Return how wide a preview may be, so that it and the bar fit the window."""
    height, width = pixels.shape[:2]
    by_height = int(2 * (console.height - 3) * width / height)
    return max(1, min(PREVIEW_COLUMNS, console.width, by_height))
