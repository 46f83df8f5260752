"""Pictures as files: PNG with its own recipe inside, safe names, writing all or nothing.

Pixels are (H, W, 3) uint8 sRGB arrays. The recipe is the JSON text of the PNG's text chunk
"gouache"; what is read back equals what was put in (`test_the_recipe_read_is_the_recipe_written`).
"""

import base64
import io
import os
import re
import secrets
import unicodedata
import uuid
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin
from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from gouache import __version__
from gouache.contract import GenerateImage
from gouache.errors import RecipeNotFound, StorageError
from gouache.scene import STYLES

CONTENT_TYPE = "image/png"
EXTENSION = ".png"
EXTENSIONS = {CONTENT_TYPE: EXTENSION, "image/jpeg": ".jpg", "image/webp": ".webp"}
"""Of what pictures are stored as; ours are PNG, those of others are kept as they came."""

MAX_FILENAME_BYTES = 200
RECIPE_KEYWORD = "gouache"
MAX_PREVIEW_SIDE = 128

MAX_ALT_CHARACTERS = 150

_STYLES = "|".join(re.escape(phrase) for phrase in STYLES.values())
_PLAIN_WORDS = re.compile(
    rf", (?:{_STYLES}|plain [\w# ]+ background|[\w# ]+ gradient background)\b"
)
_BACKGROUND = re.compile(r", ([\w# ]+ background\b)")
_NOTES = re.compile(r"(?:Drawn differently|Not drawn|Text not drawn): (?:“[^”]*”[^“”.]*)+\.")
"""What the planner of the embedded engine says after the caption (`prompts.revise`)."""

_WORDS = re.compile(r", with the words “[^”]*”(?:, “[^”]*”)*")
"""What is written on the picture: the last thing to leave out."""

_ORDER = re.compile(
    r"^(?:please,? )?(?:(?:can|could) you )?(?:please )?(?:i want|i need|we want|we need|create|draw"
    r"|generate|make|design|paint|produce|render|show|give)(?: me| us)?,? (?=\S)",
    re.IGNORECASE,
)
_OF_A_PICTURE = re.compile(
    r"^(?:an?|the|this) (?:(?!an? |the )[\w-]+,? ){0,3}"
    r"(?:image|picture|photo|photograph|illustration|drawing|rendering|depiction) "
    r"(?:of|with|showing|shows|depicting|depicts|featuring|features) ",
    re.IGNORECASE,
)

_NAMESPACE = uuid.UUID("5f3c1c0e-6f0e-5d53-9d2b-2a4c8f1f7b10")
_IMAGE_EXTENSIONS = set(
    [
        ".avif",
        ".bmp",
        ".gif",
        ".heic",
        ".jpeg",
        ".jpg",
        ".pdf",
        ".png",
        ".svg",
        ".tif",
        ".tiff",
        ".webp",
    ]
)
_RESERVED_NAMES = {"con", "prn", "aux", "nul"} | {
    port + digit for port in ("com", "lpt") for digit in "123456789"
}
_RESERVED_CHARACTERS = set('<>:"|?*')


class Recipe(BaseModel):
    """All that is needed to draw a picture again: the request, and what the engine chose.

    Of `seed_from` only the seed is kept: a picture is shown to many, and the value may be an address.
    """

    model_config = ConfigDict(frozen=True)

    request: GenerateImage
    seed: int | None = None
    model: str
    revised_prompt: str

    @field_validator("request")
    @classmethod
    def _tells_nobody_whose_it_is(cls, request: GenerateImage) -> GenerateImage:
        if request.seed_from is None:
            return request
        return request.model_copy(update={"seed_from": None})


def alt_text(recipe: Recipe) -> str:
    """Return what is in the picture, for those who do not see it: at most `MAX_ALT_CHARACTERS`.

    It is made from what was really drawn, the revised prompt: a sentence, or the first few, without
    the style, a plain ground, what was not drawn, and words like "a picture of".
    """
    text = " ".join(_printable(recipe.revised_prompt or recipe.request.prompt).split())
    text = _PLAIN_WORDS.sub("", _NOTES.sub("", text)).strip()
    text = _BACKGROUND.sub(_on_background, _OF_A_PICTURE.sub("", _ORDER.sub("", text)))
    text = text.strip(" ,;:-")
    written = _WORDS.search(text)
    if len(text) >= MAX_ALT_CHARACTERS and written and len(written[0]) < MAX_ALT_CHARACTERS // 2:
        text = _cut(text[: written.start()], MAX_ALT_CHARACTERS - len(written[0])) + written[0]
    kept = ""
    for sentence in re.split(r"(?<=[.!?]) (?=\S)", text):
        if len(kept) + len(sentence) >= MAX_ALT_CHARACTERS:
            break
        kept = f"{kept} {sentence}".lstrip()
    kept = kept or _cut(text, MAX_ALT_CHARACTERS)
    return kept[:1].upper() + kept[1:] + ("" if kept.endswith((".", "!", "?", "…")) else ".")


