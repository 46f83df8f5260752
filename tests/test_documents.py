import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pypdfium2
import pytest
from PIL import Image

from gouache import documents
from gouache.documents import from_text, paper, pictures_in, typeset
from gouache.errors import GouacheError, RequestError, StorageError

FILEUUID = "530cabeb-7ce7-57b1-ace3-d3795f4fa5bb"
ADDRESS = "https://pictures.example"
LINK = f"{ADDRESS}/files/{FILEUUID}?expires=1&amp;signature=2"
A4 = paper("A4", landscape=False, margin=20)
PICTURE = 3  # the type of an object on a page


@pytest.fixture
def files(tmp_path):
    pixels = np.zeros((1024, 1024, 3), np.uint8)
    pixels[..., 0] = np.arange(1024) // 4
    Image.fromarray(pixels).save(tmp_path / "picture", "PNG")
    return {FILEUUID: tmp_path / "picture"}


@pytest.fixture
def secret(tmp_path):
    """A file next to the pictures that no document may show."""
    Image.new("RGB", (31, 31), "red").save(tmp_path / "secret.png")
    return tmp_path / "secret.png"


def printed(source, files=(), sheet=A4, **more):
    document = typeset(source, dict(files), sheet=sheet, address=ADDRESS, **more)
    return document, pypdfium2.PdfDocument(document.data)


def text_of(pdf):
    pages = [page.get_textpage().get_text_range() for page in pdf]
    return " ".join(" ".join(pages).split())


def pictures_of(pdf):
    """Return for each picture its width and height in pixels, and its width in points."""
    found = [o for page in pdf for o in page.get_objects() if o.type == PICTURE]
    return [(*o.get_px_size(), o.get_bounds()[2] - o.get_bounds()[0]) for o in found]


def test_a_document_holds_its_text_as_text():
    source = "<h1>Über uns — “north”</h1><p>Ελληνικά, Кириллица, €&nbsp;12 &amp; <b>more</b></p>"
    document, pdf = printed(source)
    assert text_of(pdf) == "Über uns — “north” Ελληνικά, Кириллица, € 12 & more"
    assert (document.pages, len(pdf), document.refused) == (1, 1, ())


@pytest.mark.parametrize("src", [LINK, FILEUUID, f"/files/{FILEUUID}"])
def test_a_stored_picture_is_printed_with_all_its_pixels(files, src):
    document, pdf = printed(f"<img src='{src}'>", files)
    ((width, height, points),) = pictures_of(pdf)
    assert (width, height) == (1024, 1024)
    assert document.refused == ()
    assert 1024 / (points / 72) >= documents.LEAST_DPI


@pytest.mark.parametrize("size", ["A3", "A4", "Letter"])
@pytest.mark.parametrize("landscape", [False, True])
def test_no_sheet_makes_a_picture_coarser_than_print_allows(files, size, landscape):
    sheet = paper(size, landscape=landscape, margin=10)
    ((_, _, points),) = pictures_of(printed(f"<img src='{FILEUUID}'>", files, sheet)[1])
    assert 1024 / (points / 72) >= documents.LEAST_DPI
    assert points / 72 * 25.4 <= sheet.height - 20 + 0.1


@pytest.mark.parametrize(
    "source",
    [
        f"<style>img {{ width: 30mm }}</style><img src='{FILEUUID}'>",
        f"<img style='width: 30mm' src='{FILEUUID}'>",
        f"<table><tr><td style='width: 30mm; padding: 0'><img src='{FILEUUID}'></table>",
    ],
)
def test_a_document_may_ask_for_another_size(files, source):
    ((_, _, points),) = pictures_of(printed(source, files)[1])
    assert points == pytest.approx(30 / 25.4 * 72, abs=1)


def test_what_is_clear_stays_clear(tmp_path):
    Image.new("RGBA", (64, 64), (255, 0, 0, 0)).save(tmp_path / "picture", "PNG")
    source = f"<body style='background: #00f'><img src='{FILEUUID}'>"
    page = printed(source, {FILEUUID: tmp_path / "picture"})[1][0]
    left, bottom, *_ = next(o for o in page.get_objects() if o.type == PICTURE).get_bounds()
    pixels = np.asarray(page.render(scale=1).to_pil())
    assert tuple(pixels[int(page.get_height() - bottom) - 3, int(left) + 3]) == (0, 0, 255)


@pytest.mark.parametrize(
    "source",
    [
        "<img src='{secret}'>",
        "<img src='file://{secret}'>",
        "<img src='secret.png'>",
        "<img src='../secret.png'>",
        "<img src='http://127.0.0.1:1/x.png'>",
        "<img src='https://192.0.2.1/x.png'>",
        "<link rel=stylesheet href='file://{secret}'>",
        "<style>@import url(http://192.0.2.1/x.css)</style>",
        "<style>@font-face {{ font-family: x; src: url(file://{secret}) }}</style>",
        "<p style='background: url(file://{secret})'>x</p>",
        "<svg width=90 height=90><image width=90 height=90 href='file://{secret}'/></svg>",
        "<iframe src='file://{secret}'></iframe><object data='file://{secret}'></object>",
        "<embed src='file:///etc/passwd'><video src='file:///etc/passwd'></video>",
        "<base href='file:///'><img src='{secret}'>",
        "<xml-include href='file:///etc/passwd'/><script src='http://192.0.2.1/'></script>",
        "<img src='" + ADDRESS + "/files/00000000-0000-5000-8000-000000000000'>",
        "<img src='" + ADDRESS + "/files/../../secret.png'>",
    ],
)
def test_nothing_but_the_pictures_handed_in_is_read(files, secret, source):
    document, pdf = printed(source.format(secret=secret) + "<p>read me</p>", files)
    assert pictures_of(pdf) == []
    assert "read me" in text_of(pdf)
    assert "root:" not in text_of(pdf)
    named = any(word in source for word in ("<img", "@import", "<link"))
    assert bool(document.refused) or not named  # what is not even asked for needs no word


