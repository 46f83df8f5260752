"""Errors below /v1: the envelope, the classes of the official client, and what it is told to repeat."""

import openai
import pytest

from gouache.errors import DatabaseUnavailable, EngineRateLimited, TaskGaveUp
from gouache.web.openai_errors import envelope
from tests.openai_clients import KEY, PROMPT, count, official
from tests.served import served

GATEWAYS = {
    "once": {
        "taskapigatewayuuid": "1f0ca0d8-2c5b-4dfd-a5c5-2b8a1a1f8a0e",
        "engine": "fake",
        "tries": 1,
    }
}
HEADERS = {"Authorization": f"Bearer {KEY}"}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with served(tmp_path_factory.mktemp("openai"), api_key=KEY, gateways=GATEWAYS) as server:
        yield server


@pytest.fixture(scope="module")
def client(server):
    with official(server.url, max_retries=2) as client:
        yield client


def sent(server, method, path, **options):
    """Send a request without the official client, and return the answer and its error."""
    options = {"headers": HEADERS} | options
    with server.client() as ours:
        answer = ours.request(method, path, **options)
    return answer, answer.json()["error"]


@pytest.mark.parametrize(
    ("body", "param", "words"),
    [
        ({"prompt": ""}, "prompt", "1 to 32,000 characters"),
        ({"prompt": "x" * 32_001}, "prompt", "this one has 32,001"),
        ({"prompt": None}, "prompt", "is required"),
        ({"n": 0}, "n", "from 1 to 10; not 0"),
        ({"n": 11}, "n", "from 1 to 10; not 11"),
        ({"n": "2"}, "n", "a whole number"),
        ({"size": "640x480"}, "size", "1024x1024, 1024x1792, 1792x1024, 256x256"),
        ({"quality": "best"}, "quality", "auto, standard, hd, low, medium, high, xhigh, max"),
        ({"style": "loud"}, "style", "vivid, natural, flat, cartoon; not 'loud'"),
        ({"response_format": "file"}, "response_format", "url, b64_json"),
        ({"output_format": "gif"}, "output_format", "png, jpeg, webp"),
        ({"output_compression": 50}, "output_compression", "only with jpeg, webp"),
        ({"output_compression": 101}, "output_compression", "from 0 to 100"),
        ({"background": "transparent", "output_format": "jpeg"}, "background", "png, webp"),
        ({"background": "red"}, "background", "transparent, opaque, auto"),
        ({"moderation": "off"}, "moderation", "low, auto"),
        ({"stream": "yes"}, "stream", "true or false"),
        ({"partial_images": 4}, "partial_images", "from 0 to 3"),
        ({"seed": -1}, "seed", "from 0 to"),
        ({"seed": 1, "seed_from": "ada"}, "seed_from", "together with seed"),
        ({"seed_from": " "}, "seed_from", "must not be empty"),
        ({"n": 2, "seed_from": "~~data.user.id"}, "seed_from", "cannot be a template"),
        ({"stubref": "x"}, "stubref", "must match"),
        ({"taskapigatewayuuid": "x"}, "taskapigatewayuuid", "must be a UUID"),
        ({"priority": 0}, "priority", "from 1 to 1000"),
        ({"prompt": "{{#if}}"}, "prompt", ""),
    ],
)
def test_bad_values_are_refused_by_name_and_nothing_is_stored(client, server, body, param, words):
    before = count(server)
    with pytest.raises(openai.BadRequestError) as refused:
        client.images.generate(prompt=PROMPT, extra_body=body)
    error = refused.value
    assert error.param == param
    assert words in error.message
    assert error.type == "invalid_request_error"
    assert error.body["retryable"] is False
    assert not error.message.startswith("params")
    assert error.request_id.startswith("req_")
    assert count(server) == before


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        ({"model": "midjourney"}, "model_not_found", "model"),
        ({"model": "nowhere/dall-e-3"}, "model_not_found", "model"),
        ({"stubref": "2026-11-24-ABCD-1234"}, "stub_not_found", "stubref"),
        (
            {"taskapigatewayuuid": "00000000-0000-0000-0000-000000000000"},
            "gateway_not_found",
            "taskapigatewayuuid",
        ),
    ],
)
def test_what_there_is_not_is_not_found(client, server, body, code, param):
    before = count(server)
    with pytest.raises(openai.NotFoundError) as refused:
        client.images.generate(prompt=PROMPT, n=2, extra_body=body)
    assert (refused.value.code, refused.value.param) == (code, param)
    assert count(server) == before


