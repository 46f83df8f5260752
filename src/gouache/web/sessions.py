"""Sessions of the page: a signed cookie, given to whoever has shown the API key.

A session is good for 12 hours and as long as the key stays the same: what it is signed with is made of
the service's own key and the API key. Nothing is stored; to log out takes the cookie away.
"""

import hashlib
import hmac
import time
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.responses import Response

from gouache.service import Service

COOKIE = "gouache_session"
SESSION_SECONDS = 12 * 3600


class Sessions:
    """Gives sessions and knows them again."""

    def __init__(self, service: Service, api_key: str) -> None:
        """Sign with a key of our own."""
        self._api_key = api_key.encode()
        digest = hashlib.sha256(self._api_key).hexdigest()
        self._key = service.links.derived_key(f"page sessions {digest}")
        public = urlsplit(service.settings.public_url)
        self._path = public.path.rstrip("/") or "/"
        self._is_secure = public.scheme == "https"

    def opens(self, api_key: str) -> bool:
        """Whether this is the API key."""
        return hmac.compare_digest(api_key.encode(errors="replace"), self._api_key)

    def begin(self, response: Response) -> None:
        """Give a session to whoever gets this answer."""
        expires = str(int(time.time()) + SESSION_SECONDS)
        value = f"{expires}.{self._signature(expires)}"
        self._set(response, value, SESSION_SECONDS)

    def end(self, response: Response) -> None:
        """Take the session away from whoever gets this answer."""
        self._set(response, "", 0)

    def has_session(self, headers: Headers) -> bool:
        """Whether a request comes with a session that is good."""
        expires, _, signature = (
            cookie_parser(headers.get("cookie", "")).get(COOKIE, "").partition(".")
        )
        expected = self._signature(expires)
        if not hmac.compare_digest(signature.encode(errors="replace"), expected.encode()):
            return False
        return int(expires) > time.time()

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

    def _signature(self, expires: str) -> str:
        return hmac.new(self._key, expires.encode(errors="replace"), hashlib.sha256).hexdigest()


def sessions_of(service: Service) -> Sessions | None:
    """Return the sessions of a service; None where it has no API key and everything is open."""
    key = service.settings.api_key
    return None if key is None else Sessions(service, key.get_secret_value())
