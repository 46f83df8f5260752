"""The contract: the documented task in, its result out, limits and refusals."""

import json
import math
import time
from pathlib import Path
from uuid import UUID

import jsonschema_rs
import pytest
from pydantic import ValidationError

from gouache.contract import (
    GenerateImage,
    Image,
    ImageData,
    ImageResponse,
    Payload,
    Result,
    Task,
    TaskError,
    read,
    read_request,
    resolved,
    seed_of,
)
from gouache.errors import ContentRefused, RequestError
from gouache.records import NewTask, schemas

ROOT = Path(__file__).parents[1]
CAT = "A white cat sitting on a red sports car."
DOCUMENTED = """{
  "tasktype": "generate_image",
  "taskapigatewayuuid": "e366a208-63a2-48ea-af74-e3e0abf703b4",
  "params": { "prompt": "A white cat sitting on a red sports car." }
}"""
NAME = "2024-06-19-XXXX-YRA3_35000afc-2e6f-5fe9-86b5-1490cd426d41_generate_image.png"
IMAGE = Image(
    fileuuid="530cabeb-7ce7-57b1-ace3-d3795f4fa5bb",
    filename=NAME,
    originalname=NAME,
    contentType="image/png",
    revised_prompt="a white cat",
    alt_text="A white cat.",
)


def refusal(**params):
    with pytest.raises(RequestError) as caught:
        read_request(params)
    return caught.value


def task_refusal(**values):
    with pytest.raises(RequestError) as caught:
        read(NewTask, {"tasktype": "generate_image", "params": {"prompt": CAT}} | values)
    return caught.value


def payload(**params):
    return Payload(
        request=resolved(read_request({"prompt": CAT} | params)),
        response=ImageResponse(
            created=1719985469,
            model="fake-1",
            seed=7,
            data=[ImageData(revised_prompt="a white cat", url="https://x/files/1", image=IMAGE)],
        ),
        image=IMAGE,
    )


def failed(error, **params):
    return Result(
        success=False,
        payload=Payload(request=resolved(read_request({"prompt": CAT} | params))),
        task_duration_ms=12,
        error=TaskError(**error.as_json()),
    )


def test_the_documented_task_is_read_byte_for_byte():
    task = read(Task, json.loads(DOCUMENTED))
    assert task.tasktype == "generate_image"
    assert task.taskapigatewayuuid == UUID("e366a208-63a2-48ea-af74-e3e0abf703b4")
    assert task.params == {"prompt": CAT}
    assert (task.name, task.priority, task.warnings()) == ("generate_image", 100, [])
    assert DOCUMENTED in (ROOT / "docs" / "contract.md").read_text()


def test_a_task_without_a_gateway_goes_to_the_documented_one():
    task = read(Task, {"tasktype": "generate_image", "params": {}})
    assert task == read(Task, json.loads(DOCUMENTED) | {"params": {}})


