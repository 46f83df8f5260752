"""Variants over HTTP: read from the query of a file, made few at a time, and kept while there is room.

A signed link is good for every variant of its file: they show nothing that the file does not. What
making them may cost is bounded: the sides of a variant, how many are made at once, how many wait.
"""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any, cast

import PIL
from fastapi import Depends, Request

from gouache import __version__
from gouache.errors import EngineRateLimited
from gouache.given import resembling, shortened
from gouache.variants import Rendered, Variant, read_variant

OF_LINKS = ("expires", "signature")
MAX_KEPT_BYTES = 64 * 1024 * 1024
MAX_AT_ONCE = 2
MAX_WAITING = 24
"""Four browsers that ask for six pictures each; the server has forty threads for all requests."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a query asks of a file: a variant, or None for the file itself; and what it cannot ask."""

    variant: Variant | None
    warnings: tuple[str, ...]


class Shelf:
    """Keeps the variants that were used last, up to `MAX_KEPT_BYTES` of them."""

    def __init__(self) -> None:
        """Keep nothing yet."""
        self._kept: OrderedDict[str, Rendered] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()
        self._waiting = 0
        self._places = threading.Semaphore(MAX_AT_ONCE)

    def get(self, tag: str, make: Callable[[], Rendered]) -> Rendered:
        """Return the variant of this entity tag, made where it is not kept.

        Raises:
            EngineRateLimited: too many others wait to be made.
        """
        kept = self._find(tag)
        if kept is not None:
            return kept
        with self._place():
            kept = self._find(tag)  # another request may have made it meanwhile
            if kept is None:
                kept = make()
                self._keep(tag, kept)
        return kept

    @contextmanager
    def _place(self) -> Iterator[None]:
        with self._lock:
            if self._waiting >= MAX_AT_ONCE + MAX_WAITING:
                raise EngineRateLimited(
                    "too many variants are being made; ask again in a second", retry_after_seconds=1
                )
            self._waiting += 1
        try:
            with self._places:
                yield
        finally:
            with self._lock:
                self._waiting -= 1

    def _find(self, tag: str) -> Rendered | None:
        with self._lock:
            if tag not in self._kept:
                return None
            self._kept.move_to_end(tag)
            return self._kept[tag]

    def _keep(self, tag: str, rendered: Rendered) -> None:
        if len(rendered.data) > MAX_KEPT_BYTES:
            return  # all the others would have to go
        with self._lock:
            self._kept[tag] = rendered
            self._bytes += len(rendered.data)
            while self._bytes > MAX_KEPT_BYTES:
                _, last = self._kept.popitem(last=False)
                self._bytes -= len(last.data)


async def _shelf(request: Request) -> Shelf:
    return cast(Shelf, request.app.state.shelf)


async def _asked(request: Request) -> Asked:
    """Return what the query asks for; names that mean nothing, which mail programs add, are said."""
    query = request.query_params
    wanted = {name: query[name] for name in query if name in Variant.model_fields}
    others = [name for name in query if name not in wanted and name not in OF_LINKS]
    said = tuple(
        f"{ascii(shortened(name))} is not a parameter of a file and was ignored"
        f"{resembling(name, Variant.model_fields)}"
        for name in others[:5]
    )
    return Asked(read_variant(wanted) if wanted else None, said)


TheShelf = Annotated[Shelf, Depends(_shelf)]
WhatIsAsked = Annotated[Asked, Depends(_asked)]


def tag_of(tag: str, variant: Variant) -> str:
    """Return the entity tag of a variant of the file with this tag; no variant is made for it."""
    text = f"{tag} {variant.model_dump_json()} {__version__} {PIL.__version__}"
    return f'"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'


def parameters() -> list[dict[str, Any]]:
    """Return the OpenAPI descriptions of what a variant is asked for by."""
    described = []
    for name, field in Variant.model_json_schema()["properties"].items():
        kinds = [kind for kind in field.pop("anyOf", []) if kind != {"type": "null"}]
        words = {"name": name, "in": "query", "description": field.pop("description")}
        schema = {key: field[key] for key in field if key != "title" and field[key] is not None}
        described.append(words | {"schema": {**(kinds[0] if kinds else {}), **schema}})
    return described
