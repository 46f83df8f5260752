"""The gateways at work: a task's UUID leads to a row of the settings, and the row to an engine.

An engine is opened when it is first needed, once for all gateways that draw with it and tell it the
same, so that its weights are in memory once. Safe to call from any thread.
"""

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from uuid import UUID

from gouache import cache, model_life, prices
from gouache.contract import DEFAULT_MODEL, QUALITIES, SIZES, GenerateImage, read_request
from gouache.engines import Capabilities, Engine, check_supported, choose_seed, open_engine
from gouache.errors import GatewayNotFound, SettingsError, UnknownEngine, UnsupportedByEngine
from gouache.rows import Price
from gouache.settings import Gateway, Settings

NEIGHBOURS = "_neighbours"
"""The queue of the tasks that need no engine; no gateway's name begins like that."""

NEIGHBOURS_ROW = Gateway(taskapigatewayuuid=UUID(int=0), concurrency=4, timeout_seconds=120)
WEBHOOKS = "_webhooks"
"""The queue of the messages to webhooks: slow receivers hold up nothing but each other."""

WEBHOOKS_ROW = Gateway(taskapigatewayuuid=UUID(int=0), concurrency=20)


@dataclass(frozen=True, slots=True)
class Assigned:
    """What is settled about a request before a gateway draws it.

    `seed` is the one it is drawn with, if its model takes one; `cache_key` what its picture is found
    by again, if it may be; `warnings` are sentences for the result.
    """

    seed: int | None = None
    cache_key: str | None = None
    warnings: tuple[str, ...] = ()


