"""Draws avatars and mascots by chosen options and names them by the same options.

The drawing is done by the generators' own JavaScript (draw_avatars.mjs, run by node in the folder of
the npm packages); people.py turns DiceBear's options into words.
"""

import json
import shutil
from pathlib import Path
from typing import Any

from training.assets.colours import code_word
from training.assets.drawing import Drawing
from training.assets.packages import run_program
from training.assets.people import (
    AVATAR_WORDS,
    HAIR_WORDS,
    Portrait,
    hair_phrase,
    read_person,
)
from training.assets.sources import HERE, Source
from training.assets.words import spaced, with_article

HEAD_WORDS: dict[str, dict[str, str]] = AVATAR_WORDS["bigheads"]
ABSTRACT = {"dicebear-shapes": "geometric shapes", "dicebear-rings": "concentric rings"}
DICEBEAR = "dicebear-"


def kawaii_words(options: dict[str, Any]) -> dict[str, Any]:
    """Return the words of a mascot: object, mood and colour."""
    what = AVATAR_WORDS["kawaii"].get(options["what"], options["what"].lower())
    mood = "dizzy" if options["mood"] == "ko" else options["mood"]
    colour = options["color"]
    return {
        "name": f"cute {mood} {colour} {what}",
        "aliases": [f"kawaii {colour} {what} with a {mood} face", f"cute {what}", what],
        "nouns": [what],
        "kind": "character",
        "category": "character",
    }


def head_words(options: dict[str, Any]) -> dict[str, Any]:
    """Return the words of a Big Head."""
    portrait = Portrait(who="woman" if options["body"] == "breasts" else "man")
    skin = HEAD_WORDS["skin"].get(options["skinTone"], options["skinTone"])
    portrait.parts.append(f"{skin} skin")
    if options["accessory"] != "none":
        portrait.wears.append(HEAD_WORDS["glasses"][options["accessory"]])
    if options["hat"] == "none":
        hair_colour = "red" if options["hairColor"] == "orange" else options["hairColor"]
        hair = HAIR_WORDS.get(options["hair"], options["hair"])
        portrait.parts.append(hair_phrase(hair_colour, hair))
    else:
        portrait.wears.append(with_article(f"{options['hatColor']} {options['hat']}"))
    clothes = HEAD_WORDS["clothes"][options["clothing"]]
    portrait.wears.append(with_article(f"{options['clothingColor']} {clothes}"))
    if options["facialHair"] != "none":
        portrait.parts.append(HEAD_WORDS["beards"][options["facialHair"]])
    portrait.expression = HEAD_WORDS["mouths"][options["mouth"]]
    who, last = portrait.who, portrait.parts[-1]
    return {
        "name": portrait.name(),
        "aliases": [f"{who} with {last}", f"{who} wearing {portrait.wears[-1]}", f"{who} portrait"],
        "nouns": [who],
        "kind": "avatar",
        "category": "avatar",
    }


def abstract_words(what: str, options: dict[str, Any]) -> dict[str, Any]:
    """Return the words of an abstract sign: what it is made of and up to three colours."""
    codes = [str(value) for key, value in options.items() if "olor" in key]
    codes = [code for code in codes if code.startswith("#") and len(code) == len("#rrggbb")]
    colours = list(dict.fromkeys(map(code_word, codes)))[:3]
    return {
        "name": f"abstract {what} in {' and '.join(colours)}",
        "aliases": [f"abstract {what}"],
        "nouns": [],
        "kind": "abstract",
        "category": "abstract",
    }


def simple_face_words(key: str, options: dict[str, Any]) -> dict[str, Any]:
    """Return the words of a face without hair or clothes."""
    if key == "dicebear-funEmoji":
        colour = code_word(options.get("primaryBackgroundColor") or "#ffcc00")
        eyes, mouth = spaced(options["eyes"]), spaced(options["mouth"])
        name = f"{colour} square face with {eyes} eyes and {mouth} mouth"
        alias, noun = "funny face", "face"
    else:
        colour = code_word(options.get("shapeColor", "#888888"))
        name = f"{colour} blob character with a simple face"
        alias, noun = "blob face", "character"
    return {
        "name": name,
        "aliases": [alias],
        "nouns": [noun],
        "kind": "avatar",
        "category": "avatar",
    }


def person_words(key: str, options: dict[str, Any]) -> dict[str, Any]:
    """Return the words of a DiceBear person."""
    portrait = read_person(key.removeprefix(DICEBEAR), options)
    who, expression = portrait.who, portrait.expression
    telling = [p for p in portrait.parts if any(w in p for w in ("hair", "beard", "moustache"))]
    aliases = [f"{who} with {part}" for part in telling[:1]]
    if expression and not expression.startswith("looking"):
        aliases.append(f"{expression} {who}")
    return {
        "name": portrait.name(),
        "aliases": [*aliases, f"portrait of a {who}", "profile picture"],
        "nouns": [who],
        "kind": "avatar",
        "category": "avatar",
    }


def avatar_words(key: str, options: dict[str, Any]) -> dict[str, Any]:
    """Return name, aliases, nouns, kind and category of an avatar."""
    if key == "kawaii":
        return kawaii_words(options)
    if key == "bigheads":
        return head_words(options)
    if key in ABSTRACT:
        return abstract_words(ABSTRACT[key], options)
    if key in ("dicebear-funEmoji", "dicebear-thumbs"):
        return simple_face_words(key, options)
    return person_words(key, options)


def drawing_plan(sources: list[Source]) -> dict[str, Any]:
    """Return what draw_avatars.mjs shall draw."""
    counts = {source.key: source.count for source in sources if source.family == "avatars"}
    options = AVATAR_WORDS["options"]
    styles = {
        key.removeprefix(DICEBEAR): count
        for key, count in counts.items()
        if key.startswith(DICEBEAR)
    }
    return {
        "dicebear": {k: {"count": n, "options": options.get(k, {})} for k, n in styles.items()},
        "bigheads": counts["bigheads"],
    }


def run_node(script: str, npm_folder: Path, *arguments: str) -> None:
    """Run one of our node scripts in the folder of the npm packages.

    Raises:
        AssetsError: the script failed.
    """
    shutil.copyfile(HERE / script, npm_folder / script)
    run_program(["node", script, *arguments], npm_folder, task=f"Running {script}")


def collect_avatars(modules: Path, sources: list[Source], work: Path) -> list[Drawing]:
    """Draw all avatars and return them with their names.

    Raises:
        AssetsError: the node script failed.
    """
    by_key = {source.key: source for source in sources}
    path = (work / "avatars.jsonl").resolve()
    run_node("draw_avatars.mjs", modules.parent, str(path), json.dumps(drawing_plan(sources)))
    drawings = []
    for line in path.read_text("utf-8").splitlines():
        row = json.loads(line)
        source = by_key[row["set"]]
        drawings.append(
            Drawing(
                id=f"{source.key}:{row['i']}",
                source=source,
                styles=source.styles,
                svg=row["svg"],
                **avatar_words(source.key, row["opt"]),
            )
        )
    return drawings
