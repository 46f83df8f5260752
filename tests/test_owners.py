"""Owners: what was made with one key is not there for another, by no address, reference or list."""

import asyncio
import hashlib
import re
from pathlib import Path
from types import SimpleNamespace

import httpx2
import pytest

import gouache.web
from gouache.contract import BUILT_IN_GATEWAY
from gouache.web.access import Gate
from gouache.web.app import create_app, routes
from tests.served import served, until

KEYS = {
    "house": "the-key-of-the-house-itself",
    "ada": "a-key-that-is-ada-s-alone",
    "bob": "a-key-that-is-bob-s-alone",
}
ROWS = {
    name: {"sha256": hashlib.sha256(KEYS[name].encode()).hexdigest()} for name in ("ada", "bob")
}
GATEWAY = {"taskapigatewayuuid": BUILT_IN_GATEWAY, "engine": "fake", "concurrency": 4}
PRICED = {"prices": {"fake-1": {"image_usd": "0.04"}}}
WORD = "Ocelot"
MISSING = {
    "stubref": "2020-01-01-NONE-NONE",
    "stubpostuuid": "00000000-0000-4000-8000-00000000000a",
    "taskuuid": "00000000-0000-4000-8000-00000000000b",
    "fileuuid": "00000000-0000-4000-8000-00000000000c",
}
FORM = {"key": "k" * 20, "model": "paid/fake-1", "prompt": "A cat", "seed": ""}
NAMED = {  # what is sent to the routes that are named by what they lead to, where anything is
    ("POST", "/stubs/{stubref}/stubposts"): {"json": {"action": "note"}},
    ("GET", "/ui/stubs/{stubref}/live"): {"params": {"mark": "0__"}},
    ("POST", "/ui/tasks/{taskuuid}/cancel"): {"data": {}},
    ("POST", "/ui/tasks/{taskuuid}/repeat"): {"data": {"key": "k" * 20, "seed": "same"}},
    ("POST", "/tasks/{taskuuid}/cancel"): {},
    ("POST", "/tasks/{taskuuid}/webhook"): {},
}
REFERRING = {  # what refers to another's in the bodies of all other routes that take one
    "/stubs": lambda ids: {"json": {"attachments": [ids["fileuuid"]]}},
    "/tasks": lambda ids: {"json": draw(stubref=ids["stubref"])},
    "/v1/images/generations": lambda ids: {"json": {"prompt": "x", "stubref": ids["stubref"]}},
    "/openai/v1/images/generations": lambda ids: REFERRING["/v1/images/generations"](ids),
    "/openai/deployments/{model:path}/images/generations": lambda ids: REFERRING[
        "/v1/images/generations"
    ](ids),
    "/ui/tasks": lambda ids: {"data": FORM | {"stub": ids["stubref"]}},
    "/mcp": lambda ids: {
        "json": {
            "jsonrpc": "2.0",
            "id": 1,
            "method": "tools/call",
            "params": {
                "name": "generate_image",
                "arguments": {"prompt": "x", "stubref": ids["stubref"]},
            },
        }
    },
}
WITHOUT_OWNERS = ("/ui/static/", "/v1/models/", "/openai/v1/models/", "/ui/login", "/ui/logout")
"""What these are named by, or are sent, leads to nothing that anybody owns."""


def draw(prompt="A cat", *, stubref=None, **params):
    task = {"tasktype": "generate_image", "params": {"prompt": prompt} | params}
    return task | ({"stubref": stubref} if stubref else {})


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with served(
        tmp_path_factory.mktemp("owners"),
        api_key=KEYS["house"],
        keys=ROWS,
        gateways={"paid": GATEWAY | PRICED},
        webhook_private_networks=True,
    ) as server:
        yield server


def client_of(server, name):
    headers = {"Authorization": f"Bearer {KEYS[name]}", "Origin": server.url}
    return server.client(headers=headers, follow_redirects=False)


@pytest.fixture(scope="module")
def ada(server):
    with client_of(server, "ada") as client:
        yield client


@pytest.fixture(scope="module")
def bob(server):
    with client_of(server, "bob") as client:
        yield client


@pytest.fixture(scope="module")
def house(server):
    with client_of(server, "house") as client:
        yield client


