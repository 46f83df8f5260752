"""The engine of OpenAI's image dialect, against a double that keeps the live API's rules."""

import io
import re
import subprocess
import sys
import threading
import time
import tomllib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gouache.contract import SIZES, read_request
from gouache.engines import open_engine
from gouache.errors import Cancelled, EngineError, EngineTimedOut, UnsupportedByEngine
from gouache.gateways import Gateways
from gouache.scene import STYLES
from gouache.settings import Settings, read_settings
from tests.doubles.openai_images import FORBIDDEN, KEY, VARIABLE
from tests.doubles.openai_images import double as double
from tests.doubles.openai_images import running_double as running_double
from tests.doubles.pictures import MANIFEST, picture
from tests.served import served, until

PROMPT = "A white cat sitting on a red sports car."


def opened(double, **options):
    """Return the engine as it is for OpenAI, but at the double."""
    given = {"dialect": "openai", "base_url": double.base_url, "key_env": VARIABLE}
    return open_engine("openai_images", Settings(), given | options)


def local(double, **options):
    """Return the engine for a server of the older kind."""
    given = {"base_url": double.local_url, "models": ["a-model"], "max_prompt": 100}
    return open_engine("openai_images", Settings(), given | options)


def draw(engine, on_step=None, **params):
    return engine.generate(read_request({"prompt": PROMPT} | params), on_step)


def size_of(drawing):
    return f"{drawing.pixels.shape[1]}x{drawing.pixels.shape[0]}"


# What is asked


def test_dall_e_3_in_hd_becomes_what_openai_has_today(double):
    drawing = draw(opened(double), model="dall-e-3", quality="hd", size="1024x1792")
    assert double.calls[0]["body"] == {
        "model": "gpt-image-2.6-flare",
        "prompt": PROMPT,
        "size": "1024x1792",
        "quality": "high",
        "stream": True,
        "partial_images": 1,
    }
    assert drawing.model == "gpt-image-2.6-flare"
    assert (size_of(drawing), drawing.warnings) == ("1024x1792", ())


def test_standard_becomes_medium_and_nothing_is_streamed_without_previews(double):
    draw(opened(double, partial_images=0))
    body = double.calls[0]["body"]
    assert body["quality"] == "medium"
    assert not {"stream", "partial_images", "response_format", "n"} & set(body)


def test_a_gpt_image_model_is_never_sent_a_response_format(double):
    for said in ({"response_format": "b64_json"}, {"parameters": {"response_format": "url"}}):
        draw(opened(double, **said))
    assert all("response_format" not in call["body"] for call in double.calls)
    draw(local(double))
    assert double.calls[-1]["body"]["response_format"] == "b64_json"


def test_nothing_leaves_but_what_the_api_needs(double, monkeypatch):
    for name in ("OPENAI_API_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID"):
        monkeypatch.setenv(name, "somebody-elses")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "x-secret: somebody-elses")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    draw(opened(double))
    draw(local(double))
    needed = {"host", "connection", "accept", "accept-encoding", "user-agent"}
    needed |= {"content-type", "content-length"}
    first, second = (call["headers"] for call in double.calls)
    assert set(first) == needed | {"authorization"}
    assert first["authorization"] == f"Bearer {KEY}"
    assert set(second) == needed, "no key is sent where none is wanted"
    assert first["user-agent"] == "Gouache"


def test_azure_has_the_model_in_the_address_and_the_key_in_a_header_of_its_own(double):
    engine = open_engine(
        "openai_images",
        Settings(),
        {
            "dialect": "azure",
            "base_url": double.url,
            "api_version": "2026-10-01",
            "key_env": VARIABLE,
            "models": ["gpt-image-2"],
        },
    )
    assert draw(engine).model == "gpt-image-2"
    assert list(double.paths) == ["/openai/deployments/gpt-image-2/images/generations"]
    headers = double.calls[0]["headers"]
    assert headers["api-key"] == KEY
    assert "authorization" not in headers


def test_options_say_what_else_is_sent_and_win(double):
    more = {"moderation": "low", "quality": "low"}
    draw(opened(double, parameters=more), quality="hd")
    body = double.calls[0]["body"]
    assert (body["moderation"], body["quality"]) == ("low", "low")


def test_sizes_are_said_as_the_target_wants_them(double):
    draw(local(double, size_as="width_height"), size="1024x1792")
    draw(local(double, size_as="aspect_ratio", sizes=["1:1", "9:16", "16:9"]), size="1792x1024")
    first, second = (call["body"] for call in double.calls)
    assert (first["width"], first["height"]) == (1024, 1792)
    assert second["aspect_ratio"] == "16:9"
    assert "size" not in first | second


