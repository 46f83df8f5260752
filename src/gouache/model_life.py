"""When models end: a table that we keep (`model_life.toml`), and what a gateway's row says otherwise."""

import tomllib
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from functools import cache
from importlib.resources import files

from pydantic import BaseModel, ConfigDict, Field

from gouache.rows import ModelLife

WARNED_AHEAD = timedelta(days=30)


class KnownEnd(BaseModel):
    """The end of a model that is known to us."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(description="The name it is asked for by.")
    provider: str = Field(description="Whose it is.")
    ends: date = Field(description="The last day.")
    replacement: str = Field(description="What to use then.")
    source: str = Field(description="Where that is said.")
    checked: date = Field(description="When it was looked up.")


@cache
def known_ends() -> tuple[KnownEnd, ...]:
    """Return the table, the first end first."""
    table = tomllib.loads((files("gouache") / "model_life.toml").read_text())
    return tuple(sorted(map(KnownEnd.model_validate, table["models"]), key=lambda end: end.ends))


def today() -> date:
    """Return the day it is, in UTC."""
    return datetime.now(UTC).date()


def warning(model: str, said: Mapping[str, ModelLife], on: date) -> str | None:
    """Return a sentence where a model has ended on that day or will within 30 days.

    `said` is what a gateway's row says of models; it wins over the table.
    """
    life = said.get(model) or next((end for end in known_ends() if end.name == model), None)
    if life is None or life.ends is None or life.ends - WARNED_AHEAD > on:
        return None
    verb = "ended" if life.ends < on else "ends"
    instead = f"; use {life.replacement}" if life.replacement else ""
    return f"the model {model} {verb} on {life.ends}{instead}"
