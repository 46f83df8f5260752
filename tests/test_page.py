"""The page for people, as it is served: what is on it, and what every page keeps to."""

import hashlib
import json
import re
import shlex
from pathlib import Path

import pytest

from gouache.errors import DatabaseUnavailable
from gouache.web.page import assets
from gouache.web.page.feed import POSTS
from tests.page_reading import Page
from tests.served import served

PINNED = {
    "htmx.min.js": "a0abb04f2f45a1f89d1d4844023245537e5e6014c87b144553e0607b4cc32130",
    "hx-sse.min.js": "18ef2761356ec1fe0bb6d92612315b37517a7c1e9856b661c5ae81fef239d103",
}
"""htmx.org 4.0.1, dist/htmx.min.js and dist/ext/hx-sse.min.js."""

MOST_BYTES = 100_000
RUDE = "<script>alert(1)</script> & 'a' \"cat\" {% raw %} <hx-partial>"
WAIT = {"Prefer": "wait=30"}


def task(prompt, **params):
    return {"tasktype": "generate_image", "params": {"prompt": prompt, **params}}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with served(tmp_path_factory.mktemp("page")) as server:
        yield server


@pytest.fixture(scope="module")
def client(server):
    with server.client() as client:
        yield client


@pytest.fixture(scope="module")
def stubref(client):
    """A stub with a note, a task that is done, one that failed, and one without a stubpost."""
    stub = client.post("/stubs", json={"state": "welcome", "data": {"user": {"name": RUDE}}}).json()
    posts = f"/stubs/{stub['stubref']}/stubposts"
    client.post(posts, json={"action": "note", "message": RUDE})
    client.post(posts, json={"tasks": [task(f"A red car {RUDE}")]}, headers=WAIT)
    client.post(posts, json={"tasks": [task("A pipe", model="fake-refusing")]}, headers=WAIT)
    lone = task("A lighthouse", size="1792x1024") | {"stubref": stub["stubref"]}
    client.post("/tasks", json=lone, headers=WAIT)
    return stub["stubref"]


@pytest.fixture(scope="module")
def taskuuid(client):
    return client.post("/tasks", json=task(f"A tall {RUDE}"), headers=WAIT).json()["taskuuid"]


@pytest.fixture(scope="module")
def pages(client, stubref, taskuuid):
    """Every kind of page, by its address."""
    paths = [
        "/ui",
        f"/ui/stubs/{stubref}",
        f"/ui/tasks/{taskuuid}",
        "/ui/gallery",
        "/ui/nowhere",
        "/ui/stubs/2026-11-24-AAAA-0000",
    ]
    return {path: client.get(path) for path in paths}


def test_every_page_loads_nothing_from_elsewhere_and_has_nothing_inline(pages):
    for path, response in pages.items():
        policy = response.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy, path
        assert "frame-ancestors 'none'" in policy and "form-action 'self'" in policy
        assert response.headers["referrer-policy"] == "same-origin"
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["cache-control"] == "no-store"
        page = Page(response.text)
        for element in page.elements:
            assert "style" not in element.attributes, (path, element.tag)
            assert not [name for name in element.attributes if name.startswith("on")], path
            for name in ("src", "href", "action", "hx-get", "hx-post", "hx-sse:connect"):
                assert element.get(name, "/")[:1] in ("/", "#", "?"), (path, element.attributes)
                assert not element.get(name, "/").startswith("//")
        assert [one.tag for one in page.elements if one.tag == "style"] == []
        assert all(script.get("src") for script in page.all("script")), path


def test_every_page_can_be_read_by_a_screen_reader(pages):
    for path, response in pages.items():
        page = Page(response.text)
        assert page.one("html")["lang"] == "en"
        assert page.one("title").text.endswith(" · Gouache"), path
        page.one("main"), page.one("h1")
        assert page.one("a", href="#main", **{"class": "skip"})
        ids = [one["id"] for one in page.elements if "id" in one.attributes]
        assert len(ids) == len(set(ids)), path
        levels = [int(one.tag[1]) for one in page.elements if re.fullmatch("h[1-6]", one.tag)]
        assert all(b <= a + 1 for a, b in zip(levels, levels[1:], strict=False)), (path, levels)
        labelled = {label["for"] for label in page.all("label")}
        for tag in ("input", "textarea", "select"):
            for one in page.all(tag):
                assert one.get("type") == "hidden" or one["id"] in labelled, (path, one.attributes)
        for image in page.all("img"):
            assert "alt" in image.attributes and image.get("height"), (path, image.attributes)
        for button in page.all("button"):
            assert button.text.strip(), path


def test_what_users_write_is_text_on_every_page(pages):
    seen = 0
    for path, response in pages.items():
        assert "<script>alert" not in response.text, path
        assert "<hx-partial" not in response.text, path
        seen += "&lt;script&gt;alert(1)" in response.text
    assert seen >= 4


