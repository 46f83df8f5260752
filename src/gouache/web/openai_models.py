"""Models by the names that clients of OpenAI's API know them by.

Those of the built-in gateway have the names the gateway gives them, those of another are
`gateway/model`. OpenAI's own names that the gateway does not know stand for the contract's default, so
that software written for them keeps working; the answer says so.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from gouache.contract import BUILT_IN_GATEWAY, GenerateImage
from gouache.errors import GouacheError, ModelNotFound
from gouache.given import resembling, shortened
from gouache.service import Service

DEFAULT: str = GenerateImage.model_fields["model"].default

_OF_OPENAI = re.compile(r"dall-e-[23]|(gpt|chatgpt)-image-[a-z0-9.-]{1,60}")


@dataclass(frozen=True, slots=True)
class Choice:
    """Which model of which gateway is meant, what styles it has, and what is to be said of that."""

    gateway: UUID
    model: str
    styles: tuple[str, ...]
    warnings: tuple[str, ...] = ()


class ModelEntry(BaseModel):
    """A model, as clients of OpenAI's API list it."""

    model_config = ConfigDict(frozen=True)

    id: str = Field(description="The name to ask for.")
    object: Literal["model"] = "model"
    created: int = Field(0, description="Always 0: nobody knows.")
    owned_by: str = Field(description="The gateway that has it.")
    draws_with: str = Field(description="The model that then draws.")


class ModelList(BaseModel):
    """All models."""

    model_config = ConfigDict(frozen=True)

    object: Literal["list"] = "list"
    data: list[ModelEntry]


def gives_base64(name: str | None) -> bool:
    """Whether those who ask for a model by this name expect Base64 where they do not say."""
    return bool(name) and "-image-" in str(name) and is_of_openai(str(name))


def is_of_openai(name: str) -> bool:
    """Whether a name is one of OpenAI's for a model of pictures, also one of the past or to come."""
    return _OF_OPENAI.fullmatch(name) is not None


def choose(service: Service, name: str | None, gateway: UUID | None) -> Choice:
    """Return the model that a name means, in a gateway or in the one that the name begins with.

    Raises:
        GatewayNotFound: no gateway has the UUID.
        ModelNotFound: there is no such model; the message lists those there are.
        SettingsError, EngineError: the gateway cannot be used.
    """
    asked = name or DEFAULT
    row = service.gateways.find(gateway or _default_gateway(service, asked))
    can = service.gateways.capabilities(row)
    model = asked if asked in can.models else asked.removeprefix(f"{row}/")
    said: tuple[str, ...] = ()
    if model not in can.models:
        if not is_of_openai(model) or DEFAULT not in can.models:
            known = [entry.id for entry in entries(service)]
            near = resembling(asked, dict.fromkeys(known))
            sentence = f"there is no model {shortened(asked)!r}; use one of {', '.join(known)}"
            raise ModelNotFound(sentence + near, param="model")
        said = (f"{model} is not a model of the gateway {row}; {can.models[DEFAULT]} drew instead",)
        model = DEFAULT
    return Choice(_uuid(service, row), model, can.styles, said)


def entries(service: Service) -> Iterator[ModelEntry]:
    """Yield the models of all gateways that can be used."""
    for row, gateway in service.settings.all_gateways.items():
        try:
            models = service.gateways.capabilities(row).models
        except GouacheError:
            continue  # it is no use to who chooses; `gouache doctor` says why
        for name, drawn in models.items():
            is_built_in = gateway.taskapigatewayuuid == BUILT_IN_GATEWAY
            model_id = name if is_built_in else f"{row}/{name}"
            yield ModelEntry(id=model_id, owned_by=row, draws_with=drawn)


def entry(service: Service, name: str) -> ModelEntry:
    """Return the entry of one model; raises as `choose` does."""
    choice = choose(service, name, None)
    row = service.gateways.find(choice.gateway)
    drawn = service.gateways.capabilities(row).models[choice.model]
    return ModelEntry(id=name, owned_by=row, draws_with=drawn)


def _default_gateway(service: Service, name: str) -> UUID:
    """Return the gateway that a name begins with, or the built-in one."""
    row, slash, _ = name.partition("/")
    if not slash or row not in service.settings.all_gateways:
        return BUILT_IN_GATEWAY
    return _uuid(service, row)


def _uuid(service: Service, row: str) -> UUID:
    return service.settings.all_gateways[row].taskapigatewayuuid
