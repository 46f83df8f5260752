"""`gouache models`: what each engine can draw, and which models of others end when."""

from collections.abc import Iterator

import typer

from gouache.commands.outcome import errors_shown
from gouache.engines import engine_names, open_engine
from gouache.errors import GouacheError
from gouache.model_life import known_ends
from gouache.settings import Settings, read_settings


def models() -> None:
    """List the engines, their models and what each can do; and models that ended or will."""
    with errors_shown(as_json=False):
        settings = read_settings()
        for name in engine_names():
            chosen = " (used unless another is asked for)" if name == settings.engine else ""
            typer.echo(f"{name}{chosen}")
            for line in capability_lines(name, settings):
                typer.echo(f"  {line}")
        typer.echo("Known ends of models")
        for end in known_ends():
            said = f"use {end.replacement} ({end.provider}; {end.source}, {end.checked})"
            typer.echo(f"  {end.ends}  {end.name}: {said}")


def capability_lines(name: str, settings: Settings) -> Iterator[str]:
    """Yield what an engine can do, a line for each of its choices."""
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
