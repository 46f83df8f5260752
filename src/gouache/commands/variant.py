"""`gouache variant`: a picture in another size or format, or as the icons of a web site."""

import re
from pathlib import Path
from typing import Annotated

import typer

from gouache import images
from gouache.commands.options import DataDir
from gouache.commands.outcome import errors_shown, say_warning, write_stdout
from gouache.errors import RequestError, StorageError
from gouache.settings import read_settings

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_FORMATS = {".jpg": "jpeg", ".zip": "icons"}
"""The formats of extensions that are not their names."""


def variant(
    picture: Annotated[str, typer.Argument(help="A picture's file, or the UUID of a stored one.")],
    output: Annotated[
        Path,
        typer.Option(help="The file to write, whose name says the format; - for standard output."),
    ],
    w: Annotated[str | None, typer.Option(help="Width in pixels.")] = None,
    h: Annotated[str | None, typer.Option(help="Height in pixels.")] = None,
    fit: Annotated[str | None, typer.Option(help="cover, contain, fill or inside both.")] = None,
    form: Annotated[
        str | None,
        typer.Option("--format", help="png, jpeg, webp, pdf, svg, ico, or icons: a zip of them."),
    ] = None,
    circle: Annotated[bool, typer.Option("--circle", help="Leave only a circle.")] = False,
    background: Annotated[
        str | None,
        typer.Option(help="transparent, or a colour like #ffcc00, for the plain ground."),
    ] = None,
    quality: Annotated[str | None, typer.Option(help="Of JPEG and WebP, 1 to 100.")] = None,
    max_bytes: Annotated[str | None, typer.Option(help="How large the file may be.")] = None,
    dpi: Annotated[str | None, typer.Option(help="Pixels per inch in print.")] = None,
    data_dir: DataDir = None,
) -> None:
    """Make a variant of a picture and write it."""
    asked = {
        "w": w,
        "h": h,
        "fit": fit,
        "format": form or _format_of(output),
        "circle": "true" if circle else None,
        "background": background,
        "quality": quality,
        "max_bytes": max_bytes,
        "dpi": dpi,
    }
    with errors_shown(as_json=False):
        made, said = _made(
            _read(picture, data_dir), {name: value for name, value in asked.items() if value}
        )
        for sentence in said:
            say_warning(sentence)
        if output == Path("-"):
            write_stdout(made)
            return
        images.write_atomically(output, made)
        typer.echo(str(output))


def _made(data: bytes, asked: dict[str, str]) -> tuple[bytes, tuple[str, ...]]:
    from gouache.icons import icon_set
    from gouache.variants import read_variant, render

    if asked.get("format") != "icons":
        rendered = render(data, read_variant(asked))
        return rendered.data, rendered.warnings
    others = sorted(asked.keys() - {"format"})
    if others:
        raise RequestError(f"{others[0]} is of no use with icons; leave it out", param=others[0])
    return icon_set(data), ()


def _read(picture: str, data_dir: Path | None) -> bytes:
    """Return the bytes of a file, or of the stored file with this UUID."""
    path = Path(picture)
    if _UUID.fullmatch(picture) and not path.exists():
        from gouache.service import open_service

        with open_service(read_settings(data_dir=data_dir)) as service:
            path = service.file_path(picture.lower())
    try:
        return path.read_bytes()
    except OSError as error:
        raise StorageError(f"{path} could not be read: {error.strerror}") from error


def _format_of(output: Path) -> str | None:
    """Return the format that the name of a file asks for; what is no format is refused later."""
    extension = output.suffix.lower()
    return _FORMATS.get(extension, extension.removeprefix(".")) or None
