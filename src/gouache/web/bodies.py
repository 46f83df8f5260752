"""Bodies: JSON made into a model of the contract, on a thread of its own."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from fastapi import Request
from pydantic import BaseModel

from gouache.errors import WrongContentType
from gouache.given import read, read_json

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


def _read(model: type[Model], raw: bytes) -> Model:
    return read(model, read_json(raw, "the body"))
