"""What a long text is mostly about: the few concepts that a picture for it may show.

Two witnesses are heard: which concepts the text names, how often and how early, and which lie near in
meaning to its title and first sentences as a whole. What only one of them knows counts for less.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from gouache.concepts import Array, ConceptBank, Embed
from gouache.mentions import Mention, Reading

MOST_PIECES = 3
MOST_WORDS = 20
"""Pieces of the text that are embedded, and words of each: what a hundred milliseconds allow."""

PIECE_WEIGHTS = (1.0, 0.8, 0.6)
NAMED = 0.45
"""What being named over and over adds to the likeness of a concept (0 to 1)."""

HALF = 1.6
"""Weight of mentions that gives half of `NAMED`."""

FITTING = 0.36
"""Likeness to all pieces from which a named concept is believed in full."""

UNNAMED = 0.40
"""Likeness to all pieces from which a concept is drawn though no word names it."""

NEARLY = 0.82
"""Part of the first concept's score that the others need."""

MOST_LEFT_OUT = 4

TWINS = 0.72
"""Cosine of two names from which the concepts would show the same thing twice."""


@dataclass(frozen=True, slots=True)
class Ranked:
    """A concept, by score, with the mention that names it, if any, and how often it is named."""

    concept: str
    score: float
    mention: Mention | None
    weight: float


def pieces_of(title: str, paragraphs: Sequence[str]) -> tuple[str, ...]:
    """Return the title and the sentences that begin the text, cut to what is embedded."""
    sentences = [s for p in paragraphs[:4] for s in re.split(r"(?<=[.!?])\s+", p[:600])]
    telling = [s for s in sentences if len(s.split()) > 4] or sentences
    chosen = [title] if title else []
    for sentence in telling:
        if chosen and chosen[-1] != title and len(chosen[-1].split()) < MOST_WORDS // 2:
            chosen[-1] += f" {sentence}"  # two short ones cost no more than a long one
        elif len(chosen) < MOST_PIECES:
            chosen.append(sentence)
    return tuple(" ".join(piece.split()[:MOST_WORDS]) for piece in chosen)


def rank(pieces: Sequence[str], reading: Reading, bank: ConceptBank, embed: Embed) -> list[Ranked]:
    """Return the concepts a text is about, best first: those it names and those near to all of it."""
    weights, first = _named(reading)
    if pieces:
        share = np.array(PIECE_WEIGHTS[: len(pieces)], np.float32)
        likeness: Array = share @ bank.likeness(list(pieces), embed) / share.sum()
    else:
        likeness = np.zeros(len(bank.concepts), np.float32)
    ranked = []
    for at, concept in enumerate(bank.concepts):
        if concept.kind == "face":  # a grin is no subject, and in bad news an insult
            continue
        near, weight = float(likeness[at]), weights.get(concept.name, 0.0)
        if weight or near >= UNNAMED:
            trust = min(1.0, max(0.3, near / FITTING))
            score = near + trust * NAMED * weight / (weight + HALF)
            ranked.append(Ranked(concept.name, score, first.get(concept.name), weight))
    return sorted(ranked, key=lambda r: (-r.score, r.concept))


def main_things(
    ranked: Sequence[Ranked], bank: ConceptBank, embed: Embed, most: int
) -> list[Mention]:
    """Return the first concept and others nearly as good that the text names, each a thing of its own."""
    near = list(ranked[:8])
    vectors = bank.name_vectors([r.concept for r in near], embed)
    kept: list[int] = []
    for at, one in enumerate(near):
        if kept and (one.score < NEARLY * near[0].score or one.mention is None):
            continue
        if all(float(vectors[at] @ vectors[other]) < TWINS for other in kept):
            kept.append(at)
        if len(kept) == most:
            break
    return [_thing(near[at]) for at in kept]


def left_out(ranked: Sequence[Ranked], kept: Sequence[Mention], reading: Reading) -> list[str]:
    """Return the words of what matters too and is not drawn: the next concepts, and unknown words
    that come back."""
    drawn = {mention.concept for mention in kept}
    said = {mention.said for mention in kept}
    near = [r for r in ranked[:8] if r.mention and r.score >= 0.7 * ranked[0].score]
    words = [
        r.mention.said for r in near if r.mention and not {r.concept, r.mention.concept} & drawn
    ]
    unknown = [m.said for m in reading.mentions if m.concept is None]
    words += [word for word in unknown if unknown.count(word) > 1]
    return [w for w in dict.fromkeys(words) if not any(w in s for s in said)][:MOST_LEFT_OUT]


def _thing(ranked: Ranked) -> Mention:
    mention = ranked.mention or Mention(ranked.concept, ranked.concept)
    said = (
        mention.said
        if mention.concept == ranked.concept and mention.by != "topic"
        else ranked.concept
    )
    return replace(mention, said=said, concept=ranked.concept, count=1, colour=None, many=False)


def _named(reading: Reading) -> tuple[dict[str, float], dict[str, Mention]]:
    """Return how much each concept is named, earlier sentences counting more, and its first mention."""
    weights: dict[str, float] = {}
    first: dict[str, Mention] = {}
    for mention in reading.mentions:
        if mention.concept is None:
            continue
        weight = mention.weight * (0.5 + 1.5 / (1 + 0.4 * mention.sentence))
        for place, name in enumerate((mention.concept, *mention.companions)):
            weights[name] = weights.get(name, 0.0) + weight / (1 + place)
            first.setdefault(name, mention)
    return weights, first
