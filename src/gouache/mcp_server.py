"""The MCP server: one tool, `generate_image`, the same over standard input and output and over HTTP.

A call is a task like any other: stored before it is drawn, and drawn whatever becomes of the caller.
Its progress is told to those who ask for it. A cancelled call cancels its task: by
`notifications/cancelled`, and since 2026-07-28 over HTTP by hanging up, for that protocol says so and
bids clients to call again. Everywhere else a caller that is gone has cancelled nothing.

Source: https://modelcontextprotocol.io/specification/2026-07-28 (tools, progress, cancellation).
"""

import asyncio
import base64
import logging
import os
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path
from typing import Any, cast

import anyio
import mcp_types as types
from mcp.server import Server
from mcp.server.context import ServerRequestContext
from mcp.server.stdio import stdio_server
from mcp.shared.exceptions import MCPError
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import ConfigDict, Field, create_model
from starlette.requests import Request

from gouache import __version__
from gouache.contract import BUILT_IN_GATEWAY, GenerateImage, Payload, Result, TaskError
from gouache.errors import GouacheError, RequestError, TaskNotCancellable
from gouache.given import read, resembling, shortened
from gouache.images import write_atomically
from gouache.records import NewTask, Progress, TaskRecord, result
from gouache.service import Service
from gouache.variants import Rendered, Variant, render

TOOL = "generate_image"
TITLE = "Generate an image"
SESSION = "mcp-session-id"
"""The header that tells the calls of one client from those of others."""

SMALL = Variant(w=1024, h=1024, fit="inside", format="jpeg", max_bytes=150_000)
"""The picture that the calling model sees; the stored one has several times the bytes."""

MAX_SESSION_CHARACTERS = 64
REMEMBERED_CALLS = 1000
OF_THE_TASK = ("stubref", "taskapigatewayuuid")
"""The arguments that belong to the task; all others are the request."""

INSTRUCTIONS = (
    "generate_image draws a picture from words and stores it. Show the user the picture or its link. "
    "Every call draws another picture: call again only for another one."
)
DESCRIPTION = (
    "Draw one picture from words and store it as a PNG file. Say what is in the picture, in which "
    "colours, and what kind of picture it is: logo, icon, banner, photo, painting. Words in quotation "
    "marks are written into it. The answer has a smaller copy of the picture to look at, a link to the "
    "full one, its seed, and the prompt as it was really drawn. The same seed with the same words draws "
    "the same picture again."
)

Shown = Callable[[GouacheError, str], GouacheError]
"""Returns an error as the callers of a transport may see it; the text says what was asked for."""

Context = ServerRequestContext[Any, Any]

_log = logging.getLogger(__name__)


class _Request(GenerateImage):
    model_config = ConfigDict(extra="forbid")


Arguments = create_model(
    "Arguments",
    __base__=_Request,
    **{
        name: (NewTask.model_fields[name].annotation, NewTask.model_fields[name])
        for name in OF_THE_TASK
    },  # type: ignore[call-overload]
)
"""What the tool takes: the contract's request, and where the task goes."""


class TaskResult(Result):
    """The result of a task, and which task it was."""

    taskuuid: str = Field(description="The task's UUID.")


@dataclass(slots=True)
class _Call:
    """A call, from its arrival until a thousand others have followed."""

    taskuuid: str | None = None
    is_cancelled: bool = False


def create_server(
    service: Service, *, shown: Shown, is_local: bool = False, folder: Path | None = None
) -> Server[Any]:
    """Return the server of a service.

    Where it `is_local`, links lead to files of this machine: to copies in `folder`, if there is one.
    """
    calls = _Calls(service, shown=shown, is_local=is_local, folder=folder)
    server = Server[Any](
        "gouache",
        version=__version__,
        title="Gouache",
        instructions=INSTRUCTIONS,
        on_list_tools=calls.tools,
        on_call_tool=calls.call,
    )
    server.add_notification_handler(
        "notifications/cancelled", types.CancelledNotificationParams, calls.cancel
    )
    return server


async def serve_stdio(service: Service, folder: Path | None) -> None:
    """Serve one client on standard input and output until the input ends or nobody reads."""
    server = create_server(service, shown=lambda error, _: error, is_local=True, folder=folder)
    lines = cast(anyio.AsyncFile[str], _Lines())
    try:
        async with stdio_server(stdin=lines) as (incoming, outgoing):
            await server.run(incoming, outgoing, server.create_initialization_options())
    except* BrokenPipeError:
        _log.info("the client is gone")


def tool(styles: Sequence[str]) -> types.Tool:
    """Return the description of the tool: the fields of the contract, and the styles there are."""
    schema = Arguments.model_json_schema()
    if styles:
        schema["properties"]["style"]["description"] += f" Without a gateway: {', '.join(styles)}."
    return types.Tool(
        name=TOOL,
        title=TITLE,
        description=DESCRIPTION,
        input_schema=schema,
        output_schema=TaskResult.model_json_schema(),
        annotations=types.ToolAnnotations(
            title=TITLE,
            read_only_hint=False,
            destructive_hint=False,
            idempotent_hint=False,
            open_world_hint=False,
        ),
    )


