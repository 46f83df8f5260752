"""Bad requests: each gets exactly the documented error, and changes nothing in the database or on disk."""

import json
import socket
import sqlite3

import pytest

from gouache.contract import SIZES
from tests.served import served

MAX_BODY = 100_000
STUBREF = "2026-11-24-ABCD-1234"
UNKNOWN = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
KEY = {"Idempotency-Key": "used"}
JSON = {"Content-Type": "application/json"}
PARAMS = {"prompt": "A white cat sitting on a red sports car."}
TASK = {"tasktype": "generate_image", "params": PARAMS}
POSTS = f"/stubs/{STUBREF}/stubposts"


def task(**fields):
    """Return the submission of a task with these fields changed, or left out where they are None."""
    body = {name: value for name, value in (TASK | fields).items() if value is not None}
    return "POST", "/tasks", {"json": body}


def params(**fields):
    return task(params=PARAMS | fields)


def post(**fields):
    return "POST", POSTS, {"json": fields}


def posted_params(**fields):
    return post(tasks={"logo": {**TASK, "params": PARAMS | fields}})


def stub(**fields):
    return "POST", "/stubs", {"json": fields}


def raw(content, **headers):
    return "POST", "/tasks", {"content": content, "headers": JSON | headers}


def nested(depth):
    return json.dumps(TASK)[:-1].encode() + b', "x": ' + b"[" * depth + b"]" * depth + b"}"


def get(path, **headers):
    return "GET", path, {"headers": headers}


BAD = (400, "request_error")
MISSING = 404

