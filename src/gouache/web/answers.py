"""Records as answers, and waiting for them without holding a thread."""

import asyncio
from collections.abc import Sequence
from urllib.parse import urlsplit

from fastapi import Request
from pydantic import BaseModel
from starlette.responses import JSONResponse

from gouache.records import as_json as as_json  # the word by which the routes know it
from gouache.service import Service
from gouache.web.refusals import PRIVATE


def answer(
    record: BaseModel, status: int = 200, headers: dict[str, str] | None = None
) -> JSONResponse:
    """Return the answer that shows a record."""
    return JSONResponse(as_json(record), status, {**PRIVATE, **(headers or {})})


def location(service: Service, *pieces: str) -> dict[str, str]:
    """Return the header that leads to what was made, below the path of the public address."""
    prefix = urlsplit(service.settings.public_url).path.rstrip("/")
    return {"Location": "/".join([prefix, *pieces])}


async def wait_for(
    service: Service, request: Request, taskuuids: Sequence[str], seconds: int | None
) -> dict[str, str]:
    """Wait until the tasks have ended, the time is over or the caller has gone.

    Returns the header that says what was waited for.
    """
    if seconds is None:
        return {}
    await wait_or_leave(service, request, taskuuids, seconds)
    return {"Preference-Applied": f"wait={seconds}"}


async def wait_or_leave(
    service: Service, request: Request, taskuuids: Sequence[str], seconds: int | None
) -> bool:
    """Return whether the tasks have ended, once they have, the time is over or the caller has gone."""
    waiting = asyncio.ensure_future(service.wait(taskuuids, seconds))
    leaving = asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait([waiting, leaving], return_when=asyncio.FIRST_COMPLETED)
        return waiting.done() and waiting.result()
    finally:
        for task in (waiting, leaving):
            task.cancel()
        await asyncio.gather(waiting, leaving, return_exceptions=True)


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
