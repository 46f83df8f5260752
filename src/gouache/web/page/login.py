"""Logging in with a key, and out; and the way from the server's first address to the page."""

import asyncio
import re
from typing import cast

from fastapi import APIRouter, Request
from starlette.responses import Response

from gouache.callers import NOBODY, Callers
from gouache.errors import RouteNotFound
from gouache.web.page.rendering import show
from gouache.web.page.sent import Sent, go_to
from gouache.web.parameters import TheService
from gouache.web.sessions import Sessions

WRONG_KEY_SECONDS = 0.5
_LOCAL = re.compile(r"/ui(/[A-Za-z0-9_-]+)*(\?[A-Za-z0-9_.=&%+~-]*)?")

router = APIRouter(include_in_schema=False)


@router.get("/")
async def read_root(request: Request, service: TheService) -> Response:
    """Lead a browser to the page."""
    if "text/html" not in request.headers.get("accept", ""):
        raise RouteNotFound("nothing is at this address; GET /openapi.json lists all")
    return go_to(request, service, "/ui")


@router.get("/ui/login")
async def read_login(request: Request, service: TheService, next: str = "/ui") -> Response:
    """Ask for the API key, unless it is not needed."""
    if _callers(request).is_open or _sessions(request).caller(request.headers) != NOBODY:
        return go_to(request, service, local(next))
    return show(request, "login.html", next=local(next), wrong="")


@router.post("/ui/login")
async def log_in(request: Request, service: TheService, sent: Sent) -> Response:
    """Begin a session with a key; a wrong one takes a while."""
    callers = _callers(request)
    there = local(sent.get("next", "/ui"))
    if callers.is_open:
        return go_to(request, service, there)
    caller = callers.of_key(sent.get("key", "").strip())
    if caller == NOBODY:
        await asyncio.sleep(WRONG_KEY_SECONDS)
        wrong = "This is not the key. It is the server's setting api_key, or yours if you have one."
        return show(request, "login.html", status=401, next=there, wrong=wrong)
    response = go_to(request, service, there)
    _sessions(request).begin(response, caller)
    return response


@router.post("/ui/logout")
async def log_out(request: Request, service: TheService) -> Response:
    """End a session."""
    response = go_to(request, service, "/ui/login")
    _sessions(request).end(response)
    return response


def local(path: str) -> str:
    """Return a path of the page, or where it is none, the first."""
    is_ours = _LOCAL.fullmatch(path) and not path.startswith(("/ui/login", "/ui/logout"))
    return path if is_ours else "/ui"


def _callers(request: Request) -> Callers:
    return cast(Callers, request.app.state.callers)


def _sessions(request: Request) -> Sessions:
    return cast(Sessions, request.app.state.sessions)
