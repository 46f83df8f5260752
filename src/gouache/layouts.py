"""From a wish to a scene: style, colours, ground and boxes, by what the picture is for.

Things stand in one group; an intent says which square part of the canvas the group gets and what
stands behind it. All chance comes from the generator passed in, so a seed gives one scene.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import replace

from gouache.concepts import Concept
from gouache.grouping import Thing, Wish, group, in_square, outline, shrink
from gouache.scene import COLOURS, SHAPES, Background, Box, Item, Outline, Scene, fit, grid, rgb

MOST_ENTRIES = 10
"""The denoiser's layout entries: a background takes one, a two-colour background two."""

CLEAR = 200.0
"""Contrast (see `contrast`) at which a thing stands out from its ground."""

VANISHING = 100.0
"""Contrast below which a thing that was asked for in one colour is lost on its ground."""

PALE = ("light blue", "cream", "light pink", "lavender", "light green", "beige", "light grey")
STRONG = ("navy", "teal", "purple", "dark green", "blue", "dark red", "orange", "turquoise")
AVATAR_GROUNDS = (
    "light blue",
    "lavender",
    "light pink",
    "light green",
    "turquoise",
    "yellow",
    "beige",
)
DEFAULT_STYLES = {
    "picture": "flat",
    "logo": "emblem",
    "avatar": "cartoon",
    "banner": "flat",
    "newsletter": "flat",
    "welcome": "cartoon",
    "icon": "flat",
    "sticker": "bold",
    "invitation": "flat",
    "poster": "bold",
    "pattern": "flat",
}
DARKER = {
    "light blue": "blue",
    "light pink": "pink",
    "light green": "green",
    "lavender": "purple",
    "cream": "gold",
    "beige": "brown",
    "light grey": "grey",
    "white": "light blue",
    "yellow": "orange",
}


def lay_out(wish: Wish, shapes: dict[str, Concept], shape: str, rng: random.Random) -> Scene:
    """Return the scene of a wish on a canvas; `shapes` are the plain shapes by name.

    What had to be drawn otherwise than asked is added to `wish.swapped`.
    """
    style = choose_style(wish)
    if wish.things:
        items, background = _PLANS.get(wish.intent, _plan_picture)(wish, style, shape, rng)
    else:
        items, background = _plan_abstract(wish, shapes, shape, rng)
    if wish.sky and style in wish.sky.concept.styles:
        items = _under_sky(wish.sky, items, style, shape)
    items, background = _within_entries(items, background)
    related = wish.relation if wish.things and not _has_backing(wish.intent) else None
    return Scene(tuple(items), background, style, wish.intent, related, shape)


def _under_sky(sky: Thing, items: list[Item], style: str, shape: str) -> list[Item]:
    """Return the items moved down a little, behind them a small thing at the upper right."""
    lower = [replace(i, box=shrink(i.box, (0.47, 0.55), 0.86)) for i in items]
    return [*_items([(sky, fit(outline(sky, style), 0.84, 0.15, 0.22, shape))]), *lower]


def _has_backing(intent: str) -> bool:
    return intent in ("logo", "icon", "pattern", "invitation")


def choose_style(wish: Wish) -> str:
    """Return the style asked for or usual, or the first in which everything can be drawn."""
    usual = wish.style or DEFAULT_STYLES[wish.intent]
    if wish.intent == "logo" and usual in ("flat", "emblem"):  # a mark is of one colour, mostly
        usual = "flat" if len(wish.palette) > 2 else "emblem"
    order = [usual, "flat", "cartoon", "bold", "soft", "emblem"]
    return next((s for s in order if all(s in t.concept.styles for t in wish.things)), "flat")


def contrast(one: str, other: str) -> float:
    """Return how far two colours lie apart to the eye, 0 to about 765.

    Source: the "redmean" approximation of Thiadmer Riemersma, Colour metric, 1999.
    """
    (r1, g1, b1), (r2, g2, b2) = rgb(one), rgb(other)
    red = (r1 + r2) / 2
    return float(
        (
            (2 + red / 256) * (r1 - r2) ** 2
            + 4 * (g1 - g2) ** 2
            + (2 + (255 - red) / 256) * (b1 - b2) ** 2
        )
        ** 0.5
    )


def choose_colour(
    against: Sequence[str], choices: Sequence[str], rng: random.Random, *, least: int = 1
) -> str:
    """Return a choice that stands out from all of `against`, drawn from the `least` clearest or more."""
    away = {c: min((contrast(c, a) for a in against), default=CLEAR) for c in choices}
    clearest = sorted(away, key=lambda c: -away[c])
    clear = [c for c in clearest if away[c] >= CLEAR]
    return rng.choice(clear if len(clear) >= least else clearest[:least])


