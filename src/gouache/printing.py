"""A PDF of one page that is one picture, of the size it has in print.

The picture is kept without loss. Its words are the document's title and, for screen readers, the
description of the figure on a tagged page. The same picture gives the same bytes.

Source: ISO 32000-1:2008, 7.3.4 (strings), 7.5 (file), 8.9.5 and 11.6.5.3 (images and their soft masks),
14.7 and 14.8 (tagged PDF), 14.9.3 (alternate descriptions).
"""

import zlib
from collections.abc import Sequence

import numpy as np
from PIL import Image

POINTS_PER_INCH = 72


def page_of(image: Image.Image, *, dpi: int, words: str) -> bytes:
    """Return a PDF whose page shows an RGB or RGBA image at `dpi` pixels per inch."""
    width, height = (f"{side * POINTS_PER_INCH / dpi:.3f}" for side in image.size)
    clear = image.getchannel("A") if "A" in image.getbands() else None
    mask = "/SMask 9 0 R" if clear else ""
    drawing = f"/Figure <</MCID 0>> BDC q {width} 0 0 {height} 0 0 cm /Picture Do Q EMC"
    alt = f"/Alt {_text(words)}" if words else ""
    objects = [
        _dictionary(
            "/Type /Catalog /Pages 2 0 R /Lang (en) /MarkInfo <</Marked true>> /StructTreeRoot 6 0 R "
            "/ViewerPreferences <</DisplayDocTitle true>>"
        ),
        _dictionary("/Type /Pages /Kids [3 0 R] /Count 1"),
        _dictionary(
            f"/Type /Page /Parent 2 0 R /MediaBox [0 0 {width} {height}] /Contents 4 0 R "
            "/Resources <</XObject <</Picture 5 0 R>>>> /StructParents 0"
        ),
        _stream("", drawing.encode()),
        _picture(image.convert("RGB"), "DeviceRGB", mask),
        _dictionary("/Type /StructTreeRoot /K 7 0 R /ParentTree <</Nums [0 [7 0 R]]>>"),
        _dictionary(f"/Type /StructElem /S /Figure /P 6 0 R /Pg 3 0 R /K 0 {alt}"),
        _dictionary(f"/Producer (gouache) /Title {_text(words)}"),
    ]
    if clear:
        objects.append(_picture(clear, "DeviceGray"))
    return _file(objects)


def _dictionary(entries: str) -> bytes:
    return f"<<{entries}>>".encode()


def _stream(entries: str, content: bytes) -> bytes:
    packed = zlib.compress(content, 6)
    head = f"<<{entries} /Filter /FlateDecode /Length {len(packed)}>>\nstream\n"
    return head.encode() + packed + b"\nendstream"


def _picture(image: Image.Image, space: str, more: str = "") -> bytes:
    """Return the stream of an image; its rows are differences from those above, as in a PNG."""
    rows = np.asarray(image).reshape(image.height, -1)
    above = np.vstack([np.zeros_like(rows[:1]), rows[:-1]])
    content = np.hstack([np.full((image.height, 1), 2, np.uint8), rows - above]).tobytes()
    channels = len(image.getbands())
    return _stream(
        f"/Type /XObject /Subtype /Image /Width {image.width} /Height {image.height} "
        f"/ColorSpace /{space} /BitsPerComponent 8 {more} "
        f"/DecodeParms <</Predictor 15 /Colors {channels} /Columns {image.width}>>",
        content,
    )


def _text(words: str) -> str:
    return f"<{(chr(0xFEFF) + words).encode('utf-16-be').hex()}>"


def _file(objects: Sequence[bytes]) -> bytes:
    """Return the file that holds these objects, numbered from 1; the eighth is about the document."""
    file = bytearray(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n")
    places = []
    for number, entry in enumerate(objects, 1):
        places.append(len(file))
        file += b"%d 0 obj\n%s\nendobj\n" % (number, entry)
    start = len(file)
    file += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    for place in places:
        file += b"%010d 00000 n \n" % place
    file += b"trailer\n<</Size %d /Root 1 0 R /Info 8 0 R>>\n" % (len(objects) + 1)
    return bytes(file + b"startxref\n%d\n%%%%EOF\n" % start)
