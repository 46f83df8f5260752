"""Pictures that a target names the address of: what is fetched, what is not, and who sees the key."""

import asyncio
import logging
import socket

import httpx2
import pytest

from gouache.contract import read_request
from gouache.engines import open_engine
from gouache.engines.fetching import Source, fetched
from gouache.errors import EngineError, EngineUnavailable
from gouache.settings import Settings
from tests.doubles.openai_images import KEY, VARIABLE
from tests.doubles.openai_images import double as double
from tests.doubles.openai_images import running_double as running_double
from tests.doubles.pictures import picture

PROMPT = "A white cat"


def draw(double, **options):
    given = {"base_url": double.local_url, "models": ["m"], "response_format": "url"}
    engine = open_engine("openai_images", Settings(), given | {"key_env": VARIABLE} | options)
    return engine.generate(read_request({"prompt": PROMPT}))


@pytest.mark.parametrize("mode", ["", "url: relative", "url: redirects", "url: data"])
def test_a_picture_is_fetched_from_where_it_is(double, mode, caplog):
    caplog.set_level(logging.DEBUG)
    double.mode = mode
    assert draw(double).encoded.data == picture(PROMPT)
    assert len(double.fetched) == {"url: redirects": 4, "url: data": 0}.get(mode, 1)
    assert len(double.calls) == 1
    assert caplog.records
    assert "signed-secret" not in caplog.text, "who knows the address can fetch the picture"


def test_the_key_goes_to_the_api_and_nowhere_else(double):
    draw(double)
    assert double.fetched[0]["authorization"] == f"Bearer {KEY}"
    assert double.fetched[0]["user-agent"] == "Gouache"
    with socket.create_server(("127.0.0.1", 0)) as other:
        api = httpx2.URL(f"http://127.0.0.1:{other.getsockname()[1]}/v1/")
        source = Source(api, {"Authorization": "Bearer other"}, 10_000_000)
        double.forget()
        double.files["x"] = picture(PROMPT)
        assert asyncio.run(fetched(f"{double.url}/files/x", source)) == picture(PROMPT)
    assert "authorization" not in double.fetched[0], "the same host, but not the same server"
    assert "other" not in repr(source)


@pytest.mark.parametrize(
    ("mode", "kind", "words"),
    [
        ("url: private", EngineError, "leads to a private network"),
        ("url: link-local", EngineError, "leads to a private network"),
        ("url: redirects to a private host", EngineError, "leads to a private network"),
        ("url: another name of this machine", EngineError, "is neither https nor on the host"),
        ("url: another scheme", EngineError, "is neither https nor on the host"),
        ("url: redirects too often", EngineError, "leads on more than 3 times"),
        ("url: huge", EngineError, "larger than 2,000,000 bytes"),
        ("url: gone", EngineUnavailable, "answered 403"),
        ("url: web page", EngineUnavailable, "not a whole picture"),
        ("url: nowhere", EngineUnavailable, "cannot be connected to"),
        ("url: redirects to another port", EngineUnavailable, "cannot be connected to"),
    ],
)
def test_what_must_not_or_cannot_be_fetched_ends_in_one_of_our_errors(double, mode, kind, words):
    double.mode = mode
    with pytest.raises(EngineError, match=words) as caught:
        draw(double, max_bytes=2_000_000)
    assert type(caught.value) is kind
    assert "127.0.0" not in caught.value.message
    assert len(double.calls) == 1


def test_an_api_with_tls_names_no_address_without(double):
    source = Source(httpx2.URL("https://127.0.0.1/v1/"), {}, 1000)
    with pytest.raises(EngineError, match="is neither https nor on the host"):
        asyncio.run(fetched(f"{double.url}/files/x", source))
    assert double.fetched == []


def test_a_name_that_leads_into_a_private_network_is_refused(monkeypatch):
    def inside(host, port, *rest, **more):
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.0.0.7", port))]

    monkeypatch.setattr(socket, "getaddrinfo", inside)
    source = Source(httpx2.URL("https://api.example/v1/"), {}, 1000)
    with pytest.raises(EngineError, match="private network"):
        asyncio.run(fetched("https://pictures.example/x.png", source))


def test_a_name_that_leads_nowhere_may_lead_somewhere_later(monkeypatch):
    def nowhere(*given, **more):
        raise socket.gaierror("no such name")

    monkeypatch.setattr(socket, "getaddrinfo", nowhere)
    source = Source(httpx2.URL("https://api.example/v1/"), {}, 1000)
    with pytest.raises(EngineUnavailable, match="leads nowhere"):
        asyncio.run(fetched("https://pictures.example/x.png", source))
