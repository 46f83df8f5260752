"""The address of MCP, `/mcp`: the same tool as on standard input and output, for callers elsewhere.

No request needs another one to have reached this process before: several may answer at one address. A
client of a version with sessions is given the name of one, by which it can cancel what it began; we
keep nothing of it. Each key has an MCP server of its own, so nobody cancels what another began.
"""

import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from fastapi import APIRouter, FastAPI
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from starlette.datastructures import Headers, MutableHeaders
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from gouache.mcp_server import SESSION, create_server
from gouache.web.access import CALLER
from gouache.web.refusals import PRIVATE, shown

VERSION = "mcp-protocol-version"


@asynccontextmanager
async def mcp_served(app: FastAPI) -> AsyncIterator[None]:
    """Answer calls of the service of an application; what still runs at the end is left."""
    service = app.state.service
    app.state.mcp = {
        caller: StreamableHTTPSessionManager(
            create_server(service.seen_by(caller), shown=shown),
            stateless=True,
            max_request_body_size=service.settings.max_body_bytes,
        )
        for caller in (None, *service.settings.keys)
    }
    async with AsyncExitStack() as running:
        for manager in app.state.mcp.values():
            await running.enter_async_context(manager.run())
        yield


class Door:
    """Leads a request to the MCP server of its caller."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request; the gate has let it in."""
        headers = Headers(scope=scope)
        is_first = SESSION not in headers and VERSION not in headers

        async def send_named(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer = MutableHeaders(scope=message)
                answer.update(PRIVATE)
                if is_first:
                    answer[SESSION] = uuid.uuid4().hex
            await send(message)

        manager = scope["app"].state.mcp[scope[CALLER]]
        await manager.handle_request(scope, receive, send_named)


router = APIRouter()
router.routes.append(Route("/mcp", Door(), methods=["POST"], include_in_schema=False))
