"""Each way a target can fail: which of our errors it ends in, after how many calls, and what they say."""

import json
import logging
import re
import threading
import time
import traceback
from uuid import uuid4

import httpx2
import openai
import pytest

from gouache.contract import read_request
from gouache.engines import open_engine, remote
from gouache.engines.dialects import read_target
from gouache.engines.openai_failures import MAX_CHARACTERS, Asked, failure_of
from gouache.errors import (
    ContentRefused,
    EngineError,
    EngineRateLimited,
    EngineTimedOut,
    EngineUnavailable,
)
from gouache.settings import Settings
from tests.doubles.openai_images import FORBIDDEN, KEY, VARIABLE
from tests.doubles.openai_images import double as double
from tests.doubles.openai_images import running_double as running_double
from tests.served import served, until

PROMPT = "Zebulon's velvet zeppelin over a quiet harbour"
GATEWAY, STREAMING, HASTY = (str(uuid4()) for _ in range(3))
TRIES = 3

FAILURES = [
    ("429", EngineRateLimited, "asks to be called less often"),
    ("429 with Retry-After", EngineRateLimited, "asks to be called less often"),
    ("quota", EngineError, "no credit left.*plan and billing"),
    ("billing", EngineError, "no credit left.*billing_hard_limit_reached"),
    ("403", EngineError, f"variable {VARIABLE} draw with 'gpt-image-2.6-flare': Your organization"),
    ("500", EngineUnavailable, "answered 500: The server had an error"),
    ("503", EngineUnavailable, "answered 503"),
    ("504", EngineTimedOut, "answered 504"),
    ("502 web page", EngineUnavailable, "answered 502$"),
    ("404 web page", EngineError, "check base_url"),
    ("html", EngineError, r"something else than a picture \(text/html\); check base_url"),
    ("not json", EngineError, "something else than a picture"),
    ("not a picture", EngineUnavailable, "not a whole picture"),
    ("half a picture", EngineUnavailable, "not a whole picture"),
    ("bomb", EngineError, "too large: 9000x9000"),
    ("redirect", EngineError, "last address as base_url"),
    ("cut", EngineUnavailable, "broke off the connection"),
    ("broken base64", EngineUnavailable, "not base64"),
    ("empty", EngineUnavailable, "without a picture"),
]
STREAMED = [
    ("stream: cut", EngineUnavailable, "broke off the connection"),
    ("stream: ends early", EngineUnavailable, "ended before the picture"),
    ("stream: moderated", ContentRefused, "refuses to draw this prompt"),
    ("stream: broken", EngineUnavailable, "arrived broken"),
    ("429", EngineRateLimited, "asks to be called less often"),
    ("500", EngineUnavailable, "answered 500"),
    ("html", EngineError, "check base_url"),
]


@pytest.fixture(autouse=True)
def nothing_private_is_logged(caplog):
    """Fail a test after which a log knows the key or the prompt, at any level of any library."""
    caplog.set_level(logging.DEBUG)
    yield
    for secret in (KEY, *PROMPT.split()[:3]):
        assert secret not in caplog.text


def options(double, **given):
    ours = {"dialect": "openai", "base_url": double.base_url, "key_env": VARIABLE}
    return ours | {"partial_images": 0} | given


def failure(double, prompt=PROMPT, style=None, **given):
    """Return how a drawing fails; nothing of it, shown in any way, knows the key or the prompt."""
    engine = open_engine("openai_images", Settings(), options(double, **given))
    with pytest.raises(EngineError) as caught:
        engine.generate(read_request({"prompt": prompt, "style": style}))
    error = caught.value
    shown = f"{error!r} {''.join(traceback.format_exception(error))} {engine!r}"
    for secret in (KEY, "Zebulon", "zeppelin"):
        assert secret not in shown
    return error


@pytest.mark.parametrize(("mode", "kind", "words"), FAILURES)
def test_a_failure_is_one_call_and_one_of_our_errors(double, caplog, mode, kind, words):
    double.mode = mode
    error = failure(double)
    assert type(error) is kind
    assert httpx2.URL(double.url).netloc.decode() in error.message or "picture" in error.message
    with pytest.raises(kind, match=words):
        raise error
    assert len(double.calls) == 1, "repeating is the queue's"
    assert caplog.records, "this test has stopped seeing logs; mend it"


@pytest.mark.parametrize(("mode", "kind", "words"), STREAMED)
def test_a_failure_of_a_stream_too(double, mode, kind, words):
    double.mode = mode
    error = failure(double, partial_images=1)
    assert type(error) is kind
    with pytest.raises(kind, match=words):
        raise error
    assert len(double.calls) == 1


def test_when_to_come_again_is_passed_on_within_reason(double):
    waits = {"429": None, "429 with Retry-After": 7.0, "429 with a date": 3600.0}
    for mode, wait in waits.items():
        double.mode = mode
        assert failure(double).retry_after_seconds == wait


