"""Errors as pages, in words: whoever refuses, the gate, a route or a bug.

A refusal below /ui is made into a page here, or for the page's script into a sentence that it puts at
the top. Whoever is not logged in is led to where that is done.
"""

import json
import logging
from http import HTTPStatus
from urllib.parse import urlencode

from starlette.datastructures import Headers
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gouache.errors import GouacheError, Unauthenticated
from gouache.settings import Settings
from gouache.web.access import is_page
from gouache.web.page.rendering import HEADERS, prefix_of, render

TITLES = {
    400: "That cannot be done",
    401: "You are not logged in",
    403: "Refused",
    404: "Not found",
    409: "Too late",
    503: "Not available",
}
INTO_THE_TOP = {"HX-Retarget": "#trouble", "HX-Reswap": "innerHTML"}

_log = logging.getLogger(__name__)


class InWords:
    """Makes pages of the errors below /ui."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        """Know where links begin and whether there is a login."""
        self.app = app
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on; its answer is made into a page where it is an error."""
        if scope["type"] != "http" or not _is_for_people(scope):
            await self.app(scope, receive, send)
            return
        held: list[Message] = []
        has_begun = False

        async def hold(message: Message) -> None:
            nonlocal has_begun
            if not has_begun and (held or _is_error(message)):
                held.append(message)
                return
            has_begun = True
            await send(message)

        try:
            await self.app(scope, receive, hold)
        except Exception as error:
            if has_begun:
                raise
            _log.error("%s %s", scope["method"], scope["path"], exc_info=error)
            failed = GouacheError("Something failed inside the server; its log says what.")
            await self._page(scope, failed.status, failed.code, failed.message)(
                scope, receive, send
            )
            return
        if held:
            body = b"".join(message.get("body", b"") for message in held[1:])
            said = json.loads(body)["error"] if body else {"code": "", "message": ""}
            response = self._page(scope, held[0]["status"], said["code"], said["message"])
            await response(scope, receive, send)

    def _page(self, scope: Scope, status: int, code: str, message: str) -> Response:
        """Return the page for an error, or the way to the login."""
        prefix = prefix_of(self._settings)
        is_partial = Headers(scope=scope).get("hx-request") == "true"
        if code == Unauthenticated.code:
            here = scope["path"] + (f"?{scope['query_string'].decode('latin-1')}").rstrip("?")
            login = f"{prefix}/ui/login?" + urlencode({"next": here})
            if scope["method"] in ("GET", "HEAD") and not is_partial:
                return RedirectResponse(login, 303, HEADERS)
            message = "You are not logged in, or no longer."
        text = render(
            self._settings,
            "trouble.html" if is_partial else "failed.html",
            here=scope["path"],
            has_login=False,
            title=TITLES.get(status, HTTPStatus(status).phrase),
            message=message[:1].upper() + message[1:],
            is_login=code == Unauthenticated.code,
        )
        return HTMLResponse(text, status, HEADERS | (INTO_THE_TOP if is_partial else {}))


def _is_for_people(scope: Scope) -> bool:
    """Whether an address is one of the page, or the first of the server in a browser."""
    accepted = Headers(scope=scope).get("accept", "")
    return is_page(scope["path"]) or (scope["path"] == "/" and "text/html" in accepted)


def _is_error(message: Message) -> bool:
    if message["type"] != "http.response.start" or message["status"] < HTTPStatus.BAD_REQUEST:
        return False
    return Headers(raw=message["headers"]).get("content-type", "") == "application/json"
