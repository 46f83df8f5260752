"""The types of tasks, each with the fields of its `params`.

`generate_image` is the contract; its neighbours are what makes a picture useful: files attached, looked
up, uploaded and printed, and values kept on the stub. Where the neighbours' documentation is silent, or
speaks of parts this program does not have, docs/decisions.md says what was decided.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, ConfigDict, Field, model_validator

from gouache.contract import MAX_CHARACTERS, GenerateImage, unknown_fields
from gouache.given import Given, refused
from gouache.records import MAX_ATTACHMENTS, Attachment

MAX_TEXT_CHARACTERS = 1_000_000
MAX_CONTENT_CHARACTERS = 48 * 1024 * 1024
MAX_IMAGES = 50
CONTENT_TYPE = r"^[a-z]+/[a-z0-9][a-z0-9.+-]{0,100}$"
PATH = r"^[A-Za-z_][\w-]*(\.[A-Za-z_][\w-]*){0,19}$"

PageSize = Literal["A3", "A4", "A5", "B5", "Letter", "Legal"]
Orientation = Literal["portrait", "landscape"]


def _nothing(value: object) -> object:
    """Take an empty text for nothing, as forms hand it in."""
    return None if value == "" else value


def _as_list(value: object) -> object:
    """Take one file for a list of one."""
    return [value] if isinstance(value, str | Mapping) and value else value


Filename = Annotated[
    Annotated[str, Field(max_length=MAX_CHARACTERS["filename"])] | None, BeforeValidator(_nothing)
]
ContentType = Annotated[
    Annotated[str, Field(pattern=CONTENT_TYPE)] | None,
    BeforeValidator(_nothing),
]
Fileuuid = Annotated[Attachment | None, BeforeValidator(_nothing)]


class _Params(Given):
    """Fields of a task. Unknown ones are kept, and named by `warnings`."""

    model_config = ConfigDict(extra="allow")

    def warnings(self) -> list[str]:
        """Return one sentence for each unknown field, with the known field it resembles."""
        return unknown_fields(self, _NAMES[type(self)])

    @classmethod
    def _needs_one_of(cls, values: Mapping[str, Any], *names: str) -> None:
        given = [name for name in names if values.get(name) not in (None, "", [])]
        if not given:
            raise refused(cls, names[0], f"is required, or {' or '.join(names[1:])} instead")
        if len(given) > 1:
            raise refused(cls, given[1], f"cannot be used together with {given[0]}; leave one out")


class FileToAttach(Given):
    """A file to be attached, under a name and type of its own where they are given."""

    model_config = ConfigDict(extra="allow")  # a whole file object may be given

    fileuuid: Attachment = Field(description="The file.")
    filename: Filename = Field(None, description="What it is called there.")
    contentType: ContentType = Field(
        None, examples=["application/pdf"], description="What it is said to be there."
    )

    @model_validator(mode="before")
    @classmethod
    def _may_be_a_uuid(cls, value: object) -> object:
        return {"fileuuid": value} if isinstance(value, str) else value


class AttachFile(_Params):
    """Attach stored files to the stub."""

    fileuuid: Fileuuid = Field(None, description="The file; or give `files`.")
    filename: Filename = Field(None, description="What the file is called there.")
    contentType: ContentType = Field(
        None, examples=["application/pdf"], description="What the file is said to be there."
    )
    files: Annotated[list[FileToAttach], BeforeValidator(_as_list)] = Field(
        [], max_length=MAX_ATTACHMENTS, description="Several files: UUIDs or file objects."
    )

    @model_validator(mode="before")
    @classmethod
    def _names_files_once(cls, values: object) -> object:
        if isinstance(values, Mapping):
            cls._needs_one_of(values, "fileuuid", "files")
        return values

    @property
    def wanted(self) -> list[FileToAttach]:
        """The files, whichever way they were given."""
        if self.fileuuid is None:
            return self.files
        one = {
            "fileuuid": self.fileuuid,
            "filename": self.filename,
            "contentType": self.contentType,
        }
        return [FileToAttach.model_validate(one)]


class GetFileDetails(_Params):
    """Look up what is known of stored files."""

    fileuuid: Fileuuid = Field(None, description="The file; or give `fileuuids`.")
    fileuuids: Annotated[list[Attachment], BeforeValidator(_as_list)] = Field(
        [], max_length=MAX_ATTACHMENTS, description="Several files: UUIDs or file objects."
    )

    @model_validator(mode="before")
    @classmethod
    def _names_files_once(cls, values: object) -> object:
        if isinstance(values, Mapping):
            cls._needs_one_of(values, "fileuuid", "fileuuids")
        return values

    @property
    def wanted(self) -> list[str]:
        """The UUIDs, whichever way they were given."""
        return self.fileuuids if self.fileuuid is None else [self.fileuuid]


class UploadFile(_Params):
    """Store what is in the task as a file. Nothing is fetched from anywhere."""

    filename: str = Field(
        min_length=1,
        max_length=MAX_CHARACTERS["filename"],
        description="Its name; made safe, with the extension of what is in it.",
    )
    content: str | None = Field(
        None,
        repr=False,
        max_length=MAX_CONTENT_CHARACTERS,
        description="What is in it, in base64, also as a data: URL.",
    )
    text: str | None = Field(
        None, repr=False, max_length=MAX_TEXT_CHARACTERS, description="What is in it, as text."
    )
    html: str | None = Field(
        None,
        repr=False,
        max_length=MAX_TEXT_CHARACTERS,
        description="What is in it, as HTML: values that templates put in are escaped.",
    )
    contentType: ContentType = Field(
        None,
        examples=["application/pdf"],
        description="What it is; without it the content and the name decide.",
    )

    @model_validator(mode="before")
    @classmethod
    def _holds_what_it_stores(cls, values: object) -> object:
        if isinstance(values, Mapping):
            if values.get("url"):
                raise refused(cls, "url", "is not fetched; give the bytes as content, text or html")
            cls._needs_one_of(values, "content", "text", "html")
        return values


class SaveData(_Params):
    """Keep values in the stub's data, where later tasks and posts find them."""

    data: dict[str, Any] = Field(
        description="What is put into the data: objects are merged, anything else is replaced."
    )
    path: Annotated[str | None, BeforeValidator(_nothing)] = Field(
        None,
        pattern=PATH,
        examples=["customer.address"],
        description="Where in the data it is put; without it, at the top.",
    )

    @property
    def patch(self) -> dict[str, Any]:
        """What is merged into the whole data."""
        patch = self.data
        for key in reversed(self.path.split(".") if self.path else []):
            patch = {key: patch}
        return patch


