"""Variants over HTTP: by key or signed link, only where changed, named rightly, few at a time."""

import io
import threading
from email.message import Message

import pytest
from PIL import Image

from gouache.errors import EngineRateLimited
from gouache.variants import CONTENT_TYPES, EXTENSIONS, Rendered, Variant
from gouache.web.variants import MAX_AT_ONCE, MAX_KEPT_BYTES, MAX_WAITING, Shelf, parameters
from tests.served import served

KEY = "a-key-of-more-than-16-letters"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with served(tmp_path_factory.mktemp("variants"), api_key=KEY) as server:
        yield server


@pytest.fixture(scope="module")
def client(server):
    with server.client(headers={"Authorization": f"Bearer {KEY}"}) as client:
        yield client


@pytest.fixture(scope="module")
def stranger(server):
    with server.client() as client:
        yield client


@pytest.fixture(scope="module")
def drawn(client):
    params = {"prompt": "A white cat", "filename": "Käse v1.2.png"}
    body = {"tasktype": "generate_image", "params": params}
    task = client.post("/tasks", json=body, headers={"Prefer": "wait=30"}).json()
    return task["payload"]["response"]["data"][0]


@pytest.fixture(scope="module")
def path(drawn):
    return f"/files/{drawn['image']['fileuuid']}"


def opened(response):
    assert response.status_code == 200, response.text
    return Image.open(io.BytesIO(response.content))


def test_a_variant_has_the_size_and_format_asked_for(client, path):
    small = opened(client.get(path, params={"w": 64, "h": 32, "format": "webp"}))
    assert (small.size, small.format) == ((64, 32), "WEBP")
    round_one = opened(client.get(path, params={"w": 64, "circle": "true"}))
    assert (round_one.size, round_one.mode) == ((64, 64), "RGBA")
    assert opened(client.get(path)).size == (1024, 1024)


@pytest.mark.parametrize("form", [form for form in CONTENT_TYPES if form != "svg"])
def test_each_format_has_its_type_and_extension(client, path, form):
    response = client.get(path, params={"format": form})
    assert response.headers["content-type"] == CONTENT_TYPES[form]
    message = Message()
    message["Content-Disposition"] = response.headers["content-disposition"]
    shown = form in ("png", "jpeg", "webp")
    assert message.get_content_disposition() == ("inline" if shown else "attachment")
    name = response.headers["content-disposition"].partition("filename*=UTF-8''")[2]
    assert name == f"K%C3%A4se%20v1.2{EXTENSIONS[form]}"


def test_a_signed_link_is_good_for_variants_and_an_altered_one_for_none(stranger, drawn):
    assert opened(stranger.get(drawn["url"] + "&w=20")).size == (20, 20)
    for altered in (drawn["url"].replace("signature=", "signature=0"), drawn["url"][:-1]):
        assert stranger.get(altered + "&w=20").status_code == 403
    assert stranger.get(drawn["url"].partition("?")[0] + "?w=20").status_code == 401


def test_each_variant_has_an_entity_tag_of_its_own_and_stays_unsent(client, path):
    tags = {client.get(path, params=query).headers["etag"] for query in ({}, {"w": 20}, {"w": 21})}
    assert len(tags) == 3
    tag = client.get(path, params={"w": 20}).headers["etag"]
    assert client.get(path, params={"w": 20, "fit": "cover"}).headers["etag"] == tag
    for method in ("GET", "HEAD"):
        again = client.request(method, path, params={"w": 20}, headers={"If-None-Match": tag})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    assert client.get(path, params={"w": 21}, headers={"If-None-Match": tag}).status_code == 200


def test_the_headers_alone_are_those_of_the_variant(client, path):
    whole = client.get(path, params={"w": 33})
    head = client.head(path, params={"w": 33})
    assert (head.status_code, head.content) == (200, b"")
    for name in ("content-type", "content-length", "content-disposition", "etag", "last-modified"):
        assert head.headers[name] == whole.headers[name]
    assert int(head.headers["content-length"]) == len(whole.content)


