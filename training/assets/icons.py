"""Names icon drawings: keeps the icons that show a thing and drops controls, brands and repeats."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

from training.assets.drawing import Drawing, icon_svg, load_icon_set, shown_icons
from training.assets.sources import Source
from training.assets.wordnet import Sense, WordNet
from training.assets.words import TABLES, word_set

INTERFACE = word_set("interface_words")
UNSAFE = word_set("unsafe_words")
CATEGORY_WORDS = word_set("category_words")
MODIFIERS = word_set("modifiers")
VAGUE = word_set("vague_nouns")
NOUN_CATEGORIES: dict[str, str] = TABLES["noun_categories"]
CONCEPTS = {
    icon: phrase for phrase, icons in reversed(TABLES["concepts"].items()) for icon in icons.split()
}
BRANDS = re.compile("|".join([*map(re.escape, TABLES["brands"]), r"^walle(?:-|$)", "wall-e$"]))
NO_WORDS = re.compile(r"\d+|alt|simple|duotone|one|two|filled")
ALWAYS_FINE = ("animal", "plant", "food")
LONGEST_NAME = 3
SOLID = ("solid icon", "minimal logo", "silhouette icon")

Variant = tuple[str, tuple[str, ...] | None]
"""The icon's name without the mark of its variant, and the variant's styles if it has its own."""


def phosphor_variant(name: str) -> Variant | None:
    """Keep fill, bold and duotone."""
    styles = {
        "fill": None,
        "bold": ("bold line icon", "outline logo", "line icon"),
        "duotone": ("duotone icon", "line icon with light shading", "minimal logo"),
    }
    base, _, weight = name.rpartition("-")
    return (base, styles[weight]) if weight in styles else None


def tabler_variant(name: str) -> Variant | None:
    """Keep outlines and filled ones, each with its styles."""
    if name.endswith("-off"):
        return None
    filled = name.endswith("-filled")
    return name.removesuffix("-filled"), SOLID if filled else None


def two_tone_variant(name: str) -> Variant:
    """Tell flat from outlined two-tone icons."""
    if name.endswith("-flat"):
        return name[: -len("-flat")], ("flat two-tone icon", "duotone icon", "modern two-tone logo")
    return name, ("two-tone line icon", "outlined icon with a light fill", "outline logo")


def kameleon_variant(name: str) -> Variant:
    """Tell the blue variant from the coloured one."""
    duo = name.endswith("-duo")
    return name.removesuffix("-duo"), ("blue duotone icon in a circle",) if duo else None


def dropping(pattern: str) -> Callable[[str], Variant | None]:
    """Return a rule that drops the names that match a pattern."""
    return lambda name: None if re.search(pattern, name) else (name, None)


def without(pattern: str) -> Callable[[str], Variant]:
    """Return a rule that cuts a pattern off the names."""
    return lambda name: (re.sub(pattern, "", name), None)


MDI_REPEATS = "off|outline|variant|alert|check|cog|plus|minus|remove|edit|clock|lock|arrow.*"
VARIANTS: dict[str, Callable[[str], Variant | None]] = {
    "ph": phosphor_variant,
    "tabler": tabler_variant,
    "mdi": dropping(f"-({MDI_REPEATS})$"),
    "material-symbols": dropping("(outline|rounded|sharp|off)$"),
    "healthicons": dropping("(-outline|-24px|negative)$"),
    "streamline-kameleon-color": kameleon_variant,
    "streamline-stickies-color": without("-duo$"),
    "streamline-color": two_tone_variant,
    "streamline-plump-color": two_tone_variant,
    "streamline-flex-color": two_tone_variant,
    "fluent-color": without(r"-\d+$"),
    "meteocons": without("-fill$"),
}


class IconNamer:
    """Turns icon names into names of things, by WordNet and a list of everyday nouns."""

    def __init__(self, wordnet: WordNet, everyday: frozenset[str]):
        """`everyday` holds the nouns that any set may name."""
        self.wordnet = wordnet
        self.everyday = everyday

    def thing(self, word: str) -> Sense | None:
        """Return the sense of a word that is a clear thing."""
        if len(word) <= 2 or word in VAGUE:
            return None
        return self.wordnet.sense(word, 2)

    def is_everyday(self, word: str) -> bool:
        """Tell whether a noun is in the list of everyday nouns."""
        return self.wordnet.lemma(word) in self.everyday

    def name(self, tokens: list[str], *, plain_names: bool) -> tuple[str, str, Sense] | None:
        """Return phrase, noun and sense of an icon's words, None when they name no thing."""
        tokens = [token for token in tokens if token and not token.isdigit()]
        words = {*tokens, "-".join(tokens)}
        if not tokens or INTERFACE & set(tokens) or UNSAFE & words or len(tokens) > LONGEST_NAME:
            return None
        if len(tokens) > 1:
            tokens = [token for token in tokens if token not in CATEGORY_WORDS] or tokens
        phrase = " ".join(tokens)
        sense = self.thing(phrase)
        if len(tokens) == 1:
            fine = sense and (self.is_everyday(phrase) or sense.kind in ALWAYS_FINE)
            return (phrase, phrase, sense) if sense and fine else None
        if sense:
            return phrase, phrase, sense
        return self.plain_name(tokens) if plain_names else self.turned_name(tokens)

    def plain_name(self, tokens: list[str]) -> tuple[str, str, Sense] | None:
        """Name an icon whose words read like English by the noun at the end."""
        for length in (2, 1) if len(tokens) > 2 else (1,):
            noun = " ".join(tokens[-length:])
            sense = self.thing(noun)
            if sense and (length > 1 or self.is_everyday(noun)):
                return " ".join(tokens), noun, sense
        return None

    def turned_name(self, tokens: list[str]) -> tuple[str, str, Sense] | None:
        """Name an icon whose noun stands first: "lamp-desk", "house-simple"."""
        if len(tokens) != 2:
            return None
        noun, other = tokens
        turned = f"{other} {noun}"
        if sense := self.thing(turned):
            return turned, turned, sense
        sense = self.thing(noun) if other in MODIFIERS else None
        return (noun, noun, sense) if sense else None

    def concept(self, base: str) -> tuple[str, str, Sense] | None:
        """Return the hand-written name of an icon, if there is one."""
        base = re.sub("-(flat|rounded|sharp|outline)$", "", base)
        phrase = CONCEPTS.get(base) or CONCEPTS.get(re.sub(r"-\d+$", "", base))
        if phrase is None:
            return None
        sense = self.wordnet.sense(phrase) or self.wordnet.sense(phrase.split()[-1])
        if sense is None or sense.kind == "substance":
            sense = Sense("artifact", "")
        return phrase, phrase, sense


