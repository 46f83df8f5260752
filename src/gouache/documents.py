"""PDF documents from HTML or text, with stored pictures at the resolution of print.

Only the pictures handed in are read; no other address is, not of a file and not of a network. What was
not read is said in a warning. Nothing runs that is written in a document. The typesetter runs in a process
of its own (`typesetter.py`), with our fonts before those of the system.
"""

import html
import json
import math
import re
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from gouache.errors import GouacheError, RequestError, StorageError

CONTENT_TYPE = "application/pdf"
EXTENSION = ".pdf"
MAX_PAGES = 500
MAX_PIXELS = 50_000_000
MM_PER_INCH = 25.4
LEAST_DPI = 150
"""A picture is printed as large as that allows, or smaller where there is less room; the document
itself may ask for another size."""

PROCESSOR_SECONDS = 20
WALL_SECONDS = 120.0
MEMORY_BYTES = 2**30
TOO_LONG = -getattr(signal, "SIGXCPU", 24)

SIZES_MM = {
    "A3": (297.0, 420.0),
    "A4": (210.0, 297.0),
    "A5": (148.0, 210.0),
    "B5": (176.0, 250.0),
    "Letter": (215.9, 279.4),
    "Legal": (215.9, 355.6),
}

_TYPESETTER = Path(__file__).with_name("typesetter.py")
_FILEUUID = re.compile(
    r"""(?:\bsrc\s*=\s*["']?|\burl\(\s*["']?)[^"'\s<>()=]{0,300}?"""
    r"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?![0-9a-f-])",
    re.IGNORECASE,
)
_DOCTYPE = re.compile(r"\s*<!doctype[^>]*>", re.IGNORECASE)
_STYLE = """
html { font-family: Inter, sans-serif; font-size: 10.5pt; line-height: 1.5; color: #1d2330 }
h1, h2, h3 { line-height: 1.2; page-break-after: avoid }
h1 { font-size: 22pt; margin: 0 0 6mm } h2 { font-size: 15pt; margin: 7mm 0 2mm }
p { margin: 0 0 3mm; orphans: 2; widows: 2 } a { color: #1a56b0 }
img { max-width: 100%; page-break-inside: avoid } figure { margin: 0 0 5mm }
table { border-collapse: collapse } th, td { text-align: left; vertical-align: top }
tr { page-break-inside: avoid } pre, code { font-size: 9pt } pre { white-space: pre-wrap }
"""


@dataclass(frozen=True, slots=True)
class Paper:
    """A sheet, in millimetres."""

    width: float
    height: float
    margin: float


@dataclass(frozen=True, slots=True)
class Document:
    """A PDF file, how many pages it has, and the addresses in it that were not read."""

    data: bytes
    pages: int
    refused: tuple[str, ...]


def paper(page_size: str, *, landscape: bool, margin: float) -> Paper:
    """Return a sheet of a named size."""
    width, height = SIZES_MM[page_size]
    return Paper(*((height, width) if landscape else (width, height)), margin)


def pictures_in(source: str) -> list[str]:
    """Return the UUIDs of the stored pictures that HTML shows, in order, by link or by themselves."""
    return list(dict.fromkeys(found.lower() for found in _FILEUUID.findall(source)))


def from_text(text: str, *, title: str | None, pictures: Sequence[str]) -> str:
    """Return plain text as HTML: a paragraph for each block of lines, after title and pictures."""
    parts = [f"<h1>{html.escape(title)}</h1>"] if title else []
    parts += [f'<figure><img src="{fileuuid}"></figure>' for fileuuid in pictures]
    for block in re.split(r"\n[^\S\n]*\n", text.replace("\r\n", "\n")):
        if block.strip():
            parts.append("<p>" + html.escape(block.strip("\n")).replace("\n", "<br>") + "</p>")
    return "\n".join(parts)


