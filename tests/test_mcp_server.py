"""The tool over MCP, with the official client: real processes on pipes, real servers on sockets."""

import asyncio
import base64
import io
import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from urllib.parse import unquote, urlsplit

import httpx2
import jsonschema
import pytest
from mcp import Client, MCPError
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client
from PIL import Image

from gouache.contract import BUILT_IN_GATEWAY, GenerateImage
from gouache.mcp_server import tool
from gouache.records import NewStub, NewTask
from gouache.service import open_service
from gouache.settings import Settings
from tests.commands import PORT, begun, blocks
from tests.served import served, until

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals of Unix")

KEY = "a-key-of-more-than-16-letters"
MODES = ["2026-07-28", "legacy"]
"""The newest version of the protocol, and the newest one that begins with a handshake."""

OLD_VERSIONS = ["2024-11-05", "2025-03-26", "2025-06-18"]
SLOW = {"prompt": "A red bicycle", "model": "fake-slow"}
GATEWAYS = {
    "fake": {
        "taskapigatewayuuid": BUILT_IN_GATEWAY,
        "engine": "fake",
        "retry_seconds": 0.1,
        "concurrency": 4,
    }
}
NOT_ENDED = (["queued"], ["running"])
"""A task of a process that is no more is said to run until another one begins it again."""

ACCEPT = {"Accept": "application/json, text/event-stream"}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with served(tmp_path_factory.mktemp("server"), gateways=GATEWAYS) as running:
        yield running


@pytest.fixture
def stubref(server):
    """A stub by which a test knows its own tasks."""
    return server.service.create_stub(NewStub()).stubref


@asynccontextmanager
async def over_http(url, mode="auto", **headers):
    options = {"headers": headers, "timeout": 30, "trust_env": False}
    async with httpx2.AsyncClient(**options) as http:
        transport = streamable_http_client(f"{url}/mcp", http_client=http)
        async with Client(transport, mode=mode) as client:
            yield client


@asynccontextmanager
async def over_stdio(folder, mode="auto", *options, **environment):
    """Begin `gouache mcp` and speak with it; what it says to people goes to err.txt."""
    own = {"GOUACHE_ENGINE": "fake", "GOUACHE_DATA_DIR": str(folder / "data")} | environment
    parameters = StdioServerParameters(
        command=sys.executable, args=["-m", "gouache", "mcp", *options], env=os.environ | own
    )
    with (folder / "err.txt").open("a") as errors:
        async with Client(stdio_client(parameters, errors), mode=mode) as client:
            yield client


@contextmanager
def opened(folder):
    """Look at what a process has left, or does right now."""
    with open_service(Settings(engine="fake", data_dir=folder / "data")) as service:
        yield service


def of_type(answer, kind):
    return [block for block in answer.content if block.type == kind]


def text_of(answer):
    (block,) = of_type(answer, "text")
    return block.text


def picture_of(answer):
    (block,) = of_type(answer, "image")
    data = base64.b64decode(block.data)
    with Image.open(io.BytesIO(data)) as image:
        assert Image.MIME[image.format] == block.mime_type
        return len(data), image.size


def size_of(file):
    with Image.open(file, formats=["PNG"]) as image:
        return image.size


def states(service, stubref=None):
    return [task.state for task in service.tasks(stubref=stubref).items]


# What the tool says of itself


def test_its_arguments_are_the_fields_of_the_contract():
    properties = tool(()).input_schema["properties"]
    contract = GenerateImage.model_json_schema()["properties"]
    of_the_task = NewTask.model_json_schema()["properties"]
    assert {name: properties[name] for name in contract} == contract
    others = properties.keys() - contract.keys()
    assert others == {"stubref", "taskapigatewayuuid"}
    assert all(properties[name] == of_the_task[name] for name in others)
    assert properties["taskapigatewayuuid"]["default"] == str(BUILT_IN_GATEWAY)
    assert all("description" in field for field in properties.values())


