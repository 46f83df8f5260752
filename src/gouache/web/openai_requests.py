"""What a call of `/v1/images/generations` asks for, and the tasks it stands for.

OpenAI's fields are translated into those of our tasks and of variants; a field that nobody knows is
named in `warnings` and does no harm. n pictures are n tasks.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import (
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    JsonValue,
    StrictBool,
    StrictInt,
    WithJsonSchema,
    field_validator,
    model_validator,
)
from pydantic_core import CoreSchema

from gouache.contract import (
    DEFAULT_PRIORITY,
    FIRST,
    LAST,
    MAX_CHARACTERS,
    MAX_SEED,
    Quality,
    Size,
    TrueOrFalse,
    seed_of,
    unknown_fields,
)
from gouache.errors import RequestError
from gouache.given import Given, refused, shortened
from gouache.records import A_STUBREF, STUBREF, NewStubpost, NewTask
from gouache.service import Service
from gouache.substitution import is_template
from gouache.variants import TRANSPARENT, Variant
from gouache.web.openai_models import choose, gives_base64

MAX_PICTURES = 10
MAX_PARTIAL_IMAGES = 3

AskedSize = Literal[
    "auto",
    "1024x1024",
    "1024x1792",
    "1792x1024",
    "256x256",
    "512x512",
    "1536x1024",
    "1024x1536",
]
AskedQuality = Literal["auto", "standard", "hd", "low", "medium", "high", "xhigh", "max"]

DRAWN_SIZES: dict[str, Size] = {
    "auto": "1024x1024",
    "256x256": "1024x1024",
    "512x512": "1024x1024",
    "1536x1024": "1792x1024",
    "1024x1536": "1024x1792",
}
"""What is drawn for sizes that are not the contract's."""

QUALITIES: dict[str, Quality] = {
    **dict.fromkeys(("auto", "standard", "low", "medium"), "standard"),
    **dict.fromkeys(("hd", "high", "xhigh", "max"), "hd"),
}
SHOWN_QUALITIES: dict[Quality, str] = {"standard": "medium", "hd": "high"}
"""Ours in the words of OpenAI's answers."""

STYLES = ("vivid", "natural")
"""OpenAI's; where the gateway has no such style they change nothing."""

_INSIDE = re.compile(r"^(tasks\.[^.]+\.)?params\.")