def posted(client, stubref, **tasks):
    """Post tasks on a stub and wait for their ends; return the stubpost."""
    post = {"action": "note", "tasks": tasks}
    path = f"/stubs/{stubref}/stubposts"
    answer = client.post(path, json=post, headers={"Prefer": "wait=30"})
    assert answer.status_code == 201, answer.text
    return answer.json()


def made_by(client, word):
    """Make what an owner can have; return the names that lead to it, and a signed link."""
    stub = client.post("/stubs", json={"data": {"word": word}, "state": word}).json()
    picture = draw(f"{word}, a cat", seed=1) | {"webhook": "http://127.0.0.1:9/told"}
    page = f"<p>{word}</p>"
    post = posted(
        client,
        stub["stubref"],
        picture=picture,
        text={"tasktype": "upload_file", "params": {"filename": "a.html", "html": page}},
    )
    drawn = post["tasks"]["picture"]
    assert drawn["success"] and post["tasks"]["text"]["success"], post
    return SimpleNamespace(
        ids={
            "stubref": stub["stubref"],
            "stubpostuuid": post["stubpostuuid"],
            "taskuuid": drawn["taskuuid"],
            "fileuuid": drawn["payload"]["image"]["fileuuid"],
        },
        html=post["tasks"]["text"]["payload"]["fileuuid"],
        link=drawn["payload"]["response"]["data"][0]["url"],
    )


@pytest.fixture(scope="module")
def of_ada(ada):
    return made_by(ada, WORD)


@pytest.fixture(scope="module")
def of_bob(bob):
    return made_by(bob, "Badger")


def asked(client, method, path, ids, **sent):
    """Ask for a path with these names; return status and text, with the names left out."""
    there = re.sub(r"\{model:path\}", "fake-1", path).format(**ids)
    headers = {"Accept": "application/json, text/event-stream"} if path == "/mcp" else {}
    answer = client.request(method, there, headers=headers, **sent)
    text = answer.text
    for name, value in ids.items():
        text = text.replace(value, name)
    return answer.status_code, text


def methods_and_paths():
    found = {
        (method, route.path)
        for route in routes()
        for method in sorted(route.methods)
        if method != "HEAD" or route.path.startswith("/files")
    }
    assert len(found) > 40, "this test has stopped finding routes; mend it"
    return sorted(found)


IS_NAMED = re.compile(r"\{(stubref|stubpostuuid|taskuuid|fileuuid)\}")
ALL = methods_and_paths()
BY_NAME = [each for each in ALL if IS_NAMED.search(each[1])]
BY_REFERENCE = [("POST", path) for path in REFERRING if ("POST", path) in ALL]
LISTING = [
    (method, path)
    for method, path in ALL
    if method == "GET" and "{" not in path and not path.startswith(WITHOUT_OWNERS)
]
LISTS = {"/stubs", "/tasks", "/ui", "/ui/gallery"}


def test_every_route_is_walked_or_said_to_lead_to_nothing_owned():
    walked = {*BY_NAME, *BY_REFERENCE, *LISTING}
    assert [
        each for each in ALL if each not in walked and not each[1].startswith(WITHOUT_OWNERS)
    ] == []
    assert len(BY_NAME) > 15
    assert len(BY_REFERENCE) == len(REFERRING)
    assert {path for _, path in LISTING} >= LISTS


@pytest.mark.parametrize(("method", "path"), BY_NAME)
def test_nobody_reaches_what_is_another_s_by_any_route(bob, of_ada, of_bob, method, path):
    """Nor is it told from what there is not."""
    assert method != "POST" or (method, path) in NAMED, f"say what to send to {path}"
    sent = NAMED.get((method, path), {})
    found = asked(bob, method, path, of_ada.ids, **sent)
    assert found[0] == 404
    assert found == asked(bob, method, path, MISSING, **sent)
    if "{stubpostuuid}" in path:
        on_own = of_ada.ids | {"stubref": of_bob.ids["stubref"]}
        assert asked(bob, method, path, on_own)[0] == 404


@pytest.mark.parametrize(("method", "path"), BY_REFERENCE)
def test_nobody_refers_to_what_is_another_s_in_any_body(bob, of_ada, method, path):
    found, missing = (
        asked(bob, method, path, ids, **REFERRING[path](ids)) for ids in (of_ada.ids, MISSING)
    )
    assert re.search("stub_not_found|file_not_found|there is no stub", found[1])
    assert found[0] == (200 if path == "/mcp" else 404)
    assert _without_keys(found) == _without_keys(missing)