@pytest.mark.parametrize("mode", MODES)
def test_one_tool_is_listed(server, mode):
    async def listed():
        async with over_http(server.url, mode) as client:
            return (await client.list_tools()).tools

    (only,) = asyncio.run(listed())
    assert (only.name, only.title) == ("generate_image", "Generate an image")
    assert only.input_schema["additionalProperties"] is False
    assert "flat, cartoon" in only.input_schema["properties"]["style"]["description"]
    hints = only.annotations
    assert (hints.read_only_hint, hints.idempotent_hint, hints.open_world_hint) == (False,) * 3


# A call to its end


@pytest.mark.parametrize("mode", MODES)
def test_a_call_over_http_brings_the_picture_and_its_link(server, mode):
    arguments = {"prompt": "A red bicycle", "seed": 7, "size": "1024x1792", "filename": "bike"}

    async def called():
        async with over_http(server.url, mode) as client:
            (only,) = (await client.list_tools()).tools
            return only, await client.call_tool("generate_image", arguments)

    only, answer = asyncio.run(called())
    assert not answer.is_error, text_of(answer)
    size, sides = picture_of(answer)
    assert size <= 150_000
    assert sides == (585, 1024)
    (link,) = of_type(answer, "resource_link")
    assert (link.name, link.title, link.mime_type) == ("bike.png", "bike", "image/png")
    stored = httpx2.get(link.uri, trust_env=False)
    assert link.uri.startswith(f"{server.url}/files/")
    assert len(stored.content) == link.size
    assert size_of(io.BytesIO(stored.content)) == (1024, 1792)
    jsonschema.validate(answer.structured_content, only.output_schema)
    record = server.service.task(answer.structured_content["taskuuid"])
    response = answer.structured_content["payload"]["response"]
    assert response["seed"] == record.payload.response.seed == 7
    assert response["data"][0]["url"] == link.uri
    for words in ("fake-1", "seed 7", link.uri, "A red bicycle", "Words without influence: A, red"):
        assert words in text_of(answer)
    assert "Warning: the fake engine draws a pattern" in text_of(answer)


@pytest.mark.parametrize("mode", MODES)
def test_a_call_over_stdio_brings_the_picture_and_its_file(tmp_path, mode):
    async def called():
        async with over_stdio(tmp_path, mode) as client:
            return await client.call_tool("generate_image", {"prompt": "A red bicycle"})

    answer = asyncio.run(called())
    assert not answer.is_error, text_of(answer)
    assert picture_of(answer)[1] == (1024, 1024)
    (link,) = of_type(answer, "resource_link")
    path = Path(unquote(urlsplit(link.uri).path))
    assert size_of(path) == (1024, 1024)
    assert path.stat().st_size == link.size
    assert answer.structured_content["payload"]["response"]["data"][0]["url"] == link.uri
    assert f"data in {tmp_path / 'data'}" in (tmp_path / "err.txt").read_text()


def test_pictures_are_copied_to_a_folder_under_names_of_their_own(tmp_path):
    folder = tmp_path / "pictures of mine"

    async def called():
        async with over_stdio(tmp_path, "auto", "--output", str(folder)) as client:
            arguments = {"prompt": "A cup", "filename": "cup"}
            return [await client.call_tool("generate_image", arguments) for _ in range(2)]

    links = [of_type(answer, "resource_link")[0].uri for answer in asyncio.run(called())]
    paths = [Path(unquote(urlsplit(link).path)) for link in links]
    assert paths == [folder / "cup.png", folder / "cup 2.png"]
    assert [size_of(path) for path in paths] == [(1024, 1024)] * 2


@pytest.mark.embedded
def test_the_embedded_model_draws(tmp_path):
    async def called():
        async with over_stdio(tmp_path, GOUACHE_ENGINE="embedded") as client:
            return await client.call_tool("generate_image", {"prompt": "A red bicycle", "seed": 1})

    answer = asyncio.run(called())
    assert "Drawn by gouache-1 with seed 1" in text_of(answer)
    assert picture_of(answer)[1] == (1024, 1024)
    assert "Traceback" not in (tmp_path / "err.txt").read_text()


