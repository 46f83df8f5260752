"""What comes of a task: a picture that is drawn, or what a neighbour task leaves; its file is stored.

A file is written before any row tells of it, under a name made of the task and the content: a second run
writes the same name again, or another one that no row points to.
"""

import hashlib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from gouache import cache, files, images, ledger, neighbours, results
from gouache.contract import FileDetails, FileObject, GenerateImage, Result, read, read_request
from gouache.database import reading
from gouache.engines import Encoded, OnStep
from gouache.errors import FileNotFound
from gouache.files import FileStore
from gouache.gateways import Gateways
from gouache.images import Recipe
from gouache.ledger import Row
from gouache.links import Links
from gouache.pacing import Pacing
from gouache.preparing import used_params
from gouache.settings import Settings
from gouache.spending import Spending
from gouache.tasktypes import PARAMS

_NAMESPACE = uuid.UUID("0f6b1f5e-3a7c-5c0a-9a51-6c1f0b6f2d11")


@dataclass(frozen=True, slots=True)
class Stored:
    """A file that is on disk, and what its row is to say."""

    file: FileObject
    size: int
    stored: str


@dataclass(frozen=True, slots=True)
class Made:
    """What came of a task, and what its end is to change.

    `attachments` are added to the stub, `patch` is merged into its data; where `is_shown` is true a
    stubpost shows the file.
    """

    result: Result
    stored: Stored | None = None
    attachments: tuple[FileObject, ...] = ()
    patch: Mapping[str, Any] | None = None
    is_shown: bool = False


class Making:
    """Makes what tasks ask for."""

    def __init__(
        self,
        settings: Settings,
        engine: sa.Engine,
        *,
        gateways: Gateways,
        files: FileStore,
        links: Links,
        spending: Spending,
    ) -> None:
        """Make nothing yet."""
        self._settings = settings
        self._engine = engine
        self._gateways = gateways
        self._files = files
        self._links = links
        self._spending = spending
        self._pacing = Pacing(engine, gateways)

    def made(self, row: Row, on_step: OnStep, *, started: int) -> Made:
        """Return what came of a task whose params are resolved, with its file on disk.

        Raises:
            RequestError, EngineError, BudgetExceeded, StorageError, Cancelled
            TooEarly: the gateway's rate limit makes it wait; nothing was sent.
        """
        if row.tasktype == "generate_image":
            return self._drawn_before(row, started) or self._drawn(row, on_step, started)
        params = read(PARAMS[row.tasktype], used_params(row), inside="params")
        around = _Surroundings(self._settings, self._engine, self._files, self._links, row)
        outcome = neighbours.run(params, around)
        return Made(
            result=results.done(row, outcome.payload, started=started, warnings=outcome.warnings),
            stored=self._stored(row, outcome.file.file, outcome.file.data)
            if outcome.file
            else None,
            attachments=outcome.attachments,
            patch=outcome.patch,
        )

    def drop(self, stored: Stored) -> None:
        """Delete a file that came too late, unless the task ended with the very same.

        Raises:
            DatabaseUnavailable: nobody can tell.
        """
        with reading(self._engine) as connection:
            kept = files.file_row(connection, stored.file.fileuuid, owner=None)
        if kept is None or kept.stored != stored.stored:
            self._files.delete(stored.stored)

    def _drawn_before(self, row: Row, started: int) -> Made | None:
        """Return what came of a task like this one, copied, where it is in the cache."""
        if row.cache_key is None or not row.cache:
            return None
        with reading(self._engine) as connection:
            before = cache.drawn_before(connection, row.cache_key)
        if before is None:
            return None
        try:
            data = self._files.path(before.stored).read_bytes()
        except OSError:  # it was deleted just now
            return None
        request = read_request(used_params(row))
        file = _file(row, request, before.content_type)
        return Made(
            result=results.drawn_before(row, before, file, started=started),
            stored=self._stored(row, file, data),
            is_shown=not request.disable_model_response,
        )

    def _drawn(self, row: Row, on_step: OnStep, started: int) -> Made:
        request = read_request(used_params(row))
        asked = request
        if row.first_gateway is not None:
            asked = self._gateways.standing_in(row.gateway, request)
        asked = self._gateways.for_engine(row.gateway, asked)
        if request.seed is None and row.seed is not None:
            asked = asked.model_copy(update={"seed": row.seed})  # a second run draws the same
        engine = self._gateways.engine(row.gateway)
        self._pacing.take_turn(row.gateway)
        drawing = self._spending.drawing(row, asked, lambda: engine.generate(asked, on_step))
        recipe = Recipe(
            request=request,
            seed=drawing.seed,
            model=drawing.model,
            revised_prompt=drawing.revised_prompt,
        )
        encoded = drawing.encoded or Encoded(
            images.encode_png(drawing.pixels, recipe), images.CONTENT_TYPE
        )
        file = _file(row, request, encoded.content_type)
        stored = self._stored(row, file, encoded.data)
        return Made(
            result=results.drawn(
                row, drawing, file, alt_text=images.alt_text(recipe), started=started
            ),
            stored=stored,
            is_shown=not request.disable_model_response,
        )

    def _stored(self, row: Row, file: FileObject, data: bytes) -> Stored:
        """Write a file and return what its row is to say."""
        name = f"{fileuuid_of(row.taskuuid)}-{hashlib.sha256(data).hexdigest()[:16]}"
        self._files.put(name, data)
        return Stored(file=file, size=len(data), stored=name)


def uuid_of(name: str) -> str:
    """Return the version-5 UUID of a task, or of what belongs to it."""
    return str(uuid.uuid5(_NAMESPACE, name))


def fileuuid_of(taskuuid: str) -> str:
    """Return the UUID of a task's file; its stored name begins with it."""
    return uuid_of(f"{taskuuid} file")


def _file(row: Row, request: GenerateImage, content_type: str) -> FileObject:
    """Return the file object of a task's picture."""
    filename, originalname = images.names(
        request,
        uuid=uuid_of(row.taskuuid),
        stubref=row.stubref,
        task=row.name,
        extension=images.EXTENSIONS[content_type],
    )
    return FileObject(
        fileuuid=fileuuid_of(row.taskuuid),
        filename=filename,
        originalname=originalname,
        contentType=content_type,
    )


class _Surroundings:
    """What a neighbour task may look at."""

    def __init__(
        self, settings: Settings, engine: sa.Engine, store: FileStore, links: Links, row: Row
    ) -> None:
        self.stubref: str | None = row.stubref
        self.taskname: str = row.name
        self.fileuuid = fileuuid_of(row.taskuuid)
        self.created = ledger.as_text(row.created)
        self.address = settings.address
        self.max_bytes = settings.max_body_bytes
        self._owner: str | None = row.owner
        self._engine = engine
        self._store = store
        self._links = links

    def file(self, fileuuid: str) -> FileDetails:
        return files.file_details(self._row(fileuuid))

    def file_path(self, fileuuid: str) -> Path:
        return self._store.path(self._row(fileuuid).stored)

    def file_url(self, fileuuid: str) -> str:
        if self._owner is not None:
            self._row(fileuuid)
        return self._links.url(fileuuid)

    def _row(self, fileuuid: str) -> Row:
        with reading(self._engine) as connection:
            row = files.file_row(connection, fileuuid, owner=self._owner)
        if row is None:
            raise FileNotFound(f"there is no file {fileuuid}")
        return row