def _without_keys(found):
    """Leave out of a page the keys of its forms, which are made anew each time."""
    status, text = found
    return status, re.sub(r'name="key" value="[^"]*"', "", text)


@pytest.mark.parametrize(("method", "path"), LISTING)
def test_nothing_of_another_is_listed_anywhere(bob, of_ada, of_bob, method, path):
    text = bob.get(path).text
    assert [said for said in (WORD, *of_ada.ids.values()) if said in text] == []


def test_no_query_finds_anything_of_another(ada, bob, of_ada):
    for path, query in (
        ("/tasks", {"stubref": of_ada.ids["stubref"]}),
        ("/ui/gallery", {"q": WORD}),
    ):
        mine, theirs = ada.get(path, params=query).text, bob.get(path, params=query).text
        assert of_ada.ids["fileuuid"] in mine
        assert of_ada.ids["fileuuid"] not in theirs
    assert bob.get("/tasks", params={"stubref": of_ada.ids["stubref"]}).json() == {"items": []}


@pytest.mark.parametrize("path", sorted(LISTS))
def test_each_finds_one_s_own_in_lists_and_the_house_finds_all(
    ada, bob, house, of_ada, of_bob, path
):
    own = {"/stubs": "stubref", "/ui": "stubref", "/ui/gallery": "fileuuid"}.get(path, "taskuuid")
    mine, theirs = of_ada.ids[own], of_bob.ids[own]
    assert mine in ada.get(path).text and theirs not in ada.get(path).text
    assert theirs in bob.get(path).text and mine not in bob.get(path).text
    text = house.get(path).text
    assert mine in text and theirs in text


def test_one_s_own_and_the_house_reach_everything(ada, house, of_ada):
    """Else the walk would find nothing for another reason."""
    for method, path in methods_and_paths():
        if method in ("GET", "HEAD") and IS_NAMED.search(path) and not path.endswith("/live"):
            sent = NAMED.get((method, path), {})
            for client in (ada, house):
                assert asked(client, method, path, of_ada.ids, **sent)[0] == 200, path


def test_whoever_has_a_link_may_read_that_file(server, bob, of_ada):
    path = of_ada.link.removeprefix(server.url)
    with server.client() as anybody:
        assert anybody.get(path).content[:4] == b"\x89PNG"
        assert anybody.get(path.replace("signature=", "signature=0")).status_code == 403
        assert anybody.get(f"/files/{of_ada.ids['fileuuid']}").status_code == 401
    assert bob.get(path).status_code == 200


def ended(client, task):
    answer = client.post("/tasks", json=task, headers={"Prefer": "wait=30"})
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize(
    ("tasktype", "params"),
    [
        ("get_file_details", {"fileuuid": "FILE"}),
        ("generate_pdf", {"text": "x", "images": ["FILE"]}),
        ("generate_pdf", {"html": '<img src="/files/FILE">'}),
        ("generate_pdf", {"pdftemplateuuid": "HTML"}),
        ("generate_image", {"prompt": "{{#file_url FILE}}{{/file_url}}"}),
        ("upload_file", {"filename": "a.txt", "text": "{{#file_link FILE}}{{/file_link}}"}),
    ],
)
def test_a_task_reaches_no_file_of_another(ada, bob, of_ada, tasktype, params):
    def said(client, file, html):
        text = {n: _put(value, file, html) for n, value in params.items()}
        task = ended(client, {"tasktype": tasktype, "params": text})
        return task["state"], task.get("error", {}).get("code"), str(task.get("error"))

    theirs = said(bob, of_ada.ids["fileuuid"], of_ada.html)
    none = said(bob, MISSING["fileuuid"], MISSING["fileuuid"])
    assert theirs[:2] == ("failed", "file_not_found")
    for name in (of_ada.ids["fileuuid"], of_ada.html):
        theirs = (*theirs[:2], theirs[2].replace(name, MISSING["fileuuid"]))
    assert theirs == none
    assert said(ada, of_ada.ids["fileuuid"], of_ada.html)[0] == "succeeded"


def _put(value, file, html):
    if isinstance(value, list):
        return [_put(one, file, html) for one in value]
    return value.replace("FILE", file).replace("HTML", html)


