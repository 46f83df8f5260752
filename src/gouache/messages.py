"""Which kind of text a prompt is, and its reading: a description, a letter or a record.

A description is read as it stands. A letter is read for what matters in it, apart from the request
that may lead it; a record becomes the sentence that a person would have written.
"""

import re
from dataclasses import dataclass

from gouache.concepts import ConceptBank
from gouache.grounds import find_intent, find_mood
from gouache.letters import Letter, open_letter
from gouache.mentions import Reading
from gouache.profiles import Record, read_record
from gouache.reading import read
from gouache.salience import pieces_of
from gouache.tagging import Name, Word, clean, find_names, find_person, tag

MOST_CHARACTERS = 10_000
"""What comes later in a letter is left unread: what it is about has been said by then."""

_REQUEST = re.compile(
    r"\b(?:make|create|design|draw|need|want|generate|have|send|for)\b[^.!?\n]{0,80}"
    r"\b(?:logo|avatar|banner|welcome card|invitation|poster|sticker|icon|header)\b",
    re.I,
)
_OCCASIONS = {
    "welcome": r"\bwelcome (?:to|aboard|on board)\b",
    "invitation": r"\binvit(?:ation|ed)\b|save the date",
}


@dataclass(slots=True)
class Matter:
    """A prompt taken in.

    `text` is what was read, `request` the part of it that says what is wanted, `names` what was
    written to be read, `pieces` the sentences that say best what a long text is about.
    """

    text: str
    request: str
    reading: Reading
    names: tuple[Name, ...] = ()
    pieces: tuple[str, ...] = ()


def take_in(prompt: str, bank: ConceptBank) -> Matter:
    """Return what a prompt says. Any text can be taken in, an empty one too."""
    text = clean(prompt)
    if record := read_record(text):
        return _from_record(record, bank)
    if letter := open_letter(text):
        return _from_letter(letter, bank)
    bare, names = find_names(text)
    words = tag(bare, bank)
    reading = read(words)
    reading.intent = reading.intent or _of_names(names, reading, words)
    if reading.intent == "invitation" and any("welcome" in n.text.lower() for n in names):
        reading.intent = "welcome"
    wants_one = reading.intent in ("welcome", "invitation") and not names
    if wants_one and (person := find_person(text)):
        names = (person,)
        parts = set(person.text.lower().split())
        reading.missed = [words for words in reading.missed if not parts.issuperset(words.split())]
    pieces = pieces_of("", bare.split("\n")) if reading.is_long else ()
    return Matter(bare, text, reading, names, pieces)


def _of_names(names: tuple[Name, ...], reading: Reading, words: list[Word]) -> str | None:
    """Return what quoted words or a trade with a name are for, where nothing else says it."""
    if any(n.text.lower().startswith("welcome") for n in names):
        return "welcome"
    is_called = any(n.how == "called" for n in names)
    found = {m.by for m in reading.mentions}
    is_trade = "topic" in found and "name" not in found
    pictures = any(w.meanings.get("intents") == "picture" for w in words)
    return "logo" if is_called and is_trade and not pictures and not reading.is_long else None


def _from_record(record: Record, bank: ConceptBank) -> Matter:
    lead, names = find_names(record.lead)
    if find_intent(tag(lead, bank)) is None:
        lead = f"{'avatar' if record.is_person else 'logo'}. {lead}"
    text = f"{lead}: {record.sentence}"
    given = [Name(name, "given") for name in record.names]
    return Matter(text, record.lead, read(tag(text, bank)), tuple(dict.fromkeys([*names, *given])))


def _from_letter(letter: Letter, bank: ConceptBank) -> Matter:
    lead, names = find_names(letter.lead)
    asked = read(tag(lead, bank))
    words = tag(letter.text[:MOST_CHARACTERS], bank)
    reading = read(words, is_long=True)
    reading.intent = asked.intent or _purpose(letter, bank)
    reading.style, reading.medium = asked.style, asked.medium
    reading.background = asked.background or find_mood(words)
    reading.palette = asked.palette
    reading.missed = asked.missed
    pieces = pieces_of(letter.title, letter.paragraphs)
    return Matter(f"{lead}\n{letter.text}", letter.lead, reading, names, pieces)


def _purpose(letter: Letter, bank: ConceptBank) -> str:
    """Return what the picture of a letter is for: what it asks for, else its occasion."""
    request = _REQUEST.search(letter.text[:2000])
    asked = find_intent(tag(request.group(), bank)) if request else None
    if asked:
        return asked
    opening = " ".join([letter.title, *letter.paragraphs[:1]])[:300]
    return next(
        (i for i, said in _OCCASIONS.items() if re.search(said, opening, re.I)), "newsletter"
    )