def test_a_style_is_said_in_words(double):
    drawing = draw(opened(double), style="flat")
    assert double.calls[0]["body"]["prompt"] == f"{PROMPT}, {STYLES['flat']}"
    assert drawing.revised_prompt == f"{PROMPT}, {STYLES['flat']}"


def test_a_prompt_that_is_too_long_is_cut_between_words_and_says_so(double):
    drawing = draw(local(double), prompt="word " * 50, style="flat")
    sent = double.calls[0]["body"]["prompt"]
    assert len(sent) <= 100
    assert sent.endswith(f"word, {STYLES['flat']}")
    assert drawing.warnings == ("the prompt was cut after 79 of its 250 characters",)


def test_signs_with_a_meaning_of_their_own_are_sent_as_commas(double):
    draw(local(double, reserved="|"), prompt="a cat | a dog")
    assert double.calls[0]["body"]["prompt"] == "a cat , a dog"


# What comes


@pytest.mark.parametrize("size", SIZES)
def test_a_file_of_the_right_size_is_kept_with_its_manifest(double, size):
    drawing = draw(opened(double), size=size)
    assert drawing.encoded.data == picture(PROMPT, size=size)
    assert MANIFEST in drawing.encoded.data
    assert drawing.encoded.content_type == "image/png"
    with Image.open(io.BytesIO(drawing.encoded.data)) as image:
        np.testing.assert_array_equal(np.asarray(image), drawing.pixels)


def test_other_kinds_of_files_are_kept_too(double):
    for form, content_type in (("JPEG", "image/jpeg"), ("WEBP", "image/webp")):
        double.form = form
        assert draw(opened(double)).encoded.content_type == content_type


def test_an_older_model_draws_the_nearest_size_and_the_picture_has_the_one_asked_for(double):
    drawing = draw(opened(double, models=["gpt-image-1.5"]), size="1024x1792")
    assert double.calls[0]["body"]["size"] == "1024x1536"
    assert size_of(drawing) == "1024x1792"
    assert drawing.encoded is None
    assert drawing.warnings == ("drawn at 1024x1536, cut at the sides and enlarged to 1024x1792",)


def test_a_target_that_draws_another_size_than_it_was_asked_for_is_put_right(double):
    double.drawn_size = "512x512"
    drawing = draw(local(double), size="1792x1024")
    assert size_of(drawing) == "1792x1024"
    assert "drawn at 512x512" in drawing.warnings[0]


def test_the_revised_prompt_is_the_targets_or_what_it_was_sent(double):
    assert draw(opened(double)).revised_prompt == PROMPT
    assert draw(local(double)).revised_prompt == f"{PROMPT}, in fine detail"


def test_usage_is_passed_on_streamed_or_not(double):
    for partial_images in (0, 2):
        usage = draw(opened(double, partial_images=partial_images)).usage
        assert (usage.input_tokens, usage.output_tokens) == (9, 1056)
    assert draw(local(double)).usage is None


def test_a_target_with_one_quality_says_that_hd_is_no_better(double):
    said = ("hd is the same as standard at this gateway",)
    assert draw(local(double), quality="hd").warnings == said
    assert draw(local(double)).warnings == ()


def test_a_seed_is_sent_where_it_is_taken_and_refused_elsewhere(double):
    engine = local(double, seed=True)
    drawing = draw(engine, seed=7)
    assert (drawing.seed, double.calls[0]["body"]["seed"]) == (7, 7)
    chosen = draw(engine)
    assert chosen.seed == double.calls[1]["body"]["seed"]
    with pytest.raises(UnsupportedByEngine, match="seed is not supported"):
        draw(opened(double), seed=7)
    drawing = draw(opened(double))
    assert drawing.seed is None
    assert "seed" not in double.calls[-1]["body"]
    assert len(double.calls) == 3


@pytest.mark.parametrize("partial_images", [0, 1, 3])
def test_partial_images_are_the_previews(double, partial_images):
    seen = []
    draw(opened(double, partial_images=partial_images), seen.append)
    steps = partial_images + 1
    told = {step.step: step for step in seen if step.step}  # while it waits, the last comes again
    assert list(told) == list(range(1, steps + 1))
    assert {step.steps for step in seen} == {steps}
    assert all(max(step.preview.shape) <= 128 for step in told.values())


