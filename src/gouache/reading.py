"""From tagged words to what a picture shall show: things, colours, counts, relations and ground.

The reader walks once over the words, from left to right, holding what an English noun phrase holds
before its noun (number, colours) until the noun comes. Nothing is placed here: `layouts.py` does that.
"""

from gouache.grounds import find_background, find_intent, leave_context
from gouache.lexicon import load_lexicon
from gouache.mentions import Mention, Reading
from gouache.scene import Background
from gouache.tagging import Word

LONG = 45
"""From this many words on a text is a letter or a profile, not a description of a picture."""

LONG_OF_THINGS, EVERY = 90, 11
"""A text of which every eleventh word at least names a thing describes a picture, up to ninety words."""

MOST_COUNT = 9

PARTS = (
    *(
        "breaks",
        "numbers",
        "positions",
        "relations",
        "concepts",
        "topics",
        "styles",
        "mediums",
        "undrawn",
    ),
    *("places", "people", "gender", "badges", "intents", "textures", "ignored", "plain"),
)
"""What a word is taken for where nothing around it says otherwise, first come first."""

SINGLE = ("logo", "icon", "avatar", "sticker")
"""Intents that show one thing."""

_NOUNS = ("concepts", "topics", "grounds", "badges", "places")


def read(words: list[Word], *, is_long: bool | None = None) -> Reading:
    """Return what the words say; whether they are a long text is counted, unless it is known."""
    reading = Reading(is_long=_is_long(words) if is_long is None else is_long)
    reading.intent = find_intent(words)
    if reading.intent is None and not reading.is_long:
        leave_context(words)
    reading.background, described = find_background(words)
    for text in described:
        reading.miss(text)
    walk = _Walk(words, reading)
    for at, word in enumerate(words):
        if word.used:
            walk.end_phrase()
            walk.relation = None
        else:
            walk.step(at, word)
    walk.end_phrase()
    return reading


def _is_long(words: list[Word]) -> bool:
    """Say whether words are a letter or a profile: many, and few of them name a thing."""
    spoken = [word for word in words if "breaks" not in word]
    things = sum("concepts" in word and "ambiguous" not in word for word in spoken)
    return len(spoken) > (LONG_OF_THINGS if things * EVERY >= len(spoken) else LONG)


