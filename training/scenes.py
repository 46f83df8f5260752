"""The scene grammar: random scenes with captions, in the language of `gouache.scene`.

Every factor that varies (thing, colour, count, relation, size, place, background, style, intent) is
named in some captions and left out of others. Some words and some pairs of things are held out, so
that the evaluation can ask for what was never trained: `is_held_out_word`, `is_held_out_pair`.
"""

import json
import random
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gouache.scene import (
    COLOURS,
    INTENTS,
    LANDSCAPES,
    RELATIONS,
    SHAPES,
    STYLES,
    TEXTURES,
    Background,
    Box,
    Item,
    Outline,
    Scene,
    background_phrase,
    caption,
    draw_order,
    fit,
    grid,
    in_words,
    place,
    rgb,
)

TOPICS = ("{} company", "{} shop", "{} club", "{} team", "{} business", "{} studio", "{} brand")
KINDS = {
    "single": 0.36,
    "pair": 0.31,
    "count": 0.10,
    "trio": 0.06,
    "logo": 0.06,
    "icon": 0.02,
    "avatar": 0.02,
    "sticker": 0.01,
    "banner": 0.02,
    "welcome": 0.02,
    "poster": 0.01,
    "pattern": 0.01,
}
"""How often each kind of scene is drawn."""


@dataclass(frozen=True)
class Example:
    """A scene, the caption it is trained with, and the kind that made it."""

    scene: Scene
    caption: str
    kind: str


def is_held_out_word(word: str) -> bool:
    """Return whether a synonym is never used in training: one in ten, by its checksum."""
    return zlib.crc32(word.encode()) % 10 == 3


def is_held_out_pair(first: str, second: str) -> bool:
    """Return whether two concepts never meet in training: one pair in ten, by its checksum."""
    return zlib.crc32("|".join(sorted((first, second))).encode()) % 10 == 7


