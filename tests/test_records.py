"""Stubs, stubposts and tasks as they are handed in."""

import json
from typing import get_args

import jsonschema_rs
import pytest

from gouache.contract import FileObject, read
from gouache.errors import RequestError
from gouache.records import (
    ENDED,
    MAX_ATTACHMENTS,
    MAX_TASKS,
    TASK_STATES,
    NewStub,
    NewStubpost,
    NewTask,
    Page,
    Progress,
    Stub,
    Stubpost,
    TaskRecord,
    TaskState,
)

FILE = "530cabeb-7ce7-57b1-ace3-d3795f4fa5bb"
LOGO = {"tasktype": "generate_image", "params": {"prompt": "A logo"}}


def refusal(model, **values):
    with pytest.raises(RequestError) as caught:
        read(model, values)
    json.dumps(caught.value.as_json()).encode()
    return caught.value


def test_an_empty_stub_and_an_empty_stubpost_are_enough():
    assert read(NewStub, {}).model_dump() == {
        "stubref": None,
        "state": "new",
        "data": {},
        "attachments": [],
    }
    assert read(NewStubpost, {}).model_dump() == {
        "action": "post",
        "message": "",
        "data": {},
        "attachments": [],
        "tasks": {},
    }


@pytest.mark.parametrize(
    ("values", "param", "message"),
    [
        ({"stubref": "24-06-19-XXXX-YRA3"}, "stubref", "like 2024-06-19-XXXX-YRA3; not '24-06"),
        ({"stubref": "2024-06-19-XXXX-YRA3\n"}, "stubref", "stubref must match"),
        ({"state": ""}, "state", "state must be 1 to 100 characters; this one has 0"),
        ({"state": "x" * 101}, "state", "state must be 1 to 100 characters; this one has 101"),
        ({"data": None}, "data", "data must be an object; not None"),
        ({"data": {"a": {"b": "\0"}}}, "data.a.b", "data.a.b contains a NUL character"),
        ({"attachments": FILE}, "attachments", "attachments must be a list"),
        (
            {"attachments": [FILE, "x"]},
            "attachments.1",
            "attachments.1 must be a file object or the UUID of a file; not 'x'",
        ),
        ({"attachments": [{"filename": "x"}]}, "attachments.0", "must be a file object or the"),
        ({"attachments": [{"fileuuid": 7}]}, "attachments.0", "must be a file object or the"),
        ({"attachments": [None]}, "attachments.0", "must be a file object or the UUID"),
        (
            {"attachments": [FILE] * (MAX_ATTACHMENTS + 1)},
            "attachments",
            "attachments must have at most 100 items; this one has 101",
        ),
        ({"stubpost": []}, "stubpost", "the body has no field 'stubpost'"),
        ({"stub_ref": "x"}, "stub_ref", "no field 'stub_ref'; did you mean stubref?"),
    ],
)
def test_a_bad_field_of_a_stub_is_refused_by_name(values, param, message):
    error = refusal(NewStub, **values)
    assert (error.param, error.status) == (param, 400)
    assert message in error.message


@pytest.mark.parametrize(
    ("values", "param", "message"),
    [
        ({"action": "two words"}, "action", "like send_newsletter; not 'two words'"),
        ({"message": 7}, "message", "message must be text; not 7"),
        ({"message": "x" * 100_001}, "message", "0 to 100,000 characters; this one has 100,001"),
        ({"message": "\0"}, "message", "message contains a NUL character"),
        ({"tasks": "logo"}, "tasks", "tasks must be an object; not 'logo'"),
        ({"tasks": {"logo": None}}, "tasks.logo", "tasks.logo must be an object; not None"),
        ({"tasks": {"logo": {"params": {"prompt": "\0"}}}}, "tasks.logo.params.prompt", "NUL"),
        ({"tasks": [LOGO, LOGO]}, "tasks", "a list in which each task has a name of its own"),
        ({"tasks": [LOGO, 7]}, "tasks", "a list in which each task has a name of its own"),
        ({"tasks": [LOGO | {"name": ["a"]}, LOGO | {"name": ["a"]}]}, "tasks", "name of its own"),
        (
            {"tasks": {f"t{i}": LOGO for i in range(MAX_TASKS + 1)}},
            "tasks",
            "tasks must have at most 50 items; this one has 51",
        ),
        ({"task": LOGO}, "task", "the body has no field 'task'; did you mean tasks?"),
    ],
)
def test_a_bad_field_of_a_stubpost_is_refused_by_name(values, param, message):
    error = refusal(NewStubpost, **values)
    assert (error.param, error.status) == (param, 400)
    assert message in error.message


def test_tasks_keep_their_order_and_are_kept_as_they_were_written():
    tasks = {"b": LOGO, "a": LOGO | {"colour": 1}, "generate_image": LOGO}
    assert list(read(NewStubpost, {"tasks": tasks}).tasks.items()) == list(tasks.items())


def test_tasks_may_be_a_list_with_names():
    tasks = [LOGO, LOGO | {"name": "banner"}]
    post = read(NewStubpost, {"tasks": tasks})
    assert post.tasks == {"generate_image": LOGO, "banner": LOGO | {"name": "banner"}}
    assert list(post.tasks) == ["generate_image", "banner"]


def test_a_file_object_is_an_attachment_whichever_way_it_is_given():
    file = FileObject(fileuuid=FILE, filename="a.png", originalname="a", contentType="image/png")
    image = file.model_dump() | {"revised_prompt": "a picture as a result holds it"}
    given = [FILE, FILE.upper(), image, {"fileuuid": FILE}]
    assert read(NewStub, {"attachments": given}).attachments == [FILE] * 4
    assert NewStub(attachments=[file]).attachments == [FILE]


@pytest.mark.parametrize(
    ("values", "takes"),
    [
        ({"attachments": [FILE, {"fileuuid": FILE, "filename": "x"}]}, True),
        ({"attachments": [{"filename": "x"}]}, False),
        ({"tasks": {"logo": LOGO}}, True),
        ({"tasks": [LOGO]}, True),
        ({"tasks": 7}, False),
        ({"tasks": {f"t{i}": LOGO for i in range(MAX_TASKS + 1)}}, False),
        ({"more": 1}, False),
    ],
)
def test_the_schema_of_a_stubpost_takes_what_we_take(values, takes):
    schema = NewStubpost.model_json_schema()
    assert jsonschema_rs.is_valid(schema, values) is takes
    if takes:
        read(NewStubpost, values)
    else:
        refusal(NewStubpost, **values)


def test_a_task_ends_in_one_of_its_states():
    assert set(ENDED) < set(TASK_STATES) == set(get_args(TaskState))


def test_each_field_of_a_record_is_described():
    models = (NewStub, NewStubpost, NewTask, TaskRecord, Stubpost, Stub, Page, Progress)
    for model in models:
        assert [n for n, field in model.model_fields.items() if not field.description] == [], model
