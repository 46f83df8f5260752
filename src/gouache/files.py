"""The stored files: a folder in which each file is written whole or not at all, and their rows.

A file's stored name is made by us from UUIDs and digests; nothing a user writes becomes a path. The
first two characters name a subfolder, so that no folder grows without bound.
"""

import re
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import sqlalchemy as sa

from gouache import ledger
from gouache.contract import FileDetails, FileObject
from gouache.database import files as rows
from gouache.database import tasks
from gouache.errors import StorageError
from gouache.images import write_atomically
from gouache.ledger import Row

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


def insert_file(
    connection: sa.Connection, file: FileObject, *, taskuuid: str, size: int, stored: str
) -> None:
    """Write down a stored file."""
    connection.execute(
        rows.insert().values(
            fileuuid=file.fileuuid,
            taskuuid=taskuuid,
            filename=file.filename,
            originalname=file.originalname,
            content_type=file.contentType,
            size=size,
            stored=stored,
            created=ledger.now(),
        )
    )


def file_row(connection: sa.Connection, fileuuid: str, *, owner: str | None) -> Row | None:
    """Return the row of a file that was not deleted; with `owner`, only of a task of that owner's."""
    query = sa.select(rows).where(rows.c.fileuuid == fileuuid, rows.c.deleted.is_(None))
    if owner is not None:
        query = query.join(tasks, tasks.c.taskuuid == rows.c.taskuuid).where(tasks.c.owner == owner)
    return connection.execute(query).one_or_none()


def file_rows(connection: sa.Connection, *, before: int | None = None) -> Sequence[Row]:
    """Return the rows of all files that were not deleted; with `before`, only older ones."""
    query = sa.select(rows).where(rows.c.deleted.is_(None))
    if before is not None:
        query = query.where(rows.c.created < before)
    return connection.execute(query.order_by(rows.c.number)).all()


def delete_file(connection: sa.Connection, fileuuid: str) -> bool:
    """Write down that a file is deleted; False where there is none."""
    query = rows.update().where(rows.c.fileuuid == fileuuid, rows.c.deleted.is_(None))
    return connection.execute(query.values(deleted=ledger.now())).rowcount == 1


def file_object(row: Row) -> FileObject:
    """Return a file as it is passed from task to task."""
    return FileObject(
        fileuuid=row.fileuuid,
        filename=row.filename,
        originalname=row.originalname,
        contentType=row.content_type,
    )


def file_details(row: Row) -> FileDetails:
    """Return a file with all that is known of it."""
    return FileDetails(
        fileuuid=row.fileuuid,
        filename=row.filename,
        originalname=row.originalname,
        contentType=row.content_type,
        size=row.size,
        upload_date=ledger.as_text(row.created),
    )
