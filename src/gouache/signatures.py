"""Signatures of messages, by which a receiver knows that they are ours.

Source: Standard Webhooks (github.com/standard-webhooks/standard-webhooks, `spec/standard-webhooks.md`,
"Signature scheme", symmetric): an HMAC-SHA256 over the id, the time and the body, joined by dots.
"""

import base64
import binascii
import hashlib
import hmac
import secrets

PREFIX = "whsec_"
KEY_BYTES = (24, 64)


def new_secret() -> str:
    """Return a secret nobody can guess."""
    return PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def key_of(secret: str) -> bytes:
    """Return the key in a secret; what is none is a ValueError that does not show it."""
    least, most = KEY_BYTES
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error:
        key = b""
    if not secret.startswith(PREFIX) or not least <= len(key) <= most:
        raise ValueError(f"must be {PREFIX} and then {least} to {most} bytes in base64")
    return key


def headers(secret: str, messageid: str, seconds: int, body: bytes) -> dict[str, str]:
    """Return the headers of a message that is sent at `seconds` (since 1970)."""
    signed = f"{messageid}.{seconds}.".encode() + body
    digest = hmac.new(key_of(secret), signed, hashlib.sha256).digest()
    return {
        "webhook-id": messageid,
        "webhook-timestamp": str(seconds),
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }
