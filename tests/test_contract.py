"""The request: its fields, limits and refusals."""

import pytest
from pydantic import ValidationError

from gouache.contract import GenerateImage, read_request
from gouache.errors import RequestError

CAT = "A white cat sitting on a red sports car."


def refusal(**params):
    with pytest.raises(RequestError) as caught:
        read_request(params)
    return caught.value


def test_a_prompt_alone_is_a_request_and_the_defaults_are_the_documented_ones():
    assert read_request({"prompt": CAT}).model_dump() == {
        "prompt": CAT,
        "model": "dall-e-3",
        "size": "1024x1024",
        "quality": "standard",
        "filename": None,
        "disable_model_response": False,
        "seed": None,
        "style": None,
    }


@pytest.mark.parametrize(
    ("size", "width", "height"),
    [("1024x1024", 1024, 1024), ("1024x1792", 1024, 1792), ("1792x1024", 1792, 1024)],
)
def test_each_size_is_width_by_height(size, width, height):
    request = read_request({"prompt": CAT, "size": size})
    assert (request.width, request.height) == (width, height)


@pytest.mark.parametrize("length", [1, 32_000])
def test_a_prompt_has_1_to_32000_characters(length):
    assert len(read_request({"prompt": "é" * length}).prompt) == length


def test_a_prompt_is_kept_as_it_is_written():
    prompt = "  two\nlines, \U0001f98a and a \x1b "
    assert read_request({"prompt": prompt}).prompt == prompt


@pytest.mark.parametrize(
    ("params", "param", "message"),
    [
        ({}, "prompt", "prompt is required"),
        ({"prompt": ""}, "prompt", "prompt must be 1 to 32,000 characters; this one has 0"),
        ({"prompt": "x" * 32_001}, "prompt", "1 to 32,000 characters; this one has 32,001"),
        ({"prompt": None}, "prompt", "prompt must be text; not None"),
        ({"prompt": "\ud800"}, "prompt", "prompt is not valid Unicode text"),
        (
            {"prompt": CAT, "size": "512x512"},
            "size",
            "size must be one of 1024x1024, 1024x1792, 1792x1024; not '512x512'",
        ),
        ({"prompt": CAT, "quality": "best"}, "quality", "quality must be one of standard, hd"),
        ({"prompt": CAT, "seed": -1}, "seed", "a whole number from 0 to 4294967295; not -1"),
        ({"prompt": CAT, "seed": 2**32}, "seed", "a whole number from 0 to 4294967295"),
        ({"prompt": CAT, "seed": "7"}, "seed", "a whole number from 0 to 4294967295; not '7'"),
        ({"prompt": CAT, "model": ""}, "model", "model must be 1 to 200 characters"),
        ({"prompt": CAT, "filename": "x" * 1001}, "filename", "filename must be 1 to 1,000"),
        (
            {"prompt": CAT, "disable_model_response": 1},
            "disable_model_response",
            'disable_model_response must be true, "true", false or "false"; not 1',
        ),
    ],
)
def test_a_bad_value_is_refused_by_name_with_what_is_allowed(params, param, message):
    error = refusal(**params)
    assert (error.param, error.status) == (param, 400)
    assert message in error.message


def test_a_refusal_names_every_bad_field():
    error = refusal(prompt="", size="big")
    assert "prompt must" in error.message
    assert "size must" in error.message


def test_a_refusal_does_not_repeat_a_long_value():
    assert len(refusal(prompt=CAT, size="x" * 10_000).message) < 200


@pytest.mark.parametrize("value", [True, "true"])
def test_disable_model_response_may_be_true_as_a_string(value):
    assert read_request({"prompt": CAT, "disable_model_response": value}).disable_model_response


@pytest.mark.parametrize("value", [False, "false"])
def test_disable_model_response_may_be_false_as_a_string(value):
    assert not read_request({"prompt": CAT, "disable_model_response": value}).disable_model_response


def test_an_unknown_field_is_kept_and_named_with_the_field_it_resembles():
    request = read_request({"prompt": CAT, "sise": "1024x1792", "colour": "red"})
    assert request.model_extra == {"sise": "1024x1792", "colour": "red"}
    assert request.warnings() == [
        "'sise' is not a field of generate_image and was ignored; did you mean size?",
        "'colour' is not a field of generate_image and was ignored",
    ]


def test_a_request_cannot_be_changed():
    with pytest.raises(ValidationError):
        read_request({"prompt": CAT}).prompt = "a dog"


def test_a_request_survives_json():
    request = read_request({"prompt": "\U0001f98a", "seed": 3, "style": "flat", "extra": [1]})
    assert GenerateImage.model_validate_json(request.model_dump_json()) == request