def typeset(
    source: str,
    files: Mapping[str, Path],
    *,
    sheet: Paper,
    address: str,
    title: str | None = None,
    author: str | None = None,
    created: str | None = None,
) -> Document:
    """Return HTML as a PDF; `files` are the stored pictures it may show, by UUID.

    `address` is that of our server, whose links lead to `files`; `created` is a time in ISO 8601.

    Raises:
        RequestError: it takes too long, too much memory or too many pages, or a file is no picture.
        StorageError: a picture cannot be read.
        GouacheError: the typesetter cannot be run here.
    """
    style = _STYLE + "".join(_sized(uuid, path, sheet) for uuid, path in files.items())
    question = {
        "html": _styled(source.replace("\0", ""), style),
        "files": {fileuuid: str(path) for fileuuid, path in files.items()},
        "address": address,
        "metadata": _metadata(title or _title(source), author, created),
        "size": (sheet.width, sheet.height),
        "margin": sheet.margin,
        "pages": MAX_PAGES,
        "seconds": PROCESSOR_SECONDS,
        "bytes": MEMORY_BYTES,
    }
    # -P: this folder is not on the path of the process, where our files.py would be `files`
    command = [sys.executable, "-P", str(_TYPESETTER)]
    try:
        done = subprocess.run(
            command, input=json.dumps(question).encode(), capture_output=True, timeout=WALL_SECONDS
        )
    except subprocess.TimeoutExpired as error:
        raise RequestError(f"the document takes longer than {WALL_SECONDS:g} s") from error
    line, _, data = done.stdout.partition(b"\n")
    if not line:
        raise _ended(done.returncode, done.stderr)
    head = json.loads(line)
    if "flaw" in head:
        raise RequestError(f"the document {head['flaw']}")
    return Document(data, head["pages"], tuple(head["refused"]))


def _ended(returncode: int, said: bytes) -> GouacheError:
    """Return the error for a process that gave no answer."""
    if returncode == TOO_LONG:
        return RequestError(f"the document takes longer than {PROCESSOR_SECONDS} s to typeset")
    if returncode < 0:
        return RequestError("the document takes too much memory, or is nested too deep")
    last = said.decode(errors="replace").strip().rpartition("\n")[2]
    return GouacheError(f"nothing can be typeset here: {last or 'no answer'}")


def _metadata(title: str, author: str | None, created: str | None) -> dict[str, str]:
    given = {"TITLE": title, "AUTHOR": author or "", "CREATION_DATE": created or ""}
    return {name: text for name, text in given.items() if text}


def _styled(source: str, style: str) -> str:
    """Return HTML with a style before all others, so that any of its own overrules it."""
    begin = _DOCTYPE.match(source)
    rest = source[begin.end() :] if begin else source
    return f"<!DOCTYPE html><style>{style}</style>{rest}"


def _title(source: str) -> str:
    """Return the title that HTML gives itself, or else that of its first heading."""
    for tag in ("title", "h1"):
        found = re.search(
            rf"<{tag}\b[^<>]{{0,300}}>([^<]{{1,1000}})</{tag}\s{{0,9}}>", source, re.IGNORECASE
        )
        if found:
            return " ".join(html.unescape(found[1]).split())
    return ""


def _sized(fileuuid: str, path: Path, sheet: Paper) -> str:
    """Return the rule of style that prints a picture no larger than its pixels and the sheet allow."""
    try:
        with Image.open(path) as image:
            width, height = image.size
    except FileNotFoundError as error:
        raise StorageError(f"the file {fileuuid} is gone from the store") from error
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise RequestError(f"the file {fileuuid} is no picture that can be printed") from error
    if width * height > MAX_PIXELS:
        raise RequestError(f"the picture {fileuuid} has more than {MAX_PIXELS:,} pixels")
    room = (sheet.height - 2 * sheet.margin) / MM_PER_INCH
    inches = math.floor(min(width / LEAST_DPI, room * width / height) * 1000) / 1000
    return f':where(img[src*="{fileuuid}" i]:not([width], [height])) {{ width: {inches}in }}\n'
