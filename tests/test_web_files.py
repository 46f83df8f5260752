"""Files over HTTP: whole, in parts, only where changed, under any name; by link or with the key."""

import hashlib
import re
import time
from email.message import Message
from email.utils import formatdate
from urllib.parse import unquote

import pytest

from gouache.web.files import disposition
from tests.served import served

PROMPT = "A white cat sitting on a red sports car."
KEY = "a-key-of-more-than-16-letters"
NAMES = [
    "plain.png",
    "with space.png",
    "Überraschung für Zoë.png",
    "写真 🐈.png",
    'quote".png',
    "semi;colon=.png",
    "100%.png",
    "back\\slash.png",
    "'apostrophe'.png",
    "עברית.png",
    "\u202egnp.exe.png",
]

TRICKS = [
    "../../../etc/passwd",
    "..\\..\\windows\\win.ini",
    "/etc/cron.d/x",
    "C:\\autoexec.bat",
    "a/../../b.png",
    "..",
    "CON.png",
    "nul",
    "lpt1.tar.gz",
    ".bashrc",
    "a\r\nSet-Cookie: x=1.png",
    "\u202egnp.exe",
    "x" * 1000,
    "🐈" * 300,
    "a:stream.png",
    "*?<>|.png",
    " ",
]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with served(tmp_path_factory.mktemp("files"), api_key=KEY) as server:
        yield server


@pytest.fixture(scope="module")
def client(server):
    with server.client(headers={"Authorization": f"Bearer {KEY}"}) as client:
        yield client


@pytest.fixture(scope="module")
def stranger(server):
    with server.client() as client:
        yield client


def draw(client, **params):
    body = {"tasktype": "generate_image", "params": {"prompt": PROMPT, **params}}
    task = client.post("/tasks", json=body, headers={"Prefer": "wait=30"}).json()
    return task["payload"]["response"]["data"][0]


@pytest.fixture(scope="module")
def drawn(client):
    return draw(client, seed=1)


@pytest.fixture(scope="module")
def path(drawn):
    return f"/files/{drawn['image']['fileuuid']}"


@pytest.fixture(scope="module")
def whole(client, path):
    return client.get(path)


def test_a_file_comes_with_all_that_is_known_of_it(whole, server, drawn):
    details = server.service.file(drawn["image"]["fileuuid"])
    assert whole.status_code == 200
    assert whole.headers["content-type"] == "image/png"
    assert int(whole.headers["content-length"]) == len(whole.content) == details.size
    assert whole.headers["etag"] == f'"{hashlib.sha256(whole.content).hexdigest()[:32]}"'
    assert whole.headers["cache-control"].startswith("private")
    assert whole.headers["x-content-type-options"] == "nosniff"
    assert whole.headers["accept-ranges"] == "bytes"
    assert whole.headers["content-disposition"] == f'inline; filename="{details.filename}"'
    assert whole.headers["last-modified"].endswith(" GMT")


def test_head_is_get_without_the_body(client, path, whole):
    head = client.head(path)
    unlike = {"date"}
    assert head.content == b""
    assert {k: v for k, v in head.headers.items() if k not in unlike} == {
        k: v for k, v in whole.headers.items() if k not in unlike
    }


def test_files_of_other_bytes_have_other_tags(client, whole):
    other = client.get(f"/files/{draw(client, seed=2)['image']['fileuuid']}")
    assert other.headers["etag"] != whole.headers["etag"]


def test_a_copy_that_is_still_good_is_not_sent_again(client, path, whole):
    tag, date = whole.headers["etag"], whole.headers["last-modified"]
    for headers in (
        {"If-None-Match": tag},
        {"If-None-Match": f'"other", W/{tag}'},
        {"If-None-Match": "*"},
        {"If-Modified-Since": date},
        {"If-None-Match": tag, "If-Modified-Since": formatdate(0, usegmt=True)},
    ):
        for method in ("GET", "HEAD"):
            response = client.request(method, path, headers=headers)
            assert (response.status_code, response.content) == (304, b""), headers
            assert response.headers["etag"] == tag
            assert "content-length" not in response.headers


def test_a_copy_that_is_not_is(client, path):
    for headers in (
        {"If-None-Match": '"other"'},
        {"If-Modified-Since": formatdate(0, usegmt=True)},
        {"If-Modified-Since": "yesterday"},
        {"If-None-Match": '"other"', "If-Modified-Since": formatdate(time.time(), usegmt=True)},
    ):
        assert client.get(path, headers=headers).status_code == 200, headers


@pytest.mark.parametrize(
    ("wanted", "start", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=0-7", 0, 8),
        ("bytes=8-", 8, None),
        ("bytes=-5", -5, None),
        ("bytes=-999999999", 0, None),
        ("bytes=5-999999999", 5, None),
        ("Bytes=1-70000", 1, 70001),
    ],
)
def test_a_range_is_that_part(client, path, whole, wanted, start, stop):
    response = client.get(path, headers={"Range": wanted})
    expected = whole.content[start:stop]
    first = range(len(whole.content))[start]
    assert response.status_code == 206
    assert response.content == expected
    assert int(response.headers["content-length"]) == len(expected)
    place = f"bytes {first}-{first + len(expected) - 1}/{len(whole.content)}"
    assert response.headers["content-range"] == place
    assert response.headers["etag"] == whole.headers["etag"]


@pytest.mark.parametrize(
    "wanted",
    ["bytes=5-1", "bytes=-", "bytes=a-b", "pages=1-2", "bytes=0-1,4-5", "0-5", "bytes=٣-٤"],
)
def test_a_range_that_cannot_be_read_is_ignored(client, path, whole, wanted):
    response = client.get(path, headers={"Range": wanted.encode()})
    assert (response.status_code, response.content) == (200, whole.content)


