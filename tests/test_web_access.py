"""Who may call: the key, the names of the server, the pages of others."""

from contextlib import ExitStack

import pytest
from starlette.testclient import TestClient

from gouache.service import open_service
from gouache.settings import Settings
from gouache.web import create_app

KEY = "a-key-of-more-than-16-letters"
EVERYTHING = [
    ("GET", "/stubs"),
    ("POST", "/stubs"),
    ("GET", "/stubs/2026-11-24-ABCD-1234"),
    ("POST", "/stubs/2026-11-24-ABCD-1234/stubposts"),
    ("GET", "/tasks"),
    ("POST", "/tasks"),
    ("GET", "/tasks/7c9e6679-7425-40de-944b-e07fc1f90ae7"),
    ("POST", "/tasks/7c9e6679-7425-40de-944b-e07fc1f90ae7/cancel"),
    ("GET", "/tasks/7c9e6679-7425-40de-944b-e07fc1f90ae7/events"),
    ("GET", "/files/7c9e6679-7425-40de-944b-e07fc1f90ae7"),
    ("HEAD", "/files/7c9e6679-7425-40de-944b-e07fc1f90ae7"),
    ("DELETE", "/files/7c9e6679-7425-40de-944b-e07fc1f90ae7"),
    ("GET", "/openapi.json"),
    ("GET", "/docs"),
    ("POST", "/mcp"),
    ("GET", "/nowhere"),
    ("PATCH", "/stubs"),
]


@pytest.fixture
def client_of(tmp_path):
    """Return a function from settings to a client of the application in this process."""
    with ExitStack() as opened:

        def make(**settings):
            given = Settings(engine="fake", data_dir=tmp_path, **settings)
            app = create_app(opened.enter_context(open_service(given)))
            return TestClient(app, base_url="http://127.0.0.1:8611", raise_server_exceptions=False)

        yield make


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Bearer wrong",
        f"Basic {KEY}",
        KEY,
        f"Bearer {KEY}x",
        f"Bearer {KEY[:-1]}",
        f"Bearer {KEY.upper()}",
        "Bearer é".encode(),
    ],
)
def test_nothing_is_open_without_the_key(client_of, authorization):
    client = client_of(api_key=KEY)
    headers = {} if authorization is None else {"Authorization": authorization}
    for method, path in EVERYTHING:
        response = client.request(method, path, headers=headers)
        assert response.status_code == 401, f"{method} {path}"
        assert response.headers["www-authenticate"] == "Bearer"
        if method != "HEAD":
            assert response.json()["error"]["code"] == "unauthenticated"
            assert KEY not in response.text


def test_the_key_opens_and_health_needs_none(client_of):
    client = client_of(api_key=KEY)
    assert client.get("/health").status_code == 200
    for scheme in ("Bearer", "bearer"):
        headers = {"Authorization": f"{scheme} {KEY}"}
        assert client.get("/stubs", headers=headers).status_code == 200


def test_with_a_key_any_name_will_do(client_of):
    client = client_of(api_key=KEY)
    headers = {"Authorization": f"Bearer {KEY}", "Host": "pictures.example"}
    assert client.get("/stubs", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "localhost:1",
        "LocalHost:8611",
        "127.0.0.1",
        "[::1]:8611",
        "pictures.example",
        "pictures.example:443",
    ],
)
def test_without_a_key_the_server_answers_to_its_own_names(client_of, host):
    client = client_of(public_url="https://pictures.example/gouache")
    assert client.get("/stubs", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "",
        "evil.example",
        "localhost.evil.example",
        "evil.example:8611",
        "127.0.0.1.evil.example",
        "127.0.0.2",
        "user@localhost",
        "localhost:evil",
        "localhost/",
        "[::1",
        "[::2]",
        "localhost, evil.example",
        "é".encode(),
    ],
)
def test_without_a_key_no_other_name_will_do(client_of, host):
    client = client_of()
    for path in ("/stubs", "/health", "/nowhere"):
        response = client.get(path, headers={"Host": host})
        assert response.status_code == 421
        assert response.json()["error"]["code"] == "host_not_allowed"


def test_pages_of_others_may_not_call(client_of):
    client = client_of()
    assert client.get("/stubs", headers={"Origin": "http://localhost:3000"}).status_code == 200
    for origin in ("https://evil.example", "null", "http://evil.example:8611", ""):
        response = client.post("/stubs", json={}, headers={"Origin": origin})
        assert response.status_code == 421, origin
        assert "access-control-allow-origin" not in response.headers
    assert client.get("/stubs").json() == {"items": []}


def test_no_page_is_told_that_it_may(client_of):
    client = client_of()
    headers = {"Origin": "http://localhost", "Access-Control-Request-Method": "POST"}
    response = client.options("/stubs", headers=headers)
    assert response.status_code == 405
    assert [name for name in response.headers if name.startswith("access-control")] == []


def test_where_it_is_found_is_below_the_path_of_the_public_address(client_of):
    client = client_of(public_url="https://pictures.example/gouache/")
    made = client.post("/stubs", json={})
    assert made.headers["location"] == f"/gouache/stubs/{made.json()['stubref']}"
