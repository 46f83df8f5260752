"""The concept bank: what the model can draw, by name, by emoji and by nearness in meaning.

The bank is `concepts.json` in the weights folder; `concept_vectors.npz` beside it holds a MiniLM
vector of every name, alias and keyword as int8 (see `training/concept_vectors.py`). Vectors are
float32 (N, 384) of length 1.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gouache.scene import Outline

Array = NDArray[np.float32]
Embed = Callable[[list[str]], Array]

NAME_WEIGHT = 0.3
"""How much the likeness to the name counts beside the likeness to the best phrase, to break ties."""

ODD_KINDS = {"symbol": 0.08, "face": 0.08, "person": 0.04, "body": 0.04, "shape": 0.2}
"""Taken off the likeness of kinds that share broad keywords ("happy", "adult") with many others."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """A concept in one style: its outline, and its colour word where one colour rules."""

    outline: Outline
    colour: str | None


@dataclass(frozen=True, slots=True)
class Concept:
    """One thing the model can draw; `styles` says in which styles, and how it looks there."""

    name: str
    aliases: tuple[str, ...]
    near: tuple[str, ...]
    keywords: tuple[str, ...]
    category: str
    kind: str
    emoji: str | None
    styles: dict[str, Drawn]

    def phrases(self) -> list[str]:
        """Return the name, then everything else it goes by, each once."""
        return list(dict.fromkeys([self.name, *self.aliases, *self.near, *self.keywords]))


@dataclass(frozen=True, slots=True)
class Near:
    """A concept near a query.

    `likeness` is the cosine of its best phrase, less what its kind
    loses, `score` orders them."""

    concept: Concept
    likeness: float
    score: float

    @property
    def name_likeness(self) -> float:
        """The cosine of the concept's name, whatever phrase is nearest."""
        return (self.score - self.likeness) / NAME_WEIGHT


