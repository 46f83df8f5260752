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
from gouache.salience import MOST_WORDS, pieces_of
from gouache.tagging import Name, Word, clean, find_names, find_person, tag

MOST_CHARACTERS = 10_000
"""What comes later in a letter is left unread: what it is about has been said by then."""

_REQUEST = re.compile(
    r"\b(?:make|create|design|draw|need|want|generate|have|send|for)\b[^.!?\n]{0,80}"
    r"\b(?:logo|avatar|banner|welcome card|invitation|poster|sticker|icon|header)\b",
    re.I,
)
_ASKING = re.compile(
    r"\b(?:make|draw|create|design|generate|please|want|need|show|style|picture)\b", re.I
)
_OCCASIONS = {
    "welcome": r"\bwelcome (?:to|aboard|on board)\b|\b(?:please|let us|we) welcome\b",
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
    pieces = pieces_of("", bare.split("\n")) if reading.is_long else _subject(words)
    return Matter(bare, text, reading, names, pieces)


def _subject(words: list[Word]) -> tuple[str, ...]:
    """Return the words that say what a picture is of, without its use, colours and style."""
    kept = [
        w.text for w in words if not {"intents", "colours", "breaks", "styles"} & w.meanings.keys()
    ]
    return (" ".join(kept[:MOST_WORDS]),) if kept else ()


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
        asked = (
            lead if _ASKING.search(lead) else ""
        )  # "Customer data" over a record asks for nothing
        lead = f"{'avatar' if record.is_person else 'logo'}. {asked}"
    text = f"{lead}: {record.sentence}"
    reading = read(tag(text, bank))
    given = [Name(name, "given") for name in record.names]
    return Matter(text, record.lead, reading, tuple(dict.fromkeys([*names, *given])))


def _from_letter(letter: Letter, bank: ConceptBank) -> Matter:
    lead, names = find_names(letter.lead)
    asked = read(tag(lead, bank))
    words = tag(letter.text[:MOST_CHARACTERS], bank)
    reading = read(words, is_long=True)
    request = letter.lead
    wanted = asked.intent or _wanted(letter, bank)
    if wanted and not asked.intent:  # the letter itself asks for a picture
        asked.palette, request = reading.palette, letter.text[:2000]
        names = tuple(n for n in find_names(request)[1] if n.how in ("quoted", "said", "called"))
    reading.intent = wanted or _occasion(letter)
    if reading.intent == "welcome" and not names and letter.paragraphs:
        person = find_person(letter.paragraphs[0])
        names, request = (person,) if person else (), f"{request} {letter.paragraphs[0]}"
    reading.style, reading.medium = asked.style, asked.medium
    reading.background = asked.background or find_mood(words)
    reading.palette, reading.missed = asked.palette, asked.missed
    pieces = pieces_of(letter.title, letter.paragraphs)
    return Matter(f"{lead}\n{letter.text}", request, reading, names, pieces)


def _wanted(letter: Letter, bank: ConceptBank) -> str | None:
    """Return what a letter asks for, where it asks for a picture."""
    request = _REQUEST.search(letter.text[:2000])
    return find_intent(tag(request.group(), bank)) if request else None


def _occasion(letter: Letter) -> str:
    """Return what the picture of a letter is for by its opening: most are newsletters."""
    opening = " ".join([letter.title, *letter.paragraphs[:1]])[:300]
    return next(
        (i for i, said in _OCCASIONS.items() if re.search(said, opening, re.I)), "newsletter"
    )
