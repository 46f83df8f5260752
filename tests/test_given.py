"""What callers hand in: hostile values are refused by the path to them, with what is allowed."""

import json
import math
import time
from typing import Annotated

import pytest
from pydantic import Field, StringConstraints

from gouache.errors import RequestError
from gouache.given import MAX_DEPTH, Given, read


class Leaf(Given):
    """A model within a model."""

    weight: float = Field(1, gt=0, le=9, allow_inf_nan=False)
    share: float = Field(0, ge=0, allow_inf_nan=False)
    colours: list[str] = Field([], min_length=0, max_length=2)


class Tree(Given, extra="forbid"):
    """A model with what others of ours have."""

    height: int = Field(1, ge=1)
    leaves: dict[Annotated[str, StringConstraints(pattern="^[a-z]+$")], Leaf] = {}
    data: dict[str, object] = {}
    is_green: bool = True
    key: str = Field("", max_length=3, pattern="^[a-z]*$", repr=False)


def refusal(values, **rest):
    with pytest.raises(RequestError) as caught:
        read(Tree, values, **rest)
    json.dumps(caught.value.as_json()).encode()
    return caught.value


def nested(depth):
    value = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("values", "param", "message"),
    [
        ({"data": {"a": "x\0y"}}, "data.a", "data.a contains a NUL character; take it out"),
        ({"data": {"a": [1, {"b": "\0"}]}}, "data.a.1.b", "data.a.1.b contains a NUL character"),
        ({"data": {"a\0": 1}}, "data", "data has a field whose name contains a NUL character"),
        ({"data": {"a": "\udc80"}}, "data.a", "data.a is not valid Unicode text"),
        ({"data": {"\ud800": 1}}, "data", "data has a field whose name is not valid Unicode text"),
        ({"data": {"a": {7: 1}}}, "data.a", "data.a has a field whose name is not text"),
        ({"data": {"a": math.nan}}, "data.a", "data.a is not a number that JSON can carry"),
        ({"data": {"a": [math.inf]}}, "data.a.0", "data.a.0 is not a number that JSON can carry"),
        ({"data": {"a": -math.inf}}, "data.a", "data.a is not a number that JSON can carry"),
        ({"data": {"a": 10**309}}, "data.a", "data.a is not a number that JSON can carry"),
        ({"data": {"a": -(10**5000)}}, "data.a", "data.a is not a number that JSON can carry"),
        ({"data": {"a": nested(MAX_DEPTH)}}, "data", f"is nested more than {MAX_DEPTH} deep"),
        ({"data": {"a": nested(900)}}, "data", f"is nested more than {MAX_DEPTH} deep"),
        ({7: 1}, None, "the body has a field whose name is not text"),
        ({"data": []}, "data", "data must be an object; not []"),
        ({"height": 0}, "height", "height must be a whole number of at least 1; not 0"),
        ({"height": 1.5}, "height", "height must be a whole number of at least 1; not 1.5"),
        ({"is_green": "perhaps"}, "is_green", "is_green must be true or false; not 'perhaps'"),
        ({"hieght": 2}, "hieght", "the body has no field 'hieght'; did you mean height?"),
        ({"zzz": 2}, "zzz", "the body has no field 'zzz'"),
        ({"leaves": {"oak": 3}}, "leaves.oak", "leaves.oak must be an object; not 3"),
        ({"leaves": {"O": {}}}, "leaves.O", "leaves.O must match ^[a-z]+$; not 'O'"),
        (
            {"leaves": {"oak": {"weight": 0}}},
            "leaves.oak.weight",
            "leaves.oak.weight must be a number above 0 of at most 9; not 0",
        ),
        (
            {"leaves": {"height": {"share": -1}}},
            "leaves.height.share",
            "leaves.height.share must be a number of at least 0; not -1",
        ),
        (
            {"leaves": {"oak": {"colours": ["r", "g", "b"]}}},
            "leaves.oak.colours",
            "leaves.oak.colours must have at most 2 items; this one has 3",
        ),
        (
            {"leaves": {"oak": {"colours": [5]}}},
            "leaves.oak.colours.0",
            "leaves.oak.colours.0 must be text; not 5",
        ),
        ({"leaves": {"oak": {"colours": "r"}}}, "leaves.oak.colours", "must be a list; not 'r'"),
    ],
)
def test_a_bad_value_is_refused_by_its_path(values, param, message):
    error = refusal(values)
    assert error.param == param
    assert message in error.message


def test_what_leads_to_the_values_leads_the_path():
    error = refusal({"leaves": {"oak": {"weight": "heavy"}}}, inside="trees.first")
    assert error.param == "trees.first.leaves.oak.weight"
    assert error.message.startswith("trees.first.leaves.oak.weight must be a number")
    error = refusal({"hieght": 2}, inside="trees.first")
    assert error.param == "trees.first.hieght"
    assert error.message.startswith("trees.first has no field 'hieght'")


@pytest.mark.parametrize("values", [None, 7, "text", [], [["height", 1]], True])
def test_what_is_no_object_is_refused(values):
    assert refusal(values).message == "the body must be an object"
    error = refusal(values, inside="tasks.logo")
    assert (error.param, error.message) == ("tasks.logo", "tasks.logo must be an object")


@pytest.mark.parametrize("value", ["\x01\x7f\u202e\U0010ffff", -(2**63), 1e308, None, nested(98)])
def test_what_json_and_databases_can_keep_is_kept(value):
    assert read(Tree, {"data": {"a": value}}).data == {"a": value}


def test_a_secret_is_not_shown():
    assert "S3CRET" not in refusal({"key": "S3CRET"}).message
    assert "S3" not in refusal({"key": "S3"}).message


def test_a_refusal_stays_short():
    assert len(refusal({"data": {"x" * 100_000: "\0"}}).message) < 200
    assert len(refusal({"y" * 100_000: 1}).param) < 100
    assert len(refusal({"data": "z" * 100_000}).message) < 200
    many = refusal({"leaves": {letter * 3: 1 for letter in "abcdefghijklmnopqrs"}})
    assert many.message.endswith("; and 9 more")
    assert len(refusal({"data": {f"a{i}": "\0" for i in range(10_000)}}).message) < 1000


def test_a_large_value_is_looked_through_quickly():
    data = {f"row{i}": ["text " * 20, i, None] for i in range(30_000)}
    begun = time.perf_counter()
    read(Tree, {"data": data})
    assert time.perf_counter() - begun < 2


def test_thousands_of_bad_fields_cost_little():
    begun = time.perf_counter()
    message = refusal({f"height{i}": 1 for i in range(100_000)}).message
    assert time.perf_counter() - begun < 2
    assert message.endswith("; and 99990 more")


def test_python_callers_are_refused_the_same():
    with pytest.raises(ValueError, match="NUL"):
        Tree(data={"a": "\0"})
