"""The seed that always belongs to a value: whose picture it is decides how it looks."""

import hashlib
import json
import unicodedata
from collections.abc import Mapping

from pydantic import JsonValue


def seed_of(identity: JsonValue) -> int:
    """Return the seed that always belongs to a value; the text "7" and the number 7 have the same.

    It is the first 32 bits of the SHA-256 of the value's text: NFC, UTF-8; of what is not text, JSON
    with sorted names and nothing between its tokens.
    """
    digest = hashlib.sha256(canonical(identity).encode()).digest()
    return int.from_bytes(digest[:4], "big")


def canonical(value: object) -> str:
    """Return the one text that stands for a JSON value."""
    if not isinstance(value, str):
        value = json.dumps(_plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return unicodedata.normalize("NFC", value)


def _plain(value: object) -> object:
    """Return a JSON value with 7 for each 7.0."""
    if isinstance(value, Mapping):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return whole(value)


def whole(value: object) -> object:
    """Take 7.0 for 7, which JSON does not tell apart."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
