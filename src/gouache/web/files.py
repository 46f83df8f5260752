"""The routes of files: read by a signed link or with the key, in parts or only where changed.

Source: RFC 9110, 13 and 14 (conditional and range requests), RFC 6266 and 8187 (Content-Disposition).
Several ranges at once are answered with the whole file, and so is a range of a variant, as the RFC
allows.
"""

import hashlib
import re
from collections.abc import Iterator
from contextlib import suppress
from email.utils import formatdate, parsedate_to_datetime
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, BinaryIO
from urllib.parse import quote

from fastapi import APIRouter, Query, Request
from pydantic.json_schema import SkipJsonSchema
from starlette.datastructures import Headers
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from gouache.contract import FileDetails
from gouache.errors import (
    EngineRateLimited,
    FileNotFound,
    LinkRefused,
    RangeNotSatisfiable,
    RequestError,
    StorageError,
)
from gouache.variants import READ, Variant, render
from gouache.web.parameters import FileUuid, TheService
from gouache.web.refusals import described, refusal
from gouache.web.schema import NOT_MODIFIED, PART_OF_FILE, THE_FILE
from gouache.web.variants import Shelf, TheShelf, WhatIsAsked, parameters, tag_of

CHUNK_BYTES = 64 * 1024
SHOWN = ("image/png", "image/jpeg", "image/webp", "image/gif", "image/avif")
"""What a browser may show in place; all else it saves."""

_RANGE = re.compile(r"bytes=\s*(\d{0,18})-(\d{0,18})\s*", re.IGNORECASE | re.ASCII)

Expires = Annotated[
    str | SkipJsonSchema[None],
    Query(description="Of a signed link: the Unix second until which it is good."),
]
Signature = Annotated[
    str | SkipJsonSchema[None], Query(description="Of a signed link: what proves it is ours.")
]

router = APIRouter(tags=["files"])


@router.get(
    "/files/{fileuuid}",
    operation_id="read_file",
    response_class=Response,
    responses=THE_FILE
    | PART_OF_FILE
    | NOT_MODIFIED
    | described(
        RequestError,
        FileNotFound,
        LinkRefused,
        RangeNotSatisfiable,
        EngineRateLimited,
        StorageError,
    ),
    openapi_extra={"parameters": parameters()},
)
@router.head(
    "/files/{fileuuid}",
    operation_id="read_file_headers",
    response_class=Response,
    responses=THE_FILE
    | NOT_MODIFIED
    | described(RequestError, FileNotFound, LinkRefused, EngineRateLimited, StorageError),
    openapi_extra={"parameters": parameters()},
)
def read_file(
    request: Request,
    service: TheService,
    fileuuid: FileUuid,
    asked: WhatIsAsked,
    shelf: TheShelf,
    expires: Expires = None,
    signature: Signature = None,
) -> Response:
    """Read a file, or a variant of a picture, by a signed link or with the API key."""
    if expires is not None or signature is not None:
        service.check_link(fileuuid, expires or "", signature or "")
        service = service.seen_by(None)  # whoever has the link may read it
    details = service.file(fileuuid)
    try:
        path = service.file_path(fileuuid)
        if asked.variant is None:
            response = _answer(path, details, request)
        else:
            response = _variant(path, details, request, asked.variant, shelf)
    except OSError as error:
        raise StorageError(f"the file {fileuuid} cannot be read: {error.strerror}") from error
    for sentence in asked.warnings:
        response.headers.append("Gouache-Warning", sentence)
    return response


@router.delete(
    "/files/{fileuuid}",
    operation_id="delete_file",
    status_code=204,
    response_class=Response,
    response_description="The file is gone; its name stays in the results that show it.",
    responses=described(FileNotFound, StorageError),
)
def delete_file(service: TheService, fileuuid: FileUuid) -> Response:
    """Delete a file for good."""
    service.delete_file(fileuuid)
    return Response(status_code=204)


def disposition(filename: str, content_type: str) -> str:
    """Return the header that names a file, for any name: ASCII for old readers, and UTF-8."""
    kind = "inline" if content_type in SHOWN else "attachment"
    plain = re.sub(r"[^A-Za-z0-9 ._()-]", "_", filename)
    exact = f"; filename*=UTF-8''{quote(filename, safe='')}" if plain != filename else ""
    return f'{kind}; filename="{plain}"{exact}'


class _Piece(StreamingResponse):
    """Bytes of an open file, which is closed also where the reader leaves early."""

    def __init__(self, file: BinaryIO, start: int, stop: int, **more: Any) -> None:
        super().__init__(_chunks(file, start, stop), **more)
        self._file = file

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._file.close()


