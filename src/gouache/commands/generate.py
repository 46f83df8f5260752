"""`gouache generate`: a picture from words, written as a PNG file; no service, no database."""

import sys
import time
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from gouache import images
from gouache.commands.outcome import errors_shown, print_json, say_warning, write_stdout
from gouache.contract import QUALITIES, SIZES, GenerateImage, read_request
from gouache.engines import Drawing, check_supported, open_engine
from gouache.errors import RequestError, StorageError
from gouache.images import Recipe
from gouache.settings import Settings, read_settings
from gouache.terminal import drawing_shown

MAX_STDIN_CHARACTERS = 1_000_000


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
    with errors_shown(as_json=as_json):
        if as_json and output == Path("-"):
            raise RequestError("--json and --output - both want standard output; leave one out")
        settings = read_settings(engine=engine)
        request = _request(given, recipe)
        picture = _draw(request, settings, output, Console(stderr=True))
        _report(picture, as_json=as_json)
        if open_it and not picture.to_stdout:
            typer.launch(str(picture.path))


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
    png = (
        drawing.encoded.data
        if drawing.encoded and drawing.encoded.content_type == images.CONTENT_TYPE
        else images.encode_png(drawing.pixels, recipe)
    )
    if output == Path("-"):
        path = output
        write_stdout(png)
    else:
        path = _path(output, settings, request.filename or images.default_filename(recipe))
        images.write_atomically(path, png)
    seconds = time.monotonic() - begun
    return _Picture(recipe, drawing, path, seconds, (*request.warnings(), *drawing.warnings))


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
        print_json(
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
        say_warning(warning)
    console.print(
        f"{request.size}, {request.quality}, {drawing.model}"
        + ("" if drawing.seed is None else f", seed {drawing.seed}")
        + f", {picture.seconds:.1f} s"
    )
    if not picture.to_stdout:
        typer.echo(str(picture.path))
