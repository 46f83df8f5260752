"""From a reading to a wish: which concepts stand for what was said, and how they stand to each other.

Unknown words get the nearest concept of the bank where one is near enough; what is taken instead of
what was asked for is kept as a stand-in.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np

from gouache.concepts import Array, ConceptBank, Embed, Near
from gouache.grouping import Thing, Wish
from gouache.lexicon import load_lexicon
from gouache.mentions import Mention, Reading
from gouache.reading import MOST_COUNT, SINGLE, read
from gouache.salience import left_out, main_things, rank
from gouache.tagging import tag

ACCEPTED = 0.60
"""Cosine to the best name or keyword from which an unknown word counts as understood."""

MARGIN = 0.04
"""How much better the nearest concept must score than the first of another category.

Of 440 other names of things, each asked for without itself, 388 got a concept, 52 of another category;
with the margin 355 and 34.
"""

CLEAR, NAMED = 0.8, 0.5
"""Likeness from which a keyword alone is believed (of 782 names asked, 73 given amiss, now 67), and that of
the name which is needed below it."""

SENSE, CLEARLY = 0.5, 0.12
"""Likeness of a whole wish to a sign that no word of it names, and how much better it must be."""

INTENT_LIKENESS = 0.42
"""Cosine to an example sentence from which a prompt without an intent word has that intent."""

MOST_QUERIES = 8
MOST_LONG_QUERIES = 2
"""Unknown things that are looked up, in a description and in a long text."""

LOOSE = ("with", "having", "holding")
"""Relations that only put things side by side."""

MOST_THINGS = {"logo": 1, "icon": 1, "avatar": 1, "sticker": 2, "pattern": 3, "picture": 6}
ANYBODY = ("person", "two people silhouettes", "office worker")
"""Concepts of "user", "team", "colleague": no subject of a welcome card or a banner."""

USUAL = {
    "welcome": ("waving hand", "balloon", "party popper"),
    "avatar": ("person",),
    "newsletter": ("newspaper", "envelope"),
    "invitation": ("balloon", "party popper", "gift"),
}
"""What an intent shows where the prompt names nothing."""


@lru_cache(maxsize=2)
def _example_vectors(embed: Embed) -> Array:
    """Return the vectors of the lexicon's intent examples, in its order."""
    lines = [line for group in load_lexicon().intent_examples.values() for line in group]
    return np.concatenate([embed([line]) for line in lines])


