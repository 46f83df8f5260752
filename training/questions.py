"""What the evaluation asks a denoiser to draw: scenes whose answers can be checked.

The kinds follow GenEval's (Ghosh et al. 2023, arXiv:2310.11513) and add our own: held-out pairs and
synonyms, intents, backgrounds and picture shapes. Things are the everyday ones that the judge knows.
"""

import dataclasses
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gouache.scene import (
    COLOURS,
    LANDSCAPES,
    STYLES,
    TEXTURES,
    Background,
    Box,
    Item,
    Outline,
    Scene,
    caption,
    draw_order,
    fit,
    grid,
    place,
    rgb,
)
from training.classifier import group_of
from training.scenes import Grammar, is_held_out_pair, is_held_out_word

SHARES = {
    "single": 0.22,
    "colour": 0.16,
    "pair": 0.17,
    "held-out pair": 0.10,
    "binding": 0.10,
    "count": 0.10,
    "synonym": 0.05,
    "shape": 0.05,
    "intent": 0.05,
}
"""How many of the questions are of each kind; each kind is asked at least once."""

POSITIONS = ("left of", "right of", "above", "under")
FAMILIES = {
    "light grey": "grey",
    "dark red": "red",
    "gold": "yellow",
    "light green": "green",
    "dark green": "green",
    "teal": "turquoise",
    "light blue": "blue",
    "navy": "blue",
    "lavender": "purple",
    "light pink": "pink",
    "cream": "beige",
}
BADGES = ("disc", "shield shape", "rounded square", "hexagon", "heart shape")


@dataclass(frozen=True)
class Question:
    """A scene to draw from its caption; `without` lacks what an intent adds to it.

    `category` is that of its first thing in the concept bank.
    """

    kind: str
    scene: Scene
    caption: str
    without: Scene | None = None
    category: str = ""


def family(colour: str) -> str:
    """Return the basic colour that a colour word belongs to."""
    return FAMILIES.get(colour, colour)


