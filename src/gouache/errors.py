"""Every error this package raises, as a tree; a foreign exception never leaves an engine.

* GouacheError          500
  + RequestError        400  the caller must change the request
    - UnsupportedByEngine  422
    - UnknownEngine     404
    - RecipeNotFound    422
  + SettingsError       500  whoever runs the program must change a setting
  + EngineError         500  the engine failed; the request was fine
    - WeightsUnusable   503
  + StorageError        507  the picture could not be written or read
  + Cancelled           499  the caller stopped it

`tests/test_errors.py` compares this drawing with the classes. Surfaces read `code`, `status` and
`retryable` and nothing else.
"""

from typing import ClassVar


class GouacheError(Exception):
    """The root: a message that says what to do, and the request field it is about, if any."""

    code: ClassVar[str] = "internal_error"
    status: ClassVar[int] = 500
    retryable: ClassVar[bool] = False

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


class SettingsError(GouacheError):
    """A setting has a value that cannot be used; `param` names it."""

    code = "settings_error"


class EngineError(GouacheError):
    """The engine failed; the request was fine."""

    code = "engine_error"


class WeightsUnusable(EngineError):
    """The engine's weights are missing or damaged; the package must be installed again."""

    code = "weights_unusable"
    status = 503


class StorageError(GouacheError):
    """A file could not be written or read: disk full, no permission, no such directory."""

    code = "storage_error"
    status = 507


class Cancelled(GouacheError):
    """Raised by an `on_step` callback to stop an engine between two steps."""

    code = "cancelled"
    status = 499