def test_an_unknown_model_is_answered_with_those_there_are(client):
    with pytest.raises(openai.NotFoundError, match="dall-e-3, fake-1, .*once/fake-1.* mean fake-1"):
        client.images.generate(prompt=PROMPT, model="fake1")


def test_a_refusal_of_the_engine_is_moderation(client, server):
    before = count(server)
    with pytest.raises(openai.BadRequestError) as refused:
        client.images.generate(prompt=PROMPT, model="fake-refusing")
    assert refused.value.code == "moderation_blocked"
    assert refused.value.type == "image_generation_user_error"
    assert count(server) == before + 1


def test_a_task_that_failed_for_good_is_not_repeated(client, server):
    before = count(server)
    with pytest.raises(openai.InternalServerError) as failed:
        client.images.generate(prompt=PROMPT, model="once/fake-failing")
    assert (failed.value.code, failed.value.type) == ("engine_unavailable", "server_error")
    assert failed.value.body["retryable"] is True
    assert failed.value.response.headers["x-should-retry"] == "false"
    assert "retry-after" not in failed.value.response.headers
    assert count(server) == before + 1


def test_of_several_pictures_the_first_failure_is_told_and_the_rest_is_kept(client, server):
    asked = {"model": "once/fake-flaky", "n": 2, "extra_body": {"seed": 11}}
    with pytest.raises(openai.InternalServerError):
        client.images.generate(prompt=PROMPT, **asked | {"n": 1})
    with pytest.raises(openai.InternalServerError) as failed:
        client.images.generate(prompt=PROMPT, **asked)
    error = failed.value
    assert len(error.body["tasks"]) == 2
    states = [server.service.task(taskuuid).state for taskuuid in error.body["tasks"]]
    assert states == ["succeeded", "failed"]
    assert "1 of 2 pictures failed" in error.message
    assert f"drawn and kept: the tasks {error.body['tasks'][0]}" in error.message


def test_a_cancelled_task_is_a_conflict(server):
    def cancel(event):
        server.service.cancel(event.taskuuid)

    with official(server.url) as client:
        events = client.images.generate(
            prompt=PROMPT, model="fake-slow", stream=True, partial_images=1
        )
        with pytest.raises(openai.APIError) as cancelled:
            for event in events:
                cancel(event)
    assert cancelled.value.code == "cancelled"


@pytest.mark.parametrize("key", ["wrong", "wrong-key-of-the-same-length!"])
def test_a_wrong_key_is_an_authentication_error(server, key):
    with (
        official(server.url, api_key=key) as client,
        pytest.raises(openai.AuthenticationError) as refused,
    ):
        client.images.generate(prompt=PROMPT)
    assert (refused.value.code, refused.value.type) == ("invalid_api_key", "authentication_error")
    assert refused.value.request_id
    with (
        openai.AzureOpenAI(azure_endpoint=server.url, api_key=key, api_version="x") as client,
        pytest.raises(openai.AuthenticationError),
    ):
        client.images.generate(model="dall-e-3", prompt=PROMPT)


def test_other_routes_of_openai_are_not_found(client):
    with pytest.raises(openai.NotFoundError) as refused:
        client.chat.completions.create(model="gpt-5", messages=[])
    assert refused.value.code == "route_not_found"
    assert refused.value.request_id


