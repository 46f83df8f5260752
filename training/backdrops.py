"""Backdrops drawn by code: named landscapes as pictures, textures as masks between two colours.

`landscape(kind, width, height, rng)` returns uint8 (H, W, 3); `texture(kind, ...)` returns float32
(H, W), 0 where the first colour shows and 1 where the second does. Both are drawn at twice the size
and averaged down, so edges are smooth.
"""

import colorsys
import math
import random
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw

Colour = tuple[int, int, int]


def landscape(kind: str, width: int, height: int, rng: random.Random) -> np.ndarray:
    """Draw one of `gouache.scene.LANDSCAPES`, a little different each time."""
    canvas = _Canvas(width, height, rng)
    _LANDSCAPES[kind](canvas)
    return canvas.finished()


def texture(kind: str, width: int, height: int, rng: random.Random) -> np.ndarray:
    """Draw one of `gouache.scene.TEXTURES`, a little different each time."""
    if kind == "gradient":
        return np.repeat(((np.arange(height) + 0.5) / height)[:, None], width, 1).astype("float32")
    image = Image.new("L", (2 * width, 2 * height))
    _TEXTURES[kind](ImageDraw.Draw(image), 2 * width, 2 * height, rng)
    small = image.resize((width, height), Image.Resampling.BOX)
    return np.asarray(small, np.float32) / 255


