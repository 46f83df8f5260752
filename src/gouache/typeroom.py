"""Room for words in a scene: where type goes, by use and shape, and how the things make way for it."""

from dataclasses import dataclass, replace

from gouache.scene import Box, Item, Scene


@dataclass(frozen=True, slots=True)
class Room:
    """Where words go, and what becomes of the things: scaled by `scale` around `centre`.

    `is_left` says that the words begin at the left edge of their zone; else they are centred.
    """

    zone: Box
    centre: tuple[float, float] = (0.5, 0.5)
    scale: float = 1.0
    is_left: bool = False


def _zone(left: float, top: float, right: float, bottom: float) -> Box:
    return Box((left + right) / 2, (top + bottom) / 2, right - left, bottom - top)


_MARK = {
    "square": Room(_zone(0.08, 0.735, 0.92, 0.94), (0.5, 0.395), 0.76),
    "wide": Room(_zone(0.47, 0.2, 0.94, 0.8), (0.25, 0.5), 0.86, is_left=True),
    "tall": Room(_zone(0.08, 0.68, 0.92, 0.86), (0.5, 0.42), 0.96),
}
_TITLE = {
    "square": Room(_zone(0.06, 0.055, 0.94, 0.3), (0.5, 0.64), 0.74),
    "wide": Room(_zone(0.08, 0.06, 0.92, 0.3), (0.5, 0.65), 0.7),
    "tall": Room(_zone(0.07, 0.06, 0.93, 0.28), (0.5, 0.6), 0.86),
}
_BANNER = {
    "square": Room(_zone(0.06, 0.06, 0.94, 0.3), (0.357, 0.64), 0.92),
    "wide": Room(_zone(0.06, 0.14, 0.46, 0.86), is_left=True),
    "tall": Room(_zone(0.07, 0.06, 0.93, 0.38)),
}
_CARD = {
    "square": Room(_zone(0.16, 0.63, 0.84, 0.85), (0.5, 0.44), 0.86),
    "wide": Room(_zone(0.31, 0.63, 0.69, 0.84), (0.5, 0.38), 0.78),
    "tall": Room(_zone(0.16, 0.585, 0.84, 0.7), (0.5, 0.43), 0.78),
}
_OVER = {
    "square": Room(_zone(0.2, 0.4, 0.8, 0.6)),
    "wide": Room(_zone(0.25, 0.36, 0.75, 0.64)),
    "tall": Room(_zone(0.15, 0.42, 0.85, 0.58)),
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
    """Return the scene with its things moved out of the way of words; a card's frame stays."""
    made = room(scene)
    return replace(
        scene, items=tuple(i if i.concept == "frame" else _moved(i, made) for i in scene.items)
    )


def _moved(item: Item, made: Room) -> Item:
    (cx, cy), scale, box = made.centre, made.scale, item.box
    x, y = cx + (box.cx - 0.5) * scale, cy + (box.cy - 0.5) * scale
    return replace(item, box=Box(x, y, box.w * scale, box.h * scale))
