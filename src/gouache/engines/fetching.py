"""Pictures that another machine does not send, but says where they are: fetched within limits.

Such an address is called with https only, not in private networks, and not more of it is read than
may be; each redirect is judged like the address itself. The one exception is the host of the API
itself, which whoever wrote the settings trusts: it may be private, and be called without TLS where the
settings do. The key goes to the very API only. No address is in an error or a log: who knows it can
fetch the picture.
"""

from dataclasses import dataclass, field

import httpx2

from gouache.addresses import is_public
from gouache.calling import addresses_of, called, why_unconnected
from gouache.errors import EngineError, EngineTimedOut, EngineUnavailable

MAX_REDIRECTS = 3
HEADERS = {"User-Agent": "Gouache", "Accept": "image/*", "Accept-Encoding": "identity"}

_ADDRESS = "the picture cannot be fetched: its address"


@dataclass(frozen=True, slots=True)
class Source:
    """The API that says where pictures are, and the headers that only itself may see."""

    api: httpx2.URL
    headers: dict[str, str] = field(repr=False)
    max_bytes: int

    def is_itself(self, url: httpx2.URL) -> bool:
        """Whether an address is of the very server of the API."""
        return _origin(url) == _origin(self.api)

    def is_at_home(self, url: httpx2.URL) -> bool:
        """Whether an address is on the host of the API."""
        return url.host == self.api.host


async def fetched(address: str, source: Source) -> bytes:
    """Return what is at an address that the API named; one without a host is the API's own.

    Raises:
        EngineError: it must not be called, or is too large.
        EngineUnavailable: it cannot be reached, or is not there any more.
    """
    url = source.api
    try:
        url = url.join(address)
        for _ in range(MAX_REDIRECTS + 1):
            answer = await _answer(url, source)
            if isinstance(answer, bytes):
                return answer
            url = url.join(answer)
    except httpx2.InvalidURL as error:
        raise EngineError(f"{_ADDRESS} is none") from error
    except httpx2.TimeoutException as error:
        raise EngineTimedOut(f"{_ADDRESS} does not answer") from error
    except httpx2.ConnectError as error:
        raise EngineUnavailable(f"{_ADDRESS} {why_unconnected(error)}") from error
    except httpx2.HTTPError as error:
        raise EngineUnavailable(f"{_ADDRESS} broke off the connection") from error
    raise EngineError(f"{_ADDRESS} leads on more than {MAX_REDIRECTS} times")


async def _answer(url: httpx2.URL, source: Source) -> bytes | str:
    """Return the picture, or the address that this one leads on to."""
    if url.scheme != "https" and not (
        url.scheme == "http" and source.api.scheme == "http" and source.is_at_home(url)
    ):
        raise EngineError(f"{_ADDRESS} is neither https nor on the host of base_url")
    if not url.host:
        raise EngineError(f"{_ADDRESS} is none")
    try:
        addresses = await addresses_of(url)
    except (OSError, UnicodeError) as error:
        raise EngineUnavailable(f"{_ADDRESS} has a name that leads nowhere") from error
    if not source.is_at_home(url) and not all(is_public(address) for address in addresses):
        raise EngineError(f"{_ADDRESS} leads to a private network")
    headers = HEADERS | (source.headers if source.is_itself(url) else {})
    async with called("GET", url, addresses, headers) as response:
        if response.has_redirect_location:
            return str(response.headers["location"])
        if not response.is_success:
            raise EngineUnavailable(f"{_ADDRESS} answered {response.status_code}")
        return await _within(response, source.max_bytes)


async def _within(response: httpx2.Response, max_bytes: int) -> bytes:
    data = bytearray()
    async for chunk in response.aiter_bytes():
        data += chunk
        if len(data) > max_bytes:
            raise EngineError(f"the picture is larger than {max_bytes:,} bytes (max_bytes)")
    return bytes(data)


def _origin(url: httpx2.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port or {"http": 80, "https": 443}.get(url.scheme)
