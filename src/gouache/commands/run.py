"""`gouache run`: one task to its end, through the same durable service as everything else.

This process executes the task, unless another one already executes on the same data folder: then it
waits for that one, and takes over should it go.
"""

import asyncio
import sys
import time
from codecs import BOM_UTF8
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from gouache import images
from gouache.commands.executing import started, take_over
from gouache.commands.options import DataDir
from gouache.commands.outcome import errors_shown, exit_code_of, print_json, say_error
from gouache.commands.processes import Process, is_process, put_files, run_process, tasks_of
from gouache.commands.stopping import stop_asked
from gouache.commands.webhooks import see_delivered
from gouache.contract import FIRST, LAST, Result, TaskError
from gouache.errors import (
    FileNotFound,
    RequestError,
    StorageError,
    TaskNotCancellable,
)
from gouache.given import read, read_json
from gouache.records import ENDED, NewTask, Progress, TaskRecord, result
from gouache.settings import Settings, read_settings
from gouache.terminal import drawing_shown, step_of

if TYPE_CHECKING:
    from gouache.service import Service


def run(
    file: Annotated[
        str,
        typer.Argument(
            help="A task as JSON, or a stub with its posts; - reads it from standard input."
        ),
    ],
    data_dir: DataDir = None,
    priority: Annotated[
        int | None, typer.Option(help=f"{FIRST} to {LAST}; lower numbers are drawn first.")
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(help="An idempotency key: the same key again prints the first result."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            help="Also write the picture to this file or folder; of a stub, all files to a folder."
        ),
    ] = None,
    timeout: Annotated[
        float | None, typer.Option(min=0, help="Cancel the task after so many seconds.")
    ] = None,
) -> None:
    """Run a task to its end and print its result as JSON.

    Or make a stub, put its posts on it, run all their tasks, and print the stub.
    """
    with errors_shown(as_json=True, as_sentence=True):
        settings = read_settings(data_dir=data_dir)
        values = _read_values(file, settings)
        if is_process(values):
            if priority is not None:
                message = "the tasks of a stub have priorities of their own; leave the option out"
                raise RequestError(message, param="priority")
            error = _run_process(
                settings, read(Process, values), key, timeout=timeout, output=output
            )
        else:
            task = read(NewTask, values if priority is None else values | {"priority": priority})
            if output is not None:
                images.check_writable(_place(output, "picture"))
            error = _run(settings, task, key, timeout=timeout, output=output).error
    if error:
        say_error(error.message)
        raise typer.Exit(exit_code_of(error.code))


def _read_values(file: str, settings: Settings) -> dict[str, Any]:
    """Return the JSON object in a file."""
    name = "standard input" if file == "-" else file
    most = settings.max_body_bytes
    try:
        if file == "-":
            data = sys.stdin.buffer.read(most + 1)
        else:
            with Path(file).open("rb") as opened:
                data = opened.read(most + 1)
    except OSError as error:
        message = f"{name} could not be read: {error.strerror}"
        raise RequestError(message, param="file") from error
    if len(data) > most:
        raise RequestError(f"{name} is larger than {most:,} bytes (max_body_bytes)", param="file")
    values = read_json(data.removeprefix(BOM_UTF8), name, param="file")
    if not isinstance(values, dict):
        raise RequestError(f"{name} must hold one task, a JSON object", param="file")
    return values


def _run(
    settings: Settings,
    task: NewTask,
    key: str | None,
    *,
    timeout: float | None,
    output: Path | None,
) -> Result:
    """Run the task; print its envelope before the service stops, which may take a moment."""
    from gouache.service import open_service

    stop = asyncio.Event()
    with open_service(settings) as service, asyncio.Runner() as runner:
        loop = runner.get_loop()
        with stop_asked(lambda number: _set(loop, stop)):
            record = service.submit(task, key=key)
            if record.state not in ENDED:
                here = started(service)
                record = runner.run(
                    _to_its_end(service, record.taskuuid, stop, timeout=timeout, here=here)
                )
            envelope = result(record)
            if output is not None:
                _put(service, envelope, output)
            print_json(envelope.as_json())
            _say(service, envelope, output)
            if service.work.runs:
                see_delivered(service, [record.taskuuid], stop)
            service.work.stop()
    return envelope


