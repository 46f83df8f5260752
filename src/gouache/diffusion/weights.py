"""The folder of weights: which files there are, and that they are whole.

`model.json` is written last and read first: without it there is no model in the folder. It names
every file with its size and SHA-256, so a half-copied or damaged file is found before it is used.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gouache.errors import WeightsUnusable

MANIFEST = "model.json"
DENOISER = "denoiser.xml"
UPSCALER = "upscaler.xml"
TEXT_ENCODER = "text-encoder.xml"
TOKENIZER = "tokenizer.json"
CONCEPTS = "concepts.json"
CONCEPT_VECTORS = "concept_vectors.npz"
REFERENCES = "references.bin"

FILES = (
    DENOISER,
    DENOISER.replace(".xml", ".bin"),
    UPSCALER,
    UPSCALER.replace(".xml", ".bin"),
    TEXT_ENCODER,
    TEXT_ENCODER.replace(".xml", ".bin"),
    TOKENIZER,
    CONCEPTS,
    CONCEPT_VECTORS,
    REFERENCES,
)
"""Every file of a model, `model.json` aside."""


@dataclass(frozen=True, slots=True)
class Drawing:
    """How a model draws: steps per quality, guidance, sampler, shift of the time grid.

    `side` is the shorter side in pixels of the denoiser's picture.
    """

    num_inference_steps: Mapping[str, int]
    guidance_scale: float
    sampler: str
    shift: float
    side: int


@dataclass(frozen=True, slots=True)
class Model:
    """A folder of weights that was found whole. `preset` is the one it was trained with."""

    folder: Path
    name: str
    preset: str
    licence: str
    drawing: Drawing

    def path(self, name: str) -> Path:
        """Return where one of its files lies."""
        return self.folder / name


def open_model(folder: Path) -> Model:
    """Read `model.json` and check every file it names.

    Raises:
        WeightsUnusable: there is no `model.json`, it cannot be read, or a file is missing or
            damaged; the message names it.
    """
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        model = Model(
            folder,
            manifest["name"],
            manifest["preset"],
            manifest["licence"],
            Drawing(**manifest["drawing"]),
        )
        files = {name: (row["bytes"], row["sha256"]) for name, row in manifest["files"].items()}
    except FileNotFoundError as error:
        raise WeightsUnusable(f"there is no model in {folder}: {MANIFEST} is missing") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise WeightsUnusable(f"{folder / MANIFEST} cannot be read: {error!r}") from error
    missing = sorted(set(FILES) - set(files))
    if missing:
        raise WeightsUnusable(f"{folder / MANIFEST} does not name {', '.join(missing)}")
    for name, (size, digest) in files.items():
        _check(folder / name, size, digest)
    return model


def write_manifest(
    folder: Path, *, name: str, preset: str, licence: str, drawing: Drawing, made_by: Any = None
) -> None:
    """Write `model.json` for the files in a folder: last, and whole or not at all.

    `made_by` is whatever says how the weights came to be; it is kept and not read.
    """
    manifest = {
        "name": name,
        "preset": preset,
        "licence": licence,
        "drawing": asdict(drawing),
        "made_by": made_by,
        "files": {
            file: {"bytes": (folder / file).stat().st_size, "sha256": sha256(folder / file)}
            for file in FILES
        },
    }
    partial = folder / f"{MANIFEST}.partial"
    partial.write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    partial.replace(folder / MANIFEST)


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check(path: Path, size: int, digest: str) -> None:
    try:
        if path.stat().st_size == size and sha256(path) == digest:
            return
    except OSError as error:
        raise WeightsUnusable(f"{path} cannot be read: {error.strerror}") from error
    raise WeightsUnusable(f"{path} is damaged: it is not the file that {MANIFEST} describes")
