"""The stored files: a folder in which each file is written whole or not at all.

A file's stored name is made by us from UUIDs and digests; nothing a user writes becomes a path. The
first two characters name a subfolder, so that no folder grows without bound.
"""

import re
import time
from collections.abc import Iterator
from pathlib import Path

from gouache.errors import StorageError
from gouache.images import write_atomically

_STORED = re.compile(r"^[0-9a-f][0-9a-f-]{8,120}$")


class FileStore:
    """Files by their stored names, in one folder that all workers see."""

    def __init__(self, folder: Path) -> None:
        """Make the folder where it is missing.

        Raises:
            StorageError: it cannot be made.
        """
        self.folder = folder.resolve()
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(f"{folder} cannot be made: {error.strerror}") from error

    def path(self, stored: str) -> Path:
        """Return where the file of this name is, or would be."""
        if not _STORED.match(stored):
            raise ValueError(f"{stored!r} is not a name of ours")
        return self.folder / stored[:2] / stored

    def put(self, stored: str, data: bytes) -> None:
        """Write a file, durably; one of the same name is replaced.

        Raises:
            StorageError: it could not be written; nothing is left behind.
        """
        write_atomically(self.path(stored), data)

    def exists(self, stored: str) -> bool:
        """Whether there is such a file."""
        return self.path(stored).is_file()

    def delete(self, stored: str) -> None:
        """Delete a file; one that is not there is no error.

        Raises:
            StorageError: it could not be deleted.
        """
        try:
            self.path(stored).unlink(missing_ok=True)
        except OSError as error:
            raise StorageError(f"{stored} could not be deleted: {error.strerror}") from error

    def older_than(self, seconds: float) -> Iterator[Path]:
        """Yield every file that was written longer ago, also what a kill left half-written."""
        before = time.time() - seconds
        for path in sorted(self.folder.glob("*/*")):
            try:
                if path.is_file() and path.stat().st_mtime <= before:
                    yield path
            except FileNotFoundError:  # renamed or deleted meanwhile
                continue
