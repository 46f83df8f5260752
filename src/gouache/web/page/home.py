"""The first page: a form that starts a task, the stubs, and the tasks without one."""

import hashlib
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from gouache.service import Service
from gouache.web.page.cards import card_of
from gouache.web.page.forms import Form, blank
from gouache.web.page.rendering import is_partial, show
from gouache.web.parameters import TheService

STUBS = 12
TASKS = 8

router = APIRouter(include_in_schema=False)


@router.get("/ui")
def read_home(
    request: Request, service: TheService, after: str | None = None, seen: str = ""
) -> Response:
    """Show what there is; the script that asks again gets nothing where nothing is new."""
    return home(request, service, after=after, seen=seen)


def home(
    request: Request,
    service: Service,
    *,
    form: Form | None = None,
    status: int = 200,
    after: str | None = None,
    seen: str = "",
) -> Response:
    """Return the first page, with a form as it was sent."""
    page = service.stubs(limit=STUBS, after=after)
    tasks = service.tasks(single=True, limit=TASKS).items
    glances = service.glances.of([stub.stubref for stub in page.items])
    shown: dict[str, Any] = {
        "stubs": [(stub, glances.get(stub.stubref)) for stub in page.items],
        "following": page.next,
        "after": after,
        "cards": [card_of(task) for task in tasks] if after is None else [],
    }
    text = repr(
        [(stub.stubref, stub.updated) for stub in page.items]
        + [(task.taskuuid, task.state) for task in tasks]
    )
    state = hashlib.sha256(text.encode()).hexdigest()[:16]
    if is_partial(request) and seen:
        if seen == state:
            return Response(status_code=204)
        return show(request, "lists.html", state=state, **shown)
    if form is None:
        form = blank(service, [stub.stubref for stub in page.items])
    return show(request, "home.html", status=status, form=form, state=state, **shown)
