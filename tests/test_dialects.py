"""The table of dialects, and what a gateway's options make of it."""

import pytest

from gouache.contract import QUALITIES, SIZES
from gouache.engines.dialects import Target, dialects, read_target
from gouache.errors import SettingsError


@pytest.mark.parametrize("name", [name for name in dialects() if name not in ("azure", "other")])
def test_each_row_of_the_table_is_a_target_by_itself(name):
    row = dialects()[name]
    target = read_target({"dialect": name})
    assert target.dialect == name
    assert set(row) - set(Target.model_fields) <= {"hosts", "about"}, "a misspelt name"
    assert set(target.quality) in (set(), set(QUALITIES))
    assert row["about"]


def test_without_options_it_is_openai():
    target = read_target({})
    assert (target.dialect, target.base_url) == ("openai", "https://api.openai.com/v1")
    assert (target.models[0], target.key_env) == ("gpt-image-2.6-flare", "OPENAI_API_KEY")
    assert target.response_format == ""


@pytest.mark.parametrize(
    ("url", "dialect"),
    [
        ("https://api.openai.com/v1", "openai"),
        ("https://eu.api.openai.com/v1/", "openai"),
        ("https://ours.openai.azure.com", "azure"),
        ("https://api.x.ai/v1", "xai"),
        ("https://api.together.xyz/v1", "together"),
        ("https://api.openai.com.example/v1", "other"),
        ("https://example.org/api.openai.com", "other"),
        ("http://127.0.0.1:8080/v1", "other"),
    ],
)
def test_the_dialect_is_known_by_the_host(url, dialect):
    target = read_target({"base_url": url, "models": ["m"]})
    assert target.dialect == dialect
    assert target.base_url == url.rstrip("/")


def test_no_key_is_sent_to_a_host_that_nobody_named_it_for():
    ours = {"dialect": "openai", "base_url": "https://example.org/v1"}
    assert read_target(ours).key_env == ""
    assert read_target(ours | {"key_env": "THEIRS"}).key_env == "THEIRS"
    assert read_target({"base_url": "https://eu.api.openai.com/v1"}).key_env == "OPENAI_API_KEY"


def test_what_the_table_says_can_be_said_otherwise():
    target = read_target({"partial_images": 0, "quality": {"hd": {"quality": "max"}}})
    assert target.partial_images == 0
    assert target.quality == {"hd": {"quality": "max"}}


@pytest.mark.parametrize(
    ("options", "param", "words"),
    [
        ({"dialect": "opanai"}, "dialect", "one of openai, azure, .*did you mean openai"),
        ({"dialect": 5}, "dialect", "one of openai"),
        ({"base_url": "ftp://x"}, "base_url", "must begin with https://"),
        ({"base_url": "https://me:hunter2@example.org/v1"}, "base_url", "without a name"),
        ({"base_url": "https://api.openai.com/v1?key=hunter2"}, "base_url", "without [?] and #"),
        ({"base_url": "http://[", "models": ["m"]}, "base_url", "must be an address"),
        ({"base_url": 5, "dialect": "azure"}, "base_url", "must be text"),
        ({"dialect": "azure"}, "base_url", "is required"),
        ({"base_url": "https://example.org/v1"}, "models", "is required"),
        ({"models": []}, "models", "at least 1"),
        ({"key": "sk-x"}, "key", "has no field 'key'.*did you mean key_env"),
        ({"key_env": "not a name"}, "key_env", "must match"),
        ({"sizes": ["big"]}, "sizes.0", "must match"),
        ({"partial_images": 4}, "partial_images", "from 0 to 3"),
        ({"parameters": {"n": 2, "user": "x"}}, "parameters", "must not have n"),
        ({"quality": {"ultra": {}}}, "quality.ultra", "one of standard, hd"),
    ],
)
def test_a_bad_option_is_named(options, param, words):
    with pytest.raises(SettingsError, match=words) as caught:
        read_target(options)
    assert caught.value.param == f"options.{param}"
    assert "hunter2" not in caught.value.message


@pytest.mark.parametrize(
    ("sizes", "size", "shape"),
    [
        (SIZES, "1024x1792", "1024x1792"),
        (("1024x1024", "1024x1536", "1536x1024"), "1792x1024", "1536x1024"),
        (("1024x1024", "1024x1536", "1536x1024"), "1024x1792", "1024x1536"),
        (("512x512", "1024x1024", "2048x2048"), "1024x1024", "1024x1024"),
        (("512x512", "1280x1280", "2048x2048"), "1024x1024", "1280x1280"),
        (("256x256", "768x768"), "1024x1024", "768x768"),
        (("1:1", "9:16", "16:9", "1:2"), "1024x1792", "9:16"),
    ],
)
def test_the_nearest_shape_is_drawn(sizes, size, shape):
    target = read_target({"sizes": sizes, "sizes_of": {}})
    assert target.shape_for("m", size) == shape


def test_models_may_have_sizes_of_their_own():
    target = read_target({})
    assert target.shape_for("gpt-image-1.5", "1024x1792") == "1024x1536"
    assert target.shape_for("gpt-image-2.6-flare", "1024x1792") == "1024x1792"
    longer = {"gpt": ("1:1",), "gpt-image-2": ("9:16", "1:1")}
    target = read_target({"sizes_of": longer})
    assert target.shape_for("gpt-image-2.6-flare", "1024x1792") == "9:16"
