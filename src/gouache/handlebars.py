"""The part of Handlebars that texts in `params` may use, read into its parts.

`{{path}}` and `{{{path}}}` stand for a value, `{{{{skip}}}}...{{{{/skip}}}}` for what is written between
them, `{{#substitute}}...{{/substitute}}` for what comes of substituting its content once more,
`{{#file_url path}}{{/file_url}}` and `{{#file_link path}}{{/file_link}}` for a stored file's address
and for a link to it; `{{! a comment }}` stands for nothing. Anything else is refused by name.

A text is read once, before any value is put into it: no value can become a tag.
Proved by `test_values_never_change_the_structure_of_a_template`. Reading takes time in proportion to the
text: whatever is not a complete tag ends it.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias
from uuid import UUID

from gouache.errors import RequestError
from gouache.given import shortened
from gouache.paths import Path, read_path

MAX_BLOCKS = 10
"""How deep blocks may be nested in one text, and how often `substitute` may lead to `substitute`."""

_TAG = re.compile(
    r"""
    \{\{\{\{ \s* (?P<raw>\w+) \s* \}\}\}\} (?P<content>.*?) \{\{\{\{/ \s* (?P=raw) \s* \}\}\}\}
    | \{\{! (?: --.*?-- | [^{}]* ) \}\}
    | \{\{\{ (?P<unescaped>[^{}]*) \}\}\}
    | \{\{ \s* (?P<mark>[#/]?) (?P<tag>[^{}]*) \}\}
    | (?P<unclosed>\{\{)
    """,
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Value:
    """A value out of the context."""

    path: Path
    escaped: bool


@dataclass(frozen=True, slots=True)
class File:
    """The address of a stored file, or a link to it."""

    name: Literal["file_url", "file_link"]
    file: Path | UUID


@dataclass(frozen=True, slots=True)
class Substitute:
    """What is to be substituted once more."""

    parts: "tuple[Part, ...]"


Part: TypeAlias = str | Value | File | Substitute


@dataclass(frozen=True, slots=True)
class _Open:
    """A block whose end has not come yet."""

    name: str
    argument: str
    parts: list[Part]


def parse(text: str) -> tuple[Part, ...]:
    """Return the parts of a text.

    Raises:
        RequestError: something is no tag, a block is not known, not closed or nested too deep.
    """
    blocks = [_Open("", "", [])]
    at = 0
    for found in _TAG.finditer(text):
        if found.start() > at:
            blocks[-1].parts.append(text[at : found.start()])
        at = found.end()
        if found["unclosed"]:
            shown = shortened(text[found.start() :])
            raise RequestError(
                f"{shown!r} opens a tag and does not close it; "
                "text with such braces goes between {{{{skip}}}} and {{{{/skip}}}}"
            )
        _add(found, blocks)
    if len(blocks) > 1:
        name = blocks[-1].name
        raise RequestError(f"{{{{#{name}}}}} has no {{{{/{name}}}}}")
    return (*blocks[0].parts, text[at:]) if at < len(text) else tuple(blocks[0].parts)


def paths(parts: Iterable[Part]) -> Iterator[Path]:
    """Yield each path that parts hold."""
    for part in parts:
        if isinstance(part, Value):
            yield part.path
        elif isinstance(part, File) and not isinstance(part.file, UUID):
            yield part.file
        elif isinstance(part, Substitute):
            yield from paths(part.parts)


def _add(found: re.Match[str], blocks: list[_Open]) -> None:
    """Take one tag into account."""
    parts = blocks[-1].parts
    if found["raw"]:
        if found["raw"] != "skip":
            raise RequestError(f"there is no raw block {shortened(found['raw'])!r}; there is skip")
        parts.append(found["content"])
    elif found["unescaped"] is not None:
        parts.append(Value(read_path(found["unescaped"].strip()), escaped=False))
    elif found["mark"] == "#":
        blocks.append(_opened(found["tag"], len(blocks)))
    elif found["mark"] == "/":
        _close(found["tag"].strip(), blocks)
    elif found["tag"] is not None:
        parts.append(Value(read_path(found["tag"].strip()), escaped=True))


def _opened(tag: str, depth: int) -> _Open:
    name, argument = (*tag.split(maxsplit=1), "", "")[:2]
    if name not in ("substitute", "file_url", "file_link"):
        raise RequestError(
            f"there is no block {shortened(name)!r}; there are substitute, file_url and file_link, "
            "and ~~#jsonata#( ... ) for choices and lists"
        )
    if depth > MAX_BLOCKS:
        raise RequestError(f"blocks are nested more than {MAX_BLOCKS} deep")
    if bool(argument) != (name != "substitute"):
        takes = "takes nothing" if name == "substitute" else "takes a file"
        raise RequestError(f"{{{{#{name}}}}} {takes}")
    return _Open(name, argument.strip(), [])


def _close(name: str, blocks: list[_Open]) -> None:
    block = blocks[-1]
    if len(blocks) == 1 or block.name != name:
        wanted = f"; {{{{/{block.name}}}}} is due first" if block.name else ""
        raise RequestError(f"{{{{/{shortened(name)}}}}} closes nothing{wanted}")
    blocks.pop()
    if block.name == "substitute":
        blocks[-1].parts.append(Substitute(tuple(block.parts)))
    elif any(part != "" and not (isinstance(part, str) and part.isspace()) for part in block.parts):
        raise RequestError(f"{{{{#{name}}}}} holds nothing: {{{{#{name} ...}}}}{{{{/{name}}}}}")
    elif block.name == "file_url":
        blocks[-1].parts.append(File("file_url", _file(block.argument)))
    else:
        blocks[-1].parts.append(File("file_link", _file(block.argument)))


def _file(argument: str) -> Path | UUID:
    """Return the path to a file, or the UUID that is written there itself."""
    try:
        return UUID(argument.strip("\"'"))
    except ValueError:
        return read_path(argument)
