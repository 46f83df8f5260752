"""The routes of OpenAI's API: pictures by `/v1/images/generations`, and the models that draw them.

A call is n tasks like any others: written down together, drawn even where the caller leaves, listed
with all the rest. Software for Azure finds the same below `/openai`.
"""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from gouache.errors import (
    BodyTooLarge,
    BudgetExceeded,
    EngineError,
    EngineRateLimited,
    EngineTimedOut,
    FileNotFound,
    GatewayNotFound,
    GouacheError,
    IdempotencyKeyReused,
    ModelNotFound,
    RequestError,
    StorageError,
    StubNotFound,
    WrongContentType,
)
from gouache.records import TaskRecord
from gouache.service import Service
from gouache.web.answers import answer, wait_or_leave
from gouache.web.bodies import body_of
from gouache.web.openai_errors import envelope, request_id
from gouache.web.openai_images import ImagesAnswer, answer_of, failure_of, make
from gouache.web.openai_models import ModelEntry, ModelList, entries, entry
from gouache.web.openai_repeats import Repeats, fingerprint_of, repeat_count
from gouache.web.openai_requests import ImagesRequest, order_of, submit
from gouache.web.openai_stream import PictureStream, kept_alive
from gouache.web.parameters import Key, TheService
from gouache.web.refusals import PRIVATE, described
from gouache.web.schema import PICTURE_EVENTS, takes
from gouache.web.variants import TheShelf

TheBody = Annotated[ImagesRequest, Depends(body_of(ImagesRequest))]

router = APIRouter(tags=["openai"])


@router.post(
    "/v1/images/generations",
    operation_id="generate_images",
    response_model=ImagesAnswer,
    response_description="The pictures, or their events where `stream` is true.",
    responses=described(
        RequestError,
        BodyTooLarge,
        WrongContentType,
        GatewayNotFound,
        ModelNotFound,
        StubNotFound,
        FileNotFound,
        IdempotencyKeyReused,
        EngineRateLimited,
        EngineTimedOut,
        EngineError,
        BudgetExceeded,
        StorageError,
    ),
    openapi_extra=takes(
        ImagesRequest,
        picture={"prompt": "A white cat sitting on a red sports car."},
        two_avatars={"prompt": "An owl", "n": 2, "size": "256x256", "response_format": "b64_json"},
    )
    | PICTURE_EVENTS,
)
@router.post("/openai/v1/images/generations", include_in_schema=False)
async def generate_images(
    request: Request, service: TheService, shelf: TheShelf, asked: TheBody, key: Key = None
) -> Response:
    """Draw pictures and wait for them, as OpenAI's API has it."""
    order = await asyncio.to_thread(order_of, service, asked)
    repeats: Repeats = request.app.state.repeats
    if key is None:
        fingerprint, count = fingerprint_of(request, asked), repeat_count(request)
        key = await asyncio.to_thread(repeats.key_of, service, fingerprint, count)
    taskuuids = await asyncio.to_thread(submit, service, order, key)
    headers = PRIVATE | request_id(taskuuids[0])
    if asked.stream:
        events = PictureStream(service, shelf, asked, order).events(taskuuids)
        headers |= {"X-Accel-Buffering": "no"}  # a proxy would keep the previews until the end
        kind = "text/event-stream"
        return StreamingResponse(kept_alive(events), media_type=kind, headers=headers)
    if not await wait_or_leave(service, request, taskuuids, None):
        repeats.leave(key)
        return Response(status_code=499)  # nobody reads it
    records = await asyncio.to_thread(_tasks, service, taskuuids)
    failure = failure_of(records)
    if failure is not None:
        return _failed(failure, taskuuids)
    made = [await make(service, shelf, record, asked) for record in records]
    shown = await asyncio.to_thread(answer_of, made, asked, order)
    return await asyncio.to_thread(answer, shown, headers=headers)


@router.post("/openai/deployments/{model:path}/images/generations", include_in_schema=False)
async def generate_images_of_deployment(
    request: Request,
    service: TheService,
    shelf: TheShelf,
    model: str,
    asked: TheBody,
    key: Key = None,
) -> Response:
    """Draw pictures as Azure's API has it: the model is part of the address."""
    asked = asked.model_copy(update={"model": model})
    return await generate_images(request, service, shelf, asked, key)


@router.get(
    "/v1/models",
    operation_id="list_models",
    response_model=ModelList,
    response_description="All models.",
    responses=described(),
)
@router.get("/openai/models", include_in_schema=False)
@router.get("/openai/v1/models", include_in_schema=False)
def list_models(service: TheService) -> Response:
    """List the models that can be asked for."""
    return answer(ModelList(data=list(entries(service))), headers=request_id())


@router.get(
    "/v1/models/{model:path}",
    operation_id="read_model",
    response_model=ModelEntry,
    response_description="The model.",
    responses=described(ModelNotFound, EngineError),
)
@router.get("/openai/v1/models/{model:path}", include_in_schema=False)
def read_model(service: TheService, model: str) -> Response:
    """Ask for one model; OpenAI's own names lead to the one that stands for it."""
    return answer(entry(service, model), headers=request_id())


def _tasks(service: Service, taskuuids: list[str]) -> list[TaskRecord]:
    return [service.task(taskuuid) for taskuuid in taskuuids]


def _failed(failure: GouacheError, taskuuids: list[str]) -> Response:
    """Return the answer for a call of which a task failed for good; it names all tasks."""
    body, status, headers = envelope(failure, is_final=True)
    body["error"]["tasks"] = taskuuids
    return JSONResponse(body, status, PRIVATE | headers | request_id(taskuuids[0]))