class ImagesRequest(Given):
    """Pictures to be drawn, as clients of OpenAI's API ask for them. Null is the same as nothing."""

    model_config = ConfigDict(extra="allow")

    prompt: str = Field(
        min_length=1, max_length=MAX_CHARACTERS["prompt"], description="What the pictures show."
    )
    model: str | None = Field(
        None,
        min_length=1,
        max_length=MAX_CHARACTERS["model"],
        description="One of `/v1/models`; OpenAI's own names stand for the default.",
    )
    n: StrictInt = Field(1, ge=1, le=MAX_PICTURES, description="How many; each is a task.")
    size: AskedSize = Field("auto", description="Width x height in pixels; `auto` is 1024x1024.")
    quality: AskedQuality = Field("auto", description="`hd`, `high` and above take longer.")
    style: str | None = Field(
        None,
        min_length=1,
        max_length=MAX_CHARACTERS["style"],
        description="A style of the gateway; `vivid` and `natural` change nothing.",
    )
    response_format: Literal["url", "b64_json"] | None = Field(
        None, description="`url` unless the model's name is that of a GPT image one."
    )
    output_format: Literal["png", "jpeg", "webp"] = Field("png", description="Of the file.")
    output_compression: StrictInt | None = Field(
        None, ge=0, le=100, description="The quality of a JPEG or WebP, 100 being the best."
    )
    background: Literal["transparent", "opaque", "auto"] = Field(
        "auto", description="`transparent` takes a plain ground away; PNG and WebP only."
    )
    moderation: Literal["low", "auto"] = Field("auto", description="Changes nothing.")
    user: str | None = Field(None, max_length=1000, description="As `safety_identifier`.")
    safety_identifier: str | None = Field(None, max_length=1000, description="Comes back as it is.")
    stream: StrictBool = Field(False, description="Whether to answer by server-sent events.")
    partial_images: StrictInt = Field(
        0, ge=0, le=MAX_PARTIAL_IMAGES, description="How many previews of each picture to stream."
    )
    stubref: str | None = Field(
        None, pattern=STUBREF, examples=[A_STUBREF], description="Ours: the stub to draw on."
    )
    filename: str | None = Field(
        None,
        min_length=1,
        max_length=MAX_CHARACTERS["filename"],
        description="Ours: a file's name.",
    )
    seed: StrictInt | None = Field(
        None, ge=0, le=MAX_SEED, description="Ours: the seed of the first; the next have the next."
    )
    seed_from: Annotated[JsonValue, WithJsonSchema({})] = Field(
        None, repr=False, description="Ours: whose picture it is, instead of a seed."
    )
    taskapigatewayuuid: UUID | None = Field(None, description="Ours: the gateway that draws.")
    disable_model_response: TrueOrFalse = Field(
        False, description="Ours: whether the finished pictures are not posted on the stub."
    )
    priority: StrictInt = Field(
        DEFAULT_PRIORITY, ge=FIRST, le=LAST, description="Ours: lower numbers are drawn first."
    )

    @field_validator("n", "output_compression", "partial_images", "seed", "priority", mode="before")
    @classmethod
    def _whole(cls, value: object) -> object:
        """Take 7.0 for 7, which JSON does not tell apart."""
        return int(value) if isinstance(value, float) and value.is_integer() else value

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, values: object) -> object:
        if isinstance(values, Mapping):
            return {name: value for name, value in values.items() if value is not None}
        return values

    @model_validator(mode="after")
    def _fits_together(self) -> "ImagesRequest":
        if self.output_format == "png" and self.output_compression not in (None, 100):
            why = "is of no use with output_format png, only with jpeg, webp; leave it out"
            raise refused(type(self), "output_compression", why)
        if self.output_format == "jpeg" and self.background == TRANSPARENT:
            why = "cannot be transparent with output_format jpeg, only with png, webp"
            raise refused(type(self), "background", why)
        if self.seed is not None and self.seed_from is not None:
            why = "cannot be used together with seed; leave one out"
            raise refused(type(self), "seed_from", why)
        if self.n > 1 and is_template(self.seed_from):
            why = "cannot be a template where n is above 1: each picture has a seed of its own"
            raise refused(type(self), "seed_from", why)
        return self

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Allow null for each field but the prompt."""
        schema = handler.resolve_ref_schema(handler(core_schema))
        for name, field in schema["properties"].items():
            kinds = field.get("anyOf", ())
            if name not in ("prompt", "seed_from") and {"type": "null"} not in kinds:
                said = {key: field.pop(key) for key in ("default", "description", "title")}
                schema["properties"][name] = {"anyOf": [field, {"type": "null"}], **said}
        return schema

    @property
    def shown_size(self) -> str:
        """The size of the files."""
        return "1024x1024" if self.size == "auto" else self.size

    @property
    def variant(self) -> Variant | None:
        """What the drawn pictures are made into; None where they stay as they are."""
        query: dict[str, Any] = {}
        if self.size in DRAWN_SIZES and self.size != "auto":
            query["w"], query["h"] = (int(side) for side in self.size.split("x"))
        if self.background == TRANSPARENT:
            query["background"] = TRANSPARENT
        if self.output_format != "png":
            query["format"] = self.output_format
            if self.output_compression is not None:
                query["quality"] = max(1, self.output_compression)
        return Variant(**query) if query else None

    @property
    def in_base64(self) -> bool:
        """Whether the pictures are in the answer, and not behind links."""
        if self.response_format is None:
            return gives_base64(self.model)
        return self.response_format == "b64_json"

    def warnings(self) -> list[str]:
        """Return one sentence for each unknown field, with the known field it resembles."""
        return unknown_fields(self, "images/generations")


@dataclass(frozen=True, slots=True)
class Order:
    """The tasks of a call, and what is to be said of its translation."""

    tasks: tuple[NewTask, ...]
    warnings: tuple[str, ...]


def order_of(service: Service, asked: ImagesRequest) -> Order:
    """Return the tasks that a call stands for.

    Raises:
        RequestError: the gateway has no such style; the message lists those there are.
        GatewayNotFound, ModelNotFound, SettingsError, EngineError: as of `choose`.
    """
    choice = choose(service, asked.model, asked.taskapigatewayuuid)
    style = asked.style
    if style is not None and style not in choice.styles:
        allowed = dict.fromkeys((*STYLES, *choice.styles))
        if style not in STYLES and not is_template(style):
            sentence = f"style must be one of {', '.join(allowed)}; not {shortened(style)!r}"
            raise RequestError(sentence, param="style")
        style = None if style in STYLES else style
    params = {
        "prompt": asked.prompt,
        "model": choice.model,
        "size": DRAWN_SIZES.get(asked.size, asked.size),
        "quality": QUALITIES[asked.quality],
        "style": style,
        "filename": asked.filename,
        "disable_model_response": asked.disable_model_response or None,
    }
    given = {name: value for name, value in params.items() if value is not None}
    tasks = tuple(
        NewTask(
            tasktype="generate_image",
            taskapigatewayuuid=choice.gateway,
            params=given | _seed(asked, index),
            priority=asked.priority,
            stubref=asked.stubref,
        )
        for index in range(asked.n)
    )
    return Order(tasks, (*choice.warnings, *asked.warnings()))


def submit(service: Service, order: Order, key: str) -> list[str]:
    """Write down all the tasks of a call or none, and return their UUIDs.

    On a stub they come with one stubpost, under the names generate_image, generate_image_2 and so on.

    Raises:
        StubNotFound, IdempotencyKeyReused
        RequestError: a field is wrong; `param` is its name.
    """
    stubref = order.tasks[0].stubref
    try:
        if stubref is None:
            return [task.taskuuid for task in service.submit_all(order.tasks, key=key)]
        post = service.add_stubpost(stubref, _stubpost(order), key=key)
        return [task.taskuuid for task in post.tasks.values()]
    except RequestError as error:
        if error.param and (inside := _INSIDE.match(error.param)):
            error.param = error.param.removeprefix(inside[0])
            error.message = error.message.removeprefix(inside[0])
        raise


def _stubpost(order: Order) -> NewStubpost:
    named = {
        f"generate_image_{number}" if number > 1 else "generate_image": task.model_dump(
            mode="json", exclude={"name", "stubref"}, exclude_unset=True
        )
        for number, task in enumerate(order.tasks, 1)
    }
    return NewStubpost(action="generate_image", tasks=named)


def _seed(asked: ImagesRequest, index: int) -> dict[str, Any]:
    """Return what makes a picture its own: the seed after that of the one before."""
    if asked.seed is None and asked.seed_from is None:
        return {}
    if index == 0:
        return {"seed": asked.seed} if asked.seed is not None else {"seed_from": asked.seed_from}
    first = asked.seed if asked.seed is not None else seed_of(asked.seed_from)
    return {"seed": (first + index) % (MAX_SEED + 1)}