class ConceptBank:
    """All concepts, with three ways to find one."""

    def __init__(self, concepts: Sequence[Concept], vectors: Array | None = None) -> None:
        """Index the concepts; `vectors` are those of `phrase_list(concepts)`, in that order."""
        self.concepts = tuple(concepts)
        self._by_name = {concept.name: concept for concept in self.concepts}
        self._by_emoji = {c.emoji.replace("\ufe0f", ""): c for c in self.concepts if c.emoji}
        self._phrases = phrase_list(self.concepts)
        self._vectors = vectors
        self._rows, self._starts, self._name_rows = self._tie_phrases()
        self._named = self._name_phrases()

    @classmethod
    def load(cls, folder: Path) -> "ConceptBank":
        """Open the bank in a weights folder, with its vectors if they are there and fit it."""
        concepts = read_concepts(folder / "concepts.json")
        path = folder / "concept_vectors.npz"
        vectors = read_vectors(path, phrase_list(concepts)) if path.exists() else None
        return cls(concepts, vectors)

    def __getitem__(self, name: str) -> Concept:
        """Return the concept of exactly this name; `KeyError` if there is none."""
        return self._by_name[name]

    def __contains__(self, name: object) -> bool:
        """Say whether a concept has this name."""
        return name in self._by_name

    def named(self, phrase: str) -> Concept | None:
        """Return the concept called so: by its name, else its alias, else a looser word for it."""
        return self._named.get(phrase)

    @property
    def names(self) -> dict[str, Concept]:
        """Every lower-case phrase that `named` knows, and its concept."""
        return self._named

    def of_emoji(self, emoji: str) -> Concept | None:
        """Return the concept of an emoji written without variation selectors."""
        return self._by_emoji.get(emoji)

    def nearest(self, queries: list[str], embed: Embed, *, count: int = 3) -> list[list[Near]]:
        """Return for each query the `count` concepts nearest in meaning, best first."""
        if not queries:
            return []
        likeness = embed(queries) @ self._phrase_vectors(embed).T  # (queries, phrases)
        found = []
        for row in likeness:
            best = np.maximum.reduceat(row[self._rows], self._starts) - self._odd
            score = best + NAME_WEIGHT * row[self._name_rows]
            order = np.argsort(-score)[:count]
            found.append([Near(self.concepts[i], float(best[i]), float(score[i])) for i in order])
        return found

    def likeness(self, queries: list[str], embed: Embed) -> Array:
        """Return (queries, concepts): how near each concept is, mostly by its best phrase."""
        likeness = embed(queries) @ self._phrase_vectors(embed).T
        best = np.maximum.reduceat(likeness[:, self._rows], self._starts, axis=1) - self._odd
        return np.asarray(0.7 * best + 0.3 * likeness[:, self._name_rows], np.float32)

    def name_vectors(self, names: list[str], embed: Embed) -> Array:
        """Return the vectors (N, 384) of concepts by their names."""
        at = {name: row for name, row in zip(self._by_name, self._name_rows, strict=True)}
        return self._phrase_vectors(embed)[[int(at[name]) for name in names]]

    def _phrase_vectors(self, embed: Embed) -> Array:
        if self._vectors is None:
            self._vectors = embed(self._phrases)
        return self._vectors

    def _tie_phrases(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Return phrase rows by concept, where each concept's begin, and the rows of the names."""
        row_of = {phrase: row for row, phrase in enumerate(self._phrases)}
        groups = [[row_of[p] for p in concept.phrases()] for concept in self.concepts]
        rows = np.array([row for group in groups for row in group], np.int64)
        starts = np.cumsum([0, *map(len, groups[:-1])])
        names = np.array([row_of[c.name] for c in self.concepts], np.int64)
        odd = [ODD_KINDS.get(c.kind, 0.0) for c in self.concepts]
        gendered = [c.name.startswith(("man ", "woman ")) for c in self.concepts]
        self._odd = np.array(odd, np.float32) + 0.1 * np.array(gendered, np.float32)
        return rows, starts, names

    def _name_phrases(self) -> dict[str, Concept]:
        """Map names, then aliases, then looser words; a shared one goes to the plainest concept."""
        named: dict[str, Concept] = {}
        for level in ("name", "aliases", "near"):
            claims: dict[str, list[Concept]] = {}
            for concept in self.concepts:
                said = getattr(concept, level)
                for phrase in [said] if level == "name" else said:
                    claims.setdefault(phrase.lower().replace("’", "'"), []).append(concept)
            for phrase, owners in claims.items():
                named.setdefault(phrase, min(owners, key=lambda c: _oddness(c, phrase)))
        return named


def _oddness(concept: Concept, phrase: str) -> tuple[float, int, int]:
    """Order the claimants of a phrase: things before symbols, and names that end in it first."""
    odd = ODD_KINDS.get(concept.kind, 0.0)
    return (odd, 0 if concept.name.endswith(phrase) else 1, len(concept.name))


def phrase_list(concepts: Sequence[Concept]) -> list[str]:
    """Return every phrase of the bank once, in the order its vectors are kept in."""
    return list(dict.fromkeys(phrase for c in concepts for phrase in c.phrases()))


def read_concepts(path: Path) -> list[Concept]:
    """Return the concepts of a `concepts.json`."""
    return [_concept(row) for row in json.loads(path.read_text(encoding="utf-8"))]


def _concept(row: dict[str, Any]) -> Concept:
    styles = {
        style: Drawn(Outline(drawn["aspect"], drawn["seat"]), drawn["colour"])
        for style, drawn in row["styles"].items()
    }
    return Concept(
        name=row["name"],
        aliases=tuple(row["aliases"]),
        near=tuple(row["near"]),
        keywords=tuple(row["keywords"]),
        category=row["category"],
        kind=row["kind"],
        emoji=row.get("emoji"),
        styles=styles,
    )


def digest(phrases: Sequence[str]) -> str:
    """Return a short mark of a phrase list, so that vectors of another bank are not taken for it."""
    return hashlib.sha256("\n".join(phrases).encode()).hexdigest()[:16]


def write_vectors(path: Path, phrases: Sequence[str], vectors: Array) -> None:
    """Write unit vectors (N, 384) as int8 with one scale, and the mark of their phrases."""
    scale = float(np.abs(vectors).max()) / 127
    small = np.round(vectors / scale).astype(np.int8)
    np.savez_compressed(path, vectors=small, scale=np.float32(scale), phrases=digest(phrases))


def read_vectors(path: Path, phrases: Sequence[str]) -> Array | None:
    """Return the vectors (N, 384) of these phrases, or None where the file is for others."""
    with np.load(path) as stored:
        if str(stored["phrases"]) != digest(phrases):
            return None
        vectors: Array = stored["vectors"].astype(np.float32) * stored["scale"]
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / lengths, np.float32)
