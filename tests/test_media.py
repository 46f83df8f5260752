import io

import pytest
from PIL import Image

from gouache.errors import RequestError
from gouache.media import BINARIES, EXTENSIONS, OFFICE, TEXTS, content_type_of, extension_of


def picture(kind):
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, kind)
    return file.getvalue()


@pytest.mark.parametrize(
    ("kind", "content_type"),
    [
        ("PNG", "image/png"),
        ("JPEG", "image/jpeg"),
        ("GIF", "image/gif"),
        ("WEBP", "image/webp"),
        ("AVIF", "image/avif"),
        ("TIFF", "image/tiff"),
        ("ICO", "image/vnd.microsoft.icon"),
        ("PDF", "application/pdf"),
    ],
)
def test_a_file_is_what_its_bytes_say(kind, content_type):
    for name in ("x", "x.exe", "x.txt", "x.svg"):
        assert content_type_of(picture(kind), name) == content_type
    assert EXTENSIONS[content_type] == extension_of(content_type)


@pytest.mark.parametrize(
    ("name", "declared", "content_type"),
    [
        ("a.csv", None, "text/csv"),
        ("a.HTML", None, "text/html"),
        ("a.htm", None, "text/html"),
        ("a", None, "text/plain"),
        ("a.exe", None, "text/plain"),
        ("a.png", None, "text/plain"),
        ("a.csv", "text/plain", "text/plain"),
        ("../a.json", None, "application/json"),
        ("a.txt", "message/rfc822", "message/rfc822"),
    ],
)
def test_text_is_what_is_declared_or_what_the_name_says(name, declared, content_type):
    assert content_type_of("Ünï".encode(), name, declared) == content_type


def test_an_office_file_is_a_zip_with_its_name():
    data = b"PK\3\4 and more"
    for content_type, extension in OFFICE.items():
        assert content_type_of(data, f"a{extension}") == content_type
    assert content_type_of(data, "a.zip") == "application/zip"
    assert content_type_of(data, "a.html") == "application/zip"


@pytest.mark.parametrize("declared", ["text/html", "image/jpeg", "application/x-anything"])
def test_a_declared_type_that_the_bytes_deny_is_refused(declared):
    with pytest.raises(
        RequestError, match="params.contentType is .*, and the content is image/png"
    ):
        content_type_of(picture("PNG"), "a.html", declared)


@pytest.mark.parametrize(
    "data", [b"\x7fELF\x02\x01\x01\0", b"MZ\x90\0", b"\xff\xfe\0x", b"text\0text"]
)
def test_other_bytes_are_refused_with_what_is_taken(data):
    with pytest.raises(RequestError, match="neither text in UTF-8 nor .* image/png"):
        content_type_of(data, "a.txt")


def test_each_type_has_an_extension_of_its_own():
    assert len(EXTENSIONS) == len(TEXTS) + len(OFFICE) + len(BINARIES)
    assert len(set(EXTENSIONS.values())) == len(EXTENSIONS)
    assert extension_of("application/x-unheard") == ".bin"
