"""One message to an address that somebody handed in: only to where it may go, once, and not for long.

Every address its name leads to is judged. Redirects are not followed, and of the answer no more than
its status and headers is read.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

import httpx2

from gouache.addresses import is_public
from gouache.calling import CONNECT_SECONDS, addresses_of, called, seconds_of, why_unconnected

WHOLE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a message: `error` says in words why it did not arrive, None where it did.

    `is_final` means that it is not to be sent again; `retry_after_seconds` when, if the receiver said so.
    """

    status: int | None = None
    error: str | None = None
    is_final: bool = False
    retry_after_seconds: float | None = None


async def post(
    url: str, body: bytes, headers: Mapping[str, str], *, private_networks: bool
) -> Answer:
    """Send a message; whatever goes wrong is in the answer."""
    try:
        async with asyncio.timeout(WHOLE_SECONDS):
            return await _post(httpx2.URL(url), body, headers, private_networks=private_networks)
    except httpx2.ConnectTimeout:
        return Answer(error=f"could not be connected to within {CONNECT_SECONDS:g} s")
    except (TimeoutError, httpx2.TimeoutException):
        return Answer(error="did not answer in time")
    except httpx2.ConnectError as error:
        return Answer(error=why_unconnected(error))
    except httpx2.InvalidURL:
        return Answer(error="has an address that cannot be called", is_final=True)
    except (httpx2.HTTPError, OSError) as error:
        return Answer(error=f"broke off the connection ({type(error).__name__})")


async def _post(
    url: httpx2.URL, body: bytes, headers: Mapping[str, str], *, private_networks: bool
) -> Answer:
    try:
        addresses = await addresses_of(url)
    except (OSError, UnicodeError):
        return Answer(error="has a name that leads nowhere")
    if not private_networks and not all(is_public(address) for address in addresses):
        error = "leads to a private network; the setting webhook_private_networks allows it"
        return Answer(error=error, is_final=True)
    async with called("POST", url, addresses, headers, body) as response:
        return _answer(response)


def _answer(response: httpx2.Response) -> Answer:
    status = response.status_code
    if response.is_success:
        return Answer(status)
    if response.is_redirect:
        return Answer(status, f"answered {status}, a redirect, which is not followed")
    if status == HTTPStatus.GONE:
        return Answer(status, "answered 410: it wants no more messages", is_final=True)
    wait = seconds_of(response.headers.get("retry-after", ""))
    return Answer(status, f"answered {status}", retry_after_seconds=wait)
