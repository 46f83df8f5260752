"""A stubpost's tasks, one after the other: each is run, stored, and its picture posted on the stub.

A task ends in one transaction: its result, the row of its file, the stubpost that shows the picture,
and the queueing of the task that follows it. The file is written before that, under a name made of the
task and the content, so that a kill at any moment leaves a task that is run again, or a file that no
row points to; never a result without its file, never two posts.
"""

import asyncio
import hashlib
import logging
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import sqlalchemy as sa

from gouache import files, images, ledger
from gouache.contract import (
    FileObject,
    GenerateImage,
    Image,
    ImageData,
    ImageResponse,
    Payload,
    Result,
    TaskError,
    read_request,
    resolved,
)
from gouache.database import reading, writing
from gouache.durable import Durable, OnProgress
from gouache.engines import Drawing, OnStep, Step
from gouache.errors import (
    Cancelled,
    DatabaseUnavailable,
    EngineRateLimited,
    EngineTimedOut,
    GouacheError,
    RequestError,
)
from gouache.files import FileStore
from gouache.gateways import Gateways
from gouache.images import Recipe
from gouache.ledger import Row
from gouache.preparing import Preparing, used_params
from gouache.records import Progress, TaskState
from gouache.settings import Settings

PROGRESS_SECONDS = 0.4
LONGEST_RETRY_SECONDS = 60.0
DATABASE_RETRY_SECONDS = 0.5

_NAMESPACE = uuid.UUID("0f6b1f5e-3a7c-5c0a-9a51-6c1f0b6f2d11")
_log = logging.getLogger(__name__)

Done = TypeVar("Done")


@dataclass(frozen=True, slots=True)
class Stored:
    """A file that is on disk, and what its row is to say."""

    file: FileObject
    size: int
    stored: str


