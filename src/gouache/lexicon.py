"""The planner's words: `lexicon.toml`, read once and looked up phrase by phrase.

A phrase may mean several things ("orange" is a colour and a fruit); the reader decides by what stands
around it. Phrases are lower case, their words parted by one blank, plurals found by their singulars.
"""

import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from gouache.scene import COLOURS, rgb

KINDS = (
    "colours",
    "numbers",
    "relations",
    "positions",
    "places",
    "textures",
    "grounds",
    "intents",
    "styles",
    "mediums",
    "badges",
    "people",
    "gender",
    "meanings",
    "topics",
    "moods",
)
"""Tables whose rows are a meaning and its phrases."""

SETS = ("ignored", "undrawn", "plain", "ambiguous")
"""Tables that are only a set of phrases."""

_IRREGULAR = {
    "men": "man",
    "women": "woman",
    "children": "child",
    "people": "person",
    "mice": "mouse",
    "feet": "foot",
    "teeth": "tooth",
    "geese": "goose",
    "leaves": "leaf",
    "wolves": "wolf",
    "knives": "knife",
    "loaves": "loaf",
    "scarves": "scarf",
    "shelves": "shelf",
    "oxen": "ox",
    "cacti": "cactus",
}
_HEX = re.compile(r"#(?:[0-9a-f]{6}|[0-9a-f]{3})")
_NEAR_COLOUR = (
    18  # largest step of one channel, of 255, at which a value still gets the word's name
)


class Lexicon:
    """Phrases and what they mean: `meanings("scarlet")` is {"colours": "red"}."""

    def __init__(self, tables: dict[str, dict[str, Any]]) -> None:
        """Index the tables of a lexicon file."""
        self._meanings: dict[str, dict[str, str]] = {}
        for kind in KINDS:
            for meaning, phrases in tables[kind].items():
                for phrase in phrases.split(", "):
                    self._meanings.setdefault(phrase, {}).setdefault(kind, meaning)
        for kind in SETS:
            for phrase in tables[kind]["words"].split(", "):
                self._meanings.setdefault(phrase, {}).setdefault(kind, phrase)
        self.words = {
            name: frozenset(words.split(", ")) for name, words in tables["word_sets"].items()
        }
        self.place_things = dict(tables["place_things"])
        self.intent_examples: dict[str, list[str]] = {
            intent: list(lines) for intent, lines in tables["intent_examples"].items()
        }

    def meanings(self, phrase: str) -> dict[str, str]:
        """Return what a phrase means, by table; empty for an unknown one. A hex colour is a colour."""
        if _HEX.fullmatch(phrase):
            return {"colours": nearest_colour(phrase)}
        return self._meanings.get(phrase, {})

    def __iter__(self) -> Iterator[str]:
        """Walk over all phrases."""
        return iter(self._meanings)


@cache
def load_lexicon() -> Lexicon:
    """Return the lexicon shipped beside this module."""
    text = Path(__file__).with_name("lexicon.toml").read_text(encoding="utf-8")
    return Lexicon(tomllib.loads(text))


def nearest_colour(value: str) -> str:
    """Return the word of `COLOURS` that a "#rgb" or "#rrggbb" value is, or else "#rrggbb"."""
    if len(value) == 4:
        value = "#" + "".join(2 * digit for digit in value[1:])
    wanted = rgb(value)
    away = {
        word: max(abs(a - b) for a, b in zip(wanted, known, strict=True))
        for word, known in COLOURS.items()
    }
    word = min(away, key=away.__getitem__)
    return word if away[word] <= _NEAR_COLOUR else value


def singulars(word: str) -> list[str]:
    """Return what an English word may be the plural of, likeliest first; empty for no plural."""
    if word in _IRREGULAR:
        return [_IRREGULAR[word]]
    if len(word) < 4 or not word.endswith("s") or word.endswith("ss"):
        return []
    if word.endswith("ies"):
        return [word[:-3] + "y", word[:-1]]
    if word.endswith(("ches", "shes", "xes", "sses", "oes", "zes", "uses")):
        return [word[:-2], word[:-1]]
    if word.endswith("'s"):
        return [word[:-2]]
    return [word[:-1]]