def pictures_of(modules: Path, source: Source) -> Iterator[tuple[str, str]]:
    """Yield name and SVG text of every icon of a set, of each size only the largest."""
    if source.key == "carbon-pictograms":
        for path in sorted((modules / source.package / "svg").glob("*.svg")):
            yield path.stem, path.read_text("utf-8")
        return
    icons = load_icon_set(modules, source)
    names = shown_icons(icons)
    if source.key == "fluent-color":
        names = largest_sizes(names)
    for name in names:
        plain_too = source.key == "meteocons" and f"{name}-fill" in icons["icons"]
        if not plain_too:
            yield name, icon_svg(icons, name)


def largest_sizes(names: list[str]) -> list[str]:
    """Return of "home-16", "home-24" only the one with the largest number."""
    largest: dict[str, int] = {}
    for name in names:
        base, _, size = name.rpartition("-")
        largest[base] = max(largest.get(base, 0), int(size))
    return [name for name in names if name.endswith(f"-{largest[name.rpartition('-')[0]]}")]


def drawing_of(source: Source, name: str, svg: str, namer: IconNamer) -> Drawing | None:
    """Return the drawing of an icon, None when it shows no thing."""
    variant = VARIANTS.get(source.key, without("$^"))(name)
    if BRANDS.search(name) or variant is None:
        return None
    base, styles = variant
    tokens = [token for token in base.split("-") if not NO_WORDS.fullmatch(token)]
    named = namer.concept(base)
    if named is None and len(tokens) <= LONGEST_NAME:
        named = namer.name(tokens, plain_names=source.plain_names)
    if named is None or (source.mono and named[2].kind == "substance"):
        return None
    phrase, noun, sense = named
    lemma = namer.wordnet.lemma(noun) or namer.wordnet.lemma(noun.split()[-1])
    return Drawing(
        id=f"{source.key}:{name}",
        source=source,
        name=phrase,
        aliases=[noun] if noun != phrase else [],
        nouns=[lemma] if lemma else [],
        category=NOUN_CATEGORIES.get(sense.kind, "object"),
        kind="icon" if source.mono else "object",
        styles=styles or source.styles,
        svg=svg,
    )


def collect_icons(modules: Path, sources: list[Source], namer: IconNamer) -> list[Drawing]:
    """Return the drawings of all icon sets."""
    drawings = []
    for source in (source for source in sources if source.family == "icons"):
        found = [drawing_of(source, *picture, namer) for picture in pictures_of(modules, source)]
        kept = [drawing for drawing in found if drawing]
        if source.key == "fluent-color":
            kept = list({drawing.name: drawing for drawing in kept}.values())
        drawings += kept
    return drawings
