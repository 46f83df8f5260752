"""Reads WordNet's nouns: what is a thing, of which kind, and which words mean the same."""

import functools
from pathlib import Path
from typing import NamedTuple

KINDS = {
    5: "animal",
    6: "artifact",
    8: "body",
    13: "food",
    17: "object",
    18: "person",
    19: "phenomenon",
    20: "plant",
    27: "substance",
}
"""WordNet's lexicographer files of nouns one can draw."""
PLURALS = (
    ("ies", "y"),
    ("ves", "f"),
    ("ses", "s"),
    ("xes", "x"),
    ("ches", "ch"),
    ("shes", "sh"),
    ("oes", "o"),
    ("men", "man"),
    ("s", ""),
)


class Sense(NamedTuple):
    """One meaning of a noun: its kind, and where its synonym set stands."""

    kind: str
    synset: str


class WordNet:
    """The noun part of a WordNet dictionary folder."""

    def __init__(self, folder: Path):
        """Read `data.noun` and `index.noun`."""
        self.kinds: dict[str, str] = {}
        self.words: dict[str, list[str]] = {}
        self.parents: dict[str, list[str]] = {}
        self.synsets: dict[str, list[str]] = {}
        for line in (folder / "data.noun").read_text("utf-8").splitlines():
            if not line.startswith("  "):
                self._read_synset(line.split(" | ")[0].split())
        for line in (folder / "index.noun").read_text("utf-8").splitlines():
            if not line.startswith("  "):
                part = line.split()
                self.synsets[part[0].replace("_", " ")] = part[-int(part[2]) :]
        self.lemma = functools.cache(self._lemma)
        self.sense = functools.cache(self._sense)

    def _read_synset(self, part: list[str]) -> None:
        name, words = part[0], int(part[3], 16)
        self.kinds[name] = KINDS.get(int(part[1]), "other")
        self.words[name] = [part[4 + 2 * i].replace("_", " ") for i in range(words)]
        first = 4 + 2 * words
        pointers = [part[first + 1 + 4 * i : first + 5 + 4 * i] for i in range(int(part[first]))]
        self.parents[name] = [target for sign, target, *_ in pointers if sign in ("@", "@i")]

    def _lemma(self, word: str) -> str | None:
        """Return the dictionary form of a noun, None if WordNet does not know it."""
        word = word.lower().strip()
        if word in self.synsets:
            return word
        for ending, singular in PLURALS:
            stem = word[: -len(ending)] + singular
            if word.endswith(ending) and len(word) > 3 and stem in self.synsets:
                return stem
        return None

    def senses(self, word: str, first: int = 3) -> list[Sense]:
        """Return those of the first meanings of a noun that one can draw."""
        lemma = self.lemma(word)
        found = [
            Sense(self.kinds[name], name) for name in self.synsets.get(lemma or "", ())[:first]
        ]
        return [sense for sense in found if sense.kind != "other"]

    def _sense(self, word: str, first: int = 3) -> Sense | None:
        """Return the first meaning that one can draw among the first few, else None."""
        return next(iter(self.senses(word, first)), None)

    def depth(self, synset: str) -> int:
        """Return how specific a synonym set is: its steps to the top."""
        steps = 0
        while self.parents[synset]:
            synset = self.parents[synset][0]
            steps += 1
        return steps

    def related(self, synset: str, levels: int) -> set[str]:
        """Return the words of a synonym set and of its nearest more general ones."""
        found = {word.lower() for word in self.words[synset]}
        for _ in range(levels):
            if not self.parents[synset]:
                break
            synset = self.parents[synset][0]
            found |= {word.lower() for word in self.words[synset]}
        return found