TABLE = {
    # The request
    "no prompt": (task(params={}), *BAD, "params.prompt"),
    "empty prompt": (params(prompt=""), *BAD, "params.prompt"),
    "prompt null": (params(prompt=None), *BAD, "params.prompt"),
    "prompt a number": (params(prompt=7), *BAD, "params.prompt"),
    "prompt a list": (params(prompt=["a cat"]), *BAD, "params.prompt"),
    "prompt too long": (params(prompt="a" * 32_001), *BAD, "params.prompt"),
    "prompt with NUL": (params(prompt="a\0b"), *BAD, "params.prompt"),
    "size unknown": (params(size="512x512"), *BAD, "params.size"),
    "size in capitals": (params(size="1024X1024"), *BAD, "params.size"),
    "size a number": (params(size=1024), *BAD, "params.size"),
    "size null": (params(size=None), *BAD, "params.size"),
    "quality unknown": (params(quality="best"), *BAD, "params.quality"),
    "quality a boolean": (params(quality=True), *BAD, "params.quality"),
    "model empty": (params(model=""), *BAD, "params.model"),
    "model too long": (params(model="m" * 201), *BAD, "params.model"),
    "model the gateway has not": (
        params(model="dall-e-4"),
        422,
        "unsupported_by_engine",
        "params.model",
    ),
    "style the engine has not": (
        params(style="cubist"),
        422,
        "unsupported_by_engine",
        "params.style",
    ),
    "filename empty": (params(filename=""), *BAD, "params.filename"),
    "filename too long": (params(filename="f" * 1001), *BAD, "params.filename"),
    "filename a number": (params(filename=1), *BAD, "params.filename"),
    "filename with NUL": (params(filename="a\0.png"), *BAD, "params.filename"),
    "switch neither true nor false": (
        params(disable_model_response="yes"),
        *BAD,
        "params.disable_model_response",
    ),
    "switch a number": (params(disable_model_response=1), *BAD, "params.disable_model_response"),
    "seed negative": (params(seed=-1), *BAD, "params.seed"),
    "seed too large": (params(seed=2**32), *BAD, "params.seed"),
    "seed a fraction": (params(seed=1.5), *BAD, "params.seed"),
    "seed text": (params(seed="1"), *BAD, "params.seed"),
    # The task
    "no params": (task(params=None), *BAD, "params"),
    "params a list": (task(params=[PARAMS]), *BAD, "params"),
    "params text": (task(params="a cat"), *BAD, "params"),
    "no tasktype": (task(tasktype=None), *BAD, "tasktype"),
    "tasktype unknown": (task(tasktype="generate_video"), *BAD, "tasktype"),
    "gateway no UUID": (task(taskapigatewayuuid="built-in"), *BAD, "taskapigatewayuuid"),
    "gateway a number": (task(taskapigatewayuuid=7), *BAD, "taskapigatewayuuid"),
    "gateway unknown": (
        task(taskapigatewayuuid=UNKNOWN),
        MISSING,
        "gateway_not_found",
        "taskapigatewayuuid",
    ),
    "name not a name": (task(name="two words"), *BAD, "name"),
    "priority 0": (task(priority=0), *BAD, "priority"),
    "priority 1001": (task(priority=1001), *BAD, "priority"),
    "priority text": (task(priority="high"), *BAD, "priority"),
    "stubref not one": (task(stubref="somewhere"), *BAD, "stubref"),
    "stub unknown": (task(stubref="2026-11-24-NONE-0000"), MISSING, "stub_not_found", "stubref"),
    "conditions text": (task(conditions="true"), *BAD, "conditions"),
    "condition a number": (task(conditions=[1]), *BAD, "conditions.0"),
    "condition no JSONata": (task(conditions=["true", "("]), *BAD, "conditions.1"),
    "too many conditions": (task(conditions=["true"] * 51), *BAD, "conditions"),
    "template that is not closed": (params(prompt="A {{stub"), *BAD, "params.prompt"),
    "template with a block unknown": (
        params(prompt="{{#if x}}A cat{{/if}}"),
        *BAD,
        "params.prompt",
    ),
    "template no JSONata": (params(prompt="~~#jsonata#( ( )"), *BAD, "params.prompt"),
    # Stubs and stubposts
    "stub with a field unknown": (stub(colour="red"), *BAD, "colour"),
    "stub with a bad stubref": (stub(stubref="2026-11-24-abcd-1234"), *BAD, "stubref"),
    "stub that exists": (stub(stubref=STUBREF), 409, "stub_exists", "stubref"),
    "stub with an empty state": (stub(state=""), *BAD, "state"),
    "stub with data no object": (stub(data=[1]), *BAD, "data"),
    "attachment not ours": (
        stub(attachments=[UNKNOWN]),
        MISSING,
        "file_not_found",
        "attachments.0",
    ),
    "stubpost on no stub": (
        ("POST", "/stubs/2026-11-24-NONE-0000/stubposts", {"json": {}}),
        MISSING,
        "stub_not_found",
        "stubref",
    ),
    "stubpost with a bad action": (post(action="two words"), *BAD, "action"),
    "stubpost with a message no text": (post(message=1), *BAD, "message"),
    "stubpost with tasks a number": (post(tasks=7), *BAD, "tasks"),
    "stubpost with 51 tasks": (post(tasks={f"t{i}": TASK for i in range(51)}), *BAD, "tasks"),
    "stubpost with two tasks of one name": (post(tasks=[TASK, TASK]), *BAD, "tasks"),
    "stubpost with a task no object": (post(tasks={"logo": "a cat"}), *BAD, "tasks.logo"),
    "stubpost with a bad size": (posted_params(size="1x1"), *BAD, "tasks.logo.params.size"),
    "stubpost with a bad prompt": (posted_params(prompt=7), *BAD, "tasks.logo.params.prompt"),
    "stubpost with a bad condition": (
        post(tasks={"logo": TASK | {"conditions": ["("]}}),
        *BAD,
        "tasks.logo.conditions.0",
    ),
    "stubpost with an unknown gateway": (
        post(tasks={"logo": TASK | {"taskapigatewayuuid": UNKNOWN}}),
        MISSING,
        "gateway_not_found",
        "tasks.logo.taskapigatewayuuid",
    ),
    "stubpost whose second task is bad": (
        post(tasks={"logo": TASK, "photo": {"tasktype": "generate_image", "params": {}}}),
        *BAD,
        "tasks.photo.params.prompt",
    ),
    # Bodies
    "no body": (raw(b""), *BAD, None),
    "broken JSON": (raw(b'{"tasktype": '), *BAD, None),
    "JSON and more": (raw(b"{} {}"), *BAD, None),
    "a list": (raw(b"[]"), *BAD, None),
    "null": (raw(b"null"), *BAD, None),
    "text": (raw(b'"generate_image"'), *BAD, None),
    "NaN": (raw(b'{"tasktype": "generate_image", "params": {"seed": NaN}}'), *BAD, None),
    "infinity": (raw(b'{"priority": -Infinity}'), *BAD, None),
    "a number too large": (
        raw(json.dumps(TASK)[:-1].encode() + b', "x": 1e999}'),
        *BAD,
        "x",
    ),
    "a number too long": (raw(b'{"priority": ' + b"9" * 5000 + b"}"), *BAD, None),
    "a key twice": (raw(b'{"tasktype": "generate_image", "tasktype": "x"}'), *BAD, None),
    "a key twice far inside": (raw(b'{"params": {"a": [{"b": 1, "b": 1}]}}'), *BAD, None),
    "nested too deep": (raw(nested(101)), *BAD, "x"),
    "nested far too deep": (raw(nested(9000)), *BAD, None),
    "not UTF-8": (raw(b'{"tasktype": "\xff"}'), *BAD, None),
    "UTF-16": (raw(json.dumps(TASK).encode("utf-16")), *BAD, None),
    "half a surrogate pair": (
        raw(b'{"tasktype": "generate_image", "params": {"prompt": "\\ud83d"}}'),
        *BAD,
        "params.prompt",
    ),
    "a form": (
        ("POST", "/tasks", {"data": {"tasktype": "generate_image"}}),
        415,
        "wrong_content_type",
        None,
    ),
    "text/plain": (
        raw(json.dumps(TASK).encode(), **{"Content-Type": "text/plain"}),
        415,
        "wrong_content_type",
        None,
    ),
    "JSON in Latin-1": (
        raw(json.dumps(TASK).encode(), **{"Content-Type": "application/json; charset=latin-1"}),
        415,
        "wrong_content_type",
        None,
    ),
    "no content type": (
        ("POST", "/tasks", {"content": json.dumps(TASK).encode()}),
        415,
        "wrong_content_type",
        None,
    ),
    "a form to cancel": (
        ("POST", f"/tasks/{UNKNOWN}/cancel", {"data": {"a": "b"}}),
        415,
        "wrong_content_type",
        None,
    ),
    "too large a body": (raw(b" " * (MAX_BODY + 1)), 413, "body_too_large", None),
    "too large a body of unknown length": (
        raw([b" " * 50_000] * 3),
        413,
        "body_too_large",
        None,
    ),
    # Headers
    "idempotency key empty": (
        ("POST", "/tasks", {"json": TASK, "headers": {"Idempotency-Key": ""}}),
        *BAD,
        "Idempotency-Key",
    ),
    "idempotency key too long": (
        ("POST", "/stubs", {"json": {}, "headers": {"Idempotency-Key": "k" * 256}}),
        *BAD,
        "Idempotency-Key",
    ),
    "idempotency key not ASCII": (
        ("POST", POSTS, {"json": {}, "headers": {"Idempotency-Key": "schlüssel".encode()}}),
        *BAD,
        "Idempotency-Key",
    ),
    "idempotency key with another body": (
        ("POST", "/tasks", {"json": TASK, "headers": KEY}),
        409,
        "idempotency_key_reused",
        "Idempotency-Key",
    ),
    "idempotency key of another route": (
        ("POST", POSTS, {"json": {}, "headers": KEY}),
        409,
        "idempotency_key_reused",
        "Idempotency-Key",
    ),
    "host of others": (get("/stubs", Host="evil.example"), 421, "host_not_allowed", None),
    "page of others": (
        ("POST", "/stubs", {"json": {}, "headers": {"Origin": "https://evil.example"}}),
        421,
        "host_not_allowed",
        None,
    ),
    # Paths and queries
    "route unknown": (get("/nowhere"), MISSING, "route_not_found", None),
    "route with a slash too many": (get("/stubs/"), MISSING, "route_not_found", None),
    "route with a line in it": (get("/tasks%0d%0a/x"), MISSING, "route_not_found", None),
    "method unknown": (("BREW", "/stubs", {}), 405, "method_not_allowed", None),
    "method of no use": (("PUT", f"/stubs/{STUBREF}", {}), 405, "method_not_allowed", None),
    "task no UUID": (get("/tasks/7"), MISSING, "task_not_found", "taskuuid"),
    "task with NUL": (get("/tasks/%00"), MISSING, "task_not_found", "taskuuid"),
    "task unknown": (get(f"/tasks/{UNKNOWN}"), MISSING, "task_not_found", "taskuuid"),
    "task unknown, waited for": (
        get(f"/tasks/{UNKNOWN}", Prefer="wait=9"),
        MISSING,
        "task_not_found",
        "taskuuid",
    ),
    "task unknown, watched": (
        get(f"/tasks/{UNKNOWN}/events"),
        MISSING,
        "task_not_found",
        "taskuuid",
    ),
    "task unknown, cancelled": (
        ("POST", f"/tasks/{UNKNOWN}/cancel", {}),
        MISSING,
        "task_not_found",
        "taskuuid",
    ),
    "task ended, cancelled": (
        ("POST", "/tasks/{ended}/cancel", {}),
        409,
        "task_not_cancellable",
        "taskuuid",
    ),
    "stub unknown, read": (
        get("/stubs/2026-11-24-NONE-0000"),
        MISSING,
        "stub_not_found",
        "stubref",
    ),
    "stubref in small letters": (
        get(f"/stubs/{STUBREF.lower()}"),
        MISSING,
        "stub_not_found",
        "stubref",
    ),
    "stubpost unknown": (
        get(f"{POSTS}/{UNKNOWN}"),
        MISSING,
        "stubpost_not_found",
        "stubpostuuid",
    ),
    "file unknown": (get(f"/files/{UNKNOWN}"), MISSING, "file_not_found", "fileuuid"),
    "file of a path": (get("/files/..%2f..%2fetc%2fpasswd"), MISSING, "route_not_found", None),
    "file of dots": (get("/files/%2e%2e"), MISSING, "file_not_found", "fileuuid"),
    "file unknown, deleted": (
        ("DELETE", f"/files/{UNKNOWN}", {}),
        MISSING,
        "file_not_found",
        "fileuuid",
    ),
    "link altered": (
        get(f"/files/{UNKNOWN}?expires=9999999999&signature=00"),
        403,
        "link_refused",
        None,
    ),
    "link without an end": (get(f"/files/{UNKNOWN}?signature=00"), 403, "link_refused", None),
    "limit 0": (get("/stubs?limit=0"), *BAD, "limit"),
    "limit 101": (get("/tasks?limit=101"), *BAD, "limit"),
    "limit a word": (get(f"{POSTS}?limit=all"), *BAD, "limit"),
    "limit empty": (get("/stubs?limit="), *BAD, "limit"),
    "after from no page": (get("/stubs?after=yesterday"), *BAD, "after"),
    "after too long": (get(f"/tasks?after={'9' * 101}"), *BAD, "after"),
    "after beyond any number": (get(f"{POSTS}?after={'9' * 50}"), *BAD, "after"),
    "state no task is in": (get("/tasks?state=done"), *BAD, "state"),
    "state with NUL": (get("/stubs?state=%00"), *BAD, "state"),
    "stubref no stub has": (get("/tasks?stubref=x"), *BAD, "stubref"),
    "a filter misspelt": (get("/tasks?sate=failed"), *BAD, "sate"),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server in which nothing runs."""
    folder = tmp_path_factory.mktemp("refusals")
    with served(folder, start=False, max_body_bytes=MAX_BODY) as server:
        yield server


@pytest.fixture(scope="module")
def client(server):
    with server.client() as client:
        yield client


@pytest.fixture(scope="module")
def ended(client):
    """Return a task that has ended; there is also a stub, and an idempotency key that was used."""
    client.post("/stubs", json={"stubref": STUBREF})
    made = client.post("/tasks", json=TASK | {"priority": 7}, headers=KEY).json()
    client.post(f"/tasks/{made['taskuuid']}/cancel")
    return made["taskuuid"]


def rows(server):
    """Return how many rows each table has, ours and those of DBOS."""
    path = server.service.settings.data_dir / "gouache.sqlite"
    with sqlite3.connect(path) as database:
        tables = [
            name
            for (name,) in database.execute("select name from sqlite_master where type = 'table'")
        ]
        counts = {t: database.execute(f'select count(*) from "{t}"').fetchone()[0] for t in tables}
    database.close()
    assert len(counts) >= 6, "this has stopped finding tables; mend it"
    return counts


def on_disk(server):
    folder = server.service.settings.data_dir
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_there_are_many_of_them():
    assert len(TABLE) >= 60


@pytest.mark.parametrize("case", TABLE)
def test_a_bad_request_is_refused_by_name_and_changes_nothing(server, client, ended, case):
    (method, path, options), status, code, param = TABLE[case]
    before = rows(server), on_disk(server)
    response = client.request(method, path.format(ended=ended), **options)
    assert response.headers["content-type"] == "application/json"
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["param"]) == (status, code, param)
    assert set(error) == {"code", "message", "type", "param", "retryable"}
    assert set(response.json()) == {"error"}
    assert len(error["message"]) > 10
    assert (rows(server), on_disk(server)) == before


def test_a_body_announced_too_large_is_refused_before_it_is_sent(server):
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as ours:
        lines = ["POST /tasks HTTP/1.1", f"Host: {host}", "Content-Type: application/json"]
        ours.sendall("\r\n".join([*lines, "Content-Length: 999999999999", "", ""]).encode())
        assert ours.recv(100).startswith(b"HTTP/1.1 413 ")


def test_a_refusal_says_what_is_allowed(client):
    response = client.post("/tasks", json=TASK | {"params": PARAMS | {"size": "512x512"}})
    message = response.json()["error"]["message"]
    assert all(size in message for size in SIZES)
    assert "512x512" in message


def test_a_bad_preference_is_ignored(client):
    for preference in ("wait=soon", "wait", "", "wait=-5", '"'):
        response = client.post("/stubs", json={}, headers={"Prefer": preference})
        assert response.status_code == 201
        assert "preference-applied" not in response.headers