def test_the_picture_is_posted_on_its_stub(server, stubref):
    arguments = {"prompt": "A cup", "stubref": stubref}

    async def called():
        async with over_http(server.url) as client:
            for more in ({}, {"disable_model_response": True}):
                await client.call_tool("generate_image", arguments | more)

    asyncio.run(called())
    (post,) = server.service.stub(stubref).stubposts
    assert post.attachments[0].contentType == "image/png"


@pytest.mark.parametrize("mode", MODES)
def test_two_calls_are_two_tasks_and_no_more(server, mode):
    async def called():
        async with over_http(server.url, mode) as client:
            call = client.call_tool("generate_image", {"prompt": f"Twins {mode}"})
            again = client.call_tool("generate_image", {"prompt": f"Twins {mode}"})
            return await asyncio.gather(call, again)

    answers = asyncio.run(called())
    uuids = {answer.structured_content["taskuuid"] for answer in answers}
    drawn = server.service.pictures(search=f"Twins {mode}").items
    assert len(uuids) == len(drawn) == 2


# Progress and cancellation


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("transport", ["http", "stdio"])
def test_progress_is_told_and_only_rises(server, tmp_path, transport, mode):
    told = []

    async def note(progress, total, message):
        told.append((progress, total, message))

    async def called():
        talk = over_http(server.url, mode) if transport == "http" else over_stdio(tmp_path, mode)
        async with talk as client:
            return await client.call_tool("generate_image", SLOW, progress_callback=note)

    answer = asyncio.run(called())
    assert told[0] == (0, None, f"accepted as task {answer.structured_content['taskuuid']}")
    figures = [progress for progress, _, _ in told]
    assert figures == sorted(set(figures))
    assert len(figures) >= 3
    assert {total for _, total, _ in told[1:]} == {4}
    assert told[1][2] == f"step {told[1][0]:g} of 4"


async def call_and_cancel(client, **more):
    """Cancel a call as soon as its first step is drawn."""
    drawing = asyncio.Event()

    async def note(progress, total, message):
        if progress:
            drawing.set()

    long = SLOW | {"quality": "hd"} | more
    call = asyncio.create_task(client.call_tool("generate_image", long, progress_callback=note))
    await asyncio.wait_for(drawing.wait(), 20)
    call.cancel()
    with suppress(asyncio.CancelledError):
        await call


@pytest.mark.parametrize("mode", MODES)
def test_cancelling_over_http_cancels_the_task(server, stubref, mode):
    async def called():
        async with over_http(server.url, mode) as client:
            await call_and_cancel(client, stubref=stubref)
            service = server.service
            await asyncio.to_thread(until, lambda: states(service, stubref) == ["cancelled"], 3)

    asyncio.run(called())


@pytest.mark.parametrize("mode", MODES)
def test_cancelling_over_stdio_cancels_the_task(tmp_path, mode):
    async def called():
        async with over_stdio(tmp_path, mode) as client:
            await call_and_cancel(client)
            with opened(tmp_path) as service:
                await asyncio.to_thread(until, lambda: states(service) == ["cancelled"], 3)
            return await client.call_tool("generate_image", {"prompt": "A cup"})

    assert not asyncio.run(called()).is_error, "the same connection goes on"


def request_of(number, method, **params):
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": params}


def call_of(number, version=None, **arguments):
    """Return a call as JSON; of the newest version, each says who calls."""
    meta = {}
    if version:
        meta = {
            "_meta": {
                "io.modelcontextprotocol/protocolVersion": version,
                "io.modelcontextprotocol/clientCapabilities": {},
            }
        }
    return request_of(number, "tools/call", name="generate_image", arguments=arguments, **meta)