class Planner:
    """Chooses concepts for a reading; keeps the stand-ins it had to take."""

    def __init__(self, bank: ConceptBank, embed: Embed, pieces: tuple[str, ...] = ()) -> None:
        """Remember the bank; `pieces` are the sentences that say best what a long text is about."""
        self.bank = bank
        self.embed = embed
        self.pieces = pieces
        self.stand_ins: list[tuple[str, str]] = []

    def guess_intent(self, text: str, reading: Reading) -> str:
        """Return the intent whose example sentences lie nearest, for a text without an intent word."""
        known = reading.mentions or reading.background
        if (known and not reading.is_long) or not re.search("[A-Za-z]{2} ", text):
            return "picture"
        examples = load_lexicon().intent_examples
        intents = [intent for intent, lines in examples.items() for _ in lines]
        likeness = _example_vectors(self.embed) @ self.embed([text[:400]])[0]
        best = int(likeness.argmax())
        return intents[best] if likeness[best] >= INTENT_LIKENESS else "picture"

    def wish(self, intent: str, reading: Reading, names: tuple[str, ...]) -> Wish:
        """Return what to draw, in concepts."""
        self._match(reading)
        if not any(m.concept for m in reading.mentions):
            reading.mentions += self._from_names(names)
        kept = self._choose(intent, reading)
        if intent == "avatar":
            kept = self._portrait(reading, kept)
            shown = [m.said for m in kept]
            reading.missed = [w for w in reading.missed if w not in shown and not _is_gender(w)]
        kept = kept or self._of_place(reading) or self._nearest_at_all(reading)
        kept += self._usual(intent, reading, kept)
        if intent == "welcome" and self.bank[kept[0].concept or ""].category == "event":
            kept.sort(key=lambda m: m.concept != "waving hand")  # decoration is no main thing
        wish = Wish(intent, [], style=reading.style, background=reading.background)
        if reading.sky and reading.sky in self.bank:
            wish.sky = Thing(self.bank[reading.sky], reading.sky)
            self.stand_ins.append((reading.hour, f"{reading.sky} in the sky"))
        wish.badge, wish.badge_colour = reading.badge, reading.badge_colour
        wish.palette = list(dict.fromkeys(reading.palette))
        if reading.medium:
            self.stand_ins.append((reading.medium, f"{reading.style} drawing"))
        order = self._relate(reading, kept, wish)
        wish.things = _limit_counts([self._thing(m, intent) for m in order])
        _spread_palette(wish, reading)
        return wish

    def _match(self, reading: Reading) -> None:
        """Give unknown things the nearest concept, where one is near enough."""
        unknown = [m for m in reading.mentions if m.concept is None]
        if reading.is_long:
            unknown = _most_frequent(unknown)[:MOST_LONG_QUERIES]
        asked = unknown[:MOST_QUERIES]
        queries = list(dict.fromkeys(q for m in asked for q in (m.said, m.said.split(" ")[-1])))
        nearest = self.bank.nearest(queries, self.embed, count=4)
        found = {
            query: near[0] if is_sure(query, near) else replace(near[0], likeness=0.0)
            for query, near in zip(queries, nearest, strict=True)
        }
        for mention in asked:
            whole, head = found[mention.said], found[mention.said.split(" ")[-1]]
            best = whole if whole.likeness >= ACCEPTED else head
            if best.likeness >= ACCEPTED:
                mention.concept = best.concept.name
                mention.weight *= best.likeness
        for mention in reading.mentions:
            if mention.concept is None and not reading.is_long:
                reading.miss(mention.said)

    def _from_names(self, names: tuple[str, ...]) -> list[Mention]:
        """Read names for a topic: "Bean & Leaf Coffee" is about coffee. The head noun comes first."""
        for name in names:
            reading = read(tag(name.lower(), self.bank))
            self._match(reading)
            if known := [m for m in reading.mentions if m.concept]:
                return [replace(m, by="topic", count=1) for m in reversed(known)]
        return []

    def _choose(self, intent: str, reading: Reading) -> list[Mention]:
        """Return the things to draw, most important ones only, in the order of the text."""
        known = [m for m in reading.mentions if m.concept]
        if intent == "newsletter":
            known = [m for m in known if m.concept != "email"]
        if intent not in ("picture", "avatar", "logo", "icon"):
            known = [m for m in known if m.concept not in ANYBODY] or known
        if intent == "welcome":
            known = [m for m in known if m.concept not in ANYBODY]
        if reading.is_long:
            return self._main_things(reading, 1 if intent in SINGLE else 3)
        named = _merge([m for m in known if m.by != "topic"])
        topics = _merge([m for m in known if m.by == "topic"])
        most = MOST_THINGS.get(intent, 4)
        if intent == "picture":
            extra = [m for m in topics if m.setting][:1] if len(named) == 1 else []
            chosen = named + extra if named else topics[:2]
        else:
            sure = [m for m in named if m.by == "name" and not self._says_little(m)]
            rest = [m for m in named if not any(m is s for s in sure)]
            generic = load_lexicon().words["generic"]
            telling = [m for m in topics if not m.describes and m.concept not in generic]
            little = [m for m in topics if m.describes or m.concept in generic]
            chosen = _merge(sure + telling + rest + little)
            if intent in ("logo", "icon") and not sure + telling:
                chosen = self._by_sense(chosen) + chosen
            most_of_topic = 2 if intent == "welcome" else 3  # a hand waves, too
            if len(chosen) < most_of_topic and intent not in SINGLE:
                chosen += _companions(topics, chosen, most_of_topic)
        for mention in chosen[most:]:
            if mention.by == "name":
                reading.miss(mention.said)
        return sorted(chosen[:most], key=_position(reading))

    def _by_sense(self, chosen: list[Mention]) -> list[Mention]:
        """Return the thing that the whole wish is clearly nearer to than to the first one chosen."""
        if not self.pieces:
            return []
        likeness = self.bank.likeness(list(self.pieces[:1]), self.embed)[0]
        near = {c.name: float(n) for c, n in zip(self.bank.concepts, likeness, strict=True)}
        best = max((c.name for c in self.bank.concepts if c.kind == "object"), key=near.__getitem__)
        rival = near[chosen[0].concept or ""] if chosen else 0.0
        sure = near[best] >= SENSE and near[best] - rival >= CLEARLY
        return [Mention(best, best, "likeness")] if sure else []

    def _main_things(self, reading: Reading, most: int) -> list[Mention]:
        """Return what a long text is mostly about; what else it dwells on is told to be missing."""
        ranked = rank(self.pieces, reading, self.bank, self.embed)
        kept = main_things(ranked, self.bank, self.embed, most)
        for word in left_out(ranked, kept, reading):
            reading.miss(word)
        return kept

    def _says_little(self, mention: Mention) -> bool:
        """Say whether a thing is too common to stand for a trade: a person, a shop, a house."""
        return self._is_person(mention) or mention.concept in load_lexicon().words["generic"]

    def _is_person(self, mention: Mention) -> bool:
        return self.bank[mention.concept or ""].kind == "person"

    def _portrait(self, reading: Reading, kept: list[Mention]) -> list[Mention]:
        """Return the one head of an avatar: a profession, else looks, else a creature, else a thing."""
        known = [m for m in reading.mentions if m.concept]
        people = [m for m in known if self._is_person(m) and not m.aside and m.by == "name"]
        people = [m for m in people if m.concept not in ANYBODY] or people
        who = reading.gender or "person"
        looks = [self._looks(who, trait) for trait in reading.traits]
        look = next((name for name in looks if name), None)
        if people and (
            people[0].concept not in (*ANYBODY, "woman", "man", "boy", "girl") or not look
        ):
            mention = people[0]
            mention.concept = self._gendered(mention.concept or "person", reading.gender)
            return [mention]
        if look or (reading.gender and all(m.aside for m in kept)):
            return [Mention(look or who, look or who)]
        faces = [m for m in known if self.bank[m.concept or ""].category in ("animal", "face")]
        for mention in faces[:1] or kept[:1]:
            face = f"{mention.concept} face"
            if face in self.bank:
                mention.concept = face
            return [mention]
        return []

    def _looks(self, who: str, trait: str) -> str | None:
        name = f"bald {who}" if trait == "bald" else f"{who} {trait}"
        return name if name in self.bank else None

    def _gendered(self, name: str, gender: str | None) -> str:
        if name == "office worker" and gender:
            name = f"business{gender}"
        if name in ("person", "person silhouette") and gender:
            name = gender
        if f"{gender} {name}" in self.bank:
            return f"{gender} {name}"
        swapped = name.replace("person", gender or "person", 1)
        return swapped if swapped in self.bank else name

    def _of_place(self, reading: Reading) -> list[Mention]:
        """Return what stands for a place where only the place is named."""
        kind = reading.background.kind if reading.background else ""
        thing = load_lexicon().place_things.get(kind, "")
        return [Mention(thing, thing)] if thing in self.bank else []

    def _nearest_at_all(self, reading: Reading) -> list[Mention]:
        """Return something near in topic where nothing was understood, or nothing."""
        if reading.background is not None or reading.intent == "welcome":
            return []
        tried = [m for m in reading.mentions if m.concept is None]
        tried = _most_frequent(tried)[:4]
        best: tuple[float, Mention, Near] | None = None
        for mention, near in zip(
            tried, self.bank.nearest([m.said for m in tried], self.embed, count=4), strict=True
        ):
            sure = near[0].likeness >= ACCEPTED and is_sure(mention.said, near)
            if sure and (not best or near[0].score > best[0]):
                best = (near[0].score, mention, near[0])
        if best is None:
            return []
        _, mention, near_one = best
        mention.concept = near_one.concept.name
        if mention.said in reading.missed:
            reading.missed.remove(mention.said)
        return [mention]

    def _usual(self, intent: str, reading: Reading, kept: list[Mention]) -> list[Mention]:
        """Return what the intent shows besides, where there is room for it."""
        if kept and (intent != "welcome" or any(r not in LOOSE for r, _, _ in reading.links)):
            return []
        shown = {m.concept for m in kept}
        usual = [n for n in USUAL.get(intent, ()) if n in self.bank and n not in shown]
        return [Mention(name, name) for name in usual[: max(0, 3 - len(kept))]]

    def _relate(self, reading: Reading, kept: list[Mention], wish: Wish) -> list[Mention]:
        """Find the first relation among the things kept; return them as `Wish` orders them."""
        at = {id(m): i for i, m in enumerate(reading.mentions)}
        kept_at = {at[id(m)]: m for m in kept if id(m) in at}
        ties = [(r, i, j) for r, i, j in reading.links if i in kept_at and j in kept_at]
        telling = [tie for tie in ties if tie[0] not in LOOSE]
        if not telling:
            position = kept[0].position if len(kept) == 2 else None
            wish.relation = position or ("with" if ties else None)
            return kept
        relation, first, second = telling[0]
        subjects = [first]
        while ("with", subjects[0] - 1, subjects[0]) in ties:
            subjects.insert(0, subjects[0] - 1)
        objects = [second]
        if relation == "between" and ("with", second, second + 1) in ties:
            objects.append(second + 1)
        if relation == "wearing":
            subjects, objects, relation = objects, [first], "on"
        if relation == "in":
            self.stand_ins.append(
                (f"in the {kept_at[second].said}", f"on the {kept_at[second].said}")
            )
            relation = "on"
        wish.relation, wish.subjects, wish.objects = relation, len(subjects), len(objects)
        tied = [kept_at[i] for i in subjects + objects]
        for mention in tied[len(subjects) :]:
            if mention.many:
                mention.count = 2
        return tied + [m for m in kept if not any(m is t for t in tied)]

    def _thing(self, mention: Mention, intent: str) -> Thing:
        """Return a chosen thing; its words are kept where the bank knows them for the concept."""
        concept = self.bank[mention.concept or ""]
        said = mention.said
        if said.lower() not in (p.lower() for p in (concept.name, *concept.aliases, *concept.near)):
            self.stand_ins.append((said, concept.name))
            said = concept.name
        count = 1 if concept.name.startswith("two ") else mention.count
        if mention.many and intent != "picture":
            count = 1 if intent in (*SINGLE, "pattern") else 2
        plain = "blue" if concept.kind == "shape" else None  # shapes have no colour of their own
        return Thing(concept, said, mention.colour or plain, count)


