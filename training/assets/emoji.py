"""Names emoji drawings: which emoji a file shows, what people call it, whether it is kept."""

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.assets.drawing import Drawing, icon_svg, load_icon_set, shown_icons
from training.assets.emoji_names import EmojiWords, emoji_words
from training.assets.sources import Source
from training.assets.wordnet import WordNet
from training.assets.words import slug, word_set

TONES = ("light", "light brown", "tan", "brown", "dark")
TWO_TONES = ("fluent-emoji", "noto", "twemoji")
"""Sets that keep two skin tones of each person; the others keep one."""
FLAG_SETS = ("twemoji", "noto")
CODED_SETS = ("twemoji", "noto", "fluent-emoji-flat")
"""Sets that say which code points each name stands for; the other sets are read by them."""
LONGEST_FAMILY = 22
LEFT_OUT = word_set("emoji_left_out")
SYMBOLS = word_set("symbols_kept")
CLOCKS_KEPT = ("three o’clock", "ten o’clock")


@dataclass(frozen=True)
class Emoji:
    """One emoji, perhaps in one skin tone. `base` is its code without a tone."""

    label: str
    tags: tuple[str, ...]
    group: str
    subgroup: str
    symbol: str
    base: str
    tone: str | None = None


def code_of(hexcode: str) -> str:
    """Return code points in one spelling, without the mark that asks for a picture."""
    return "-".join(part for part in hexcode.upper().split("-") if part != "FE0F")


def load_emoji(modules: Path) -> dict[str, Emoji]:
    """Return all emoji of the emoji database by code."""
    folder = modules / "emojibase-data"
    rows = json.loads((folder / "en" / "data.json").read_text("utf-8"))
    names = json.loads((folder / "meta" / "groups.json").read_text("utf-8"))
    found = {}
    for row in rows:
        if "group" not in row:
            continue
        base = code_of(row["hexcode"])
        facts = {
            "label": row["label"],
            "tags": tuple(row.get("tags", ())),
            "group": names["groups"][str(row["group"])],
            "subgroup": names["subgroups"][str(row["subgroup"])],
            "symbol": row["emoji"],
            "base": base,
        }
        found[base] = Emoji(**facts)
        for skin in row.get("skins", ()):
            if isinstance(skin.get("tone"), int):
                found[code_of(skin["hexcode"])] = Emoji(**facts, tone=TONES[skin["tone"] - 1])
    return found


def squeezed(text: str) -> str:
    """Return only the letters and digits of a text."""
    return re.sub("[^a-z0-9]", "", text.lower())


class EmojiIndex:
    """Finds the emoji that a file name stands for."""

    def __init__(self, emoji: dict[str, Emoji], modules: Path, sources: list[Source]):
        """Learn names from the labels and from the sets that carry code points."""
        self.by_label: dict[str, str] = {}
        self.by_letters: dict[str, str] = {}
        self.by_icon: dict[str, str] = {}
        for code, entry in emoji.items():
            if entry.tone is None:
                self._add_labels(code, entry.label)
        for key in CODED_SETS:
            source = next(source for source in sources if source.key == key)
            for hexcode, name in load_icon_set(modules, source).get("chars", {}).items():
                self.by_icon.setdefault(name, code_of(hexcode))

    def _add_labels(self, code: str, label: str) -> None:
        self.by_label[slug(label)] = code
        if "-" not in code:
            self.by_letters[squeezed(unicodedata.name(chr(int(code, 16)), ""))] = code
        self.by_letters.setdefault(squeezed(label), code)

    def find(self, name: str, *, squeezed_names: bool) -> str | None:
        """Return the code an icon name stands for; numbered variants count as the first one."""
        for key in (name, re.sub(r"-\d+$", "", name)):
            code = self.by_icon.get(key) or self.by_label.get(key)
            if code:
                return code
        return self.by_letters.get(squeezed(name)) if squeezed_names else None


def files_of(modules: Path, source: Source, index: EmojiIndex) -> Iterator[tuple[str, Any]]:
    """Yield code and picture, an image path or SVG text, for each file of a set."""
    if source.key == "fluent-3d":
        for path in sorted((modules / source.package / "assets").glob("*.webp")):
            yield code_of(path.stem), path
        return
    icons = load_icon_set(modules, source)
    own = {name: code_of(hexcode) for hexcode, name in icons.get("chars", {}).items()}
    for name in shown_icons(icons):
        code = own.get(name) or index.find(name, squeezed_names=source.key == "fxemoji")
        if code:
            yield code, icon_svg(icons, name)