class _Walk:
    """The state of the walk: what waits for its noun."""

    def __init__(self, words: list[Word], reading: Reading) -> None:
        self.words = words
        self.reading = reading
        self.colours: list[str] = []
        self.count: int | None = None
        self.relation: str | None = None
        self.settled = True  # False after a noun: a colour may still follow it ("a car in red")
        self.run: list[Word] = []  # unknown words in a row
        self.sentence = 0
        self.aside = False
        self.is_filled = False  # in "a glass of wine" the wine is drawn, which comes in its glass
        self.is_pair = False  # "a pair of glasses" is one thing

    def step(self, at: int, word: Word) -> None:
        """Take one word, in the part its surroundings give it."""
        if word.sentence != self.sentence:
            self.end_phrase()
            self.relation, self.aside = None, False
            self.sentence = word.sentence
        self.aside |= word.text in load_lexicon().words["asides"]
        part = self._part(at, word)
        if part not in ("unknown", "plain"):
            self._close_run(before_noun=part in ("concepts", "topics"))
        getattr(self, f"_take_{part}")(at, word)

    def end_phrase(self) -> None:
        """Let go of what waits: colours without a noun are the palette."""
        self._close_run(before_noun=False)
        self.reading.palette += [c for c in self.colours if c not in self.reading.palette]
        self.colours, self.count = [], None

    def _part(self, at: int, word: Word) -> str:
        """Return the one part this word plays here."""
        if "colours" in word:
            return "concepts" if self._is_fruit(at, word) else "colours"
        if "places" in word and self._is_setting(at, word):
            return "places"
        is_filler = "ambiguous" in word and not self._has_article(at)
        if self.reading.is_long and (is_filler or word.text in load_lexicon().words["containers"]):
            return "ignored"
        if "topics" in word and self._describes(at):
            return "plain"
        if "topics" in word and "concepts" in word:
            return "concepts" if self.reading.intent in (None, "avatar") else "topics"
        if "intents" in word and (
            word.text == "card" or word.meanings["intents"] in ("picture", self.reading.intent)
        ):
            return "intents"
        if "badges" in word and self.reading.intent in ("logo", "icon", "sticker"):
            return "badges"
        return next((part for part in PARTS if part in word), "unknown")

    def _describes(self, at: int) -> bool:
        """Say whether a topic only describes the thing after it: "a happy fox", "a summer hat"."""
        if self.reading.intent not in (*SINGLE, "picture", None) or at + 1 == len(self.words):
            return False
        return "concepts" in self.words[at + 1] and "topics" not in self.words[at + 1]

    def _is_fruit(self, at: int, word: Word) -> bool:
        """Say whether a colour that is also a thing ("orange") is the thing here."""
        if "concepts" not in word:
            return False
        if word.many:
            return True
        after = next(iter(self.words[at + 1 : at + 2]), None)
        if (
            after
            and after.text in ("and", "&")
            and "colours" in self.words[min(at + 2, len(self.words) - 1)]
        ):
            return False
        if after and (not after.meanings or {*_NOUNS, "intents"} & after.meanings.keys()):
            return False
        before = self.words[at - 1] if at else None
        return before is None or before.text in ("a", "an", "of", "the") or "numbers" in before

    def _is_setting(self, at: int, word: Word) -> bool:
        """Say whether a place is the backdrop: after a preposition, or where nothing else is named."""
        for before in reversed(self.words[max(0, at - 4) : at]):
            if before.text.split(" ")[-1] in load_lexicon().words["prepositions"]:
                return True
            if not {"ignored", "plain", "colours"} & before.meanings.keys():
                break
        scenery = at + 1 < len(self.words) and self.words[at + 1].text in ("scene", "landscape")
        return scenery or ("concepts" not in word and "topics" not in word)

    def _has_article(self, at: int) -> bool:
        before = self.words[at - 1] if at else None
        return before is not None and (
            before.text in ("a", "an", "two", "three") or "colours" in before
        )

    def _take_breaks(self, at: int, word: Word) -> None:
        self.end_phrase()
        self.settled = True

    def _take_colours(self, at: int, word: Word) -> None:
        colour = word.meanings["colours"]
        mentions = self.reading.mentions
        if not self._noun_follows(at):
            if self.relation in ("on", "in front of") and self.reading.background is None:
                self.reading.background = Background("plain", (colour,))
                self.relation = None
                return
            if not self.settled and self.relation in ("in", "wearing") and mentions:
                mentions[-1].colour = mentions[-1].colour or colour
                self.settled = True
        self.colours.append(colour)

    def _noun_follows(self, at: int) -> bool:
        for word in self.words[at + 1 : at + 6]:
            if "breaks" in word or word.used:
                return False
            if {"concepts", "topics", "badges", "grounds"} & word.meanings.keys():
                return True
            if not word.meanings:
                return True
            if "relations" in word and word.text not in ("and", "&"):
                return False
        return False

    def _take_numbers(self, at: int, word: Word) -> None:
        self.count = int(word.meanings["numbers"])
        self.is_pair = "pair" in word.text

    def _take_relations(self, at: int, word: Word) -> None:
        if self.relation in (None, "with", "having") or word.meanings["relations"] != "with":
            self.relation = word.meanings["relations"]
            if self.relation == "holding":
                self.reading.miss(word.text)

    def _take_positions(self, at: int, word: Word) -> None:
        if self.reading.mentions:
            self.reading.mentions[-1].position = word.meanings["positions"]

    def _take_concepts(self, at: int, word: Word) -> None:
        name = word.meanings["concepts"]
        if "gender" in word and (self.reading.is_long or self.reading.intent == "avatar"):
            self._take_gender(at, word)
        loosely = "places" in word and "meanings" not in word and word.text != name.lower()
        free = self.reading.background is None and not self.reading.is_long
        if (
            loosely and free and not self._is_for_sign()
        ):  # "a living room" is drawn as a couch in it
            self.reading.background = Background(word.meanings["places"], ())
        self._add(Mention(word.text, name, many=word.many), word)

    def _take_topics(self, at: int, word: Word) -> None:
        first, *others = word.meanings["topics"].split(" + ")
        setting = any(w.text in ("at", "for", "during") for w in self.words[max(0, at - 3) : at])
        mention = Mention(word.text, first, "topic", companions=tuple(others), setting=setting)
        mention.weight = 0.8
        if at and "topics" in self.words[at - 1] and self.reading.mentions:
            self.reading.mentions[-1].describes = True
        self._add(mention, word)

    def _take_undrawn(self, at: int, word: Word) -> None:
        self._take_plain(at, word)
        self.colours, self.count, self.relation = [], None, None

    def _take_places(self, at: int, word: Word) -> None:
        if self._is_for_sign():
            thing = load_lexicon().place_things[word.meanings["places"]]
            self._add(Mention(word.text, thing, "topic", weight=0.3, describes=True), word)
        elif not self.reading.is_long:
            self.reading.see(word)
        self.colours, self.relation = [], None

    def _is_for_sign(self) -> bool:
        return self.reading.intent in SINGLE

    def _take_badges(self, at: int, word: Word) -> None:
        if self.reading.intent in ("logo", "icon", "sticker"):
            self.reading.badge = word.meanings["badges"]
            if self.colours:
                self.reading.badge_colour, self.colours = self.colours[-1], self.colours[:-1]
            self.relation = None
        elif not self._noun_follows(at):
            self._add(Mention(word.text, word.meanings["badges"]), word)
        else:
            self.reading.miss(word.text)

    def _take_styles(self, at: int, word: Word) -> None:
        self.reading.style = self.reading.style or word.meanings["styles"]

    def _take_mediums(self, at: int, word: Word) -> None:
        self.reading.medium = self.reading.medium or word.text
        self.reading.style = self.reading.style or word.meanings["mediums"]

    def _take_people(self, at: int, word: Word) -> None:
        if self._noun_follows(at) and self.reading.intent != "avatar":
            self.reading.miss(word.text)
            return
        self.reading.traits.append(word.meanings["people"])
        self.colours = []

    def _take_gender(self, at: int, word: Word) -> None:
        self.reading.gender = self.reading.gender or word.meanings["gender"]

    def _take_intents(self, at: int, word: Word) -> None:
        self.end_phrase()

    def _take_textures(self, at: int, word: Word) -> None:
        self.reading.miss(word.text)

    def _take_ignored(self, at: int, word: Word) -> None:
        before = self.words[at - 1] if at else word
        self.is_filled = word.text == "of" and before.text in load_lexicon().words["containers"]

    def _take_plain(self, at: int, word: Word) -> None:
        if not self.reading.is_long:
            self.reading.miss(word.text)

    def _take_unknown(self, at: int, word: Word) -> None:
        self.run.append(word)

    def _close_run(self, *, before_noun: bool) -> None:
        """End a run of unknown words: a noun to be matched, or what only describes the next noun."""
        run, self.run = self.run, []
        if not run:
            return
        phrase = " ".join(word.text for word in run)
        if before_noun or not any(c.isalpha() for c in phrase) or not _is_matchable(run):
            if not self.reading.is_long and any(c.isalnum() for c in phrase):
                self.reading.miss(phrase)
            return
        self._add(Mention(phrase, None, "likeness", weight=0.6), run[-1])

    def _add(self, mention: Mention, word: Word) -> None:
        """Add a thing with what waited for it, and tie it to the thing before."""
        reading = self.reading
        mention.sentence, mention.aside = word.sentence, self.aside
        if self.colours:
            mention.colour = self.colours[0]
            reading.palette += [c for c in self.colours[1:] if c not in reading.palette]
        if self.is_pair and not mention.many and mention.said.endswith("s"):
            self.count = 1
        mention.count = self.count or (3 if mention.many and not reading.is_long else 1)
        mention.many = mention.many and self.count is None
        if mention.colour is None and mention.by == "topic":
            reading.palette += self.colours
        if self.is_filled and reading.mentions:
            mention.count = reading.mentions[-1].count
            reading.mentions.pop()
            self.relation = None
        reading.mentions.append(mention)
        last = len(reading.mentions) - 1
        if last and self.relation:
            topical = "topic" in (mention.by, reading.mentions[last - 1].by)
            relation = "with" if topical else self.relation  # "tips in spring" is no place
            reading.links.append((relation, _subject(reading, last - 1), last))
        self.colours, self.count, self.relation = [], None, None
        self.is_pair = self.is_filled = False
        self.settled = False


def _subject(reading: Reading, before: int) -> int:
    """Return who a further relation speaks of: in "a fox with a hat under a tree", the fox."""
    for relation, first, second in reading.links:
        if second == before and relation in ("having", "holding", "wearing"):
            return first
    return before


def _is_matchable(run: list[Word]) -> bool:
    """Say whether unknown words may be looked up: Latin letters, no name, no adverb or verb form."""
    last = run[-1]
    if last.capital or len(run) > 4:  # a name; a sentence of another language
        return False
    if not last.text.replace("'", "").isascii():
        return False
    if len(run) == 1 and last.text.endswith(("ly", "ing", "ed")) and len(last.text) > 4:
        return False
    return len(last.text) > 2
