"""One message to an address that somebody handed in: only to where it may go, once, and not for long.

A name is looked up once. Every address it leads to is judged, and one of those is what is connected
to: who changes where a name leads to between the two gains nothing. Redirects are not followed, the
environment's proxies not used, and of the answer no more than its status and headers is read.
"""

import asyncio
import email.utils
import socket
import ssl
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from ipaddress import ip_address

import httpx2

from gouache.addresses import Address, is_public

CONNECT_SECONDS = 10.0
WHOLE_SECONDS = 30.0
MOST_ADDRESSES = 4
"""How many of a name's addresses are tried."""


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
        return Answer(error=_why_unconnected(error))
    except httpx2.InvalidURL:
        return Answer(error="has an address that cannot be called", is_final=True)
    except (httpx2.HTTPError, OSError) as error:
        return Answer(error=f"broke off the connection ({type(error).__name__})")


async def _post(
    url: httpx2.URL, body: bytes, headers: Mapping[str, str], *, private_networks: bool
) -> Answer:
    try:
        addresses = await _addresses(url)
    except (OSError, UnicodeError):
        return Answer(error="has a name that leads nowhere")
    if not private_networks and not all(is_public(address) for address in addresses):
        error = "leads to a private network; the setting webhook_private_networks allows it"
        return Answer(error=error, is_final=True)
    named = {**headers, "Host": url.netloc.decode("ascii")}
    async with httpx2.AsyncClient(
        verify=_certificates(),
        trust_env=False,
        follow_redirects=False,
        timeout=httpx2.Timeout(CONNECT_SECONDS),
    ) as client:
        for address in addresses[:MOST_ADDRESSES]:
            request = client.build_request(
                "POST",
                url.copy_with(host=str(address)),
                headers=named,
                content=body,
                extensions={"sni_hostname": url.raw_host.decode("ascii")},
            )
            try:
                response = await client.send(request, stream=True)
            except (httpx2.ConnectError, httpx2.ConnectTimeout):
                if address == addresses[:MOST_ADDRESSES][-1]:
                    raise
                continue
            await response.aclose()
            return _answer(response)
    raise OSError("a name without addresses")


async def _addresses(url: httpx2.URL) -> Sequence[Address]:
    """Return where a name leads to now, in the order to try them."""
    host, port = url.raw_host.decode("ascii"), url.port or 0
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(ip_address(place[0]) for *_, place in found))


@cache
def _certificates() -> ssl.SSLContext:
    """Return whom to trust: the system's authorities, or those of SSL_CERT_FILE; slow to read."""
    return httpx2.create_ssl_context()


def _answer(response: httpx2.Response) -> Answer:
    status = response.status_code
    if response.is_success:
        return Answer(status)
    if response.is_redirect:
        return Answer(status, f"answered {status}, a redirect, which is not followed")
    if status == HTTPStatus.GONE:
        return Answer(status, "answered 410: it wants no more messages", is_final=True)
    wait = _seconds(response.headers.get("retry-after", ""))
    return Answer(status, f"answered {status}", retry_after_seconds=wait)


def _seconds(retry_after: str) -> float | None:
    """Return after how many seconds to come again: given as such, or as a date."""
    if retry_after.isascii() and retry_after.isdigit():
        return float(retry_after[:9])
    try:
        return email.utils.parsedate_to_datetime(retry_after).timestamp() - time.time()
    except (ValueError, OverflowError):
        return None


def _why_unconnected(error: BaseException | None) -> str:
    """Return in words why there was no connection; a bad certificate is named."""
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return f"has a certificate that is refused: {error.verify_message}"
        if isinstance(error, ssl.SSLError):
            return "does not speak TLS as we do"
        error = error.__cause__ or error.__context__
    return "cannot be connected to"
