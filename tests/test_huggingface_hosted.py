import io
import logging
import threading
import time

import numpy as np
import pytest
from huggingface_hub import constants
from PIL import Image

from gouache.contract import SIZES, read_request
from gouache.engines import open_engine
from gouache.engines.huggingface_hosted import Options
from gouache.errors import (
    Cancelled,
    ContentRefused,
    EngineError,
    EngineRateLimited,
    EngineTimedOut,
    EngineUnavailable,
    SettingsError,
    UnsupportedByEngine,
)
from gouache.settings import Settings
from tests.doubles.hosted import KEY, hosted_double
from tests.opening import ended, new, opened

PROMPT = "a mauve walrus on a unicycle"


@pytest.fixture
def double(monkeypatch):
    """The providers and the hub, on this machine."""
    with hosted_double() as (double, url):
        double.url = url
        monkeypatch.setenv("HF_TOKEN", KEY)
        monkeypatch.setattr(constants, "ENDPOINT", url)
        monkeypatch.setattr(constants, "INFERENCE_PROXY_TEMPLATE", url + "/{provider}")
        yield double


def engine(**options):
    return open_engine("huggingface_hosted", Settings(), options)


def endpoint(double, **options):
    return engine(base_url=f"{double.url}/endpoint", **options)


def draw(engine, on_step=None, **params):
    return engine.generate(read_request({"prompt": PROMPT, "seed": 7} | params), on_step)


@pytest.mark.parametrize("size", SIZES)
def test_an_endpoint_is_asked_for_the_size_and_its_file_is_kept(double, size):
    drawing = draw(endpoint(double, model="mine"), size=size)
    request = read_request({"prompt": PROMPT, "size": size})
    assert drawing.pixels.shape == (request.height, request.width, 3)
    assert drawing.encoded.content_type == "image/png"
    with Image.open(io.BytesIO(drawing.encoded.data)) as kept:
        np.testing.assert_array_equal(np.asarray(kept), drawing.pixels)
    (path, given, _), *others = double.asked
    assert not others
    assert (path, given["inputs"]) == ("/endpoint", PROMPT)
    assert given["parameters"] == {"width": request.width, "height": request.height, "seed": 7}
    assert (drawing.model, drawing.seed, drawing.revised_prompt) == ("mine", 7, PROMPT)
    assert drawing.warnings == ()


@pytest.mark.parametrize("provider", ["nscale", "together", "auto"])
def test_a_provider_is_found_by_the_hub_and_asked_by_its_own_rules(double, provider):
    drawing = draw(engine(model="maker/model", provider=provider), size="1024x1792")
    assert drawing.pixels.shape == (1792, 1024, 3)
    (path, given, headers), *others = double.asked
    assert not others
    known = "nscale" if provider == "auto" else provider
    assert path == f"/{known}/v1/images/generations"
    assert (given["prompt"], given["model"], given["seed"]) == (PROMPT, f"theirs/{known}", 7)
    assert headers["authorization"] == f"Bearer {KEY}"


def test_steps_guidance_and_other_parameters_are_passed_on_by_quality(double):
    drawn = endpoint(
        double,
        steps={"standard": 4, "hd": 8},
        guidance={"hd": 2.5},
        parameters={"negative_prompt": "fog"},
    )
    for quality in ("standard", "hd"):
        draw(drawn, quality=quality)
    standard, hd = (given["parameters"] for _, given, _ in double.asked)
    assert (standard["num_inference_steps"], standard.get("guidance_scale")) == (4, None)
    assert (hd["num_inference_steps"], hd["guidance_scale"]) == (8, 2.5)
    assert standard["negative_prompt"] == hd["negative_prompt"] == "fog"


def test_another_size_is_brought_to_the_one_asked_for_and_said(double):
    double.size = (768, 768)
    drawing = draw(endpoint(double), size="1792x1024")
    assert drawing.pixels.shape == (1024, 1792, 3)
    assert drawing.encoded is None
    assert drawing.warnings == (
        "drawn at 768x768, cut at top and bottom and enlarged to 1792x1024",
    )


def test_a_model_without_seeds_says_so_and_is_sent_none(double):
    without = endpoint(double, seed=False, size=False)
    with pytest.raises(UnsupportedByEngine, match="seed is not supported"):
        draw(without)
    drawing = without.generate(read_request({"prompt": PROMPT}))
    assert drawing.seed is None
    assert double.asked[0][1]["parameters"] == {}


@pytest.mark.parametrize(
    ("status", "headers", "body", "kind", "words"),
    [
        (400, [], b'{"error": "NSFW content detected"}', ContentRefused, "refuses to draw"),
        (400, [], b'{"error": "bad width"}', EngineError, "does not take what is asked"),
        (401, [], b'{"error": "Invalid token"}', EngineError, "HF_TOKEN"),
        (402, [], b'{"error": "exceeded credits"}', EngineError, "no credit left"),
        (403, [], b"{}", EngineError, "does not let the key"),
        (404, [], b"{}", EngineError, "options.model"),
        (410, [], b"{}", EngineError, "any more"),
        (422, [], b'{"error": "flagged by moderation"}', ContentRefused, "refuses"),
        (429, [("retry-after", "7")], b"{}", EngineRateLimited, "less often"),
        (500, [], b"<html>", EngineUnavailable, "answered 500"),
        (503, [], b'{"error": "Model is currently loading"}', EngineUnavailable, "is loading"),
        (504, [], b"", EngineTimedOut, "too long"),
    ],
)
def test_each_failure_is_one_of_our_errors_after_one_call(
    double, status, headers, body, kind, words
):
    double.fail = (status, headers, body)
    with pytest.raises(EngineError, match=words) as caught:
        draw(endpoint(double, model="mine", key_env="HF_TOKEN"))
    assert type(caught.value) is kind
    assert caught.value.retryable == (
        kind in (EngineRateLimited, EngineUnavailable, EngineTimedOut)
    )
    assert len(double.asked) == 1
    if status == 429:
        assert caught.value.retry_after_seconds == 7
    error = caught.value
    while error is not None:  # what a traceback shows
        assert KEY not in f"{error!r} {error}"
        assert PROMPT not in f"{error!r} {error}"
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


