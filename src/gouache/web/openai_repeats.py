"""Calls that a client of OpenAI's API repeats by itself: each leads to what the first one began.

The official clients send no idempotency key, but say in `x-stainless-retry-count` how often they have
sent a call before. So every call without a key gets one of ours, `openai <fingerprint> <random>`, and a
repeated one the key of the call it repeats: rather one whose caller has left, else the newest of this
process, else the newest in the database, which is there after a restart too.
"""

import hashlib
import json
import secrets
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field

from fastapi import Request

from gouache.service import Service
from gouache.web.openai_requests import ImagesRequest

REPEAT_SECONDS = 900
"""How long after a call its first repetition may come, its second twice as long, and so on; the
clients give up on an answer after 600 s."""

MAX_COUNT = 10
MAX_CALLS = 10_000


@dataclass(slots=True)
class _Calls:
    """The calls with one fingerprint: the newest, when it came, and those whose callers left."""

    newest: str
    begun: float
    left: list[str] = field(default_factory=list)


class Repeats:
    """Keeps the keys of the last calls; safe to use from any thread."""

    def __init__(self) -> None:
        """Know of no call yet."""
        self._calls: OrderedDict[str, _Calls] = OrderedDict()
        self._lock = threading.Lock()

    def key_of(self, service: Service, fingerprint: str, count: int) -> str:
        """Return the key of the call that this one repeats, or a new one."""
        prefix = f"openai {fingerprint} "
        seconds = REPEAT_SECONDS * min(count, MAX_COUNT)
        if count and (found := self._find(fingerprint, seconds)):
            return found
        if count and (kept := service.recent_key(prefix, seconds=seconds)):
            return kept
        key = prefix + secrets.token_hex(8)
        with self._lock:
            self._calls[fingerprint] = calls = self._calls.pop(fingerprint, _Calls("", 0))
            calls.newest, calls.begun = key, time.monotonic()
            if len(self._calls) > MAX_CALLS:
                self._calls.popitem(last=False)
        return key

    def leave(self, key: str) -> None:
        """Note that the caller left before its answer: the next repetition takes this call up."""
        _, _, rest = key.partition(" ")
        with self._lock:
            calls = self._calls.get(rest.partition(" ")[0])
            if calls and len(calls.left) < MAX_COUNT:
                calls.left.append(key)

    def _find(self, fingerprint: str, seconds: float) -> str | None:
        with self._lock:
            calls = self._calls.get(fingerprint)
            if calls is None or time.monotonic() - calls.begun > seconds:
                return None
            return calls.left.pop(0) if calls.left else calls.newest


def fingerprint_of(request: Request, asked: ImagesRequest) -> str:
    """Return what tells a call from others: who sends it, and all that it asks for."""
    headers = request.headers
    caller = [request.client.host if request.client else "", headers.get("api-key", "")]
    caller.append(headers.get("authorization", ""))
    text = json.dumps([caller, asked.model_dump(mode="json")], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def repeat_count(request: Request) -> int:
    """Return how often a client says that it has sent a call before."""
    given = request.headers.get("x-stainless-retry-count", "")
    return int(given[:3]) if given.isascii() and given.isdigit() else 0