class Stubs:
    """Runs tasks and ends them."""

    def __init__(
        self,
        settings: Settings,
        engine: sa.Engine,
        *,
        durable: Durable,
        gateways: Gateways,
        files: FileStore,
        preparing: Preparing,
    ) -> None:
        """Keep what a task needs on its way."""
        self._settings = settings
        self._engine = engine
        self._durable = durable
        self._gateways = gateways
        self._files = files
        self._preparing = preparing

    async def run(self, taskuuid: str, attempt: int, on_progress: OnProgress) -> None:
        """Run one try of a task and write down what came of it."""
        stopped = threading.Event()
        started = ledger.now()
        row = await asyncio.to_thread(self._row, taskuuid, stopped)
        if row is None or row.state != "queued" or row.attempts != attempt:
            return  # killed between the end of the task and the end of the try
        seconds = self._gateways.row(row.gateway).timeout_seconds
        try:
            async with asyncio.timeout(seconds):
                await asyncio.to_thread(self._run, row, on_progress, started, stopped)
        except TimeoutError:
            stopped.set()
            error = EngineTimedOut(f"the engine took longer than {seconds:g} s")
            await asyncio.to_thread(self._failed, row, error, started, threading.Event())
        finally:  # cancelled, or the process is stopping: the engine ends at its next step
            stopped.set()

    def lost(self, row: Row, error: GouacheError) -> None:
        """End a try whose end nobody wrote down: the next one follows, or the task fails."""
        self._failed(row, error, row.started or ledger.now(), threading.Event())

    def end(
        self,
        connection: sa.Connection,
        row: Row,
        state: TaskState,
        result: Result,
        *,
        started: int | None = None,
        stored: Stored | None = None,
    ) -> bool:
        """Write down the end of a task and all that follows; False where it had ended before."""
        if row.stubref is not None:
            ledger.lock_stub(connection, row.stubref)
        if not ledger.end_task(connection, row.taskuuid, state, result, started=started):
            return False
        if stored is not None:
            files.insert_file(
                connection,
                stored.file,
                taskuuid=row.taskuuid,
                size=stored.size,
                stored=stored.stored,
            )
            if (
                row.stubref is not None
                and not read_request(used_params(row)).disable_model_response
            ):
                self._post_response(connection, row, stored.file)
        if row.stubpostuuid is not None:
            following = ledger.queue_next(connection, row.stubpostuuid)
            if following is not None:
                self.queue(connection, following)
        return True

    def queue(self, connection: sa.Connection, row: Row, *, delay_seconds: float = 0) -> None:
        """Queue the current try of a task within the caller's transaction."""
        self._durable.submit(
            connection,
            row.taskuuid,
            attempt=row.attempts,
            gateway=row.gateway,
            priority=row.priority,
            delay_seconds=delay_seconds,
        )

    def _row(self, taskuuid: str, stopped: threading.Event) -> Row | None:
        def look() -> Row | None:
            with reading(self._engine) as connection:
                return ledger.task_row(connection, taskuuid)

        return self._patiently(look, stopped)

    def _run(
        self, row: Row, on_progress: OnProgress, started: int, stopped: threading.Event
    ) -> None:
        try:
            condition = self._patiently(lambda: self._preparing.failed_condition(row), stopped)
            if condition is not None:
                self._skip(row, condition, started, stopped)
                return
            row = self._patiently(lambda: self._preparing.resolved(row), stopped)
            drawing, stored = self._draw(row, _Steps(on_progress, row.attempts, stopped))
        except Exception as error:
            if isinstance(error, Cancelled) or stopped.is_set():
                return  # whoever stopped it has written that down
            if not isinstance(error, GouacheError):
                _log.exception("task %s failed for a reason that is ours", row.taskuuid)
                error = GouacheError("something went wrong inside; the log of the worker has it")
            self._failed(row, error, started, stopped)
            return
        result = success(row, drawing, stored, started=started)
        if not self._insist(
            lambda connection: self.end(
                connection, row, "succeeded", result, started=started, stored=stored
            ),
            stopped,
        ):
            self._drop(stored, stopped)

    def _skip(self, row: Row, condition: str, started: int, stopped: threading.Event) -> None:
        result = skip(row, condition)
        self._insist(
            lambda connection: self.end(connection, row, "skipped", result, started=started),
            stopped,
        )

    def _draw(self, row: Row, on_step: OnStep) -> tuple[Drawing, Stored]:
        """Draw a task's request and store the picture."""
        request = read_request(used_params(row))
        asked = self._gateways.for_engine(row.gateway, request)
        if request.seed is None and row.seed is not None:
            asked = asked.model_copy(update={"seed": row.seed})  # a second run draws the same
        drawing = self._gateways.engine(row.gateway).generate(asked, on_step)
        recipe = Recipe(
            request=request,
            seed=drawing.seed,
            model=drawing.model,
            revised_prompt=drawing.revised_prompt,
        )
        data = images.encode_png(drawing.pixels, recipe)
        stored = self._name(row, request, data)
        self._files.put(stored.stored, data)
        return drawing, stored

    def _name(self, row: Row, request: GenerateImage, data: bytes) -> Stored:
        fileuuid = fileuuid_of(row.taskuuid)
        filename, originalname = images.names(
            request,
            uuid=str(uuid.uuid5(_NAMESPACE, row.taskuuid)),
            stubref=row.stubref,
            task=row.name,
        )
        return Stored(
            file=FileObject(
                fileuuid=fileuuid,
                filename=filename,
                originalname=originalname,
                contentType=images.CONTENT_TYPE,
            ),
            size=len(data),
            stored=f"{fileuuid}-{hashlib.sha256(data).hexdigest()[:16]}",
        )

    def _drop(self, stored: Stored, stopped: threading.Event) -> None:
        """Delete a picture that came too late, unless the task ended with the very same."""
        kept = self._insist(
            lambda connection: files.file_row(connection, stored.file.fileuuid), stopped
        )
        if kept is None or kept.stored != stored.stored:
            self._files.delete(stored.stored)

    def _failed(
        self, row: Row, error: GouacheError, started: int, stopped: threading.Event
    ) -> None:
        """Queue the next try after a while, or write down that the task failed."""
        gateway = self._gateways.row(row.gateway)
        if error.retryable and row.attempts < gateway.tries:
            wait = min(gateway.retry_seconds * 2 ** (row.attempts - 1), LONGEST_RETRY_SECONDS)
            if isinstance(error, EngineRateLimited) and error.retry_after_seconds is not None:
                wait = max(wait, error.retry_after_seconds)
            self._insist(lambda connection: self._retry(connection, row, wait, started), stopped)
            return
        result = failure(row, error, started=started)
        self._insist(
            lambda connection: self.end(connection, row, "failed", result, started=started), stopped
        )

    def _retry(self, connection: sa.Connection, row: Row, wait: float, started: int) -> None:
        following = ledger.retry_task(
            connection, row.taskuuid, attempt=row.attempts, started=started
        )
        if following is not None:
            self.queue(connection, following, delay_seconds=wait)

    def _post_response(self, connection: sa.Connection, row: Row, file: FileObject) -> None:
        """Post the picture on the stub."""
        prompt = " ".join(str(used_params(row)["prompt"]).split())
        shown = prompt if len(prompt) <= 200 else prompt[:197] + "..."
        ledger.insert_stubpost(
            connection,
            row.stubref,
            str(uuid.uuid5(_NAMESPACE, f"{row.taskuuid} response")),
            action=self._settings.response_action,
            message=f"The picture is ready: {shown}",
            data={},
            attachments=[file],
            response_to=row.taskuuid,
        )

    def _insist(self, write: Callable[[sa.Connection], Done], stopped: threading.Event) -> Done:
        """Do it in a transaction, again and again while the database is away."""

        def in_transaction() -> Done:
            with writing(self._engine) as connection:
                return write(connection)

        return self._patiently(in_transaction, stopped)

    def _patiently(self, do: Callable[[], Done], stopped: threading.Event) -> Done:
        """Do it, again and again while the database is away."""
        while True:
            try:
                return do()
            except DatabaseUnavailable as error:
                _log.warning("%s; trying again", error.message)
                if stopped.wait(DATABASE_RETRY_SECONDS):
                    raise


