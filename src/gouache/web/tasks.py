"""The routes of tasks: submit, read, wait, cancel, and watch by server-sent events."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.sse import EventSourceResponse, ServerSentEvent
from starlette.responses import Response

from gouache.errors import (
    BodyTooLarge,
    BudgetExceeded,
    EngineError,
    GatewayNotFound,
    GouacheError,
    IdempotencyKeyReused,
    RequestError,
    StubNotFound,
    TaskNotCancellable,
    TaskNotFound,
    UnsupportedByEngine,
    WebhookNotSendable,
    WebhookRefused,
    WrongContentType,
)
from gouache.records import ENDED, NewTask, Page, Progress, TaskRecord, result
from gouache.web.answers import answer, as_json, location, wait_for
from gouache.web.bodies import body_of
from gouache.web.parameters import Key, TasksPart, TaskUuid, TheService, Wait
from gouache.web.refusals import described, shown
from gouache.web.schema import APPLIED, EVENTS, LOCATION, TASK_EXAMPLE, Answers, takes, with_headers

ENDED_TASK: Answers = {200: {"model": TaskRecord, "description": "The task has ended."}}

router = APIRouter(tags=["tasks"])


@router.post(
    "/tasks",
    operation_id="submit_task",
    status_code=202,
    response_model=TaskRecord,
    response_description="The task is written down and will run.",
    responses=with_headers(
        ENDED_TASK
        | described(
            RequestError,
            BodyTooLarge,
            WrongContentType,
            GatewayNotFound,
            StubNotFound,
            UnsupportedByEngine,
            WebhookRefused,
            IdempotencyKeyReused,
            EngineError,
            BudgetExceeded,
        ),
        (200, 202),
        LOCATION | APPLIED,
    ),
    openapi_extra=takes(NewTask, documented=TASK_EXAMPLE),
)
async def submit_task(
    request: Request,
    service: TheService,
    new: Annotated[NewTask, Depends(body_of(NewTask))],
    wait: Wait,
    key: Key = None,
) -> Response:
    """Write down a task to be run, on a stub or on none."""
    task = await asyncio.to_thread(service.submit, new, key=key)
    applied = await wait_for(service, request, [task.taskuuid], wait)
    if applied:
        task = await asyncio.to_thread(service.task, task.taskuuid)
    there = location(service, "tasks", task.taskuuid)
    return answer(task, 200 if task.state in ENDED else 202, there | applied)


@router.get(
    "/tasks",
    operation_id="list_tasks",
    response_model=Page[TaskRecord],
    response_description="Part of the list.",
    responses=described(RequestError),
)
def list_tasks(service: TheService, part: Annotated[TasksPart, Query()]) -> Response:
    """List tasks, newest first."""
    return answer(service.tasks(**part.model_dump()))


@router.get(
    "/tasks/{taskuuid}",
    operation_id="read_task",
    response_model=TaskRecord,
    response_description="The task; once it has ended, also its result.",
    responses=with_headers(described(TaskNotFound), 200, APPLIED),
)
async def read_task(
    request: Request, service: TheService, taskuuid: TaskUuid, wait: Wait
) -> Response:
    """Read a task, or wait for its end."""
    task = await asyncio.to_thread(service.task, taskuuid)
    applied = await wait_for(service, request, [taskuuid], wait)
    if applied:
        task = await asyncio.to_thread(service.task, taskuuid)
    return answer(task, 200, applied)


@router.post(
    "/tasks/{taskuuid}/cancel",
    operation_id="cancel_task",
    response_model=TaskRecord,
    response_description="The task; one that runs stops within a second or so.",
    responses=described(TaskNotFound, TaskNotCancellable, BodyTooLarge, WrongContentType),
)
def cancel_task(service: TheService, taskuuid: TaskUuid) -> Response:
    """Cancel a task that has not ended."""
    return answer(service.cancel(taskuuid))


@router.post(
    "/tasks/{taskuuid}/webhook",
    operation_id="send_webhook",
    response_model=TaskRecord,
    response_description="The task; its message is queued.",
    responses=described(TaskNotFound, WebhookNotSendable, BodyTooLarge, WrongContentType),
)
def send_webhook(service: TheService, taskuuid: TaskUuid) -> Response:
    """Send the message about a task to its webhook again, or now."""
    return answer(service.send_webhook(taskuuid))


def _known_task(service: TheService, taskuuid: TaskUuid) -> str:
    """Return the UUID of a task there is; afterwards it is too late to answer with an error."""
    return service.task(taskuuid).taskuuid


@router.get(
    "/tasks/{taskuuid}/events",
    operation_id="watch_task",
    response_class=EventSourceResponse,
    response_description="Events until the task has ended.",
    responses=described(TaskNotFound),
    openapi_extra=EVENTS,
)
async def watch_task(
    service: TheService,
    taskuuid: Annotated[str, Depends(_known_task)],
) -> AsyncIterator[ServerSentEvent]:
    """Watch a task by server-sent events.

    `task` holds its record, at first and whenever its state changes; `progress` how far it is, at
    times with a small preview as a data: URL; `end` its result, and is the last; close the connection then.
    """
    async with aclosing(service.events(taskuuid)) as happenings:
        try:
            async for happening in happenings:
                name = "progress" if isinstance(happening, Progress) else "task"
                yield ServerSentEvent(event=name, data=as_json(happening))
                if isinstance(happening, TaskRecord) and happening.state in ENDED:
                    yield ServerSentEvent(event="end", data=result(happening).as_json())
        except GouacheError as error:  # the answer has begun
            error = shown(error, f"GET /tasks/{taskuuid}/events")
            yield ServerSentEvent(event="error", data={"error": error.as_json()})