def test_a_prompt_alone_is_a_request_and_the_defaults_are_the_documented_ones():
    assert read_request({"prompt": CAT}).model_dump() == {
        "prompt": CAT,
        "model": "dall-e-3",
        "size": "1024x1024",
        "quality": "standard",
        "filename": None,
        "disable_model_response": False,
        "seed": None,
        "seed_from": None,
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
        ({"prompt": ["cat"]}, "prompt", "prompt must be text; not ['cat']"),
        ({"prompt": "\ud800"}, "prompt", "prompt is not valid Unicode text"),
        ({"prompt": "a\0b"}, "prompt", "prompt contains a NUL character; take it out"),
        (
            {"prompt": CAT, "size": "512x512"},
            "size",
            "size must be one of 1024x1024, 1024x1792, 1792x1024; not '512x512'",
        ),
        ({"prompt": CAT, "size": 1024}, "size", "size must be one of 1024x1024"),
        ({"prompt": CAT, "quality": "best"}, "quality", "quality must be one of standard, hd"),
        ({"prompt": CAT, "seed": -1}, "seed", "a whole number from 0 to 4294967295; not -1"),
        ({"prompt": CAT, "seed": 2**32}, "seed", "a whole number from 0 to 4294967295"),
        ({"prompt": CAT, "seed": "7"}, "seed", "a whole number from 0 to 4294967295; not '7'"),
        ({"prompt": CAT, "seed": 7.5}, "seed", "a whole number from 0 to 4294967295; not 7.5"),
        ({"prompt": CAT, "seed": True}, "seed", "a whole number from 0 to 4294967295; not True"),
        ({"prompt": CAT, "seed": math.nan}, "seed", "seed is not a number that JSON can carry"),
        ({"prompt": CAT, "seed": 10**5000}, "seed", "seed is not a number that JSON can carry"),
        ({"prompt": CAT, "model": ""}, "model", "model must be 1 to 200 characters"),
        ({"prompt": CAT, "filename": "x" * 1001}, "filename", "filename must be 1 to 1,000"),
        ({"prompt": CAT, "style": ""}, "style", "style must be 1 to 50 characters"),
        (
            {"prompt": CAT, "disable_model_response": 1},
            "disable_model_response",
            'disable_model_response must be true, "true", false or "false"; not 1',
        ),
        (
            {"prompt": CAT, "disable_model_response": "True"},
            "disable_model_response",
            'disable_model_response must be true, "true", false or "false"; not \'True\'',
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


def test_a_whole_number_may_be_written_with_a_point():
    """JSON does not tell 7.0 from 7, nor does the committed schema."""
    assert read_request({"prompt": CAT, "seed": 7.0}).seed == 7
    assert type(read_request({"prompt": CAT, "seed": 7.0}).seed) is int


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


def test_an_unknown_field_of_a_task_is_kept_and_named_with_the_field_it_resembles():
    task = read(NewTask, json.loads(DOCUMENTED) | {"priorty": 1, "x" * 500: 2})
    assert task.model_extra["priorty"] == 1
    typo, long = task.warnings()
    assert typo == "'priorty' is not a field of a task and was ignored; did you mean priority?"
    assert len(long) < 120


def test_thousands_of_unknown_fields_cost_little():
    fields = {f"prompt{i}": 1 for i in range(100_000)}
    begun = time.perf_counter()
    warnings = read_request({"prompt": CAT} | fields).warnings()
    assert time.perf_counter() - begun < 2
    assert warnings[10:] == ["99990 more fields were ignored too"]


@pytest.mark.parametrize(
    ("values", "param", "message"),
    [
        ({"tasktype": "generate_video"}, "tasktype", "must be one of generate_image, attach_file"),
        ({"taskapigatewayuuid": "e366"}, "taskapigatewayuuid", "must be a UUID; not 'e366'"),
        ({"taskapigatewayuuid": 7}, "taskapigatewayuuid", "taskapigatewayuuid must be a UUID"),
        ({"params": "a cat"}, "params", "params must be an object; not 'a cat'"),
        ({"params": None}, "params", "params must be an object; not None"),
        ({"params": {"prompt": "\0"}}, "params.prompt", "params.prompt contains a NUL character"),
        ({"name": "9 lives"}, "name", "like generate_image; not '9 lives'"),
        ({"name": "logo\n"}, "name", "name must match"),
        ({"priority": 0}, "priority", "priority must be a whole number from 1 to 1000; not 0"),
        ({"priority": 1.5}, "priority", "priority must be a whole number from 1 to 1000; not 1.5"),
        ({"priority": False}, "priority", "priority must be a whole number from 1 to 1000"),
        ({"stubref": "2024"}, "stubref", "like 2024-06-19-XXXX-YRA3; not '2024'"),
        ({"stubref": "2024-06-19-XXXX-YRa3"}, "stubref", "stubref must match"),
        ({"stubref": "٢٠٢٤-06-19-XXXX-YRA3"}, "stubref", "stubref must match"),
        ({"conditions": "stub.data.vip"}, "conditions", "conditions must be a list"),
        ({"conditions": [1]}, "conditions.0", "conditions.0 must be text"),
        ({"conditions": ["true"] * 51}, "conditions", "50"),
    ],
)
def test_a_bad_field_of_a_task_is_refused_by_name_with_what_is_allowed(values, param, message):
    error = task_refusal(**values)
    assert (error.param, error.status) == (param, 400)
    assert message in error.message


def test_a_task_without_its_fields_is_refused_with_each():
    with pytest.raises(RequestError) as caught:
        read(Task, {}, inside="tasks.logo")
    assert caught.value.param == "tasks.logo.tasktype"
    assert caught.value.message == "tasks.logo.tasktype is required; tasks.logo.params is required"


@pytest.mark.parametrize(
    ("identity", "seed"),
    [
        ("zoe@example.com", 1047084279),
        ("Zoë", 3332449944),
        (7, 2030201243),
        (True, 3049169947),
        ({"org": 1, "user": ["a", None, 0.5]}, 4028690891),
    ],
)
def test_a_seed_from_somebody_is_the_same_in_every_version(identity, seed):
    request = read_request({"prompt": CAT, "seed_from": identity})
    assert request.wanted_seed == seed
    assert (request.seed, request.seed_from) == (None, identity)


@pytest.mark.parametrize(
    ("one", "same"),
    [
        (7, 7.0),
        (7, "7"),
        ("Zoe\u0308", "Zo\u00eb"),
        ({"a": 1, "b": [2.0]}, {"b": [2], "a": 1.0}),
    ],
)
def test_the_same_identity_written_otherwise_has_the_same_seed(one, same):
    assert seed_of(one) == seed_of(same)


def test_other_identities_have_other_seeds_anywhere_in_their_range():
    seeds = [seed_of(f"user {i}") for i in range(1000)]
    assert len(set(seeds)) == 1000
    assert min(seeds) < 2**32 / 100
    assert max(seeds) > 2**32 * 0.99
    assert seed_of("a@x") != seed_of("A@x")


def test_without_an_identity_the_seed_is_the_one_given_if_any():
    assert read_request({"prompt": CAT, "seed": 7, "seed_from": None}).wanted_seed == 7
    assert read_request({"prompt": CAT}).wanted_seed is None


@pytest.mark.parametrize("empty", ["", " \n", [], {}])
def test_an_empty_identity_is_refused(empty):
    error = refusal(prompt=CAT, seed_from=empty)
    assert error.param == "seed_from"
    assert error.message.startswith("seed_from must not be empty: everyone would get the same")


def test_an_identity_too_long_is_refused_and_not_repeated():
    error = refusal(prompt=CAT, seed_from={"of": "secret" * 2000})
    assert error.message == "seed_from must have at most 10,000 characters as JSON"


def test_a_seed_and_somebody_it_comes_from_are_refused_together():
    error = refusal(prompt=CAT, seed=7, seed_from="zoe@example.com")
    assert error.param == "seed_from"
    assert error.message == "seed_from cannot be used together with seed; leave one out"


def test_the_request_is_echoed_with_its_defaults():
    assert resolved(read_request({"prompt": CAT})) == {
        "prompt": CAT,
        "size": "1024x1024",
        "model": "dall-e-3",
        "quality": "standard",
        "n": 1,
    }


def test_the_request_is_echoed_with_what_else_was_given_but_n_is_1():
    given = {"filename": "cat.png", "disable_model_response": "true", "colour": ["red"], "n": 4}
    echoed = resolved(read_request({"prompt": CAT, "seed": None} | given))
    assert echoed == resolved(read_request({"prompt": CAT})) | {
        "filename": "cat.png",
        "disable_model_response": True,
        "colour": ["red"],
    }


def test_a_result_has_the_documented_envelope():
    envelope = Result(success=True, payload=payload(), task_duration_ms=4211).as_json()
    image = envelope["payload"]["image"]
    assert envelope == {
        "success": True,
        "payload": {
            "request": resolved(read_request({"prompt": CAT})),
            "response": {
                "created": 1719985469,
                "model": "fake-1",
                "seed": 7,
                "unresolved": [],
                "data": [
                    {"revised_prompt": "a white cat", "url": "https://x/files/1", "image": image}
                ],
            },
            "image": image,
        },
        "task_duration_ms": 4211,
        "warnings": [],
    }
    assert image == {
        "filename": NAME,
        "originalname": NAME,
        "fileuuid": "530cabeb-7ce7-57b1-ace3-d3795f4fa5bb",
        "contentType": "image/png",
        "revised_prompt": "a white cat",
        "alt_text": "A white cat.",
    }


def test_the_picture_is_the_same_at_both_its_paths():
    other = IMAGE.model_copy(update={"filename": "other.png"})
    for image in (other, None):
        with pytest.raises(ValidationError, match="image is the one in the response's data"):
            Payload(request={}, response=payload().response, image=image)
    with pytest.raises(ValidationError, match="image is the one in the response's data"):
        Payload(request={}, image=IMAGE)


@pytest.mark.parametrize("count", [0, 2])
def test_a_response_has_one_picture(count):
    data = payload().response.data * count
    with pytest.raises(ValidationError):
        ImageResponse(created=1, model="fake-1", seed=7, data=data)


def test_a_failed_task_says_why_and_keeps_the_request():
    envelope = failed(ContentRefused("draw something else", param="prompt"), size="1024x1792")
    assert envelope.as_json() == {
        "success": False,
        "payload": {"request": resolved(read_request({"prompt": CAT, "size": "1024x1792"}))},
        "task_duration_ms": 12,
        "error": {
            "code": "content_refused",
            "message": "draw something else",
            "type": "engine_error",
            "param": "prompt",
            "retryable": False,
        },
        "warnings": [],
    }
    assert failed(ContentRefused("no")).as_json()["error"]["param"] is None


def test_a_result_is_a_success_or_a_failure():
    error = failed(ContentRefused("no")).error
    for success, asked, why in (
        (True, payload(), error),
        (False, payload(), None),
        (True, failed(ContentRefused("no")).payload, None),
        (False, failed(ContentRefused("no")).payload, None),
    ):
        with pytest.raises(ValidationError, match="succeeded"):
            Result(success=success, payload=asked, task_duration_ms=1, error=why)


def test_a_request_cannot_be_changed():
    with pytest.raises(ValidationError):
        read_request({"prompt": CAT}).prompt = "a dog"


def test_a_request_survives_json():
    request = read_request({"prompt": "\U0001f98a", "seed": 3, "style": "flat", "extra": [1]})
    assert GenerateImage.model_validate_json(request.model_dump_json()) == request


def test_the_committed_schemas_are_those_of_the_models():
    folder = ROOT / "docs" / "schema"
    committed = {path.stem: json.loads(path.read_text()) for path in folder.glob("*.json")}
    assert committed == schemas()
    assert committed.keys() == {"task", "result", "stub", "stubpost"}


@pytest.mark.parametrize(
    "values",
    [
        json.loads(DOCUMENTED),
        {"tasktype": "generate_image", "params": {"prompt": CAT, "disable_model_response": "true"}},
        {"tasktype": "generate_image", "params": {"prompt": CAT, "seed": 1.5}},
        {"tasktype": "generate_image", "params": {"prompt": CAT, "size": "big"}},
        {"tasktype": "generate_image", "params": {"prompt": CAT, "disable_model_response": "yes"}},
        {"tasktype": "generate_image", "params": {}},
        {"tasktype": "generate_image", "params": {"prompt": CAT}, "stubref": "2024"},
        {"tasktype": "generate_image", "params": {"prompt": CAT, "colour": "red"}, "more": 1},
    ],
)
def test_the_schema_of_a_task_takes_what_we_take(values):
    try:
        read_request(read(NewTask, values).params)
        taken = True
    except RequestError:
        taken = False
    assert jsonschema_rs.is_valid(schemas()["task"], values) is taken


def test_results_are_as_their_schema_says():
    schema = schemas()["result"]
    for result in (
        Result(success=True, payload=payload(filename="x"), task_duration_ms=1, warnings=["w"]),
        failed(ContentRefused("no")),
    ):
        jsonschema_rs.validate(schema, result.as_json())
    with pytest.raises(jsonschema_rs.ValidationError):
        jsonschema_rs.validate(schema, {"success": True})
