"""Bodies: JSON without what two readers could read in two ways, made into a model of the contract.

Refused here: other encodings than UTF-8, NaN and infinities, and the same key twice in an object.
`given` refuses by name what no database can keep.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from fastapi import Request
from pydantic import BaseModel

from gouache.errors import RequestError, WrongContentType
from gouache.given import MAX_DEPTH, read

Model = TypeVar("Model", bound=BaseModel)


def body_of(model: type[Model]) -> Callable[[Request], Awaitable[Model]]:
    """Return a dependency that reads the body as this model.

    Raises:
        WrongContentType: the body has no content type; others than JSON are refused by the gate.
        BodyTooLarge: it is larger than the server takes.
        RequestError: it is not JSON as we take it, or not what the model describes.
    """

    async def read_body(request: Request) -> Model:
        if "content-type" not in request.headers:
            raise WrongContentType("the body must be JSON in UTF-8, sent as application/json")
        raw = await request.body()
        return await asyncio.to_thread(_read, model, raw)

    return read_body


def read_json(raw: bytes) -> Any:
    """Return the value that `raw` is the JSON of.

    Raises:
        RequestError: it is not JSON, or one that could be misread.
    """
    try:
        return json.loads(raw.decode(), object_pairs_hook=_object, parse_constant=_no_number)
    except UnicodeDecodeError as error:
        raise RequestError("the body is not UTF-8") from error
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise RequestError(f"the body is not JSON: {error.msg} at {where}") from error
    except RecursionError as error:
        raise RequestError(f"the body is nested more than {MAX_DEPTH} deep") from error
    except ValueError as error:  # an integer of thousands of digits
        raise RequestError("the body has a number that is too long") from error


def _read(model: type[Model], raw: bytes) -> Model:
    return read(model, read_json(raw))


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise RequestError(f"the body has the key {twice[:100]!r} twice in one object")
    return value


def _no_number(text: str) -> float:
    raise RequestError(f"the body has {text}, which is not JSON")
