"""The first page."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from gouache.web.page.rendering import show

router = APIRouter(include_in_schema=False)


@router.get("/ui")
def read_home(request: Request) -> Response:
    """Show what there is."""
    return show(request, "home.html")