def test_a_wrong_key_names_the_variable_to_check(double, monkeypatch):
    monkeypatch.setenv(VARIABLE, "sk-wrong-0123456789")
    error = failure(double)
    assert (type(error), error.retryable) == (EngineError, False)
    assert f"set the variable {VARIABLE}" in error.message
    assert "sk-wrong" not in error.message


def test_a_key_that_is_wanted_and_not_given_is_said(double):
    error = failure(double, key_env="")
    assert "name its variable in key_env" in error.message


@pytest.mark.parametrize("model", ["dall-e-3-of-old", "gpt-image-1"])
def test_a_model_that_has_ended_is_named(double, model):
    error = failure(double, models=[model])
    assert (type(error), error.param, error.retryable) == (EngineError, "model", False)
    assert f"no model '{model}', or it has ended; choose another in models" in error.message


def test_what_the_safety_system_refuses_is_no_failure_to_repeat(double):
    error = failure(double, prompt=f"{PROMPT} {FORBIDDEN}")
    assert (type(error), error.param, error.retryable) == (ContentRefused, "prompt", False)


def test_a_refused_parameter_is_named_in_the_words_of_the_target(double):
    error = failure(double, parameters={"seed": 1})
    assert (type(error), error.param, error.retryable) == (EngineError, "seed", False)
    assert error.message.endswith("answered 400: Unknown parameter: 'seed'.")


def test_a_prompt_that_the_target_quotes_is_not_quoted_on(double):
    prompt = (f"{PROMPT} " * 800)[:32_000]
    error = failure(double, prompt=prompt, style="flat", max_prompt=40_000)
    assert error.param == "prompt"
    assert "string too long. Expected 32000 at most; got" in error.message


def test_a_target_that_is_not_there_is_unavailable(double):
    error = failure(double, base_url="http://127.0.0.1:1/v1")
    assert (type(error), error.retryable) == (EngineUnavailable, True)
    assert error.message == "127.0.0.1:1 cannot be connected to"


# Words of others


def asked(prompt=PROMPT):
    target = read_target({"base_url": "https://pictures.example/v1", "models": ["m"]})
    return Asked(target=target, model="m", prompt=prompt, key=KEY)


def answered(status, body, prompt=PROMPT):
    """Return our error for an answer as the library reports it."""
    request = httpx2.Request("POST", "https://pictures.example/v1/images/generations")
    response = httpx2.Response(status, json=body, request=request)
    error = openai.APIStatusError("", response=response, body=body)
    return failure_of(error, asked(prompt))


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (400, {"code": "invalid-argument", "error": "no such shape"}, "no such shape"),
        (400, {"detail": "Model mismatch"}, "Model mismatch"),
        (422, {"detail": [{"loc": ["body", "size"], "msg": "bad size"}]}, "bad size"),
        (400, {"object": "error", "message": "odd steps", "code": 400}, "odd steps"),
    ],
)
def test_the_words_of_other_servers_are_found_in_their_forms(status, body, message):
    error = answered(status, body)
    assert error.message == f"pictures.example answered {status}: {message}"
    assert error.param == ("size" if status == 422 else None)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, {"error": {"code": "content_policy_violation", "message": "no"}}),
        (400, {"error": {"code": "content_filter", "message": "no"}}),
        (403, {"code": "x", "error": "Generated image rejected by content moderation."}),
    ],
)
def test_refusals_of_other_providers_are_known(status, body):
    assert type(answered(status, body)) is ContentRefused


@pytest.mark.parametrize("body", [[], "text", 5, None, {"error": []}, {"error": {"message": 3}}])
def test_bodies_of_no_form_at_all_are_survived(body):
    assert answered(400, body).message.startswith("pictures.example answered 400")


def test_quotations_of_the_prompt_are_left_out_however_they_are_written():
    quoted = asked("A red fox, jumps\nover the lazy dog").quoted
    assert quoted('got "A RED FOX jumps over the lazy dog"!') == 'got "…"!'
    assert (
        quoted("the red fox jumped; jumps\\nover the lazy")
        == "the red fox jumped; jumps\\nover the lazy"
    )
    assert quoted("over the lazy cat") == "… cat"
    assert asked("fox").quoted("no fox, no foxes") == "no …, no foxes"
    assert asked(" ").quoted("size  is\nbad\x07") == "size is bad"


def test_keys_are_left_out_and_long_words_cut():
    assert asked().quoted(f"key {KEY} or sk-proj-abc***xyz") == "key *** or ***"
    assert len(asked().quoted("word " * 500)) == MAX_CHARACTERS


# With the queue


@pytest.fixture(scope="module")
def server(running_double, tmp_path_factory):
    told = {
        GATEWAY: options(running_double),
        STREAMING: options(running_double, partial_images=1),
        HASTY: options(running_double, timeout_seconds=0.5),
    }
    rows = {
        f"openai-{i}": {
            "taskapigatewayuuid": uuid,
            "engine": "openai_images",
            "options": given,
            "tries": TRIES,
            "retry_seconds": 0,
        }
        for i, (uuid, given) in enumerate(told.items())
    }
    folder = tmp_path_factory.mktemp("served")
    with served(folder, gateways=rows) as server, server.client() as client:
        yield client


