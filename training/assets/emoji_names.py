"""Everyday names for emoji labels: "automobile" is a car, "mage" a wizard or a witch."""

import re
from dataclasses import dataclass, field
from typing import Any

from training.assets.wordnet import WordNet
from training.assets.words import TABLES

NAMES: dict[str, list[str]] = TABLES["names"]
NEAR: dict[str, list[str]] = TABLES["near"]
JOBS: dict[str, dict[str, list[str]]] = TABLES["jobs"]
CATEGORIES: dict[str, str] = TABLES["emoji_categories"]
WHOLE_FACES = ("cat-face", "monkey-face", "face-costume")
KEEPS_CAPITAL = re.compile("Japanese|Statue|Christmas|OK|DVD|CD")
MAX_ALIASES = 4


@dataclass
class EmojiWords:
    """The words of one emoji, the same in every set."""

    name: str
    aliases: list[str]
    nouns: list[str]
    category: str
    kind: str
    more: dict[str, Any] = field(default_factory=dict)


def category_of(subgroup: str) -> str:
    """Return the category of an emoji by how its subgroup begins."""
    found = (kind for start, kind in CATEGORIES.items() if subgroup.startswith(start))
    return next(found, "symbol")


def kind_of(group: str, subgroup: str, category: str) -> str:
    """Return what sort of picture an emoji is."""
    if subgroup.startswith(("person", "family")):
        return "person"
    if group == "smileys-emotion" and category == "face":
        return "face"
    if category in ("hand", "body"):
        return "body"
    if group == "flags":
        return "flag"
    return "symbol" if group == "symbols" or category in ("symbol", "heart") else "object"


def flag_names(label: str) -> list[str]:
    """Return the names of a flag."""
    if not label.startswith("flag: "):
        return [label]
    country = label.removeprefix("flag: ")
    return [f"flag of {country}", f"{country} flag"]


def family_names(who: str, members: str) -> list[str]:
    """Return the names of a family or a couple."""
    if who == "kiss":
        return ["couple kissing"]
    if who != "family":
        return ["couple with a heart"]
    people = [part.strip() for part in members.replace("adult", "parent").split(",")]
    return [f"family with {', '.join('a ' + p for p in people[:-1])} and a {people[-1]}"]


def person_names(label: str, subgroup: str) -> list[str]:
    """Return the names of a person: jobs by gender, "man: beard" as "man with a beard"."""
    job = re.match("(man|woman|men|women) (.*)", label)
    if job and job[2] in JOBS["woman"]:
        return list(JOBS["woman" if job[1] == "woman" else "man"][job[2]])
    label = label.replace(": facing right", "")
    if ":" not in label:
        return [label]
    who, trait = (part.strip() for part in label.split(":", 1))
    if subgroup.startswith("family") or who in ("family", "kiss", "couple with heart"):
        return family_names(who, trait)
    if trait == "bald":
        return [f"bald {who}"]
    return [f"{who} with a beard" if trait == "beard" else f"{who} with {trait}"]


def face_names(label: str, subgroup: str) -> list[str]:
    """Return the names of a face: "grinning face emoji", "grinning smiley"."""
    if subgroup in WHOLE_FACES or label in ("skull", "skull and crossbones"):
        return [label]
    if not label.endswith("face"):
        return [f"{label} emoji"]
    name = label.replace(" face", "") + " face emoji"
    return [name, name.replace(" face emoji", " smiley")]


def names_of(label: str, subgroup: str, kind: str, category: str) -> list[str]:
    """Return what people call an emoji, the best name first."""
    if label in NAMES:
        return list(NAMES[label])
    if kind == "flag":
        return flag_names(label)
    if kind == "person":
        return person_names(label, subgroup)
    if kind == "face":
        return face_names(label, subgroup)
    if is_animal_head(label, category):
        animal = label.removesuffix(" face")
        return [f"{animal} face", f"face of a {animal}", f"{animal} head", animal]
    return [label if KEEPS_CAPITAL.match(label) else label[0].lower() + label[1:]]


def is_animal_head(label: str, category: str) -> bool:
    """Tell whether an emoji shows only the head of an animal."""
    return category == "animal" and label.endswith(" face")


def noun_list(names: list[str], wordnet: WordNet) -> list[str]:
    """Return the dictionary nouns in some names, at most four."""
    words = [word for name in names for word in (name, name.split()[-1])]
    lemmas = [wordnet.lemma(word) for word in words if wordnet.sense(word)]
    return list(dict.fromkeys(lemma for lemma in lemmas if lemma))[:4]


def near_names(label: str, kind: str) -> list[str]:
    """Return looser names: "puppy" for a dog."""
    job = re.match("(?:man|woman) (.*)", label)
    return NEAR.get(label) or (NEAR.get(job[1], []) if job and kind == "person" else [])


def emoji_words(
    label: str, tags: tuple[str, ...], group: str, subgroup: str, wordnet: WordNet
) -> EmojiWords:
    """Return name, aliases, nouns and kind of an emoji.

    Tags of the emoji database are associations; only those that WordNet puts near the name count
    as aliases.
    """
    category = category_of(subgroup)
    kind = kind_of(group, subgroup, category)
    names = names_of(label, subgroup, kind, category)
    more: dict[str, Any] = {}
    if label not in NAMES:
        if kind == "person" and ": facing right" in label:
            more["facing"] = "right"
        if kind not in ("flag", "person", "face") and is_animal_head(label, category):
            more["view"] = "face"
    sense = wordnet.sense(names[0]) or wordnet.sense(names[0].split()[-1])
    if sense:
        close = wordnet.related(sense.synset, 2)
        names += [tag for tag in tags if tag in close and tag not in names][:3]
    if near := near_names(label, kind):
        more["near"] = near
    return EmojiWords(
        name=names[0],
        aliases=names[1 : 1 + MAX_ALIASES],
        nouns=noun_list(names, wordnet),
        category=category,
        kind=kind,
        more=more,
    )
