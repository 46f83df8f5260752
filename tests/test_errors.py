"""The error tree: the drawing is the classes, and each class is used."""

import ast
import re
from pathlib import Path

import pytest

from gouache import errors
from gouache.commands.outcome import exit_code, exit_code_of
from gouache.errors import (
    Cancelled,
    DatabaseUnavailable,
    EngineError,
    EngineRateLimited,
    GouacheError,
    RequestError,
    SettingsError,
    StorageError,
    UnsupportedByEngine,
)

SOURCE = Path(errors.__file__).parent
LATER: set[str] = set()
"""Errors that nothing raises yet."""


def classes(root=GouacheError, depth=0):
    yield depth, root
    for child in root.__subclasses__():
        if child.__module__ == "gouache.errors":
            yield from classes(child, depth + 1)


def made(tree):
    """Yield the names of what a module makes, or gives to others to be made."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            yield node.func.id
        elif isinstance(node, ast.Dict):
            yield from (value.id for value in node.values if isinstance(value, ast.Name))
        elif isinstance(node, ast.Raise) and isinstance(node.exc, ast.Name):
            yield node.exc.id


def test_the_drawn_tree_is_the_tree_of_classes():
    drawn = []
    for line in errors.__doc__.splitlines():
        if found := re.match(r"( *)[*+-] (\w+) +(\d+)(?:  (.*))?$", line):
            indent, name, status, note = found.groups()
            notes = (note or "").split(", ")
            flags = ("retryable" in notes, "falls back" in notes)
            drawn.append((len(indent) // 2, name, int(status), *flags))
    assert drawn == [
        (depth, cls.__name__, cls.status, cls.retryable, cls.falls_back) for depth, cls in classes()
    ]
    assert len(drawn) >= 30, "this test has stopped finding classes; mend it"


def test_each_error_has_a_code_and_a_sentence_of_its_own():
    codes = [cls.code for _, cls in classes()]
    sentences = [cls.__doc__ for _, cls in classes()]
    assert len(set(codes)) == len(codes)
    assert len(set(sentences)) == len(sentences)
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", code) for code in codes)


def test_what_may_pass_by_itself_is_retryable_and_nothing_else():
    assert [cls.__name__ for _, cls in classes() if cls.retryable] == [
        "EngineUnavailable",
        "EngineRateLimited",
        "EngineTimedOut",
        "DatabaseUnavailable",
    ]


def test_only_what_says_nothing_of_request_keys_or_money_falls_back():
    assert [cls.__name__ for _, cls in classes() if cls.falls_back] == [
        "WeightsUnusable",
        "EngineUnavailable",
        "EngineRateLimited",
        "EngineTimedOut",
    ]


def test_an_error_as_json_names_its_branch_and_field():
    assert UnsupportedByEngine("no such size", param="size").as_json() == {
        "code": "unsupported_by_engine",
        "message": "no such size",
        "type": "request_error",
        "param": "size",
        "retryable": False,
    }
    assert GouacheError("x").as_json()["type"] == "internal_error"
    assert RequestError("x").as_json()["type"] == "request_error"
    assert EngineRateLimited("x").as_json()["type"] == "engine_error"
    assert DatabaseUnavailable("x").as_json()["type"] == "database_unavailable"


def test_a_rate_limit_may_say_when_to_come_again():
    assert EngineRateLimited("wait", retry_after_seconds=2.5).retry_after_seconds == 2.5
    assert EngineRateLimited("wait").retry_after_seconds is None


def test_whoever_must_act_has_an_exit_code():
    branches = {
        RequestError: 2,
        SettingsError: 3,
        EngineError: 3,
        StorageError: 4,
        DatabaseUnavailable: 3,
        Cancelled: 130,
    }
    for _, cls in classes():
        branch = next((b for b in branches if issubclass(cls, b)), None)
        expected = branches[branch] if branch else 3
        assert exit_code(cls("x")) == exit_code(cls) == exit_code_of(cls.code) == expected, cls
    assert exit_code_of("of_a_later_version") == 3


def test_each_error_is_raised_somewhere():
    used = set()
    for path in SOURCE.rglob("*.py"):
        if path.name != "errors.py":
            used |= set(made(ast.parse(path.read_text())))
    names = {cls.__name__ for _, cls in classes()}
    assert names - used == LATER


@pytest.mark.parametrize("cls", [cls for _, cls in classes()])
def test_each_error_is_documented(cls):
    page = (SOURCE.parents[1] / "docs" / "errors.md").read_text()
    assert f"`{cls.__name__}` | `{cls.code}` | {cls.status} |" in page
