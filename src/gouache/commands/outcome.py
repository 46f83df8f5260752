"""How a command ends: its errors as sentences and JSON, and the exit code that follows from them."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer
from rich.console import Console
from rich.markup import escape

from gouache.errors import GouacheError, RequestError, StorageError, classes_by_code

UNWELL = 3
INTERRUPTED = 130


def exit_code(error: GouacheError | type[GouacheError]) -> int:
    """Return 2 for a request to change, 4 for a file, 130 for a stop, 3 for everything else."""
    kind = error if isinstance(error, type) else type(error)
    if issubclass(kind, RequestError):
        return 2
    return {499: INTERRUPTED, 507: 4}.get(kind.status, UNWELL)


def exit_code_of(code: str) -> int:
    """Return the exit code of the error with this `code`, as a stored result names it."""
    return exit_code(classes_by_code().get(code, GouacheError))


@contextmanager
def errors_shown(*, as_json: bool, as_sentence: bool | None = None) -> Iterator[None]:
    """Turn an error into its message and exit code, and Ctrl-C into a sentence.

    The message goes to standard error, unless the error is printed as JSON; `as_sentence` asks for
    both.
    """
    try:
        yield
    except GouacheError as error:
        if as_json:
            print_json({"success": False, "error": error.as_json()})
        if as_sentence or not as_json:
            say_error(error.message)
        raise typer.Exit(exit_code(error)) from error
    except KeyboardInterrupt as error:
        typer.echo("Stopped.", err=True)
        raise typer.Exit(INTERRUPTED) from error


def say_error(message: str) -> None:
    """Say what went wrong on standard error."""
    _for_people().print(f"[red]Error:[/red] {escape(message)}")


def say_warning(message: str) -> None:
    """Say what is worth knowing on standard error."""
    _for_people().print(f"[yellow]Warning:[/yellow] {escape(message)}")


def print_json(value: dict[str, Any]) -> None:
    """Print an answer as JSON on standard output."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))


def write_stdout(data: bytes) -> None:
    """Write a file to standard output.

    Raises:
        StorageError: whoever reads it left, or the disk is full.
    """
    try:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except OSError as error:
        raise StorageError(f"standard output: {error.strerror}") from error


def _for_people() -> Console:
    return Console(stderr=True, highlight=False, soft_wrap=True)
