"""What a file is, from its first bytes: the media types that may be uploaded, and their extensions.

A file is what its bytes say. Text has no such mark, so there the declared type or the name decides, among
the types of text; a server hands those out to be saved, never to be shown.
"""

from pathlib import PurePosixPath

from gouache.errors import RequestError

TEXTS = {
    "text/plain": ".txt",
    "text/html": ".html",
    "text/css": ".css",
    "text/csv": ".csv",
    "text/markdown": ".md",
    "text/calendar": ".ics",
    "application/json": ".json",
    "application/xml": ".xml",
    "image/svg+xml": ".svg",
    "message/rfc822": ".eml",
}
OFFICE = {
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": ".docx",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": ".xlsx",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": ".pptx",
    "application/vnd.oasis.opendocument.text": ".odt",
    "application/vnd.oasis.opendocument.spreadsheet": ".ods",
}
BINARIES = {
    "image/png": ".png",
    "image/jpeg": ".jpg",
    "image/gif": ".gif",
    "image/webp": ".webp",
    "image/avif": ".avif",
    "image/tiff": ".tif",
    "image/vnd.microsoft.icon": ".ico",
    "application/pdf": ".pdf",
    "application/zip": ".zip",
    "audio/mpeg": ".mp3",
    "video/mp4": ".mp4",
}
EXTENSIONS = TEXTS | OFFICE | BINARIES
"""The extension of each media type that may be uploaded."""

_BEGINNINGS = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"II*\0", "image/tiff"),
    (b"MM\0*", "image/tiff"),
    (b"\0\0\1\0", "image/vnd.microsoft.icon"),
    (b"%PDF-", "application/pdf"),
    (b"PK\3\4", "application/zip"),
    (b"ID3", "audio/mpeg"),
    (b"\xff\xfb", "audio/mpeg"),
)
_TYPES = {extension: content_type for content_type, extension in EXTENSIONS.items()}
_TYPES |= {".jpeg": "image/jpeg", ".htm": "text/html", ".tiff": "image/tiff"}


def extension_of(content_type: str) -> str:
    """Return the extension of a media type; ".bin" where none is known."""
    return EXTENSIONS.get(content_type, ".bin")


def content_type_of(data: bytes, filename: str, declared: str | None = None) -> str:
    """Return the media type of a file.

    Raises:
        RequestError: it is of none that may be uploaded, or not of the declared one.
    """
    found = _found(data)
    named = declared or _TYPES.get(PurePosixPath(filename.replace("\\", "/")).suffix.lower())
    if found == "text":
        content_type = named if named in TEXTS else "text/plain"
    elif found == "application/zip" and named in OFFICE:
        content_type = named
    else:
        content_type = found
    if declared is not None and declared != content_type:
        raise RequestError(
            f"params.contentType is {declared}, and the content is {content_type}; "
            f"types of text are {', '.join(TEXTS)}",
            param="params.contentType",
        )
    return content_type


def _found(data: bytes) -> str:
    """Return what the bytes say; "text" for any text."""
    for beginning, content_type in _BEGINNINGS:
        if data.startswith(beginning):
            return content_type
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    if data[4:8] == b"ftyp":
        return "image/avif" if data[8:12] in (b"avif", b"avis") else "video/mp4"
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        known = ", ".join(sorted(BINARIES))
        raise RequestError(
            f"params.content is neither text in UTF-8 nor of a type that is taken: {known}",
            param="params.content",
        )
    return "text"
