"""Signed links to files: whoever has one may read that file, until it expires.

The key that signs them also gives other keys, one for each purpose.
"""

import hashlib
import hmac
import time

from gouache.errors import LinkRefused


class Links:
    """Makes links and checks them, with one secret key."""

    def __init__(self, key: bytes, *, address: str, seconds: int) -> None:
        """Make links that begin with `address` and are good for `seconds`."""
        self._key = key
        self._address = address
        self._seconds = seconds

    def url(self, fileuuid: str) -> str:
        """Return a link that is good from now on."""
        expires = str(int(time.time()) + self._seconds)
        signature = self._signature(fileuuid, expires)
        return f"{self._address}/files/{fileuuid}?expires={expires}&signature={signature}"

    def check(self, fileuuid: str, expires: str, signature: str) -> None:
        """Refuse a link that is not ours, was altered or has expired.

        Raises:
            LinkRefused: it is.
        """
        expected = self._signature(fileuuid, expires)
        if not hmac.compare_digest(expected.encode(), signature.encode(errors="replace")):
            raise LinkRefused("the link to the file was altered; ask for a new one")
        if int(expires) < time.time():
            raise LinkRefused("the link to the file has expired; ask for a new one")

    def derived_key(self, purpose: str) -> bytes:
        """Return a key for another purpose, from which ours cannot be told."""
        return hmac.digest(self._key, purpose.encode(), "sha256")

    def _signature(self, fileuuid: str, expires: str) -> str:
        text = f"{fileuuid}\n{expires}".encode(errors="replace")
        return hmac.new(self._key, text, hashlib.sha256).hexdigest()