class Grammar:
    """Draws examples over the concepts of a bank; everything random comes from the `rng` given."""

    def __init__(self, bank: Path):
        """Read `concepts.json`."""
        rows = json.loads(bank.read_text(encoding="utf-8"))
        self.concepts: dict[str, dict[str, Any]] = {row["name"]: row for row in rows}
        self.by_style = {
            style: [r["name"] for r in rows if r["kind"] != "shape" and style in r["styles"]]
            for style in STYLES
        }

    def example(self, rng: random.Random, shape: str, kind: str | None = None) -> Example:
        """Return one training example for a picture shape."""
        kind = kind or rng.choices(list(KINDS), list(KINDS.values()))[0]
        if kind in ("single", "pair", "count", "trio"):
            scene = self._plain_scene(rng, shape, kind)
        else:
            scene = self._intent_scene(rng, shape, kind)
        return Example(scene, self.wording(scene, rng), kind)

    def outline(self, concept: str, style: str) -> Outline:
        """Return the outline of a concept's drawing."""
        drawn = self.concepts[concept]["styles"][style]
        return Outline(drawn["aspect"], drawn["seat"])

    def wording(self, scene: Scene, rng: random.Random) -> str:
        """Return a caption: the canonical one in most cases, else a shorter or freer one."""
        worded = in_words(scene)
        full = caption(worded)
        things = full.split(f"{INTENTS[scene.intent]} ", 1)[-1].split(f", {STYLES[scene.style]}")[0]
        background = background_phrase(worded.background)
        draw = rng.random()
        if draw < 0.6:
            return full + _box_words(scene, rng)
        if draw < 0.7:
            return things
        if draw < 0.78:
            return f"{things}, {background}"
        if draw < 0.86:
            return f"{things}, {STYLES[scene.style]}"
        if draw < 0.93 and scene.items:
            topic = rng.choice(TOPICS).format(scene.items[-1].said)
            return f"{scene.intent} for a {topic}, {STYLES[scene.style]}, {background}"
        verb = rng.choice(("create", "draw", "make", "design", "please draw"))
        return f"{verb} {INTENTS[scene.intent]} {things}, {background}"

    def _plain_scene(self, rng: random.Random, shape: str, kind: str) -> Scene:
        style = rng.choice(list(STYLES))
        background = _background(rng)
        names = self._names(rng, style, {"single": 1, "count": 1, "pair": 2, "trio": 3}[kind])
        outlines = [self.outline(name, style) for name in names]
        relation = None
        if kind == "single":
            side = rng.uniform(0.42, 0.94)
            box = fit(outlines[0], 0.5, 0.5, side, shape)
            boxes = [_moved(box, rng.uniform(-1, 1), rng.uniform(-1, 1))]
        elif kind == "count":
            names *= rng.choice((2, 2, 3, 3, 4, 4, 5, 6))
            boxes = grid(len(names), outlines[0], shape)
        elif kind == "pair":
            relation = rng.choice([r for r in RELATIONS if r != "between"])
            boxes = place(relation, outlines, shape)
        else:
            relation = rng.choice(("between", "with", "next to", "with"))
            boxes = place(relation, outlines, shape)
        boxes = [_jittered(box, rng) for box in boxes]
        made: dict[str, tuple[str, str | None]] = {}
        items = []
        for name, box in zip(names, boxes, strict=True):
            if name not in made or (kind == "count" and rng.random() < 0.1):
                made[name] = (self._said(name, rng), self._colour(name, style, background, rng))
            items.append(Item(name, made[name][0], box, made[name][1]))
        order = draw_order(relation, len(items))
        return Scene(tuple(items[i] for i in order), background, style, "picture", relation, shape)

    def _intent_scene(self, rng: random.Random, shape: str, kind: str) -> Scene:
        style = rng.choice(("emblem", "emblem", "flat", "bold") if kind == "logo" else list(STYLES))
        background = _background(rng, plain=kind in ("logo", "sticker", "icon"))
        intent = rng.choice(("banner", "newsletter")) if kind == "banner" else kind
        intent = rng.choice(("welcome", "invitation")) if kind == "welcome" else intent
        count = {"banner": rng.choice((2, 3)), "welcome": rng.choice((1, 2, 3))}.get(kind, 1)
        names = self._names(rng, style, count)
        outlines = [self.outline(name, style) for name in names]
        items: list[Item] = []
        if kind in ("logo", "icon") and rng.random() < 0.8:
            badge = (
                "rounded square"
                if kind == "icon"
                else rng.choice(
                    (
                        "disc",
                        "shield shape",
                        "rounded square",
                        "circle outline",
                        "hexagon",
                        "heart shape",
                    )
                )
            )
            colour = _contrasting(background, rng)
            side = rng.uniform(0.66, 0.9)
            items.append(
                Item(badge, badge, fit(self.outline(badge, style), 0.5, 0.5, side, shape), colour)
            )
            background_of_item = Background("plain", (colour,))
            boxes = [fit(outlines[0], 0.5, 0.5, side * rng.uniform(0.5, 0.64), shape)]
        else:
            background_of_item = background
            boxes = self._intent_boxes(rng, kind, outlines, shape)
            if kind == "welcome" and rng.random() < 0.5:
                colour = _contrasting(background, rng)
                items.append(Item("frame", "frame", Box(0.5, 0.5, 0.94, 0.94), colour))
        tinted = style == "emblem" or rng.random() < 0.4
        chosen = _contrasting(background_of_item, rng) if tinted else None
        if kind == "pattern":
            names = names * len(boxes)
        said = {name: self._said(name, rng) for name in names}
        items += [
            Item(name, said[name], box, chosen) for name, box in zip(names, boxes, strict=True)
        ]
        return Scene(tuple(items), background, style, intent, None, shape)

    def _intent_boxes(
        self, rng: random.Random, kind: str, outlines: list[Outline], shape: str
    ) -> list[Box]:
        if kind == "pattern":
            return grid(rng.choice((6, 8, 9)), outlines[0], shape)
        if kind == "banner" and shape != "tall":
            start = rng.choice((0.0, 0.42))
            row = place("with", outlines, shape)
            return [Box(start + 0.58 * b.cx, b.cy, 0.58 * b.w, 0.58 * b.h) for b in row]
        if len(outlines) > 1:
            return place("with", outlines, shape)
        side = rng.uniform(0.62, 0.9)
        return [_jittered(fit(outlines[0], 0.5, 0.5, side, shape), rng)]

    def _names(self, rng: random.Random, style: str, count: int) -> list[str]:
        while True:
            names = rng.sample(self.by_style[style], count)
            pairs = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
            if not any(is_held_out_pair(a, b) for a, b in pairs):
                return names

    def _said(self, name: str, rng: random.Random) -> str:
        row = self.concepts[name]
        draw = rng.random()
        words = row["aliases"] if draw < 0.25 else row["near"] if draw < 0.35 else []
        words = [word for word in words if not is_held_out_word(word)]
        return rng.choice(words) if words else name

    def _colour(
        self, name: str, style: str, background: Background, rng: random.Random
    ) -> str | None:
        person = self.concepts[name]["kind"] in ("person", "face", "body")
        if style != "emblem" and rng.random() > (0.08 if person else 0.42):
            return None
        return _contrasting(background, rng)


