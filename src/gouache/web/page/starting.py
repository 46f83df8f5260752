"""Starting a task by the form, on no stub, on a new one or on one there is."""

import asyncio
from dataclasses import replace
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from gouache.contract import read
from gouache.errors import DatabaseUnavailable, GouacheError
from gouache.records import NewStub, NewStubpost, NewTask, TaskRecord
from gouache.service import Service
from gouache.web.page.forms import NEW_STUB, Form, blamed, blank, given, task_of
from gouache.web.page.home import home
from gouache.web.page.rendering import is_partial, show
from gouache.web.page.sent import Sent, go_to, place_of
from gouache.web.page.stub import stub_page
from gouache.web.parameters import TheService

ACTION = "draw"
"""The action of the stubpost that brings a task of the form."""

router = APIRouter(include_in_schema=False)


@router.post("/ui/tasks")
async def start_task(request: Request, service: TheService, sent: Sent) -> Response:
    """Start the task that a form asks for; the form comes back where it cannot be."""
    return await asyncio.to_thread(_start, request, service, sent)


def _start(request: Request, service: Service, sent: dict[str, str]) -> Response:
    form = given(service, sent)
    task, wrong = task_of(service, form)
    if wrong:
        return _again(request, service, replace(form, errors=wrong), 400)
    try:
        started = _started(service, form, task)
    except DatabaseUnavailable:
        raise
    except GouacheError as error:
        return _again(request, service, replace(form, errors=blamed(error)), error.status)
    if form.fixed and is_partial(request):
        return show(request, "start.html", form=_emptied(service, form))
    return go_to(request, service, place_of(started, watch=not is_partial(request)))


def _started(service: Service, form: Form, task: dict[str, Any]) -> TaskRecord:
    """Return the task of a form, begun now or when the form came before."""
    stubref = form.stubref
    if not form.fixed and form.stub == NEW_STUB:
        stubref = service.create_stub(NewStub(), key=f"page-{form.key}-stub").stubref
    if stubref is None:
        return service.submit(read(NewTask, task), key=form.once)
    new = read(NewStubpost, {"action": ACTION, "tasks": {"generate_image": task}})
    post = service.add_stubpost(stubref, new, key=form.once)
    return post.tasks["generate_image"]


def _again(request: Request, service: Service, form: Form, status: int) -> Response:
    """Return the form as it was sent, with what is wrong."""
    if is_partial(request):
        return show(request, "start.html", status=status, form=form)
    if form.fixed:
        return stub_page(request, service, form.fixed, form=form, status=status)
    return home(request, service, form=form, status=status)


def _emptied(service: Service, form: Form) -> Form:
    """Return the form for the next picture: the choices stay, the words go."""
    kept = {name: form[name] for name in ("size", "quality", "model", "style")}
    empty = blank(service, fixed=form.fixed)
    return replace(empty, post=form.post, done="Started; it is above.", **kept)  # type: ignore[arg-type]