def test_the_first_page_has_the_form_the_stubs_and_the_single_pictures(pages, stubref, taskuuid):
    page = Page(pages["/ui"].text)
    form = page.form("/ui/tasks")
    assert form | {"key": ""} == {
        "key": "",
        "prompt": "",
        "size": "1024x1024",
        "quality": "standard",
        "model": "built-in/dall-e-3",
        "stub": "none",
        "style": "",
        "filename": "",
        "seed": "",
        "post": "yes",
    }
    options = [one["value"] for one in page.all("option")]
    assert {"built-in/fake-1", "1024x1792", "hd", "new", stubref, "cartoon"} <= set(options)
    assert "5 posts" in page.text() and "welcome" in page.text()
    links = [link["href"] for link in page.all("a")]
    assert f"/ui/stubs/{stubref}" in links and f"/ui/tasks/{taskuuid}" in links
    assert "/ui/gallery" in links


def test_a_stub_is_shown_as_a_conversation(pages, stubref, server):
    page = Page(pages[f"/ui/stubs/{stubref}"].text)
    entries = page.one("ol", id="feed")
    shown = [one["id"] for one in entries.inside if one.tag == "li" and "id" in one.attributes]
    posts = server.service.stub(stubref).stubposts
    lone = [one for one in server.service.tasks(stubref=stubref).items if not one.stubpostuuid]
    happened = [(post.created, f"post-{post.stubpostuuid}") for post in posts]
    happened += [(one.created, f"lone-{one.taskuuid}") for one in lone]
    assert shown == [address for _, address in sorted(happened)]
    text = page.text()
    for words in (
        RUDE,
        "A task without a post",
        "Done",
        "Failed",
        "fake-1 (asked for as dall-e-3)",
        "Seed",
        "the fake engine draws a pattern, not what the prompt says",
        "Words without influence",
        "the model fake-refusing draws no prompt",
        "Write the prompt in other words",
        "As JSON or curl",
    ):
        assert words in text, words
    pictures = [one["alt"] for one in page.all("img") if "/files/" in one["src"]]
    assert len(pictures) == 4 and all(pictures)


def test_the_payload_is_on_the_page_of_a_task_and_a_click_away_on_its_stub(client, pages, stubref):
    page = Page(pages[f"/ui/stubs/{stubref}"].text)
    pieces = [one["hx-get"] for one in page.all("details") if "hx-get" in one.attributes]
    piece = next(one for one in pieces if one.endswith("/payload"))
    shown = Page(client.get(piece, headers={"HX-Request": "true"}).text).one("pre").text
    assert json.loads(shown)["response"]["model"] == "fake-1"
    alone = piece.removesuffix("/payload")
    assert [link for link in page.all("a") if link["href"] == alone]
    pres = [one.text for one in Page(client.get(alone).text).all("pre")]
    assert [json.loads(one)["request"] for one in pres] == [json.loads(shown)["request"]]


def test_a_long_history_is_shown_in_parts(client):
    stubref = client.post("/stubs", json={}).json()["stubref"]
    for i in range(30):
        client.post(f"/stubs/{stubref}/stubposts", json={"message": f"message {i:02}"})
    seen, path, parts = [], f"/ui/stubs/{stubref}", 0
    while path:
        page = Page(client.get(path).text)
        seen = re.findall(r"message \d\d", page.text()) + seen
        earlier = [link["href"] for link in page.all("a") if link.text == "Earlier posts"]
        path = f"/ui/stubs/{stubref}{earlier[0]}" if earlier else None
        parts += 1
    assert seen == [f"message {i:02}" for i in range(30)]
    assert parts == 3


def test_the_list_of_stubs_is_shown_in_parts_and_only_where_it_is_new(client, server):
    for _ in range(15):
        client.post("/stubs", json={})
    page = Page(client.get("/ui").text)
    older = next(link["href"] for link in page.all("a") if link.text == "Older stubs")
    assert len(page.one("ul", **{"class": "stubs"}).inside) > 20
    assert "Newest stubs" in client.get(older).text
    again = page.one("div", id="lists")["hx-get"]
    script = {"HX-Request": "true"}
    assert client.get(again, headers=script).status_code == 204
    client.post("/stubs", json={})
    response = client.get(again, headers=script)
    assert response.status_code == 200
    assert response.text.lstrip().startswith('<div id="lists"')