def _own_colours(wish: Wish, style: str) -> list[str]:
    """Return the ruling colours of the things as they will be drawn, as far as they have any."""
    if style == "emblem":  # its drawings take any colour
        return [t.colour for t in wish.things if t.colour]
    drawn = [t.colour or t.concept.styles[style].colour for t in wish.things]
    named = [t.concept.name.split(" ")[0] for t in wish.things if t.colour is None]
    drawn += [c for c in named if c in COLOURS and c not in drawn and c not in ("orange", "light")]
    return [c for c in drawn if c is not None and (c in COLOURS or c.startswith("#"))]


def _items(placed: Sequence[tuple[Thing, Box]], colour: str | None = None) -> list[Item]:
    """Return items; those without a wanted colour get `colour`."""
    items = [Item(t.concept.name, t.said, box, t.colour or colour) for t, box in placed]
    return [replace(i, said=_without_colour(i.said)) if i.colour else i for i in items]


def _without_colour(said: str) -> str:
    """Return "heart" for "red heart", which is to be drawn in another colour."""
    first, _, rest = said.partition(" ")
    return rest if rest and first in COLOURS and first != "black" else said


def _backing(name: str, colour: str, box: Box) -> Item:
    return Item(name, name, box, colour)


Plan = tuple[list[Item], Background]


def _ground(
    wish: Wish, style: str, rng: random.Random, choices: Sequence[str] = PALE
) -> Background:
    """Return the background asked for, kept clear of the things, or a calm one that suits them."""
    colours = _own_colours(wish, style)
    asked = wish.background
    if asked is None:
        ground = wish.palette[0] if wish.palette else choose_colour(colours, choices, rng, least=3)
        if any(contrast(ground, c) < VANISHING for c in colours):
            ground = choose_colour(colours, [*choices, *STRONG], rng)
        return Background("plain", (ground,))
    wanted = [t.colour for t in wish.things if t.colour]
    wanted += [c for c in colours if c in asked.colours[:1]]
    if not asked.colours or all(contrast(asked.colours[0], c) >= VANISHING for c in wanted):
        return asked
    clear = [c for c in COLOURS if all(contrast(c, w) >= VANISHING for w in wanted)]
    if not clear:
        return asked
    nearest = min(clear, key=lambda c: contrast(c, asked.colours[0]))
    wish.swapped.append((f"{asked.colours[0]} background", f"{nearest} background"))
    return Background(asked.kind, (nearest, *asked.colours[1:]))


def _tint(style: str, ground: Background, rng: random.Random) -> str | None:
    """Return a colour for things of the one-colour style; others keep their own."""
    if style != "emblem":
        return None
    against = ground.colours[:1] or ("light blue",)
    return choose_colour(against, ("navy", "black", "white", "dark green", "purple"), rng)


def _plan_picture(wish: Wish, style: str, shape: str, rng: random.Random) -> Plan:
    ground = _ground(wish, style, rng)
    if wish.background is None and not wish.palette and rng.random() < 0.25:
        second = choose_colour(_own_colours(wish, style), PALE, rng)
        if second != ground.colours[0]:
            ground = Background("gradient", (ground.colours[0], second))
    return _items(group(wish, style, shape), _tint(style, ground, rng)), ground


def _plan_mark(wish: Wish, style: str, shape: str, rng: random.Random) -> Plan:
    """Logo or icon: one thing on a badge, or bare where a colour was asked for the thing itself."""
    icon = wish.intent == "icon"
    thing_colour = next((t.colour for t in wish.things if t.colour), None)
    palette = [c for c in wish.palette if c != thing_colour]
    main = wish.badge_colour or (palette[0] if palette else None)
    asked = wish.background.colours[0] if wish.background and wish.background.colours else None
    if asked and main and not (icon or wish.badge or thing_colour):
        thing_colour, main = main, None  # "gold on black"
    bare = not icon and not wish.badge and main is None and thing_colour is not None
    if bare and contrast(thing_colour or "black", asked or "white") >= CLEAR:
        ground = _ground(wish, style, rng, ("white", "cream"))
        boxes = [(t, shrink(b, (0.5, 0.5), 0.92)) for t, b in group(wish, style, shape)]
        return _items(boxes, thing_colour), ground
    own = [thing_colour] if thing_colour else _own_colours(wish, "flat")
    if main is None:
        ruling = own[0] if own and style == "emblem" and not thing_colour else None
        suits = ruling in STRONG or ruling in ("brown", "red", "green", "pink")
        main = ruling if ruling and suits else choose_colour(own, STRONG, rng, least=2)
    tint = None
    if style == "emblem":
        second = next((c for c in palette if c != main), "white")
        tint = (
            second
            if contrast(main, second) >= CLEAR
            else choose_colour([main], ("white", "navy"), rng)
        )
    badge = wish.badge or ("rounded square" if icon else rng.choice(BADGES))
    across = {"shield shape": 0.5, "hexagon": 0.54, "heart shape": 0.46}.get(badge, 0.6)
    boxes = [
        (t, in_square(b, 0.5, 0.5, 0.84 * across / 0.78, shape))
        for t, b in group(wish, style, "square")
    ]
    back = fit(Outline(1.0), 0.5, 0.5, 0.84, shape)
    third = palette[2] if len(palette) > 2 and palette[0] == main else None
    ground = wish.background or Background("plain", (third or _paper(main),))
    if ground.colours and contrast(ground.colours[0], main) < VANISHING:
        ground = Background("plain", (_paper(main),))
    return [_backing(badge, main, back), *_items(boxes, tint)], ground


