"""A scene: what a picture shows, in words, colours and boxes.

This is the one language that the training grammar (`training/scenes.py`) writes and the prompt
planner (`prompts.py`) speaks, so that what the denoiser is asked for at run time looks like what it
was trained on. Boxes are fractions of the canvas: (0, 0) is the top left corner, (1, 1) the bottom
right one. Items are listed from back to front.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

SHAPES = {"square": (1, 1), "tall": (4, 7), "wide": (7, 4)}
"""Picture shapes and their width : height."""

COLOURS = {
    "white": (255, 255, 255),
    "black": (28, 28, 30),
    "grey": (140, 144, 150),
    "light grey": (216, 219, 224),
    "red": (222, 45, 45),
    "dark red": (140, 26, 36),
    "orange": (245, 132, 31),
    "yellow": (250, 204, 34),
    "gold": (212, 165, 32),
    "green": (52, 168, 72),
    "light green": (170, 222, 150),
    "dark green": (20, 92, 52),
    "teal": (20, 150, 146),
    "turquoise": (64, 204, 200),
    "light blue": (160, 212, 245),
    "blue": (36, 104, 222),
    "navy": (24, 38, 92),
    "purple": (130, 64, 186),
    "lavender": (202, 184, 240),
    "pink": (244, 122, 172),
    "light pink": (252, 208, 220),
    "brown": (128, 82, 48),
    "beige": (238, 222, 192),
    "cream": (253, 246, 222),
}
"""The colour words the denoiser was trained with, as sRGB."""

STYLES = {
    "flat": "flat vector style",
    "cartoon": "cartoon style",
    "bold": "bold simple flat style",
    "soft": "soft 3D style",
    "emblem": "one-colour emblem style",
}
"""Style keys and the phrase a caption uses for each."""

INTENTS = {
    "picture": "a picture of",
    "logo": "a logo with",
    "avatar": "an avatar of",
    "banner": "a wide banner with",
    "newsletter": "a newsletter header with",
    "welcome": "a welcome card with",
    "icon": "an app icon of",
    "sticker": "a sticker of",
    "invitation": "an invitation card with",
    "poster": "a poster of",
    "pattern": "a pattern of",
}
"""What a picture is for, and how its caption begins."""

LANDSCAPES = (
    "meadow",
    "hills",
    "mountains",
    "sea",
    "beach",
    "desert",
    "forest",
    "street",
    "city skyline",
    "night sky",
    "outer space",
    "sunset sky",
    "cloudy sky",
    "snowy field",
    "room",
    "stage",
    "under water",
)
"""Named backdrops that are drawn, not coloured."""

TEXTURES = ("gradient", "stripes", "dots", "rays", "confetti", "waves", "checks")
"""Two-colour backdrops; the first colour is the ground (for a gradient, the top)."""

RELATIONS = {
    "on": "on",
    "sitting on": "sitting on",
    "riding": "riding",
    "next to": "next to",
    "left of": "to the left of",
    "right of": "to the right of",
    "above": "above",
    "under": "under",
    "behind": "behind",
    "in front of": "in front of",
    "between": "between",
    "with": "and",
}
"""How the first item stands to the others, and the words a caption uses."""

NUMBERS = ("", "a", "two", "three", "four", "five", "six", "seven", "eight", "nine")


@dataclass(frozen=True, slots=True)
class Box:
    """A tight rectangle, by centre and size, as fractions of the canvas."""

    cx: float
    cy: float
    w: float
    h: float


@dataclass(frozen=True, slots=True)
class Item:
    """One thing in the picture.

    `concept` is its name in the reference library, `said` the words used for it; `colour` is a word
    of `COLOURS`, a "#rrggbb" value, or None where the thing keeps its own colours.
    """

    concept: str
    said: str
    box: Box
    colour: str | None = None


@dataclass(frozen=True, slots=True)
class Background:
    """`kind` is "plain" (one colour), a word of `TEXTURES` (two colours) or of `LANDSCAPES` (none)."""

    kind: str = "plain"
    colours: tuple[str, ...] = ("white",)


@dataclass(frozen=True, slots=True)
class Scene:
    """A whole picture. `relation` is a key of `RELATIONS`: how the `said` items stand to each other."""

    items: tuple[Item, ...]
    background: Background = field(default_factory=Background)
    style: str = "flat"
    intent: str = "picture"
    relation: str | None = None
    shape: str = "square"


@dataclass(frozen=True, slots=True)
class Outline:
    """What placing needs to know of a drawing.

    `aspect` is width : height; `seat` is how far below its top edge another thing rests on it, as a
    fraction of its height (0 for a table, 0.4 for a car with a long hood).
    """

    aspect: float = 1.0
    seat: float = 0.08


def rgb(colour: str) -> tuple[int, int, int]:
    """Return the sRGB value, 0 to 255, of a word of `COLOURS` or of "#rrggbb"."""
    if colour.startswith("#"):
        return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)
    return COLOURS[colour]


def in_words(scene: Scene) -> Scene:
    """Return the scene with every "#rrggbb" colour as the nearest word, as captions have them."""
    return replace(
        scene,
        items=tuple(
            replace(i, colour=nearest_word(i.colour) if i.colour else None) for i in scene.items
        ),
        background=replace(
            scene.background, colours=tuple(map(nearest_word, scene.background.colours))
        ),
    )


def nearest_word(colour: str) -> str:
    """Return the word of `COLOURS` nearest to a colour, by distance in sRGB."""
    value = rgb(colour)
    return min(
        COLOURS,
        key=lambda word: sum((a - b) ** 2 for a, b in zip(COLOURS[word], value, strict=True)),
    )


def fit(outline: Outline, cx: float, cy: float, side: float, shape: str) -> Box:
    """Return the tight box of a drawing whose longer side is `side` of the canvas' shorter side."""
    across, down = SHAPES[shape]
    short = min(across, down)
    w = side * min(1.0, outline.aspect) * short / across
    h = side * min(1.0, 1 / outline.aspect) * short / down
    return Box(cx, cy, w, h)


