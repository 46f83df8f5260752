"""Pictures as events: previews on the way, the picture at the end, errors in between."""

import asyncio
import base64
import json

import httpx2
import openai
import pytest

from gouache.web import openai_stream
from tests.openai_clients import KEY, PROMPT, count, official, opened
from tests.served import served, until


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with served(tmp_path_factory.mktemp("openai"), api_key=KEY) as server:
        yield server


@pytest.fixture(scope="module")
def client(server):
    with official(server.url) as client:
        yield client


def shown(event):
    return opened(base64.b64decode(event.b64_json))


def test_previews_come_before_the_picture(client, server):
    events = list(
        client.images.generate(
            prompt=PROMPT,
            model="fake-slow",
            quality="hd",
            size="1536x1024",
            output_format="webp",
            stream=True,
            partial_images=3,
        )
    )
    *partial, completed = events
    assert [event.type for event in partial] == ["image_generation.partial_image"] * len(partial)
    assert [event.partial_image_index for event in partial] == [0, 1, 2]
    assert len({event.b64_json for event in partial}) >= 1
    for event in events:
        image = shown(event)
        assert image.format == "WEBP"
        assert image.width / image.height == pytest.approx(1.5, abs=0.05)
        assert (event.size, event.quality, event.output_format) == ("1536x1024", "high", "webp")
    assert completed.type == "image_generation.completed"
    assert shown(completed).size == (1536, 1024)
    assert completed.background == "opaque"
    assert completed.usage.total_tokens == (
        completed.usage.input_tokens + completed.usage.output_tokens
    )
    assert server.service.task(completed.taskuuid).state == "succeeded"
    assert completed.image["fileuuid"] in completed.url


def test_without_previews_there_is_one_event_a_picture(client):
    events = list(client.images.generate(prompt=PROMPT, n=3, stream=True))
    assert [event.type for event in events] == ["image_generation.completed"] * 3
    assert len({event.taskuuid for event in events}) == 3
    assert len({event.b64_json for event in events}) == 3


def test_an_error_on_the_way_is_raised_by_the_client_after_the_pictures(client):
    events = client.images.generate(prompt=PROMPT, model="fake-refusing", n=2, stream=True)
    with pytest.raises(openai.APIError) as refused:
        list(events)
    assert refused.value.code == "moderation_blocked"
    assert "2 of 2 pictures failed" in refused.value.message


def test_a_bad_value_is_refused_before_the_stream_begins(client):
    with pytest.raises(openai.BadRequestError) as refused:
        client.images.generate(prompt=PROMPT, stream=True, extra_body={"partial_images": 9})
    assert refused.value.param == "partial_images"


def test_the_task_goes_on_when_the_client_leaves(server):
    with official(server.url) as client:
        events = client.images.generate(
            prompt=PROMPT, model="fake-slow", stream=True, partial_images=1
        )
        taskuuid = next(iter(events)).taskuuid
        events.close()
    assert until(lambda: server.service.task(taskuuid).state == "succeeded")


def test_the_asynchronous_client_streams_too(server):
    async def draw():
        given = {"base_url": f"{server.url}/v1", "api_key": KEY, "max_retries": 0}
        async with openai.AsyncOpenAI(**given) as client:
            events = await client.images.generate(prompt=PROMPT, stream=True)
            return [event.type async for event in events]

    assert asyncio.run(draw()) == ["image_generation.completed"]


def test_the_connection_is_kept_alive_while_nothing_happens(server, monkeypatch):
    monkeypatch.setattr(openai_stream, "KEEP_ALIVE_SECONDS", 0.2)
    body = {"prompt": PROMPT, "model": "fake-slow", "stream": True}
    headers = {"Authorization": f"Bearer {KEY}"}
    there = f"{server.url}/v1/images/generations"
    with httpx2.stream("POST", there, json=body, headers=headers, timeout=30) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["x-request-id"].startswith("req_")
        assert answer.headers["cache-control"] == "no-store"
        lines = list(answer.iter_lines())
    assert lines.count(": waiting") >= 3
    events = [line for line in lines if line.startswith("event: ")]
    assert events == ["event: image_generation.completed"]
    data = next(json.loads(line[6:]) for line in lines if line.startswith("data: "))
    assert data["type"] == "image_generation.completed"


def test_a_stream_with_the_same_key_shows_the_same_picture(client, server):
    headers = {"Idempotency-Key": "a stream"}
    before = count(server)
    first, again = (
        list(client.images.generate(prompt=PROMPT, stream=True, extra_headers=headers))[-1]
        for _ in range(2)
    )
    assert first.b64_json == again.b64_json
    assert count(server) == before + 1
