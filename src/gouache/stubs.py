"""A stubpost's tasks, one after the other: each is run, stored, and its picture posted on the stub.

A task ends in one transaction: its result, the row of its file, the stubpost that shows the picture,
and the queueing of the task that follows it. The file is written before that, under a name made of the
task and the content, so that a kill at any moment leaves a task that is run again, or a file that no
row points to; never a result without its file, never two posts.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

import sqlalchemy as sa

from gouache import files, images, ledger, results
from gouache.contract import FileObject, Result
from gouache.database import reading, writing
from gouache.durable import Durable, OnProgress
from gouache.engines import Step
from gouache.errors import (
    Cancelled,
    DatabaseUnavailable,
    EngineTimedOut,
    GouacheError,
    TaskNotCancellable,
    TaskNotFound,
)
from gouache.gateways import Gateways
from gouache.ledger import Row
from gouache.making import Made, Making, uuid_of
from gouache.neighbours import merged, with_attached
from gouache.pacing import TooEarly
from gouache.preparing import Preparing, used_params
from gouache.records import Progress, TaskState
from gouache.retrying import Following, following
from gouache.settings import Settings
from gouache.webhooks import Webhooks

PROGRESS_SECONDS = 0.15
DATABASE_RETRY_SECONDS = 0.5

_log = logging.getLogger(__name__)

Done = TypeVar("Done")


class Stubs:
    """Runs tasks and ends them."""

    def __init__(
        self,
        settings: Settings,
        engine: sa.Engine,
        *,
        durable: Durable,
        gateways: Gateways,
        preparing: Preparing,
        making: Making,
        webhooks: Webhooks,
    ) -> None:
        """Keep what a task needs on its way."""
        self._settings = settings
        self._engine = engine
        self._durable = durable
        self._gateways = gateways
        self._preparing = preparing
        self._making = making
        self._webhooks = webhooks

    async def run(self, taskuuid: str, attempt: int, on_progress: OnProgress) -> None:
        """Run one try of a task and write down what came of it."""
        stopped = threading.Event()
        started = ledger.now()
        row = await asyncio.to_thread(self._row, taskuuid, stopped)
        if row is None or row.state != "queued" or row.attempts != attempt:
            return  # killed between the end of the task and the end of the try
        seconds = self._gateways.row(row.gateway).timeout_seconds
        try:
            while True:
                try:
                    async with asyncio.timeout(seconds):
                        await asyncio.to_thread(self._run, row, on_progress, started, stopped)
                    return
                except TooEarly as early:  # it waits outside of the time that a try may take
                    await asyncio.sleep(early.seconds)
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
        made: Made | None = None,
    ) -> bool:
        """Write down the end of a task and all that follows; False where it had ended before.

        Raises:
            RequestError: what was made does not fit on the stub.
        """
        if row.stubref is not None:
            ledger.lock_stub(connection, row.stubref, owner=row.owner)
        if not ledger.end_task(connection, row.taskuuid, state, result, started=started):
            return False
        self._webhooks.queue(connection, row)
        if made is not None:
            self._keep(connection, row, made)
        if row.stubpostuuid is not None:
            next_task = ledger.queue_next(connection, row.stubpostuuid)
            if next_task is not None:
                self.queue(connection, next_task)
        return True

    def cancel(self, taskuuid: str, *, owner: str | None) -> Row:
        """End a task that has not ended, and stop it where it runs; return its row.

        Raises:
            TaskNotFound: there is none.
            TaskNotCancellable: it has ended.
        """
        with writing(self._engine) as connection:
            row = ledger.task_row(connection, taskuuid, owner=owner)
            if row is None:
                raise TaskNotFound(f"there is no task {taskuuid}", param="taskuuid")
            started = self._durable.running([(taskuuid, row.attempts)]).get(taskuuid)
            result = results.failed(row, Cancelled("the task was cancelled"), started=started)
            if not self.end(connection, row, "cancelled", result, started=started):
                message = f"the task {taskuuid} has ended already: {row.state}"
                raise TaskNotCancellable(message, param="taskuuid")
            ended = ledger.task_row(connection, taskuuid, owner=owner)
        assert ended is not None  # just updated
        with suppress(DatabaseUnavailable):  # what runs finds at its end that it came too late
            self._durable.cancel(taskuuid, ended.attempts)
        return ended

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
                return ledger.task_row(connection, taskuuid, owner=None)

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
            on_step = _Steps(on_progress, row.attempts, stopped)
            self._finish(row, self._making.made(row, on_step, started=started), started, stopped)
        except Exception as error:
            if isinstance(error, TooEarly):
                raise
            if isinstance(error, Cancelled) or stopped.is_set():
                return  # whoever stopped it has written that down
            if not isinstance(error, GouacheError):
                _log.exception("task %s failed for a reason that is ours", row.taskuuid)
                error = GouacheError("something went wrong inside; the log of the worker has it")
            self._failed(row, error, started, stopped)

    def _finish(self, row: Row, made: Made, started: int, stopped: threading.Event) -> None:
        """Write down what came of a task; what came too late is dropped."""
        ended = self._insist(
            lambda connection: self.end(
                connection, row, "succeeded", made.result, started=started, made=made
            ),
            stopped,
        )
        if not ended and made.stored is not None:
            stored = made.stored
            self._patiently(lambda: self._making.drop(stored), stopped)

    def _skip(self, row: Row, condition: str, started: int, stopped: threading.Event) -> None:
        result = results.skipped(row, condition)
        self._insist(
            lambda connection: self.end(connection, row, "skipped", result, started=started),
            stopped,
        )

    def _failed(
        self, row: Row, error: GouacheError, started: int, stopped: threading.Event
    ) -> None:
        """Queue the next try, here or on another gateway, or write down that the task failed."""
        found = following(self._gateways, row, error)
        if isinstance(found, Following):
            self._insist(lambda connection: self._retry(connection, row, found, started), stopped)
            return
        result = results.failed(row, error, started=started, warnings=found)
        self._insist(
            lambda connection: self.end(connection, row, "failed", result, started=started), stopped
        )

    def _keep(self, connection: sa.Connection, row: Row, made: Made) -> None:
        """Write down the file, and what changes on the stub."""
        if made.stored is not None:
            files.insert_file(
                connection,
                made.stored.file,
                taskuuid=row.taskuuid,
                size=made.stored.size,
                stored=made.stored.stored,
            )
        if row.stubref is None:
            return
        if made.is_shown and made.stored is not None:
            self._post_response(connection, row, made.stored.file)
        if made.attachments or made.patch is not None:
            stub = ledger.stub(connection, row.stubref, owner=row.owner)
            attached = [file.model_dump() for file in stub.attachments]
            ledger.change_stub(
                connection,
                row.stubref,
                data=merged(stub.data, made.patch or {}),
                attachments=with_attached(attached, made.attachments),
            )

    def _retry(self, connection: sa.Connection, row: Row, found: Following, started: int) -> None:
        again = ledger.retry_task(
            connection, row.taskuuid, attempt=row.attempts, started=started, **found.changes
        )
        if again is not None:
            self.queue(connection, again, delay_seconds=found.wait_seconds)

    def _post_response(self, connection: sa.Connection, row: Row, file: FileObject) -> None:
        """Post the picture on the stub."""
        prompt = " ".join(str(used_params(row)["prompt"]).split())
        shown = prompt if len(prompt) <= 200 else prompt[:197] + "..."
        ledger.insert_stubpost(
            connection,
            row.stubref,
            uuid_of(f"{row.taskuuid} response"),
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


class _Steps:
    """Passes an engine's steps on, not too many of them, and stops it between two."""

    def __init__(self, on_progress: OnProgress, attempt: int, stopped: threading.Event) -> None:
        self._on_progress = on_progress
        self._attempt = attempt
        self._stopped = stopped
        self._reported = time.monotonic()
        self._last: Step | None = None

    def __call__(self, step: Step) -> None:
        if self._stopped.is_set():
            raise Cancelled("the task was stopped")
        if step is self._last or time.monotonic() - self._reported < PROGRESS_SECONDS:
            return  # an engine that waits for another machine tells its last step again
        self._reported = time.monotonic()
        self._last = step
        preview = None if step.preview is None else images.preview_url(step.preview)
        self._on_progress(
            Progress(attempt=self._attempt, step=step.step, steps=step.steps, preview=preview)
        )