def test_a_broken_preview_does_no_harm(double):
    double.mode = "stream: broken preview"
    seen = []
    assert size_of(draw(opened(double), seen.append)) == "1024x1024"
    told = {step.step: step.preview is None for step in seen if step.step}
    assert told == {1: True, 2: False}


# Stopping


def stopping(started, seconds):
    """Return an `on_step` that stops the drawing some time after it began."""

    def on_step(step):
        if time.monotonic() - started > seconds:
            raise Cancelled("enough")

    return on_step


@pytest.mark.parametrize("mode", ["slow", "stream: slow"])
def test_cancelling_does_not_wait_for_the_target_and_hangs_up(double, mode):
    double.mode = mode
    started = time.monotonic()
    with pytest.raises(Cancelled, match="enough"):
        draw(opened(double), stopping(started, 0.5))
    assert time.monotonic() - started < 5
    until(lambda: double.abandoned == 1)


def test_a_target_that_is_too_slow_is_given_up(double):
    double.mode = "slow"
    with pytest.raises(EngineTimedOut, match="took longer than 0.5 s"):
        draw(opened(double, timeout_seconds=0.5))
    until(lambda: double.abandoned == 1)


def test_several_pictures_are_drawn_at_once(double):
    engine, drawn = opened(double), {}

    def one(prompt):
        drawn[prompt] = draw(engine, prompt=prompt)

    threads = [threading.Thread(target=one, args=(f"cat number {i}",)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {prompt: d.encoded.data == picture(prompt) for prompt, d in drawn.items()} == {
        f"cat number {i}": True for i in range(4)
    }


# Opening


@pytest.mark.parametrize(("value", "why"), [("", "is not set"), ("a\nb", "holds what cannot be")])
def test_a_missing_key_names_its_variable_and_nothing_is_called(double, monkeypatch, value, why):
    engine = opened(double)
    monkeypatch.setenv(VARIABLE, value)
    with pytest.raises(EngineError, match=f"variable {VARIABLE}.*{why}") as caught:
        draw(engine)
    assert not caught.value.retryable
    assert double.calls == []


def test_without_its_library_the_engine_says_what_to_install():
    code = (
        "import sys\n"
        "sys.modules['openai'] = None\n"
        "from gouache.engines import open_engine\n"
        "from gouache.settings import Settings\n"
        "open_engine('openai_images', Settings(), {})\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "'openai_images' cannot be loaded" in done.stderr
    assert "pip install 'gouache[openai]'" in done.stderr


def test_our_own_endpoint_is_a_target_too(tmp_path, double):
    with served(tmp_path) as server:
        engine = open_engine(
            "openai_images",
            Settings(),
            {"dialect": "gouache", "base_url": f"{server.url}/v1", "models": ["fake-1"]},
        )
        seen = []
        drawing = draw(engine, seen.append, seed=7, size="1024x1792", quality="hd")
    assert (size_of(drawing), drawing.model, drawing.seed) == ("1024x1792", "fake-1", 7)
    assert drawing.revised_prompt == PROMPT
    assert drawing.encoded.content_type == "image/png"
    ours = open_engine("fake", Settings()).generate(
        read_request({"prompt": PROMPT, "seed": 7, "size": "1024x1792", "quality": "hd"})
    )
    np.testing.assert_array_equal(drawing.pixels, ours.pixels)


def test_the_double_keeps_the_rules_itself(double):
    """What the engine must not send is refused there, so that these tests would see it."""
    for said, param in [
        ({"parameters": {"style": "vivid"}}, "style"),
        ({"parameters": {"seed": 1}}, "seed"),
        ({"parameters": {"quality": "hd"}}, "quality"),
        ({"sizes": ["1000x1000"]}, "size"),
        ({"models": ["gpt-image-1.5"], "sizes_of": {}, "sizes": ["1024x1792"]}, "size"),
    ]:
        with pytest.raises(EngineError) as caught:
            draw(opened(double, **said))
        assert caught.value.param == param
    with pytest.raises(EngineError, match="refuses to draw"):
        draw(opened(double), prompt=f"a {FORBIDDEN} thing")


def test_the_rows_of_the_documentation_open():
    page = (Path(__file__).parents[1] / "docs" / "engines.md").read_text()
    rows = tomllib.loads(re.search(r"```toml\n(.*?)```", page, re.DOTALL)[1])["gateways"]
    gateways = Gateways(read_settings(gateways=rows))
    assert len(rows) >= 6
    for name in rows:
        assert gateways.capabilities(name).sizes == SIZES
        assert "dall-e-3" in gateways.capabilities(name).models
