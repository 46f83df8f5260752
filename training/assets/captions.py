"""Turns a drawing and its measures into a record and ready captions."""

import random
import re
from typing import Any

from training.assets.drawing import Drawing
from training.assets.words import article, with_article, with_indefinite

DARK = ("black", "dark gray")
COLOUR_IN_NAME = re.compile(
    r"\b(red|green|blue|yellow|orange|purple|pink|black|white|brown|gr[ae]y|golden|gold|silver)\b"
)
MEASURE_OF = re.compile(
    r"(bowl|cup|glass|slice|bag|jar|piece|stack|bottle|face|loaf|ear|bar|drop|sheaf|pair|mug) of"
)
SCENERY = ("landscape", "place", "building", "sky")
FULL_FRAME = 0.94
NO_COLOUR_WORD = ("landscape", "place", "sky", "people", "person", "map", "award", "flag")
RECOLOURED_KINDS = ("object", "icon", "symbol", "character")
MORE_FIELDS = ("tone", "facing", "view", "emoji", "near")


def ruling_colour(drawing: Drawing, colours: list[list[Any]]) -> str | None:
    """Return the one colour word that describes a drawing, None if no colour rules.

    Outlines in black do not count against another colour. A name that holds a colour word already
    says it.
    """
    if COLOUR_IN_NAME.search(drawing.name) and drawing.kind != "avatar":
        return None
    if drawing.styles[0].startswith("black and white") or not colours:
        return None
    bright = [colour for colour in colours if colour[0] not in DARK] or colours
    word, share = bright[0]
    alone = len(bright) < 2 or bright[1][1] < 0.18
    return word if share >= 0.42 or (share >= 0.33 and alone) else None


def kind_of(drawing: Drawing, fill: float) -> str:
    """Return the kind of a drawing; scenery that fills its whole frame is a scene."""
    is_scenery = drawing.kind == "object" and drawing.category in SCENERY
    return "scene" if is_scenery and fill > FULL_FRAME else drawing.kind


def make_record(drawing: Drawing, measures: dict[str, Any], raster_bytes: int) -> dict[str, Any]:
    """Return the sprite's row for sprites.jsonl; `off` is set when the files are joined."""
    kind = kind_of(drawing, measures["fill"])
    may_recolour = (
        measures["hue_frac"] >= 0.5
        and kind in RECOLOURED_KINDS
        and drawing.category != "person"
        and not drawing.source.mono
    )
    row = {
        "id": drawing.id,
        "off": -1,
        "len": raster_bytes or -1,
        "w": measures["w"],
        "h": measures["h"],
        "src": drawing.source.key,
        "lic": drawing.source.licence,
        "styles": list(drawing.styles),
        "kind": kind,
        "mono": drawing.source.mono,
        "name": drawing.name,
        "aliases": drawing.aliases,
        "article": article(drawing.name),
        "nouns": drawing.nouns,
        "cat": drawing.category,
        "kw": drawing.keywords,
        "color": ruling_colour(drawing, measures["colors"]),
        "colors": measures["colors"],
        "hue": measures["hue"],
        "hue_frac": measures["hue_frac"],
        "recolor": bool(may_recolour),
        "fill": measures["fill"],
        "vector": drawing.svg is not None,
    }
    return row | {key: drawing.more[key] for key in MORE_FIELDS if key in drawing.more}


def avatar_captions(row: dict[str, Any], choose: random.Random) -> list[str]:
    """Return captions of an avatar."""
    captions = [f"{with_indefinite(row['styles'][0])} of {with_article(row['name'])}"]
    for alias in row["aliases"][:2]:
        style = choose.choice(row["styles"])
        if alias.startswith(("portrait", "profile")):
            captions.append(f"{alias}, {style}")
        else:
            captions.append(f"{with_indefinite(style)} of {with_article(alias)}")
    return [*captions, with_article(row["name"])]


def object_captions(row: dict[str, Any], names: list[str], choose: random.Random) -> list[str]:
    """Return captions of a coloured drawing, with its colour where one rules."""
    name, colour, styles = row["name"], row["color"], row["styles"]
    coloured = (
        colour
        and row["kind"] in ("object", "symbol")
        and row["cat"] not in NO_COLOUR_WORD
        and colour not in name
    )
    captions = []
    for index, word in enumerate(names[:4]):
        captions.append(with_article(word))
        if coloured and index < 2:
            takes_colour = not MEASURE_OF.match(word)
            captions.append(with_article(f"{colour} {word}" if takes_colour else word))
    captions += [
        f"{name}, {styles[0]}",
        f"{with_indefinite(choose.choice(styles))} of {with_article(name)}",
    ]
    if coloured:
        captions.append(f"{with_article(f'{colour} {name}')}, {choose.choice(styles)}")
    return captions


def make_captions(row: dict[str, Any]) -> list[str]:
    """Return the ready captions of a sprite, the same ones whenever it is built."""
    choose = random.Random(row["id"])
    name, styles = row["name"], row["styles"]
    names = list(dict.fromkeys([name, *row["aliases"]]))
    if row["kind"] == "avatar":
        captions = avatar_captions(row, choose)
    elif row["kind"] == "abstract":
        captions = [f"{name}, {styles[0]}", name, f"{choose.choice(styles)}, {name}"]
    elif row["mono"]:
        captions = [
            f"{with_indefinite(choose.choice(styles))} of {with_article(word)}"
            for word in names[:3]
        ]
        captions += [f"{name} icon", f"{name} logo", f"simple {name} symbol"]
    else:
        captions = object_captions(row, names, choose)
    return list(dict.fromkeys(captions))
