"""The parameters of the routes: pieces of a path, headers, and what narrows a list."""

import re
from datetime import date
from typing import Annotated, cast

from fastapi import Depends, Header, Path, Request
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
)
from pydantic.json_schema import SkipJsonSchema

from gouache.records import STUBREF, TaskState
from gouache.rows import GatewayName, KeyName
from gouache.service import Service
from gouache.web.access import CALLER
from gouache.web.prefer import MAX_WAIT_SECONDS, wait_seconds

MAX_LIMIT = 100


def _as_day(day: object) -> object:
    """Leave out the numbers and times that would do for a day, too."""
    if isinstance(day, str) and not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", day):
        raise ValueError("must be a day, like 2026-11-24")
    return day


_Key = Annotated[str, StringConstraints(pattern=r"^[ -~]{1,255}$")]
_Reference = Annotated[str, StringConstraints(pattern=STUBREF)]
_Number = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,18}$")]
_State = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]{1,100}$")]
_Day = Annotated[date, BeforeValidator(_as_day)]
_UUID = r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"


def _uuid_in_path(what: str) -> object:
    return Path(pattern=_UUID, description=f"The UUID of the {what}.")


StubRef = Annotated[
    str,
    Path(pattern=STUBREF, description="The stub's reference.", examples=["2026-11-24-ABCD-1234"]),
]
StubpostUuid = Annotated[str, _uuid_in_path("stubpost"), AfterValidator(str.lower)]
TaskUuid = Annotated[str, _uuid_in_path("task"), AfterValidator(str.lower)]
FileUuid = Annotated[str, _uuid_in_path("file"), AfterValidator(str.lower)]

Key = Annotated[
    _Key | SkipJsonSchema[None],
    Header(
        alias="Idempotency-Key",
        description="The same key with the same body leads to what the first request made; with "
        "another body it is refused.",
    ),
]


async def _service(request: Request) -> Service:
    """Return the service as whoever calls sees it; the gate has found out who that is."""
    service = cast(Service, request.app.state.service)
    return service.seen_by(request.scope[CALLER])


async def _wait(
    request: Request,
    prefer: Annotated[
        str | SkipJsonSchema[None],
        Header(
            alias="Prefer",
            description=f"`wait=N`: answer when it has ended, after N seconds (at most "
            f"{MAX_WAIT_SECONDS}) in any case; other preferences are ignored (RFC 7240).",
            openapi_examples={"wait": {"value": "wait=10"}},
        ),
    ] = None,
) -> int | None:
    return wait_seconds(request.headers.getlist("prefer"))


TheService = Annotated[Service, Depends(_service)]
Wait = Annotated[int | None, Depends(_wait)]


class Part(BaseModel):
    """Which part of a list."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(20, ge=1, le=MAX_LIMIT, description="How many at most.")
    after: _Number | SkipJsonSchema[None] = Field(
        None, description="What the part before gave as `next`."
    )


class UsagePart(BaseModel):
    """Which usage."""

    model_config = ConfigDict(extra="forbid")

    gateway: GatewayName | SkipJsonSchema[None] = Field(None, description="Only this gateway's.")
    key: KeyName | SkipJsonSchema[None] = Field(
        None, description="Only this key's; another than its own nobody but the house asks for."
    )
    since: _Day | SkipJsonSchema[None] = Field(
        None, description="From this day on (UTC); without it, of this month."
    )


class StubsPart(Part):
    """Which stubs."""

    state: _State | SkipJsonSchema[None] = Field(None, description="Only those in this state.")


class TasksPart(Part):
    """Which tasks."""

    state: TaskState | SkipJsonSchema[None] = Field(None, description="Only those in this state.")
    stubref: _Reference | SkipJsonSchema[None] = Field(None, description="Only those of this stub.")