def _run_process(
    settings: Settings,
    process: Process,
    key: str | None,
    *,
    timeout: float | None,
    output: Path | None,
) -> TaskError | None:
    """Run all tasks of a stub's posts, and print the stub; return the first error of a task."""
    from gouache.service import open_service

    if output is not None:
        images.check_writable(output / "file")
    begun = time.monotonic()
    stop = asyncio.Event()
    with open_service(settings) as service, asyncio.Runner() as runner:
        loop = runner.get_loop()
        here = started(service)

        def to_its_end(taskuuid: str, following: Sequence[str]) -> TaskRecord:
            left = None if timeout is None else max(timeout - (time.monotonic() - begun), 0)
            return runner.run(
                _to_its_end(service, taskuuid, stop, timeout=left, here=here, following=following)
            )

        with stop_asked(lambda number: _set(loop, stop)):
            stub = run_process(service, process, to_its_end, key=key)
            print_json(stub.model_dump(mode="json", exclude_none=True))
            put_files(service, stub, output)
            if service.work.runs:
                see_delivered(service, [task.taskuuid for task in tasks_of(stub)], stop)
            service.work.stop()
    return next((task.error for task in tasks_of(stub) if task.error), None)


def _set(loop: asyncio.AbstractEventLoop, event: asyncio.Event) -> None:
    loop.call_soon_threadsafe(event.set)  # which wakes the loop


async def _to_its_end(
    service: "Service",
    taskuuid: str,
    stop: asyncio.Event,
    *,
    timeout: float | None,
    here: bool,
    following: Sequence[str] = (),
) -> TaskRecord:
    """Wait until the task has ended; cancel it when asked to stop or after `timeout`.

    `here` says whether this process executes; where not, it does once it can. The tasks that follow it
    are cancelled with it, and before it, because its end begins them.
    """
    console = Console(stderr=True, highlight=False)
    showing = asyncio.create_task(_shown(service.events(taskuuid), console))
    asked = asyncio.create_task(stop.wait())
    taking_over = None
    if not here:
        console.print("Another process executes on this data folder; waiting for it.")
        taking_over = asyncio.create_task(take_over(service))
    await asyncio.wait({showing, asked}, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
    if not showing.done():
        why = "asked to" if stop.is_set() else f"not done within {timeout:g} s"
        console.print(f"Stopping the task: {why}.")
        for each in [*reversed(following), taskuuid]:
            with suppress(TaskNotCancellable):
                await asyncio.to_thread(service.cancel, each)
    record = await showing
    asked.cancel()
    if taking_over:
        taking_over.cancel()
    return record


async def _shown(events: AsyncIterator[Progress | TaskRecord], console: Console) -> TaskRecord:
    """Show the progress where somebody watches; return the task once it has ended."""
    record: TaskRecord | None = None
    with drawing_shown(console) as on_step:
        async for event in events:
            if isinstance(event, TaskRecord):
                record = event
            elif on_step:
                on_step(step_of(event))
    assert record is not None, "events end with the ended task"
    return record


def _put(service: "Service", end: Result, output: Path) -> None:
    """Write the file of a result to a file or, under its name, into a folder."""
    if end.file:
        source = service.file_path(end.file.fileuuid)
        try:
            data = source.read_bytes()
        except OSError as error:
            raise StorageError(f"{source} could not be read: {error.strerror}") from error
        images.write_atomically(_place(output, end.file.filename), data)


def _place(output: Path, name: str) -> Path:
    return output / name if output.is_dir() else output


def _say(service: "Service", end: Result, output: Path | None) -> None:
    """Say where the picture is, and what whoever wrote the task should know."""
    console = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)
    for warning in end.warnings:
        console.print(f"Warning: {warning}")
    if end.file:
        with suppress(FileNotFound):  # deleted since the key was used first
            path = service.file_path(end.file.fileuuid)
            if output is not None:
                path = _place(output, end.file.filename)
            what = "picture" if end.file.contentType.startswith("image/") else "file"
            console.print(f"The {what} is {path}")
