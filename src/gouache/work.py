"""Running tasks in this process, and the housekeeping that goes with it.

On SQLite one process at a time runs tasks: it holds a lock on the data folder, which the system takes
back when it dies.
"""

import logging
import threading
from collections.abc import Sequence
from pathlib import Path

import sqlalchemy as sa
from filelock import FileLock, Timeout

from gouache import backlog, files, ledger
from gouache.database import reading, writing
from gouache.durable import Durable
from gouache.errors import AlreadyRunning, DatabaseUnavailable, SettingsError, TaskGaveUp
from gouache.files import FileStore
from gouache.gateways import NEIGHBOURS, NEIGHBOURS_ROW, WEBHOOKS, WEBHOOKS_ROW
from gouache.liveness import workers
from gouache.making import fileuuid_of
from gouache.settings import Settings
from gouache.stubs import Stubs
from gouache.webhooks import Webhooks

SETTLE_SECONDS = 1.0
TIDY_SECONDS = 3600.0
FORGET_SECONDS = 24 * 3600.0
ORPHAN_SECONDS = 3600.0
DAY_MILLISECONDS = 24 * 3600 * 1000

_log = logging.getLogger(__name__)


class Work:
    """The tasks that this process runs."""

    def __init__(
        self,
        settings: Settings,
        engine: sa.Engine,
        *,
        durable: Durable,
        stubs: Stubs,
        webhooks: Webhooks,
        files: FileStore,
    ) -> None:
        """Run nothing yet."""
        self._settings = settings
        self._engine = engine
        self._durable = durable
        self._stubs = stubs
        self._webhooks = webhooks
        self._files = files
        self._lock = self._new_lock()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, gateways: Sequence[str] | None = None) -> None:
        """Begin to run tasks, of these gateways or of all.

        Raises:
            AlreadyRunning: on SQLite, another process runs them.
            SettingsError: there is no such gateway.
        """
        rows = self._settings.all_gateways
        listen = list(rows) if gateways is None else list(gateways)
        for name in listen:
            if name not in rows:
                known = ", ".join(rows)
                raise SettingsError(
                    f"no gateway is named {name!r}; use one of {known}", param="gateway"
                )
        rows = rows | {NEIGHBOURS: NEIGHBOURS_ROW, WEBHOOKS: WEBHOOKS_ROW}
        listen += [NEIGHBOURS, WEBHOOKS]
        if self._engine.dialect.name == "sqlite":
            try:
                self._lock.acquire(blocking=False)
            except Timeout as error:
                raise AlreadyRunning(
                    f"another process runs the tasks in {self._settings.data_dir}; stop it, or use "
                    "a PostgreSQL database to run several"
                ) from error
        try:
            self._durable.start(self._stubs.run, self._webhooks.deliver, rows, listen)
        except BaseException:
            self._lock.release()
            raise
        for name, count in self.stranded().items():
            _log.warning("%d tasks wait for the gateway %s, which is in no setting", count, name)
        self._stopping.clear()
        self._thread = threading.Thread(target=self._keep_house, name="housekeeping", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Run no more tasks; those that are running end in time or are handed back."""
        if self._thread is None:
            return
        self._durable.stop(self._settings.stop_seconds)
        self._stopping.set()
        self._thread.join()
        self._thread = None
        self._lock.release()

    @property
    def runs(self) -> bool:
        """Whether this process runs tasks."""
        return self._thread is not None

    def workers(self) -> int:
        """Return how many processes run tasks now."""
        if self._engine.dialect.name != "sqlite":
            with reading(self._engine) as connection:
                return workers(connection)
        try:
            with self._new_lock().acquire(blocking=False):
                return 0
        except Timeout:
            return 1

    def _new_lock(self) -> FileLock:
        """Return the lock of whoever runs the tasks of the data folder; any thread may free it."""
        return FileLock(self._settings.data_dir / "running.lock", thread_local=False)

    def orphans(self, seconds: float = ORPHAN_SECONDS) -> list[Path]:
        """Return stored files written longer ago that no row points to, nor will soon.

        A task that a kill interrupted writes its file again, under the same name.
        """
        found = list(self._files.older_than(seconds))
        with reading(self._engine) as connection:  # a task that ends between the two has a row
            coming = {fileuuid_of(taskuuid) for taskuuid in backlog.unended(connection)}
            known = {row.stored for row in files.file_rows(connection)}
        return [path for path in found if path.name not in known and path.name[:36] not in coming]

    def stranded(self) -> dict[str, int]:
        """Return how many tasks wait for each gateway that is in no setting any more."""
        with reading(self._engine) as connection:
            waiting = backlog.unended_by_gateway(connection)
        known = {*self._settings.all_gateways, NEIGHBOURS}
        return {gateway: count for gateway, count in waiting.items() if gateway not in known}

    def missing(self) -> list[str]:
        """Return the files that have a row and are gone."""
        with reading(self._engine) as connection:
            rows = files.file_rows(connection)
        return [row.fileuuid for row in rows if not self._files.exists(row.stored)]

    def sweep(self) -> list[Path]:
        """Delete the orphans; return them."""
        found = self.orphans()
        for path in found:
            path.unlink(missing_ok=True)
        return found

    def settle(self) -> None:
        """End the tries of tasks that DBOS ended by itself, unless the tasks have gone on.

        One that ended its worker again and again fails its task; where the database failed under the
        try, the next try follows.
        """
        given_up = self._durable.given_up()
        with reading(self._engine) as connection:
            unended = backlog.unended(connection, [taskuuid for taskuuid, _ in given_up])
        for (taskuuid, attempt), word in given_up.items():
            if taskuuid not in unended:
                continue
            with reading(self._engine) as connection:
                row = ledger.task_row(connection, taskuuid, owner=None)
            if row is None or row.state != "queued" or row.attempts != attempt:
                continue  # another try follows the one that was given up
            error = (
                TaskGaveUp("the task ended its worker again and again; it is not tried again")
                if word == "MAX_RECOVERY_ATTEMPTS_EXCEEDED"
                else DatabaseUnavailable(
                    "the try ended without a result; the worker's log says why"
                )
            )
            self._stubs.lost(row, error)

    def tidy(self) -> None:
        """Forget what is no longer needed: DBOS's records, orphans, files past their days."""
        while self._durable.forget(FORGET_SECONDS) and not self._stopping.is_set():
            pass
        self.sweep()
        if self._settings.file_days is not None:
            self._expire(self._settings.file_days)

    def _expire(self, days: float) -> None:
        before = ledger.now() - int(days * DAY_MILLISECONDS)
        with reading(self._engine) as connection:
            rows = files.file_rows(connection, before=before)
        for row in rows:
            with writing(self._engine) as connection:
                files.delete_file(connection, row.fileuuid)
            self._files.delete(row.stored)

    def _keep_house(self) -> None:
        elapsed = TIDY_SECONDS
        while not self._stopping.wait(SETTLE_SECONDS):
            elapsed += SETTLE_SECONDS
            try:
                self._durable.queue_strays()
                self.settle()
                self._webhooks.settle()
                if elapsed >= TIDY_SECONDS:
                    elapsed = 0
                    self.tidy()
            except Exception as error:  # the database is away: later
                _log.warning("housekeeping: %s", error)
