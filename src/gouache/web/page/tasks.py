"""The page of one task, and what can be done with a task."""

import asyncio

from fastapi import APIRouter, Request
from starlette.responses import Response

from gouache.errors import RequestError
from gouache.service import Service
from gouache.web.page.cards import as_curl, as_request, as_text, card_of
from gouache.web.page.forms import checked_key
from gouache.web.page.rendering import is_partial, show
from gouache.web.page.sent import Sent, go_to, place_of
from gouache.web.parameters import TaskUuid, TheService

router = APIRouter(include_in_schema=False)


@router.get("/ui/tasks/{taskuuid}")
def read_task(
    request: Request, service: TheService, taskuuid: TaskUuid, watch: str = ""
) -> Response:
    """Show a task by itself."""
    task = service.task(taskuuid)
    return show(
        request,
        "task.html",
        card=card_of(task),
        request_text=as_text(as_request(task)),
        curl=as_curl(task, service.settings),
        watched=watch == "1",
    )


@router.get("/ui/tasks/{taskuuid}/payload")
def read_payload(request: Request, service: TheService, taskuuid: TaskUuid) -> Response:
    """Show the payload of a task that has ended."""
    return show(request, "payload.html", card=card_of(service.task(taskuuid)))


@router.get("/ui/tasks/{taskuuid}/copy")
def read_copies(request: Request, service: TheService, taskuuid: TaskUuid) -> Response:
    """Show how a program asks for the same task."""
    task = service.task(taskuuid)
    request_text, curl = as_text(as_request(task)), as_curl(task, service.settings)
    return show(request, "copies.html", task=task, request_text=request_text, curl=curl)


@router.post("/ui/tasks/{taskuuid}/cancel")
def cancel_task(request: Request, service: TheService, taskuuid: TaskUuid, sent: Sent) -> Response:
    """Cancel a task."""
    task = service.cancel(taskuuid)
    if is_partial(request):
        is_alone = sent.get("alone") == "yes"
        return show(request, "card.html", card=card_of(task), is_alone=is_alone)
    return go_to(request, service, place_of(task))


@router.post("/ui/tasks/{taskuuid}/repeat")
async def repeat_task(
    request: Request, service: TheService, taskuuid: TaskUuid, sent: Sent
) -> Response:
    """Start a task once more, with its seed or with another."""
    return await asyncio.to_thread(_repeat, request, service, taskuuid, sent)


def _repeat(request: Request, service: Service, taskuuid: str, sent: dict[str, str]) -> Response:
    key, seed = checked_key(sent.get("key", "")), sent.get("seed")
    if seed not in ("same", "new"):
        raise RequestError("seed must be same or new", param="seed")
    task = service.repeat(taskuuid, new_seed=seed == "new", key=f"page-{key}-{seed}")
    if is_partial(request) and task.stubref is not None and sent.get("alone") != "yes":
        first = service.task(taskuuid)
        about = card_of(first).prompt[:60] or first.name
        return show(request, "repeat.html", task=first, seed=seed, about=about)
    return go_to(request, service, place_of(task, watch=not is_partial(request)))
