"""Who may use the page: the login, its cookie, and forms of other pages."""

import re
import time

import httpx2
import pytest

from gouache.web import sessions
from gouache.web.page.login import WRONG_KEY_SECONDS, local
from tests.served import served

KEY = "a-key-of-more-than-16-letters"
TASK = {"tasktype": "generate_image", "params": {"prompt": "x"}}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with served(tmp_path_factory.mktemp("sessions"), start=False, api_key=KEY) as server:
        yield server


@pytest.fixture
def client(server):
    with server.client() as client:
        yield client


def from_here(client):
    return {"Origin": str(client.base_url).rstrip("/")}


def log_in(client, key=KEY, **fields):
    return client.post("/ui/login", data={"key": key, **fields}, headers=from_here(client))


def test_without_a_session_a_browser_is_led_to_the_login_and_back(client):
    response = client.get("/ui/gallery?q=red+cat")
    assert response.status_code == 303
    assert response.headers["location"] == "/ui/login?next=%2Fui%2Fgallery%3Fq%3Dred%2Bcat"
    page = client.get(response.headers["location"])
    assert page.status_code == 200
    assert 'name="next" value="/ui/gallery?q=red+cat"' in page.text
    response = log_in(client, next="/ui/gallery?q=red+cat")
    assert (response.status_code, response.headers["location"]) == (303, "/ui/gallery?q=red+cat")
    assert client.get(response.headers["location"]).status_code == 200


def test_a_browser_is_led_from_the_first_address_to_the_page(client):
    browser = {"Accept": "text/html,*/*"}
    assert client.get("/", headers=browser).headers["location"].startswith("/ui/login")
    assert client.get("/").status_code == 401
    log_in(client)
    assert client.get("/", headers=browser).headers["location"] == "/ui"


def test_a_wrong_key_is_said_in_words_and_takes_a_while(client):
    begun = time.monotonic()
    response = log_in(client, key="wrong")
    assert time.monotonic() - begun >= WRONG_KEY_SECONDS
    assert response.status_code == 401
    assert "This is not the key" in response.text
    assert "set-cookie" not in response.headers
    assert KEY not in response.text
    for key in ("", KEY + "x", KEY.upper(), "é\ud800".encode("utf-8", "replace").decode()):
        assert log_in(client, key=key).status_code == 401


def test_the_cookie_is_of_no_use_to_scripts_and_to_other_sites(client):
    cookie = log_in(client).headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=lax" in cookie and "Path=/;" in cookie + ";"
    assert f"Max-Age={sessions.SESSION_SECONDS}" in cookie
    assert "Secure" not in cookie
    assert KEY not in cookie


def test_behind_a_proxy_the_cookie_is_for_its_path_and_for_https_only(tmp_path):
    public = "https://pictures.example/gouache"
    with (
        served(tmp_path, start=False, api_key=KEY, public_url=public) as server,
        server.client() as client,
    ):
        headers = {"Origin": "https://pictures.example"}
        response = client.post("/ui/login", data={"key": KEY}, headers=headers)
        assert response.headers["location"] == "/gouache/ui"
        cookie = response.headers["set-cookie"]
        assert "Path=/gouache;" in cookie and "Secure" in cookie
        page = client.get("/ui/login").text
        links = re.findall(r'(?:href|src|action)="([^"]*)"', page)
        assert links and all(link.startswith(("/gouache/", "#")) for link in links)


def test_a_session_reads_everything_and_sends_only_forms_of_the_page(client):
    log_in(client)
    for path in ("/ui", "/stubs", "/tasks", "/openapi.json"):
        assert client.get(path).status_code == 200, path
    assert client.post("/stubs", json={}).status_code == 401
    assert client.post("/tasks", json=TASK, headers=from_here(client)).status_code == 401
    assert client.delete("/files/7c9e6679-7425-40de-944b-e07fc1f90ae7").status_code == 401
    assert client.post("/mcp", json={}).status_code == 401
    assert client.post("/v1/images/generations", json={"prompt": "x"}).status_code == 401


def test_forms_are_taken_below_ui_only_and_nothing_else_is_taken_there(client):
    key = {"Authorization": f"Bearer {KEY}"}
    for path in ("/tasks", "/stubs", "/uix", "/"):
        assert client.post(path, data={"a": "b"}, headers=key).status_code == 415, path
    log_in(client)
    response = client.post("/ui/tasks", json=TASK, headers=from_here(client))
    assert response.status_code == 415
    assert "application/x-www-form-urlencoded" in response.text


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "null"},
        {"Origin": ""},
        {"Origin": "https://evil.example"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Origin": "http://localhost:1"},
        {"Sec-Fetch-Site": "none"},
    ],
)
def test_a_form_of_another_page_is_refused(client, server, headers):
    log_in(client)
    for path in ("/ui/tasks", "/ui/login", "/ui/logout"):
        response = client.post(path, data={"prompt": "x"}, headers=headers)
        assert response.status_code == 403, path
        assert "only a page of this server may send this" in response.text.lower()
        assert "<h1>Refused</h1>" in response.text
    assert server.service.tasks().items == []