@pytest.mark.parametrize(
    ("fail", "kind"),
    [
        ((400, [], b'{"error": "NSFW content detected"}'), ContentRefused),
        ((401, [], b'{"error": "Invalid token"}'), EngineError),
        ((429, [], b"{}"), EngineRateLimited),
        ((503, [], b'{"error": "Model is currently loading"}'), EngineUnavailable),
        ((504, [], b""), EngineTimedOut),
        ((200, [], b"<html>sorry</html>"), EngineUnavailable),
    ],
)
def test_a_task_fails_with_the_documented_error_after_the_right_number_of_calls(
    double, caplog, tmp_path, fail, kind
):
    caplog.set_level(logging.DEBUG)
    double.fail = fail
    options = {"base_url": f"{double.url}/endpoint", "key_env": "HF_TOKEN"}
    with opened(tmp_path, first={"engine": "huggingface_hosted", "options": options}) as service:
        task = ended(service, service.submit(new(PROMPT, seed=7)))
    calls = 3 if kind.retryable else 1
    assert (task.error.code, task.error.retryable) == (kind.code, kind.retryable)
    assert (len(double.asked), task.attempts) == (calls, calls)
    assert all(headers["authorization"] == f"Bearer {KEY}" for *_, headers in double.asked)
    for secret in (KEY, "walrus", "unicycle"):
        assert secret not in f"{task.error} {task.warnings}"
        assert secret not in caplog.text
    assert caplog.records, "this test has stopped seeing logs; mend it"


def test_what_is_no_picture_may_be_one_the_next_time(double):
    for double.body in (b"<html>sorry</html>", b"", b"\x89PNG\r\n\x1a\nrest"):
        with pytest.raises(EngineUnavailable, match="picture"):
            draw(endpoint(double))
    double.body = b"{}"
    with pytest.raises(EngineUnavailable, match="cannot be read"):
        draw(engine(model="maker/model", provider="nscale"))


def test_a_slow_endpoint_is_given_up(double):
    double.slow = 2
    begun = time.monotonic()
    with pytest.raises(EngineTimedOut, match=r"within 0\.3 s"):
        draw(endpoint(double, timeout_seconds=0.3))
    assert time.monotonic() - begun < 1.5


def test_cancelling_does_not_wait_for_the_endpoint(double):
    double.slow = 3
    stopped = threading.Event()
    threading.Timer(0.3, stopped.set).start()

    def on_step(step):
        if stopped.is_set():
            raise Cancelled("enough")

    begun = time.monotonic()
    with pytest.raises(Cancelled, match="enough"):
        draw(endpoint(double), on_step)
    assert time.monotonic() - begun < 2


def test_nobody_there_is_unavailable():
    with pytest.raises(EngineUnavailable, match=r"127\.0\.0\.1:9 cannot be connected to"):
        draw(engine(base_url="http://127.0.0.1:9/x", key_env=""))


def test_a_model_that_no_provider_has_is_an_error_to_mend(double):
    with pytest.raises(EngineError, match=r"options\.provider") as caught:
        draw(engine(model="maker/model", provider="replicate"))
    assert not caught.value.retryable
    with pytest.raises(EngineError, match=r"no model maker/missing") as caught:
        draw(engine(model="maker/missing"))
    assert not caught.value.retryable
    assert double.asked == []


@pytest.mark.parametrize(
    ("url", "variable"),
    [
        ("", "HF_TOKEN"),
        ("https://abc.us-east-1.aws.endpoints.huggingface.cloud", "HF_TOKEN"),
        ("https://router.huggingface.co/x", "HF_TOKEN"),
        ("https://huggingface.co.example.org", ""),
        ("https://example.org?huggingface.co", ""),
        ("https://evilhuggingface.co", ""),
    ],
)
def test_the_hub_s_token_goes_to_the_hub_s_hosts_unasked_and_to_no_other(url, variable):
    assert Options(model="m", base_url=url).variable == variable


def test_the_key_comes_from_its_variable_and_from_nowhere_else(double, monkeypatch):
    draw(endpoint(double))
    assert "authorization" not in {name.lower() for name in double.asked[0][2]}
    monkeypatch.setenv("MINE", "hf_mine")
    draw(endpoint(double, key_env="MINE"))
    assert double.asked[1][2]["authorization"] == "Bearer hf_mine"
    monkeypatch.delenv("MINE")
    with pytest.raises(EngineError, match="variable MINE must hold the key for nscale"):
        draw(engine(model="maker/model", provider="nscale", key_env="MINE"))
    assert len(double.asked) == 2


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "needs a model, or a base_url"),
        ({"model": "m", "steps": {"standard": 0}}, r"options\.steps\.standard"),
        ({"model": "m", "colour": 1}, "options has no field 'colour'"),
        ({"base_url": "ftp://x"}, "http"),
        ({"base_url": "https://huggingface.co@example.org/x"}, "without a name or password"),
    ],
)
def test_bad_options_are_refused_by_name(options, words):
    with pytest.raises(SettingsError, match=words):
        engine(**options)
