"""The routes that say what the server is: its health, its OpenAPI document, and a page of it."""

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict
from starlette.responses import HTMLResponse, JSONResponse, Response

from gouache import __version__
from gouache.web.answers import answer
from gouache.web.pages import page
from gouache.web.parameters import TheService
from gouache.web.refusals import PRIVATE, described

NOTHING_LOADED = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"

router = APIRouter(tags=["about"])


class Health(BaseModel):
    """That the server answers."""

    model_config = ConfigDict(frozen=True)

    ok: bool
    version: str


@router.get(
    "/health",
    operation_id="read_health",
    response_model=Health,
    response_description="It answers.",
    responses=described(),
)
async def read_health() -> Response:
    """Ask whether the server answers; needs no key."""
    return answer(Health(ok=True, version=__version__))


@router.get("/openapi.json", include_in_schema=False)
async def read_document(request: Request) -> Response:
    """Read the OpenAPI document."""
    return JSONResponse(request.app.openapi(), headers=PRIVATE)


@router.get("/docs", include_in_schema=False)
async def read_page(request: Request, service: TheService) -> Response:
    """Read the document as a page that loads nothing."""
    text = page(request.app.openapi(), service.settings.address)
    return HTMLResponse(text, headers={**PRIVATE, "Content-Security-Policy": NOTHING_LOADED})
