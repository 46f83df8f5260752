"""`Prefer: wait=N`: how long a caller is willing to wait for the end of what it asked for.

Source: RFC 7240. A preference that cannot be read is ignored, as the RFC has it; of two the first
counts.
"""

import re
from collections.abc import Iterable

MAX_WAIT_SECONDS = 600
MAX_CHARACTERS = 1000

_PIECE = re.compile(r'(?:[^,"]|"(?:[^"\\]|\\.)*"|")+')
_SECONDS = re.compile(r'"([0-9]{1,9})"|([0-9]{1,9})')


def wait_seconds(headers: Iterable[str]) -> int | None:
    """Return how long to wait at most, by the `Prefer` headers of a request; None without a wish."""
    for piece in _PIECE.findall(",".join(headers)[:MAX_CHARACTERS]):
        name, _, value = piece.partition(";")[0].partition("=")
        if name.strip().lower() == "wait":
            found = _SECONDS.fullmatch(value.strip())
            return min(int(found[1] or found[2]), MAX_WAIT_SECONDS) if found else None
    return None
