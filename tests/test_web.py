"""The HTTP API from outside: a real server, the fake engine, SQLite."""

import ast
import asyncio
import json
import re
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest
from starlette.testclient import TestClient

from gouache import __version__
from gouache.contract import FileObject
from gouache.errors import DatabaseUnavailable, EngineRateLimited, SettingsError, StorageError
from gouache.records import Progress
from gouache.settings import Settings
from gouache.web import app as web_app
from gouache.web import create_app
from gouache.web.prefer import wait_seconds
from gouache.web.refusals import refusal
from tests.served import running, served, until

WEB = Path(web_app.__file__).parent
PROMPT = "A white cat sitting on a red sports car."
TASK = {"tasktype": "generate_image", "params": {"prompt": PROMPT}}
SLOW = {"tasktype": "generate_image", "params": {"prompt": PROMPT, "model": "fake-slow"}}
WAIT = {"Prefer": "wait=30"}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with served(tmp_path_factory.mktemp("web")) as server:
        yield server


@pytest.fixture(scope="module")
def client(server):
    with server.client() as client:
        yield client


def new_stub(client, **fields):
    response = client.post("/stubs", json=fields)
    assert response.status_code == 201
    return response.json()


# Tasks


def test_the_documented_task_runs_and_its_picture_is_read_by_its_link(client):
    response = client.post("/tasks", json=TASK, headers=WAIT)
    assert response.status_code == 200
    task = response.json()
    assert (task["state"], task["success"]) == ("succeeded", True)
    assert task["payload"]["request"]["n"] == 1
    image = task["payload"]["response"]["data"][0]
    assert image["image"] == task["payload"]["image"]
    picture = client.get(image["url"])
    assert picture.status_code == 200
    assert picture.content.startswith(b"\x89PNG")


def test_a_task_is_accepted_with_where_it_is_found(client):
    response = client.post("/tasks", json=TASK)
    assert response.status_code == 202
    assert response.headers["location"] == f"/tasks/{response.json()['taskuuid']}"
    assert "preference-applied" not in response.headers
    found = client.get(response.headers["location"], headers=WAIT)
    assert found.headers["preference-applied"] == "wait=30"
    assert found.json()["state"] == "succeeded"


def test_waiting_ends_with_its_time(client):
    begun = time.monotonic()
    response = client.post("/tasks", json=SLOW, headers={"Prefer": "wait=1"})
    assert response.status_code == 202
    assert 0.9 < time.monotonic() - begun < 10
    assert response.headers["preference-applied"] == "wait=1"
    assert response.json()["state"] in ("queued", "running")
    client.post(f"/tasks/{response.json()['taskuuid']}/cancel")


def test_a_task_of_the_slow_kind_is_cancelled_once(client):
    there = client.post("/tasks", json=SLOW).headers["location"]
    cancelled = client.post(f"{there}/cancel")
    assert cancelled.status_code == 200
    assert cancelled.json()["state"] == "cancelled"
    error = cancelled.json()["error"]
    assert (error["code"], error["param"]) == ("cancelled", None)
    assert set(error) == {"code", "message", "type", "param", "retryable"}
    again = client.post(f"{there}/cancel")
    assert (again.status_code, again.json()["error"]["code"]) == (409, "task_not_cancellable")


def test_a_failed_task_shows_its_error_whole(client):
    body = {"tasktype": "generate_image", "params": {"prompt": "x", "model": "fake-refusing"}}
    task = client.post("/tasks", json=body, headers=WAIT).json()
    assert (task["state"], task["success"]) == ("failed", False)
    assert set(task["error"]) == {"code", "message", "type", "param", "retryable"}
    assert task["error"]["code"] == "content_refused"
    assert task["payload"]["request"]["prompt"] == "x"


def test_nothing_of_ours_is_null_and_what_is_the_callers_stays(client):
    stub = new_stub(client, data={"user": None})
    assert stub["data"] == {"user": None}
    task = client.post("/tasks", json=TASK | {"stubref": stub["stubref"]}, headers=WAIT).json()
    assert [name for name, value in task.items() if value is None] == []
    assert "error" not in task