def fileuuid_of(taskuuid: str) -> str:
    """Return the UUID of a task's file; its stored name begins with it."""
    return str(uuid.uuid5(_NAMESPACE, f"{taskuuid} file"))


def success(row: Row, drawing: Drawing, stored: Stored, *, started: int) -> Result:
    """Return the result of a task that was drawn; its link is signed when it is shown."""
    image = Image(**stored.file.model_dump(), revised_prompt=drawing.revised_prompt)
    return Result(
        success=True,
        payload=Payload(
            request=resolved(read_request(used_params(row))),
            response=ImageResponse(
                created=int(time.time()),
                model=drawing.model,
                seed=drawing.seed,
                unresolved=list(drawing.unresolved),
                data=[
                    ImageData(
                        revised_prompt=drawing.revised_prompt,
                        url=f"/files/{image.fileuuid}",
                        image=image,
                    )
                ],
            ),
            image=image,
        ),
        task_duration_ms=ledger.now() - (row.started or started),
        warnings=[*row.warnings, *drawing.warnings],
    )


def failure(row: Row, error: GouacheError, *, started: int | None = None) -> Result:
    """Return the result of a task that was not drawn; what was asked for stays in it."""
    moment = ledger.now()
    return Result(
        success=False,
        payload=Payload(request=_echoed(row)),
        task_duration_ms=moment - (row.started or started or moment),
        error=TaskError.model_validate(error.as_json()),
        warnings=row.warnings,
    )


def skip(row: Row, condition: str) -> Result:
    """Return the result of a task that was not run, because a condition of it does not hold."""
    return Result(
        success=False,
        payload=Payload(request=_echoed(row)),
        task_duration_ms=0,
        skipped=condition,
        warnings=row.warnings,
    )


def _echoed(row: Row) -> dict[str, Any]:
    """Return the request as it was resolved, or as it was given where it never was."""
    try:
        return resolved(read_request(used_params(row)))
    except RequestError:
        given: dict[str, Any] = row.params
        return given | {"n": 1}


class _Steps:
    """Passes an engine's steps on, not too many of them, and stops it between two."""

    def __init__(self, on_progress: OnProgress, attempt: int, stopped: threading.Event) -> None:
        self._on_progress = on_progress
        self._attempt = attempt
        self._stopped = stopped
        self._reported = time.monotonic()

    def __call__(self, step: Step) -> None:
        if self._stopped.is_set():
            raise Cancelled("the task was stopped")
        if time.monotonic() - self._reported < PROGRESS_SECONDS:
            return
        self._reported = time.monotonic()
        preview = None if step.preview is None else images.preview_url(step.preview)
        self._on_progress(
            Progress(attempt=self._attempt, step=step.step, steps=step.steps, preview=preview)
        )
