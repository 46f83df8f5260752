"""The reference library: named drawings in five styles, as training art and as shipped references.

`python -m training.library --sprites FOLDER` reads the sprite library that `training.assets` builds
and writes two things:

* the *art* for training, `data/art/`: `art.npy`, uint8 (N, 5, S, S), premultiplied RGB, alpha and the
  mask of what a colour word recolours; and `art.json`, one row per drawing;
* the *bank* that ships, `src/gouache/weights/`: `concepts.json` (names, synonyms, keywords, outlines)
  and `references.bin` (64 x 64 RGBA drawings, each its own zlib stream, see `pack_reference`).
"""

import argparse
import io
import json
import lzma
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import resvg_py
from PIL import Image

STYLE_SOURCES = {
    "flat": "fluent-emoji-flat",
    "cartoon": "noto",
    "bold": "twemoji",
    "soft": "fluent-emoji",
    "emblem": "fluent-emoji-high-contrast",
}
REFERENCE_SIDE = 64
MIN_COLOUR_STYLES = 3
LEFT_OUT = ("symbols on mouth", "vulcan", "one o", "o’clock", "o'clock", "tower of", "CL button")

SHAPE_SVGS = {
    "disc": '<circle cx="50" cy="50" r="50"/>',
    "circle outline": '<path fill-rule="evenodd" d="M50 0a50 50 0 1 0 0 100a50 50 0 1 0 0-100z'
    'M50 9a41 41 0 1 1 0 82a41 41 0 1 1 0-82z"/>',
    "rounded square": '<rect width="100" height="100" rx="22"/>',
    "shield shape": '<path d="M50 0C64 9 80 13 96 13C97 54 86 83 50 100C14 83 3 54 4 13C20 13 36 9 50 0z"/>',
    "hexagon": '<path d="M50 0L93.3 25V75L50 100L6.7 75V25z"/>',
    "heart shape": '<path d="M50 94C20 72 2 54 2 31C2 14 15 4 28 4C38 4 46 10 50 18C54 10 62 4 72 4'
    'C85 4 98 14 98 31C98 54 80 72 50 94z"/>',
    "ribbon shape": '<path d="M0 34H18V28H82V34H100L91 50L100 66H82V72H18V66H0L9 50z"/>',
    "frame": '<path fill-rule="evenodd" d="M0 0H100V100H0zM4 4V96H96V4z"/>',
    "panel": '<rect width="100" height="100" rx="5"/>',
}
"""Plain shapes that logos, icons and cards stand on; they always have a wanted colour."""


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    """Return the records of an xz-compressed JSON-lines file."""
    with lzma.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def choose_concepts(sprites: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return concepts drawn in at least three colour styles, one per name, with a sprite per style."""
    style_of = {source: style for style, source in STYLE_SOURCES.items()}
    groups: dict[str, dict[str, dict[str, Any]]] = {}
    for sprite in sprites:
        if sprite["src"] in style_of and sprite.get("emoji") and sprite["vector"]:
            key = sprite["emoji"].replace("\ufe0f", "")
            groups.setdefault(key, {}).setdefault(style_of[sprite["src"]], sprite)
    concepts: dict[str, dict[str, Any]] = {}
    for emoji, by_style in sorted(groups.items()):
        first = by_style.get("flat") or next(iter(by_style.values()))
        name = first["name"].removesuffix(" emoji")
        few = sum(style != "emblem" for style in by_style) < MIN_COLOUR_STYLES
        if few or first["kind"] == "flag" or any(part in name for part in LEFT_OUT):
            continue
        near = [word for sprite in by_style.values() for word in sprite.get("near") or []]
        aliases = [word for sprite in by_style.values() for word in sprite["aliases"]]
        concepts.setdefault(
            name,
            {
                "name": name,
                "aliases": sorted({word for word in aliases if word != name}),
                "near": sorted({word for word in near if word != name}),
                "keywords": sorted({word for s in by_style.values() for word in s["kw"] or []}),
                "category": first["cat"],
                "kind": first["kind"],
                "view": first.get("view"),
                "article": first["article"],
                "emoji": emoji,
                "sprites": by_style,
            },
        )
    return list(concepts.values())


def rasterise(svg: str, side: int) -> np.ndarray:
    """Return a drawing as float32 (4, side, side), premultiplied RGBA in 0..1, centred, trimmed to its ink."""
    png = resvg_py.svg_to_bytes(svg_string=svg, width=2 * side, height=2 * side)
    image = Image.open(io.BytesIO(bytes(png))).convert("RGBa")
    box = image.getchannel("a").point(lambda a: 255 if a > 6 else 0).getbbox()
    if box is None:
        raise ValueError("the drawing is empty")
    image = image.crop(box)
    scale = side / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    image = image.resize(size, Image.Resampling.BOX if scale < 1 else Image.Resampling.BICUBIC)
    canvas = Image.new("RGBa", (side, side))
    canvas.paste(image, ((side - size[0]) // 2, (side - size[1]) // 2))
    return np.asarray(canvas, np.float32).transpose(2, 0, 1) / 255


def recolour_mask(rgba: np.ndarray, hue: float | None) -> np.ndarray:
    """Return 0..1 (S, S): the part of a drawing that a colour word recolours.

    With a ruling hue (degrees) it is what lies near that hue; without one it is the whole drawing.
    """
    alpha = rgba[3]
    if hue is None:
        return np.ones_like(alpha)
    rgb = rgba[:3] / np.maximum(alpha, 1e-3)
    most, least = rgb.max(0), rgb.min(0)
    spread = np.maximum(most - least, 1e-6)
    r, g, b = rgb
    angle = np.where(
        most == r,
        (g - b) / spread % 6,
        np.where(most == g, (b - r) / spread + 2, (r - g) / spread + 4),
    )
    away = np.abs((angle * 60 - hue + 180) % 360 - 180)
    near = np.clip((48 - away) / 20, 0, 1)
    coloured = np.clip((spread / np.maximum(most, 1e-3) - 0.10) / 0.12, 0, 1)
    return near * coloured


def outline_of(alpha: np.ndarray) -> tuple[float, float]:
    """Return aspect (width : height) and seat (see `gouache.scene.Outline`) of a drawing's alpha (S, S)."""
    rows, columns = np.nonzero(alpha.max(1) > 0.1)[0], np.nonzero(alpha.max(0) > 0.1)[0]
    height, width = rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1
    third = range(columns[0] + width // 3, columns[-1] - width // 3 + 1)
    tops = [int(np.argmax(alpha[:, c] > 0.5)) - int(rows[0]) for c in third]
    return round(width / height, 3), round(float(np.median(tops)) / height, 3)


def ruling_light(rgba: np.ndarray, mask: np.ndarray) -> float:
    """Return the luminance, 0..1, that most of the recoloured part has."""
    weight = (rgba[3] * mask > 0.5) & (rgba[3] > 0.9)
    if not weight.any():
        return 0.7
    light = (rgba[:3] * np.array([0.3, 0.59, 0.11])[:, None, None]).sum(0)[weight]
    return round(float(np.clip(np.quantile(light, 0.6), 0.12, 0.95)), 3)


def pack_reference(rgba: np.ndarray) -> bytes:
    """Compress uint8 (4, 64, 64), straight RGBA: zlib over horizontal differences, modulo 256."""
    return zlib.compress(np.diff(rgba, axis=2, prepend=np.uint8(0)).tobytes(), 9)


def unpack_reference(packed: bytes) -> np.ndarray:
    """Return the uint8 (4, 64, 64) that `pack_reference` was given."""
    steps = np.frombuffer(zlib.decompress(packed), np.uint8).reshape(4, REFERENCE_SIDE, -1)
    return np.cumsum(steps, axis=2, dtype=np.uint8)


def quantise(rgba: np.ndarray) -> np.ndarray:
    """Return a 64 px drawing as straight uint8 RGBA of few levels, so that it packs small."""
    alpha = np.round(rgba[3:] * 17).clip(0, 17) / 17
    rgb = np.where(alpha > 0.04, rgba[:3] / np.maximum(rgba[3:], 1e-3), 0).clip(0, 1)
    levels = np.concatenate([np.round(rgb * 63) / 63, alpha])
    return np.round(levels * 255).astype(np.uint8)


def shape_concepts() -> list[dict[str, Any]]:
    """Return the plain shapes as concepts that look alike in every style."""
    rows = []
    for name, body in SHAPE_SVGS.items():
        svg = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 100">{body}</svg>'
        sprite = {"svg": svg, "mono": True, "recolor": False, "hue": None, "color": None}
        rows.append(
            {
                "name": name,
                "aliases": [],
                "near": [],
                "keywords": [],
                "category": "shape",
                "kind": "shape",
                "view": None,
                "article": "a",
                "emoji": None,
                "sprites": {style: sprite for style in STYLE_SOURCES},
            }
        )
    return rows


def build(sprites_folder: Path, art_folder: Path, bank_folder: Path, side: int) -> None:
    """Write the art and the bank; the two JSON files, which make them valid, come last."""
    concepts = choose_concepts(read_jsonl(sprites_folder / "sprites.jsonl.xz"))
    wanted = {s["id"] for c in concepts for s in c["sprites"].values()}
    svgs = {
        row["id"]: row["svg"]
        for row in read_jsonl(sprites_folder / "vectors.jsonl.xz")
        if row["id"] in wanted
    }
    concepts += shape_concepts()
    art, rows, references = [], [], bytearray()
    for number, concept in enumerate(concepts):
        styles = {}
        for style, sprite in concept.pop("sprites").items():
            try:
                rgba = rasterise(sprite.get("svg") or svgs[sprite["id"]], side)
            except (KeyError, ValueError):
                continue  # a drawing that this rasteriser cannot read is simply not in this style
            hue = float(sprite["hue"]) if sprite["recolor"] and not sprite["mono"] else None
            mask = recolour_mask(rgba, hue)
            aspect, seat = outline_of(rgba[3])
            art.append(np.round(np.concatenate([rgba, mask[None]]) * 255).astype(np.uint8))
            light = 0.02 if sprite["mono"] else ruling_light(rgba, mask)
            rows.append(
                {
                    "concept": concept["name"],
                    "style": style,
                    "light": light,
                    "mono": sprite["mono"],
                    "aspect": aspect,
                    "seat": seat,
                    "colour": sprite["color"],
                }
            )
            small = _shrink(rgba, REFERENCE_SIDE)
            packed = pack_reference(quantise(small))
            styles[style] = {
                "aspect": aspect,
                "seat": seat,
                "colour": sprite["color"],
                "at": [len(references), len(packed)],
            }
            references += packed
        concept["styles"] = styles
        if number % 100 == 0:
            print(f"{number}/{len(concepts)} concepts, {len(rows)} drawings", flush=True)
    concepts = [concept for concept in concepts if concept["styles"]]
    art_folder.mkdir(parents=True, exist_ok=True)
    bank_folder.mkdir(parents=True, exist_ok=True)
    np.save(art_folder / "art.npy", np.stack(art))
    (art_folder / "art.json").write_text(json.dumps(rows))
    (bank_folder / "references.bin").write_bytes(references)
    text = ",\n".join(json.dumps(c, ensure_ascii=False, separators=(",", ":")) for c in concepts)
    (bank_folder / "concepts.json").write_text(f"[\n{text}\n]\n", encoding="utf-8")
    print(
        f"{len(concepts)} concepts, {len(rows)} drawings, references {len(references) / 1e6:.1f} MB"
    )


def _shrink(rgba: np.ndarray, side: int) -> np.ndarray:
    factor = rgba.shape[1] // side
    return rgba.reshape(4, side, factor, side, factor).mean((2, 4))


def main() -> None:
    """Build the art and the bank from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sprites", type=Path, default=Path("data/sprites"))
    parser.add_argument("--art", type=Path, default=Path("data/art"))
    parser.add_argument("--bank", type=Path, default=Path("src/gouache/weights"))
    parser.add_argument("--side", type=int, default=128, help="pixels of a training drawing")
    arguments = parser.parse_args()
    build(arguments.sprites, arguments.art, arguments.bank, arguments.side)


if __name__ == "__main__":
    main()