def test_a_task_on_one_s_stub_attaches_and_fills_in_no_file_of_another(ada, bob, of_ada, of_bob):
    attach = {"tasktype": "attach_file", "params": {"fileuuid": of_ada.ids["fileuuid"]}}
    template = f"<p>{{{{#file_url {of_ada.ids['fileuuid']}}}}}{{{{/file_url}}}}</p>"
    filled = {"tasktype": "upload_file", "params": {"filename": "b.html", "html": "~~stub.data.t"}}
    post = posted(bob, of_bob.ids["stubref"], attach=attach)
    assert post["tasks"]["attach"]["error"]["code"] == "file_not_found"
    assert bob.get(f"/stubs/{of_bob.ids['stubref']}").json()["attachments"] == []
    stub = bob.post("/stubs", json={"data": {"t": template}}).json()["stubref"]
    assert posted(bob, stub, filled=filled)["tasks"]["filled"]["success"]  # no block any more
    assert bob.post("/stubs", json={"attachments": [of_bob.ids["fileuuid"]]}).status_code == 201
    assert posted(ada, of_ada.ids["stubref"], attach=attach)["tasks"]["attach"]["success"]


def test_a_document_is_filled_in_with_no_link_to_a_file_of_another(ada, bob, of_ada):
    page = f"<p>{{{{#file_url {of_ada.ids['fileuuid']}}}}}{{{{/file_url}}}}</p>"
    raw = "{{{{skip}}}}" + page + "{{{{/skip}}}}"
    for client, state in ((bob, "failed"), (ada, "succeeded")):
        params = {"filename": "t.html", "html": raw}
        stored = ended(client, {"tasktype": "upload_file", "params": params})
        params = {"pdftemplateuuid": stored["payload"]["fileuuid"], "data": {"a": 1}}
        assert ended(client, {"tasktype": "generate_pdf", "params": params})["state"] == state


def test_an_idempotency_key_is_one_s_own(ada, bob, house):
    once = {"Idempotency-Key": "the same for all"}
    for body in (draw("An owl"), draw("An eagle")):
        first = {c: c.post("/tasks", json=body, headers=once) for c in (ada, bob, house)}
        if body == draw("An owl"):
            found = [answer.json()["taskuuid"] for answer in first.values()]
            assert len(set(found)) == 3
            again = ada.post("/tasks", json=body, headers=once).json()["taskuuid"]
            assert again == found[0]
        else:
            codes = {answer.json()["error"]["code"] for answer in first.values()}
            assert codes == {"idempotency_key_reused"}


def test_a_repeated_call_of_openai_leads_to_one_s_own(server):
    seen = [server.service.seen_by(name) for name in ("ada", "bob", None)]
    for number, service in enumerate(seen):
        service._once(f"openai x {number}", "test", _Empty(), lambda: None, lambda *_: "made")
    found = [service.recent_key("openai x ", seconds=60) for service in seen]
    assert found == ["openai x 0", "openai x 1", "openai x 2"]


class _Empty:
    def model_dump(self, **_):
        return {}


def test_a_stubref_that_is_taken_is_refused_without_telling_by_whom(ada, bob, house, of_ada):
    for client in (bob, house, ada):
        answer = client.post("/stubs", json={"stubref": of_ada.ids["stubref"]})
        assert answer.status_code == 409
        error = answer.json()["error"]
        assert error["message"] == f"there is a stub {of_ada.ids['stubref']}"
        assert "ada" not in answer.text


def test_nobody_gets_the_picture_of_another_from_the_cache(ada, bob, house):
    task = draw("A lighthouse", seed=5)

    def drawn(client):
        response = ended(client, task)["payload"]["response"]
        return response.get("cached_from")

    assert [drawn(client) for client in (ada, bob, house)] == [None, None, None]
    assert None not in [drawn(client) for client in (ada, bob, house)]
    template = draw("~~org.prompt", seed=5)
    assert ended(bob, template)["state"] == "failed"  # nothing of the settings is there