def place(relation: str, outlines: Sequence[Outline], shape: str = "square") -> list[Box]:
    """Return tight boxes, in the order given, for things that stand in one relation.

    The first thing is the subject: "A on B" is `place("on", [A, B])`. "between" takes the subject
    and then its two neighbours; "with" takes any number.
    """
    many = len(outlines)
    if many == 1:
        return [fit(outlines[0], 0.5, 0.5, 0.78, shape)]
    if relation in ("on", "sitting on", "riding"):
        return _stacked(outlines, shape)
    if relation in ("above", "under"):
        upper, lower = (0.27, 0.74) if relation == "above" else (0.74, 0.27)
        return [
            fit(o, 0.5, cy, 0.44, shape) for o, cy in zip(outlines, (upper, lower), strict=False)
        ]
    if relation in ("behind", "in front of"):
        behind = relation == "behind"
        sides = (0.62, 0.5) if behind else (0.5, 0.62)
        centres = ((0.4, 0.4), (0.6, 0.66)) if behind else ((0.6, 0.66), (0.4, 0.4))
        return [
            fit(o, cx, cy, side, shape)
            for o, (cx, cy), side in zip(outlines, centres, sides, strict=False)
        ]
    order = list(range(many))
    if relation == "right of" and many == 2:
        order = [1, 0]
    if relation == "between" and many == 3:
        order = [1, 0, 2]
    return _row([outlines[i] for i in order], order, shape)


def draw_order(relation: str | None, count: int) -> list[int]:
    """Return the indices of a relation's things from back to front."""
    if relation == "behind" or relation is None:
        return list(range(count))
    return list(reversed(range(count)))


