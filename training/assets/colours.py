"""Colour words for pixels and for the options of avatars."""

import colorsys
import re

COLOUR_RULES = (
    (
        14,
        (
            (lambda s, v: s < 0.5 and v > 0.75, "pink"),
            (lambda s, v: v > 0.55, "red"),
            (lambda s, v: s > 0.5, "dark red"),
        ),
        "brown",
    ),
    (
        38,
        (
            (lambda s, v: s < 0.42 and v > 0.78, "beige"),
            (lambda s, v: v < 0.68 or (s < 0.62 and v < 0.82), "brown"),
        ),
        "orange",
    ),
    (
        44,
        (
            (lambda s, v: s < 0.42 and v > 0.78, "beige"),
            (lambda s, v: v < 0.68 or (s < 0.62 and v < 0.82), "brown"),
        ),
        "yellow",
    ),
    (
        68,
        ((lambda s, v: s < 0.3 and v > 0.8, "beige"), (lambda s, v: v > 0.6, "yellow")),
        "olive green",
    ),
    (160, ((lambda s, v: v > 0.42, "green"),), "dark green"),
    (188, ((lambda s, v: v < 0.78 or s > 0.5, "teal"),), "light blue"),
    (
        256,
        ((lambda s, v: s < 0.5 and v > 0.75, "light blue"), (lambda s, v: v > 0.45, "blue")),
        "navy blue",
    ),
    (292, (), "purple"),
    (345, ((lambda s, v: v > 0.6, "pink"),), "purple"),
)
"""Hue below which a row counts, tests of saturation and value with their word, the word else."""
GREYS = ((0.9, "white"), (0.74, "light gray"), (0.36, "gray"), (0.24, "dark gray"))
HAIR_WORDS = {
    "orange": "red",
    "dark red": "red",
    "yellow": "blonde",
    "beige": "blonde",
    "light gray": "gray",
    "dark gray": "black",
}
BROWN_HAIR = ((40, "black"), (70, "dark brown"), (135, "brown"))
SKIN_WORDS = ((190, "light"), (150, "tan"), (105, "brown"))


def colour_word(red: int, green: int, blue: int) -> str:
    """Return the everyday word for an sRGB colour, channels 0 to 255."""
    hue, saturation, value = colorsys.rgb_to_hsv(red / 255, green / 255, blue / 255)
    if value < 0.2:
        return "black"
    if saturation < 0.13:
        return next((word for floor, word in GREYS if value > floor), "black")
    degrees = hue * 360 if hue * 360 < 345 else 0
    tests, otherwise = next((row[1], row[2]) for row in COLOUR_RULES if degrees < row[0])
    return next((word for test, word in tests if test(saturation, value)), otherwise)


def channels(code: str) -> tuple[int, int, int]:
    """Return the channels of a colour code such as "#ffcc00"."""
    return tuple(bytes.fromhex(code.lstrip("#")))


def luminance(code: str) -> float:
    """Return how light a colour code is, 0 to 255."""
    red, green, blue = channels(code)
    return 0.3 * red + 0.59 * green + 0.11 * blue


def code_word(code: object) -> str:
    """Return the word for a colour code, "colorful" for what is none."""
    if not re.fullmatch(r"#?[0-9a-fA-F]{6}", str(code)):
        return "colorful"
    return colour_word(*channels(str(code)))


def hair_word(code: str) -> str:
    """Return the word people use for hair of a colour code."""
    word = code_word(code)
    if word in ("brown", "olive green"):
        light = luminance(code)
        return next((hair for below, hair in BROWN_HAIR if light < below), "blonde")
    return HAIR_WORDS.get(word, word)


def skin_word(code: str) -> str:
    """Return the word for skin of a colour code."""
    light = luminance(code)
    return next((word for above, word in SKIN_WORDS if light > above), "dark")
