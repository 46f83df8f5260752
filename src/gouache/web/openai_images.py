"""The pictures of a call as its caller gets them: in the format, size and shape asked for, or behind a link.

A link carries the variant in its query, so what it serves is what the answer says.
"""

import asyncio
import base64
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from urllib.parse import urlencode

from pydantic import BaseModel, ConfigDict, Field

from gouache.contract import Image, ImageResponse, Payload
from gouache.errors import (
    EngineRateLimited,
    GouacheError,
    RequestError,
    StorageError,
    classes_by_code,
)
from gouache.records import TaskRecord
from gouache.service import Service
from gouache.usage import Usage
from gouache.variants import TRANSPARENT, Variant, render
from gouache.web.files import tag_of_file
from gouache.web.openai_requests import (
    DRAWN_SIZES,
    QUALITIES,
    SHOWN_QUALITIES,
    ImagesRequest,
    Order,
)
from gouache.web.variants import Shelf, tag_of

PATCH_SIDE = 32
MAX_TURNS = 60
"""How often it is tried to have a variant made; after each try there is a pause of a second."""

_PIECES = re.compile(r"\w+|[^\w\s]")


class InputDetails(BaseModel):
    """What the tokens of a prompt are."""

    model_config = ConfigDict(frozen=True)

    text_tokens: int = Field(description="All of them.")
    image_tokens: int = Field(0, description="None.")


class CallUsage(BaseModel):
    """What a call used: as whoever drew the pictures counts, or as we count where they do not tell."""

    model_config = ConfigDict(frozen=True)

    input_tokens: int = Field(description="Else words and marks of the prompt, for each picture.")
    output_tokens: int = Field(description="Else squares of 32 x 32 pixels that were drawn.")
    total_tokens: int = Field(description="Both together.")
    input_tokens_details: InputDetails
    cost_usd: str | None = Field(None, description="Ours: US dollars, where all told it.")


class PictureData(BaseModel):
    """One picture: a link to it, or its file in Base64; and what is known of it."""

    model_config = ConfigDict(frozen=True)

    url: str | None = Field(None, description="A signed link; it expires.")
    b64_json: str | None = Field(None, description="The file.")
    revised_prompt: str = Field(description="The prompt the model was really given.")
    image: Image = Field(description="Ours: the file as it was drawn.")
    seed: int | None = Field(None, description="Ours: the seed it was drawn with, if any.")
    taskuuid: str = Field(description="Ours: the task that drew it.")


class ImagesAnswer(BaseModel):
    """The pictures of a call."""

    model_config = ConfigDict(frozen=True)

    created: int = Field(description="Unix seconds.")
    data: list[PictureData] = Field(description="The pictures.")
    background: str = Field(description="`transparent` where each picture is.")
    output_format: str = Field(description="png, jpeg or webp.")
    quality: str = Field(description="`medium` for our standard, `high` for our hd.")
    size: str = Field(description="Width x height in pixels.")
    usage: CallUsage
    safety_identifier: str | None = Field(None, description="As it was given.")
    model: str = Field(description="Ours: the model that drew.")
    warnings: list[str] = Field([], description="Ours: sentences for whoever wrote the call.")


@dataclass(frozen=True, slots=True)
class Made:
    """A picture in its final shape; `data` is None where its link is enough."""

    record: TaskRecord
    image: Image
    response: ImageResponse
    url: str
    data: bytes | None
    background: str
    warnings: tuple[str, ...]

    def as_data(self, *, in_base64: bool) -> PictureData:
        """Return the picture as an answer shows it."""
        file = base64.b64encode(self.data).decode() if in_base64 and self.data else None
        return PictureData(
            url=None if in_base64 else self.url,
            b64_json=file,
            revised_prompt=self.image.revised_prompt,
            image=self.image,
            seed=self.response.seed,
            taskuuid=self.record.taskuuid,
        )


