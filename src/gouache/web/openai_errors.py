"""Errors below /v1 and /openai: in the envelope of OpenAI's API, with its words and its headers.

The envelope is `{"error": {"message", "type", "param", "code", "retryable"}}`: `code` is ours but where
OpenAI has one that software looks for, `retryable` is ours. `x-should-retry` says to the official clients
whether a repeat is of use; they would repeat 409, 429 and 5xx otherwise.
"""

import uuid

from gouache.errors import (
    Cancelled,
    ContentRefused,
    DatabaseUnavailable,
    EngineRateLimited,
    GouacheError,
    Unauthenticated,
)

CODES: dict[type[GouacheError], str] = {
    ContentRefused: "moderation_blocked",
    Unauthenticated: "invalid_api_key",
}
"""Where OpenAI's code is not ours."""

STATUSES = {422: 400, Cancelled.status: 409}
"""Where OpenAI's status is not ours; what is not here is the same."""

_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
_PREFIXES = ("/v1/", "/openai/")
RETRY_SECONDS = 2


def is_openai(path: str) -> bool:
    """Whether an address is one of OpenAI's API."""
    return path.startswith(_PREFIXES)


def request_id(taskuuid: str | None = None) -> dict[str, str]:
    """Return the header by which one request is told from another; it names the task it led to."""
    return {"x-request-id": f"req_{taskuuid or uuid.uuid4()}"}


def status_of(kind: type[GouacheError]) -> int:
    """Return the status with which an error is answered below /v1."""
    return STATUSES.get(kind.status, kind.status)


def envelope(
    error: GouacheError, *, is_final: bool = False
) -> tuple[dict[str, dict[str, object]], int, dict[str, str]]:
    """Return the body, the status and the headers for an error; `is_final` where a task has ended.

    What may pass may be repeated: a repetition joins what the first call wrote down, if it did.
    """
    status = status_of(type(error))
    kind = _TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")
    if isinstance(error, ContentRefused):
        kind = "image_generation_user_error"
    may_pass = isinstance(error, DatabaseUnavailable | EngineRateLimited) and not is_final
    headers = request_id() | {"x-should-retry": "true" if may_pass else "false"}
    if may_pass:
        headers["Retry-After"] = str(RETRY_SECONDS)
    body: dict[str, object] = {
        "message": error.message,
        "type": kind,
        "param": error.param,
        "code": CODES.get(type(error), error.code),
        "retryable": error.retryable,
    }
    return {"error": body}, status, headers
