"""Where things stand to each other: boxes for every drawing of a wish, back to front.

A group fills a canvas of the shape asked for; `in_square` and `shrink` move it into a part of one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from gouache.concepts import Concept
from gouache.scene import SHAPES, Background, Box, Outline, draw_order, fit, grid, place


@dataclass(slots=True)
class Thing:
    """One concept to be drawn `count` times, in its own colours or in `colour`."""

    concept: Concept
    said: str
    colour: str | None = None
    count: int = 1


@dataclass(slots=True)
class Wish:
    """What was asked for, in concepts. `relation` ties the first `subjects` things to the next ones.

    `sky` is a small thing at the top. With a relation, `things` are its subjects, then its objects
    (`objects` of them), then the rest.
    """

    intent: str
    things: list[Thing]
    style: str | None = None
    relation: str | None = None
    subjects: int = 1
    objects: int = 1
    background: Background | None = None
    sky: Thing | None = None
    palette: list[str] = field(default_factory=list)
    badge: str | None = None
    badge_colour: str | None = None
    swapped: list[tuple[str, str]] = field(default_factory=list)


def outline(thing: Thing, style: str) -> Outline:
    """Return the outline of a thing as it is drawn in a style."""
    return thing.concept.styles[style].outline


def group(wish: Wish, style: str, shape: str) -> list[tuple[Thing, Box]]:
    """Return every drawing with its box on a canvas of its own, back to front."""
    things = wish.things
    if len(things) == 1:
        thing = things[0]
        boxes = grid(thing.count, outline(thing, style), shape) if thing.count > 1 else None
        boxes = boxes or place("with", [outline(thing, style)], shape)
        return [(thing, box) for box in boxes]
    if wish.relation in (None, "with"):
        return _cluster(things, style, shape)
    return _related(wish, style, shape)


def _cluster(things: Sequence[Thing], style: str, shape: str) -> list[tuple[Thing, Box]]:
    """Place things without a relation: a row of up to three, else near-square rows."""
    drawn = [thing for thing in things for _ in range(thing.count)]
    outlines = [outline(thing, style) for thing in drawn]
    if len(drawn) <= 2 or (len(drawn) == 3 and shape != "square"):
        boxes = place("with", outlines, shape)
    elif len(drawn) == 3:
        spots = ((0.5, 0.27), (0.27, 0.73), (0.73, 0.73))
        boxes = [fit(o, cx, cy, 0.46, shape) for o, (cx, cy) in zip(outlines, spots, strict=True)]
    else:
        cells = grid(len(drawn), Outline(1.0), shape)
        short = min(SHAPES[shape]) / SHAPES[shape][0]
        boxes = [
            fit(o, cell.cx, cell.cy, cell.w / short, shape)
            for o, cell in zip(outlines, cells, strict=True)
        ]
    return list(zip(drawn, boxes, strict=True))


def _related(wish: Wish, style: str, shape: str) -> list[tuple[Thing, Box]]:
    """Place subjects and objects by their relation, and the rest beside them."""
    relation = wish.relation or "with"
    tied = wish.subjects + wish.objects
    if relation == "between" and wish.objects > 1:
        parts = [wish.things[: wish.subjects], *([t] for t in wish.things[wish.subjects : tied])]
    else:
        parts = [wish.things[: wish.subjects], wish.things[wish.subjects : tied]]
    if relation == "between" and len(parts) == 2 and parts[1][0].count > 1:
        thing = parts[1][0]
        half = replace(thing, count=max(1, thing.count // 2))
        parts = [parts[0], [half], [replace(thing, count=thing.count - half.count)]]
    boxes = place(relation, [_joint_outline(part, style) for part in parts], shape)
    placed: list[tuple[Thing, Box]] = []
    for i in draw_order(relation, len(parts)):
        placed += _split(parts[i], boxes[i], style)
    rest = wish.things[tied:]
    if not rest:
        return placed
    across = shape != "tall"
    spot, other = ((0.34, 0.5), (0.84, 0.5)) if across else ((0.5, 0.34), (0.5, 0.84))
    placed = [(t, shrink(b, spot, 0.66)) for t, b in placed]
    beside = _cluster(rest, style, "tall" if shape == "square" else "square")
    beside = _cluster(rest, style, shape) if len(rest) == 1 and rest[0].count == 1 else beside
    return [(t, shrink(b, other, 0.3)) for t, b in beside] + placed


def _joint_outline(things: Sequence[Thing], style: str) -> Outline:
    """Return the outline of things in a row that share one height."""
    outlines = [outline(t, style) for t in things for _ in range(t.count)]
    seat = sum(o.seat for o in outlines) / len(outlines)
    return Outline(sum(o.aspect for o in outlines), seat)


def _split(things: Sequence[Thing], box: Box, style: str) -> list[tuple[Thing, Box]]:
    """Share the box of a row among its drawings by their widths."""
    drawn = [(t, outline(t, style).aspect) for t in things for _ in range(t.count)]
    whole = sum(aspect for _, aspect in drawn)
    left, shared = box.cx - box.w / 2, []
    for thing, aspect in drawn:
        w = box.w * aspect / whole
        shared.append((thing, Box(left + w / 2, box.cy, w, box.h)))
        left += w
    return shared


def shrink(box: Box, centre: tuple[float, float], scale: float) -> Box:
    """Shrink a canvas to `scale` around a new centre."""
    return Box(
        centre[0] + (box.cx - 0.5) * scale,
        centre[1] + (box.cy - 0.5) * scale,
        box.w * scale,
        box.h * scale,
    )


def in_square(box: Box, cx: float, cy: float, side: float, shape: str) -> Box:
    """Move a box from a square canvas to a square of `side` (of the shorter side) at (cx, cy)."""
    across, down = SHAPES[shape]
    short = min(across, down)
    x, y = side * short / across, side * short / down
    return Box(cx + (box.cx - 0.5) * x, cy + (box.cy - 0.5) * y, box.w * x, box.h * y)