def test_a_range_of_a_variant_is_the_whole_of_it(client, path):
    response = client.get(path, params={"w": 33}, headers={"Range": "bytes=0-1"})
    assert opened(response).size == (33, 33)


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ({"w": "0"}, "w"),
        ({"w": "9" * 5000}, "w"),
        ({"format": "exe"}, "format"),
        ({"format": "svg"}, "format"),
        ({"background": "transparent"}, "background"),
        ({"circle": "true", "format": "jpeg"}, "circle"),
        ({"format": "jpeg", "max_bytes": "1000"}, "max_bytes"),
        ({"w": "\x00"}, "w"),
    ],
)
def test_what_cannot_be_made_is_refused_by_name(client, path, query, param):
    response = client.get(path, params=query)
    assert response.status_code == 400
    assert response.json()["error"]["param"] == param


def test_names_that_mean_nothing_are_ignored_and_said(client, path):
    response = client.get(path, params={"w": 20, "utm_source": "mail", "formt": "x\r\n"})
    assert opened(response).size == (20, 20)
    assert response.headers.get_list("gouache-warning") == [
        "'utm_source' is not a parameter of a file and was ignored",
        "'formt' is not a parameter of a file and was ignored; did you mean format?",
    ]
    strange = client.get(path, params={"\r\nä": "1"})
    assert "gouache-warning" in strange.headers
    assert strange.headers["gouache-warning"].isascii()


def test_what_a_variant_says_comes_in_a_header(client, path):
    response = client.get(path, params={"w": 2100, "format": "webp", "quality": 1})
    assert response.headers["gouache-warning"].startswith("enlarged 2.1 times")


def test_there_is_no_variant_of_a_file_that_is_gone(client, server):
    missing = "/files/530cabeb-7ce7-57b1-ace3-d3795f4fa5bb"
    assert client.get(missing, params={"w": 20}).status_code == 404


def test_the_document_describes_every_parameter():
    described = {parameter["name"]: parameter for parameter in parameters()}
    assert described.keys() == Variant.model_fields.keys()
    for parameter in described.values():
        assert parameter["in"] == "query"
        assert parameter["description"]
        assert "type" in parameter["schema"]
        assert "null" not in str(parameter["schema"])
    assert described["w"]["schema"] == {"type": "integer", "minimum": 1, "maximum": 4096}


def rendered(size=10):
    return Rendered(b"x" * size, "image/png", ".png", 1, 1)


def test_a_variant_is_made_once_while_it_is_kept():
    shelf, made = Shelf(), []
    for tag in ("a", "b", "a", "b"):
        shelf.get(tag, lambda tag=tag: made.append(tag) or rendered())
    assert made == ["a", "b"]


def test_the_variants_used_last_are_kept():
    shelf, made = Shelf(), []
    third = MAX_KEPT_BYTES // 3 + 1
    for tag in ("a", "b", "a", "c", "a", "b"):
        shelf.get(tag, lambda tag=tag: made.append(tag) or rendered(third))
    assert made == ["a", "b", "c", "b"]
    assert shelf.get("large", lambda: rendered(MAX_KEPT_BYTES + 1)).width == 1
    shelf.get("large", lambda: made.append("large") or rendered())
    assert made[-1] == "large", "what is larger than all the room is not kept"


def test_few_variants_are_made_at_once_and_few_wait():
    shelf, go_on = Shelf(), threading.Event()
    running, most, refused = 0, 0, []
    lock = threading.Lock()

    def make():
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        go_on.wait(10)
        with lock:
            running -= 1
        return rendered()

    def ask(tag):
        try:
            shelf.get(tag, make)
        except EngineRateLimited as error:
            refused.append(error.retry_after_seconds)
            if len(refused) == 3:
                go_on.set()

    count = MAX_AT_ONCE + MAX_WAITING + 3
    threads = [threading.Thread(target=ask, args=(str(i),)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert (most, refused) == (MAX_AT_ONCE, [1, 1, 1])
    assert shelf.get("later", rendered).width == 1


def test_a_variant_that_fails_leaves_its_place():
    shelf = Shelf()

    def fail():
        raise ValueError("no")

    for _ in range(MAX_AT_ONCE + MAX_WAITING + 1):
        with pytest.raises(ValueError, match="no"):
            shelf.get("a", fail)