def encode_png(pixels: NDArray[np.uint8], recipe: Recipe) -> bytes:
    """Return a PNG file with the recipe and the alternative text in its text chunks."""
    chunks = PngImagePlugin.PngInfo()
    chunks.add_itxt(RECIPE_KEYWORD, recipe.model_dump_json())
    chunks.add_itxt("Description", alt_text(recipe))
    chunks.add_itxt("Software", f"gouache {__version__}")
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", pnginfo=chunks)
    return file.getvalue()


def decode_png(data: bytes) -> NDArray[np.uint8]:
    """Return the pixels of a PNG file."""
    with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
        return np.asarray(image.convert("RGB"))


def preview_url(pixels: NDArray[np.uint8]) -> str:
    """Return a small picture as a data: URL, of 2 to 4 KB."""
    image = Image.fromarray(pixels)
    image.thumbnail((MAX_PREVIEW_SIDE, MAX_PREVIEW_SIDE))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=70)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()


def read_recipe(data: bytes) -> Recipe:
    """Return the recipe inside a PNG file.

    Raises:
        RecipeNotFound: the file is no PNG, or carries no recipe that can be read.
    """
    try:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
            text = image.info[RECIPE_KEYWORD]
        return Recipe.model_validate_json(text)
    except KeyError as error:
        raise RecipeNotFound("the picture carries no recipe; it was not drawn here") from error
    except ValidationError as error:
        raise RecipeNotFound("the picture's recipe is damaged or of another version") from error
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise RecipeNotFound("the file is not a PNG picture") from error


def default_filename(recipe: Recipe) -> str:
    """Return the name of a picture that was given none; the same recipe has the same name."""
    return f"{uuid.uuid5(_NAMESPACE, recipe.model_dump_json())}_generate_image{EXTENSION}"


def names(
    request: GenerateImage,
    *,
    uuid: str,
    stubref: str | None,
    task: str,
    extension: str = EXTENSION,
) -> tuple[str, str]:
    """Return the file name of a task's picture, and the name as its caller knows it.

    `uuid` is a version-5 UUID of the task, `task` its name on the stubpost.
    """
    if request.filename is not None:
        return safe_filename(request.filename, extension), request.filename
    name = f"{stubref}_{uuid}_{task}" if stubref else f"{uuid}_generate_image"
    return name + extension, name + extension


def safe_filename(wanted: str, extension: str = EXTENSION) -> str:
    """Return a name every file system takes, of at most `MAX_FILENAME_BYTES` in UTF-8.

    Folders, control and reserved characters go; the extension becomes that of the content.
    """
    name = unicodedata.normalize("NFC", wanted).replace("\\", "/").rstrip("/").split("/")[-1]
    name = "".join("_" if c in _RESERVED_CHARACTERS else c for c in _printable(name))
    name = " ".join(name.split()).lstrip(".").strip()
    stem, dot, suffix = name.rpartition(".")
    if dot and f".{suffix.lower()}" in {extension, *_IMAGE_EXTENSIONS}:
        name = stem
    room = MAX_FILENAME_BYTES - len(extension)
    name = name.encode()[:room].decode(errors="ignore").rstrip(" .")
    if name.split(".")[0].rstrip().lower() in _RESERVED_NAMES:
        name = f"_{name}"
    return (name or "image") + extension


def check_writable(path: Path) -> None:
    """Find out before drawing that `path` could not be written, where that can be known.

    Raises:
        StorageError: it is something else than a file, or its folder is closed to us.
    """
    path = path.resolve()
    if path.exists() and not path.is_file():
        raise StorageError(f"{path} is not a file; give the picture another name")
    folder = next(folder for folder in path.parents if folder.exists())
    if not folder.is_dir():
        raise StorageError(f"{folder} is not a folder; put the picture elsewhere")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise StorageError(f"the folder {folder} is not writable; put the picture elsewhere")


def write_atomically(path: Path, data: bytes) -> None:
    """Write a whole file or nothing; folders are made, an existing file is replaced.

    Raises:
        StorageError: it could not be written; nothing is left behind.
    """
    part = path.resolve().with_name(f".gouache-{secrets.token_hex(8)}.part")
    try:
        check_writable(path)
        path = path.resolve()
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with part.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
        _sync_folder(path.parent)
    except OSError as error:
        reason = error.strerror or str(error)
        raise StorageError(f"{path} could not be written: {reason}") from error


def _sync_folder(folder: Path) -> None:
    """Make a rename survive a power cut, where the system lets a folder be opened."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _on_background(found: re.Match[str]) -> str:
    article = "an" if found[1][0] in "aeiou" else "a"
    return f" on {article} {found[1]}"


def _cut(text: str, most: int) -> str:
    """Return the beginning of a text that is too long, to the end of a clause or of a word."""
    if len(text) < most:
        return text
    beginning = text[: most - 1].rpartition(" ")[0] or text[: most - 1]
    clause = max(beginning.rfind(mark) for mark in (", ", "; ", " – ", ": "))
    if clause > most // 2:
        return beginning[:clause]
    return beginning.rstrip(" ,;:-") + "…"


def _printable(text: str) -> str:
    """Return the text without control, format and surrogate characters; white space is kept."""
    return "".join(c for c in text if c.isspace() or not unicodedata.category(c).startswith("C"))
