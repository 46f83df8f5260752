"""What a terminal shows while a picture is drawn: a bar, and a small preview where it can.

A character cell holds two pixels: the upper half block in one colour over a ground of another.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image
from rich.color import Color
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.style import Style
from rich.text import Text

from gouache.engines import OnStep, Pixels, Step

PREVIEW_COLUMNS = 48


def half_blocks(pixels: Pixels, columns: int) -> Text:
    """Return a picture (H, W, 3) as lines of half blocks, `columns` wide."""
    height, width = pixels.shape[:2]
    lines = max(1, round(columns * height / width / 2))
    small = Image.fromarray(pixels).resize((columns, 2 * lines), Image.Resampling.BOX)
    text = Text()
    for y in range(0, 2 * lines, 2):
        for x in range(columns):
            upper, lower = small.getpixel((x, y)), small.getpixel((x, y + 1))
            text.append("\u2580", Style(color=_colour(upper), bgcolor=_colour(lower)))
        text.append("\n")
    text.rstrip()
    return text


@contextmanager
def drawing_shown(console: Console) -> Iterator[OnStep | None]:
    """Yield the callback that shows the steps, or None where nobody watches."""
    if not console.is_terminal:
        yield None
        return
    progress = Progress(
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
                columns = min(PREVIEW_COLUMNS, console.width)
                shown = Group(half_blocks(step.preview, columns), progress)
            live.update(shown)

        yield on_step


def can_preview(console: Console) -> bool:
    """Whether the terminal shows true colour and block characters."""
    encoding = console.encoding.lower().replace("-", "")
    return console.color_system == "truecolor" and encoding == "utf8" and sys.platform != "win32"


def _colour(pixel: object) -> Color:
    if not isinstance(pixel, tuple):
        raise TypeError("a pixel of an RGB picture is a tuple")
    red, green, blue = pixel[:3]
    return Color.from_rgb(red, green, blue)