def is_sure(query: str, nearest: Sequence[Near]) -> bool:
    """Say whether the nearest concept may stand for a word the bank does not know.

    Not so where only a keyword is somewhat like it, where a concept of another category lies about as
    near, and where the word only begins like the concept: a trampoline is no tram.
    """
    first = nearest[0]
    if first.likeness < CLEAR and first.name_likeness < NAMED:
        return False
    others = [n for n in nearest[1:] if n.concept.category != first.concept.category]
    if others and first.score - others[0].score < MARGIN:
        return False
    for word in query.lower().split():
        for known in " ".join(first.concept.phrases()).lower().split():
            short, long = sorted((word, known), key=len)
            ending = long.removeprefix(short)
            if len(short) > 2 and len(ending) > 2 and long.startswith(short):
                return any(word in p.lower().split() for p in first.concept.phrases())
    return True


def _is_gender(word: str) -> bool:
    return "gender" in load_lexicon().meanings(word)


def _position(reading: Reading) -> Callable[[Mention], int]:
    """Return a sort key: the place of a mention in the text, later additions last."""
    at = {id(m): i for i, m in enumerate(reading.mentions)}
    return lambda m: at.get(id(m), len(at))


def _merge(mentions: list[Mention]) -> list[Mention]:
    """Drop a thing named again without a number or another colour."""
    kept: list[Mention] = []
    for mention in mentions:
        same = [m for m in kept if m.concept == mention.concept]
        if any(mention.colour in (None, m.colour) for m in same):
            continue
        kept.append(mention)
    return kept


