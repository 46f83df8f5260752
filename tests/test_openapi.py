"""The OpenAPI document: it is the committed one, and the server does what it says."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from gouache.contract import read
from gouache.errors import GouacheError
from gouache.records import NewStub, NewStubpost, NewTask
from gouache.web.app import openapi
from gouache.web.pages import EXAMPLES, SERVER, operations
from tests.served import served

ROOT = Path(__file__).parents[1]
KEY = "a-key-of-more-than-16-letters"
DOCUMENT = openapi()
OPERATIONS = {
    operation["operationId"]: operation
    for methods in DOCUMENT["paths"].values()
    for operation in methods.values()
}


def test_the_committed_document_is_that_of_the_routes():
    assert json.loads((ROOT / "docs" / "openapi.json").read_text()) == DOCUMENT


def test_operations_are_named_by_words():
    assert len(OPERATIONS) >= 15
    assert [name for name in OPERATIONS if not re.fullmatch(r"[a-z]+(_[a-z]+)+", name)] == []


def test_every_error_is_described_with_the_one_body():
    body = {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorBody"}}}
    for name, operation in OPERATIONS.items():
        errors = {s: a for s, a in operation["responses"].items() if s >= "400"}
        assert {"401", "421", "500", "503"} <= errors.keys(), name
        assert all(answer["content"] == body for answer in errors.values()), name
        for code in re.findall(r"`(\w+)`:", str(errors)):
            assert code in known_codes(), code


def known_codes(root=GouacheError):
    return {root.code}.union(*(known_codes(child) for child in root.__subclasses__()))


def test_every_reference_leads_somewhere():
    names = set(re.findall(r"#/components/schemas/(\w+)", json.dumps(DOCUMENT)))
    assert names <= DOCUMENT["components"]["schemas"].keys()
    assert len(names) >= 15


def test_the_examples_of_bodies_are_good_ones():
    models = {"create_stub": NewStub, "add_stubpost": NewStubpost, "submit_task": NewTask}
    for name, model in models.items():
        content = OPERATIONS[name]["requestBody"]["content"]["application/json"]
        for example in content["examples"].values():
            read(model, example["value"])


def test_only_a_server_with_a_key_asks_for_one():
    assert DOCUMENT["security"] == [{"key": []}]
    assert DOCUMENT["paths"]["/health"]["get"]["security"] == []
    assert "security" not in openapi(secured=False)


def test_the_commands_of_the_page_do_what_they_say(tmp_path):
    """Each is sent as curl would, to records that exist; the cancelled task is another one."""
    told = {"webhook_url": "http://127.0.0.1:9/", "webhook_private_networks": True}
    with served(tmp_path, **told) as server, server.client() as client:
        stubref = client.post("/stubs", json={}).json()["stubref"]
        there = f"/stubs/{stubref}/stubposts"
        task = {"tasktype": "generate_image", "params": {"prompt": "x"}}
        post = client.post(there, json={"tasks": {"x": task}}, headers={"Prefer": "wait=30"}).json()
        real = {
            "stubref": stubref,
            "stubpostuuid": post["stubpostuuid"],
            "taskuuid": post["tasks"]["x"]["taskuuid"],
            "fileuuid": post["tasks"]["x"]["payload"]["image"]["fileuuid"],
        }
        for operation in operations(DOCUMENT):
            if operation.path.endswith("/cancel"):
                slow = task | {"params": {"prompt": "x", "model": "fake-slow"}}
                real["taskuuid"] = client.post("/tasks", json=slow).json()["taskuuid"]
            response = run(client, operation.command, real)
            documented = DOCUMENT["paths"][operation.path][operation.method.lower()]["responses"]
            assert response.status_code < 300, operation.command
            assert str(response.status_code) in documented, operation.command


def run(client, command, real):
    """Send what a curl command would."""
    program, *words, address = shlex.split(command)
    assert program == "curl"
    path = address.removeprefix(SERVER)
    for name, value in real.items():
        path = path.replace(EXAMPLES[name], value)
    if "--json" in words:
        body = json.loads(words[words.index("--json") + 1])
        return client.post(path, json=body)
    if "-X" in words:
        return client.request(words[words.index("-X") + 1], path)
    return client.request("HEAD" if "--head" in words else "GET", path)


@pytest.mark.slow
@pytest.mark.parametrize("key", [KEY, None], ids=["with a key", "without"])
def test_schemathesis_finds_nothing(tmp_path, key):
    """It sends what the document allows and what it does not, and holds every answer against it."""
    phases = "examples,coverage,fuzzing,stateful" if key else "fuzzing,stateful"
    with served(tmp_path, api_key=key) as server:
        command = [sys.executable, "-m", "schemathesis.cli"]
        command += ["--config-file", str(ROOT / "tests" / "fixtures" / "schemathesis.toml")]
        command += ["run", f"{server.url}/openapi.json", "--no-color", "--phases", phases]
        command += ["--max-examples", "30", "--request-timeout", "60", "--continue-on-failure"]
        command += ["-H", f"Authorization: Bearer {key}"] if key else []
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=600)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    tested = re.search(r"(\d+) generated, (\d+) passed", done.stdout)
    assert tested, done.stdout[-2000:]
    assert int(tested[1]) == int(tested[2]) >= (500 if key else 100)
