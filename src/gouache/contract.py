"""The contract of the `generate_image` task: the request, the task around it, and its result.

Field names, values and defaults are those of the task's users, so that what was written for it keeps
working; `seed`, `seed_from` and `style` are our additions. Defaults live here and nowhere else. The
request is one frozen object from the surface all the way into the file. `docs/schema/` holds these models as JSON
Schema (`test_the_committed_schemas_are_those_of_the_models`).
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args
from uuid import UUID

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    JsonValue,
    StrictInt,
    WithJsonSchema,
    field_validator,
    model_validator,
)
from pydantic_core import CoreSchema

from gouache.addresses import WebAddress
from gouache.given import MAX_PROBLEMS, Given, refused, resembling, shortened
from gouache.given import read as read  # the word by which everyone else knows it
from gouache.seeds import canonical, whole
from gouache.seeds import seed_of as seed_of
from gouache.usage import Usage

Size = Literal["1024x1024", "1024x1792", "1792x1024"]
Quality = Literal["standard", "hd"]

TaskType = Literal[
    "generate_image",
    "attach_file",
    "get_file_details",
    "upload_file",
    "savedata",
    "generate_pdf",
]

TASK_TYPES: tuple[TaskType, ...] = get_args(TaskType)
SIZES: tuple[Size, ...] = get_args(Size)
QUALITIES: tuple[Quality, ...] = get_args(Quality)
DEFAULT_MODEL = "dall-e-3"
"""Every engine has it, as a name for a model of its own."""

MAX_CHARACTERS = {"prompt": 32_000, "model": 200, "filename": 1000, "style": 50}
MAX_SEED = 2**32 - 1
MAX_SEED_SOURCE_CHARACTERS = 10_000
BUILT_IN_GATEWAY = UUID("e366a208-63a2-48ea-af74-e3e0abf703b4")
"""The gateway of the task's documented example."""

MAX_CONDITIONS = 50
TASK_NAME = r"^[A-Za-z_][A-Za-z0-9_-]{0,99}$"
FIRST, DEFAULT_PRIORITY, LAST = 1, 100, 1000


def _true_or_false(value: object) -> bool:
    """Read a field that is documented as a string and used as a boolean."""
    if isinstance(value, bool):
        return value
    if value in ("true", "false"):
        return value == "true"
    raise ValueError('must be true, "true", false or "false"')


TrueOrFalse = Annotated[
    bool,
    BeforeValidator(_true_or_false),
    WithJsonSchema({"enum": [True, False, "true", "false"]}),
]


class GenerateImage(Given):
    """What to draw. Unknown fields are kept, and named by `warnings`."""

    model_config = ConfigDict(extra="allow")

    prompt: str = Field(
        min_length=1, max_length=MAX_CHARACTERS["prompt"], description="What the picture shows."
    )
    model: str = Field(
        DEFAULT_MODEL,
        min_length=1,
        max_length=MAX_CHARACTERS["model"],
        description="The model to draw with; each engine maps the default to a model it has.",
    )
    size: Size = Field("1024x1024", description="Width x height in pixels.")
    quality: Quality = Field("standard", description="`hd` takes longer.")
    filename: str | None = Field(
        None,
        min_length=1,
        max_length=MAX_CHARACTERS["filename"],
        description="The name of the file; made safe, with the extension of what is in it.",
    )
    disable_model_response: TrueOrFalse = Field(
        False, description="Whether the finished picture is not posted on the stub."
    )
    seed: StrictInt | None = Field(
        None,
        ge=0,
        le=MAX_SEED,
        description="The same seed draws the same picture; a new one is chosen without it.",
    )
    seed_from: Annotated[JsonValue, WithJsonSchema({})] = Field(
        None,
        repr=False,  # often an e-mail address
        description="Whose picture it is, like a user's id: the same value gives the same seed.",
    )
    style: str | None = Field(
        None,
        min_length=1,
        max_length=MAX_CHARACTERS["style"],
        description="A style of the engine; without it the prompt decides.",
    )

    _whole_seed = field_validator("seed", mode="before")(whole)

    @field_validator("seed_from", mode="before")
    @classmethod
    def _tells_one_from_another(cls, value: object) -> object:
        if value in ("", [], {}) or (isinstance(value, str) and not value.strip()):
            raise ValueError("must not be empty: everyone would get the same picture")
        if value is not None and len(canonical(value)) > MAX_SEED_SOURCE_CHARACTERS:
            raise ValueError(f"must have at most {MAX_SEED_SOURCE_CHARACTERS:,} characters as JSON")
        return value

    @model_validator(mode="before")
    @classmethod
    def _has_one_source_of_its_seed(cls, values: object) -> object:
        if isinstance(values, Mapping):
            both = (values.get("seed"), values.get("seed_from"))
            if None not in both:
                raise refused(cls, "seed_from", "cannot be used together with seed; leave one out")
        return values

    @property
    def wanted_seed(self) -> int | None:
        """The seed asked for, by number or by whose picture it is; None leaves the choice."""
        return self.seed if self.seed_from is None else seed_of(self.seed_from)

    @property
    def width(self) -> int:
        """The width in pixels."""
        return int(self.size.split("x")[0])

    @property
    def height(self) -> int:
        """The height in pixels."""
        return int(self.size.split("x")[1])

    def warnings(self) -> list[str]:
        """Return one sentence for each unknown field, with the known field it resembles."""
        return unknown_fields(self, "generate_image")