class _Canvas:
    """A double-size picture with drawing words in fractions of its width and height."""

    def __init__(self, width: int, height: int, rng: random.Random):
        self.w, self.h, self.rng = 2 * width, 2 * height, rng
        self.image = Image.new("RGB", (self.w, self.h))
        self.pen = ImageDraw.Draw(self.image)

    def finished(self) -> np.ndarray:
        return np.asarray(self.image.resize((self.w // 2, self.h // 2), Image.Resampling.BOX))

    def shade(self, colour: Colour, amount: float = 0.04) -> Colour:
        """Return the colour, varied a little in hue, saturation and value."""
        h, s, v = colorsys.rgb_to_hsv(*(c / 255 for c in colour))
        vary = self.rng.uniform
        h, s = (h + vary(-amount, amount) / 2) % 1, min(1, max(0, s + vary(-amount, amount) * 2))
        v = min(1, max(0, v + vary(-amount, amount) * 2))
        r, g, b = (round(255 * c) for c in colorsys.hsv_to_rgb(h, s, v))
        return r, g, b

    def sky(self, top: Colour, bottom: Colour, until: float = 1.0) -> None:
        """Fill from the top down to `until` with a gradient."""
        top, bottom = self.shade(top), self.shade(bottom)
        last = max(1, int(self.h * until))
        for y in range(last):
            mix = y / last
            row = tuple(round(a + (b - a) * mix) for a, b in zip(top, bottom, strict=True))
            self.pen.line([(0, y), (self.w, y)], fill=row)

    def ridge(self, level: float, swing: float, colour: Colour, waves: float = 1.5) -> None:
        """Fill below a soft wavy line around `level`."""
        phase, extra = self.rng.uniform(0, 6.3), self.rng.uniform(0, 6.3)
        points = [(0.0, float(self.h))]
        for step in range(41):
            x = step / 40
            y = level + swing * (
                math.sin(waves * 2 * math.pi * x + phase) + 0.4 * math.sin(7 * x + extra)
            )
            points.append((x * self.w, y * self.h))
        self.pen.polygon([*points, (self.w, self.h)], fill=self.shade(colour))

    def band(self, top: float, bottom: float, colour: Colour) -> None:
        """Fill a full-width band."""
        box = (0, top * self.h, self.w, bottom * self.h)
        self.pen.rectangle(box, fill=self.shade(colour))

    def box(self, x: float, y: float, w: float, h: float, colour: Colour) -> None:
        """Fill a rectangle given by its top left corner and size."""
        corners = (x * self.w, y * self.h, (x + w) * self.w, (y + h) * self.h)
        self.pen.rectangle(corners, fill=colour)

    def blob(self, x: float, y: float, radius: float, colour: Colour, flat: float = 1.0) -> None:
        """Fill an ellipse; `radius` is a fraction of the shorter side, `flat` its height : width."""
        r = radius * min(self.w, self.h)
        cx, cy = x * self.w, y * self.h
        self.pen.ellipse((cx - r, cy - r * flat, cx + r, cy + r * flat), fill=colour)

    def clouds(self, count: int, lowest: float, colour: Colour = (255, 255, 255)) -> None:
        """Scatter clouds of three puffs each above `lowest`."""
        for _ in range(count):
            x, y = self.rng.random(), self.rng.uniform(0.05, lowest)
            size = self.rng.uniform(0.05, 0.1)
            for dx, scale in ((-1.1, 0.7), (0, 1.0), (1.1, 0.75)):
                self.blob(x + dx * size, y, size * scale, colour, 0.62)

    def stars(self, count: int, lowest: float = 1.0) -> None:
        """Scatter small stars above `lowest`."""
        for _ in range(count):
            radius = self.rng.choice((0.004, 0.006, 0.01))
            colour = self.rng.choice(((255, 255, 255), (255, 240, 190)))
            self.blob(self.rng.random(), self.rng.uniform(0, lowest), radius, colour)

    def peaks(self, base: float, count: int, colour: Colour, snow: bool) -> None:
        """Draw triangular mountains standing on `base`."""
        for i in range(count):
            x = (i + self.rng.uniform(0.2, 0.8)) / count
            high, half = self.rng.uniform(0.25, 0.42), self.rng.uniform(0.22, 0.32)
            tip = ((x * self.w), (base - high) * self.h)
            left, right = ((x - half) * self.w, base * self.h), ((x + half) * self.w, base * self.h)
            self.pen.polygon([left, tip, right], fill=self.shade(colour))
            if snow:
                ends = [
                    tuple(t + (e - t) * 0.28 for t, e in zip(tip, end, strict=True))
                    for end in (left, right)
                ]
                self.pen.polygon([ends[0], tip, ends[1]], fill=(244, 248, 252))

    def trees(self, base: float, count: int, colour: Colour) -> None:
        """Draw pointed trees standing on `base`."""
        for _ in range(count):
            x, high = self.rng.random(), self.rng.uniform(0.2, 0.4)
            half = high * 0.22
            points = [(x - half, base), (x, base - high), (x + half, base)]
            self.pen.polygon([(px * self.w, py * self.h) for px, py in points], self.shade(colour))

    def houses(self, base: float, colours: list[Colour], lit: Colour) -> None:
        """Draw a row of buildings with windows standing on `base`."""
        x = -0.03
        while x < 1:
            w, h = self.rng.uniform(0.1, 0.18), self.rng.uniform(0.18, 0.5)
            self.box(x, base - h, w, h, self.shade(self.rng.choice(colours)))
            for row in range(int(h / 0.09)):
                for column in range(2):
                    if self.rng.random() < 0.7:
                        at = x + w * (0.2 + 0.38 * column)
                        self.box(at, base - h + 0.03 + row * 0.09, w * 0.2, 0.04, lit)
            x += w + self.rng.choice((0.0, 0.01))


def _meadow(c: _Canvas) -> None:
    c.sky((130, 200, 245), (214, 238, 250))
    c.clouds(c.rng.randrange(3), 0.3)
    ground = c.rng.uniform(0.55, 0.68)
    c.ridge(ground, 0.02, (124, 196, 92))
    for _ in range(c.rng.randrange(8, 20)):
        colour = c.rng.choice([(255, 255, 255), (250, 210, 60), (240, 120, 150)])
        c.blob(c.rng.random(), c.rng.uniform(ground + 0.06, 1), 0.012, colour)


def _hills(c: _Canvas) -> None:
    c.sky((140, 205, 246), (224, 242, 250))
    c.clouds(c.rng.randrange(3), 0.3)
    for level, colour in ((0.5, (150, 206, 128)), (0.63, (110, 182, 96)), (0.78, (80, 156, 78))):
        c.ridge(level, 0.06, colour)


def _mountains(c: _Canvas) -> None:
    c.sky((120, 186, 240), (222, 238, 250))
    c.peaks(0.7, 3, (120, 136, 166), snow=True)
    c.ridge(0.68, 0.02, (96, 160, 96))


def _sea(c: _Canvas) -> None:
    c.sky((150, 210, 248), (226, 244, 252), 0.5)
    c.clouds(c.rng.randrange(3), 0.25)
    c.band(0.46, 1, (46, 134, 200))
    for level in (0.6, 0.74, 0.88):
        c.ridge(level, 0.012, (38, 118, 186), 4)


def _beach(c: _Canvas) -> None:
    c.sky((130, 204, 248), (216, 240, 252), 0.45)
    c.blob(c.rng.uniform(0.1, 0.9), 0.14, 0.08, (255, 222, 90))
    c.band(0.42, 0.7, (50, 160, 206))
    c.ridge(0.68, 0.012, (240, 250, 252), 2)
    c.ridge(0.71, 0.012, (240, 216, 160), 2)


def _desert(c: _Canvas) -> None:
    c.sky((250, 206, 140), (254, 236, 196))
    c.blob(c.rng.uniform(0.15, 0.85), 0.18, 0.09, (255, 246, 214))
    c.ridge(0.6, 0.05, (232, 180, 106))
    c.ridge(0.76, 0.05, (216, 156, 84))


def _forest(c: _Canvas) -> None:
    c.sky((186, 224, 214), (224, 242, 226))
    c.trees(0.72, 14, (84, 146, 104))
    c.band(0.7, 1, (104, 160, 84))
    c.trees(0.84, 7, (44, 108, 72))
    c.band(0.84, 1, (92, 146, 74))


def _street(c: _Canvas) -> None:
    c.sky((170, 214, 244), (230, 242, 250))
    c.houses(
        0.72, [(226, 138, 112), (238, 196, 128), (150, 178, 200), (214, 160, 170)], (250, 246, 220)
    )
    c.band(0.72, 0.78, (200, 200, 204))
    c.band(0.78, 1, (98, 102, 112))
    for i in range(4):
        c.box(0.05 + i * 0.26, 0.88, 0.14, 0.018, (244, 240, 220))


def _skyline(c: _Canvas) -> None:
    night = c.rng.random() < 0.4
    c.sky(*(((24, 32, 80), (88, 70, 140)) if night else ((160, 206, 240), (240, 232, 226))))
    lit = (252, 222, 120) if night else (214, 232, 244)
    c.houses(
        1.0, [(44, 54, 92), (58, 68, 112)] if night else [(110, 138, 172), (88, 116, 152)], lit
    )


def _night(c: _Canvas) -> None:
    c.sky((16, 22, 64), (52, 58, 122))
    c.stars(40, 0.85)
    c.blob(c.rng.uniform(0.15, 0.85), 0.18, 0.08, (250, 242, 204))
    c.ridge(0.86, 0.03, (20, 34, 54))


def _space(c: _Canvas) -> None:
    c.sky((12, 12, 38), (38, 22, 74))
    c.stars(60)
    colour = c.rng.choice([(226, 120, 84), (96, 170, 206), (216, 180, 110), (170, 120, 210)])
    c.blob(c.rng.random(), c.rng.choice((0.12, 0.86)), c.rng.uniform(0.06, 0.14), c.shade(colour))


def _sunset(c: _Canvas) -> None:
    c.sky((110, 70, 150), (255, 178, 96))
    c.blob(c.rng.uniform(0.3, 0.7), 0.66, 0.13, (255, 226, 130))
    c.ridge(0.76, 0.02, (84, 50, 106))


def _cloudy(c: _Canvas) -> None:
    c.sky((110, 186, 240), (206, 234, 250))
    c.clouds(7, 0.95)


def _snowy(c: _Canvas) -> None:
    c.sky((176, 208, 236), (228, 238, 248))
    c.trees(0.68, 6, (70, 120, 112))
    c.ridge(0.66, 0.03, (240, 246, 252))
    for _ in range(26):
        c.blob(c.rng.random(), c.rng.random(), 0.01, (255, 255, 255))


def _room(c: _Canvas) -> None:
    wall = c.rng.choice([(240, 222, 196), (206, 226, 220), (226, 212, 232), (214, 226, 240)])
    c.band(0, 0.74, wall)
    c.box(0.62, 0.12, 0.26, 0.3, (250, 250, 248))
    c.box(0.645, 0.145, 0.21, 0.25, (170, 216, 244))
    c.box(0.745, 0.12, 0.012, 0.3, (250, 250, 248))
    c.band(0.72, 0.75, (250, 246, 238))
    c.band(0.75, 1, c.rng.choice([(178, 128, 88), (150, 104, 74), (196, 156, 116)]))


def _stage(c: _Canvas) -> None:
    c.band(0, 1, (92, 18, 40))
    for i in range(9):
        c.box(i / 9, 0, 0.05, 0.8, c.shade((150, 30, 54)))
    c.band(0.78, 1, (146, 98, 62))
    c.blob(0.5, 0.86, 0.36, (220, 178, 120), 0.22)


def _under_water(c: _Canvas) -> None:
    c.sky((90, 196, 226), (16, 76, 140))
    for _ in range(14):
        c.blob(c.rng.random(), c.rng.random(), c.rng.uniform(0.008, 0.025), (176, 228, 244))
    c.ridge(0.88, 0.02, (206, 186, 134))


_LANDSCAPES: dict[str, Callable[[_Canvas], None]] = {
    "meadow": _meadow,
    "hills": _hills,
    "mountains": _mountains,
    "sea": _sea,
    "beach": _beach,
    "desert": _desert,
    "forest": _forest,
    "street": _street,
    "city skyline": _skyline,
    "night sky": _night,
    "outer space": _space,
    "sunset sky": _sunset,
    "cloudy sky": _cloudy,
    "snowy field": _snowy,
    "room": _room,
    "stage": _stage,
    "under water": _under_water,
}


def _stripes(pen: ImageDraw.ImageDraw, w: int, h: int, rng: random.Random) -> None:
    pitch = min(w, h) / rng.choice((5, 6, 8))
    slant = rng.choice((0.0, 1.0)) * h
    for i in range(-12, 30):
        x = 2 * i * pitch
        pen.polygon([(x, 0), (x + pitch, 0), (x + pitch - slant, h), (x - slant, h)], fill=255)


def _dots(pen: ImageDraw.ImageDraw, w: int, h: int, rng: random.Random) -> None:
    pitch = min(w, h) / rng.choice((5, 6, 8))
    r = pitch * rng.uniform(0.16, 0.28)
    for row in range(int(h / pitch) + 2):
        for column in range(int(w / pitch) + 2):
            x, y = (column + row % 2 / 2) * pitch, row * pitch
            pen.ellipse((x - r, y - r, x + r, y + r), fill=255)


def _rays(pen: ImageDraw.ImageDraw, w: int, h: int, rng: random.Random) -> None:
    count, turn, far = rng.choice((10, 12, 16)), rng.random(), 2.0 * max(w, h)
    for i in range(count):
        ends = [2 * math.pi * (i + turn + part) / count for part in (0.0, 0.5)]
        far_points = [(w / 2 + far * math.cos(a), h / 2 + far * math.sin(a)) for a in ends]
        pen.polygon([(w / 2, h / 2), *far_points], fill=255)


def _confetti(pen: ImageDraw.ImageDraw, w: int, h: int, rng: random.Random) -> None:
    side = min(w, h)
    for _ in range(int(44 * w * h / side**2)):
        x, y, r = rng.random() * w, rng.random() * h, side * rng.uniform(0.012, 0.024)
        angle = rng.random() * math.pi
        dx, dy = r * math.cos(angle), r * math.sin(angle)
        pen.polygon(
            [
                (x - dx - dy, y - dy + dx),
                (x + dx - dy, y + dy + dx),
                (x + dx + dy, y + dy - dx),
                (x - dx + dy, y - dy - dx),
            ],
            fill=255,
        )


def _waves(pen: ImageDraw.ImageDraw, w: int, h: int, rng: random.Random) -> None:
    level, phase = rng.uniform(0.62, 0.8), rng.random() * 6.3
    points = [(x, h * (level + 0.05 * math.sin(x / w * 9 + phase))) for x in range(0, w + 4, 4)]
    pen.polygon([(0, h), *points, (w, h)], fill=255)


def _checks(pen: ImageDraw.ImageDraw, w: int, h: int, rng: random.Random) -> None:
    side = min(w, h) / rng.choice((4, 6, 8))
    for row in range(int(h / side) + 1):
        for column in range(row % 2, int(w / side) + 1, 2):
            x, y = column * side, row * side
            pen.rectangle((x, y, x + side - 1, y + side - 1), fill=255)


_TEXTURES: dict[str, Callable[[ImageDraw.ImageDraw, int, int, random.Random], None]] = {
    "stripes": _stripes,
    "dots": _dots,
    "rays": _rays,
    "confetti": _confetti,
    "waves": _waves,
    "checks": _checks,
}