def task_for(gateway=GATEWAY, **params):
    return {
        "tasktype": "generate_image",
        "taskapigatewayuuid": gateway,
        "params": {"prompt": PROMPT} | params,
    }


def run(client, gateway=GATEWAY, **params):
    """Return a task that has ended; nothing that it says of a failure knows the key or the prompt."""
    answer = client.post("/tasks", json=task_for(gateway, **params), headers={"Prefer": "wait=60"})
    task = answer.json()
    said = json.dumps([task.get("error"), task["warnings"]])
    for secret in (KEY, *PROMPT.split()[:3]):
        assert secret not in said
    assert KEY not in answer.text
    return task


@pytest.fixture
def slow_task(double, server):
    """The address of a task whose target draws, and draws."""
    double.mode = "slow"
    there = server.post("/tasks", json=task_for()).headers["location"]
    until(lambda: double.calls)
    return there


def check_failed(double, task, kind, words):
    error = task["error"]
    assert (task["state"], error["code"], error["retryable"]) == (
        "failed",
        kind.code,
        kind.retryable,
    )
    assert re.search(words, error["message"])
    calls = TRIES if kind.retryable else 1
    assert (len(double.calls), task["attempts"]) == (calls, calls)


@pytest.mark.parametrize("size", ["1024x1792", "1792x1024"])
def test_a_task_for_dall_e_3_in_hd_comes_out_in_its_exact_size(double, server, size):
    task = run(server, model="dall-e-3", quality="hd", size=size)
    assert task["state"] == "succeeded", task
    response = task["payload"]["response"]
    assert response["model"] == "gpt-image-2.6-flare"
    assert response["usage"]["output_tokens"] == 1056
    assert task["payload"]["request"]["model"] == "dall-e-3"
    file = server.get(response["data"][0]["url"])
    assert file.headers["content-type"] == "image/png"
    assert b"caBX" in file.content, "the manifest of who drew it"
    sides = (int.from_bytes(file.content[at : at + 4]) for at in (16, 20))
    assert "x".join(map(str, sides)) == size
    assert len(double.calls) == 1


@pytest.mark.parametrize(
    ("mode", "kind", "words"), [row for row in FAILURES if row[0] != "429 with Retry-After"]
)
def test_a_task_fails_with_the_documented_error_after_the_right_number_of_calls(
    double, server, mode, kind, words
):
    double.mode = mode
    check_failed(double, run(server), kind, words)


@pytest.mark.parametrize(("mode", "kind", "words"), STREAMED)
def test_a_task_fails_so_too_where_its_picture_is_streamed(double, server, mode, kind, words):
    double.mode = mode
    check_failed(double, run(server, STREAMING), kind, words)


def test_a_task_whose_target_is_too_slow_each_time_timed_out(double, server):
    double.mode = "slow"
    check_failed(double, run(server, HASTY), EngineTimedOut, r"took longer than 0\.5 s")


def test_the_time_that_a_target_asks_for_is_waited(double, server):
    double.mode = "429 with Retry-After"
    there = server.post("/tasks", json=task_for()).headers["location"]
    until(lambda: double.calls)
    double.mode = ""
    until(lambda: server.get(there).json()["state"] == "succeeded")
    first, second = (call["time"] for call in double.calls)
    assert second - first >= 7


def test_a_task_with_a_wrong_key_or_none_is_not_tried_again(double, server, monkeypatch):
    monkeypatch.setenv(VARIABLE, "sk-wrong-0123456789")
    task = run(server)
    check_failed(double, task, EngineError, f"wants a good key; set the variable {VARIABLE}")
    assert "sk-wrong" not in json.dumps(task)
    monkeypatch.delenv(VARIABLE)
    task = run(server)
    assert (task["error"]["code"], task["error"]["retryable"]) == ("engine_error", False)
    assert (len(double.calls), task["attempts"]) == (1, 1)


def test_a_refused_prompt_is_never_asked_again(double, server):
    task = run(server, prompt=f"{PROMPT} {FORBIDDEN}")
    check_failed(double, task, ContentRefused, "refuses to draw this prompt")
    assert task["error"]["param"] == "prompt"


def test_a_task_is_cancelled_while_its_target_draws(double, server, slow_task):
    started = time.monotonic()
    assert server.post(f"{slow_task}/cancel").json()["state"] == "cancelled"
    until(lambda: double.abandoned == 1)
    assert time.monotonic() - started < 5
    assert len(double.calls) == 1


def test_a_watcher_is_told_each_step_once_however_long_it_takes(server, slow_task):
    later = threading.Timer(8 * remote.PULSE_SECONDS, server.post, [f"{slow_task}/cancel"])
    later.start()
    events = server.get(f"{slow_task}/events").text
    later.join()
    assert events.count("event: progress") == 1, events
