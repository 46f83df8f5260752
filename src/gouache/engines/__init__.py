"""The plugin seam: an engine turns one request into pixels.

An engine is whatever an entry point of the group `gouache.engines` names: a callable that takes the
`Settings` and the options of a gateway's row, and returns an object with the members of `Engine`.
Opening is cheap; weights load with the first picture. Pixels are (H, W, 3) uint8 sRGB arrays of the size asked for.
"""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType
from typing import Any, Protocol, TypeVar, cast, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from gouache.contract import MAX_SEED, QUALITIES, SIZES, GenerateImage
from gouache.errors import (
    EngineError,
    RequestError,
    SettingsError,
    UnknownEngine,
    UnsupportedByEngine,
)
from gouache.given import Given, read
from gouache.settings import Settings
from gouache.usage import Usage

Pixels = NDArray[np.uint8]
Options = TypeVar("Options", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an engine can do.

    `models` maps each name a request may ask for to the model that then draws; the contract's
    default model is one of them. `styles` are the values of the request's `style`. `provider` is who is
    paid for pictures, as `prices.toml` names it; None where this machine draws.
    """

    models: Mapping[str, str]
    sizes: tuple[str, ...] = SIZES
    qualities: tuple[str, ...] = QUALITIES
    styles: tuple[str, ...] = ()
    supports_seed: bool = True
    provider: str | None = "other"


@dataclass(frozen=True, slots=True)
class Step:
    """Progress: `step` of `steps` are done; `preview` is a small picture (h, w, 3) of it so far."""

    step: int
    steps: int
    preview: Pixels | None = None


OnStep = Callable[[Step], None]
"""Called after each step; may raise `Cancelled`, which stops the engine and reaches its caller.

An engine that waits for another machine calls it with its last step again now and then, so that it can
be stopped.
"""


@dataclass(frozen=True, slots=True)
class Encoded:
    """A picture as a file of one of `images.EXTENSIONS`, which is to be kept byte for byte."""

    data: bytes
    content_type: str


@dataclass(frozen=True, slots=True, eq=False)
class Drawing:
    """What an engine hands back.

    `seed` is None where the model takes none. `revised_prompt` is what the model was really given,
    `unresolved` the words of the prompt that had no influence on the picture, `warnings` sentences
    for the user. `encoded` is the file that came from elsewhere, if it holds just these pixels: it
    may say by a signature who drew it.
    """

    pixels: Pixels
    model: str
    seed: int | None
    revised_prompt: str
    encoded: Encoded | None = None
    usage: Usage | None = None
    unresolved: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


class Engine(Protocol):
    """Turns one request into pixels."""

    @property
    def capabilities(self) -> Capabilities:
        """What it can do."""

    def generate(self, request: GenerateImage, on_step: OnStep | None = None) -> Drawing:
        """Draw the request; a request without a seed gets `choose_seed`.

        Raises:
            UnsupportedByEngine: it cannot do what a field asks for.
            EngineError: it failed.
            Cancelled: `on_step` raised it.
        """

    def close(self) -> None:
        """Let go of memory and connections; it draws no more."""


@runtime_checkable
class Explained(Protocol):
    """An engine that can say where and how it draws."""

    def explain(self) -> tuple[str, ...]:
        """Return sentences; that may take seconds.

        Raises:
            SettingsError: an option asks for what is not there.
            EngineError: it cannot draw as things are.
        """


class NoOptions(Given):
    """The options of an engine that has none."""

    model_config = ConfigDict(extra="forbid")


def check_supported(request: GenerateImage, capabilities: Capabilities) -> None:
    """Refuse by name what the engine cannot do.

    Raises:
        UnsupportedByEngine: `param` names the field; the message lists the values it allows.
    """
    choices = {
        "model": tuple(capabilities.models),
        "size": capabilities.sizes,
        "quality": capabilities.qualities,
        "style": capabilities.styles,
    }
    for name, allowed in choices.items():
        value = getattr(request, name)
        if value is None or value in allowed:
            continue
        wanted = f"use one of {', '.join(allowed)}" if allowed else "leave it out"
        raise UnsupportedByEngine(
            f"{name} {value!r} is not supported by this engine; {wanted}", param=name
        )
    for name in ("seed", "seed_from"):
        if getattr(request, name) is not None and not capabilities.supports_seed:
            raise UnsupportedByEngine(
                f"{name} is not supported by this engine; leave it out", param=name
            )


def choose_seed(request: GenerateImage) -> int:
    """Return the seed the request asks for, or a new one that nobody can guess."""
    wanted = request.wanted_seed
    return secrets.randbelow(MAX_SEED + 1) if wanted is None else wanted


def engine_names() -> list[str]:
    """Return the names of the installed engines."""
    return sorted(_entry_points())


def read_options(model: type[Options], options: Mapping[str, Any]) -> Options:
    """Return what a gateway's row tells its engine, as the engine's model of it.

    Raises:
        SettingsError: an option is unknown or has a bad value; `param` is "options.<name>".
    """
    try:
        return read(model, options, inside="options")
    except RequestError as error:
        raise SettingsError(error.message, param=error.param) from error


def open_engine(
    name: str, settings: Settings, options: Mapping[str, Any] = MappingProxyType({})
) -> Engine:
    """Open the installed engine of this name, with the options of a gateway's row.

    Raises:
        UnknownEngine: none has this name; the message lists those there are.
        SettingsError: an option is unknown or has a bad value.
        EngineError: it cannot be opened.
    """
    installed = _entry_points()
    if name not in installed:
        known = ", ".join(sorted(installed))
        raise UnknownEngine(f"no engine is named {name!r}; use one of {known}", param="engine")
    try:
        make = cast(Callable[[Settings, Mapping[str, Any]], Engine], installed[name].load())
    except (ImportError, AttributeError) as error:
        raise EngineError(f"the engine {name!r} cannot be loaded: {error}") from error
    return make(settings, options)


def _entry_points() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group="gouache.engines")}
