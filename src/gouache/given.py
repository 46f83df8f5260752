"""From what a caller hands in to a model, or to a refusal that names each bad field and what it allows.

JSON and Python can say more than every database and every reader of JSON can keep: NUL characters,
half surrogate pairs, numbers without end, nesting without end. None of it gets past `Given`.
"""

import difflib
import json
import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError

from gouache.errors import RequestError

MAX_DEPTH = 100
MAX_PROBLEMS = 10
MAX_SHOWN_CHARACTERS = 60

_UNKEPT_CHARACTER = re.compile("[\0\ud800-\udfff]")

Loc = tuple[str | int, ...]
Model = TypeVar("Model", bound=BaseModel)

_DEMANDS = {
    "missing": "is required",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "list_type": "must be a list",
    "string_type": "must be text",
    "string_unicode": "is not valid Unicode text",
    "uuid_type": "must be a UUID",
    "uuid_parsing": "must be a UUID",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
}
_SHOW_NOTHING = {
    "missing",
    "string_unicode",
    "string_too_short",
    "string_too_long",
    "too_short",
    "too_long",
    "extra_forbidden",
    "unkept",
}
"""Problems that are clear without the value, or of values that are long or secret."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One bad field: the path to it, and a sentence that begins with that path."""

    path: str
    sentence: str