def test_what_is_not_there_is_said_in_words(pages, client, stubref):
    for path in ("/ui/nowhere", "/ui/stubs/2026-11-24-AAAA-0000"):
        assert pages[path].status_code == 404
        assert "<h1>Not found</h1>" in pages[path].text
    unknown = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
    for path in (f"/ui/tasks/{unknown}", "/ui/tasks/x", "/ui/stubs/x"):
        response = client.get(path)
        assert response.status_code == 404
        assert response.headers["content-type"].startswith("text/html")
    assert client.get(f"/ui/stubs/{stubref}?before=x").status_code == 400
    assert client.get("/ui?after=x").status_code == 400
    assert client.get("/ui/tasks").status_code == 405
    script = client.get("/ui/nowhere", headers={"HX-Request": "true"})
    assert (script.status_code, script.headers["hx-retarget"]) == (404, "#trouble")
    assert script.text.startswith("<p>Nothing is at this address")


def test_a_database_that_is_away_and_a_bug_are_said_in_words(server, client, monkeypatch):
    def away(**part):
        raise DatabaseUnavailable("host db.internal is away")

    monkeypatch.setattr(server.service, "stubs", away)
    response = client.get("/ui")
    assert response.status_code == 503
    assert "<h1>Not available</h1>" in response.text and "db.internal" not in response.text
    monkeypatch.setattr(server.service, "stubs", lambda **part: 1 / 0)
    response = client.get("/ui")
    assert response.status_code == 500
    assert "Something failed inside the server" in response.text
    assert "division" not in response.text


def test_the_script_of_others_is_the_pinned_one_and_its_licence_is_named():
    for name, digest in PINNED.items():
        assert hashlib.sha256(assets.assets()[name].content).hexdigest() == digest
    notice = (Path(__file__).parents[1] / "NOTICE").read_text()
    assert "htmx 4.0.1" in notice and "0BSD" in notice


def test_what_a_page_loads_is_kept_for_good_under_the_digest_of_its_content(pages, client):
    page = Page(pages["/ui"].text)
    addresses = [one["src"] for one in page.all("script")]
    addresses += [one["href"] for one in page.all("link")]
    assert len(addresses) == 5
    for address in addresses:
        response = client.get(address)
        assert response.status_code == 200, address
        assert "immutable" in response.headers["cache-control"]
        assert hashlib.sha256(response.content).hexdigest()[:16] in address
    assert client.get("/ui/static/0000000000000000/page.css").status_code == 404
    assert client.get("/ui/static/x/../../pages.py").status_code == 404


def test_a_first_view_is_small(pages, client):
    stubref = client.post("/stubs", json={}).json()["stubref"]
    unposted = task("A cat " * 20, disable_model_response=True)
    for _ in range(POSTS):
        client.post(f"/stubs/{stubref}/stubposts", json={"tasks": [unposted]}, headers=WAIT)
    for path in (*list(pages)[:4], f"/ui/stubs/{stubref}"):
        response = client.get(path)
        page = Page(response.text)
        addresses = {one["src"] for one in page.all("script")}
        addresses |= {one["href"] for one in page.all("link")}
        sizes = [len(client.get(address).content) for address in addresses]
        assert sum(sizes) + len(response.content) < MOST_BYTES, path


def test_below_a_path_every_address_of_ours_begins_with_it(server, pages):
    public = "https://pictures.example/gouache/"
    folder = server.service.settings.data_dir
    with served(folder, start=False, public_url=public) as other, other.client() as client:
        for path in pages:
            elements = Page(client.get(path).text).elements
            assert len(elements) > 20
            for element in elements:
                for name in ("src", "href", "action", "hx-get", "hx-post", "hx-sse:connect"):
                    address = element.get(name, "#")
                    assert address.startswith(("/gouache/", "#")), (path, element.attributes)
        root = client.get("/", headers={"Accept": "text/html"})
        assert root.headers["location"] == "/gouache/ui"


def test_the_command_is_quoted_and_names_the_variable_of_the_key_only(tmp_path):
    key = "a-key-of-more-than-16-letters"
    prompt = 'it\'s "$HOME" `id` \\ !\n; rm -rf / & é'
    headers = {"Authorization": f"Bearer {key}"}
    with (
        served(tmp_path, start=False, api_key=key) as server,
        server.client(headers=headers) as client,
    ):
        taskuuid = client.post("/tasks", json=task(prompt)).json()["taskuuid"]
        page = Page(client.get(f"/ui/tasks/{taskuuid}").text)
    command = page.one("textarea", id=f"curl-{taskuuid}").text
    assert key not in command
    words = shlex.split(command)
    assert words[:2] == ["curl", "--json"]
    assert json.loads(words[2])["params"]["prompt"] == prompt
    assert words[3:5] == ["-H", "Authorization: Bearer $GOUACHE_API_KEY"]
    assert '"Authorization: Bearer $GOUACHE_API_KEY"' in command
    assert words[5] == f"{server.url}/tasks"
    assert json.loads(page.one("textarea", id=f"json-{taskuuid}").text) == json.loads(words[2])


def test_the_pages_are_not_in_the_document_of_the_http_api(client):
    paths = client.get("/openapi.json").json()["paths"]
    assert [path for path in paths if path == "/" or path.startswith("/ui")] == []