def grid(count: int, outline: Outline, shape: str = "square") -> list[Box]:
    """Return tight boxes for `count` copies of one thing in near-square rows."""
    across, down = SHAPES[shape]
    columns = max(1, round((count * across / down) ** 0.5 + 0.24))
    columns = min(count, columns)
    rows = -(-count // columns)
    short = min(across, down)
    side = 0.84 * min(across / columns, down / rows) / short
    boxes = []
    for i in range(count):
        row, column = divmod(i, columns)
        in_row = min(columns, count - row * columns)
        cx = 0.5 + (column - (in_row - 1) / 2) * 0.94 / columns
        cy = 0.5 + (row - (rows - 1) / 2) * 0.94 / rows
        boxes.append(fit(outline, cx, cy, side * 0.94, shape))
    return boxes


def _stacked(outlines: Sequence[Outline], shape: str) -> list[Box]:
    """Place the first thing on top of the second, both centred as a group."""
    upper = fit(outlines[0], 0.5, 0.5, 0.46, shape)
    lower = fit(outlines[1], 0.5, 0.5, 0.72, shape)
    overlap = min(outlines[1].seat * lower.h + 0.06 * upper.h, 0.6 * lower.h)
    height = upper.h + lower.h - overlap
    scale = min(1.0, 0.92 / height)
    top = 0.5 - scale * height / 2
    return [
        Box(0.5, top + scale * upper.h / 2, scale * upper.w, scale * upper.h),
        Box(
            0.5,
            top + scale * (upper.h - overlap + lower.h / 2),
            scale * lower.w,
            scale * lower.h,
        ),
    ]


def _row(outlines: Sequence[Outline], order: Sequence[int], shape: str) -> list[Box]:
    """Place things from left to right (top to bottom on a tall canvas) on a common middle line."""
    many = len(outlines)
    boxes: list[Box] = [Box(0.5, 0.5, 0, 0)] * many
    for slot, (index, outline) in enumerate(zip(order, outlines, strict=True)):
        at = (slot + 0.5) / many
        if shape == "tall":
            boxes[index] = fit(outline, 0.5, at, min(0.9, 1.6 / many), shape)
        else:
            side = 0.94 / many if shape == "square" else min(0.86, 1.6 / many)
            boxes[index] = fit(outline, 0.03 + 0.94 * at, 0.5, side, shape)
    return boxes


def caption(scene: Scene) -> str:
    """Return the long caption of a scene, in the wording the denoiser knows best.

    For instance "a picture of a white cat sitting on a red race car, cartoon style, plain light
    blue background".
    """
    parts = [f"{INTENTS[scene.intent]} {_things(scene)}".strip(), STYLES[scene.style]]
    parts.append(background_phrase(scene.background))
    return ", ".join(parts)


def background_phrase(background: Background) -> str:
    """Return the words for a background: "plain red background", "sea background"."""
    if background.kind == "plain":
        return f"plain {background.colours[0]} background"
    if background.kind == "gradient":
        return f"{background.colours[0]} to {background.colours[1]} gradient background"
    if background.kind in TEXTURES:
        return f"{background.colours[0]} background with {background.colours[1]} {background.kind}"
    return f"{background.kind} background"


def item_phrase(item: Item) -> str:
    """Return the words for one item without an article: "white cat"."""
    return f"{item.colour} {item.said}" if item.colour else item.said


def plural(noun: str) -> str:
    """Return the plural of an English noun phrase by its last word."""
    irregular = {"man": "men", "woman": "women", "child": "children", "person": "people"}
    irregular |= {"mouse": "mice", "foot": "feet", "tooth": "teeth", "goose": "geese"}
    irregular |= {"leaf": "leaves", "wolf": "wolves", "knife": "knives", "loaf": "loaves"}
    head, _, last = noun.rpartition(" ")
    if last in ("fish", "sheep", "deer", "scissors", "glasses", "jeans", "shorts", "sunglasses"):
        many = last
    elif last in irregular:
        many = irregular[last]
    elif last.endswith(("s", "x", "ch", "sh", "z")):
        many = last + "es"
    elif last.endswith("y") and last[-2:-1] not in "aeiou":
        many = last[:-1] + "ies"
    else:
        many = last + "s"
    return f"{head} {many}".strip()


def with_article(phrase: str) -> str:
    """Return a phrase with its indefinite article: "an apple"; a plural-looking one keeps none."""
    if phrase.endswith("s") and not phrase.endswith(("ss", "us", "is", "bus")):
        return phrase
    lower = phrase.lower()
    sounds_open = lower[:1] in "aeiou" and not lower.startswith(
        ("uni", "euro", "one ", "ufo", "use")
    )
    return ("an " if sounds_open or lower.startswith("hour") else "a ") + phrase


def _things(scene: Scene) -> str:
    phrases: dict[str, int] = {}
    for item in scene.items:
        phrases[item_phrase(item)] = phrases.get(item_phrase(item), 0) + 1
    said = [
        with_article(phrase) if n == 1 else f"{NUMBERS[min(n, 9)]} {plural(phrase)}"
        for phrase, n in phrases.items()
    ]
    if not said:
        return "no object"
    if scene.relation and scene.relation != "with" and len(said) >= 2:
        if scene.relation != "behind":
            said.reverse()  # items are back to front; the subject is said first
        others = " and ".join(said[1:])
        return f"{said[0]} {RELATIONS[scene.relation]} {others}"
    if len(said) > 2:
        return ", ".join(said[:-1]) + " and " + said[-1]
    return " and ".join(said)
