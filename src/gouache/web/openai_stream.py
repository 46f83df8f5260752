"""Pictures of a call as server-sent events, in the two kinds that OpenAI's clients know.

`image_generation.partial_image` shows how far a picture is, `image_generation.completed` the picture.
The pictures of a call come one after the other, each with its own events; a task that failed is told of
when all have ended. Whoever leaves stops nothing.
"""

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing

from gouache.errors import GouacheError
from gouache.records import ENDED, Progress, TaskRecord
from gouache.service import Service
from gouache.variants import Variant, open_picture, render
from gouache.web.openai_errors import envelope
from gouache.web.openai_images import failure_of, make, shown_quality, usage_of
from gouache.web.openai_requests import ImagesRequest, Order
from gouache.web.refusals import shown
from gouache.web.variants import Shelf

KEEP_ALIVE_SECONDS = 15
KEEP_ALIVE = b": waiting\n\n"


class PictureStream:
    """The events of one call."""

    def __init__(self, service: Service, shelf: Shelf, asked: ImagesRequest, order: Order) -> None:
        """Take what the events are made of."""
        self._service = service
        self._shelf = shelf
        self._asked = asked
        self._order = order

    async def events(self, taskuuids: Sequence[str]) -> AsyncIterator[bytes]:
        """Yield the events of the tasks to their ends, as they are sent."""
        ended: list[TaskRecord] = []
        try:
            for taskuuid in taskuuids:
                async for event in self._events_of(taskuuid, ended):
                    yield event
            failure = failure_of(ended)
        except GouacheError as error:  # the answer has begun
            failure = shown(error, "POST /v1/images/generations")
        if failure is not None:
            body, _, _ = envelope(failure, is_final=True)
            yield _event("error", body)

    async def _events_of(self, taskuuid: str, ended: list[TaskRecord]) -> AsyncIterator[bytes]:
        """Yield the events of one task, and put its record to those that have ended."""
        previews = _Previews(self._asked.partial_images)
        async with aclosing(self._service.events(taskuuid)) as happenings:
            async for happening in happenings:
                if isinstance(happening, Progress):
                    if happening.preview and previews.is_next(happening):
                        yield await self._partial(taskuuid, happening.preview, previews.sent - 1)
                elif happening.state in ENDED:
                    ended.append(happening)
                    if happening.error is None:
                        yield await self._completed(happening)

    async def _partial(self, taskuuid: str, preview: str, index: int) -> bytes:
        data = await asyncio.to_thread(_as_asked, preview, self._asked)
        event = self._common("partial_image", data, self._asked.background)
        more = {"partial_image_index": index, "taskuuid": taskuuid}
        return _event("image_generation.partial_image", event | more)

    async def _completed(self, record: TaskRecord) -> bytes:
        made = await make(self._service, self._shelf, record, self._asked)
        event = self._common("completed", made.data or b"", made.background)
        event["usage"] = usage_of(self._asked, [made]).model_dump(exclude_none=True)
        if identifier := self._asked.safety_identifier or self._asked.user:
            event["safety_identifier"] = identifier
        known = made.as_data(in_base64=False).model_dump(
            mode="json", exclude_none=True, exclude={"b64_json"}
        )
        said = list(dict.fromkeys((*self._order.warnings, *made.warnings)))
        more = {"model": made.response.model, "warnings": said}
        return _event("image_generation.completed", event | known | more)

    def _common(self, kind: str, data: bytes, background: str) -> dict[str, object]:
        return {
            "type": f"image_generation.{kind}",
            "b64_json": base64.b64encode(data).decode(),
            "background": background,
            "created_at": int(time.time()),
            "output_format": self._asked.output_format,
            "quality": shown_quality(self._asked),
            "size": self._asked.shown_size,
        }


class _Previews:
    """Chooses from the steps of a task those to show, far from each other."""

    def __init__(self, wanted: int) -> None:
        self._wanted = wanted
        self.sent = 0

    def is_next(self, progress: Progress) -> bool:
        """Whether this step is shown."""
        part = (self.sent + 1) / (self._wanted + 1)
        if self.sent == self._wanted or progress.step < progress.steps * part:
            return False
        self.sent += 1
        return True


async def kept_alive(events: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield the events, with comments in between where nothing happens for long."""
    upcoming = asyncio.ensure_future(anext(events))
    try:
        while True:
            done, _ = await asyncio.wait([upcoming], timeout=KEEP_ALIVE_SECONDS)
            if not done:
                yield KEEP_ALIVE
                continue
            try:
                yield upcoming.result()
            except StopAsyncIteration:
                return
            upcoming = asyncio.ensure_future(anext(events))
    finally:
        upcoming.cancel()
        await asyncio.gather(upcoming, return_exceptions=True)


def _event(name: str, content: object) -> bytes:
    return f"event: {name}\ndata: {json.dumps(content)}\n\n".encode()


def _as_asked(preview: str, asked: ImagesRequest) -> bytes:
    """Return a preview, a data: URL, in the format and the proportions of the picture to come."""
    data = base64.b64decode(preview.partition(",")[2])
    width, height = open_picture(data).image.size
    across, down = (int(side) for side in asked.shown_size.split("x"))
    scale = min(width / across, height / down)
    size = {"w": max(1, round(across * scale)), "h": max(1, round(down * scale))}
    return render(data, Variant(**size, format=asked.output_format)).data