def test_tasks_are_listed_in_parts_and_narrowed(client):
    stubref = new_stub(client)["stubref"]
    made = [client.post("/tasks", json=TASK | {"stubref": stubref}).json() for _ in range(3)]
    expected = [task["taskuuid"] for task in reversed(made)]
    first = client.get("/tasks", params={"stubref": stubref, "limit": 2}).json()
    assert [task["taskuuid"] for task in first["items"]] == expected[:2]
    rest = client.get("/tasks", params={"stubref": stubref, "after": first["next"]}).json()
    assert [task["taskuuid"] for task in rest["items"]] == expected[2:]
    assert "next" not in rest
    for uuid in expected:
        client.get(f"/tasks/{uuid}", headers=WAIT)
    ended = {"stubref": stubref, "state": "succeeded"}
    assert len(client.get("/tasks", params=ended).json()["items"]) == 3
    assert client.get("/tasks", params=ended | {"state": "failed"}).json()["items"] == []


# Stubs


def test_a_stub_is_made_read_and_listed(client):
    stub = new_stub(client, stubref="2026-11-24-TEST-0001", state="made", data={"a": 1})
    assert client.get("/stubs/2026-11-24-TEST-0001").json() == stub
    listed = client.get("/stubs", params={"state": "made"}).json()["items"]
    assert listed == [{name: value for name, value in stub.items() if name != "stubposts"}]
    assert client.get("/stubs", params={"state": "unmade"}).json() == {"items": []}


@pytest.mark.parametrize("as_list", [False, True])
def test_the_tasks_of_a_stubpost_run_in_order_and_are_posted(client, as_list):
    stubref = new_stub(client)["stubref"]
    named = {"logo": TASK, "photo": TASK}
    tasks = [{**task, "name": name} for name, task in named.items()] if as_list else named
    there = f"/stubs/{stubref}/stubposts"
    made = client.post(there, json={"action": "draw", "tasks": tasks}, headers=WAIT)
    assert made.status_code == 201
    post = made.json()
    assert made.headers["location"] == f"{there}/{post['stubpostuuid']}"
    assert made.headers["preference-applied"] == "wait=30"
    assert list(post["tasks"]) == ["logo", "photo"]
    assert all(task["success"] for task in post["tasks"].values())
    assert post["tasks"]["logo"]["ended"] <= post["tasks"]["photo"]["started"]
    assert client.get(made.headers["location"]).json()["tasks"].keys() == post["tasks"].keys()
    listed = client.get(there, params={"limit": 2}).json()["items"]
    assert [one["attachments"][0] for one in reversed(listed)] == [
        {name: picture[name] for name in FileObject.model_fields}
        for picture in (task["payload"]["image"] for task in post["tasks"].values())
    ]


def test_a_stubpost_without_tasks_is_waited_for_not_at_all(client):
    stubref = new_stub(client)["stubref"]
    begun = time.monotonic()
    made = client.post(f"/stubs/{stubref}/stubposts", json={"message": "hello"}, headers=WAIT)
    assert made.json()["message"] == "hello"
    assert time.monotonic() - begun < 10


# Idempotency


@pytest.mark.parametrize("route", ["/stubs", "/tasks", "/stubs/{}/stubposts"])
def test_the_same_key_leads_to_what_was_made_first(client, route):
    path = route.format(new_stub(client)["stubref"])
    body, other = (TASK, SLOW) if route == "/tasks" else ({}, {"data": {"a": 1}})
    headers = {"Idempotency-Key": f"key of {path}"}
    first = client.post(path, json=body, headers=headers)
    second = client.post(path, json=body, headers=headers)
    assert first.headers["location"] == second.headers["location"]
    refused = client.post(path, json=other, headers=headers)
    assert refused.status_code == 409
    assert refused.json()["error"]["code"] == "idempotency_key_reused"
    assert refused.json()["error"]["param"] == "Idempotency-Key"


