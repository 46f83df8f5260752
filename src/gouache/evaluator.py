"""The process in which JSONata expressions are evaluated: a question on stdin, answers on stdout.

An expression may loop, fill the memory or match a regular expression until the end of days, and no
thread of Python can be stopped in it. So `gouache.expressions` runs this file as a process of its own,
with bounds that the operating system holds. The file imports nothing of ours.

A question is one JSON object `{"expressions", "context", "kind", "seconds", "bytes", "characters"}`. The
first line of the answer says that evaluation begins; then comes a line for each expression: `{"value"}`,
`{"missing"}` where it gives nothing, or `{"flaw"}`.
"""

import contextlib
import json
import math
import sys
import time
from typing import Any

from jsonata import Jsonata  # type: ignore[import-untyped]
from jsonata.functions import Functions  # type: ignore[import-untyped]
from jsonata.jexception import JException  # type: ignore[import-untyped]
from jsonata.utils import Utils  # type: ignore[import-untyped]

MAX_CALLS = 500
MAX_DEPTH = 100


def main() -> None:
    """Answer one question."""
    answers = sys.stdout
    sys.stdout = sys.stderr  # the library prints there
    question = json.load(sys.stdin.buffer)
    _bound(question["seconds"], question["bytes"])
    print("ready", file=answers, flush=True)
    for expression in question["expressions"]:
        print(_answer(expression, question), file=answers, flush=True)


def _bound(seconds: int, size: int) -> None:
    """Have the operating system end this process when it takes too much, where it can."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        spent = math.ceil(time.process_time())
        resource.setrlimit(resource.RLIMIT_CPU, (spent + seconds, spent + seconds + 1))
        resource.setrlimit(resource.RLIMIT_AS, (size, size))


def _answer(expression: str, question: dict[str, Any]) -> str:
    try:
        text = json.dumps(_evaluated(expression, question), allow_nan=False)
        if len(text) > question["characters"]:
            return _flaw(f"gives more than {question['characters']:,} characters")
        return text
    except MemoryError:
        return _flaw("needs too much memory")
    except RecursionError:
        return _flaw("is nested too deep")
    except JException as error:
        place = f" (at character {error.location})" if error.location > 0 else ""
        return _flaw(f"is refused by JSONata: {error}{place}")
    except Exception as error:
        return _flaw(f"cannot be evaluated: {error}")


def _flaw(sentence: str) -> str:
    return json.dumps({"flaw": sentence})


def _evaluated(expression: str, question: dict[str, Any]) -> dict[str, Any]:
    compiled = Jsonata(expression, stack=MAX_CALLS)
    if question["kind"] == "check":
        return {"value": None}
    compiled.set_validate_input(False)  # it was read from JSON
    compiled.set_output_convert_nulls(False)
    value = compiled.evaluate(question["context"])
    if question["kind"] == "condition":
        return {"value": Functions.to_boolean(value) is True}
    return {"missing": True} if value is None else {"value": _plain(value)}


def _plain(value: Any, depth: int = 0) -> Any:
    """Return a value of the library's as plain JSON."""
    if depth > MAX_DEPTH:
        raise RecursionError
    if value is None or value is Utils.NULL_VALUE:
        return None
    if isinstance(value, dict):
        return {key: _plain(inner, depth + 1) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner, depth + 1) for inner in value]
    if isinstance(value, str | bool | int | float):
        return value
    raise ValueError("it gives a function, not a value")


if __name__ == "__main__":
    main()