@pytest.mark.parametrize("wanted", ["bytes=999999999-", "bytes=-0", "bytes=999999999-9999999999"])
def test_a_range_outside_is_refused_with_the_size(client, path, whole, wanted):
    response = client.get(path, headers={"Range": wanted})
    assert response.status_code == 416
    assert response.headers["content-range"] == f"bytes */{len(whole.content)}"
    assert response.json()["error"]["code"] == "range_not_satisfiable"


def test_a_range_of_another_version_is_the_whole_file(client, path, whole):
    tag, date = whole.headers["etag"], whole.headers["last-modified"]
    for version, status in ((tag, 206), (date, 206), ('"other"', 200), (f"W/{tag}", 200)):
        response = client.get(path, headers={"Range": "bytes=0-1", "If-Range": version})
        assert response.status_code == status, version


@pytest.mark.parametrize("name", NAMES)
def test_any_name_comes_safely_in_the_header(name):
    header = disposition(name, "image/png")
    assert header.isascii()
    assert header.isprintable()
    message = Message()
    message["Content-Disposition"] = header
    assert message.get_content_disposition() == "inline"
    exact = header.partition("filename*=UTF-8''")[2]
    assert unquote(exact) == name if exact else f'filename="{name}"' in header


def test_a_name_cannot_begin_another_header():
    header = disposition('a"\r\nSet-Cookie: x=1; \0.png', "text/html")
    assert header.startswith('attachment; filename="a___Set-Cookie_ x_1_ _.png"; ')
    assert "\r" not in header
    assert "\n" not in header


def test_a_given_name_is_that_of_the_file(client):
    image = draw(client, filename="../Überraschung für Zoë.jpg")["image"]
    header = client.head(f"/files/{image['fileuuid']}").headers["content-disposition"]
    assert unquote(header.partition("filename*=UTF-8''")[2]) == image["filename"]
    assert image["originalname"] == "../Überraschung für Zoë.jpg"
    assert "/" not in image["filename"]


def test_names_that_play_tricks_are_made_safe_and_lead_nowhere(client, server):
    folder = server.service.settings.data_dir
    outside = {path for path in folder.parent.iterdir() if path != folder}
    draws = [
        {
            "tasktype": "generate_image",
            "name": f"t{i}",
            "params": {"prompt": PROMPT, "filename": name, "disable_model_response": True},
        }
        for i, name in enumerate(TRICKS)
    ]
    stubref = client.post("/stubs", json={}).json()["stubref"]
    there = f"/stubs/{stubref}/stubposts"
    made = client.post(there, json={"tasks": draws}, headers={"Prefer": "wait=30"}).json()["tasks"]
    for i, name in enumerate(TRICKS):
        image = made[f"t{i}"]["payload"]["image"]
        safe = image["filename"]
        assert image["originalname"] == name
        assert re.search(r'[/\\:*?"<>|\x00-\x1f\x7f]|^[.\s]', safe) is None, safe
        assert safe.endswith(".png")
        assert safe.partition(".")[0].upper() not in {"CON", "NUL", "LPT1"}, safe
        path = server.service.file_path(image["fileuuid"])
        assert path.is_relative_to(folder.resolve() / "files")
        assert re.fullmatch(r"[0-9a-f-]+", path.name), "stored under a name of ours"
        assert client.head(f"/files/{image['fileuuid']}").status_code == 200
    assert {path for path in folder.parent.iterdir() if path != folder} == outside


def test_a_link_is_good_for_whoever_has_it(stranger, drawn, path):
    assert stranger.get(drawn["url"]).status_code == 200
    assert stranger.head(drawn["url"]).status_code == 200
    assert stranger.get(drawn["url"], headers={"Range": "bytes=0-1"}).status_code == 206
    refused = stranger.get(path)
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"] == "Bearer"


def test_a_link_is_good_for_reading_that_file_only(stranger, drawn, client):
    link = drawn["url"]
    signed = link.partition("?")[2]
    other = draw(client)["image"]["fileuuid"]
    assert stranger.delete(link).status_code == 401
    assert stranger.get(f"/tasks?{signed}").status_code == 401
    assert stranger.get(f"/files/../tasks?{signed}").status_code in (401, 404)
    for altered in (
        f"/files/{other}?{signed}",
        link[:-1] + ("0" if link[-1] != "0" else "1"),
        link.replace("expires=", "expires=9"),
        link.partition("&")[0] + "&signature=",
        link.partition("&")[0] + "&signature=%00%F0%9F%90%88",
        f"/files/{other}?signature=x",
    ):
        refused = stranger.get(altered)
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "link_refused")


def test_a_link_expires(client, stranger, server, monkeypatch):
    link = draw(client)["url"]
    later = time.time() + server.service.settings.file_url_seconds + 1
    with monkeypatch.context() as patch:
        patch.setattr(time, "time", lambda: later)
        refused = stranger.get(link)
    assert refused.status_code == 403
    assert "expired" in refused.json()["error"]["message"]


def test_a_deleted_file_is_gone_and_named_still(client):
    image = draw(client)["image"]
    path = f"/files/{image['fileuuid']}"
    assert client.delete(path).status_code == 204
    for method in ("GET", "DELETE"):
        response = client.request(method, path)
        assert response.status_code == 404
        assert response.json()["error"]["code"] == "file_not_found"


def test_a_file_whose_bytes_are_lost_is_an_error_of_ours(client, server):
    image = draw(client)["image"]
    server.service.file_path(image["fileuuid"]).unlink()
    response = client.get(f"/files/{image['fileuuid']}")
    assert response.status_code == 507
    assert response.json()["error"]["code"] == "storage_error"
    assert str(server.service.settings.data_dir) not in response.text
