"""A drawing before it is measured: a picture and the words that go with it."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from training.assets.sources import Source


@dataclass(kw_only=True)
class Drawing:
    """One picture of a source, as SVG text or as a file, with its names."""

    id: str
    source: Source
    name: str
    kind: str
    category: str
    styles: tuple[str, ...]
    aliases: list[str] = field(default_factory=list)
    nouns: list[str] = field(default_factory=list)
    keywords: list[str] = field(default_factory=list)
    svg: str | None = None
    file: Path | None = None
    more: dict[str, Any] = field(default_factory=dict)
    """Fields that few drawings have: tone, facing, view, emoji, near."""


def load_icon_set(modules: Path, source: Source) -> dict[str, Any]:
    """Return the icons.json of an icon package."""
    return json.loads((modules / source.package / "icons.json").read_text("utf-8"))


def shown_icons(icon_set: dict[str, Any]) -> list[str]:
    """Return the names of the icons that are not withdrawn."""
    return [name for name, icon in icon_set["icons"].items() if not icon.get("hidden")]


def icon_svg(icon_set: dict[str, Any], name: str) -> str:
    """Return an icon as a whole SVG text; its current colour becomes black."""
    icon = icon_set["icons"][name]
    sizes = {"left": 0, "top": 0, "width": 16, "height": 16}
    box = [icon.get(key, icon_set.get(key, size)) for key, size in sizes.items()]
    body = icon["body"].replace("currentColor", "#000")
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'viewBox="{" ".join(map(str, box))}" width="{box[2]}" height="{box[3]}">{body}</svg>'
    )


def with_namespaces(svg: str) -> str:
    """Return SVG text with the namespaces declared that it uses."""
    if "xlink:" in svg and "xmlns:xlink" not in svg:
        svg = svg.replace("<svg ", '<svg xmlns:xlink="http://www.w3.org/1999/xlink" ', 1)
    if "xmlns=" not in svg[:400]:
        svg = svg.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)
    return svg