def hello(version):
    client = {"name": "test", "version": "1"}
    return request_of(0, "initialize", protocolVersion=version, capabilities={}, clientInfo=client)


def post(url, body, **headers):
    return httpx2.post(
        f"{url}/mcp", json=body, headers=ACCEPT | headers, timeout=30, trust_env=False
    )


def message_of(answer):
    """Return the JSON of an answer, which may come as one event."""
    if answer.headers["content-type"].startswith("application/json"):
        return answer.json()
    lines = answer.text.splitlines()
    return json.loads(next(line for line in reversed(lines) if line.startswith("data: "))[6:])


def leave_while_drawing(server, stubref, body, **headers):
    """Send a call and hang up when its task runs."""
    body["params"]["arguments"]["stubref"] = stubref
    host, port = urlsplit(server.url).netloc.split(":")
    content = json.dumps(body).encode()
    lines = [f"{name}: {value}" for name, value in (ACCEPT | headers).items()]
    head = ["POST /mcp HTTP/1.1", f"Host: {host}", "Content-Type: application/json", *lines]
    with socket.create_connection((host, int(port))) as ours:
        ours.sendall("\r\n".join([*head, f"Content-Length: {len(content)}", "", ""]).encode())
        ours.sendall(content)
        until(lambda: states(server.service, stubref) == ["running"])


def test_a_caller_of_an_older_version_that_is_gone_has_cancelled_nothing(server, stubref):
    leave_while_drawing(server, stubref, call_of(1, **SLOW, quality="hd"))
    until(lambda: states(server.service, stubref) == ["succeeded"])


def test_hanging_up_cancels_since_the_newest_version(server, stubref):
    """The protocol wants it, and clients that lost their connection call again by themselves."""
    headers = {
        "MCP-Protocol-Version": "2026-07-28",
        "Mcp-Method": "tools/call",
        "Mcp-Name": "generate_image",
    }
    leave_while_drawing(server, stubref, call_of(1, "2026-07-28", **SLOW, quality="hd"), **headers)
    until(lambda: states(server.service, stubref) == ["cancelled"], 3)


def test_nobody_cancels_the_call_of_another_session(server, stubref):
    sessions = [post(server.url, hello("2025-11-25")).headers["mcp-session-id"] for _ in range(2)]
    assert len(set(sessions)) == 2
    own = {"Mcp-Session-Id": sessions[0]}
    leave_while_drawing(server, stubref, call_of(5, **SLOW, quality="hd"), **own)
    stop = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 5}}
    for others in ({}, {"Mcp-Session-Id": sessions[1]}, {"Mcp-Session-Id": "x" * 1000}):
        assert post(server.url, stop, **others).status_code == 202
    assert states(server.service, stubref) == ["running"]
    assert post(server.url, stop, **own).status_code == 202
    until(lambda: states(server.service, stubref) == ["cancelled"], 3)


