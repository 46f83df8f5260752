"""JSONata expressions, evaluated in a process of their own that ends when they take too much.

The process costs about 0.1 s, so expressions that belong together are evaluated together. Nothing of
them, nor of the library, runs in the process that serves.
"""

import json
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from gouache.errors import GouacheError

MAX_EXPRESSIONS = 100
MAX_EXPRESSION_CHARACTERS = 10_000
MAX_CONTEXT_CHARACTERS = 2**24
MAX_RESULT_CHARACTERS = 2**20
PROCESSOR_SECONDS = 2
WALL_SECONDS = 20.0
MEMORY_BYTES = 2**29

TOO_LONG = -getattr(signal, "SIGXCPU", 24)
"""What the process returns where the operating system ended it for its processor time (SIGXCPU)."""

_EVALUATOR = Path(__file__).with_name("evaluator.py")

Kind = Literal["value", "condition", "check"]


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of an expression: a value, nothing, or the end of a sentence on what is wrong."""

    value: Any = None
    missing: bool = False
    flaw: str | None = None


def evaluate(expressions: Sequence[str], context: Mapping[str, Any], kind: Kind) -> list[Answer]:
    """Return the answers to expressions, in order; a flaw is the last.

    As a "value" an expression gives JSON, as a "condition" true or false, and a "check" only reads it.

    Raises:
        GouacheError: no process could be started for it.
    """
    for place, expression in enumerate(expressions):
        flaw = _too_large(expression, place)
        if flaw:
            return [*evaluate(expressions[:place], context, kind), Answer(flaw=flaw)]
    if not expressions:
        return []
    try:
        question = json.dumps(
            {
                "expressions": expressions,
                "context": None if kind == "check" else context,
                "kind": kind,
                "seconds": PROCESSOR_SECONDS,
                "bytes": MEMORY_BYTES,
                "characters": MAX_RESULT_CHARACTERS,
            }
        )
    except (TypeError, ValueError, RecursionError):
        return [
            Answer(flaw="cannot be evaluated: what it is to read is nested too deep, or no JSON")
        ]
    if len(question) > MAX_CONTEXT_CHARACTERS:
        flaw = f"cannot be evaluated: there are more than {MAX_CONTEXT_CHARACTERS:,} characters to read"
        return [Answer(flaw=flaw)]
    return _answers(question, len(expressions))


def _too_large(expression: str, place: int) -> str:
    if len(expression) > MAX_EXPRESSION_CHARACTERS:
        return f"is longer than {MAX_EXPRESSION_CHARACTERS:,} characters"
    if place >= MAX_EXPRESSIONS:
        return f"is one too many; there may be {MAX_EXPRESSIONS} expressions"
    return ""


def _answers(question: str, wanted: int) -> list[Answer]:
    # -P: this folder is not on the path of the process, where our files.py would be `files`
    command = [sys.executable, "-P", str(_EVALUATOR)]
    try:
        done = subprocess.run(
            command, input=question.encode(), capture_output=True, timeout=WALL_SECONDS
        )
        output, said, ended = done.stdout, done.stderr, done.returncode
    except subprocess.TimeoutExpired as error:
        output, said, ended = error.output or b"ready\n", b"", TOO_LONG
    begun, *lines = output.decode().split("\n")[:-1] or [""]  # a last line may have been cut
    if begun != "ready":
        last = said.decode(errors="replace").strip().rpartition("\n")[2]
        raise GouacheError(f"no expression can be evaluated here: {last or 'no answer'}")
    answers: list[Answer] = []
    for line in lines:
        answers.append(Answer(**json.loads(line)))
        if answers[-1].flaw:
            return answers
    if len(answers) < wanted:
        answers.append(Answer(flaw=_why(ended)))
    return answers


def _why(ended: int) -> str:
    if ended == TOO_LONG:
        return f"takes longer than {PROCESSOR_SECONDS} s; does it loop, or match a bad pattern?"
    return "takes too much memory, or is nested too deep"