class Task(Given):
    """A task as it is handed in. Unknown fields are kept, and named by `warnings`."""

    model_config = ConfigDict(extra="allow")

    tasktype: TaskType = Field(description="What is to be done.")
    taskapigatewayuuid: UUID = Field(
        BUILT_IN_GATEWAY, description="The gateway that does it; without it the built-in one."
    )
    params: dict[str, Any] = Field(description="What is asked for, by the type of the task.")
    name: str = Field(
        "generate_image",
        pattern=TASK_NAME,
        examples=["generate_image"],
        description="Under which name its result is found; without one, its type.",
    )
    priority: StrictInt = Field(
        DEFAULT_PRIORITY, ge=FIRST, le=LAST, description="Lower numbers are drawn first."
    )
    conditions: list[str] = Field(
        [],
        max_length=MAX_CONDITIONS,
        description="JSONata expressions; the task is skipped unless all hold.",
    )
    webhook: WebAddress | None = Field(
        None,
        repr=False,  # such addresses have secrets in them
        exclude_if=lambda webhook: webhook is None,  # idempotency keys of before stay good
        description="Where its end is told to, by a signed message.",
    )

    cache: TrueOrFalse = Field(
        True,
        exclude_if=lambda cache: cache,
        description="Whether a picture that was drawn before for the same request will do.",
    )

    _whole_priority = field_validator("priority", mode="before")(whole)

    @model_validator(mode="before")
    @classmethod
    def _is_named_after_its_type(cls, values: object) -> object:
        if isinstance(values, Mapping) and "name" not in values:
            tasktype = values.get("tasktype")
            return {**values, "name": tasktype} if tasktype in TASK_TYPES else values
        return values

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Show the request's own fields where a task is to draw; a template may stand for each."""
        schema = handler.resolve_ref_schema(handler(core_schema))
        request = handler.resolve_ref_schema(handler(GenerateImage.__pydantic_core_schema__))
        fields = {
            name: field
            if name == "prompt"
            else {"anyOf": [field, {"type": "string", "pattern": "^~~"}]}
            for name, field in request["properties"].items()
        }
        params = {**request, "properties": fields}
        schema["if"] = {"properties": {"tasktype": {"const": "generate_image"}}}
        schema["then"] = {"properties": {"params": params}}
        return schema

    def warnings(self) -> list[str]:
        """Return one sentence for each unknown field, with the known field it resembles."""
        return unknown_fields(self, "a task")


class FileObject(BaseModel):
    """A stored file, as it is passed from task to task."""

    model_config = ConfigDict(frozen=True)

    fileuuid: str = Field(description="A version-5 UUID.")
    filename: str = Field(description="The safe name of the file.")
    originalname: str = Field(description="The name as the caller wrote it.")
    contentType: str = Field(description="The media type.")


class FileDetails(FileObject):
    """A stored file with all that is known of it."""

    encoding: str = Field("binary", description="How the bytes are encoded.")
    size: int = Field(description="Bytes.")
    upload_date: str = Field(description="ISO 8601, milliseconds, UTC.")


class Image(FileObject):
    """The picture of a result: its file, and the prompt it was drawn from."""

    revised_prompt: str = Field(description="The prompt the engine was really given.")
    alt_text: str = Field("", description="Words for those who do not see the picture.")


class ImageData(BaseModel):
    """One picture of a response."""

    model_config = ConfigDict(frozen=True)

    revised_prompt: str = Field(description="The prompt the engine was really given.")
    url: str = Field(description="Our address of the stored file; signed, it expires.")
    image: Image = Field(description="The file object.")


