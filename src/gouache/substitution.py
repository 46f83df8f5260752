"""Substitution in the `params` of a task, and its conditions: what was known before it runs.

A text that begins with `~~` stands for a value of any kind, `~~path` or `~~#jsonata#( expression )`. In
any other text, tags as `gouache.handlebars` reads them stand for text. Names of fields are left alone.
Values put in are data: nothing in them is substituted again, unless `substitute` asks for it.

In text, null is nothing, text is itself, and all else is its JSON. Nothing is escaped, because a prompt
is no HTML; in fields that are HTML, what `{{path}}` puts in is escaped and what `{{{path}}}` puts in is not.
"""

import html
import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from gouache import expressions, handlebars
from gouache.errors import RequestError
from gouache.given import MAX_DEPTH, resembling, shortened
from gouache.handlebars import MAX_BLOCKS, File, Part, Substitute
from gouache.paths import Path, follow, read_path, written

CONTEXT_KEYS = ("stubpost", "stub", "template", "org", "program", "stubsession")
MAX_PUT_IN_CHARACTERS = 2**20
"""How much may be put into `params` in all, as JSON."""

_HASHTAG = re.compile(r"~~#(?P<name>\w*)#?\((?P<expression>.*)\)\s*", re.DOTALL)

FileUrl = Callable[[str], str]


def is_template(value: object) -> bool:
    """Return whether substitution would change anything in a value.

    Raises:
        RequestError: the value is nested too deep to be looked through.
    """
    return any(_is_marked(text) for _, text in _texts(value, ()))


def check_templates(params: object, *, inside: str = "params") -> None:
    """Look for mistakes in templates that can be seen before there is anything to put in.

    Raises:
        RequestError: something is no template, or leads into no key of the context; `param` names the
            place inside the params.
    """
    found = list(_texts(params, (inside,)))
    for place, text in found:
        with _at(place):
            for path in _paths(text):
                if path[0] not in CONTEXT_KEYS:
                    known = dict.fromkeys(CONTEXT_KEYS)
                    raise RequestError(
                        f"{written(path)} begins with no key of the context; "
                        f"there are {', '.join(known)}{resembling(path[0], known)}"
                    )
    _evaluate(found, {}, "check")


def substitute(
    value: Any,
    context: Mapping[str, Any],
    *,
    file_url: FileUrl,
    inside: str = "params",
    html_fields: Collection[str] = (),
) -> Any:
    """Return a value with everything put in; one without templates is returned as it is.

    `html_fields` are the fields of the value whose text is HTML. `file_url` returns the address of a
    stored file.

    Raises:
        RequestError: a path is missing, an expression fails, or a limit is exceeded; `param` names the
            place inside the value.
        GouacheError: no process could be started for its expressions.
    """
    texts = list(_texts(value, (inside,)))
    if not any(_is_marked(text) for _, text in texts):
        return value
    values = _evaluate(texts, context, "value")
    work = _Substitution(context, file_url, values, html_fields)
    return work.substituted(value, (inside,))


def check_conditions(conditions: object, *, inside: str = "conditions") -> None:
    """Look for mistakes in conditions that can be seen before there is anything to judge.

    Raises:
        RequestError: they are no list of JSONata expressions; `param` names the first that is none.
        GouacheError: no process could be started for them.
    """
    _judge(conditions, {}, "check", inside)


def conditions_hold(
    conditions: object, context: Mapping[str, Any], *, inside: str = "conditions"
) -> tuple[bool, int | None]:
    """Return whether all conditions hold, and the index of the first that does not.

    What JSONata takes for true holds; what leads to nothing does not.

    Raises:
        RequestError: a condition cannot be evaluated; `param` names it.
        GouacheError: no process could be started for them.
    """
    for index, holds in enumerate(_judge(conditions, context, "condition", inside)):
        if not holds:
            return False, index
    return True, None


def _judge(
    conditions: object, context: Mapping[str, Any], kind: expressions.Kind, inside: str
) -> list[Any]:
    if not isinstance(conditions, list):
        raise RequestError(f"{inside} must be a list of JSONata expressions", param=inside)
    for index, condition in enumerate(conditions):
        if not isinstance(condition, str):
            place = f"{inside}.{index}"
            raise RequestError(f"{place} must be text, a JSONata expression", param=place)
    answers = expressions.evaluate(conditions, context, kind)
    for index, answer in enumerate(answers):
        if answer.flaw:
            place = f"{inside}.{index}"
            shown = shortened(conditions[index].strip())
            raise RequestError(f"{place}: {shown!r} {answer.flaw}", param=place)
    return [answer.value for answer in answers]


def _is_marked(text: str) -> bool:
    return text.startswith("~~") or "{{" in text


def _texts(value: object, place: Path) -> Iterator[tuple[Path, str]]:
    """Yield each text in a value with the keys that lead to it."""
    if len(place) > MAX_DEPTH:
        where = ".".join(place[:1])
        raise RequestError(f"{where} is nested more than {MAX_DEPTH} deep", param=where or None)
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _texts(inner, (*place, name))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _texts(inner, (*place, str(index)))


def _paths(text: str) -> list[Path]:
    """Return the paths in a text that may be a template."""
    if text.startswith("~~#"):
        _expression(text)
        return []
    if text.startswith("~~"):
        return [_reference(text)]
    return list(handlebars.paths(handlebars.parse(text))) if "{{" in text else []