def _companions(topics: list[Mention], chosen: list[Mention], most: int) -> list[Mention]:
    """Return further concepts of the chosen topics, so that a banner shows more than one thing."""
    shown = {m.concept for m in chosen}
    names = [n for m in topics for n in m.companions if n not in shown]
    return [Mention(n, n, "topic") for n in dict.fromkeys(names)][: max(0, most - len(chosen))]


def _most_frequent(mentions: list[Mention]) -> list[Mention]:
    """Return mentions of different words, the most repeated first."""
    counts: dict[str, int] = {}
    for mention in mentions:
        counts[mention.said] = counts.get(mention.said, 0) + 1
    first = {m.said: m for m in reversed(mentions)}
    return sorted(first.values(), key=lambda m: -counts[m.said])


def _limit_counts(things: list[Thing]) -> list[Thing]:
    """Take from the most numerous things until all together are no more than can be drawn."""
    while sum(t.count for t in things) > MOST_COUNT:
        max(things, key=lambda t: t.count).count -= 1
    return things


def _spread_palette(wish: Wish, reading: Reading) -> None:
    """In a picture a colour without a noun belongs to the only thing; what is left is not drawn."""
    if wish.intent != "picture":
        return
    if wish.palette and len(wish.things) == 1 and wish.things[0].colour is None:
        wish.things[0].colour = wish.palette.pop(0)
    for colour in wish.palette:
        reading.miss(colour)
    wish.palette = []