# What goes wrong


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, ["request_error in prompt", "prompt is required"]),
        (
            {"prompt": "x", "size": "large"},
            ["in size", "1024x1024, 1024x1792, 1792x1024", "not 'large'"],
        ),
        ({"prompt": "x", "quality": "best"}, ["in quality", "standard, hd"]),
        (
            {"prompt": "x", "sise": "1024x1024"},
            ["in sise", "did you mean size?", "it takes prompt"],
        ),
        ({"prompt": "x", "n": 2}, ["in n", "no argument 'n'"]),
        ({"prompt": "x", "tasktype": "savedata"}, ["in tasktype", "no argument 'tasktype'"]),
        ({"prompt": "x", "seed": -1}, ["in seed", "whole number from 0 to 4294967295"]),
        ({"prompt": "x", "seed": 1, "seed_from": "a"}, ["in seed_from", "leave one out"]),
        ({"prompt": "x", "model": "none"}, ["unsupported_by_engine in model", "dall-e-3, fake-1"]),
        ({"prompt": "x", "style": "none"}, ["in style", "flat, cartoon"]),
        ({"prompt": "x", "stubref": "x"}, ["in stubref", "like 2024-06-19-XXXX-YRA3"]),
        (
            {"prompt": "x", "stubref": "2024-06-19-XXXX-YRA3"},
            ["stub_not_found", "there is no stub"],
        ),
        (
            {"prompt": "x", "taskapigatewayuuid": "7c9e6679-7425-40de-944b-e07fc1f90ae7"},
            ["gateway_not_found in taskapigatewayuuid", str(BUILT_IN_GATEWAY)],
        ),
        ({"prompt": "{{#each}"}, ["request_error in prompt"]),
    ],
)
def test_a_bad_argument_is_named_with_what_is_allowed(server, arguments, words):
    before = server.service.task_counts()

    async def called():
        async with over_http(server.url) as client:
            return await client.call_tool("generate_image", arguments)

    answer = asyncio.run(called())
    assert answer.is_error
    assert text_of(answer).startswith("Error ")
    for word in words:
        assert word in text_of(answer)
    assert "Traceback" not in text_of(answer)
    assert server.service.task_counts() == before, "nothing was stored"


def test_another_tool_is_an_error_of_the_protocol(server):
    async def called():
        async with over_http(server.url) as client:
            with pytest.raises(MCPError, match="there is no tool 'draw'; use generate_image"):
                await client.call_tool("draw", {"prompt": "x"})

    asyncio.run(called())


def test_a_task_that_fails_is_an_answer_that_says_why(server):
    async def called(model):
        async with over_http(server.url) as client:
            return await client.call_tool("generate_image", {"prompt": "A cup", "model": model})

    refused = asyncio.run(called("fake-refusing"))
    failed = asyncio.run(called("fake-failing"))
    flaky = asyncio.run(called("fake-flaky"))
    assert (refused.is_error, failed.is_error, flaky.is_error) == (True, True, False)
    assert "content_refused in prompt: the model fake-refusing" in text_of(refused)
    assert "later" not in text_of(refused)
    assert "engine_unavailable" in text_of(failed)
    assert "The same call may succeed later." in text_of(failed)
    assert failed.structured_content["success"] is False
    assert failed.structured_content["error"]["code"] == "engine_unavailable"
    jsonschema.validate(failed.structured_content, tool(()).output_schema)


def test_what_nobody_foresaw_says_nothing_of_the_inside(server, monkeypatch, caplog):
    gone = Path("folder") / "gone.png"
    monkeypatch.setattr(server.service, "file_path", lambda fileuuid: gone)

    async def called():
        async with over_http(server.url) as client:
            return await client.call_tool("generate_image", {"prompt": "A cup"})

    answer = asyncio.run(called())
    assert answer.is_error
    assert text_of(answer).startswith("Error internal_error: something failed inside")
    assert "gone.png" not in answer.model_dump_json()
    assert "gone.png" in caplog.text


# Who may call


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Authorization": "Bearer wrong"}, 401),
        ({"Authorization": f"Basic {KEY}"}, 401),
        ({"Authorization": f"Bearer {KEY}"}, 200),
    ],
)
def test_a_server_with_a_key_wants_it(tmp_path, headers, status):
    with served(tmp_path, start=False, api_key=KEY) as server:
        answer = post(server.url, hello("2025-11-25"), **headers)
        assert answer.status_code == status

        async def listed():
            async with over_http(server.url, **headers) as client:
                return (await client.list_tools()).tools

        if status == 200:
            assert len(asyncio.run(listed())) == 1
            return
        assert answer.json()["error"]["code"] == "unauthenticated"
        assert post(server.url, call_of(1, prompt="A cup"), **headers).status_code == status
        assert states(server.service) == []
        with pytest.raises(BaseExceptionGroup):
            asyncio.run(listed())


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 421),
        ({"Host": "localhost.evil.example:8611"}, 421),
        ({"Origin": "https://evil.example"}, 421),
        ({"Origin": "null"}, 421),
        ({"Origin": "http://localhost.evil.example"}, 421),
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
        ({"Accept": "application/json"}, 406),
        ({"Origin": "http://localhost:6274"}, 200),
    ],
)
@pytest.mark.parametrize("version", [None, "2026-07-28"])
def test_pages_of_others_and_other_hosts_are_refused(server, headers, status, version):
    before = server.service.task_counts()
    more = {"MCP-Protocol-Version": version, "Mcp-Method": "tools/list"} if version else {}
    body = call_of(1, version) | {"method": "tools/list"}
    body["params"] = {name: body["params"][name] for name in body["params"] if name == "_meta"}
    answer = post(server.url, body, **(more | headers))
    assert answer.status_code == status
    assert "access-control-allow-origin" not in answer.headers
    assert server.service.task_counts() == before