def is_kept_tone(entry: Emoji, source: Source) -> bool:
    """Tell whether this set keeps this skin tone; which ones it keeps differs by emoji."""
    if source.mono:
        return False
    count = 2 if source.key in TWO_TONES else 1
    start = int(hashlib.md5((entry.base + source.key).encode()).hexdigest(), 16)
    return entry.tone in {TONES[(start + 2 * i) % len(TONES)] for i in range(count)}


def is_kept(entry: Emoji, source: Source) -> bool:
    """Tell whether an emoji of a set goes into the library."""
    label = entry.label
    if label in LEFT_OUT or entry.group == "component":
        return False
    if entry.group == "symbols" and label not in SYMBOLS:
        return False
    if entry.group == "flags" and source.key not in FLAG_SETS:
        return False
    if entry.subgroup == "time" and re.search("o’clock|thirty", label):
        return label in CLOCKS_KEPT
    if entry.subgroup == "family" and (entry.tone or len(label) > LONGEST_FAMILY):
        return False
    return entry.tone is None or is_kept_tone(entry, source)


def drawing_of(
    code: str, entry: Emoji, words: EmojiWords, source: Source, picture: Path | str
) -> Drawing:
    """Return the drawing of one emoji with its names."""
    name, aliases, more = words.name, words.aliases, {**words.more, "emoji": entry.symbol}
    if entry.tone:
        skin = f" with {entry.tone} skin"
        more = {"tone": entry.tone, **more}
        name, aliases = name + skin, [alias + skin for alias in aliases[:1]] + aliases[:2]
    return Drawing(
        id=f"{source.key}:{code.lower()}",
        source=source,
        name=name,
        aliases=list(aliases),
        nouns=words.nouns,
        category=words.category,
        kind=words.kind,
        keywords=list(entry.tags[:8]),
        styles=source.styles,
        svg=picture if isinstance(picture, str) else None,
        file=picture if isinstance(picture, Path) else None,
        more=more,
    )


def collect_emoji(modules: Path, sources: list[Source], wordnet: WordNet) -> list[Drawing]:
    """Return the drawings of all emoji sets, one of each emoji per set."""
    emoji = load_emoji(modules)
    sets = [source for source in sources if source.family == "emoji"]
    index = EmojiIndex(emoji, modules, sets)
    words: dict[str, EmojiWords] = {}
    drawings: dict[str, Drawing] = {}
    for source in sets:
        for code, picture in files_of(modules, source, index):
            entry = emoji.get(code)
            if entry is None or not is_kept(entry, source):
                continue
            key = entry.base
            if key not in words:
                words[key] = emoji_words(
                    entry.label, entry.tags, entry.group, entry.subgroup, wordnet
                )
            drawing = drawing_of(code, entry, words[key], source, picture)
            drawings.setdefault(drawing.id, drawing)
    return list(drawings.values())


def collect_flags(modules: Path, sources: list[Source]) -> list[Drawing]:
    """Return round flags named after the country of their two-letter code."""
    rows = json.loads((modules / "emojibase-data" / "en" / "data.json").read_text("utf-8"))
    countries = {}
    for row in rows:
        if row["label"].startswith("flag: ") and len(row["emoji"]) == 2:
            code = "".join(chr(ord(sign) - 0x1F1E6 + ord("a")) for sign in row["emoji"])
            countries[code] = row["label"].removeprefix("flag: ")
    drawings = []
    for source in (source for source in sources if source.family == "flags"):
        icons = load_icon_set(modules, source)
        drawings += [
            Drawing(
                id=f"{source.key}:{code}",
                source=source,
                name=f"flag of {countries[code]}",
                aliases=[f"{countries[code]} flag"],
                nouns=["flag"],
                category="flag",
                kind="flag",
                styles=source.styles,
                svg=icon_svg(icons, code),
            )
            for code in icons["icons"]
            if code in countries
        ]
    return drawings
