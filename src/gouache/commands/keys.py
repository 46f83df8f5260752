"""`gouache keys`: who may call, by the rows of the settings, and a new key; none that is in use is shown."""

import re
import secrets
from collections.abc import Iterator
from hashlib import sha256
from typing import Annotated, Literal

import typer

from gouache.callers import missing_keys
from gouache.commands.outcome import errors_shown
from gouache.errors import SettingsError
from gouache.rows import KEY_NAME
from gouache.settings import FILE, Settings, read_settings


def keys(
    action: Annotated[
        Literal["new"] | None, typer.Argument(help="Makes a key; without it, all are listed.")
    ] = None,
    name: Annotated[str | None, typer.Argument(help="The name of the new key.")] = None,
) -> None:
    """List the keys of callers by name, or make one (gouache keys new NAME)."""
    with errors_shown(as_json=False):
        settings = read_settings()
        if action is None:
            for line in key_lines(settings):
                typer.echo(line)
            return
        _check_name(name or "", settings)
    key = secrets.token_urlsafe(32)
    typer.echo(key)
    typer.echo(f"This is the key; it is shown once. What follows is for {FILE}:", err=True)
    typer.echo(f'\n[keys.{name}]\nsha256 = "{sha256(key.encode()).hexdigest()}"')


def key_lines(settings: Settings) -> Iterator[str]:
    """Yield a line for the house's own key and one for each row."""
    yield f"api_key  the house's own  {'set' if settings.api_key else 'not set'}"
    missing = missing_keys(settings)
    for name, row in settings.keys.items():
        known = "sha256"
        if row.key_env:
            known = f"the variable {row.key_env}, {'not set' if name in missing else 'set'}"
        budget = (
            f"  {row.budget_usd} USD a {row.budget_period}" if row.budget_usd is not None else ""
        )
        yield f"{name}  {known}{budget}"


def _check_name(name: str, settings: Settings) -> None:
    """Refuse what cannot be the name of another row."""
    if not re.fullmatch(KEY_NAME, name):
        message = f"a key's name is of small letters, digits, - and _, not {name!r}"
        raise SettingsError(f"{message}; gouache keys new NAME", param="name")
    if name in settings.keys:
        message = f"there is a key named {name}; take another name, or its row away first"
        raise SettingsError(message, param="name")
