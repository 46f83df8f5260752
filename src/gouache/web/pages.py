"""The OpenAPI document for people: as a page without scripts, and as `docs/http.md`."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import escape
from string import Template
from typing import Any

from gouache.web.refusals import ANYWHERE

SERVER = "http://127.0.0.1:8611"
EXAMPLES = {
    "stubref": "2026-11-24-ABCD-1234",
    "stubpostuuid": "0f8fad5b-d9cb-469f-a165-70867728950e",
    "taskuuid": "7c9e6679-7425-40de-944b-e07fc1f90ae7",
    "fileuuid": "530cabeb-7ce7-57b1-ace3-d3795f4fa5bb",
    "model": "dall-e-3",
}
"""What stands for a path parameter in the commands."""

_ANYWHERE = {str(error.status) for error in ANYWHERE}

_PAGE = Template("""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>$title</title>
<style>
  body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: auto; padding: 1rem }
  pre { background: #8881; padding: .8rem; overflow-x: auto }
  code { font-size: .9em }
  table { border-collapse: collapse }
  td, th { padding: .2rem .8rem .2rem 0; text-align: left; vertical-align: top }
  :root { color-scheme: light dark }
</style>
<h1>$title</h1>
$about
$operations
</html>
""")


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one address, as it is shown; `answers` are those that not any route may give."""

    method: str
    path: str
    about: str
    parameters: list[tuple[str, str]]
    answers: list[tuple[str, str]]
    command: str


def operations(document: Mapping[str, Any]) -> Iterator[Operation]:
    """Yield what can be asked of the server, in the order of the routes."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            parameters = operation.get("parameters", [])
            yield Operation(
                method=method.upper(),
                path=path,
                about=operation["description"],
                parameters=[
                    (f"{one['name']} ({one['in']})", one.get("description", ""))
                    for one in parameters
                    if one["in"] != "path"
                ],
                answers=[
                    (status, one["description"])
                    for status, one in sorted(operation["responses"].items())
                    if status not in _ANYWHERE
                ],
                command=_command(method.upper(), path, operation),
            )


def page(document: Mapping[str, Any], address: str) -> str:
    """Return the document as HTML that loads nothing, for the server at this address."""
    about = _paragraphs(document["info"]["description"])
    shown = "".join(_section(operation) for operation in operations(document))
    return _PAGE.substitute(
        title=escape(f"{document['info']['title']} {document['info']['version']}"),
        about=about,
        operations=shown.replace(SERVER, escape(address)),
    )


def markdown(document: Mapping[str, Any]) -> str:
    """Return the document as the generated part of `docs/http.md`."""
    lines = []
    for operation in operations(document):
        lines += [f"### `{operation.method} {operation.path}`", "", operation.about, ""]
        lines += ["```console", f"$ {operation.command}", "```", ""]
        if operation.parameters:
            lines += ["| parameter | meaning |", "|---|---|"]
            lines += [f"| `{name}` | {meaning} |" for name, meaning in operation.parameters] + [""]
        lines += ["| status | meaning |", "|---|---|"]
        lines += [f"| {status} | {meaning} |" for status, meaning in operation.answers] + [""]
    return "\n".join(lines).rstrip()


def _section(operation: Operation) -> str:
    rows = "".join(
        f"<tr><td>{_text(name)}<td>{_text(meaning)}\n"
        for name, meaning in (*operation.parameters, *operation.answers)
    )
    return (
        f"<h2><code>{operation.method} {escape(operation.path)}</code></h2>\n"
        f"{_paragraphs(operation.about)}<pre>{escape(operation.command)}</pre>\n"
        f"<table>{rows}</table>\n"
    )


def _paragraphs(text: str) -> str:
    return "".join(f"<p>{_text(one)}</p>\n" for one in text.strip().split("\n\n"))


def _text(text: str) -> str:
    """Return a text with its words in backticks as code."""
    return re.sub("`([^`]+)`", r"<code>\1</code>", escape(text))


def _command(method: str, path: str, operation: Mapping[str, Any]) -> str:
    """Return the curl command that does it."""
    words = ["curl"]
    if method == "HEAD":
        words.append("--head")
    elif method not in ("GET", "POST"):
        words.append(f"-X {method}")
    if "text/event-stream" in operation["responses"].get("200", {}).get("content", {}):
        words.append("--no-buffer")
    body = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if body:
        *_, example = body["examples"].values()
        words += ["--json", f"'{json.dumps(example['value'])}'"]
    elif method == "POST":
        words.append("-X POST")
    return " ".join([*words, SERVER + path.format(**EXAMPLES)])
