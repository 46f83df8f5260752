"""The neighbour tasks: what each does with its params, and what its end changes.

None of them writes anything. Each returns an `Outcome`, and whoever ends the task stores the file, under a
name made of task and content, and then changes the rows in the transaction that ends the task: so an
outcome happens once, however often a task is run.
"""

import base64
import binascii
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from gouache import documents, images
from gouache.contract import FileDetails, FileObject
from gouache.errors import FileNotFound, RequestError, StorageError
from gouache.given import Given
from gouache.media import content_type_of, extension_of
from gouache.records import MAX_ATTACHMENTS
from gouache.substitution import substitute
from gouache.tasktypes import AttachFile, GeneratePdf, GetFileDetails, SaveData, UploadFile

MAX_DATA_CHARACTERS = 2**20
"""How much a stub's data may hold, as JSON."""

MAX_TEMPLATE_BYTES = 2**20


class Context(Protocol):
    """What a neighbour task may look at."""

    @property
    def stubref(self) -> str | None:
        """The stub the task is on."""

    @property
    def taskname(self) -> str:
        """The task's name on its stubpost."""

    @property
    def fileuuid(self) -> str:
        """The UUID of the file that the task makes, if it makes one; always the same."""

    @property
    def created(self) -> str:
        """When the task was accepted."""

    @property
    def address(self) -> str:
        """The address of our server, as links to files begin."""

    @property
    def max_bytes(self) -> int:
        """The size of the largest file it may store."""

    def file(self, fileuuid: str) -> FileDetails:
        """Return what is known of a file, or raise FileNotFound."""

    def file_path(self, fileuuid: str) -> Path:
        """Return where a file's bytes are, or raise FileNotFound."""

    def file_url(self, fileuuid: str) -> str:
        """Return our address of a file."""


@dataclass(frozen=True, slots=True)
class NewFile:
    """A file to be stored: what its row is to say, and its bytes."""

    file: FileObject
    data: bytes


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a task leaves: its payload, and what its end is to change.

    `attachments` are added to the stub, `patch` is merged into its data.
    """

    payload: Mapping[str, Any]
    file: NewFile | None = None
    attachments: tuple[FileObject, ...] = ()
    patch: Mapping[str, Any] | None = None
    warnings: tuple[str, ...] = ()


def run(params: Given, context: Context) -> Outcome:
    """Return what comes of a task.

    Raises:
        RequestError, FileNotFound: the params ask for what cannot be done; `param` leads to the field.
        StorageError: a file cannot be read.
    """
    return _FUNCTIONS[type(params)](params, context)


def attach_file(params: AttachFile, context: Context) -> Outcome:
    """Attach files to the stub, each once."""
    if context.stubref is None:
        raise RequestError("attach_file needs a stub to attach to; post the task on one")
    attached = {}
    for index, wanted in enumerate(params.wanted):
        place = f"params.files.{index}" if params.fileuuid is None else "params.fileuuid"
        known = _known(context, wanted.fileuuid, place)
        filename, originalname = known.filename, known.originalname
        content_type = wanted.contentType or known.contentType
        if wanted.filename and wanted.filename != filename:
            filename = images.safe_filename(wanted.filename, extension_of(content_type))
            originalname = wanted.filename
        attached[known.fileuuid] = FileObject(
            fileuuid=known.fileuuid,
            filename=filename,
            originalname=originalname,
            contentType=content_type,
        )
    files = tuple(attached.values())
    payload: dict[str, Any] = {"fileuuid": files[0].fileuuid}
    if params.fileuuid is None:
        payload["files"] = [file.model_dump() for file in files]
    return Outcome(payload, attachments=files)


def get_file_details(params: GetFileDetails, context: Context) -> Outcome:
    """Look up what is known of files."""
    found = []
    for index, fileuuid in enumerate(params.wanted):
        place = f"params.fileuuids.{index}" if params.fileuuid is None else "params.fileuuid"
        found.append(_known(context, fileuuid, place).model_dump())
    return Outcome({"file_details": found})


def upload_file(params: UploadFile, context: Context) -> Outcome:
    """Make a file of what is in the params."""
    text = params.html or params.text
    data = text.encode() if text else _decoded(params.content or "")
    if len(data) > context.max_bytes:
        raise RequestError(
            f"the file has {len(data):,} bytes; there may be {context.max_bytes:,} (max_body_bytes)",
            param="params.content",
        )
    declared = params.contentType or ("text/html" if params.html else None)
    content_type = content_type_of(data, params.filename, declared)
    file = FileObject(
        fileuuid=context.fileuuid,
        filename=images.safe_filename(params.filename, extension_of(content_type)),
        originalname=params.filename,
        contentType=content_type,
    )
    return Outcome({"fileuuid": file.fileuuid, "file": file.model_dump()}, file=NewFile(file, data))


def savedata(params: SaveData, context: Context) -> Outcome:
    """Merge values into the stub's data."""
    if context.stubref is None:
        raise RequestError("savedata needs a stub to save on; post the task on one")
    merged({}, params.patch)  # what is too large alone is refused before the end
    return Outcome({"data": params.patch}, patch=params.patch)