@pytest.mark.parametrize("prefix", ["/v1", "/openai/v1", "/openai/deployments/fake-1"])
def test_every_layer_answers_in_the_envelope(server, prefix):
    there = f"{prefix}/images/generations"
    refused = {
        401: sent(server, "POST", there, headers={}, json={}),
        404: sent(server, "POST", f"{prefix}/images/edits", json={}),
        405: sent(server, "PUT", there),
        413: sent(server, "POST", there, json={"prompt": "x" * 20_000_000}),
        415: sent(server, "POST", there, data={"prompt": "x"}),
    }
    for status, (answer, error) in refused.items():
        assert answer.status_code == status
        assert set(error) == {"message", "type", "param", "code", "retryable"}
        assert error["type"] in ("invalid_request_error", "authentication_error")
        assert answer.headers["x-request-id"].startswith("req_")
        assert answer.headers["x-should-retry"] == "false"
    assert refused[405][0].headers["allow"] == "POST"
    answer, error = sent(server, "POST", there, content=b"{", headers=HEADERS)
    assert answer.status_code == 415
    json = HEADERS | {"Content-Type": "application/json"}
    answer, error = sent(server, "POST", there, content=b"{", headers=json)
    assert (answer.status_code, error["type"]) == (400, "invalid_request_error")


def test_our_own_addresses_keep_our_envelope(server):
    answer, error = sent(server, "GET", "/tasks", headers={})
    assert (answer.status_code, error["code"]) == (401, "unauthenticated")
    assert "x-request-id" not in answer.headers


def test_an_exception_nobody_foresaw_is_a_server_error(server, monkeypatch):
    def fail(*arguments):
        raise ZeroDivisionError("a secret of the inside")

    monkeypatch.setattr(server.service.gateways, "capabilities", fail)
    answer, error = sent(server, "POST", "/v1/images/generations", json={"prompt": "x"})
    assert (answer.status_code, error["type"]) == (500, "server_error")
    assert "secret" not in answer.text
    assert answer.headers["x-should-retry"] == "false"


def test_an_idempotency_key_with_another_body_is_refused_once(client):
    headers = {"Idempotency-Key": "used twice"}
    client.images.generate(prompt=PROMPT, extra_headers=headers)
    with pytest.raises(openai.ConflictError) as refused:
        client.images.generate(prompt="another", extra_headers=headers)
    assert refused.value.code == "idempotency_key_reused"
    assert refused.value.response.headers["x-should-retry"] == "false"


def test_what_may_pass_is_to_be_repeated():
    for error in (DatabaseUnavailable("away"), EngineRateLimited("busy")):
        body, status, headers = envelope(error)
        assert headers["x-should-retry"] == "true"
        assert int(headers["Retry-After"]) > 0
        assert body["error"]["type"] == {503: "server_error", 429: "rate_limit_error"}[status]
    assert envelope(TaskGaveUp("no"))[2]["x-should-retry"] == "false"
    assert envelope(EngineRateLimited("busy"), is_final=True)[2]["x-should-retry"] == "false"


def test_while_the_database_is_away_the_client_asks_again(server, monkeypatch):
    real, seen = server.service.submit_all, []

    def away_at_first(*arguments, **options):
        seen.append(1)
        if len(seen) == 1:
            raise DatabaseUnavailable("sqlite:///secret/path is locked")
        return real(*arguments, **options)

    monkeypatch.setattr(server.service, "submit_all", away_at_first)
    before = count(server)
    with official(server.url, max_retries=1) as client:
        assert client.images.generate(prompt=PROMPT).data
    assert (len(seen), count(server)) == (2, before + 1)
    with official(server.url) as client, pytest.raises(openai.InternalServerError) as failed:
        seen.clear()
        client.images.generate(prompt=PROMPT)
    assert "secret" not in failed.value.message


def test_a_foreign_host_is_refused_in_the_envelope_too(tmp_path):
    with served(tmp_path, start=False) as server:
        answer, error = sent(server, "GET", "/v1/models", headers={"Host": "evil.example"})
    assert (answer.status_code, error["type"]) == (421, "invalid_request_error")
    assert answer.headers["x-should-retry"] == "false"
