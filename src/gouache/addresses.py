"""Addresses of the web that others hand in: how they may be written, and which may be called.

How an address is written is judged at once; where its name leads to is judged when it is called,
address by address. Source: IANA's registries of special-purpose addresses, for what `ipaddress` does
not know in every version of Python.
"""

import re
import socket
import unicodedata
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Annotated

from pydantic import AfterValidator, WithJsonSchema

MAX_CHARACTERS = 2000
LARGEST_PORT = 65535
_PATTERN = (
    r"https?://"
    r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^\x00-\x20\x7f\[\]\\/?#@:%]+)"
    r"(?::(?P<port>[0-9]{1,5}))?"
    r"(?:[/?#][^\x00-\x20\x7f\\]*)?"
)
_ADDRESS = re.compile(_PATTERN)

Address = IPv4Address | IPv6Address

_UNICAST = ip_network("2000::/3")
"""The only addresses of IPv6 that lead out into the world; NAT64's lead to those of IPv4."""

_NAT64 = ip_network("64:ff9b::/96")
_NO_RECEIVER = [
    ip_network("192.0.0.0/24"),  # of protocols; one cloud answers with its secrets there
    ip_network(
        "168.63.129.16/32"
    ),  # public, and yet each machine of one cloud reaches its host there
]


def web_address(url: str) -> str:
    """Return the address; what is none, or says more than where to, is a ValueError."""
    if len(url) > MAX_CHARACTERS:
        raise ValueError(f"must have at most {MAX_CHARACTERS:,} characters")
    if not re.match("https?://", url):
        raise ValueError("must begin with https:// or http://")
    if "@" in re.split("[/?#]", url.partition("://")[2])[0]:
        raise ValueError("must be without a name or password; a secret may be in its path")
    found = _ADDRESS.fullmatch(url)
    if not found or not 0 < int(found["port"] or 1) <= LARGEST_PORT:
        raise ValueError("must be an address like https://example.org/pictures")
    return url


WebAddress = Annotated[
    str,
    AfterValidator(web_address),
    WithJsonSchema(
        {"type": "string", "format": "uri", "pattern": "^https?://", "maxLength": MAX_CHARACTERS}
    ),
]
"""The address of a receiver: http or https, without a name and password."""


def is_written_private(url: str) -> bool:
    """Whether a web address names this machine or a private address itself, in any spelling."""
    found = _ADDRESS.fullmatch(url)
    host = (
        unicodedata.normalize("NFKC", found["host"]).lower().strip("[]").rstrip(".")
        if found
        else ""
    )
    if host == "localhost" or host.endswith(".localhost"):
        return True
    address = _literal(host)
    return address is not None and not is_public(address)


def is_public(address: Address) -> bool:
    """Whether an address lies in the public network, also where another is wrapped in it."""
    if isinstance(address, IPv6Address):
        wrapped = _wrapped(address)
        if wrapped is not None:
            return is_public(wrapped)
        if address not in _UNICAST or address.teredo is not None:
            return False
    elif any(address in network for network in _NO_RECEIVER):
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def _wrapped(address: IPv6Address) -> IPv4Address | None:
    """Return the IPv4 address that an IPv6 address leads to: mapped, of NAT64 or of 6to4."""
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour


def _literal(host: str) -> Address | None:
    """Return the address that a host is written as: also 127.1, 0x7f000001 or 2130706433."""
    try:
        return ip_address(host)
    except ValueError:
        pass
    try:
        return IPv4Address(socket.inet_aton(host))
    except OSError:
        return None
