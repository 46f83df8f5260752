"""What goes wrong where pictures are drawn by OpenAI's image dialect, as our errors.

What a repeat may mend is retryable: `EngineUnavailable`, `EngineTimedOut`, `EngineRateLimited`. What
only a person can mend is an `EngineError` that says what to do: a key, a model, a bill, a parameter.
The words of the other side are quoted without the prompt and the key, which neither errors nor logs
may show; for the same reason no foreign error is kept as the cause.
"""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import httpx2
import openai

from gouache.calling import seconds_of, why_unconnected
from gouache.engines.dialects import Target
from gouache.errors import (
    ContentRefused,
    EngineError,
    EngineRateLimited,
    EngineTimedOut,
    EngineUnavailable,
)

REFUSALS = {
    "moderation_blocked",
    "content_policy_violation",
    "content_filter",
    "contentFilter",
    "ResponsibleAIPolicyViolation",
}
UNPAID = {"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"}
LIMITED = {"rate_limit_exceeded"}
LONGEST_WAIT_SECONDS = 3600.0
"""What Retry-After can ask for; a clock that goes wrong must not put a task off for years."""

MAX_CHARACTERS = 300
MAX_READ_CHARACTERS = 100_000
GRAM = 3
"""Words in a row that also stand in the prompt are taken for a quotation of it."""

_MAY_REFUSE = {None, 400, 403, 422, 451}
_SAID_REFUSED = re.compile(
    r"content (moderation|policy|filter)|safety system|usage guidelines", re.I
)
_KEYLIKE = re.compile(r"\b(sk|xai|pk|tgp|key)[-_][\w*-]{4,}")
_PARAM = re.compile(r"[A-Za-z_][\w.\[\]]{0,59}")
_SLOW = {408, 504, 524}


@dataclass(frozen=True, slots=True)
class Asked:
    """One request to a target: what is sent, and what must not be told on."""

    target: Target
    model: str
    prompt: str = field(repr=False)
    key: str = field(repr=False)

    @property
    def host(self) -> str:
        """The target in an error."""
        return httpx2.URL(self.target.base_url).netloc.decode("ascii")

    def quoted(self, words: str) -> str:
        """Return the words of the other side as they may be shown: short, without prompt and key."""
        text = words.replace(self.key, "***") if self.key else words
        text = "".join(" " if unicodedata.category(c).startswith("C") else c for c in text)
        text = _KEYLIKE.sub("***", text[:MAX_READ_CHARACTERS])
        text = " ".join(_without(text, self.prompt).split())
        return text if len(text) <= MAX_CHARACTERS else text[: MAX_CHARACTERS - 1] + "…"


@dataclass(frozen=True, slots=True)
class _Said:
    """What the other side says of a failure."""

    code: str = ""
    param: str | None = None
    message: str = ""

    def is_refusal(self, status: int | None) -> bool:
        return self.code in REFUSALS or (
            status in _MAY_REFUSE and bool(_SAID_REFUSED.search(self.message))
        )


def failure_of(error: openai.OpenAIError, asked: Asked) -> EngineError:
    """Return what a failure of the library is to us."""
    if isinstance(error, openai.APITimeoutError):
        return EngineTimedOut(f"{asked.host} did not answer in time")
    if isinstance(error, openai.APIConnectionError):
        cause = error.__cause__
        if isinstance(cause, httpx2.ConnectError):
            return EngineUnavailable(f"{asked.host} {why_unconnected(cause)}").unspent()
        return EngineUnavailable(f"{asked.host} broke off the connection")
    if isinstance(error, openai.APIStatusError):
        failure = _answered(error.response, asked)
        return failure if isinstance(failure, EngineTimedOut) else failure.unspent()
    body = error.body if isinstance(error, openai.APIError) else None
    said = _said(body)
    return _of_code(said, None, asked) or EngineUnavailable(
        f"{asked.host} broke off drawing: {asked.quoted(said.message or said.code)}"
    )


