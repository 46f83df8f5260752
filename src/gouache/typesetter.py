"""The process in which documents are typeset: a question on stdin, a PDF on stdout.

HTML from anywhere may be nested, large or broken without end, and the typesetter is compiled code that no
thread of Python can stop. So `gouache.documents` runs this file as a process of its own, with bounds that the
operating system holds. The file imports nothing of ours.

A question is one JSON object `{"html", "files", "address", "metadata", "size", "margin",
"pages", "seconds", "bytes"}`; `files` are the paths of stored pictures by their UUIDs, the only files that
are read. The first line of the answer is `{"pages", "refused"}`, with the addresses that were not read,
and the PDF follows; or the line is `{"flaw"}`, the end of a sentence.
"""

import contextlib
import io
import json
import math
import os
import re
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import plutoprint
from PIL import Image

JPEG_QUALITY = 92
MAX_REFUSED = 20
BASE = "gouache://document/"
UUID = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"


def main() -> None:
    """Answer one question."""
    question = json.load(sys.stdin.buffer)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # the library may print there
    _bound(question["seconds"], question["bytes"])
    try:
        head, document = _typeset(question)
    except MemoryError:
        head, document = {"flaw": "needs too much memory"}, b""
    except Exception as error:
        head, document = {"flaw": f"cannot be typeset: {error}"}, b""
    answers.write(json.dumps(head).encode() + b"\n" + document)
    answers.flush()


def _bound(seconds: int, size: int) -> None:
    """Have the operating system end this process when it takes too much, where it can."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        spent = math.ceil(time.process_time())
        resource.setrlimit(resource.RLIMIT_CPU, (spent + seconds, spent + seconds + 1))
        resource.setrlimit(resource.RLIMIT_AS, (size, size))


def _typeset(question: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    fonts = Path(__file__).with_name("fonts")
    plutoprint.plutobook_set_fontconfig_path(str(fonts))
    fetcher = _fetcher(question["files"], question["address"])
    width, height = (length * plutoprint.UNITS_MM for length in question["size"])
    size = plutoprint.PageSize(width, height)
    margins = plutoprint.PageMargins(question["margin"] * plutoprint.UNITS_MM)
    book = plutoprint.Book(size, margins)
    book.custom_resource_fetcher = fetcher
    book.load_html(question["html"], base_url=BASE)
    for name, text in question["metadata"].items():
        book.set_metadata(getattr(plutoprint, f"PDF_METADATA_{name}"), text)
    pages = book.get_page_count()
    if pages > question["pages"]:
        return {"flaw": f"has {pages:,} pages; there may be {question['pages']}"}, b""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "document.pdf"
        book.write_to_pdf(str(path))
        return {"pages": pages, "refused": fetcher.refused}, path.read_bytes()


def _fetcher(files: dict[str, str], address: str) -> Any:
    """Return what answers when the document asks for something."""
    ours = re.compile(
        rf"(?:{re.escape(BASE)}|{re.escape(address)}/)(?:files/)?({UUID})(?:[?#].*)?", re.I
    )

    class Fetcher(plutoprint.ResourceFetcher):
        refused: list[str] = []

        def fetch_url(self, url: str) -> Any:
            found = ours.fullmatch(url)
            path = files.get(found[1].lower()) if found else None
            if path is None:
                shown = url.removeprefix(BASE)[:200]
                if shown not in self.refused and len(self.refused) < MAX_REFUSED:
                    self.refused.append(shown)
                raise ValueError("not one of the pictures")
            return plutoprint.ResourceData(*_printable(Path(path).read_bytes()), "")

    return Fetcher()


def _printable(data: bytes) -> tuple[bytes, str]:
    """Return a picture as the typesetter takes it, with all its pixels, and its media type."""
    with Image.open(io.BytesIO(data)) as image:
        if image.format == "JPEG" and image.mode in ("L", "RGB"):
            return data, "image/jpeg"
        file = io.BytesIO()
        if image.has_transparency_data:
            image.convert("RGBA").save(file, "PNG")
            return file.getvalue(), "image/png"
        image.convert("RGB").save(file, "JPEG", quality=JPEG_QUALITY, subsampling=0)
        return file.getvalue(), "image/jpeg"


if __name__ == "__main__":
    main()