# Prefer


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ([], None),
        (["wait=10"], 10),
        (["WAIT = 10"], 10),
        (['wait="10"'], 10),
        (["wait=0"], 0),
        (["wait=9999999"], 600),
        (["respond-async, wait=5"], 5),
        (["respond-async", "wait=5"], 5),
        (["wait=5; foo=bar, handling=lenient"], 5),
        (['foo="a, wait=9", wait=5'], 5),
        (["wait=5, wait=9"], 5),
        (["wait"], None),
        (["wait="], None),
        (["wait=-1"], None),
        (["wait=1.5"], None),
        (["wait=soon"], None),
        (["wait=٣"], None),
        (["waiting=5"], None),
        (['"wait=5'], None),
        ([",,;=;,"], None),
    ],
)
def test_preferences_are_read_as_the_rfc_says_and_ignored_where_they_cannot_be(headers, seconds):
    assert wait_seconds(headers) == seconds


# Events


def events_of(lines):
    name = None
    for line in lines:
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield name, json.loads(line.removeprefix("data: "))


def test_a_task_is_watched_to_its_end(client):
    there = client.post("/tasks", json=SLOW).headers["location"]
    with client.stream("GET", f"{there}/events") as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        assert response.headers["cache-control"] == "no-cache"
        seen = list(events_of(response.iter_lines()))
    names = [name for name, _ in seen]
    assert names[0] == "task"
    assert names[-2:] == ["task", "end"]
    progress = [data for name, data in seen if name == "progress"]
    assert [one["step"] for one in progress] == [1, 2, 3, 4]
    assert all(one["preview"].startswith("data:image/") for one in progress)
    assert seen[-1][1]["success"] is True
    assert seen[-1][1]["payload"]["image"] == client.get(there).json()["payload"]["image"]


def test_an_ended_task_is_watched_for_a_moment(client):
    there = client.post("/tasks", json=TASK, headers=WAIT).headers["location"]
    names = [name for name, _ in events_of(client.get(f"{there}/events").text.splitlines())]
    assert names == ["task", "end"]


class Watched:
    """A service whose events never end, and that counts who watches and who waits."""

    def __init__(self, tmp_path):
        self.settings = Settings(data_dir=tmp_path)
        self.present = self.seen = 0

    def seen_by(self, owner):
        return self

    def task(self, taskuuid):
        return Progress(attempt=1, step=1, steps=2).model_copy(update={"taskuuid": taskuuid})

    async def events(self, taskuuid):
        with self:
            while True:
                yield Progress(attempt=1, step=1, steps=2)
                await asyncio.sleep(0.01)

    async def wait(self, taskuuids, seconds=None):
        with self:
            await asyncio.sleep(seconds)

    def __enter__(self):
        self.present += 1
        self.seen += 1

    def __exit__(self, *error):
        self.present -= 1


