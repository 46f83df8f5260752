"""The results of tasks: what is written down of how each ended."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from gouache import ledger
from gouache.contract import (
    FileObject,
    Image,
    ImageData,
    ImageResponse,
    Payload,
    Result,
    TaskError,
    read_request,
    resolved,
)
from gouache.engines import Drawing
from gouache.errors import GouacheError, RequestError
from gouache.ledger import Row
from gouache.preparing import used_params


def drawn(row: Row, drawing: Drawing, file: FileObject, *, alt_text: str, started: int) -> Result:
    """Return the result of a task that was drawn; its link is signed when it is shown."""
    image = Image(**file.model_dump(), revised_prompt=drawing.revised_prompt, alt_text=alt_text)
    response = ImageResponse(
        created=int(time.time()),
        model=drawing.model,
        seed=drawing.seed,
        usage=drawing.usage,
        unresolved=list(drawing.unresolved),
        data=[
            ImageData(
                revised_prompt=drawing.revised_prompt,
                url=_address(file),
                image=image,
            )
        ],
    )
    request = resolved(read_request(used_params(row)))
    payload = Payload(request=request, response=response, image=image)
    return done(row, payload, started=started, warnings=drawing.warnings)


def drawn_before(row: Row, before: Row, file: FileObject, *, started: int) -> Result:
    """Return the result of a task that gets the picture of another, whose row `before` is.

    What was said about the drawing is said again; what was said about the other request is not.
    """
    first = Result.model_validate(before.result)
    assert isinstance(first.payload, Payload)
    assert first.payload.response is not None  # it succeeded
    assert first.payload.image is not None
    image = first.payload.image.model_copy(update=file.model_dump())
    (data,) = first.payload.response.data
    response = first.payload.response.model_copy(
        update={
            "created": int(time.time()),
            "usage": None,
            "cached_from": first.payload.response.cached_from or before.taskuuid,
            "data": [data.model_copy(update={"url": _address(file), "image": image})],
        }
    )
    request = resolved(read_request(used_params(row)))
    payload = Payload(request=request, response=response, image=image)
    return done(row, payload, started=started, warnings=first.warnings[len(before.warnings) :])


def done(
    row: Row,
    payload: Payload | Mapping[str, Any],
    *,
    started: int,
    warnings: Sequence[str] = (),
) -> Result:
    """Return the result of a task that succeeded."""
    return Result(
        success=True,
        payload=payload if isinstance(payload, Payload) else dict(payload),
        task_duration_ms=ledger.now() - (row.started or started),
        warnings=[*row.warnings, *warnings],
    )


def failed(
    row: Row, error: GouacheError, *, started: int | None = None, warnings: Sequence[str] = ()
) -> Result:
    """Return the result of a task that failed; what was asked for stays in it."""
    moment = ledger.now()
    return Result(
        success=False,
        payload=Payload(request=_asked(row)),
        task_duration_ms=moment - (row.started or started or moment),
        error=TaskError.model_validate(error.as_json()),
        warnings=[*row.warnings, *warnings],
    )


def skipped(row: Row, condition: str) -> Result:
    """Return the result of a task that was not run, because a condition of it does not hold."""
    return Result(
        success=False,
        payload=Payload(request=_asked(row)),
        task_duration_ms=0,
        skipped=condition,
        warnings=row.warnings,
    )


def _address(file: FileObject) -> str:
    """Return where a file is; the link is signed when it is shown."""
    return f"/files/{file.fileuuid}"


def _asked(row: Row) -> dict[str, Any]:
    """Return the request as it was resolved, or as it was given where it never was."""
    given: dict[str, Any] = used_params(row)
    if row.tasktype != "generate_image":
        return given
    try:
        return resolved(read_request(given))
    except RequestError:
        return given | {"n": 1}