def test_the_session_of_a_browser_does_not_open_it(tmp_path):
    """Else a page could draw in the name of whoever looks at it."""
    with served(tmp_path, start=False, api_key=KEY) as server, server.client() as browser:
        own = {"Origin": server.url}
        assert browser.post("/ui/login", data={"key": KEY}, headers=own).status_code == 303
        assert browser.get("/tasks").status_code == 200, "the session is one"
        call = call_of(1, prompt="A cup")
        assert browser.post("/mcp", json=call, headers=ACCEPT | own).status_code == 401
        assert states(server.service) == []


def test_a_body_of_no_type_is_refused(server, stubref):
    """A page of another origin could send one without being asked first."""
    body = json.dumps(call_of(1, prompt="A cup", stubref=stubref)).encode()
    for more in ({}, {"MCP-Protocol-Version": "2026-07-28"}):
        answer = httpx2.post(
            f"{server.url}/mcp", content=body, headers=ACCEPT | more, trust_env=False
        )
        assert answer.status_code == 400
    assert states(server.service, stubref) == []


def test_no_answer_is_kept_by_a_cache(server):
    answer = post(server.url, hello("2025-11-25"))
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT"])
def test_only_post_is_served(server, method):
    answer = httpx2.request(method, f"{server.url}/mcp", headers=ACCEPT, trust_env=False)
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert answer.json()["error"]["code"] == "method_not_allowed"


def test_bodies_have_a_limit_with_and_without_a_length(tmp_path):
    with served(tmp_path, start=False, max_body_bytes=2000) as server:
        body = json.dumps(call_of(1, prompt="x" * 3000)).encode()
        headers = ACCEPT | {"Content-Type": "application/json"}
        for content in (body, iter([body[:1500], body[1500:]])):
            answer = httpx2.post(
                f"{server.url}/mcp", content=content, headers=headers, trust_env=False
            )
            assert (answer.status_code, answer.json()["error"]["code"]) == (413, "body_too_large")
        assert states(server.service) == []


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"[" * 50_000, b'"x"', b'{"jsonrpc": "2.0", "id": 1}', b"\xff"]
)
@pytest.mark.parametrize("version", ["2025-11-25", "2026-07-28"])
def test_what_is_no_message_is_refused_in_words(server, body, version):
    headers = ACCEPT | {"Content-Type": "application/json", "MCP-Protocol-Version": version}
    answer = httpx2.post(f"{server.url}/mcp", content=body, headers=headers, trust_env=False)
    assert answer.status_code == 400
    assert answer.json()["error"]["message"]
    assert "Traceback" not in answer.text


# Versions, processes, restarts


@pytest.mark.parametrize("version", OLD_VERSIONS)
def test_older_versions_are_spoken_too(server, version):
    greeting = post(server.url, hello(version))
    assert message_of(greeting)["result"]["protocolVersion"] == version
    session = {"Mcp-Session-Id": greeting.headers["mcp-session-id"]}
    ready = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    assert post(server.url, ready, **session).status_code == 202
    answer = post(server.url, call_of(1, prompt="A cup"), **session)
    assert "mcp-session-id" not in answer.headers, "it has one"
    assert message_of(answer)["result"]["content"][1]["type"] == "image"


