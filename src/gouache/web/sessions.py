"""Sessions of the page: a signed cookie, given to whoever has shown a key.

A session is good for 12 hours, as long as the key stays the same and its row is there: what it is signed
with is made of the service's own key and the caller's. Nothing is stored; to log out takes the cookie away.
"""

import hmac
import time
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.responses import Response

from gouache.callers import NOBODY, Callers
from gouache.service import Service

COOKIE = "gouache_session"
SESSION_SECONDS = 12 * 3600


class Sessions:
    """Gives sessions and knows them again."""

    def __init__(self, service: Service, callers: Callers) -> None:
        """Sign with keys of our own."""
        self._service = service
        self._callers = callers
        public = urlsplit(service.settings.public_url)
        self._path = public.path.rstrip("/") or "/"
        self._is_secure = public.scheme == "https"

    def begin(self, response: Response, caller: str | None) -> None:
        """Give a caller's session to whoever gets this answer."""
        expires = str(int(time.time()) + SESSION_SECONDS)
        value = f"{expires}.{caller or ''}.{self._signature(expires, caller)}"
        self._set(response, value, SESSION_SECONDS)

    def end(self, response: Response) -> None:
        """Take the session away from whoever gets this answer."""
        self._set(response, "", 0)

    def caller(self, headers: Headers) -> str | None:
        """Return whose session a request comes with: `NOBODY`'s where it has none that is good."""
        cookie = cookie_parser(headers.get("cookie", "")).get(COOKIE, "")
        expires, _, rest = cookie.partition(".")
        name, _, signature = rest.partition(".")
        caller = name or None  # the house has no name
        expected = self._signature(expires, caller)
        if not hmac.compare_digest(signature.encode(errors="replace"), expected.encode()):
            return NOBODY
        return caller if expected and int(expires) > time.time() else NOBODY

    def _set(self, response: Response, value: str, seconds: int) -> None:
        response.set_cookie(
            COOKIE,
            value,
            max_age=seconds,
            path=self._path,
            secure=self._is_secure,
            httponly=True,
            samesite="lax",
        )

    def _signature(self, expires: str, caller: str | None) -> str:
        """Return what proves that a session is ours; "" for a caller whom nobody knows."""
        digest = self._callers.digest_of(caller)
        if digest is None:
            return ""
        key = self._service.links.derived_key(f"page sessions {digest.hex()}")
        return hmac.new(key, expires.encode(errors="replace"), "sha256").hexdigest()