def _answered(response: httpx2.Response, asked: Asked) -> EngineError:
    """Return what an answer with a status of failure is to us."""
    status = response.status_code
    try:
        said = _said(response.json())
    except (ValueError, RecursionError):  # a web page, or nothing
        said = _Said()
    words = asked.quoted(said.message)
    if known := _of_code(said, status, asked):
        return known
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        wait = seconds_of(response.headers.get("retry-after", ""))
        return EngineRateLimited(
            f"{asked.host} asks to be called less often",
            retry_after_seconds=None if wait is None else min(max(wait, 0.0), LONGEST_WAIT_SECONDS),
        )
    if status in _SLOW:
        return EngineTimedOut(f"{asked.host} answered {status}: it took too long")
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in (409, 425):
        return EngineUnavailable(_with(f"{asked.host} answered {status}", words))
    return _for_a_person(status, said, words, asked)


def _of_code(said: _Said, status: int | None, asked: Asked) -> EngineError | None:
    """Return what a failure is by its code, whatever its status; None where that decides."""
    if said.is_refusal(status):
        return ContentRefused(
            f"{asked.host} refuses to draw this prompt; change what it asks for", param="prompt"
        )
    if said.code in UNPAID or status == HTTPStatus.PAYMENT_REQUIRED:
        return EngineError(
            f"the account at {asked.host} has no credit left ({said.code or status}); "
            "look at its plan and billing"
        )
    if status is None and said.code in LIMITED:
        return EngineRateLimited(f"{asked.host} asks to be called less often")
    return None


def _for_a_person(status: int, said: _Said, words: str, asked: Asked) -> EngineError:
    """Return what only a person can mend, with what to do."""
    host, variable = asked.host, asked.target.key_env
    if status == HTTPStatus.UNAUTHORIZED:
        what = f"set the variable {variable} to one" if variable else "name its variable in key_env"
        return EngineError(f"{host} wants a good key; {what}")
    if status == HTTPStatus.FORBIDDEN:
        whose = f" of the variable {variable}" if variable else ""
        message = f"{host} does not let the key{whose} draw with {asked.model!r}"
        return EngineError(_with(message, words))
    if status == HTTPStatus.NOT_FOUND:
        if "model" in f"{said.code} {said.message}".lower() or said.code == "DeploymentNotFound":
            return EngineError(
                f"{host} has no model {asked.model!r}, or it has ended; choose another in models",
                param="model",
            )
        return EngineError(f"{host} has no images/generations there; check base_url")
    if status < HTTPStatus.BAD_REQUEST:
        return EngineError(f"{host} leads on to elsewhere; give the last address as base_url")
    param = said.param if said.param and _PARAM.fullmatch(said.param) else None
    return EngineError(_with(f"{host} answered {status}", words), param=param)


def _with(message: str, words: str) -> str:
    return f"{message}: {words}" if words else message


def _said(body: object) -> _Said:
    """Return what a body says, in the forms of OpenAI, Azure, xAI, vLLM and FastAPI."""
    if not isinstance(body, Mapping):
        return _Said()
    inner = body.get("error", body)
    if not isinstance(inner, Mapping):
        return _Said(code=_text(body.get("code")), message=_text(inner))
    detail = inner.get("detail")
    if isinstance(detail, list) and detail and isinstance(detail[0], Mapping):
        where = detail[0].get("loc")
        param = str(where[-1]) if isinstance(where, list) and where else None
        return _Said(param=param, message=_text(detail[0].get("msg")))
    return _Said(
        code=_text(inner.get("code")) or _text(inner.get("type")),
        param=_text(inner.get("param")) or None,
        message=_text(inner.get("message")) or _text(detail),
    )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _without(text: str, prompt: str) -> str:
    """Return the text with an ellipsis for each run of words that stands in the prompt too."""
    asked = [word.lower() for word in re.findall(r"\w+", prompt)]
    size = min(GRAM, len(asked))
    if not size:
        return text
    grams = {tuple(asked[i : i + size]) for i in range(len(asked) - size + 1)}
    words = list(re.finditer(r"\w+", text))
    lower = [word[0].lower() for word in words]
    kept, end = "", 0
    for i in range(len(words) - size + 1):
        if tuple(lower[i : i + size]) in grams:
            if words[i].start() > end or not kept:
                kept += text[end : words[i].start()] + "…"
            end = words[i + size - 1].end()
    return kept + text[end:]