def test_what_the_house_puts_on_a_stub_belongs_to_the_owner_of_the_stub(ada, bob, house, of_ada):
    post = posted(house, of_ada.ids["stubref"], picture=draw("A pier"))
    task = post["tasks"]["picture"]
    image = task["payload"]["image"]["fileuuid"]
    for client, status in ((ada, 200), (house, 200), (bob, 404)):
        assert client.get(f"/tasks/{task['taskuuid']}").status_code == status
        assert client.get(f"/files/{image}").status_code == status
    stored = {"tasktype": "upload_file", "params": {"filename": "h.txt", "text": "h"}}
    own = ended(house, stored)["payload"]["fileuuid"]
    path = f"/stubs/{of_ada.ids['stubref']}/stubposts"
    answer = house.post(path, json={"action": "note", "attachments": [own]})
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "file_not_found")
    own = house.post("/tasks", json=draw(stubref=of_ada.ids["stubref"])).json()["taskuuid"]
    assert ada.get(f"/tasks/{own}").status_code == 200


def test_what_the_house_repeats_stays_its_owner_s(server, ada, bob, of_ada):
    single = ended(ada, draw("A swan"))
    again = server.service.repeat(single["taskuuid"], new_seed=True)
    assert ada.get(f"/tasks/{again.taskuuid}").status_code == 200
    assert bob.get(f"/tasks/{again.taskuuid}").status_code == 404


def test_waiting_for_another_s_task_tells_nothing(server, ada):
    slow = ada.post("/tasks", json=draw(model="fake-slow", quality="hd")).json()["taskuuid"]
    bob = server.service.seen_by("bob")
    assert asyncio.run(bob.wait([slow], 5))
    assert asyncio.run(bob.wait([MISSING["taskuuid"]], 5))
    assert not asyncio.run(server.service.seen_by("ada").wait([slow], 0.1))
    assert ada.post(f"/tasks/{slow}/cancel").status_code == 200


def test_a_call_of_mcp_is_cancelled_by_nobody_else(server, ada, bob):
    """Not with the same name of a session and the same number of a call either."""
    named = {"Accept": "application/json, text/event-stream", "Mcp-Session-Id": "same"}
    prompt = "A whale, slowly"
    call = REFERRING["/mcp"](MISSING)["json"]
    call["params"]["arguments"] = {"prompt": prompt, "model": "fake-slow", "quality": "hd"}
    cancel = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}

    def state():
        found = [task for task in ada.get("/tasks").json()["items"] if prompt in str(task)]
        return found[0]["state"] if found else None

    with (
        server.client(headers=ada.headers) as other,
        other.stream("POST", "/mcp", json=call, headers=named),
    ):
        until(lambda: state() == "running")
        assert bob.post("/mcp", json=cancel, headers=named).status_code == 202
        assert state() == "running"
        assert ada.post("/mcp", json=cancel, headers=named).status_code == 202
        until(lambda: state() == "cancelled")


def test_each_reads_the_usage_of_its_own_key(ada, bob, house):
    for client, prompt in ((ada, "A fox"), (ada, "A hare"), (bob, "A fox"), (house, "A fox")):
        assert ended(client, draw(prompt, model="fake-1", seed=99) | {"cache": False})["success"]
    own = ada.get("/usage").json()
    assert {item["key"] for item in own["items"]} == {"ada"}
    assert own["budgets"] == []
    assert own == ada.get("/usage", params={"key": "ada"}).json()
    theirs, none = (ada.get("/usage", params={"key": name}) for name in ("bob", "none"))
    assert theirs.status_code == none.status_code == 404
    assert theirs.text.replace("bob", "none") == none.text
    every = house.get("/usage").json()
    assert {item.get("key") for item in every["items"]} == {None, "ada", "bob"}
    of_bob = house.get("/usage", params={"key": "bob"}).json()
    assert of_bob["cost_usd"] == bob.get("/usage").json()["cost_usd"]


def test_routes_ask_the_service_as_the_caller_sees_it():
    """What the parts of the service can be asked past it, a route must not ask."""
    found = list(Path(gouache.web.__file__).parent.rglob("*.py"))
    past = re.compile(r"\bservice\.(spending|webhooks|work|_\w+)\b|state\.service\.(?!settings)")
    assert len(found) > 20
    for path in found:
        assert not past.search(path.read_text()), path


def test_without_a_caller_in_the_scope_nothing_is_answered(server):
    """The gate says who calls; a request that went past it finds no service."""
    app = create_app(server.service)
    app.user_middleware = [each for each in app.user_middleware if each.cls is not Gate]
    transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)

    async def get():
        async with httpx2.AsyncClient(transport=transport, base_url=server.url) as client:
            return await client.get("/stubs")

    assert asyncio.run(get()).status_code == 500