class ImageResponse(BaseModel):
    """What was drawn, and by what."""

    model_config = ConfigDict(frozen=True)

    created: int = Field(description="Unix seconds.")
    model: str = Field(description="The model that drew.")
    seed: int | None = Field(None, description="The seed it drew with, if it has any.")
    cached_from: str | None = Field(
        None, description="The task it was drawn for, where it came from the cache."
    )
    usage: Usage | None = Field(None, description="What that used, where its provider tells.")
    unresolved: list[str] = Field([], description="Words of the prompt without influence.")
    data: list[ImageData] = Field(min_length=1, max_length=1, description="One picture.")


class Payload(BaseModel):
    """The request as it was resolved, and the response where there is one."""

    model_config = ConfigDict(frozen=True)

    request: dict[str, Any] = Field(description="The request with its defaults; `n` is 1.")
    response: ImageResponse | None = Field(None, description="Missing where the task failed.")
    image: Image | None = Field(None, description="The same object as in the response's data.")

    @model_validator(mode="after")
    def _shows_one_picture(self) -> "Payload":
        if self.image != (self.response.data[0].image if self.response else None):
            raise ValueError("image is the one in the response's data")
        return self


class TaskError(BaseModel):
    """Why a task failed."""

    model_config = ConfigDict(frozen=True)

    code: str = Field(description="Which error, for machines.")
    message: str = Field(description="What to do, for people.")
    type: str = Field(description="The branch of the tree of errors.")
    param: str | None = Field(None, description="The field it is about, if any.")
    retryable: bool = Field(description="Whether the same request may succeed later.")


class Result(BaseModel):
    """The end of a task; the same whoever asks, and whenever."""

    model_config = ConfigDict(frozen=True)

    success: bool = Field(description="Whether there is a picture.")
    payload: Annotated[Payload | dict[str, Any], Field(union_mode="left_to_right")] = Field(
        description="What was asked for, and what came of it."
    )
    task_duration_ms: int = Field(description="From the first start to the end.")
    error: TaskError | None = Field(None, description="Missing where the task succeeded.")
    skipped: str | None = Field(
        None, description="The condition that does not hold, where the task was not run for that."
    )
    warnings: list[str] = Field([], description="Sentences for whoever wrote the task.")

    @model_validator(mode="after")
    def _succeeded_failed_or_was_skipped(self) -> "Result":
        if isinstance(self.payload, Payload) and self.success != bool(self.payload.response):
            raise ValueError("a task that succeeded has a response, and no other has")
        if [self.success, self.error is not None, self.skipped is not None].count(True) != 1:
            raise ValueError("a task succeeded, failed with an error, or was skipped")
        return self

    @property
    def file(self) -> FileObject | None:
        """The file that the task made, if it made one."""
        if isinstance(self.payload, Payload):
            return self.payload.image
        made = self.payload.get("file")
        return FileObject.model_validate(made) if made else None

    def as_json(self) -> dict[str, Any]:
        """Return the envelope as users see it: nothing in it is null but an error's `param`."""
        envelope = self.model_dump(mode="json", exclude_none=True)
        if self.error:
            envelope["error"] = self.error.model_dump()
        return envelope


def resolved(request: GenerateImage) -> dict[str, Any]:
    """Return the request as a result echoes it: defaults filled in, what else was given, `n`."""
    always = {name: getattr(request, name) for name in ("prompt", "size", "model", "quality")}
    given = request.model_dump(mode="json", exclude_unset=True, exclude_none=True)
    return always | {"n": 1} | given | {"n": 1}


def read_request(params: Mapping[str, Any], *, inside: str = "") -> GenerateImage:
    """Return the request that `params` describes; `inside` leads to them, for the error's `param`.

    Raises:
        RequestError: a field is missing or has a bad value; `param` names the first such field, and
            the message names each with the values it allows.
    """
    return read(GenerateImage, params, inside=inside)


def unknown_fields(model: BaseModel, what: str) -> list[str]:
    """Return one sentence for each unknown field, with the known field it resembles."""
    names = list(model.model_extra or {})
    sentences = [
        f"{shortened(name)!r} is not a field of {what} and was ignored"
        f"{resembling(name, type(model).model_fields)}"
        for name in names[:MAX_PROBLEMS]
    ]
    if len(names) > MAX_PROBLEMS:
        sentences.append(f"{len(names) - MAX_PROBLEMS} more fields were ignored too")
    return sentences