class Gateways:
    """The rows of the settings, each with its engine."""

    def __init__(self, settings: Settings, *, today: Callable[[], date] = model_life.today) -> None:
        """Open nothing yet."""
        self._settings = settings
        self._today = today
        self._rows = settings.all_gateways
        self._engines: dict[tuple[str, str], Engine] = {}
        self._opening = threading.Lock()

    def find(self, uuid: UUID | str, *, inside: str = "") -> str:
        """Return the name of the gateway with this UUID; `inside` leads to it, for the error.

        Raises:
            GatewayNotFound: no row has it; the message lists those there are.
        """
        for name, row in self._rows.items():
            if str(row.taskapigatewayuuid) == str(uuid).lower():
                return name
        known = ", ".join(f"{row.taskapigatewayuuid} ({name})" for name, row in self._rows.items())
        raise GatewayNotFound(
            f"no gateway has the taskapigatewayuuid {uuid}; use one of {known}",
            param=_path(inside, "taskapigatewayuuid"),
        )

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the rows."""
        return tuple(self._rows)

    def row(self, name: str) -> Gateway:
        """Return the row of this name.

        Raises:
            SettingsError: there is none; the message lists those there are.
        """
        if name == NEIGHBOURS:
            return NEIGHBOURS_ROW
        if name not in self._rows:
            known = ", ".join(self._rows)
            raise SettingsError(
                f"no gateway is named {name!r}; use one of {known}", param="gateways"
            )
        return self._rows[name]

    def engine(self, name: str) -> Engine:
        """Return the engine of a gateway, opened where it was not yet.

        Raises:
            SettingsError: no row or no installed engine has the name, or a row's `models` lead to a
                model that the engine does not have.
            EngineError: it cannot be opened.
        """
        row = self.row(name)
        told = (row.engine, json.dumps(row.options, sort_keys=True, default=str))
        with self._opening:
            if told not in self._engines:
                self._engines[told] = self._open(name, row)
            engine = self._engines[told]
        for asked, drawn in row.models.items():
            if drawn not in engine.capabilities.models:
                known = ", ".join(engine.capabilities.models)
                field = f"gateways.{name}.models.{asked}"
                raise SettingsError(
                    f"setting {field}: the engine {row.engine!r} has no model {drawn!r}; "
                    f"use one of {known}",
                    param=field,
                )
        return engine

    def capabilities(self, name: str) -> Capabilities:
        """Return what a gateway can do: what its engine can, under the row's names of models too.

        Raises:
            SettingsError, EngineError: as of `engine`.
        """
        can = self.engine(name).capabilities
        named = {asked: can.models[drawn] for asked, drawn in self.row(name).models.items()}
        return replace(can, models={**can.models, **named})

    def check(self, name: str, request: GenerateImage, *, inside: str = "") -> None:
        """Refuse by name what a gateway cannot do; `inside` leads to the request, for the error.

        Raises:
            UnsupportedByEngine: `param` names the field; the message lists the values it allows.
            SettingsError, EngineError: as of `engine`.
        """
        try:
            check_supported(request, self.capabilities(name))
        except UnsupportedByEngine as error:
            error.param = _path(inside, error.param or "")
            raise

    def assigned(
        self, name: str, request: GenerateImage, *, owner: str | None, seed: int | None = None
    ) -> Assigned:
        """Settle what is to be settled before a gateway draws a request it can draw.

        `seed` is one that was chosen for it before.

        Raises:
            SettingsError, EngineError: as of `engine`.
        """
        can, row = self.capabilities(name), self.row(name)
        model = self.drawn_by(name, request)
        warning = model_life.warning(model, row.model_life, self._today())
        is_certain = request.wanted_seed is not None or not can.supports_seed
        cached = can.supports_seed if row.cache is None else row.cache
        drawn_by = {
            "engine": row.engine,
            "options": row.options,
            "model": model,
            "rewriter": (self._settings.rewriter_url, self._settings.rewriter_model),
        }
        if not can.supports_seed:
            seed = None
        elif seed is None:
            seed = choose_seed(request)
        return Assigned(
            seed=seed,
            cache_key=cache.key_of(request, owner=owner, drawn_by=drawn_by)
            if cached and is_certain
            else None,
            warnings=(warning,) if warning else (),
        )

    def endings(self, name: str) -> list[str]:
        """Return a sentence for each model that ends soon of those that a row's own names lead to.

        Raises:
            SettingsError, EngineError: as of `engine`.
        """
        can, row = self.capabilities(name), self.row(name)
        found = {can.models[asked]: asked for asked in (*row.models, DEFAULT_MODEL)}
        sentences = [
            (model_life.warning(model, row.model_life, self._today()), asked)
            for model, asked in found.items()
        ]
        return [f"gateway {name}, asked for {asked}: {said}" for said, asked in sentences if said]

    def unpriced(self, name: str) -> list[str]:
        """Return a sentence for each model that a gateway's budget refuses, as its price is not known.

        Raises:
            SettingsError, EngineError: as of `engine`.
        """
        if self.row(name).budget_usd is None:
            return []
        return [
            f"the gateway {name} has a budget, and nobody knows what {model} can cost, so its tasks "
            f'are refused; set image_usd or at_most_usd in gateways.{name}.prices."{model}"'
            for model in dict.fromkeys(self.capabilities(name).models.values())
            if not self._is_priced(name, model)
        ]

    def drawn_by(self, name: str, request: GenerateImage) -> str:
        """Return the model that draws a request at a gateway.

        Raises:
            SettingsError, EngineError: as of `engine`.
        """
        return self.capabilities(name).models.get(request.model, request.model)

    def price(self, name: str, request: GenerateImage) -> Price | None:
        """Return what a picture costs at a gateway; `prices.FREE` where this machine draws it.

        None where nobody knows.

        Raises:
            SettingsError, EngineError: as of `engine`.
        """
        can, model = self.capabilities(name), self.drawn_by(name, request)
        if model in self.row(name).prices:
            return self.row(name).prices[model]
        if can.provider is None:
            return prices.FREE
        return prices.known_prices().get((can.provider, model))

    def chain(self, first: str, name: str) -> list[str]:
        """Return the gateways that may take over from one, where `first` was asked for."""
        names = [first, *self._rows[first].fallback] if first in self._rows else []
        return names[names.index(name) + 1 :] if name in names else []

    def standing_in(self, name: str, request: GenerateImage) -> GenerateImage:
        """Return the request as a gateway may draw it for another: its default where it lacks the model.

        Raises:
            SettingsError, EngineError: as of `engine`.
        """
        if request.model in self.capabilities(name).models:
            return request
        return request.model_copy(update={"model": DEFAULT_MODEL})

    def for_engine(self, name: str, request: GenerateImage) -> GenerateImage:
        """Return the request with the engine's name of the model; the one given is what is echoed."""
        drawn = self.row(name).models.get(request.model, request.model)
        return request if drawn == request.model else request.model_copy(update={"model": drawn})

    def close(self) -> None:
        """Close the engines that were opened."""
        with self._opening:
            for engine in self._engines.values():
                engine.close()
            self._engines.clear()

    def _is_priced(self, name: str, model: str) -> bool:
        """Whether the most is known that a model's pictures can cost, of all sizes and qualities."""
        asked = [
            read_request({"prompt": "x", "model": model, "size": size, "quality": quality})
            for size in SIZES
            for quality in QUALITIES
        ]
        return all(prices.most(self.price(name, one), one) is not None for one in asked)

    def _open(self, name: str, row: Gateway) -> Engine:
        try:
            return open_engine(row.engine, self._settings, row.options)
        except SettingsError as error:
            field = f"gateways.{name}.{error.param}"
            raise SettingsError(f"setting gateways.{name}.{error.message}", param=field) from error
        except UnknownEngine as error:
            field = "engine" if name not in self._settings.gateways else f"gateways.{name}.engine"
            raise SettingsError(f"setting {field}: {error.message}", param=field) from error


def _path(inside: str, field: str) -> str:
    return f"{inside}.{field}" if inside else field
