"""The gate before every route: who may call, and what a body may be.

Without a key the server is for this machine only. What a browser may be led to send it from a foreign
page is refused then: names of hosts that are not ours (DNS rebinding), pages of another origin, and bodies
that a form can make. With one, a browser that has shown it has a session (`sessions`): good for reading,
and for what the forms of our own page send, which is taken from no other page. What is passed on says
in its scope who calls; routes get the service as that caller sees it (`parameters.TheService`).
"""

import re
from email.message import Message as MimeMessage
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gouache.callers import NOBODY, Callers
from gouache.errors import (
    BodyTooLarge,
    ForeignPage,
    GouacheError,
    HostNotAllowed,
    Unauthenticated,
    WrongContentType,
)
from gouache.settings import Settings
from gouache.web.openai_errors import is_openai
from gouache.web.refusals import refusal
from gouache.web.sessions import Sessions

CALLER = "gouache.caller"
"""What a request's scope says of who calls: the name of a key, None for the house, or `NOBODY`."""

LOOPBACK = {"localhost", "127.0.0.1", "[::1]"}
OPEN_TO_ALL = "/health"
FILES = "/files/"
PAGE = "/ui"
OPEN_PAGES = ("/ui/login", "/ui/static/")
JSON, FORM = "application/json", "application/x-www-form-urlencoded"
_HOST = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[^\[\]:@/\s]+)(:[0-9]{1,5})?")


class Gate:
    """Refuses a request before any route sees it."""

    def __init__(
        self, app: ASGIApp, settings: Settings, callers: Callers, sessions: Sessions
    ) -> None:
        """Take from the settings the names of the server and the size of a body."""
        self.app = app
        self._callers = callers
        self._sessions = sessions
        own = f"[{settings.host}]" if ":" in settings.host else settings.host
        self._public = urlsplit(settings.public_url).netloc.lower()
        public = _name(self._public)
        self._hosts = LOOPBACK | {own.lower()} | ({public} if public else set())
        self._most = settings.max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse the request, or pass it on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        try:
            headers = Headers(scope=scope)
            scope[CALLER] = self._caller(scope, headers)
            if scope["method"] == "POST":
                if is_page(scope["path"]):
                    self._check_origin(headers)
                _check_content_type(headers, FORM if is_page(scope["path"]) else JSON)
                self._check_length(headers)
                receive = self._limited(receive)
        except GouacheError as error:
            await refusal(error, path=scope["path"])(scope, receive, send)
            return
        await self.app(scope, receive, send)

    def _caller(self, scope: Scope, headers: Headers) -> str | None:
        """Return who calls; without keys everybody is the house.

        Raises:
            HostNotAllowed: there are no keys, and the request is from elsewhere.
            Unauthenticated: there are, and it comes with none of them.
        """
        if self._callers.is_open:
            self._check_names(headers)
            return None
        given = _given_key(scope, headers)
        caller = self._callers.of_key(given)
        if caller == NOBODY and _is_for_sessions(scope):
            caller = self._sessions.caller(headers)
        if caller == NOBODY and not _is_open(scope):
            what = "is wrong" if given else "is missing"
            raise Unauthenticated(f"the API key {what}; send it as Authorization: Bearer <key>")
        return caller

    def _check_names(self, headers: Headers) -> None:
        host = headers.get("host", "")
        if _name(host) not in self._hosts:
            raise HostNotAllowed(
                f"this server does not answer to the host {host[:100]!r}; the setting public_url "
                f"names another"
            )
        origin = headers.get("origin")
        if origin is not None and _name(urlsplit(origin).netloc) not in self._hosts:
            raise HostNotAllowed(f"pages of {origin[:100]!r} may not call this server")

    def _check_origin(self, headers: Headers) -> None:
        """Raise `ForeignPage` unless the browser says that a page of ours sent the form."""
        if headers.get("sec-fetch-site") == "same-origin":
            return
        origin = urlsplit(headers.get("origin", "")).netloc.lower()
        if not origin or origin not in (headers.get("host", "").lower(), self._public):
            raise ForeignPage(
                "only a page of this server may send this; behind a proxy, the setting public_url "
                "must be the address in the browser"
            )

    def _check_length(self, headers: Headers) -> None:
        length = headers.get("content-length", "")
        if length.isascii() and length.isdigit() and int(length[:20]) > self._most:
            raise self._too_large()

    def _limited(self, receive: Receive) -> Receive:
        """Count what arrives, also where no length was announced."""
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self._most:
                raise self._too_large()
            return message

        return counted

    def _too_large(self) -> BodyTooLarge:
        return BodyTooLarge(f"the body is larger than {self._most:,} bytes")


def _name(host: str) -> str | None:
    """Return the name in a Host header, without its port; None where it is none."""
    found = _HOST.fullmatch(host.lower())
    return found["name"] if found else None


def _given_key(scope: Scope, headers: Headers) -> str:
    """Return the key that a caller sends, or ""; clients of Azure have a header of their own for it."""
    scheme, _, given = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return given.strip()
    return headers.get("api-key", "") if is_openai(scope["path"]) else ""


def _is_link(scope: Scope) -> bool:
    """Whether a file is asked for by a signed link; its route checks the signature."""
    query = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    reads = scope["method"] in ("GET", "HEAD")
    return reads and scope["path"].startswith(FILES) and "signature" in query


def is_page(path: str) -> bool:
    """Whether a path is one of the page for people."""
    return path == PAGE or path.startswith(f"{PAGE}/")


def _is_for_sessions(scope: Scope) -> bool:
    """Whether a session is enough: to read, and to send a form of the page."""
    reads = scope["method"] in ("GET", "HEAD")
    return reads or (scope["method"] == "POST" and is_page(scope["path"]))


def _is_open(scope: Scope) -> bool:
    """Whether anybody may ask; what is there to be read by a link, its route checks."""
    path = scope["path"]
    return path == OPEN_TO_ALL or path.startswith(OPEN_PAGES) or _is_link(scope)


def _check_content_type(headers: Headers, wanted: str) -> None:
    """Refuse what a form can send, but below /ui, where nothing else is taken.

    A body without a type is no concern of ours until it is read.
    """
    given = headers.get("content-type")
    if given is None:
        return
    message = MimeMessage()
    message["content-type"] = given
    charset = message.get_param("charset", "utf-8")
    if message.get_content_type() != wanted or str(charset).lower() != "utf-8":
        what = "JSON" if wanted == JSON else "a form"
        raise WrongContentType(f"the body must be {what} in UTF-8, sent as {wanted}")