class NewFile(Given):
    """What the new file is like."""

    model_config = ConfigDict(extra="allow")

    filename: Filename = Field(None, description="Its name; made safe, with the extension .pdf.")


class GeneratePdf(_Params):
    """Print a document: HTML, plain text, or an HTML file of ours with values put in."""

    html: str | None = Field(
        None,
        max_length=MAX_TEXT_CHARACTERS,
        description="The document as HTML: values that templates put in are escaped.",
    )
    text: str | None = Field(
        None, max_length=MAX_TEXT_CHARACTERS, description="The document as plain text."
    )
    pdftemplateuuid: Fileuuid = Field(
        None,
        description="A stored HTML file, in whose text `{{path}}` stands for a value of `data`.",
    )
    data: dict[str, Any] = Field({}, description="The values for the template.")
    images: Annotated[list[Attachment], BeforeValidator(_as_list)] = Field(
        [], max_length=MAX_IMAGES, description="With `text`: stored pictures that come before it."
    )
    new_file: NewFile = Field(NewFile(), description="What the PDF file is like.")
    title: str | None = Field(
        None, max_length=1000, description="The title in the file, and over a plain text."
    )
    author: str | None = Field(None, max_length=1000, description="The author in the file.")
    page_size: PageSize = Field("A4", description="The paper; CSS in the document overrules it.")
    orientation: Orientation = Field("portrait", description="How the paper lies.")
    margin_mm: float = Field(
        20, ge=0, le=70, description="The margin on all sides; CSS in the document overrules it."
    )

    @model_validator(mode="before")
    @classmethod
    def _has_one_source(cls, values: object) -> object:
        if isinstance(values, Mapping):
            cls._needs_one_of(values, "html", "text", "pdftemplateuuid")
            if values.get("data") and not values.get("pdftemplateuuid"):
                raise refused(cls, "data", "is put into a template only; give pdftemplateuuid")
            if values.get("images") and not values.get("text"):
                raise refused(cls, "images", "come before a text only; in HTML write <img>")
        return values

    @model_validator(mode="after")
    def _prints_something(self) -> Self:
        if not self.pdftemplateuuid and not re.search(r"\S", self.html or self.text or ""):
            raise ValueError("there is nothing to print")
        return self


PARAMS: Mapping[str, type[GenerateImage] | type[_Params]] = {
    "generate_image": GenerateImage,
    "attach_file": AttachFile,
    "get_file_details": GetFileDetails,
    "upload_file": UploadFile,
    "savedata": SaveData,
    "generate_pdf": GeneratePdf,
}
"""The fields of each type."""

HTML_FIELDS: Mapping[str, tuple[str, ...]] = {"generate_pdf": ("html",), "upload_file": ("html",)}
"""The fields whose text is HTML: what is put into them is escaped."""

_NAMES: dict[type[Any], str] = {model: name for name, model in PARAMS.items()}