async def make(service: Service, shelf: Shelf, record: TaskRecord, asked: ImagesRequest) -> Made:
    """Return the picture of a task that succeeded, as the call asks for it.

    Where its ground is to go and cannot, it stays as it was drawn, and `background` says so.

    Raises:
        FileNotFound, StorageError, RequestError: its file is gone or was changed.
        EngineRateLimited: too many others are being made.
    """
    payload = record.payload
    assert isinstance(payload, Payload) and payload.image and payload.response  # it succeeded
    fileuuid, variant = payload.image.fileuuid, asked.variant
    is_clear = asked.background == TRANSPARENT
    data, said = None, list(record.warnings)
    if is_clear:
        try:
            data = await _file(service, shelf, fileuuid, variant)
        except RequestError as error:
            if error.param != "background":
                raise
            said.append(f"the background is opaque: {error.message}")
            asked = asked.model_copy(update={"background": "opaque"})
            variant, is_clear = asked.variant, False
    if data is None and (asked.in_base64 or asked.stream):
        data = await _file(service, shelf, fileuuid, variant)
    url = await asyncio.to_thread(service.file_url, fileuuid)
    if variant is not None:
        url += "&" + urlencode(variant.model_dump(exclude_unset=True))
    shown = TRANSPARENT if is_clear else "opaque"
    return Made(record, payload.image, payload.response, url, data, shown, tuple(said))


def answer_of(made: Sequence[Made], asked: ImagesRequest, order: Order) -> ImagesAnswer:
    """Return the answer that shows all pictures of a call."""
    clear = all(picture.background == TRANSPARENT for picture in made)
    said = [*order.warnings, *(sentence for picture in made for sentence in picture.warnings)]
    return ImagesAnswer(
        created=int(time.time()),
        data=[picture.as_data(in_base64=asked.in_base64) for picture in made],
        background=TRANSPARENT if clear else "opaque",
        output_format=asked.output_format,
        quality=shown_quality(asked),
        size=asked.shown_size,
        usage=usage_of(asked, made),
        safety_identifier=asked.safety_identifier or asked.user,
        model=made[0].response.model,
        warnings=list(dict.fromkeys(said)),
    )


def shown_quality(asked: ImagesRequest) -> str:
    """Return the quality really drawn, in OpenAI's word for it."""
    return SHOWN_QUALITIES[QUALITIES[asked.quality]]


def usage_of(asked: ImagesRequest, made: Sequence[Made]) -> CallUsage:
    """Return what the pictures of a call used."""
    width, height = (int(side) for side in DRAWN_SIZES.get(asked.size, asked.size).split("x"))
    words = len(_PIECES.findall(asked.prompt))
    squares = (width // PATCH_SIDE) * (height // PATCH_SIDE)
    told = [picture.response.usage or Usage() for picture in made]
    read = sum(words if one.input_tokens is None else one.input_tokens for one in told)
    drawn = sum(squares if one.output_tokens is None else one.output_tokens for one in told)
    costs = [one.cost_usd for one in told if one.cost_usd is not None]
    return CallUsage(
        input_tokens=read,
        output_tokens=drawn,
        total_tokens=read + drawn,
        input_tokens_details=InputDetails(text_tokens=read),
        cost_usd=f"{sum(map(Decimal, costs)):f}" if len(costs) == len(told) else None,
    )


def failure_of(records: Sequence[TaskRecord]) -> GouacheError | None:
    """Return the error of the first task that failed; None where all succeeded."""
    failed = [record for record in records if record.error is not None]
    if not failed or failed[0].error is None:
        return None
    error = failed[0].error
    kind = classes_by_code().get(error.code, GouacheError)
    message = error.message
    if len(records) > 1:
        drawn = [record.taskuuid for record in records if record.error is None]
        kept = f"; drawn and kept: the tasks {', '.join(drawn)}" if drawn else ""
        message += f" ({len(failed)} of {len(records)} pictures failed{kept})"
    return kind(message, param=(error.param or "").removeprefix("params.") or None)


async def _file(service: Service, shelf: Shelf, fileuuid: str, variant: Variant | None) -> bytes:
    """Return a file or a variant of it, when it is its turn to be made."""
    for _ in range(MAX_TURNS):
        try:
            return await asyncio.to_thread(_made_now, service, shelf, fileuuid, variant)
        except EngineRateLimited as error:
            await asyncio.sleep(error.retry_after_seconds or 1)
    return await asyncio.to_thread(_made_now, service, shelf, fileuuid, variant)


def _made_now(service: Service, shelf: Shelf, fileuuid: str, variant: Variant | None) -> bytes:
    path = service.file_path(fileuuid)
    try:
        if variant is None:
            return path.read_bytes()
        tag = tag_of(tag_of_file(path), variant)
        return shelf.get(tag, lambda: render(path.read_bytes(), variant)).data
    except OSError as error:
        raise StorageError(f"the file {fileuuid} cannot be read: {error.strerror}") from error
