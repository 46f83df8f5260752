"""From free text to tagged words: cleaning, quoted names, emoji, and the longest phrases first.

A word carries every meaning its phrase has, by table of the lexicon; "concepts" holds the name of a
concept in the bank. Nothing is decided here: `reading.py` does that.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice

from gouache.concepts import ConceptBank
from gouache.lexicon import load_lexicon, singulars

MAX_WORDS = 2000
"""Later words of a longer text are left unread."""

_OWN_WORDS = {"ignored", "undrawn", "plain", "colours", "numbers", "relations", "styles", "mediums"}
"""Tables whose words are not taken for a concept that goes by them too."""

_PHRASE_WORDS = 6
_TEXT_WORDS = 9
_TOKEN = re.compile(
    r"#[0-9a-fA-F]{6}\b|#[0-9a-fA-F]{3}\b|[^\W_]+(?:['’-][^\W_]+)*|[.,;:!?&\n]|[^\s]"
)
_CAPITAL = "[A-Z0-9À-ÖØ-ÞĀ-ŽΆ-ΫЀ-Я֐-ۿ\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7af]"
"""How names begin; of Hebrew, Arabic, Japanese, Chinese and Korean every letter may."""

_NAME = rf"{_CAPITAL}[\w'’.-]*(?:\s+(?:&|and|of|the|{_CAPITAL}[\w'’-]*)(?=[\s,.;:!?]|$))*"
_QUOTED = re.compile(
    r"\"([^\"\n]{1,120})\"|“([^”\n]{1,120})”|„([^“”\n]{1,120})[“”]|«([^»\n]{1,120})»"
    r"|(?<!\w)'([^'\n]{2,80})'(?!\w)|(?<!\w)‘([^’\n]{2,80})’(?!\w)"
)
_CALLED = re.compile(
    rf"\b(?:called|named|titled|entitled|name is|company name:?|brand name:?)\s+({_NAME}|\w+)"
)
_SAYING = re.compile(
    r"\b(?:saying|that says|which says|that reads|reading|with the (?:text|words?|slogan|title|"
    r"caption|name)|text:|slogan:|caption:)\s+([A-Z0-9](?:(?! on an? | on the | in an? | in the | with | and an? )[^.,;:\n]){1,80})"
)
_WITHIN = re.compile(rf"(?<=[a-z,:])\s+({_NAME})")
_DATE = re.compile(
    r"(?:mon|tues|wednes|thurs|fri|satur|sun)day|january|february|march|april|may|june|july|august|"
    r"september|october|november|december|\W*\d.*|i|ceo|hr|it|pdf",
    re.I,
)
_WORDS_FOLLOW = re.compile(
    r"\b(?:says|saying|reads|reading|words?|text|slogan|title|caption|headline|write|written|lettering)"
    r"[\s:,]*$",
    re.I,
)
_FOR = re.compile(rf"\b(?:for|to|by|from|of|at)\s+(?:Mr\.?\s+|Mrs\.?\s+|Ms\.?\s+)?({_NAME})")
_PERSON = re.compile(
    rf"\b(?:[Ww]elcome,?|user|member|colleague|employee|customer|client|teammate|hire|[Hh]ello,?|"
    rf"[Hh]i,?|[Dd]ear|joiner|subscriber|[Nn]ame:|company|firm|brand|startup|start-up)\s+({_NAME})"
)
_GREETED = re.compile(rf"\b[Ww]elcome\b[^.!?\n,]{{0,40}},\s+({_NAME})")
_NOT_TEXT = ("Cc", "Cf", "Cs", "Co", "Cn")
_JOINER = "\u200d"
_SKINS = {chr(code) for code in range(0x1F3FB, 0x1F400)} | {"\ufe0f", "\ufe0e"}


@dataclass(slots=True)
class Word:
    """A phrase of the text with all it may mean; `many` marks a plural found by its
    singular, `capital` a capital letter that opens no sentence."""

    text: str
    meanings: dict[str, str] = field(default_factory=dict)
    sentence: int = 0
    many: bool = False
    capital: bool = False
    used: bool = False

    def __contains__(self, kind: str) -> bool:
        """Say whether the phrase has a meaning of this kind."""
        return kind in self.meanings


@dataclass(frozen=True, slots=True)
class Name:
    """Words that are written to be read, and how they were found.

    `how` is "said" (asked for as words), "quoted", "called", "given" (a name of whom or what it is
    for), or "place" (where somebody or something is).
    """

    text: str
    how: str


def clean(prompt: str) -> str:
    """Return the text in NFKC without control characters, its outer quotes and blanks removed."""
    text = unicodedata.normalize("NFKC", prompt).replace("\r\n", "\n")
    if not text.isascii() or not text.isprintable():
        kinds = {ord(c): "" if c in _SKINS else " " for c in set(text) if not _is_text(c)}
        text = text.translate(kinds)
    text = text.strip()
    if len(text) > 1 and text[0] in "\"'“«" and text[-1] in "\"'”»" and '"' not in text[1:-1]:
        text = text[1:-1].strip()
    return text


def _is_text(character: str) -> bool:
    if character in _SKINS:
        return False
    return character in "\n" + _JOINER or unicodedata.category(character) not in _NOT_TEXT


def take_names(text: str) -> tuple[str, tuple[str, ...]]:
    """Return the text without quoted strings and names, and those, each once, in their order."""
    text, names = find_names(text)
    return text, tuple(name.text for name in names)


def find_names(text: str) -> tuple[str, tuple[Name, ...]]:
    """Return the text without quoted strings and names, and those, each once, in their order.

    A name is what is written to be read: in quotes, after "called" or "saying", or a capitalised
    name after "for". What the lexicon knows ("for Christmas") is no name.
    """
    found: list[Name] = []
    titled = _is_title_case(text)

    def take(match: re.Match[str]) -> str:
        group = match.lastindex or 1
        name = match.group(group).strip(" ,;:" if match.re is _QUOTED else " .,;:!?")
        if match.re is not _QUOTED:
            name = re.split(r"['’]s\b(?!\s+[A-Z])", name)[0]
        name = re.sub(r"(?:\s+(?:&|and|of|the))+$", "", name)
        if not name or (match.re not in (_QUOTED, _SAYING) and _is_known(name)):
            return match.group()
        before = match.string[max(0, match.start() - 2) : match.start()].strip()
        is_value = before.endswith(":") and name[0].islower()
        if len(name.split()) > _TEXT_WORDS or is_value or match.string[match.end() :][:1] == ":":
            return f" {name} "  # a quoted letter and the fields of a record are content
        found.append(Name(name, _how(match)))
        head = match.group()[: match.start(group) - match.start()]
        return head.rstrip("\"'“„«‘") + " ,"

    patterns = [_QUOTED, _CALLED, _SAYING]
    patterns += [] if titled else [_PERSON, _GREETED, _FOR]
    for pattern in patterns:
        text = pattern.sub(take, text)
    return text, tuple({name.text: name for name in found}.values())


def find_person(text: str) -> Name | None:
    """Return the first capitalised name within a sentence that is no ordinary word, nor a day."""
    if _is_title_case(text):
        return None
    for match in _WITHIN.finditer(text[:600]):
        name = re.split(r"['’]s\b", match.group(1))[0].strip(" .,;:!?")
        words = [word for word in name.split() if word not in ("&", "and", "of", "the")]
        if words and not any(_is_known(word) or _DATE.fullmatch(word) for word in words):
            return Name(name, "given")
    return None


def _how(match: re.Match[str]) -> str:
    """Return how a name was found, see `Name`."""
    if match.re is _SAYING:
        return "said"
    if match.re is _QUOTED:
        return "said" if _WORDS_FOLLOW.search(match.string[: match.start()]) else "quoted"
    if match.re is _CALLED:
        return "called"
    return "place" if match.group().split()[0].lower() in ("from", "at") else "given"


def _is_title_case(text: str) -> bool:
    words = [w for w in text[:400].split() if w[:1].isalpha() and len(w) > 3]
    return len(words) > 3 and sum(w[0].isupper() for w in words) > 0.9 * len(words)


def _is_known(name: str) -> bool:
    """Say whether a capitalised phrase is an ordinary word ("Christmas") or a number."""
    phrase = name.lower()
    if len(phrase) < 2 or phrase[0].isdigit():
        return True
    return _meant(phrase)


def _meant(phrase: str) -> bool:
    lexicon = load_lexicon()
    return any(lexicon.meanings(p) for p in (phrase, *singulars(phrase)))


@lru_cache(maxsize=4)
def vocabulary(bank: ConceptBank) -> dict[str, dict[str, str]]:
    """Return every phrase that lexicon and bank know, with its meanings by table."""
    lexicon = load_lexicon()
    known = {phrase: dict(lexicon.meanings(phrase)) for phrase in lexicon}
    for phrase, concept in bank.names.items():
        if any(single in bank for single in singulars(phrase)):
            continue  # "houses" is several of "house"
        if concept.kind == "symbol" and phrase.endswith((" circle", " square")):
            continue  # a colour and a plain shape, which are drawn better as such
        meanings = known.setdefault(" ".join(_spell(phrase)), {})
        if not _OWN_WORDS & meanings.keys() or ("colours" in meanings and concept.name == phrase):
            meanings["concepts"] = concept.name
    for meanings in known.values():
        if meanings.get("meanings") in bank:
            meanings["concepts"] = meanings["meanings"]
        if "topics" in meanings:
            drawn = [name for name in meanings.pop("topics").split(" + ") if name in bank]
            meanings |= {"topics": " + ".join(drawn)} if drawn else {}
    return known


@lru_cache(maxsize=4)
def _longest(bank: ConceptBank) -> dict[str, int]:
    """Return, for each first word of a phrase, how many words its longest phrase has."""
    longest: dict[str, int] = {}
    for phrase in vocabulary(bank):
        first, _, rest = phrase.partition(" ")
        longest[first] = max(longest.get(first, 1), 1 + len(rest.split()))
    return longest


def _spell(text: str) -> list[str]:
    return [t for t in _TOKEN.findall(text.lower()) if t not in ".,;:!?\n"]


def tag(text: str, bank: ConceptBank) -> list[Word]:
    """Return the text as words with meanings; punctuation is a word whose kind is "breaks"."""
    tokens = list(islice(_split(text, bank), MAX_WORDS))
    titled = _is_title_case(text)
    words: list[Word] = []
    sentence = i = 0
    while i < len(tokens):
        token = tokens[i]
        if isinstance(token, Word):
            token.sentence = sentence
            words.append(token)
            i += 1
        elif token in ".,;:!?\n":
            words.append(Word(token, {"breaks": token}, sentence))
            sentence += token in ".!?\n;"
            i += 1
        else:
            word, length = _match(tokens, i, bank)
            word.sentence = sentence
            opens = not words or "breaks" in words[-1]
            word.capital = word.capital and not opens and not titled
            words.append(word)
            i += length
    return words


def _match(tokens: list[str | Word], i: int, bank: ConceptBank) -> tuple[Word, int]:
    """Return the longest known phrase that starts at token i, else the token as an unknown word."""
    known = vocabulary(bank)
    raw: list[str] = []
    for token in tokens[i : i + _PHRASE_WORDS]:
        if isinstance(token, Word) or token in ".,;:!?\n":
            break
        raw.append(token)
    lower = [token.lower().replace("’", "'") for token in raw]
    capital = raw[0][:1].isupper()
    firsts = {lower[0], *singulars(lower[0])}
    longest = max(_longest(bank).get(first, 1) for first in firsts)
    for length in range(min(len(raw), longest), 0, -1):
        phrase = " ".join(lower[:length])
        meanings = known.get(phrase) or load_lexicon().meanings(phrase)
        if meanings:
            return Word(phrase, meanings, capital=capital), length
        for last in singulars(lower[length - 1]):
            single = " ".join([*lower[: length - 1], last])
            if single in known:
                return Word(single, known[single], many=True, capital=capital), length
    return Word(lower[0].removesuffix("'s"), {}, capital=capital), 1


def _split(text: str, bank: ConceptBank) -> Iterator[str | Word]:
    """Yield tokens; an emoji is a word already, and an unknown hyphenated word is taken apart."""
    known = _longest(bank)
    end = 0
    for match in _TOKEN.finditer(text):
        if match.start() < end:
            continue
        token = match.group()
        end = match.end()
        if len(token) == 1 and not token.isascii() and not token.isalnum():
            word, end = _emoji(text, match.start(), bank)
            yield word
        elif "-" in token and token.lower() not in known:
            yield from token.split("-")
        else:
            yield token


def _emoji(text: str, start: int, bank: ConceptBank) -> tuple[Word, int]:
    """Return the word of the longest emoji at `start`, by the bank or by its Unicode name."""
    for end in range(min(len(text), start + 8), start, -1):
        if concept := bank.of_emoji(text[start:end]):
            return Word(concept.name.lower(), {"concepts": concept.name}), end
    name = unicodedata.name(text[start], "").lower()
    if unicodedata.category(text[start]) != "So" or not name or name.startswith("regional"):
        return Word(text[start], {"ignored": ""}), start + 1
    concept = bank.named(name) or bank.named(name.removesuffix(" face"))
    meanings = {"concepts": concept.name} if concept else {}
    return Word(name, meanings), start + 1