class _Calls:
    """Turns calls into tasks, and tasks into answers."""

    def __init__(
        self, service: Service, *, shown: Shown, is_local: bool, folder: Path | None
    ) -> None:
        self._service = service
        self._shown = shown
        self._is_local = is_local
        self._folder = folder
        self._calls: dict[tuple[str | None, str], _Call] = {}

    async def tools(
        self, context: Context, params: types.PaginatedRequestParams | None
    ) -> types.ListToolsResult:
        """Answer with the one tool."""
        return types.ListToolsResult(tools=[tool(await asyncio.to_thread(self._styles))])

    async def call(
        self, context: Context, params: types.CallToolRequestParams
    ) -> types.CallToolResult:
        """Answer a call; whatever goes wrong with it is an answer too, without a traceback."""
        if params.name != TOOL:
            sentence = f"there is no tool {shortened(params.name)!r}; use {TOOL}"
            raise MCPError(code=types.INVALID_PARAMS, message=sentence)
        call = self._remembered(context)
        try:
            record = await self._drawn(context, call, params.arguments or {})
            return await asyncio.to_thread(self._answer, record)
        except asyncio.CancelledError:
            if await _hung_up(context):
                await self._cancel(call)
            raise
        except GouacheError as error:
            return _failure(self._shown(error, TOOL))
        except Exception:
            _log.exception("a call of %s", TOOL)
            return _failure(GouacheError("something failed inside the server; its log says what"))

    async def cancel(self, context: Context, params: types.CancelledNotificationParams) -> None:
        """Cancel the task of a call of the same client."""
        call = self._calls.get((_session(context), str(params.request_id)))
        if call is not None:
            await self._cancel(call)

    async def _drawn(
        self, context: Context, call: _Call, arguments: Mapping[str, Any]
    ) -> TaskRecord:
        """Submit the task of a call; return it when it has ended."""
        new = await asyncio.to_thread(_task, arguments)
        with anyio.CancelScope(shield=True):  # else a task could be left that no call knows of
            taskuuid = (await asyncio.to_thread(self._service.submit, new)).taskuuid
            call.taskuuid = taskuuid
        if call.is_cancelled:
            await self._cancel(call)
        reporting = asyncio.create_task(self._report(context, taskuuid))
        try:
            await self._service.wait([taskuuid])
        finally:
            reporting.cancel()
            await asyncio.gather(reporting, return_exceptions=True)
        return await asyncio.to_thread(self._service.task, taskuuid)

    async def _report(self, context: Context, taskuuid: str) -> None:
        """Tell the progress of a task to the caller, if it asked for that; the figures only rise."""
        if not context.meta or "progress_token" not in context.meta:
            return
        await context.session.report_progress(0, message=f"accepted as task {taskuuid}")
        reached = 0
        async with aclosing(self._service.events(taskuuid)) as events:
            async for event in events:
                if not isinstance(event, Progress):
                    continue
                total = event.attempt * event.steps
                done = total - event.steps + event.step
                if done > reached:
                    reached = done
                    step = f"step {event.step} of {event.steps}"
                    again = f", try {event.attempt}" if event.attempt > 1 else ""
                    await context.session.report_progress(done, total, step + again)

    async def _cancel(self, call: _Call) -> None:
        """Cancel the task of a call, or have it cancelled as soon as it is stored."""
        call.is_cancelled = True
        if call.taskuuid is not None:
            with anyio.CancelScope(shield=True), suppress(TaskNotCancellable):
                await asyncio.to_thread(self._service.cancel, call.taskuuid)

    def _styles(self) -> Sequence[str]:
        """Return the styles of the gateway that draws where none is named; none if it is away."""
        try:
            gateways = self._service.gateways
            return gateways.capabilities(gateways.find(BUILT_IN_GATEWAY)).styles
        except GouacheError as error:
            _log.warning("the styles are not known: %s", error)
            return ()

    def _remembered(self, context: Context) -> _Call:
        """Return a new call; it is kept for a cancellation, where that could say whose call it is."""
        call = _Call()
        session = _session(context)
        if session is not None:
            self._calls[session, str(context.request_id)] = call
            if len(self._calls) > REMEMBERED_CALLS:
                del self._calls[next(iter(self._calls))]
        return call

    def _answer(self, record: TaskRecord) -> types.CallToolResult:
        """Return the answer for a task that has ended."""
        ended = result(record)
        content = ended.as_json() | {"taskuuid": record.taskuuid}
        if ended.error is not None:
            return _failure(ended.error, content)
        assert isinstance(ended.payload, Payload), "the tool draws and does nothing else"
        assert ended.payload.response is not None, "it succeeded"
        (drawn,) = ended.payload.response.data
        stored = self._service.file_path(drawn.image.fileuuid)
        small = render(stored.read_bytes(), SMALL)
        link = types.ResourceLink(
            uri=self._copy(stored, drawn.image.filename) if self._is_local else drawn.url,
            name=drawn.image.filename,
            title=drawn.image.originalname,
            description=drawn.image.alt_text or None,
            mime_type=drawn.image.contentType,
            size=self._service.file(drawn.image.fileuuid).size,
        )
        content["payload"]["response"]["data"][0]["url"] = link.uri
        text = "\n".join(_sentences(record, ended.payload, small, link))
        picture = types.ImageContent(
            data=base64.b64encode(small.data).decode(), mime_type=small.content_type
        )
        return types.CallToolResult(
            content=[types.TextContent(text=text), picture, link], structured_content=content
        )

    def _copy(self, stored: Path, name: str) -> str:
        """Return the address of a stored file, or of its copy in the folder; none is overwritten."""
        if self._folder is None:
            return stored.as_uri()
        plain = Path(name)
        numbered = (f"{plain.stem} {number}{plain.suffix}" for number in count(2))
        free = next(n for n in chain([name], numbered) if not (self._folder / n).exists())
        write_atomically(self._folder / free, stored.read_bytes())
        return (self._folder / free).as_uri()


