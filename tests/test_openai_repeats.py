"""Nothing is drawn twice: keys, and calls that the official client repeats by itself."""

import os
import signal
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx2
import openai
import pytest

from gouache.service import open_service
from gouache.settings import Settings
from gouache.web.openai_repeats import Repeats
from tests.commands import begun
from tests.openai_clients import KEY, PROMPT, count, fetched, official, picture
from tests.served import served, until


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with served(tmp_path_factory.mktemp("openai"), api_key=KEY) as server:
        yield server


def drawn_by(answer):
    return [image.taskuuid for image in answer.data]


def test_a_call_that_times_out_is_repeated_and_drawn_once(server):
    before = count(server)
    with official(server.url, timeout=1, max_retries=5) as client:
        answer = client.images.generate(prompt=PROMPT, model="fake-slow", n=2)
    assert count(server) == before + 2
    assert picture(answer.data[0]).size == (1024, 1024)


def test_two_calls_alike_that_time_out_get_a_picture_each(server):
    before = count(server)
    with official(server.url, timeout=1, max_retries=8) as client, ThreadPoolExecutor(2) as pool:
        calls = [
            pool.submit(client.images.generate, prompt="twins", model="fake-slow", quality="hd")
            for _ in range(2)
        ]
        drawn = [drawn_by(call.result()) for call in calls]
    assert drawn[0] != drawn[1]
    assert count(server) == before + 2


def test_separate_calls_alike_get_pictures_of_their_own(server):
    with official(server.url) as client:
        answers = [client.images.generate(prompt=PROMPT) for _ in range(2)]
    assert drawn_by(answers[0]) != drawn_by(answers[1])


def test_a_repetition_of_something_else_is_a_call_of_its_own(server):
    with official(server.url) as client:
        first = client.images.generate(prompt=PROMPT)
        repeated = {"x-stainless-retry-count": "1"}
        same = client.images.generate(prompt=PROMPT, extra_headers=repeated)
        other = client.images.generate(prompt="another", extra_headers=repeated)
        smaller = client.images.generate(prompt=PROMPT, size="256x256", extra_headers=repeated)
    assert drawn_by(same) == drawn_by(first)
    assert drawn_by(other) != drawn_by(first) != drawn_by(smaller)


def test_a_repetition_by_another_caller_is_a_call_of_its_own(server):
    body = {"prompt": "whose"}
    there = f"{server.url}/v1/images/generations"
    repeated = {"x-stainless-retry-count": "1"}
    keys = ({"Authorization": f"Bearer {KEY}"}, {"Authorization": f"bearer {KEY}"})
    answers = [
        httpx2.post(there, json=body, headers=key | repeated, timeout=30).json() for key in keys
    ]
    drawn = [answer["data"][0]["taskuuid"] for answer in answers]
    assert drawn[0] != drawn[1]


def test_a_duplicate_in_flight_waits_for_the_first_and_gets_the_same(server):
    before = count(server)
    headers = {"Idempotency-Key": "the same picture"}
    asked = {"prompt": PROMPT, "model": "fake-slow", "n": 2, "response_format": "b64_json"}
    with official(server.url) as client, ThreadPoolExecutor(3) as pool:
        calls = [
            pool.submit(client.images.generate, **asked, extra_headers=headers) for _ in range(3)
        ]
        answers = [call.result() for call in calls]
    assert count(server) == before + 2
    assert len({tuple(image.b64_json for image in answer.data) for answer in answers}) == 1


def test_a_repetition_of_a_failed_call_gets_the_same_error(server):
    before = count(server)
    with official(server.url) as client:
        for tries in ("0", "1"):
            with pytest.raises(openai.BadRequestError, match="draws no prompt"):
                client.images.generate(
                    prompt=PROMPT,
                    model="fake-refusing",
                    extra_headers={"x-stainless-retry-count": tries},
                )
    assert count(server) == before + 1


def test_the_first_repetition_may_come_for_fifteen_minutes_the_second_for_thirty(tmp_path):
    with open_service(Settings(engine="fake", data_dir=tmp_path)) as service:
        repeats = Repeats()
        key = repeats.key_of(service, "f", 0)
        repeats._calls["f"].begun -= 1000
        assert repeats.key_of(service, "f", 2) == key
        assert repeats.key_of(service, "f", 1) != key


def test_callers_who_left_are_served_first(tmp_path):
    with open_service(Settings(engine="fake", data_dir=tmp_path)) as service:
        repeats = Repeats()
        first, second = (repeats.key_of(service, "f", 0) for _ in range(2))
        assert first != second
        repeats.leave(first)
        repeats.leave("a key of the caller's own")
        assert repeats.key_of(service, "f", 1) == first
        assert repeats.key_of(service, "f", 1) == second


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals of Unix")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["stopped", "killed"])
def test_a_call_survives_a_restart_of_the_server(tmp_path, monkeypatch, number):
    monkeypatch.setenv("GOUACHE_ENGINE", "fake")
    monkeypatch.setenv("GOUACHE_DATA_DIR", str(tmp_path / "data"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
    answers = []

    def call(url):
        with official(url, max_retries=12) as client:
            asked = {"prompt": PROMPT, "model": "fake-slow", "quality": "hd"}
            answers.append(client.images.generate(**asked))

    with begun(tmp_path / "first", "serve", "--port", port) as server:
        url = server.ready()
        caller = threading.Thread(target=call, args=(url,))
        caller.start()
        running = {"params": {"state": "running"}, "timeout": 30, "trust_env": False}
        until(lambda: httpx2.get(f"{url}/tasks", **running).json()["items"])
        server.stop(number)
    with begun(tmp_path / "second", "serve", "--port", port) as server:
        assert server.ready() == url
        caller.join(60)
        (answer,) = answers
        tasks = httpx2.get(f"{url}/tasks", timeout=30, trust_env=False).json()["items"]
        assert [task["taskuuid"] for task in tasks] == drawn_by(answer)
        assert tasks[0]["state"] == "succeeded"
        assert fetched(answer.data[0].url).startswith(b"\x89PNG")