def test_a_form_of_another_page_is_refused_where_there_is_no_key_too(tmp_path):
    with served(tmp_path, start=False) as server, server.client() as client:
        for headers in ({}, {"Origin": "http://127.0.0.1:1"}, {"Sec-Fetch-Site": "cross-site"}):
            sent = client.post("/ui/tasks", data={"prompt": "x"}, headers=headers)
            assert sent.status_code == 403
        sent = client.post(
            "/ui/tasks", data={"prompt": "x"}, headers={"Origin": "http://a.example"}
        )
        assert sent.status_code == 421
        assert server.service.tasks().items == []


def test_the_browser_s_word_that_it_is_our_page_is_enough(client):
    headers = {"Sec-Fetch-Site": "same-origin"}
    assert client.post("/ui/login", data={"key": KEY}, headers=headers).status_code == 303


def test_an_altered_or_old_cookie_is_no_session(client, server):
    log_in(client)
    value = client.cookies[sessions.COOKIE]
    expires, _, signature = value.partition(".")
    later = f"{int(expires) + 1}.{signature}"
    for bad in ("", ".", "x", later, f"{expires}.", f"{expires}.{signature[:-1]}", f".{signature}"):
        with server.client() as other:
            headers = {"Cookie": f"{sessions.COOKIE}={bad}"}
            assert other.get("/stubs", headers=headers).status_code == 401, bad


def test_a_session_ends_after_its_time(client, monkeypatch):
    log_in(client)
    now = time.time()
    monkeypatch.setattr(sessions.time, "time", lambda: now + sessions.SESSION_SECONDS - 5)
    assert client.get("/ui").status_code == 200
    monkeypatch.setattr(sessions.time, "time", lambda: now + sessions.SESSION_SECONDS + 5)
    assert client.get("/ui").status_code == 303


def test_a_session_ends_with_its_key_and_outlives_a_restart(tmp_path):
    with served(tmp_path, start=False, api_key=KEY) as server, server.client() as client:
        log_in(client)
        value = client.cookies[sessions.COOKIE]
    headers = {"Cookie": f"{sessions.COOKIE}={value}"}
    for key, status in ((KEY, 200), ("another-key-of-16-letters", 401)):
        with served(tmp_path, start=False, api_key=key) as server:
            assert httpx2.get(server.url + "/stubs", headers=headers).status_code == status


def test_logging_out_takes_the_session_away(client):
    log_in(client)
    assert 'action="/ui/logout"' in client.get("/ui").text
    response = client.post("/ui/logout", headers=from_here(client))
    assert response.headers["location"] == "/ui/login"
    assert client.get("/ui").status_code == 303


def test_what_was_typed_is_not_lost_when_the_session_is_over(client):
    response = client.post("/ui/tasks", data={"prompt": "x"}, headers=from_here(client))
    assert response.status_code == 401
    assert "in another tab" in response.text and "is still there" in response.text
    headers = from_here(client) | {"HX-Request": "true"}
    response = client.post("/ui/tasks", data={"prompt": "x"}, headers=headers)
    assert response.status_code == 401
    assert response.headers["hx-retarget"] == "#trouble"
    assert response.text.startswith("<p>You are not logged in")


def test_without_an_api_key_there_is_no_login(tmp_path):
    with served(tmp_path, start=False) as server, server.client() as client:
        assert client.get("/ui").status_code == 200
        assert "Log out" not in client.get("/ui").text
        assert client.get("/ui/login?next=/ui/gallery").headers["location"] == "/ui/gallery"


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "/docs",
        "//evil.example",
        "https://evil.example/ui",
        "/ui/../docs",
        "/ui/%2e%2e/docs",
        "/ui//evil.example",
        "/ui\\evil",
        "/uievil",
        "/ui/login",
        "/ui/logout",
        "/ui\r\nSet-Cookie: a=b",
        "javascript:alert(1)",
    ],
)
def test_nobody_is_led_out_of_the_page(client, path):
    assert local(path) == "/ui"
    assert log_in(client, next=path).headers["location"] == "/ui"


def test_addresses_of_the_page_are_led_back_to():
    for path in ("/ui", "/ui?after=5", "/ui/stubs/2026-11-24-ABCD-1234", "/ui/gallery?q=caf%C3%A9"):
        assert local(path) == path
