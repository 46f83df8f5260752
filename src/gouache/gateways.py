"""The gateways at work: a task's UUID leads to a row of the settings, and the row to an engine.

An engine is opened when it is first needed, once for all gateways that draw with it and tell it the
same, so that its weights are in memory once. Safe to call from any thread.
"""

import json
import threading
from dataclasses import replace
from uuid import UUID

from gouache.contract import GenerateImage
from gouache.engines import Capabilities, Engine, check_supported, open_engine
from gouache.errors import GatewayNotFound, SettingsError, UnknownEngine, UnsupportedByEngine
from gouache.settings import Gateway, Settings

NEIGHBOURS = "_neighbours"
"""The queue of the tasks that need no engine; no gateway's name begins like that."""

NEIGHBOURS_ROW = Gateway(taskapigatewayuuid=UUID(int=0), concurrency=4, timeout_seconds=120)
WEBHOOKS = "_webhooks"
"""The queue of the messages to webhooks: slow receivers hold up nothing but each other."""

WEBHOOKS_ROW = Gateway(taskapigatewayuuid=UUID(int=0), concurrency=20)


class Gateways:
    """The rows of the settings, each with its engine."""

    def __init__(self, settings: Settings) -> None:
        """Open nothing yet."""
        self._settings = settings
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