def test_any_process_answers_whoever_shook_hands_with_another(server):
    folder = server.service.settings.data_dir
    with served(folder, start=False, gateways=GATEWAYS) as second:
        greeting = post(server.url, hello("2025-11-25"))
        session = {"Mcp-Session-Id": greeting.headers["mcp-session-id"]}
        answer = post(second.url, call_of(1, prompt="A cup"), **session)
        assert message_of(answer)["result"]["structuredContent"]["success"] is True


def test_a_call_that_a_crash_of_the_server_cuts_short_is_drawn_once_after_it(tmp_path, monkeypatch):
    monkeypatch.setenv("GOUACHE_ENGINE", "fake")
    options = ["serve", "--data-dir", str(tmp_path / "data"), "--port"]
    with begun(tmp_path, *options, "0") as server:
        url = server.ready()

        async def called():
            async with over_http(url) as client:
                drawing = asyncio.Event()

                async def note(progress, total, message):
                    drawing.set()

                call = asyncio.create_task(
                    client.call_tool("generate_image", SLOW, progress_callback=note)
                )
                await asyncio.wait_for(drawing.wait(), 20)
                server.process.kill()
                with pytest.raises(MCPError):
                    await call

        asyncio.run(called())
    with begun(tmp_path / "again", *options, str(urlsplit(url).port)) as server:
        server.ready()

        async def again():
            async with over_http(url) as client:
                return await client.call_tool("generate_image", {"prompt": "A cup"})

        assert not asyncio.run(again()).is_error
        with opened(tmp_path) as service:
            until(lambda: states(service) == ["succeeded"] * 2)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_server_stops_in_time_under_a_call_and_hands_its_task_back(tmp_path, monkeypatch, number):
    monkeypatch.setenv("GOUACHE_ENGINE", "fake")
    monkeypatch.setenv("GOUACHE_STOP_SECONDS", "0")
    with begun(tmp_path, "serve", "--data-dir", str(tmp_path / "data"), "--port", "0") as server:

        async def called():
            async with over_http(server.ready()) as client:
                call = asyncio.create_task(
                    client.call_tool("generate_image", SLOW | {"quality": "hd"})
                )
                with opened(tmp_path) as service:
                    await asyncio.to_thread(until, lambda: states(service) == ["running"])
                code, seconds = await asyncio.to_thread(server.stop, number)
                with pytest.raises(MCPError):
                    await call
                return code, seconds

        code, seconds = asyncio.run(called())
    assert code == (130 if number == signal.SIGINT else 0)
    assert seconds < 10
    assert "Traceback" not in server.said
    with opened(tmp_path) as service:
        assert states(service) in NOT_ENDED, "the stop is no cancellation"


# On standard input and output


class Piped:
    """`gouache mcp` on pipes, with lines of JSON written by hand."""

    def __init__(self, folder, *options, **environment):
        own = {"GOUACHE_ENGINE": "fake", "GOUACHE_DATA_DIR": str(folder / "data")} | environment
        self.errors = (folder / "err.txt").open("w")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "gouache", "mcp", *options],
            env=os.environ | own,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()
        self.errors.close()

    def send(self, message):
        line = message if isinstance(message, bytes) else json.dumps(message).encode()
        self.process.stdin.write(line + b"\n")
        self.process.stdin.flush()

    def receive(self):
        return json.loads(self.process.stdout.readline())