class Questions:
    """Draws questions about the concepts that a judge knows."""

    def __init__(self, bank: Path, concepts: Sequence[str], seed: int = 0):
        """Read the concept bank; the same seed asks the same questions."""
        self.grammar = Grammar(bank)
        self.known = [name for name in concepts if name in self.grammar.concepts]
        self.rng = random.Random(f"questions {seed}")
        self._deck: list[str] = []

    def ask(self, count: int) -> list[Question]:
        """Return about `count` questions, by kind as in `SHARES`."""
        make = {
            "single": self._single,
            "colour": self._colour,
            "pair": self._pair,
            "held-out pair": self._held_out_pair,
            "binding": self._binding,
            "count": self._count,
            "synonym": self._synonym,
            "shape": self._shape,
            "intent": self._intent,
        }
        asked: list[Question] = []
        for kind, share in SHARES.items():
            for number in range(max(1, round(share * count))):
                scene, without = make[kind](number)
                asked.append(self._question(kind, scene, without))
        return asked

    def every_concept(self) -> list[Question]:
        """Return one single-object question for each concept."""
        scenes = [self._single(number)[0] for number in range(len(self.known))]
        return [self._question("single", scene, None) for scene in scenes]

    def _question(self, kind: str, scene: Scene, without: Scene | None) -> Question:
        category = self.grammar.concepts[scene.items[0].concept]["category"]
        return Question(kind, scene, caption(scene), without, category)

    def _deal(self) -> str:
        """Return a concept; none comes again before all have come."""
        if not self._deck:
            self._deck = self.rng.sample(self.known, len(self.known))
        return self._deck.pop()

    def _style(self, *names: str, tinted: bool = False) -> str:
        """Return a style that has all the concepts; the emblem only where things are tinted."""
        drawn = [self.grammar.concepts[name]["styles"] for name in names]
        styles = [s for s in STYLES if all(s in d for d in drawn) and (tinted or s != "emblem")]
        return self.rng.choice(styles or [next(iter(drawn[0]))])

    def _ground(self, style: str, *names: str, plain: float = 0.6) -> Background:
        """Return a background; a plain one has none of the colours that the things have."""
        own = {self.grammar.concepts[n]["styles"].get(style, {}).get("colour") for n in names}
        draw = self.rng.random()
        if draw < plain:
            seen = [c for c in COLOURS if family(c) not in {family(o) for o in own if o}]
            return Background("plain", (self.rng.choice(seen),))
        if draw < plain + 0.4 * (1 - plain):
            return Background(self.rng.choice(TEXTURES), tuple(self.rng.sample(list(COLOURS), 2)))
        return Background(self.rng.choice(LANDSCAPES), ())

    def _tint(self, *beside: str) -> str:
        """Return a colour word of another family than those beside it, and far from them."""
        far = [
            word
            for word, value in COLOURS.items()
            if all(
                family(word) != family(b)
                and sum(abs(x - y) for x, y in zip(value, rgb(b), strict=True)) > 130
                for b in beside
            )
        ]
        return self.rng.choice(far)

    def _outline(self, name: str, style: str) -> Outline:
        return self.grammar.outline(name, style)

    def _single(self, number: int) -> tuple[Scene, None]:
        name = self._deal()
        return self._one(name, name, "square"), None

    def _one(self, name: str, said: str, shape: str) -> Scene:
        style = self._style(name)
        side = self.rng.uniform(0.55, 0.9)
        box = fit(self._outline(name, style), 0.5, 0.5, side, shape)
        return Scene((Item(name, said, box),), self._ground(style, name), style, shape=shape)

    def _colour(self, number: int) -> tuple[Scene, None]:
        name, colour = self._deal(), list(COLOURS)[number % len(COLOURS)]
        style = self._style(name, tinted=True)
        item = Item(name, name, fit(self._outline(name, style), 0.5, 0.5, 0.75, "square"), colour)
        return Scene((item,), Background("plain", (self._tint(colour),)), style), None

    def _two(self, relation: str, *, held_out: bool, tinted: bool) -> Scene:
        while True:
            first, second = self.rng.sample(self.known, 2)
            if is_held_out_pair(first, second) == held_out and group_of(first) != group_of(second):
                break
        names = (first, second)
        style = self._style(*names, tinted=tinted)
        boxes = place(relation, [self._outline(name, style) for name in names])
        colours: list[str | None] = [None, None]
        ground = self._ground(style, *names, plain=0.75)
        if tinted:
            one = self.rng.choice(list(COLOURS))
            two = self._tint(one)
            colours, ground = [one, two], Background("plain", (self._tint(one, two),))
        items = [Item(n, n, b, c) for n, b, c in zip(names, boxes, colours, strict=True)]
        order = draw_order(relation, 2)
        return Scene(tuple(items[i] for i in order), ground, style, relation=relation)

    def _pair(self, number: int) -> tuple[Scene, None]:
        relation = (*POSITIONS, "next to", "with")[number % 6]
        return self._two(relation, held_out=False, tinted=False), None

    def _held_out_pair(self, number: int) -> tuple[Scene, None]:
        relation = (*POSITIONS, "next to", "with")[number % 6]
        return self._two(relation, held_out=True, tinted=False), None

    def _binding(self, number: int) -> tuple[Scene, None]:
        relation = (*POSITIONS, "next to", "with")[number % 6]
        return self._two(relation, held_out=False, tinted=True), None

    def _count(self, number: int) -> tuple[Scene, None]:
        name = self._deal()
        style = self._style(name)
        boxes = grid(2 + number % 5, self._outline(name, style))
        items = tuple(Item(name, name, box) for box in boxes)
        return Scene(items, self._ground(style, name, plain=1.0), style), None

    def _synonym(self, number: int) -> tuple[Scene, None]:
        said = [
            (name, word)
            for name in self.known
            for word in self.grammar.concepts[name]["aliases"]
            if is_held_out_word(word)
        ]
        name, word = self.rng.choice(said) if said else (self._deal(), "")
        return self._one(name, word or name, "square"), None

    def _shape(self, number: int) -> tuple[Scene, None]:
        name = self._deal()
        return self._one(name, name, ("wide", "tall")[number % 2]), None

    def _intent(self, number: int) -> tuple[Scene, Scene]:
        """Return a badge of a logo, a frame of a welcome card, or the rim of a sticker."""
        name, intent = self._deal(), ("logo", "welcome", "sticker")[number % 3]
        style = self._style(name, tinted=intent == "logo")
        ground = self._tint("white")
        colour = self._tint(ground)
        outline = self._outline(name, style)
        if intent == "logo":
            badge = self.rng.choice(BADGES)
            shape = self._outline(badge, "flat")
            back = (Item(badge, badge, fit(shape, 0.5, 0.5, 0.8, "square"), colour),)
            item = Item(
                name, name, fit(outline, 0.5, 0.5, 0.44, "square"), self._tint(colour, ground)
            )
        else:
            framed = intent == "welcome"
            back = (Item("frame", "frame", Box(0.5, 0.5, 0.94, 0.94), colour),) * framed
            item = Item(name, name, fit(outline, 0.5, 0.5, 0.62, "square"))
        scene = Scene((*back, item), Background("plain", (ground,)), style, intent)
        return scene, dataclasses.replace(scene, items=(item,), intent="picture")
