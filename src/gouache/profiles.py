"""Records as prompts: JSON or "Key: value" lines become the sentence a person would have written.

Only fields that say something of the picture are kept; numbers, addresses and dates are not.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

MOST_FIELDS = 400
_LONGEST_VALUE = 300

FIELDS = {
    "request": "request avatarrequest picture image avatar prompt description wish depict subject",
    "name": "name fullname displayname firstname givenname nickname username user contact person",
    "surname": "lastname surname familyname",
    "gender": "gender sex pronouns salutation",
    "role": "role job jobtitle title position profession occupation work function type trade",
    "hair": "hair haircolour haircolor hairstyle beard looks appearance look features",
    "colours": "favouritecolour favoritecolor favouritecolours favoritecolors colour color colours "
    "colors brandcolour brandcolor brandcolours brandcolors primary secondary palette themecolour "
    "themecolor accent",
    "interests": "interests interest hobbies hobby likes favouriteanimal favoriteanimal "
    "favoritefood favouritefood passions loves favouriteplace",
    "sport": "sport sports",
    "bio": "about bio biography",
    "trade": "industry sector business branch field products product services service",
    "company": "company companyname brand brandname employer organisation organization business_name",
    "slogan": "slogan tagline claim motto",
    "style": "style artstyle",
}
"""What a record says, and the keys it is said under, in lower case without signs."""

_MEANING = {key: field for field, keys in FIELDS.items() for key in keys.split()}
_LINE = re.compile(r"^[\s>*•·–-]*([A-Za-z][\w /.'’-]{0,38}?)\s*(?::|=|\t)\s*(\S.*?)[\s,;]*$")
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}\b|#[0-9a-fA-F]{3}\b")
_WOMAN = re.compile(r"\b(?:f|female|woman|girl|she|her|ms|mrs|miss|frau|w)\b", re.I)
_MAN = re.compile(r"\b(?:m|male|man|boy|he|him|mr|herr)\b", re.I)
_RANK = re.compile(
    r"\b(?:senior|junior|lead|head|chief|principal|deputy|assistant|trainee|first|regional|research|"
    r"staff|sr|jr)\b\.?\s*",
    re.I,
)
_HAIR = ("red", "white", "grey", "gray", "blond", "blonde", "curly", "ginger", "silver", "fair")


@dataclass(frozen=True, slots=True)
class Record:
    """A record taken apart: what leads it, and its telling fields by name, values in order."""

    lead: str
    fields: dict[str, list[str]]

    @property
    def is_person(self) -> bool:
        """Whether it is of somebody rather than of a company."""
        fields = self.fields
        if "trade" in fields or "slogan" in fields:
            return bool({"gender", "role", "hair"} & fields.keys())
        return bool({"name", "gender", "role", "hair", "request", "interests"} & fields.keys())

    @property
    def names(self) -> tuple[str, ...]:
        """The name of the person, or else of the company."""
        if self.is_person:
            first = self.fields.get("name", [])[:1]
            return (" ".join([*first, *self.fields.get("surname", [])[:1]]),) if first else ()
        return tuple((self.fields.get("company") or self.fields.get("name", []))[:1])

    @property
    def sentence(self) -> str:
        """The record as words that can be read: who, what, likes, colours, in this order."""
        fields = self.fields
        parts = list(fields.get("request", []))
        sport, role = fields.get("sport", [""])[0], _role(fields.get("role", [""])[0])
        parts.append(f"{sport} player" if sport and role in ("", "player", "athlete") else role)
        parts.append(_gender(fields))
        parts += [_hair(value) for value in fields.get("hair", [])]
        parts += fields.get("trade", []) + fields.get("style", [])
        if colours := fields.get("colours"):
            parts.append(" and ".join(colours[:3]))
        interests = fields.get("interests") or ([] if role else fields.get("bio", []))
        if interests:
            parts.append(f"likes {', '.join(interests)}")
        return ". ".join(filter(None, parts))


def read_record(text: str) -> Record | None:
    """Return the record that a text is or holds, or None where it is none."""
    lead, pairs = _from_json(text)
    if not pairs:
        lead, pairs = _from_lines(text)
    fields: dict[str, list[str]] = {}
    for key, value in pairs[:MOST_FIELDS]:
        meaning = _MEANING.get(re.sub(r"[^a-z]", "", key.lower()))
        telling = (
            meaning and value and len(value) <= _LONGEST_VALUE and not _is_code(meaning, value)
        )
        if meaning and telling:
            fields.setdefault(meaning, []).append(value)
    return Record(lead, fields) if len(fields) >= (1 if text.lstrip()[:1] == "{" else 2) else None


def _from_json(text: str) -> tuple[str, list[tuple[str, str]]]:
    """Return what stands before a JSON object, and the object's values by their last keys."""
    start = text.find("{")
    if start < 0:
        return "", []
    try:
        found, end = json.JSONDecoder().raw_decode(text, start)
    except (ValueError, RecursionError):
        return "", []
    lead = text[:start].strip().strip("\"'“„:").strip()
    rest = text[end:].strip(" \n\"'”.")
    return f"{lead} {rest}".strip(), list(_walk("", found)) if isinstance(found, dict) else []


def _walk(key: str, value: object, depth: int = 0) -> Iterator[tuple[str, str]]:
    """Yield the leaves of a JSON value with the key nearest to each."""
    if isinstance(value, dict) and depth < 8:
        for name, inner in value.items():
            yield from _walk(str(name), inner, depth + 1)
    elif isinstance(value, list) and depth < 8:
        for inner in value[:20]:
            yield from _walk(key, inner, depth + 1)
    elif isinstance(value, str):
        yield key, " ".join(value.split())


def _from_lines(text: str) -> tuple[str, list[tuple[str, str]]]:
    """Return what stands before "Key: value" lines, and the lines as pairs; none where few are so."""
    lines = [line for line in text.split("\n") if re.search(r"\w", line)]
    pairs = [(at, match) for at, line in enumerate(lines) if (match := _LINE.match(line))]
    known = [m for _, m in pairs if re.sub(r"[^a-z]", "", m.group(1).lower()) in _MEANING]
    if len(known) < 2 or len(pairs) < 0.6 * len(lines) or len(lines) < 3:
        return "", []
    before = lines[: pairs[0][0]]
    found = [(m.group(1), m.group(2).strip("\"'“”")) for _, m in pairs]
    return " ".join(line.strip(" :") for line in before), found


def _is_code(meaning: str, value: str) -> bool:
    """Say whether a value is a number, an address or a link, which nothing can be drawn from."""
    if meaning == "colours":
        return False
    return bool(re.search(r"https?://|\S@\S+\.|\d{5}", value)) or not re.search("[^\\W\\d_]", value)


def _gender(fields: dict[str, list[str]]) -> str:
    said = " ".join(fields.get("gender", []))
    return "woman" if _WOMAN.search(said) else "man" if _MAN.search(said) else ""


def _role(value: str) -> str:
    """Return the work without rank, place and employer: "Senior chemist at Acme" is a chemist."""
    if exact := re.search(r"\(([^()]{3,40})\)", value):
        value = exact.group(1)
    value = re.split(r",|\bat\b|@|\bof the\b", value)[0]
    return _RANK.sub("", value).strip()


def _hair(value: str) -> str:
    return f"{value} hair" if value.lower() in _HAIR else value
