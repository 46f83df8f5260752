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
                url=f"/files/{image.fileuuid}",
                image=image,
            )
        ],
    )
    request = resolved(read_request(used_params(row)))
    payload = Payload(request=request, response=response, image=image)
    return done(row, payload, started=started, warnings=drawing.warnings)


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


def failed(row: Row, error: GouacheError, *, started: int | None = None) -> Result:
    """Return the result of a task that failed; what was asked for stays in it."""
    moment = ledger.now()
    return Result(
        success=False,
        payload=Payload(request=_asked(row)),
        task_duration_ms=moment - (row.started or started or moment),
        error=TaskError.model_validate(error.as_json()),
        warnings=row.warnings,
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


def _asked(row: Row) -> dict[str, Any]:
    """Return the request as it was resolved, or as it was given where it never was."""
    given: dict[str, Any] = used_params(row)
    if row.tasktype != "generate_image":
        return given
    try:
        return resolved(read_request(given))
    except RequestError:
        return given | {"n": 1}
