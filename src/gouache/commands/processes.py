"""A whole process from one file: a stub and its posts, each with its tasks run to their end."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ConfigDict, Field
from rich.console import Console

from gouache import images
from gouache.errors import StorageError
from gouache.given import Given
from gouache.records import ENDED, NewStub, NewStubpost, Stub, TaskRecord, result

if TYPE_CHECKING:
    from gouache.service import Service

MAX_STUBPOSTS = 100

ToItsEnd = Callable[[str, Sequence[str]], TaskRecord]
"""Waits for a task and returns it ended; where it is to stop, it cancels those that follow too."""


class Process(Given):
    """A stub to be made, and what is posted on it, one after the other."""

    model_config = ConfigDict(extra="forbid")

    stub: NewStub = Field(NewStub.model_validate({}), description="The stub.")
    stubposts: list[NewStubpost] = Field(
        min_length=1, max_length=MAX_STUBPOSTS, description="What is posted on it, in order."
    )


def is_process(values: dict[str, Any]) -> bool:
    """Return whether a file holds a process, and not one task."""
    return "stubposts" in values or "stub" in values


def run_process(
    service: "Service", process: Process, to_its_end: ToItsEnd, *, key: str | None
) -> Stub:
    """Return the stub after everything was posted and every task has ended.

    Where a task was cancelled, nothing more is posted. What was posted with the same key before is not
    posted again.

    Raises:
        RequestError: as of `Service.create_stub` and `Service.add_stubpost`.
    """
    console = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
    stubref = service.create_stub(process.stub, key=key and f"{key} stub").stubref
    cancelled = False
    for number, new in enumerate(process.stubposts):
        post = service.add_stubpost(stubref, new, key=key and f"{key} {number}")
        uuids = [task.taskuuid for task in post.tasks.values()]
        for place, (name, task) in enumerate(post.tasks.items()):
            known = service.task(task.taskuuid)
            ended = (
                known if known.state in ENDED else to_its_end(known.taskuuid, uuids[place + 1 :])
            )
            cancelled |= ended.state == "cancelled"
            why = f": {ended.error.message}" if ended.error else ""
            console.print(f"{post.action}: {name} {ended.state}{why}")
            for warning in ended.warnings:
                console.print(f"Warning: {warning}")
        if cancelled:
            break
    return service.stub(stubref)


def tasks_of(stub: Stub) -> Iterator[TaskRecord]:
    """Yield the tasks of all posts, in order."""
    for post in stub.stubposts:
        yield from post.tasks.values()


def put_files(service: "Service", stub: Stub, folder: Path | None) -> None:
    """Write what a stub's tasks have made into a folder, if there is one, and say where it is.

    Raises:
        StorageError: a file cannot be read or written.
    """
    console = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
    names: set[str] = set()
    for task in tasks_of(stub):
        file = result(task).file if task.state in ENDED else None
        if file is None:
            continue
        path = service.file_path(file.fileuuid)
        if folder is not None:
            try:
                data = path.read_bytes()
            except OSError as error:
                raise StorageError(f"{path} could not be read: {error.strerror}") from error
            name = file.filename if file.filename not in names else f"{task.name} {file.filename}"
            names.add(name)
            path = folder / name
            images.write_atomically(path, data)
        console.print(f"{task.name}: {path}")
