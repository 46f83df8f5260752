"""Runs the examples and keeps what they leave, small enough for docs/gallery.md: python -m examples.

Each is run as a user runs it, by `gouache run`, in a data folder that is thrown away.
"""

import io
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import pypdfium2

from gouache.documents import Paper, typeset
from gouache.variants import read_variant, render

FOLDER = Path(__file__).parent
OUTPUT = FOLDER / "output"
NAMES = ("logo", "pdf", "newsletter", "welcome", "avatar")
MAX_BYTES = 40_000
WIDTH = 720
ASKED_FOR = {
    "avatar": {"circle": "true", "w": "360"},
    "logo": {"background": "#ffffff", "w": "480"},
}
"""What is asked of the variants shown."""

MAIL = Paper(width=180, height=250, margin=0)


def main():
    """Run the examples that are named on the command line, or all."""
    OUTPUT.mkdir(exist_ok=True)
    for name in sys.argv[1:] or NAMES:
        with tempfile.TemporaryDirectory() as folder:
            keep(name, run(name, Path(folder)), Path(folder) / "made")


def run(name, folder):
    """Return the stub that an example leaves; its files are in `folder`/made."""
    command = [sys.executable, "-m", "gouache", "run", FOLDER / f"{name}.json"]
    command += ["--data-dir", folder / "data", "--output", folder / "made"]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def keep(name, stub, made):
    """Write small pictures of what was made, and the documents themselves."""
    tasks = {n: task for post in stub["stubposts"] for n, task in post["tasks"].items()}
    payloads = [task["payload"] for task in tasks.values()]
    pictures = {
        p["image"]["fileuuid"]: made / p["image"]["filename"] for p in payloads if "image" in p
    }
    for picture in pictures.values():
        show(name, picture.read_bytes())
    for file in (p["file"] for p in payloads if "file" in p):
        data = (made / file["filename"]).read_bytes()
        if file["contentType"] == "text/html":
            document = typeset(data.decode(), pictures, sheet=MAIL, address="http://127.0.0.1:8611")
            show(f"{name}-mail", page(document.data))
        elif file["contentType"] == "application/pdf":
            (OUTPUT / f"{name}.pdf").write_bytes(data)
            show(f"{name}-page", page(data))
    alt = {p["image"]["fileuuid"]: p["image"]["alt_text"] for p in payloads if "image" in p}
    (OUTPUT / f"{name}.txt").write_text("\n".join(alt.values()) + "\n")


def show(name, data):
    """Write a picture as a WebP of at most `MAX_BYTES`."""
    query = {"w": str(WIDTH), "format": "webp", "max_bytes": str(MAX_BYTES)}
    query |= ASKED_FOR.get(name, {})
    (OUTPUT / f"{name}.webp").write_bytes(render(data, read_variant(query)).data)


def page(document):
    """Return the first page of a PDF as a PNG."""
    image = pypdfium2.PdfDocument(document)[0].render(scale=2).to_pil().convert("RGB")
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


if __name__ == "__main__":
    main()
