"""The application: the routes of one service, behind the gate.

Whoever opens the service also starts and stops it; the application only uses it. Handlers that call
it are run in threads, and those that wait do it without one
(`test_no_handler_blocks_the_event_loop`).
"""

from functools import cache
from typing import Any

from fastapi import FastAPI
from starlette.routing import BaseRoute

from gouache import __version__
from gouache.callers import Callers
from gouache.service import Service
from gouache.web import about, files, mcp, openai_endpoint, page, stubs, tasks, usage
from gouache.web.access import Gate
from gouache.web.openai_repeats import Repeats
from gouache.web.refusals import handle_errors
from gouache.web.schema import document
from gouache.web.sessions import Sessions
from gouache.web.variants import Shelf

ROUTERS = (
    stubs.router,
    tasks.router,
    files.router,
    usage.router,
    about.router,
    openai_endpoint.router,
    mcp.router,
    *page.ROUTERS,
)


def create_app(service: Service) -> FastAPI:
    """Return the application that serves this service."""
    app = FastAPI(
        title="Gouache",
        version=__version__,
        openapi_url=None,  # ours is in `about`
        docs_url=None,  # FastAPI's page loads scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
        lifespan=mcp.mcp_served,
    )
    app.state.service = service
    app.state.shelf = Shelf()
    app.state.repeats = Repeats()
    for router in ROUTERS:
        app.include_router(router)
    handle_errors(app, routes())
    app.state.callers = callers = Callers(service.settings)
    app.state.sessions = sessions = Sessions(service, callers)
    app.add_middleware(Gate, settings=service.settings, callers=callers, sessions=sessions)
    app.add_middleware(page.InWords, settings=service.settings)
    app.add_middleware(page.Packed)
    secured = service.settings.has_keys
    app.openapi = lambda: openapi(secured=secured)  # type: ignore[method-assign]
    return app


def routes() -> list[BaseRoute]:
    """Return every route there is."""
    return [route for router in ROUTERS for route in router.routes]


@cache
def openapi(*, secured: bool = True) -> dict[str, Any]:
    """Return the OpenAPI document of the routes."""
    return document(routes(), secured=secured)
