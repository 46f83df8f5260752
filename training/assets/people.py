"""Describes the people that avatar generators draw: skin, hair, beard, clothes, expression."""

import re
import tomllib
from dataclasses import dataclass, field
from typing import Any

from training.assets.colours import code_word, hair_word, skin_word
from training.assets.sources import HERE
from training.assets.words import spaced, with_article

AVATAR_WORDS: dict[str, Any] = tomllib.loads((HERE / "avatars.toml").read_text("utf-8"))
HAIR_WORDS: dict[str, str] = AVATAR_WORDS["hair"]
LINE_ART = ("lorelei", "notionists", "croodles")
"""Styles without coloured skin."""
UNCOLOURED = ("lorelei", "notionists")
HATS = ("turban", "hijab", "cap", "beanie", "bear")
CUTS = frozenset(AVATAR_WORDS["cuts"])
"""Hair words that take an article and no "hair"."""
PLURAL_CUTS = frozenset(AVATAR_WORDS["plural_cuts"])
FIXED_CUTS = {
    "no": "no hair",
    "none": "no hair",
    "very little": "very little hair",
    "shaved": "a shaved head",
}
WOMENS_HAIR = re.compile(r"\b(long|bun|braids|ponytail|pigtails|bangs|bob)\b")
BEARD_KEYS = ("facialHair", "beard", "mustache")


@dataclass
class Portrait:
    """What one sees of a person."""

    who: str = "person"
    parts: list[str] = field(default_factory=list)
    wears: list[str] = field(default_factory=list)
    expression: str = ""

    def name(self) -> str:
        """Return the whole description."""
        name = self.who
        if self.parts:
            listed = [", ".join(self.parts[:-1]), self.parts[-1]]
            name += f" with {' and '.join(listed if len(self.parts) > 1 else self.parts)}"
        if self.wears:
            name += f", wearing {' and '.join(self.wears)}"
        return f"{name}, {self.expression}" if self.expression else name


def hair_phrase(colour: str, cut: str) -> str:
    """Return colour and cut of hair in plain words; the colour may be empty."""
    cut = cut.strip()
    if cut in FIXED_CUTS:
        return FIXED_CUTS[cut]
    start = f"{colour} " if colour else ""
    if cut in ("bun", "buns"):
        return f"{start}hair in {'a bun' if cut == 'bun' else 'two buns'}"
    if cut in CUTS:
        return with_article(start + cut)
    if cut in PLURAL_CUTS:
        return start + cut
    if cut == "balding":
        return f"balding {start}hair"
    cut = re.sub("^medium", "medium length", cut).replace("gray medium", "medium length")
    cut = cut.replace("gray short", "short").replace("flat top long", "tall flat top")
    return " ".join(f"{start}{cut} hair".split())


def option(options: dict[str, Any], *keys: str) -> str:
    """Return the first option that is set, as text; "" if none is."""
    return next((str(options[key]) for key in keys if options.get(key)), "")


def read_person(style: str, options: dict[str, Any]) -> Portrait:
    """Return what the options of a DiceBear style say about the person."""
    portrait = Portrait()
    skin = option(options, "skinColor", "baseColor")
    if skin and style not in LINE_ART:
        portrait.parts.append(f"{skin_word(skin)} skin")
    hat = read_hair(style, options, portrait)
    read_beard(options, portrait)
    read_worn(options, portrait)
    if options.get("mask"):
        portrait.wears.append("a medical mask")
    if hat:
        portrait.wears.append(hat)
    if options.get("hat"):
        colour = options.get("hatColor")
        portrait.wears.append(with_article(f"{code_word(colour)} hat") if colour else "a hat")
    if options.get("earrings"):
        portrait.wears.append("earrings")
    read_clothes(style, options, portrait)
    mouth = spaced(option(options, "mouth", "face", "mood"))
    moods = AVATAR_WORDS["expressions"].items()
    portrait.expression = next((mood for part, mood in moods if part in mouth), "")
    return portrait


def read_hair(style: str, options: dict[str, Any], portrait: Portrait) -> str:
    """Add the hair to a portrait; return the hat that some styles have in its place."""
    cut = spaced(option(options, "hair", "head", "top"))
    colour = option(options, "hairColor", "headContrastColor", "topColor")
    if style in UNCOLOURED:
        colour = ""
    if cut.startswith("variant"):
        cut = ""
    cut = HAIR_WORDS.get(cut, cut)
    hat = ""
    if cut.startswith("hat") or cut in HATS:
        hat, cut = AVATAR_WORDS["hats"].get(cut, f"a {cut}"), ""
    if cut == "no":
        portrait.parts.append("no hair")
    elif cut or colour:
        word = hair_word(colour) if colour else ""
        portrait.parts.append(hair_phrase(word, cut.replace(" hair", "").strip()))
    if rear := option(options, "rearHair"):
        portrait.parts[-1] = portrait.parts[-1].replace("hair", f"{spaced(rear)} hair")
        portrait.who = "woman"
    if WOMENS_HAIR.search(cut) and not option(options, *BEARD_KEYS):
        portrait.who = "woman"
    return hat


def read_beard(options: dict[str, Any], portrait: Portrait) -> None:
    """Add beard, moustache and freckles."""
    beard = option(options, *BEARD_KEYS)
    if beard and beard != "none":
        otherwise = "a moustache" if "ustache" in beard else "a beard"
        portrait.parts.append(AVATAR_WORDS["beards"].get(spaced(beard), otherwise))
        portrait.who = "man"
    if options.get("features") == "mustache":
        portrait.parts.append("a moustache")
        portrait.who = "man"
    if options.get("features") == "freckles":
        portrait.parts.append("freckles")


def read_worn(options: dict[str, Any], portrait: Portrait) -> None:
    """Add glasses or another accessory."""
    accessory, glasses = option(options, "accessories"), option(options, "glasses")
    eyes = options.get("eyes")
    if glasses or "glasses" in accessory.lower() or eyes in ("glasses", "sunglasses"):
        dark = "sun" in accessory or eyes == "sunglasses" or glasses.startswith("dark")
        portrait.wears.append("sunglasses" if dark else "glasses")
    elif accessory and not accessory.startswith("variant"):
        words = spaced(accessory)
        portrait.wears.append(AVATAR_WORDS["accessories"].get(words, words))


def read_clothes(style: str, options: dict[str, Any], portrait: Portrait) -> None:
    """Add the clothes with their colour."""
    colour = option(options, "clothingColor", "clothesColor", "shirtColor", "bodyColor")
    if colour and style not in UNCOLOURED:
        cut = spaced(option(options, "clothes", "shirt", "body") or "shirt")
        clothes = AVATAR_WORDS["clothes"].get(cut, "shirt")
        portrait.wears.append(with_article(f"{code_word(colour)} {clothes}"))