BADGES = ("disc", "disc", "rounded square", "shield shape", "hexagon")


def _paper(colour: str) -> str:
    """Return white, or a dark ground for what would vanish on white."""
    return "white" if contrast(colour, "white") >= CLEAR else "navy"


def _plan_avatar(wish: Wish, style: str, shape: str, rng: random.Random) -> Plan:
    """A head or a figure alone, before a clear colour."""
    ground = _ground(wish, style, rng, AVATAR_GROUNDS)
    placed = [(t, in_square(b, 0.5, 0.5, 1.06, shape)) for t, b in group(wish, style, "square")]
    return _items(placed, _tint(style, ground, rng)), ground


def _plan_banner(wish: Wish, style: str, shape: str, rng: random.Random) -> Plan:
    """Things on the right, or below on a tall canvas, with room for words left."""
    cx, cy, side = {"wide": (0.72, 0.5, 0.94), "square": (0.655, 0.5, 0.68)}.get(
        shape, (0.5, 0.68, 0.94)
    )
    ground = _ground(wish, style, rng)
    placed = [(t, in_square(b, cx, cy, side, shape)) for t, b in group(wish, style, "square")]
    return _items(placed, _tint(style, ground, rng)), ground


def _plan_welcome(wish: Wish, style: str, shape: str, rng: random.Random) -> Plan:
    """The first thing large in the middle, the others smaller on both sides above it, confetti."""
    ground = _ground(wish, style, rng)
    if wish.background is None and len(wish.things) < 8:
        second = choose_colour(
            [ground.colours[0]], ("pink", "gold", "teal", "orange", "purple"), rng
        )
        ground = Background("confetti", (ground.colours[0], second))
    drawn = [thing for thing in wish.things for _ in range(thing.count)]
    if wish.relation not in (None, "with") or len(drawn) > 3:
        return _items(group(wish, style, shape), _tint(style, ground, rng)), ground
    sides = {"wide": (0.2, 0.8, 0.42), "square": (0.18, 0.82, 0.28)}.get(shape, (0.27, 0.73, 0.22))
    spots = [(0.5, 0.56, 0.52), (sides[0], sides[2], 0.3), (sides[1], sides[2], 0.3)]
    placed = [
        (t, fit(outline(t, style), cx, cy, side, shape))
        for t, (cx, cy, side) in zip(drawn, spots, strict=False)
    ]
    return _items(placed[::-1], _tint(style, ground, rng)), ground


def _plan_sticker(wish: Wish, style: str, shape: str, rng: random.Random) -> Plan:
    """Things with room for the white rim that stickers have, or on the shape asked for."""
    if wish.badge:
        return _plan_mark(wish, style, shape, rng)
    ground = wish.background
    if ground is None:
        clear = choose_colour(["white", *_own_colours(wish, style)], PALE + STRONG, rng, least=3)
        ground = Background("plain", (wish.palette[0] if wish.palette else clear,))
    placed = [(t, in_square(b, 0.5, 0.5, 0.98, shape)) for t, b in group(wish, style, "square")]
    return _items(placed, _tint(style, ground, rng)), ground


