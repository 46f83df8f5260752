"""The error tree: the drawing is the classes."""

import re

from gouache import cli, errors
from gouache.errors import GouacheError, RequestError, UnsupportedByEngine


def classes(root=GouacheError, depth=0):
    yield depth, root
    for child in root.__subclasses__():
        if child.__module__ == "gouache.errors":
            yield from classes(child, depth + 1)


def test_the_drawn_tree_is_the_tree_of_classes():
    drawn = []
    for line in errors.__doc__.splitlines():
        if found := re.match(r"( *)[*+-] (\w+) +(\d+)", line):
            indent, name, status = found.groups()
            drawn.append((len(indent) // 2, name, int(status)))
    assert drawn == [(depth, cls.__name__, cls.status) for depth, cls in classes()]
    assert len(drawn) >= 9, "this test has stopped finding classes; mend it"


def test_each_error_has_a_code_of_its_own():
    codes = [cls.code for _, cls in classes()]
    assert len(set(codes)) == len(codes)


def test_only_errors_of_our_own_making_are_called_retryable():
    assert [cls.__name__ for _, cls in classes() if cls.retryable] == []


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


def test_each_branch_has_an_exit_code():
    codes = {cls.__name__: cli.exit_code(cls("x")) for _, cls in classes()}
    assert codes == {
        "GouacheError": 3,
        "RequestError": 2,
        "UnsupportedByEngine": 2,
        "UnknownEngine": 2,
        "RecipeNotFound": 2,
        "SettingsError": 3,
        "EngineError": 3,
        "WeightsUnusable": 3,
        "StorageError": 4,
        "Cancelled": 130,
    }
