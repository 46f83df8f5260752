"""Every error this package raises, as a tree; a foreign exception never leaves an engine.

* GouacheError          500
  + RequestError        400  the caller must change the request
    - UnsupportedByEngine  422
    - UnknownEngine     404
    - RecipeNotFound    422
    - GatewayNotFound   404
    - KeyNotFound       404
    - StubNotFound      404
    - StubpostNotFound  404
    - TaskNotFound      404
    - FileNotFound      404
    - ModelNotFound     404
    - StubExists        409
    - TaskNotCancellable  409
    - IdempotencyKeyReused  409
    - WebhookRefused    422
    - WebhookNotSendable  409
    - RouteNotFound     404
    - MethodNotAllowed  405
    - BodyTooLarge      413
    - WrongContentType  415
    - RangeNotSatisfiable  416
    - HostNotAllowed    421
    - ForeignPage       403
    - Unauthenticated   401
    - LinkRefused       403
  + SettingsError       500  whoever runs the program must change a setting
    - AlreadyRunning    500
  + EngineError         500  the engine failed; the request was fine
    - WeightsUnusable   503  falls back
    - EngineUnavailable  503  retryable, falls back
    - EngineRateLimited  429  retryable, falls back
    - EngineTimedOut    504  retryable, falls back
    - ContentRefused    422
    - TaskGaveUp        500
  + BudgetExceeded      402  the picture may cost more than is left
  + StorageError        507  the picture could not be written or read
  + DatabaseUnavailable  503  retryable
  + Cancelled           499  the caller stopped it

What falls back is gone on with on the next gateway of the chain, where there is one: whatever says
nothing of the request, of keys or of money. `tests/test_errors.py` compares this drawing with the
classes. Surfaces read `code`, `status` and `retryable` and nothing else.
"""

from typing import ClassVar, Self


class GouacheError(Exception):
    """The root: a message that says what to do, and the request field it is about, if any."""

    code: ClassVar[str] = "internal_error"
    status: ClassVar[int] = 500
    retryable: ClassVar[bool] = False
    falls_back: ClassVar[bool] = False

    def __init__(self, message: str, *, param: str | None = None) -> None:
        """Keep the message and the name of the field."""
        super().__init__(message)
        self.message = message
        self.param = param

    def as_json(self) -> dict[str, str | bool | None]:
        """Return the error as a failed task shows it; `type` is the branch of the tree."""
        branches = (c for c in type(self).__mro__ if issubclass(c, GouacheError))
        branch = next((c for c in branches if GouacheError in c.__bases__), GouacheError)
        return {
            "code": self.code,
            "message": self.message,
            "type": branch.code,
            "param": self.param,
            "retryable": self.retryable,
        }


class RequestError(GouacheError):
    """The caller must change the request; `param` names the field."""

    code = "request_error"
    status = 400


class UnsupportedByEngine(RequestError):
    """The request is valid, but this engine cannot do what one field asks for."""

    code = "unsupported_by_engine"
    status = 422


class UnknownEngine(RequestError):
    """No installed engine has this name."""

    code = "unknown_engine"
    status = 404


class RecipeNotFound(RequestError):
    """The file carries no recipe to remake it by."""

    code = "recipe_not_found"
    status = 422


class GatewayNotFound(RequestError):
    """No gateway has this `taskapigatewayuuid`."""

    code = "gateway_not_found"
    status = 404


class KeyNotFound(RequestError):
    """No key has this name."""

    code = "key_not_found"
    status = 404


class StubNotFound(RequestError):
    """No stub has this stubref."""

    code = "stub_not_found"
    status = 404


class StubpostNotFound(RequestError):
    """The stub has no such stubpost."""

    code = "stubpost_not_found"
    status = 404


class TaskNotFound(RequestError):
    """No task has this UUID."""

    code = "task_not_found"
    status = 404


class FileNotFound(RequestError):
    """No file has this UUID, or it was deleted."""

    code = "file_not_found"
    status = 404


class ModelNotFound(RequestError):
    """No gateway draws with a model of this name."""

    code = "model_not_found"
    status = 404


class StubExists(RequestError):
    """Another stub has this stubref."""

    code = "stub_exists"
    status = 409


