"""Room for words in a scene: where type goes, by use and shape, and how the things make way for it."""

from dataclasses import dataclass, replace

from gouache.scene import Box, Scene

MOST_GROWTH = 1.25
"""How much things may grow to fill their part."""


@dataclass(frozen=True, slots=True)
class Room:
    """Where words go, and the part of the canvas that the things then have.

    `is_left` says that the words begin at the left edge of their zone, else they are centred; `is_over`
    that they lie over things, which need a plate.
    """

    zone: Box
    things: Box
    is_left: bool = False
    is_over: bool = False


def _area(left: float, top: float, right: float, bottom: float) -> Box:
    return Box((left + right) / 2, (top + bottom) / 2, right - left, bottom - top)


_WHOLE = _area(0, 0, 1, 1)
_MARK = {
    "square": Room(_area(0.08, 0.745, 0.92, 0.94), _area(0.1, 0.06, 0.9, 0.71)),
    "wide": Room(_area(0.47, 0.2, 0.94, 0.8), _area(0.05, 0.1, 0.43, 0.9), is_left=True),
    "tall": Room(_area(0.08, 0.68, 0.92, 0.86), _area(0.06, 0.14, 0.94, 0.65)),
}
_TITLE = {
    "square": Room(_area(0.06, 0.055, 0.94, 0.27), _area(0.04, 0.29, 0.96, 0.97)),
    "wide": Room(_area(0.08, 0.06, 0.92, 0.3), _area(0.04, 0.32, 0.96, 0.97)),
    "tall": Room(_area(0.07, 0.06, 0.93, 0.26), _area(0.03, 0.29, 0.97, 0.95)),
}
_BANNER = {
    "square": Room(_area(0.06, 0.06, 0.94, 0.3), _area(0.04, 0.33, 0.96, 0.96)),
    "wide": Room(_area(0.06, 0.14, 0.46, 0.86), _area(0.48, 0.05, 0.97, 0.95), is_left=True),
    "tall": Room(_area(0.07, 0.06, 0.93, 0.34), _area(0.03, 0.37, 0.97, 0.96)),
}
_CARD = {
    "square": Room(_area(0.16, 0.66, 0.84, 0.86), _area(0.14, 0.13, 0.86, 0.64)),
    "wide": Room(_area(0.31, 0.66, 0.69, 0.86), _area(0.3, 0.13, 0.7, 0.64)),
    "tall": Room(_area(0.16, 0.6, 0.84, 0.71), _area(0.14, 0.29, 0.86, 0.59)),
}
_OVER = {
    "square": Room(_area(0.2, 0.4, 0.8, 0.6), _WHOLE, is_over=True),
    "wide": Room(_area(0.25, 0.36, 0.75, 0.64), _WHOLE, is_over=True),
    "tall": Room(_area(0.15, 0.42, 0.85, 0.58), _WHOLE, is_over=True),
}
_ROOMS = {
    "logo": _MARK,
    "icon": _MARK,
    "sticker": _MARK,
    "avatar": _MARK,
    "banner": _BANNER,
    "newsletter": _BANNER,
    "invitation": _CARD,
    "pattern": _OVER,
}


def room(scene: Scene) -> Room:
    """Return the room that words have in a picture of this use and shape."""
    return _ROOMS.get(scene.intent, _TITLE)[scene.shape]


def make_room(scene: Scene) -> Scene:
    """Return the scene with its things, together, as large as the room beside the words allows.

    A card's frame stays, and so do things that the words lie over.
    """
    made = room(scene)
    moved = [i for i in scene.items if i.concept != "frame"]
    if made.is_over or not moved:
        return scene
    lefts, rights = zip(
        *((i.box.cx - i.box.w / 2, i.box.cx + i.box.w / 2) for i in moved), strict=True
    )
    tops, ends = zip(
        *((i.box.cy - i.box.h / 2, i.box.cy + i.box.h / 2) for i in moved), strict=True
    )
    whole = _area(min(lefts), min(tops), max(rights), max(ends))
    scale = min(made.things.w / whole.w, made.things.h / whole.h, MOST_GROWTH)
    return replace(
        scene,
        items=tuple(
            i if i.concept == "frame" else replace(i, box=_moved(i.box, whole, made.things, scale))
            for i in scene.items
        ),
    )


def _moved(box: Box, whole: Box, things: Box, scale: float) -> Box:
    x, y = things.cx + (box.cx - whole.cx) * scale, things.cy + (box.cy - whole.cy) * scale
    return Box(x, y, box.w * scale, box.h * scale)