def test_no_script_runs():
    source = "<p id=a>before</p><script>document.getElementById('a').textContent = 'after'</script>"
    assert text_of(printed(source)[1]) == "before"


@pytest.mark.parametrize(
    "source",
    [
        "<p>words<table><div><p></table><b><i></b>",
        "<p>words</p><!-- <img src=",
        "<p>words</<p <p <p =<img src=",
        "<div>" * 300 + "words",
        "<html><html><body><body>words\0",
        "words &#0; &#x110000; &nope;",
        "<style>p { color: <p> }</style><p>words",
    ],
)
def test_broken_html_is_printed_as_a_browser_would(source):
    assert "words" in text_of(printed(source)[1])


def test_title_author_and_time_are_in_the_file():
    _, pdf = printed("<h1>A &amp; B</h1>", author="Ann", created="2026-11-24T12:00:00Z")
    known = pdf.get_metadata_dict()
    assert (known["Title"], known["Author"]) == ("A & B", "Ann")
    assert known["CreationDate"].removeprefix("D:").startswith("20261124120000")


def test_the_same_document_has_the_same_bytes(files):
    source = f"<h1>A</h1><img src='{FILEUUID}'>"
    made = [printed(source, files, created="2026-11-24T12:00:00Z")[0].data for _ in range(2)]
    assert made[0] == made[1]


def test_the_sheet_is_the_one_asked_for():
    page = printed("x", sheet=paper("A5", landscape=True, margin=5))[1][0]
    assert [round(side / 72 * 25.4) for side in page.get_size()] == [210, 148]


def test_our_fonts_come_before_those_of_the_system():
    data = printed("<p>Regular <i>italic</i> <b>bold</b></p>")[0].data
    assert b"Inter" in data
    assert b"DejaVu" not in data


def test_plain_text_becomes_paragraphs(files):
    source = from_text("Dear <Ann>,\n\nline one\nline two\n", title="Hello", pictures=[FILEUUID])
    assert pictures_in(source) == [FILEUUID]
    _, pdf = printed(source, files)
    assert text_of(pdf) == "Hello Dear <Ann>, line one line two"
    assert len(pictures_of(pdf)) == 1


def test_only_what_is_shown_counts_as_a_picture():
    other = "8142ce6c-f3cd-526c-a5d3-747799ed2b1a"
    source = (
        f"<img src='{LINK}'><a href='{ADDRESS}/files/{other}'>{other}</a> url({FILEUUID.upper()})"
    )
    assert pictures_in(source) == [FILEUUID]


@pytest.mark.parametrize("piece", ["src=", "url(", "<title", "<title>", "<h1 ", "src='x ", "\n "])
def test_what_is_read_before_typesetting_takes_time_in_proportion(piece):
    source = piece * (1_000_000 // len(piece))
    begun = time.monotonic()
    assert pictures_in(source) == []
    documents._title(source)
    from_text(source, title=None, pictures=[])
    assert time.monotonic() - begun < 2


def test_a_file_that_is_no_picture_is_refused(tmp_path):
    (tmp_path / "text").write_text("words")
    with pytest.raises(RequestError, match="no picture that can be printed"):
        printed(f"<img src='{FILEUUID}'>", {FILEUUID: tmp_path / "text"})


def test_a_file_that_is_gone_is_said_to_be_gone(tmp_path):
    with pytest.raises(StorageError, match="gone from the store"):
        printed(f"<img src='{FILEUUID}'>", {FILEUUID: tmp_path / "nothing"})


@pytest.mark.parametrize(
    ("source", "limits", "message"),
    [
        ("<p>" + "word " * 200_000, {"PROCESSOR_SECONDS": 1}, "takes longer than 1 s"),
        ("<p style='page-break-after: always'>x</p>" * 40, {"MAX_PAGES": 30}, "has 40 pages"),
        ("<p>" + "word " * 200_000, {"MEMORY_BYTES": 90_000_000}, "memory"),
    ],
)
def test_a_document_that_takes_too_much_is_refused(monkeypatch, source, limits, message):
    for name, value in limits.items():
        monkeypatch.setattr(documents, name, value)
    with pytest.raises(RequestError, match=message):
        printed(source)


def test_a_missing_typesetter_is_no_fault_of_the_document(monkeypatch):
    monkeypatch.setattr(documents, "_TYPESETTER", Path("nothing.py"))
    with pytest.raises(GouacheError, match="nothing can be typeset here") as caught:
        printed("x")
    assert not isinstance(caught.value, RequestError)


def test_the_typesetter_prints_nothing_between_its_answer(files):
    question = {
        "html": "<p><p></div><img src='x'>",
        "files": {},
        "address": ADDRESS,
        "metadata": {},
        "size": (100, 100),
        "margin": 5,
        "pages": 5,
        "seconds": 5,
        "bytes": 2**30,
    }
    command = [sys.executable, "-P", str(documents._TYPESETTER)]
    done = subprocess.run(command, input=json.dumps(question).encode(), capture_output=True)
    head, _, data = done.stdout.partition(b"\n")
    assert json.loads(head) == {"pages": 1, "refused": ["x"]}
    assert data.startswith(b"%PDF")
    assert data.rstrip().endswith(b"%%EOF")
