"""Errors as answers: the same body from every layer, and its description in the OpenAPI document.

The body is `{"error": {"code", "message", "type", "param", "retryable"}}`, also for addresses that
lead nowhere, for what FastAPI finds wrong with a parameter, and for exceptions nobody foresaw; the
latter say nothing of the inside (`test_an_unforeseen_exception_says_nothing_of_the_inside_but_in_the_log`).
"""

import logging
import math
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Match

from gouache.contract import TaskError
from gouache.errors import (
    DatabaseUnavailable,
    EngineRateLimited,
    FileNotFound,
    GouacheError,
    HostNotAllowed,
    MethodNotAllowed,
    RequestError,
    RouteNotFound,
    SettingsError,
    StorageError,
    StubNotFound,
    StubpostNotFound,
    TaskNotFound,
    Unauthenticated,
)
from gouache.web.openai_errors import envelope, is_openai

_log = logging.getLogger(__name__)

PRIVATE = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
"""The headers of every answer that is a record or an error."""

ANYWHERE: tuple[type[GouacheError], ...] = (
    Unauthenticated,
    HostNotAllowed,
    GouacheError,
    DatabaseUnavailable,
)
"""What any route may answer."""

OF_THE_INSIDE = (DatabaseUnavailable, SettingsError, StorageError)
"""Errors whose messages name hosts, settings and folders of the server."""

NOT_FOUND = {
    "stubref": StubNotFound,
    "stubpostuuid": StubpostNotFound,
    "taskuuid": TaskNotFound,
    "fileuuid": FileNotFound,
}
"""What a path parameter that cannot be one is answered with."""


class ErrorBody(BaseModel):
    """Why a request was refused or failed."""

    model_config = ConfigDict(frozen=True)

    error: TaskError


def refusal(
    error: GouacheError, headers: dict[str, str] | None = None, *, path: str = ""
) -> JSONResponse:
    """Return the answer for an error at a path, with the headers its status asks for."""
    more = dict(headers or {})
    if isinstance(error, Unauthenticated):
        more["WWW-Authenticate"] = "Bearer"
    if isinstance(error, EngineRateLimited) and error.retry_after_seconds is not None:
        more["Retry-After"] = str(math.ceil(error.retry_after_seconds))
    if is_openai(path):
        body, status, theirs = envelope(error)
        return JSONResponse(body, status, {**PRIVATE, **theirs, **more})
    return JSONResponse({"error": error.as_json()}, error.status, {**PRIVATE, **more})


def shown(error: GouacheError, request: str) -> GouacheError:
    """Return the error as callers may see it; the log gets what is ours to mend, in full."""
    if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        _log.error("%s: %s", request, error.message)
    if isinstance(error, OF_THE_INSIDE):
        return type(error)(f"{type(error).__doc__} The server's log says more.")
    return error


def described(*errors: type[GouacheError]) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI descriptions of these errors, and of those any route may answer."""
    by_status: dict[int, list[type[GouacheError]]] = {}
    for error in (*errors, *ANYWHERE):
        by_status.setdefault(error.status, []).append(error)
    answers: dict[int | str, dict[str, Any]] = {}
    for status, kinds in sorted(by_status.items()):
        answers[status] = {
            "description": " ".join(f"`{kind.code}`: {_meaning(kind)}" for kind in kinds),
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorBody"}}},
        }
    return answers


def handle_errors(app: FastAPI, routes: list[BaseRoute]) -> None:
    """Make every exception of the application an answer; `routes` are those of the application."""
    app.add_exception_handler(GouacheError, _refuse)
    app.add_exception_handler(RequestValidationError, _refuse_parameter)
    app.add_exception_handler(HTTPException, _refuse_route(routes))
    app.add_exception_handler(Exception, _fail)


def _meaning(kind: type[GouacheError]) -> str:
    if kind is GouacheError:
        return "Something failed inside the server."
    return kind.__doc__ or ""


async def _refuse(request: Request, error: Exception) -> Response:
    assert isinstance(error, GouacheError)
    path = request.url.path
    return refusal(shown(error, f"{request.method} {path}"), path=path)


async def _refuse_parameter(request: Request, error: Exception) -> Response:
    """Name the first parameter of the path, query or headers that cannot be used."""
    assert isinstance(error, RequestValidationError)
    problem = error.errors()[0]
    place, *inside = (str(piece) for piece in problem["loc"])
    name = inside[0] if inside else place
    if place == "path":
        found: GouacheError = NOT_FOUND[name](
            f"{str(problem['input'])[:60]!r} is no {name}", param=name
        )
    elif problem["type"] == "extra_forbidden":
        found = RequestError(f"{name} is not a parameter of this address", param=name)
    else:
        given = str(problem["input"])
        shown = repr(given if len(given) <= 60 else given[:57] + "...")
        found = RequestError(f"{name}: {problem['msg']}; not {shown}", param=name)
    return refusal(found, path=request.url.path)


def _refuse_route(routes: list[BaseRoute]) -> Callable[[Request, Exception], Response]:
    def refuse(request: Request, error: Exception) -> Response:
        """Answer for an address or a method that there is not."""
        assert isinstance(error, HTTPException)
        if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            here = [route for route in routes if route.matches(request.scope)[0] != Match.NONE]
            methods = sorted({method for route in here for method in getattr(route, "methods", ())})
            sentence = f"{request.method[:20]} cannot be used here; use {', '.join(methods)}"
            allowed = {"Allow": ", ".join(methods)}
            return refusal(MethodNotAllowed(sentence), allowed, path=request.url.path)
        found = GouacheError(str(error.detail))
        if error.status_code == HTTPStatus.NOT_FOUND:
            found = RouteNotFound("nothing is at this address; GET /openapi.json lists all")
        return refusal(found, path=request.url.path)

    return refuse


async def _fail(request: Request, error: Exception) -> Response:
    """Answer for an exception nobody foresaw; the log gets its traceback."""
    _log.error("%s %s", request.method, request.url.path, exc_info=error)
    failed = GouacheError("something failed inside the server; its log says what")
    return refusal(failed, path=request.url.path)