def _background(rng: random.Random, *, plain: bool = False) -> Background:
    draw = rng.random()
    if plain or draw < 0.6:
        return Background("plain", (_varied(rng, rng.choice(list(COLOURS))),))
    if draw < 0.7:
        return Background("gradient", tuple(rng.sample(list(COLOURS), 2)))
    if draw < 0.8:
        return Background(rng.choice(TEXTURES[1:]), tuple(rng.sample(list(COLOURS), 2)))
    return Background(rng.choice(LANDSCAPES), ())


def _contrasting(background: Background, rng: random.Random) -> str:
    """Return a colour that differs enough from the ground to be seen on it."""
    grounds = [rgb(colour) for colour in background.colours]
    seen = [
        word
        for word, value in COLOURS.items()
        if all(sum(abs(a - b) for a, b in zip(value, g, strict=True)) > 110 for g in grounds)
    ]
    return _varied(rng, rng.choice(seen))


def _varied(rng: random.Random, word: str) -> str:
    """Return a colour word, or in a third of the cases a value near it."""
    if rng.random() < 0.66:
        return word
    near = (min(255, max(0, c + rng.randrange(-14, 15))) for c in COLOURS[word])
    return "#" + "".join(f"{c:02x}" for c in near)


def _moved(box: Box, right: float, down: float) -> Box:
    """Shift a box by a share (-1 to 1) of the room it has on the canvas."""
    room_x, room_y = max(0.0, 0.97 - box.w) / 2, max(0.0, 0.97 - box.h) / 2
    return Box(0.5 + right * room_x, 0.5 + down * room_y, box.w, box.h)


def _jittered(box: Box, rng: random.Random) -> Box:
    scale = rng.uniform(0.9, 1.06)
    return Box(
        box.cx + rng.uniform(-0.025, 0.025),
        box.cy + rng.uniform(-0.02, 0.02),
        box.w * scale,
        box.h * scale,
    )


def _box_words(scene: Scene, rng: random.Random) -> str:
    """Return words for the size and place of a single thing, in half of the cases."""
    if len(scene.items) != 1 or scene.intent != "picture" or rng.random() < 0.5:
        return ""
    box = scene.items[0].box
    across, down = SHAPES[scene.shape]
    side = max(box.w * across, box.h * down) / min(across, down)
    size = "small" if side < 0.52 else "large" if side > 0.86 else ""
    row = "top" if box.cy < 0.4 else "bottom" if box.cy > 0.6 else ""
    column = "left" if box.cx < 0.4 else "right" if box.cx > 0.6 else ""
    words = [w for w in (size, f"{row} {column}".strip()) if w]
    return f", {', '.join(words)}" if words else ""
