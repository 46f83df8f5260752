"""Writes the library's files: one part per source, then all parts joined, the marker last.

A part folder gets its final name only when it is whole, so an interrupted build goes on with the
sources it has not finished. `library.json` is written after everything else: no marker, no library
(`test_the_marker_is_written_last`).
"""

import json
import lzma
import os
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from training.assets.captions import make_captions
from training.assets.sources import attribution, licence_rows

MARKER = "library.json"
PARTS = "parts"
FORMAT = 1


def write_lines(path: Path, rows: Iterable[dict[str, Any]]) -> int:
    """Write JSON lines, compressed if the name ends in .xz; return how many."""
    count = 0
    compressed = path.suffix == ".xz"
    with lzma.open(path, "wb", preset=6) if compressed else path.open("wb") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False).encode() + b"\n")
            count += 1
    return count


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows of a JSON lines file, one at a time."""
    with lzma.open(path, "rb") if path.suffix == ".xz" else path.open("rb") as file:
        for line in file:
            yield json.loads(line)


def write_whole(path: Path, text: str) -> None:
    """Write a small file so that it is either there in full or not at all."""
    part = path.with_name(path.name + ".part")
    with part.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def read_marker(out: Path) -> dict[str, Any] | None:
    """Return what library.json says, None if there is no finished library."""
    path = out / MARKER
    return json.loads(path.read_text("utf-8")) if path.is_file() else None


class PartWriter:
    """Writes the sprites of one source into `parts/<source>.<state>`.

    Used as a context; the part appears under its name when the block ends without an error.
    """

    def __init__(self, out: Path, key: str, state: str):
        """`state` names what the build depends on; parts of another state are not used."""
        self.folder = out / PARTS / f"{key}.{state}"
        self.unfinished = self.folder.with_name(self.folder.name + ".part")
        self.rows: list[dict[str, Any]] = []
        self.vectors: list[dict[str, str]] = []
        self.rasters: list[bytes] = []
        self.dropped: Counter[str] = Counter()

    @property
    def is_finished(self) -> bool:
        """Whether an earlier run wrote this part in full."""
        return self.folder.is_dir()

    def add(self, row: dict[str, Any], svg: str | None, raster: bytes | None) -> None:
        """Add a sprite with its SVG text or its raster picture."""
        self.rows.append(row)
        if svg is not None:
            self.vectors.append({"id": row["id"], "svg": svg})
        if raster is not None:
            self.rasters.append(raster)

    def __enter__(self) -> "PartWriter":
        """Start with an empty folder."""
        shutil.rmtree(self.unfinished, ignore_errors=True)
        self.unfinished.mkdir(parents=True)
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        """Write the files and give the folder its name."""
        if error is None:
            write_lines(self.unfinished / "sprites.jsonl", self.rows)
            write_lines(self.unfinished / "vectors.jsonl", self.vectors)
            (self.unfinished / "raster.bin").write_bytes(b"".join(self.rasters))
            (self.unfinished / "dropped.json").write_text(json.dumps(self.dropped), "utf-8")
            self.unfinished.rename(self.folder)


def joined_rows(parts: list[Path]) -> Iterator[dict[str, Any]]:
    """Yield the rows of all parts with their place in the joined raster.bin."""
    offset = 0
    for part in parts:
        for row in read_lines(part / "sprites.jsonl"):
            if not row["vector"]:
                row["off"] = offset
                offset += row["len"]
            yield row


def join_parts(out: Path, parts: list[Path]) -> Counter[str]:
    """Write the joined files and return the number of sprites of each source."""
    counts = Counter(row["src"] for row in joined_rows(parts))
    write_lines(out / "sprites.jsonl.xz", joined_rows(parts))
    captions = ({"id": row["id"], "captions": make_captions(row)} for row in joined_rows(parts))
    write_lines(out / "captions.jsonl.xz", captions)
    vectors = (row for part in parts for row in read_lines(part / "vectors.jsonl"))
    write_lines(out / "vectors.jsonl.xz", vectors)
    with (out / "raster.bin").open("wb") as file:
        for part in parts:
            with (part / "raster.bin").open("rb") as rasters:
                shutil.copyfileobj(rasters, file)
    return counts


def write_library(
    out: Path, parts: list[Path], backgrounds: list[dict[str, str]], *, state: str
) -> dict[str, Any]:
    """Join the parts into the library, write the marker last and return what it says."""
    (out / MARKER).unlink(missing_ok=True)
    counts = join_parts(out, parts)
    write_lines(out / "backgrounds.jsonl.xz", backgrounds)
    credited = dict(counts)
    if backgrounds:
        credited["hero-patterns"] = len(backgrounds)
    write_whole(out / "ATTRIBUTION.md", attribution(credited))
    licences = json.dumps(licence_rows(credited), ensure_ascii=False, indent=1)
    write_whole(out / "licences.json", licences + "\n")
    dropped: Counter[str] = Counter()
    for part in parts:
        dropped.update(json.loads((part / "dropped.json").read_text("utf-8")))
    marker = {
        "format": FORMAT,
        "state": state,
        "sprites": sum(counts.values()),
        "backgrounds": len(backgrounds),
        "sources": dict(counts),
        "dropped": dict(dropped),
    }
    write_whole(out / MARKER, json.dumps(marker, indent=1) + "\n")
    shutil.rmtree(out / PARTS, ignore_errors=True)
    return marker