def _plan_invitation(wish: Wish, style: str, shape: str, rng: random.Random) -> Plan:
    """Things in a frame; where there are words, `typeroom` makes room for them."""
    ground = _ground(wish, style, rng)
    border = wish.palette[1] if len(wish.palette) > 1 else None
    border = border or choose_colour(ground.colours[:1], ("gold", "teal", "pink", "navy"), rng)
    frame = _backing("frame", border, Box(0.5, 0.5, 0.93, 0.93))
    # The frame stays square in the middle of the canvas.
    placed = [(t, in_square(b, 0.5, 0.5, 0.74, shape)) for t, b in group(wish, style, "square")]
    return [frame, *_items(placed, _tint(style, ground, rng))], ground


def _plan_poster(wish: Wish, style: str, shape: str, rng: random.Random) -> Plan:
    """Things large before rays."""
    ground = _ground(wish, style, rng)
    if wish.background is None:
        first = ground.colours[0]
        own = _own_colours(wish, style)
        choices = [*wish.palette[1:2], DARKER.get(first, "cream"), "white", "cream"]
        clear = [c for c in choices if all(contrast(c, a) >= VANISHING for a in [first, *own])]
        ground = Background("rays", (first, clear[0])) if clear else ground
    return _items(group(wish, style, shape), _tint(style, ground, rng)), ground


def _plan_pattern(wish: Wish, style: str, shape: str, rng: random.Random) -> Plan:
    """Up to three kinds of thing in turn, in rows over the whole canvas."""
    ground = _ground(wish, style, rng)
    many = 9 if shape == "square" and len(ground.colours) < 2 else 8
    kinds = wish.things[:3]
    cells = grid(many, Outline(1.0), shape)
    side = cells[0].w * SHAPES[shape][0] / min(SHAPES[shape]) * 0.86
    placed = []
    for i, cell in enumerate(cells):
        thing = kinds[i % len(kinds)]
        placed.append((thing, fit(outline(thing, style), cell.cx, cell.cy, side, shape)))
    return _items(placed, _tint(style, ground, rng)), ground


def _plan_abstract(wish: Wish, shapes: dict[str, Concept], shape: str, rng: random.Random) -> Plan:
    """A composition of plain shapes where nothing was understood; only the ground if that was asked."""
    ground = wish.background
    if ground is not None and wish.intent == "picture":
        return [], ground
    if wish.intent in ("logo", "icon"):
        return _plan_plain_mark(wish, shape, rng)
    ground = ground or Background("gradient", ("light blue", "lavender"))
    first = (ground.colours or ("light blue",))[0]
    usable = [c for c in wish.palette if contrast(c, first) >= VANISHING]
    colours = usable or rng.sample(["teal", "orange", "pink", "navy", "gold", "purple"], 3)
    spots = [(0.4, 0.46, 0.56), (0.64, 0.6, 0.42), (0.66, 0.3, 0.24)]
    names = [
        name for name in ("disc", "hexagon", "rounded square", "circle outline") if name in shapes
    ]
    items = [
        _backing(name, colours[i % len(colours)], fit(Outline(1.0), cx, cy, side, shape))
        for i, (name, (cx, cy, side)) in enumerate(
            zip(rng.sample(names, len(names)), spots, strict=False)
        )
    ]
    return items, ground


def _plan_plain_mark(wish: Wish, shape: str, rng: random.Random) -> Plan:
    """One plain shape on another, for a company of which nothing is known."""
    main = wish.badge_colour or (wish.palette[0] if wish.palette else rng.choice(STRONG))
    second = wish.palette[1] if len(wish.palette) > 1 else _paper(main)
    badge = wish.badge or rng.choice(("disc", "rounded square"))
    inner = rng.choice(("hexagon", "circle outline"))
    boxes = [fit(Outline(1.0), 0.5, 0.5, side, shape) for side in (0.84, 0.44)]
    items = [_backing(badge, main, boxes[0]), _backing(inner, second, boxes[1])]
    return items, wish.background or Background("plain", (_paper(main),))


def _within_entries(items: list[Item], ground: Background) -> Plan:
    """Keep to the denoiser's layout entries: a plain ground before leaving things out."""
    room = MOST_ENTRIES - max(1, len(ground.colours))
    if len(items) > room and len(ground.colours) > 1:
        ground = Background("plain", ground.colours[:1])
        room = MOST_ENTRIES - 1
    return items[-room:], ground


_PLANS: dict[str, Callable[[Wish, str, str, random.Random], Plan]] = {
    "logo": _plan_mark,
    "icon": _plan_mark,
    "avatar": _plan_avatar,
    "banner": _plan_banner,
    "newsletter": _plan_banner,
    "welcome": _plan_welcome,
    "sticker": _plan_sticker,
    "invitation": _plan_invitation,
    "poster": _plan_poster,
    "pattern": _plan_pattern,
}
