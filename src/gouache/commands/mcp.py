"""`gouache mcp`: the tool `generate_image` for a program that begins this one and speaks MCP with it.

Standard output is the program's alone; what people may want to know goes to standard error. This
process executes the tasks, unless another one already does on the same data folder: then that one
draws them, and this one takes over should it go.
"""

import asyncio
import logging.config
import signal
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gouache import images
from gouache.commands.executing import started, take_over
from gouache.commands.options import DataDir
from gouache.commands.outcome import INTERRUPTED, errors_shown
from gouache.commands.serving import LOGGING
from gouache.commands.stopping import stop_asked
from gouache.settings import Settings, read_settings

if TYPE_CHECKING:
    from gouache.service import Service


def mcp(
    data_dir: DataDir = None,
    output: Annotated[
        Path | None,
        typer.Option(help="A folder to copy each picture to, under its name."),
    ] = None,
) -> None:
    """Offer generate_image as an MCP tool on stdin and stdout."""
    with errors_shown(as_json=False):
        folder = None
        if output is not None:
            folder = output.expanduser().absolute()  # no shell saw a path in the client's settings
            images.check_writable(folder / "picture")
        number = _serve(read_settings(data_dir=data_dir), folder)
    raise typer.Exit(INTERRUPTED if number == signal.SIGINT else 0)


def _serve(settings: Settings, folder: Path | None) -> int | None:
    """Serve until the input ends or a signal comes; return its number."""
    from gouache.service import open_service

    numbers: list[int] = []
    stop = asyncio.Event()
    logging.config.dictConfig(LOGGING)
    with open_service(settings) as service, asyncio.Runner() as runner:
        loop = runner.get_loop()

        def ask(number: int) -> None:
            numbers.append(number)
            loop.call_soon_threadsafe(stop.set)

        with stop_asked(ask):
            here = started(service)
            who = "" if here else "; another process draws"
            typer.echo(
                f"Gouache offers generate_image (data in {settings.data_dir.resolve()}{who})",
                err=True,
            )
            runner.run(_until_stopped(service, folder, stop, here=here))
            service.work.stop()
    return numbers[0] if numbers else None


async def _until_stopped(
    service: "Service", folder: Path | None, stop: asyncio.Event, *, here: bool
) -> None:
    """Serve; `here` says whether this process executes; where not, it does once it can."""
    from gouache.mcp_server import serve_stdio

    serving = asyncio.create_task(serve_stdio(service, folder))
    asked = asyncio.create_task(stop.wait())
    taking_over = None if here else asyncio.create_task(take_over(service))
    await asyncio.wait({serving, asked}, return_when=asyncio.FIRST_COMPLETED)
    for task in (asked, taking_over, serving):
        if task is not None:
            task.cancel()
    with suppress(asyncio.CancelledError):
        await serving
