"""English for captions: articles, plain phrases, and the word tables of words.toml."""

import re
import tomllib
from typing import Any

from training.assets.sources import HERE

TABLES: dict[str, Any] = tomllib.loads((HERE / "words.toml").read_text("utf-8"))


def word_set(name: str) -> frozenset[str]:
    """Return a list of words.toml as a set; a text is split at white space."""
    words = TABLES[name]
    return frozenset(words.split() if isinstance(words, str) else words)


MASS_NOUNS = word_set("mass_nouns")
PAIR_NOUNS = word_set("pair_nouns")
TAIL = re.compile(
    r" (?:with|wearing|in|on|over|behind|at|and|from|seen|covering|hatching|going|riding|playing"
    r"|doing|using|holding|under|by|sticking|looking|for)\b|,"
)
NO_ARTICLE = (
    *("a ", "an ", "the ", "two ", "three ", "some "),
    *("mount ", "santa", "mrs.", "saturn", "planet earth", "flying money"),
)
SINGULAR_IN_S = (
    *("bus", "lens", "gas", "cactus", "octopus", "walrus", "chess", "swiss", "canvas", "atlas"),
    *("compass", "iris", "tennis", "news"),
)
SINGULAR_ENDINGS = ("ss", "us", "is", "as", "os", "ops")
CONSONANT_SOUND = ("uni", "ute", "euro", "one", "ukul", "use", "us ")
LETTERS_WITH_AN = "AEFHILMNORSXU"


def slug(text: str) -> str:
    """Return a text in lower case with single hyphens between its words."""
    plain = re.sub("[’“”]", "", text.lower())
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")


def with_indefinite(phrase: str) -> str:
    """Return a phrase with "a" or "an" by its first letter alone."""
    return ("an " if phrase[0].lower() in "aeiou" else "a ") + phrase


def is_plural(word: str) -> bool:
    """Tell whether a head noun is a plural by its ending."""
    if word in SINGULAR_IN_S or len(word) <= 3:
        return False
    return word.endswith("s") and not word.endswith(SINGULAR_ENDINGS)


def sounds_like_vowel(word: str) -> bool:
    """Tell whether a word takes "an"."""
    if word in ("hourglass", "hour"):
        return True
    return word[0] in "aeiou" and not word.startswith(CONSONANT_SOUND)


def article(name: str) -> str:
    """Return "a", "an", "some" or "" for the name of a thing, judged by its head noun."""
    core = TAIL.split(name)[0] if " " in name else name
    words = core.lower().split()
    head = words[words.index("of") - 1] if " of " in core else words[-1]
    if core.lower().startswith(NO_ARTICLE):
        return ""
    if core.lower() in MASS_NOUNS or (head in MASS_NOUNS and len(words) == 1):
        return "some"
    if head in PAIR_NOUNS:
        return ""
    if is_plural(head):
        return "some"
    if words[-1] in ("man", "woman", "person"):
        return "a"
    if core.upper() == core and len(core) <= 4:
        return "an" if core[0] in LETTERS_WITH_AN and core != "UFO" else "a"
    return "an" if sounds_like_vowel(words[0]) else "a"


def with_article(name: str) -> str:
    """Return a name with its article, "a red apple"."""
    return f"{article(name)} {name}".strip()


def spaced(name: str) -> str:
    """Return a camelCase option as words, without the number at its end."""
    return re.sub(r"\d+$", "", re.sub(r"([a-z])([A-Z])", r"\1 \2", name)).lower().strip()
