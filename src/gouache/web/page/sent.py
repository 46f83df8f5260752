"""What a form sends, and where the browser goes afterwards."""

from typing import Annotated
from urllib.parse import parse_qsl

from fastapi import Depends, Request
from starlette.responses import Response

from gouache.errors import RequestError
from gouache.records import TaskRecord
from gouache.service import Service
from gouache.web.page.rendering import HEADERS, is_partial, prefix_of

MAX_FIELDS = 50


async def _sent(request: Request) -> dict[str, str]:
    """Return the fields of a form, their line ends as everywhere else.

    Raises:
        RequestError: there are too many.
    """
    body = (await request.body()).decode("latin-1")  # the text is in its percent signs
    try:
        pairs = parse_qsl(body, keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError as error:
        raise RequestError(f"a form has at most {MAX_FIELDS} fields") from error
    return {name: value.replace("\r\n", "\n") for name, value in pairs}


Sent = Annotated[dict[str, str], Depends(_sent)]


def go_to(request: Request, service: Service, path: str) -> Response:
    """Return the answer that leads to a path of ours, with script or without."""
    there = prefix_of(service.settings) + path
    if is_partial(request):
        return Response(headers={**HEADERS, "HX-Redirect": there})
    return Response(status_code=303, headers={**HEADERS, "Location": there})


def place_of(task: TaskRecord, *, watch: bool = False) -> str:
    """Return the path at which a task is seen; with `watch`, without script it is followed there."""
    query = "?watch=1" if watch else ""
    if task.stubref is not None:
        return f"/ui/stubs/{task.stubref}{query}#task-{task.taskuuid}"
    return f"/ui/tasks/{task.taskuuid}{query}"