@pytest.mark.parametrize(
    ("path", "headers"), [("/events", {}), ("", {"Prefer": "wait=600"})], ids=["watch", "wait"]
)
def test_a_caller_who_leaves_is_waited_for_no_longer(tmp_path, path, headers):
    service = Watched(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with running(create_app(service), listener):
            there = f"/tasks/7c9e6679-7425-40de-944b-e07fc1f90ae7{path}"
            with socket.create_connection(listener.getsockname()) as ours:
                lines = [f"GET {there} HTTP/1.1", f"Host: {url[7:]}"]
                lines += [f"{name}: {value}" for name, value in headers.items()]
                ours.sendall("\r\n".join([*lines, "", ""]).encode())
                until(lambda: service.present == 1)
            until(lambda: service.present == 0)
    assert service.seen == 1


# Concurrency


def test_hundreds_who_wait_leave_room_for_others(server):
    """More than there are threads: 150 wait, 100 watch, and a quick request is still quick."""
    with server.client(limits=httpx2.Limits(max_connections=400)) as client:
        there = client.post("/tasks", json=SLOW | {"priority": 1000}).headers["location"]

        def wait():
            return client.get(there, headers={"Prefer": "wait=60"}).json()["state"]

        def watch():
            return list(events_of(client.get(f"{there}/events").text.splitlines()))[-1][0]

        with ThreadPoolExecutor(250) as pool:
            waiting = [pool.submit(wait) for _ in range(150)]
            watching = [pool.submit(watch) for _ in range(100)]
            begun = time.monotonic()
            while client.get(there).json()["state"] != "succeeded":
                assert client.get("/health").status_code == 200
                time.sleep(0.05)
            assert time.monotonic() - begun < 60
        assert {one.result() for one in waiting} == {"succeeded"}
        assert {one.result() for one in watching} == {"end"}


WAITS = {"wait", "events", "seen_by"}
"""What the service does without a thread."""


def test_no_handler_blocks_the_event_loop():
    calls = 0
    for path in sorted(WEB.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.AsyncFunctionDef):
                continue
            for call in ast.walk(node):
                if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute):
                    target = call.func
                    if isinstance(target.value, ast.Name) and target.value.id == "service":
                        calls += 1
                        assert target.attr in WAITS, f"{path.name}: {node.name} blocks"
                    assert target.attr not in {"read_bytes", "read_text", "open"}, path.name
    assert calls >= 2, "this test has stopped finding calls; mend it"


# Errors


def test_an_unforeseen_exception_says_nothing_of_the_inside_but_in_the_log(tmp_path, caplog):
    service = Watched(tmp_path)  # has no stubs
    with TestClient(
        create_app(service), base_url="http://localhost", raise_server_exceptions=False
    ) as client:
        response = client.get("/stubs")
    assert response.status_code == 500
    assert response.json()["error"] == {
        "code": "internal_error",
        "message": "something failed inside the server; its log says what",
        "type": "internal_error",
        "param": None,
        "retryable": False,
    }
    (record,) = [record for record in caplog.records if record.name == "gouache.web.refusals"]
    assert record.getMessage() == "GET /stubs"
    assert "has no attribute 'stubs'" in str(record.exc_info[1])


@pytest.mark.parametrize("kind", [DatabaseUnavailable, SettingsError, StorageError])
def test_an_error_of_the_inside_is_named_and_explained_in_the_log_only(tmp_path, caplog, kind):
    service = Watched(tmp_path)

    def fail(taskuuid):
        raise kind("secrethost: no route", param="gateways.x")

    service.task = fail
    path = "/tasks/7c9e6679-7425-40de-944b-e07fc1f90ae7"
    with TestClient(create_app(service), base_url="http://localhost") as client:
        response = client.get(path)
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["param"]) == (kind.status, kind.code, None)
    assert "secrethost" not in response.text
    assert f"GET {path}: secrethost: no route" in caplog.messages


def test_an_engine_that_says_when_to_come_again_is_passed_on():
    answer = refusal(EngineRateLimited("later", retry_after_seconds=1.2))
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "2")


def test_a_method_that_cannot_be_used_is_answered_with_those_that_can(client):
    response = client.patch("/stubs")
    assert response.status_code == 405
    assert response.headers["allow"] == "GET, POST"
    missing = "/files/7c9e6679-7425-40de-944b-e07fc1f90ae7"
    assert client.options(missing).headers["allow"] == "DELETE, GET, HEAD"


# About


def test_health_says_the_version(client):
    assert client.get("/health").json() == {"ok": True, "version": __version__}


def test_the_page_shows_each_route_and_loads_nothing(server, client):
    response = client.get("/docs")
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in response.headers["content-security-policy"]
    for path in client.get("/openapi.json").json()["paths"]:
        assert path in response.text
    assert f"curl {server.url}/tasks</pre>" in response.text
    assert re.findall(r"<(script|link|img|iframe)|\bsrc=|url\(", response.text) == []