class TaskNotCancellable(RequestError):
    """The task has ended."""

    code = "task_not_cancellable"
    status = 409


class IdempotencyKeyReused(RequestError):
    """The idempotency key came before with another request."""

    code = "idempotency_key_reused"
    status = 409


class WebhookRefused(RequestError):
    """The webhook is an address that this server must not call."""

    code = "webhook_refused"
    status = 422


class WebhookNotSendable(RequestError):
    """The task has no webhook, or has not ended."""

    code = "webhook_not_sendable"
    status = 409


class RouteNotFound(RequestError):
    """The address leads nowhere."""

    code = "route_not_found"
    status = 404


class MethodNotAllowed(RequestError):
    """The address exists, but not for this method."""

    code = "method_not_allowed"
    status = 405


class BodyTooLarge(RequestError):
    """The body is larger than the server takes."""

    code = "body_too_large"
    status = 413


class WrongContentType(RequestError):
    """The body is not of the content type the route takes."""

    code = "wrong_content_type"
    status = 415


class RangeNotSatisfiable(RequestError):
    """The range asked for lies outside the file."""

    code = "range_not_satisfiable"
    status = 416


class HostNotAllowed(RequestError):
    """The request names a host the server does not answer to."""

    code = "host_not_allowed"
    status = 421


class ForeignPage(RequestError):
    """A form was sent by a page that is not ours."""

    code = "foreign_page"
    status = 403


class Unauthenticated(RequestError):
    """The API key is missing or wrong."""

    code = "unauthenticated"
    status = 401


class LinkRefused(RequestError):
    """The link to the file is altered or has expired."""

    code = "link_refused"
    status = 403


class SettingsError(GouacheError):
    """A setting has a value that cannot be used; `param` names it."""

    code = "settings_error"


class AlreadyRunning(SettingsError):
    """Another process executes the tasks of this data folder."""

    code = "already_running"


class EngineError(GouacheError):
    """The engine failed; the request was fine."""

    code = "engine_error"
    nothing_spent = False

    def unspent(self) -> Self:
        """Say that it is certain that it cost nothing; return it."""
        self.nothing_spent = True
        return self


class WeightsUnusable(EngineError):
    """The engine's weights are missing or damaged; the package must be installed again."""

    code = "weights_unusable"
    status = 503
    nothing_spent = True
    falls_back = True


class EngineUnavailable(EngineError):
    """The engine cannot be reached or is overloaded."""

    code = "engine_unavailable"
    status = 503
    retryable = True
    falls_back = True


class EngineRateLimited(EngineError):
    """The engine asks to be called less often; it may say when to come again."""

    code = "engine_rate_limited"
    status = 429
    nothing_spent = True
    retryable = True
    falls_back = True

    def __init__(
        self, message: str, *, param: str | None = None, retry_after_seconds: float | None = None
    ) -> None:
        """Keep the time after which the engine is to be called again, where it said so."""
        super().__init__(message, param=param)
        self.retry_after_seconds = retry_after_seconds


class EngineTimedOut(EngineError):
    """The engine took longer than its gateway allows."""

    code = "engine_timed_out"
    status = 504
    retryable = True
    falls_back = True


class ContentRefused(EngineError):
    """The engine refuses to draw this prompt."""

    code = "content_refused"
    status = 422
    nothing_spent = True


class TaskGaveUp(EngineError):
    """The task ended its worker again and again."""

    code = "task_gave_up"


class BudgetExceeded(GouacheError):
    """The picture may cost more than is left of a budget."""

    code = "budget_exceeded"
    status = 402


class StorageError(GouacheError):
    """A file could not be written or read: disk full, no permission, no such directory."""

    code = "storage_error"
    status = 507


class DatabaseUnavailable(GouacheError):
    """The database cannot be reached, or is locked by another program."""

    code = "database_unavailable"
    status = 503
    retryable = True


class Cancelled(GouacheError):
    """The caller stopped it: the task was cancelled."""

    code = "cancelled"
    status = 499


def classes_by_code() -> dict[str, type[GouacheError]]:
    """Return every class of the tree by its code."""
    found, left = {}, [GouacheError]
    while left:
        error = left.pop()
        found[error.code] = error
        left.extend(error.__subclasses__())
    return found