def generate_pdf(params: GeneratePdf, context: Context) -> Outcome:
    """Print a document, with the stored pictures it names."""
    field = "params.html"
    if params.html is not None:
        source = params.html
    elif params.text is not None:
        source = documents.from_text(params.text, title=params.title, pictures=params.images)
        field = "params.images"
    else:
        source = _filled_in(params, context)
        field = "params.pdftemplateuuid"
    files = {}
    for fileuuid in documents.pictures_in(source):
        _known(context, fileuuid, field)
        files[fileuuid] = context.file_path(fileuuid)
    try:
        document = documents.typeset(
            source,
            files,
            sheet=documents.paper(
                params.page_size,
                landscape=params.orientation == "landscape",
                margin=params.margin_mm,
            ),
            address=context.address,
            title=params.title,
            author=params.author,
            created=context.created,
        )
    except RequestError as error:
        raise type(error)(error.message, param=field) from error
    wanted = params.new_file.filename or f"{context.stubref or context.fileuuid}_{context.taskname}"
    filename = images.safe_filename(wanted, documents.EXTENSION)
    file = FileObject(
        fileuuid=context.fileuuid,
        filename=filename,
        originalname=params.new_file.filename or filename,
        contentType=documents.CONTENT_TYPE,
    )
    return Outcome(
        {"file": file.model_dump(), "pages": document.pages},
        file=NewFile(file, document.data),
        warnings=tuple(
            f"{address!r} was not read: a document shows stored files only"
            for address in document.refused
        ),
    )


def merged(data: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """Return data with a patch merged in: objects field by field, anything else replaced.

    Raises:
        RequestError: the data would be larger than `MAX_DATA_CHARACTERS`.
    """
    result = _merged(data, patch)
    size = len(json.dumps(result, ensure_ascii=False))
    if size > MAX_DATA_CHARACTERS:
        message = f"the stub's data would have {size:,} characters as JSON; there may be "
        raise RequestError(f"{message}{MAX_DATA_CHARACTERS:,}", param="params.data")
    return result


def with_attached(
    attachments: Sequence[Mapping[str, Any]], files: Sequence[FileObject]
) -> list[dict[str, Any]]:
    """Return attachments with files added; one that is attached already is replaced.

    Raises:
        RequestError: there would be more than `MAX_ATTACHMENTS`.
    """
    result = {str(attached["fileuuid"]): dict(attached) for attached in attachments}
    result |= {file.fileuuid: file.model_dump() for file in files}
    if len(result) > MAX_ATTACHMENTS:
        message = f"the stub would have {len(result)} attachments; there may be {MAX_ATTACHMENTS}"
        raise RequestError(message, param="params.files")
    return list(result.values())


def _known(context: Context, fileuuid: str, place: str) -> FileDetails:
    """Return what is known of a file; where there is none, `place` says who asked for it."""
    try:
        return context.file(fileuuid)
    except FileNotFound as error:
        raise FileNotFound(f"{place}: {error.message}", param=place) from error


def _merged(data: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(data)
    for name, value in patch.items():
        old = result.get(name)
        if isinstance(old, Mapping) and isinstance(value, Mapping):
            value = _merged(old, value)
        result[name] = value
    return result


def _decoded(content: str) -> bytes:
    """Return the bytes of base64 text, also of a data: URL and with line breaks."""
    head, comma, rest = content.partition(",")
    text = rest if comma and head.startswith("data:") else content
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise RequestError("params.content is not base64", param="params.content") from error


def _filled_in(params: GeneratePdf, context: Context) -> str:
    """Return a stored HTML file with the values of `data` put in."""
    fileuuid = params.pdftemplateuuid or ""
    place = "params.pdftemplateuuid"
    known = _known(context, fileuuid, place)
    if known.contentType != "text/html" or known.size > MAX_TEMPLATE_BYTES:
        message = f"the file {fileuuid} is no HTML file of at most {MAX_TEMPLATE_BYTES:,} bytes"
        raise RequestError(message, param=place)
    try:
        source = context.file_path(fileuuid).read_text("utf-8")
    except OSError as error:
        raise StorageError(f"the file {fileuuid} cannot be read: {error.strerror}") from error
    filled = substitute(
        {"html": source},
        params.data,
        file_url=context.file_url,
        inside=place,
        html_fields=("html",),
    )
    return str(filled["html"])


_FUNCTIONS: Mapping[type[Any], Callable[[Any, Context], Outcome]] = {
    AttachFile: attach_file,
    GetFileDetails: get_file_details,
    UploadFile: upload_file,
    SaveData: savedata,
    GeneratePdf: generate_pdf,
}
