"""A call to an address that somebody handed in: its name is looked up once, and that is connected to.

Who judges the addresses between the two knows where the call goes: who changes where a name leads to
meanwhile gains nothing. Redirects are not followed and the environment's proxies not used; what is
called is in no log, because such addresses have secrets in them.
"""

import asyncio
import email.utils
import socket
import ssl
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import cache
from ipaddress import ip_address

import httpx2

from gouache.addresses import Address

CONNECT_SECONDS = 10.0
MOST_ADDRESSES = 4
"""How many of a name's addresses are tried."""


async def addresses_of(url: httpx2.URL) -> Sequence[Address]:
    """Return where a name leads to now, in the order to try them; OSError or UnicodeError: nowhere."""
    host, port = url.raw_host.decode("ascii"), url.port or 0
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(ip_address(place[0]) for *_, place in found))


@asynccontextmanager
async def called(
    method: str,
    url: httpx2.URL,
    addresses: Sequence[Address],
    headers: Mapping[str, str],
    content: bytes | None = None,
) -> AsyncIterator[httpx2.Response]:
    """Yield the answer of the first of the addresses that can be connected to, its body unread.

    It is httpx2's errors that say what went wrong; silence of `CONNECT_SECONDS` is one.
    """
    named = {**headers, "Host": url.netloc.decode("ascii")}
    extensions = {
        "sni_hostname": url.raw_host.decode("ascii"),
        "timeout": httpx2.Timeout(CONNECT_SECONDS).as_dict(),
    }
    tried = addresses[:MOST_ADDRESSES]
    # a client would log the address
    async with httpx2.AsyncHTTPTransport(verify=certificates(), trust_env=False) as transport:
        for address in tried:
            request = httpx2.Request(
                method,
                url.copy_with(host=str(address)),
                headers=named,
                content=content,
                extensions=extensions,
            )
            try:
                response = await transport.handle_async_request(request)
            except (httpx2.ConnectError, httpx2.ConnectTimeout):
                if address == tried[-1]:
                    raise
                continue
            try:
                yield response
            finally:
                await response.aclose()
            return
    raise OSError("a name without addresses")


@cache
def certificates() -> ssl.SSLContext:
    """Return whom to trust: the system's authorities, or those of SSL_CERT_FILE; slow to read."""
    return httpx2.create_ssl_context()


def seconds_of(retry_after: str) -> float | None:
    """Return after how many seconds to come again: given as such, or as a date."""
    if retry_after.isascii() and retry_after.isdigit():
        return float(retry_after[:9])
    try:
        return email.utils.parsedate_to_datetime(retry_after).timestamp() - time.time()
    except (ValueError, OverflowError):
        return None


def why_unconnected(error: BaseException | None) -> str:
    """Return in words why there was no connection; a bad certificate is named."""
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return f"has a certificate that is refused: {error.verify_message}"
        if isinstance(error, ssl.SSLError):
            return "does not speak TLS as we do"
        error = error.__cause__ or error.__context__
    return "cannot be connected to"