class _Lines:
    """The lines of standard input, read by a thread that nobody waits for at the end."""

    def __init__(self) -> None:
        self._lines: asyncio.Queue[str | None] = asyncio.Queue()
        arguments = (asyncio.get_running_loop(), os.dup(0))
        threading.Thread(target=self._read, args=arguments, name="stdin", daemon=True).start()

    async def __aiter__(self) -> AsyncIterator[str]:
        while (line := await self._lines.get()) is not None:
            yield line

    def _read(self, loop: asyncio.AbstractEventLoop, number: int) -> None:
        with suppress(RuntimeError), os.fdopen(number, encoding="utf-8", errors="replace") as file:
            for line in file:  # RuntimeError: the loop has ended, and nobody listens
                loop.call_soon_threadsafe(self._lines.put_nowait, line)
            loop.call_soon_threadsafe(self._lines.put_nowait, None)


def _task(arguments: Mapping[str, Any]) -> NewTask:
    """Return the task that the arguments describe.

    Raises:
        RequestError: an argument is unknown, missing or has a bad value; `param` names it.
    """
    for name in arguments:
        if name not in Arguments.model_fields:
            sentence = f"{TOOL} has no argument {shortened(name)!r}"
            near = resembling(name, Arguments.model_fields)
            known = ", ".join(Arguments.model_fields)
            raise RequestError(f"{sentence}{near}; it takes {known}", param=shortened(name))
    read(Arguments, arguments)
    params = {name: value for name, value in arguments.items() if name not in OF_THE_TASK}
    own = {name: value for name, value in arguments.items() if name in OF_THE_TASK}
    return read(NewTask, {"tasktype": TOOL, "params": params, **own})


def _sentences(
    record: TaskRecord, payload: Payload, small: Rendered, link: types.ResourceLink
) -> Iterator[str]:
    """Yield what is to be said of a drawn picture."""
    response = payload.response
    assert response is not None
    seconds = (record.task_duration_ms or 0) / 1000
    yield f"Drawn by {response.model} with seed {response.seed} in {seconds:.1f} s."
    yield (
        f"The picture shown here is a smaller copy ({small.width} x {small.height}, "
        f"{len(small.data) // 1000} KB). The full one is {link.name} "
        f"({payload.request['size']}, {(link.size or 0) // 1000} KB): {link.uri}"
    )
    yield f"The prompt as it was drawn: {response.data[0].revised_prompt}"
    if response.unresolved:
        yield f"Words without influence: {', '.join(response.unresolved)}"
    for warning in record.warnings:
        yield f"Warning: {warning}"


def _failure(
    error: GouacheError | TaskError, content: dict[str, Any] | None = None
) -> types.CallToolResult:
    """Return the answer for an error, in words that a model can act upon."""
    param = (error.param or "").removeprefix("params.")
    text = f"Error {error.code}" + (f" in {param}" if param else "") + f": {error.message}"
    if error.retryable:
        text += ". The same call may succeed later."
    return types.CallToolResult(
        content=[types.TextContent(text=text)], structured_content=content, is_error=True
    )


def _session(context: Context) -> str | None:
    """Return what tells a client's calls from those of others: over HTTP its session, if it has one."""
    if not isinstance(context.request, Request):
        return ""  # this process has one client
    named = context.request.headers.get(SESSION)
    return named if named and len(named) <= MAX_SESSION_CHARACTERS else None


async def _hung_up(context: Context) -> bool:
    """Return whether a caller cancelled by hanging up; false where the server is what goes."""
    request = context.request
    if context.protocol_version not in MODERN_PROTOCOL_VERSIONS or not isinstance(request, Request):
        return False
    with anyio.CancelScope(shield=True):
        if await request.is_disconnected():
            return True
    return False
