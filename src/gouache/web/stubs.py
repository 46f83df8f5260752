"""The routes of stubs and stubposts."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from gouache.errors import (
    BodyTooLarge,
    BudgetExceeded,
    EngineError,
    FileNotFound,
    GatewayNotFound,
    IdempotencyKeyReused,
    RequestError,
    StubExists,
    StubNotFound,
    StubpostNotFound,
    UnsupportedByEngine,
    WebhookRefused,
    WrongContentType,
)
from gouache.records import NewStub, NewStubpost, Page, Stub, Stubpost
from gouache.web.answers import answer, location, wait_for
from gouache.web.bodies import body_of
from gouache.web.parameters import Key, Part, StubpostUuid, StubRef, StubsPart, TheService, Wait
from gouache.web.refusals import described
from gouache.web.schema import APPLIED, LOCATION, takes, with_headers

BAD_BODY = (RequestError, BodyTooLarge, WrongContentType)

router = APIRouter(tags=["stubs"])


@router.post(
    "/stubs",
    operation_id="create_stub",
    status_code=201,
    response_model=Stub,
    response_description="The new stub.",
    responses=with_headers(
        described(*BAD_BODY, FileNotFound, StubExists, IdempotencyKeyReused), 201, LOCATION
    ),
    openapi_extra=takes(
        NewStub,
        empty={},
        welcome={"state": "welcome", "data": {"user": {"name": "Ada"}}},
    ),
)
def create_stub(
    service: TheService, new: Annotated[NewStub, Depends(body_of(NewStub))], key: Key = None
) -> Response:
    """Begin the record of a process."""
    stub = service.create_stub(new, key=key)
    return answer(stub, 201, location(service, "stubs", stub.stubref))


@router.get(
    "/stubs",
    operation_id="list_stubs",
    response_model=Page[Stub],
    response_description="Part of the list; stubs are without their stubposts here.",
    responses=described(RequestError),
)
def list_stubs(service: TheService, part: Annotated[StubsPart, Query()]) -> Response:
    """List stubs, newest first."""
    return answer(service.stubs(**part.model_dump()))


@router.get(
    "/stubs/{stubref}",
    operation_id="read_stub",
    response_model=Stub,
    response_description="The stub with all its stubposts.",
    responses=described(StubNotFound),
)
def read_stub(service: TheService, stubref: StubRef) -> Response:
    """Read a stub, its stubposts and the results of their tasks."""
    return answer(service.stub(stubref))


@router.post(
    "/stubs/{stubref}/stubposts",
    operation_id="add_stubpost",
    status_code=201,
    response_model=Stubpost,
    response_description="The new stubpost; its tasks have ended where they were waited for.",
    responses=with_headers(
        described(
            *BAD_BODY,
            StubNotFound,
            GatewayNotFound,
            FileNotFound,
            UnsupportedByEngine,
            WebhookRefused,
            IdempotencyKeyReused,
            EngineError,
            BudgetExceeded,
        ),
        201,
        LOCATION | APPLIED,
    ),
    openapi_extra=takes(
        NewStubpost,
        message={"action": "note", "message": "The customer wants a red car."},
        picture={
            "action": "welcome",
            "tasks": {
                "generate_image": {
                    "tasktype": "generate_image",
                    "params": {"prompt": "A white cat sitting on a red sports car."},
                }
            },
        },
    ),
)
async def add_stubpost(
    request: Request,
    service: TheService,
    stubref: StubRef,
    new: Annotated[NewStubpost, Depends(body_of(NewStubpost))],
    wait: Wait,
    key: Key = None,
) -> Response:
    """Add a stubpost; its tasks run one after the other, in their order.

    `tasks` is an object with a task under each name, or a list of tasks each with a name of its own.
    """
    post = await asyncio.to_thread(service.add_stubpost, stubref, new, key=key)
    taskuuids = [task.taskuuid for task in post.tasks.values()]
    applied = await wait_for(service, request, taskuuids, wait)
    if applied:
        post = await asyncio.to_thread(service.stubpost, stubref, post.stubpostuuid)
    there = location(service, "stubs", stubref, "stubposts", post.stubpostuuid)
    return answer(post, 201, there | applied)


@router.get(
    "/stubs/{stubref}/stubposts",
    operation_id="list_stubposts",
    response_model=Page[Stubpost],
    response_description="Part of the list.",
    responses=described(RequestError, StubNotFound),
)
def list_stubposts(
    service: TheService, stubref: StubRef, part: Annotated[Part, Query()]
) -> Response:
    """List the stubposts of a stub, newest first."""
    return answer(service.stubposts(stubref, **part.model_dump()))


@router.get(
    "/stubs/{stubref}/stubposts/{stubpostuuid}",
    operation_id="read_stubpost",
    response_model=Stubpost,
    response_description="The stubpost.",
    responses=described(StubNotFound, StubpostNotFound),
)
def read_stubpost(service: TheService, stubref: StubRef, stubpostuuid: StubpostUuid) -> Response:
    """Read a stubpost and the results of its tasks."""
    return answer(service.stubpost(stubref, stubpostuuid))