def _answer(path: Path, details: FileDetails, request: Request) -> Response:
    facts = path.stat()
    tag = _tag(path, facts.st_mtime_ns, facts.st_size)
    headers = _headers(tag, facts.st_mtime)
    if _is_unchanged(request.headers, tag, facts.st_mtime):
        return Response(status_code=304, headers=headers)
    headers |= {
        "Content-Type": details.contentType,
        "Content-Disposition": disposition(details.filename, details.contentType),
        "Accept-Ranges": "bytes",
        "Content-Length": str(facts.st_size),
    }
    if request.method == "HEAD":
        return Response(headers=headers)
    piece = _piece_wanted(request.headers, tag, headers["Last-Modified"], facts.st_size)
    if piece is None:
        return _Piece(path.open("rb"), 0, facts.st_size, headers=headers)
    start, stop = piece
    if start >= stop:
        return _not_satisfiable(facts.st_size)
    headers["Content-Range"] = f"bytes {start}-{stop - 1}/{facts.st_size}"
    headers["Content-Length"] = str(stop - start)
    return _Piece(path.open("rb"), start, stop, status_code=206, headers=headers)


def _variant(
    path: Path, details: FileDetails, request: Request, variant: Variant, shelf: Shelf
) -> Response:
    if details.contentType not in READ:
        raise RequestError(f"only pictures have variants; this file is {details.contentType}")
    facts = path.stat()
    tag = tag_of(_tag(path, facts.st_mtime_ns, facts.st_size), variant)
    headers = _headers(tag, facts.st_mtime)
    if _is_unchanged(request.headers, tag, facts.st_mtime):
        return Response(status_code=304, headers=headers)
    rendered = shelf.get(tag, lambda: render(path.read_bytes(), variant))
    name = Path(details.filename).stem + rendered.extension
    headers |= {
        "Content-Type": rendered.content_type,
        "Content-Disposition": disposition(name, rendered.content_type),
        "Content-Length": str(len(rendered.data)),
    }
    response = Response(b"" if request.method == "HEAD" else rendered.data, headers=headers)
    for sentence in rendered.warnings:
        response.headers.append("Gouache-Warning", sentence)
    return response


def _headers(tag: str, changed: float) -> dict[str, str]:
    return {
        "ETag": tag,
        "Last-Modified": formatdate(int(changed), usegmt=True),
        "Cache-Control": "private, max-age=3600",
        "X-Content-Type-Options": "nosniff",
    }


def tag_of_file(path: Path) -> str:
    """Return the entity tag of a file."""
    facts = path.stat()
    return _tag(path, facts.st_mtime_ns, facts.st_size)


@lru_cache(maxsize=4096)
def _tag(path: Path, changed: int, size: int) -> str:
    """Return the entity tag, made from the bytes; the arguments tell one content from another."""
    with path.open("rb") as file:
        return f'"{hashlib.file_digest(file, "sha256").hexdigest()[:32]}"'


def _is_unchanged(headers: Headers, tag: str, changed: float) -> bool:
    """Whether the caller's copy is still good."""
    known = headers.get("if-none-match")
    if known is not None:
        tags = [one.strip().removeprefix("W/") for one in known.split(",")]
        return tag in tags or known.strip() == "*"
    with suppress(ValueError, TypeError):
        since = parsedate_to_datetime(headers.get("if-modified-since", ""))
        return int(changed) <= since.timestamp()
    return False


def _piece_wanted(headers: Headers, tag: str, changed: str, size: int) -> tuple[int, int] | None:
    """Return start and stop of the range asked for; None for the whole, equal ones for an empty one.

    A range that cannot be read, and one of another version of the file, is ignored.
    """
    found = _RANGE.fullmatch(headers.get("range", ""))
    if found is None or headers.get("if-range", tag) not in (tag, changed):
        return None
    first, last = found.groups()
    if not first:
        return (max(size - int(last), 0), size) if last else None
    if last and int(last) < int(first):
        return None
    return min(int(first), size), min(int(last) + 1, size) if last else size


def _not_satisfiable(size: int) -> Response:
    error = RangeNotSatisfiable(f"the file has {size} bytes; the range lies outside", param="Range")
    return refusal(error, {"Content-Range": f"bytes */{size}"})


def _chunks(file: BinaryIO, start: int, stop: int) -> Iterator[bytes]:
    file.seek(start)
    while start < stop and (chunk := file.read(min(CHUNK_BYTES, stop - start))):
        start += len(chunk)
        yield chunk
