"""The command line: `gouache generate`, `gouache models`, `gouache version`.

The path of the picture (or JSON, or the picture itself) goes to standard output; everything for
human eyes goes to standard error. The exit code follows from the error's status.
"""

import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from gouache import __version__, images
from gouache.contract import QUALITIES, SIZES, GenerateImage, read_request
from gouache.engines import Drawing, check_supported, engine_names, open_engine
from gouache.errors import GouacheError, RequestError, StorageError
from gouache.images import Recipe
from gouache.settings import Settings, read_settings
from gouache.terminal import drawing_shown

INTERRUPTED = 130
MAX_STDIN_CHARACTERS = 1_000_000
FLAGS = ("--open", "--json", "--help")

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Pictures from words, drawn by a small model of its own on an ordinary processor.",
)


@app.command(no_args_is_help=True)
def generate(
    prompt: Annotated[
        str | None,
        typer.Argument(
            help="What to draw; - reads it from standard input, -- goes before one that begins with -."
        ),
    ] = None,
    size: Annotated[str | None, typer.Option(help=f"One of {', '.join(SIZES)}.")] = None,
    quality: Annotated[str | None, typer.Option(help=f"One of {', '.join(QUALITIES)}.")] = None,
    seed: Annotated[int | None, typer.Option(help="The same seed draws the same picture.")] = None,
    style: Annotated[str | None, typer.Option(help="A style of the engine.")] = None,
    model: Annotated[str | None, typer.Option(help="A model of the engine.")] = None,
    engine: Annotated[str | None, typer.Option(help="The engine that draws.")] = None,
    filename: Annotated[str | None, typer.Option(help="The name of the picture.")] = None,
    output: Annotated[
        Path | None, typer.Option(help="The file or folder to write; - for standard output.")
    ] = None,
    recipe: Annotated[
        Path | None,
        typer.Option("--from", help="Draw this picture again; other options change its recipe."),
    ] = None,
    open_it: Annotated[bool, typer.Option("--open", help="Open the picture when drawn.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Draw a picture and write it as a PNG file."""
    given = {
        "prompt": prompt,
        "size": size,
        "quality": quality,
        "seed": seed,
        "style": style,
        "model": model,
        "filename": filename,
    }
    with _errors_shown(as_json):
        if as_json and output == Path("-"):
            raise RequestError("--json and --output - both want standard output; leave one out")
        settings = read_settings(engine=engine)
        request = _request(given, recipe)
        picture = _draw(request, settings, output, Console(stderr=True))
        _report(picture, as_json=as_json)
        if open_it and not picture.to_stdout:
            typer.launch(str(picture.path))


@app.command()
def models() -> None:
    """List the engines, their models and what each can do."""
    with _errors_shown(as_json=False):
        settings = read_settings()
        for name in engine_names():
            chosen = " (used unless another is asked for)" if name == settings.engine else ""
            typer.echo(f"{name}{chosen}")
            for line in _capability_lines(name, settings):
                typer.echo(f"  {line}")


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(f"gouache {__version__}")


def main() -> None:
    """Run the command line."""
    app(args=separate_prompt(sys.argv[1:]))


def separate_prompt(arguments: Sequence[str]) -> list[str]:
    """Move a prompt that begins with "-" behind a "--", so that it is not taken for an option.

    Such a prompt is known by the white space in what would be the option's name.
    """
    arguments = list(arguments)
    if "--" in arguments:
        return arguments
    for before, argument in zip(["", *arguments], arguments, strict=False):
        is_value = before.startswith("--") and "=" not in before and before not in FLAGS
        looks_like_prompt = argument.startswith("-") and len(argument.split("=")[0].split()) > 1
        if looks_like_prompt and not is_value:
            arguments.remove(argument)
            return [*arguments, "--", argument]
    return arguments


def exit_code(error: GouacheError) -> int:
    """Return 2 for a request to change, 4 for a file, 130 for a stop, 3 for everything else."""
    return {499: INTERRUPTED, 507: 4}.get(error.status, 2 if error.status < 500 else 3)


@dataclass(frozen=True, slots=True)
class _Picture:
    """A drawing that has been written; `seconds` is the time to draw and write it."""

    recipe: Recipe
    drawing: Drawing
    path: Path
    seconds: float
    warnings: tuple[str, ...]

    @property
    def to_stdout(self) -> bool:
        return self.path == Path("-")


def _request(given: dict[str, Any], source: Path | None) -> GenerateImage:
    """Return the request of the options, over the recipe of a picture where one is named."""
    given = {name: value for name, value in given.items() if value is not None}
    if given.get("prompt") == "-":
        given["prompt"] = _read_stdin()
    if source is None:
        return read_request(given)
    try:
        old = images.read_recipe(source.read_bytes())
    except OSError as error:
        raise StorageError(f"{source} could not be read: {error.strerror}") from error
    return read_request(old.request.model_dump(exclude_unset=True) | {"seed": old.seed} | given)


def _read_stdin() -> str:
    try:
        text = TextIOWrapper(sys.stdin.buffer, encoding="utf-8").read(MAX_STDIN_CHARACTERS)
    except UnicodeDecodeError as error:
        raise RequestError("the prompt on standard input is not UTF-8", param="prompt") from error
    return text.removesuffix("\n")


def _draw(
    request: GenerateImage, settings: Settings, output: Path | None, console: Console
) -> _Picture:
    """Draw and write; whatever is known to fail fails before the drawing."""
    begun = time.monotonic()
    engine = open_engine(settings.engine, settings)
    check_supported(request, engine.capabilities)
    if output != Path("-"):
        _check_output(output, settings, request.filename or "image")
    with drawing_shown(console) as on_step:
        drawing = engine.generate(request, on_step)
    recipe = Recipe(
        request=request,
        seed=drawing.seed,
        model=drawing.model,
        revised_prompt=drawing.revised_prompt,
    )
    png = images.encode_png(drawing.pixels, recipe)
    if output == Path("-"):
        path = output
        _write_stdout(png)
    else:
        path = _path(output, settings, request.filename or images.default_filename(recipe))
        images.write_atomically(path, png)
    seconds = time.monotonic() - begun
    return _Picture(recipe, drawing, path, seconds, (*request.warnings(), *drawing.warnings))


def _write_stdout(data: bytes) -> None:
    try:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except OSError as error:
        raise StorageError(f"standard output: {error.strerror}") from error


def _check_output(output: Path | None, settings: Settings, name: str) -> None:
    try:
        images.check_writable(_path(output, settings, name))
    except OSError as error:  # a name too long, a loop of links
        raise StorageError(f"{output} cannot be written: {error.strerror}") from error


def _path(output: Path | None, settings: Settings, name: str) -> Path:
    """Return where the picture goes: the file named, or the folder with a safe file name."""
    if output is not None and not output.is_dir():
        return output
    return (output or settings.output_dir) / images.safe_filename(name)


def _report(picture: _Picture, *, as_json: bool) -> None:
    """Say what was understood and what not, and where the picture is."""
    drawing, request = picture.drawing, picture.recipe.request
    if as_json:
        _print_json(
            {
                "success": True,
                "path": str(picture.path.resolve()),
                "request": request.model_dump(mode="json", exclude_none=True),
                "model": drawing.model,
                "seed": drawing.seed,
                "revised_prompt": drawing.revised_prompt,
                "unresolved": list(drawing.unresolved),
                "warnings": list(picture.warnings),
                "seconds": round(picture.seconds, 3),
            }
        )
        return
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    console.print(f"[bold]Drew[/bold] {escape(drawing.revised_prompt)}")
    if drawing.unresolved:
        words = ", ".join(drawing.unresolved)
        console.print(f"[yellow]Not understood:[/yellow] {escape(words)}")
    for warning in picture.warnings:
        console.print(f"[yellow]Warning:[/yellow] {escape(warning)}")
    console.print(
        f"{request.size}, {request.quality}, {drawing.model}, "
        f"seed {drawing.seed}, {picture.seconds:.1f} s"
    )
    if not picture.to_stdout:
        typer.echo(str(picture.path))


def _capability_lines(name: str, settings: Settings) -> Iterator[str]:
    try:
        can = open_engine(name, settings).capabilities
    except GouacheError as error:
        yield f"cannot be used: {error.message}"
        return
    for drawn in sorted(set(can.models.values())):
        asked = [other for other, real in can.models.items() if real == drawn and other != drawn]
        yield f"model    {drawn}" + (f" (also asked for as {', '.join(asked)})" if asked else "")
    yield f"size     {', '.join(can.sizes)}"
    yield f"quality  {', '.join(can.qualities)}"
    yield f"style    {', '.join(can.styles) or '(none)'}"


@contextmanager
def _errors_shown(as_json: bool) -> Iterator[None]:
    """Turn an error into its message and exit code, and Ctrl-C into a sentence."""
    try:
        yield
    except GouacheError as error:
        if as_json:
            _print_json({"success": False, "error": error.as_json()})
        else:
            Console(stderr=True, highlight=False, soft_wrap=True).print(
                f"[red]Error:[/red] {escape(error.message)}"
            )
        raise typer.Exit(exit_code(error)) from error
    except KeyboardInterrupt as error:
        typer.echo("Stopped.", err=True)
        raise typer.Exit(INTERRUPTED) from error


def _print_json(value: dict[str, Any]) -> None:
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))