def _reference(text: str) -> Path:
    """Return the path in a `~~path`."""
    try:
        return read_path(text[2:].strip())
    except RequestError as error:
        hint = "to begin a text with ~~, write {{{{skip}}}}~~{{{{/skip}}}}"
        raise RequestError(f"{error.message}; {hint}") from error


def _expression(text: str) -> str:
    """Return the expression in a `~~#jsonata#( expression )`."""
    found = _HASHTAG.fullmatch(text)
    if not found or found["name"] != "jsonata":
        raise RequestError(
            f"{shortened(text)!r} is not understood; there is ~~path and ~~#jsonata#( expression )"
        )
    return found["expression"].strip()


def _evaluate(
    texts: list[tuple[Path, str]], context: Mapping[str, Any], kind: expressions.Kind
) -> dict[Path, Any]:
    """Return what each expression in texts gives, by the place of the text."""
    asked: dict[Path, str] = {}
    for place, text in texts:
        if text.startswith("~~#"):
            with _at(place):
                asked[place] = _expression(text)
    answers = expressions.evaluate(list(asked.values()), context, kind)
    for (place, expression), answer in zip(asked.items(), answers, strict=False):
        flaw = "gives nothing; something in it is missing" if answer.missing else answer.flaw
        if flaw:
            with _at(place):
                raise RequestError(f"{shortened(expression)!r} {flaw}")
    return {place: answer.value for place, answer in zip(asked, answers, strict=True)}


@contextmanager
def _at(place: Path) -> Iterator[None]:
    """Say in an error where it is."""
    try:
        yield
    except RequestError as error:
        where = ".".join(shortened(key) for key in place)
        raise type(error)(f"{where}: {error.message}", param=where) from error


class _Substitution:
    """One substitution: what is put in, and how much more may be."""

    def __init__(
        self,
        context: Mapping[str, Any],
        file_url: FileUrl,
        values: Mapping[Path, Any],
        html_fields: Collection[str],
    ) -> None:
        self._context = context
        self._file_url = file_url
        self._values = values
        self._html_fields = html_fields
        self._room = MAX_PUT_IN_CHARACTERS

    def substituted(self, value: Any, place: Path) -> Any:
        if isinstance(value, Mapping):
            return {name: self.substituted(v, (*place, name)) for name, v in value.items()}
        if isinstance(value, list):
            return [self.substituted(v, (*place, str(i))) for i, v in enumerate(value)]
        if not isinstance(value, str) or not _is_marked(value):
            return value
        with _at(place):
            if not value.startswith("~~"):
                is_html = place[1:2] != () and place[1] in self._html_fields
                return self._text(value, is_html)
            if place in self._values:
                return self._copy(self._values[place], len(place))
            return self._copy(follow(_reference(value), self._context), len(place))

    def _copy(self, value: Any, depth: int) -> Any:
        """Return a copy of a value that goes into a place so deep."""
        copy = json.loads(self._take(_as_json(value)))
        if _is_deeper(copy, MAX_DEPTH - depth):
            raise RequestError(f"what is put in is nested more than {MAX_DEPTH} deep")
        return copy

    def _text(self, source: str, is_html: bool, times: int = 0) -> str:
        """Return a text with its tags replaced; `times` says how often it was substituted before."""
        if times > MAX_BLOCKS:
            raise RequestError(
                f"substitute leads to substitute more than {MAX_BLOCKS} times; does it lead to itself?"
            )
        return self._joined(handlebars.parse(source), is_html, times)

    def _joined(self, parts: Sequence[Part], is_html: bool, times: int) -> str:
        return "".join([self._part(part, is_html, times) for part in parts])

    def _part(self, part: Part, is_html: bool, times: int) -> str:
        if isinstance(part, str):
            return self._take(part)
        if isinstance(part, Substitute):
            return self._text(self._joined(part.parts, False, times), is_html, times + 1)
        if isinstance(part, File):
            return self._take(self._file(part, is_html))
        value = follow(part.path, self._context)
        text = "" if value is None else value if isinstance(value, str) else _as_json(value)
        return self._take(html.escape(text) if is_html and part.escaped else text)

    def _file(self, part: File, is_html: bool) -> str:
        given = part.file if isinstance(part.file, UUID) else follow(part.file, self._context)
        file = given if isinstance(given, Mapping) else {"fileuuid": given}
        try:
            fileuuid = str(UUID(str(file.get("fileuuid"))))
        except ValueError:
            raise RequestError(f"{_shown(part.file)} is no file object and no fileuuid") from None
        url = self._file_url(fileuuid)
        if part.name == "file_link":
            label = str(file.get("filename", fileuuid))
            return f'<a href="{html.escape(url)}">{html.escape(label)}</a>'
        return html.escape(url) if is_html else url

    def _take(self, text: str) -> str:
        """Return the text, and count it as put in."""
        self._room -= len(text)
        if self._room < 0:
            raise RequestError(f"more than {MAX_PUT_IN_CHARACTERS:,} characters are put in")
        return text


def _shown(file: Path | UUID) -> str:
    return str(file) if isinstance(file, UUID) else written(file)


def _as_json(value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        raise RequestError("what is put in is nested without end, or no JSON") from None


def _is_deeper(value: Any, most: int) -> bool:
    """Return whether a value is nested deeper than that."""
    if most < 0:
        return True
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return any(_is_deeper(part, most - 1) for part in inner)