@pytest.mark.parametrize("version", ["2024-11-05", "2025-11-25"])
def test_there_is_nothing_but_the_protocol_on_standard_output(tmp_path, version):
    with Piped(tmp_path) as pipes:
        pipes.send(hello(version))
        assert pipes.receive()["result"]["protocolVersion"] == version
        pipes.send({"jsonrpc": "2.0", "method": "notifications/initialized"})
        pipes.send(b"no JSON \xff")
        pipes.send(call_of(1, prompt="A cup", model="fake-flaky"))
        answer = pipes.receive()
        assert (answer["id"], answer["result"]["isError"]) == (1, False)
        pipes.process.stdin.close()
        pipes.process.stdin = None
        assert pipes.process.wait(20) == 0
        rest = pipes.process.stdout.read()
    assert [json.loads(line)["jsonrpc"] for line in rest.splitlines()] == []
    said = (tmp_path / "err.txt").read_text()
    assert "Gouache offers generate_image" in said
    assert "Traceback" not in said
    assert "A cup" not in said


@pytest.mark.parametrize(
    ("end", "code"),
    [(signal.SIGTERM, 0), (signal.SIGINT, 130), ("end of input", 0), ("nobody reads", 0)],
)
def test_it_stops_cleanly_and_hands_back_what_runs(tmp_path, end, code):
    with Piped(tmp_path, GOUACHE_STOP_SECONDS="0") as pipes, opened(tmp_path) as service:
        pipes.send(hello("2025-11-25"))
        pipes.receive()
        pipes.send({"jsonrpc": "2.0", "method": "notifications/initialized"})
        pipes.send(call_of(1, **SLOW, quality="hd"))
        until(lambda: states(service) == ["running"])
        if isinstance(end, signal.Signals):
            pipes.process.send_signal(end)
        else:
            if end == "nobody reads":
                pipes.process.stdout.close()
                pipes.process.stdout = None
            pipes.process.stdin.close()
            pipes.process.stdin = None
        assert pipes.process.wait(20) == code
        assert "Traceback" not in (tmp_path / "err.txt").read_text()
        assert states(service) in NOT_ENDED, "whoever is gone has cancelled nothing"
        if end == "end of input":
            with Piped(tmp_path):
                until(lambda: states(service) == ["succeeded"], 40)


def test_beside_a_server_it_hands_in_and_the_server_draws(tmp_path, monkeypatch):
    monkeypatch.setenv("GOUACHE_ENGINE", "fake")
    with begun(tmp_path, "serve", "--data-dir", str(tmp_path / "data"), "--port", "0") as server:
        server.ready()

        async def called():
            async with over_stdio(tmp_path) as client:
                first = await client.call_tool("generate_image", {"prompt": "A cup"})
                assert server.stop()[0] == 0
                return first, await client.call_tool("generate_image", {"prompt": "A cup"})

        both = asyncio.run(called())
    assert [answer.is_error for answer in both] == [False, False], (
        "it takes over when the server goes"
    )
    assert "another process draws" in (tmp_path / "err.txt").read_text()


@pytest.mark.parametrize(("folder", "options"), [("data", []), ("out", ["--output", "out"])])
def test_a_folder_that_cannot_be_used_is_a_sentence(tmp_path, monkeypatch, folder, options):
    monkeypatch.chdir(tmp_path)
    Path(folder).write_text("a file")
    with Piped(tmp_path, *options) as pipes:
        assert pipes.process.wait(20) == 4
        assert pipes.process.stdout.read() == b""
    said = (tmp_path / "err.txt").read_text()
    assert said.startswith("Error: ")
    assert "Traceback" not in said


# The page of it


def test_the_settings_to_paste_are_ours():
    page = (Path(__file__).parents[1] / "docs" / "mcp.md").read_text()
    rows = []
    for block in blocks("json", page):
        written = json.loads(block)
        (row,) = (written.get("mcpServers") or written["servers"]).values()
        rows.append(row)
    assert len(rows) == 4
    own = {f"http://127.0.0.1:{PORT}/mcp", ("gouache", "mcp")}
    assert {row.get("url") or (row["command"], *row["args"]) for row in rows} == own
    assert all(
        row["headers"]["Authorization"].startswith("Bearer ") for row in rows if "url" in row
    )
