"""Which workers are alive, on PostgreSQL: a dead one's tries are handed to the others.

DBOS begins the tries of a dead worker again only when a process of the same name starts. Here a worker
holds a session-level advisory lock named after it for as long as it lives; PostgreSQL lets go of it
when the connection breaks, or when a worker that stands still does not use it (`STILL_SECONDS`).
Whoever gets the lock of a worker that still has running tries knows that it is dead, and calls DBOS's
recovery, which is idempotent and fenced. No rows to renew, no clocks to compare.
"""

import asyncio
import logging
import os
import threading
import time

import psycopg
import sqlalchemy as sa
from dbos import DBOS

from gouache.errors import DatabaseUnavailable

SCAN_SECONDS = 1.0
STILL_SECONDS = 10.0
HUNG_SECONDS = 60.0
WORKER = "gouache worker "
"""How the connections that hold these locks are named, for whoever looks at the server."""

_LOCK = "SELECT pg_try_advisory_lock(hashtextextended('gouache:' || %s, 0))"
_UNLOCK = "SELECT pg_advisory_unlock(hashtextextended('gouache:' || %s, 0))"

_log = logging.getLogger(__name__)


def workers(connection: sa.Connection) -> int:
    """Return how many workers live."""
    query = sa.text(
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE datname = current_database() AND starts_with(application_name, :worker)"
    )
    return connection.scalar(query, {"worker": WORKER}) or 0


class Liveness:
    """Shows that this worker lives, and looks for those that do not.

    `loop` is the event loop the worker's tries run on, once one has run.
    """

    def __init__(self, url: sa.URL, executor: str) -> None:
        """Take the lock of `executor`, this worker's name.

        Raises:
            DatabaseUnavailable: the database cannot be reached.
        """
        self._dsn = url.set(drivername="postgresql").render_as_string(hide_password=False)
        self.loop: asyncio.AbstractEventLoop | None = None
        self._executor = executor
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="liveness", daemon=True)
        try:
            self._connect()
        except psycopg.Error as error:
            message = f"the database cannot be used: {_first_line(error)}"
            raise DatabaseUnavailable(message) from error

    def start(self) -> None:
        """Begin to look after the others."""
        self._thread.start()

    def stop(self) -> None:
        """Give up the lock: the others take over what this worker has not finished."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout=2 * SCAN_SECONDS)
        self._connection.close()

    def _connect(self) -> None:
        self._connection = psycopg.connect(
            self._dsn,
            autocommit=True,
            application_name=f"{WORKER}{self._executor}",
            options=f"-c idle_session_timeout={STILL_SECONDS * 1000:.0f}",
            connect_timeout=5,
            keepalives_idle=5,
            keepalives_interval=2,
            keepalives_count=3,
        )
        while not self._locked(self._executor):  # a broken session may hold it for a moment yet
            if self._stopping.wait(SCAN_SECONDS / 5):
                return
        self._since = time.monotonic()

    def _locked(self, executor: str) -> bool:
        row = self._connection.execute(_LOCK, (executor,)).fetchone()
        return bool(row and row[0])

    def _watch(self) -> None:
        while not self._stopping.wait(SCAN_SECONDS):
            try:
                self._connection.execute("SELECT 1")
                self._leave_if_hung()
                # After a restart of the database the living lock themselves again first.
                if time.monotonic() - self._since >= 3 * SCAN_SECONDS:
                    self._recover()
            except psycopg.Error as error:
                _log.warning("the lock of this worker is lost: %s", _first_line(error))
                self._reconnect()
            except Exception as error:  # whatever it is, this thread goes on
                _log.warning("looking after workers: %s", _first_line(error))

    def _recover(self) -> None:
        running = DBOS.list_workflows(status="PENDING", load_input=False, load_output=False)
        for executor in {w.executor_id for w in running} - {self._executor, None}:
            if executor is not None and self._locked(executor):
                try:
                    _log.warning("the worker %s is gone; its tasks are begun again", executor)
                    DBOS._recover_pending_workflows([executor])
                finally:
                    self._connection.execute(_UNLOCK, (executor,))

    def _reconnect(self) -> None:
        try:
            self._connection.close()
            self._connect()
        except psycopg.Error:
            return  # tried again at the next scan

    def _leave_if_hung(self) -> None:
        """End a process whose event loop stands still: it holds its lock but does not work."""
        if self.loop is None or self.loop.is_closed():
            return
        answered = threading.Event()
        self.loop.call_soon_threadsafe(answered.set)
        if not answered.wait(HUNG_SECONDS):
            _log.critical("nothing has moved for %.0f s; leaving", HUNG_SECONDS)
            os._exit(70)


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
