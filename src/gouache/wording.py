"""Which words are set as type over a picture: quoted words and given names, where the use asks for it.

Ordinary pictures get no letters, and a prompt that says "no text" gets none.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from gouache.lettering import Line, problem, spelt
from gouache.tagging import Name

USES = ("logo", "banner", "newsletter", "poster", "welcome", "invitation", "sticker")
"""Intents that carry a name; others carry only words that are asked for as words."""

MOST_CHARACTERS = 150
"""More could not be read."""

_NONE = re.compile(
    r"\b(?:no|without(?: any)?|free of|avoid|don['’]?t (?:add|put|write|include)(?: any)?)\s+(?:text|words?|"
    r"lettering|letters|writing|type|typography|captions?|names?)\b|\btext[- ]free\b|\btextless\b",
    re.I,
)
_WELCOME = re.compile(r"\bwelcome(?: (?:back|aboard|home))?\b", re.I)


@dataclass(frozen=True, slots=True)
class Wording:
    """The lines to set, the names that are not, and of these the refused ones with a sentence each."""

    lines: tuple[Line, ...] = ()
    unset: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def choose_words(text: str, names: Sequence[Name], intent: str) -> Wording:
    """Return what is set of the names found in a text, on a picture for this use."""
    if _NONE.search(text):
        return Wording(unset=tuple(name.text for name in names))
    given = [n for n in names if n.how == "said" or (intent in USES and n.how != "place")]
    fit: list[str] = []
    refused: dict[str, str] = {}
    for name in given[:3]:
        if why := problem(name.text):
            refused[name.text] = f"“{name.text}” is not set as type: it {why}"
        elif len(" ".join([*fit, name.text])) > MOST_CHARACTERS:
            refused[name.text] = f"“{name.text[:40]}” is not set as type: it is too long to be read"
        else:
            fit.append(spelt(name.text))
    lines = [Line(name, at == 0) for at, name in enumerate(fit)]
    greeting = _WELCOME.search(text) if intent == "welcome" else None
    if lines and greeting and not any(_WELCOME.search(name) for name in fit):
        lines.insert(0, Line(greeting.group().capitalize(), is_main=False))
    unset = tuple(n.text for n in names if spelt(n.text) not in fit and n.how != "place")
    return Wording(tuple(lines), unset, tuple(refused), tuple(refused.values()))
