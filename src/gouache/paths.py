"""Paths into JSON, as templates write them: `stub.data.files[0].fileuuid`, `stub.data["first name"]`."""

import re
from collections.abc import Mapping
from itertools import islice
from typing import Any

from gouache.errors import RequestError
from gouache.given import resembling, shortened

MAX_NAMED_KEYS = 10
MAX_SEARCHED_KEYS = 1000

_SEGMENT = re.compile(
    r"""
    \.? \[ \s* (?: "(?P<double>[^"]*)" | '(?P<single>[^']*)' | (?P<bare>[^\]"']+?) ) \s* \]
    | (?P<dot>\.?) (?P<plain>[^\s.\[\](){}"'`,;|~]+)
    """,
    re.VERBOSE,
)
_PLAIN = re.compile(r"[^\s.\[\](){}\"'`,;|~]+")

Path = tuple[str, ...]


def read_path(text: str) -> Path:
    """Return the keys that a path names, one after the other; indexes of lists are keys of digits.

    Raises:
        RequestError: the text is no path.
    """
    keys: list[str] = []
    at = 0
    while found := _SEGMENT.match(text, at):
        plain = found["plain"]
        if bool(keys) != bool(found["dot"]) if plain else not keys:
            break
        keys.append(plain or next(k for k in found.group("double", "single", "bare") if k))
        at = found.end()
    if not keys or at != len(text):
        raise RequestError(
            f"{shortened(text)!r} is not a path like stub.data.files[0].name; "
            'odd keys go into brackets: stub.data["first name"]'
        )
    return tuple(keys)


def written(path: Path) -> str:
    """Return a path as a template may write it."""
    pieces = [
        f"[{key}]" if key.isdecimal() else f".{key}" if _PLAIN.fullmatch(key) else f'["{key}"]'
        for key in path[1:]
    ]
    return shortened("".join([*path[:1], *pieces]))


def follow(path: Path, context: Mapping[str, Any]) -> Any:
    """Return what a path leads to; only fields of objects and items of lists are ever looked up.

    Raises:
        RequestError: nothing is there; the message says how far the path leads, and to what.
    """
    value: Any = context
    for place, key in enumerate(path):
        if isinstance(value, Mapping) and key in value:
            value = value[key]
        elif isinstance(value, list) and _is_index(key, value):
            value = value[int(key)]
        else:
            raise RequestError(_missing(path, place, value))
    return value


def _is_index(key: str, items: list[Any]) -> bool:
    return key.isascii() and key.isdecimal() and len(key) < 10 and int(key) < len(items)


def _missing(path: Path, place: int, owner: object) -> str:
    """Return the sentence that says where a path ends too early."""
    name = written(path[:place]) if place else "the context"
    sentence = f"{written(path)} is missing"
    if isinstance(owner, Mapping):
        keys = {str(key): None for key in islice(owner, MAX_SEARCHED_KEYS)}
        shown = [shortened(key) for key in islice(keys, MAX_NAMED_KEYS)]
        more = ", ..." if len(owner) > MAX_NAMED_KEYS else ""
        near = resembling(path[place], keys)
        return f"{sentence}; {name} has {', '.join(shown) or 'nothing'}{more}{near}"
    if isinstance(owner, list):
        return f"{sentence}; {name} is a list of {len(owner)}"
    kinds = {type(None): "null", bool: "true or false", str: "text"}
    return f"{sentence}; {name} is {kinds.get(type(owner), 'a number')}"