class Given(BaseModel):
    """What a caller hands in: it cannot be changed, and can be kept as JSON in any database."""

    model_config = ConfigDict(frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _can_be_kept(cls, values: object) -> object:
        found = [
            InitErrorDetails(type=PydanticCustomError("unkept", sentence), loc=loc, input=None)
            for loc, sentence in islice(_unkept(values), MAX_PROBLEMS)
        ]
        if found:
            raise ValidationError.from_exception_data(cls.__name__, found)
        return values


def read_json(raw: bytes, what: str, *, param: str | None = None) -> Any:
    """Return the value that `raw` is the JSON of; `what` and `param` name it in an error.

    Raises:
        RequestError: it is not JSON in UTF-8, or one that two readers could read in two ways: with NaN
            or infinities, or the same key twice in an object.
    """

    def no_number(text: str) -> float:
        raise RequestError(f"{what} has {text}, which is not JSON", param=param)

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        value = dict(pairs)
        if len(value) < len(pairs):
            twice = next(name for name, count in Counter(n for n, _ in pairs).items() if count > 1)
            message = f"{what} has the key {twice[:100]!r} twice in one object"
            raise RequestError(message, param=param)
        return value

    try:
        return json.loads(raw.decode(), object_pairs_hook=unique, parse_constant=no_number)
    except UnicodeDecodeError as error:
        message = f"{what} is not UTF-8, from byte {error.start} on"
        raise RequestError(message, param=param) from error
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise RequestError(f"{what} is not JSON: {error.msg} at {where}", param=param) from error
    except RecursionError as error:
        message = f"{what} is nested more than {MAX_DEPTH} deep"
        raise RequestError(message, param=param) from error
    except ValueError as error:  # an integer of thousands of digits
        raise RequestError(f"{what} has a number that is too long", param=param) from error


def read(model: type[Model], values: object, *, inside: str = "") -> Model:
    """Return the model that `values` describe; `inside` leads to them, for the error's `param`.

    Raises:
        RequestError: a field is missing, unknown or has a bad value; `param` names the first such
            field, and the message names each with the values it allows.
    """
    if not isinstance(values, Mapping):
        raise RequestError(f"{inside or 'the body'} must be an object", param=inside or None)
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        found = problems(model, error, inside=inside)
        sentences = [problem.sentence for problem in found]
        if error.error_count() > len(found):
            sentences.append(f"and {error.error_count() - len(found)} more")
        raise RequestError("; ".join(sentences), param=found[0].path or None) from error


def problems(model: type[BaseModel], error: ValidationError, *, inside: str = "") -> list[Problem]:
    """Return the first problems that `error` finds with a `model`; `inside` leads to the model."""
    details = error.errors(include_url=False)[:MAX_PROBLEMS]
    return [_problem(model, detail, inside) for detail in details]


def resembling(name: str, known: Mapping[str, object]) -> str:
    """Return the end of a sentence that asks for the known name that `name` resembles, or ""."""
    near = difflib.get_close_matches(name[:MAX_SHOWN_CHARACTERS], known, n=1)
    return f"; did you mean {near[0]}?" if near else ""


def shortened(text: str) -> str:
    """Return the text, cut where it is too long to be shown in a sentence."""
    return text if len(text) <= MAX_SHOWN_CHARACTERS else text[: MAX_SHOWN_CHARACTERS - 3] + "..."


def refused(model: type[BaseModel], field: str, sentence: str) -> ValidationError:
    """Return the error by which a validator of the whole model refuses one field."""
    details = InitErrorDetails(
        type=PydanticCustomError("unkept", sentence), loc=(field,), input=None
    )
    return ValidationError.from_exception_data(model.__name__, [details])


def _problem(model: type[BaseModel], details: ErrorDetails, inside: str) -> Problem:
    pieces = [shortened(str(piece)) for piece in details["loc"] if piece != "[key]"]
    owner, field = _place(model, details["loc"])
    if details["type"] == "extra_forbidden":
        name = pieces.pop()
        demand = f"has no field {name!r}{resembling(name, owner.model_fields)}"
        subject = ".".join(filter(None, [inside, *pieces])) or "the body"
        path = ".".join(filter(None, [inside, *pieces, name]))
        return Problem(path, f"{subject} {demand}")
    path = ".".join(filter(None, [inside, *pieces]))
    sentence = f"{path or 'the body'} {_demand(details, field)}"
    if details["type"] not in _SHOW_NOTHING and (field is None or field.repr):
        sentence += f"; not {shortened(repr(details['input']))}"
    return Problem(path, sentence)


def _place(model: type[BaseModel], loc: Loc) -> tuple[type[BaseModel], FieldInfo | None]:
    """Return the model that a location ends in, and the declared field it leads to."""
    field = None
    is_key = False
    for piece in loc:
        if is_key:  # of an object or list of models
            is_key = False
            continue
        if piece not in model.model_fields:
            return model, None if piece == loc[-1] else field
        field = model.model_fields[str(piece)]
        is_key = get_origin(field.annotation) in (dict, list)
        model = next(_models(field.annotation), model)
    return model, field


def _models(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models(inner)


def _demand(details: ErrorDetails, field: FieldInfo | None) -> str:
    """Return what a value must be, as the end of a sentence."""
    kind, given, context = details["type"], details["input"], details.get("ctx", {})
    if kind in _DEMANDS:
        return _DEMANDS[kind]
    limits = context | _limits(field)
    match kind:
        case "literal_error":
            allowed = ", ".join(re.findall(r"'([^']*)'", context["expected"]))
            return f"must be one of {allowed}"
        case "string_too_short" | "string_too_long":
            low, high = limits.get("min_length", 0), limits.get("max_length")
            wanted = f"{low:,} to {high:,}" if high else f"at least {low:,}"
            return f"must be {wanted} characters; this one has {len(given):,}"
        case "too_short" | "too_long":
            wanted = f"at most {limits.get('max_length')}"
            if kind == "too_short":
                wanted = f"at least {limits.get('min_length')}"
            items = "items" if isinstance(given, Mapping | list) else "characters"
            return f"must have {wanted} {items}; this one has {len(given):,}"
        case "string_pattern_mismatch":
            like = f", like {field.examples[0]}" if field and field.examples else ""
            return f"must match {context['pattern']}{like}"
        case "value_error":
            return str(context["error"])
        case "unkept":
            return details["msg"]
    if kind.startswith(("int_", "float_", "greater_", "less_", "finite_")):
        whole = "" if field and "float" in str(field.annotation) else "whole "
        return f"must be a {whole}number{_range(limits)}"
    return f"is refused: {details['msg']}"


def _limits(field: FieldInfo | None) -> dict[str, Any]:
    """Return the bounds of a field by their names: ge, gt, le, lt, min_length, max_length."""
    names = ("ge", "gt", "le", "lt", "min_length", "max_length")
    return {
        name: getattr(mark, name)
        for mark in (field.metadata if field else [])
        for name in names
        if getattr(mark, name, None) is not None
    }


def _range(limits: Mapping[str, Any]) -> str:
    if "ge" in limits and "le" in limits:
        return f" from {limits['ge']} to {limits['le']}"
    words = {"gt": "above", "ge": "of at least", "lt": "below", "le": "of at most"}
    return "".join(f" {words[name]} {limits[name]}" for name in words if name in limits)


def _unkept(value: object, loc: Loc = ()) -> Iterator[tuple[Loc, Any]]:
    """Yield the place of each value that cannot be kept, with the end of a sentence on it."""
    if len(loc) > MAX_DEPTH:
        yield loc[:1], f"is nested more than {MAX_DEPTH} deep"
    elif isinstance(value, str):
        if flaw := _flaw(value):
            yield loc, flaw
    elif isinstance(value, int | float):
        if not abs(value) <= sys.float_info.max:  # written so that NaN is refused too
            yield loc, "is not a number that JSON can carry"
    elif isinstance(value, Mapping):
        yield from _unkept_fields(value, loc)
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from _unkept(inner, (*loc, index))


def _unkept_fields(values: Mapping[Any, object], loc: Loc) -> Iterator[tuple[Loc, Any]]:
    for name, inner in values.items():
        flaw = _flaw(name) if isinstance(name, str) else "is not text"
        if flaw:
            yield loc, f"has a field whose name {flaw}"
        else:
            yield from _unkept(inner, (*loc, name))


def _flaw(text: str) -> str:
    """Return why a text cannot be kept, as the end of a sentence, or ""."""
    found = _UNKEPT_CHARACTER.search(text)
    if not found:
        return ""
    nul = found.group() == "\0"
    return "contains a NUL character; take it out" if nul else "is not valid Unicode text"
