"""Every task is run to its end, whatever dies: DBOS behind four verbs (submit, cancel, status, events).

One try of a task is one workflow of DBOS, on the queue of the task's gateway; its id is
`{task}.{attempt}`, so it exists once. It is queued inside the transaction of the caller that also
writes our rows: accepted and queued are the same fact. A try that dies with its worker is begun
again under the same id; one that fails is followed by the next try, queued by whoever wrote down the
failure. So is one try to deliver the message about an ended task, on a queue of its own. Only this
module and `liveness` know of DBOS.

The ten rules that this keeps, each with what was measured: `docs/durability.md`.
"""

import asyncio
import logging
import math
import os
import socket
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from dbos import DBOS, DBOSClient, DBOSPortableJSONSerializer, EnqueueOptions, WorkflowStatus
from dbos import error as dbos_errors

from gouache.database import database_errors
from gouache.errors import DatabaseUnavailable
from gouache.liveness import Liveness
from gouache.records import Progress
from gouache.settings import Gateway

APPLICATION = "gouache"
VERSION = "1"
"""Raised on purpose only: tries queued under another version are never begun (rule 2)."""

WORKFLOW = "try"
DELIVERY = "delivery"
STREAM = "progress"
STRAY_SECONDS = 10.0
POLL_SECONDS = 0.2  # DBOS's default of 1 s is the larger part of a short task
MAX_RECOVERIES = 5
FORGET_AT_ONCE = 1000

BOTH = (WORKFLOW, DELIVERY)
GIVEN_UP = ["MAX_RECOVERY_ATTEMPTS_EXCEEDED", "ERROR"]
CANCELLED = (
    dbos_errors.DBOSAwaitedWorkflowCancelledError,
    dbos_errors.DBOSWorkflowCancelledError,
)

OnProgress = Callable[[Progress], None]
"""Called in the thread that draws; where the try is in other hands it raises what is no `Exception`."""

Run = Callable[[str, int, OnProgress], Awaitable[None]]
"""Runs one try of a task to its end and writes down what came of it; raises nothing but bugs."""

Deliver = Callable[[str, int], Awaitable[None]]
"""Tries once to deliver the message about a task and writes down what came of it."""

Workflow = Callable[[str, int], Coroutine[Any, Any, None]]

_log = logging.getLogger(__name__)


class Durable:
    """The queue of tries in one database; `start` makes this process run them."""

    def __init__(self, engine: sa.Engine) -> None:
        """Run nothing yet."""
        self._engine = engine
        self._client = DBOSClient(
            system_database_engine=engine,
            serializer=DBOSPortableJSONSerializer(),
            application_name=APPLICATION,
            retry_connection_errors=False,
        )
        self._liveness: Liveness | None = None
        self._executor: str | None = None
        self._dbos: DBOS | None = None
        self._begun: Counter[str] = Counter()  # a try may begin again here while it still runs here
        self._strays: dict[str, float] = {}

    def submit(
        self,
        connection: sa.Connection,
        taskuuid: str,
        *,
        attempt: int,
        gateway: str,
        priority: int,
        delay_seconds: float = 0,
    ) -> None:
        """Queue a try within the caller's transaction; lower priorities come first."""
        options: EnqueueOptions = {
            "workflow_name": WORKFLOW,
            "queue_name": gateway,
            "workflow_id": workflow_id(taskuuid, attempt),
            "priority": priority,
        }
        self._queue(connection, options, delay_seconds, taskuuid, attempt)

    def submit_delivery(
        self,
        connection: sa.Connection,
        taskuuid: str,
        *,
        attempt: int,
        queue: str,
        priority: int,
        delay_seconds: float = 0,
    ) -> None:
        """Queue a try to deliver the message about a task, as `submit` does a try of the task."""
        options: EnqueueOptions = {
            "workflow_name": DELIVERY,
            "queue_name": queue,
            "workflow_id": delivery_id(taskuuid, attempt),
            "priority": priority,
        }
        self._queue(connection, options, delay_seconds, taskuuid, attempt)

    def hurry_delivery(self, taskuuid: str, attempt: int) -> None:
        """Let a try to deliver begin now that was to wait; one that does not wait goes on."""
        with database_errors():
            self._client.set_workflow_delay(delivery_id(taskuuid, attempt), delay_seconds=0)

    def cancel(self, taskuuid: str, attempt: int) -> None:
        """Keep a try from beginning, or stop it within a second."""
        with database_errors():
            self._client.cancel_workflow(workflow_id(taskuuid, attempt))

    def running(self, tries: Sequence[tuple[str, int]] | None = None) -> dict[str, int]:
        """Return which tasks are running, and since when (milliseconds).

        With `tries`, pairs of task and attempt, only those are looked at.
        """
        ids = None if tries is None else [workflow_id(*one) for one in tries]
        if ids == []:
            return {}
        found = self._workflows(WORKFLOW, workflow_ids=ids, status="PENDING")
        return {try_of(known.workflow_id)[0]: known.dequeued_at or 0 for known in found}

    def given_up(self) -> dict[tuple[str, int], str]:
        """Return the tries that DBOS ended by itself, as task and attempt, and its word for how."""
        found = self._workflows(WORKFLOW, status=GIVEN_UP)
        return {try_of(known.workflow_id): known.status for known in found}

    def given_up_deliveries(self) -> list[tuple[str, int]]:
        """Return the tries to deliver that DBOS ended by itself, as task and attempt."""
        found = self._workflows(DELIVERY, status=GIVEN_UP)
        return [delivery_of(known.workflow_id) for known in found]

    def queue_strays(self) -> None:
        """Queue again what this process has claimed for a while and does not run.

        The answer to a claim can be lost with the connection; nobody else would look for it, because
        this worker lives.
        """
        claimed = self._workflows(*BOTH, status="PENDING", executor_id=self._executor)
        strays = {known.workflow_id: known.queue_name for known in claimed}
        moment = time.monotonic()
        self._strays = {
            stray: self._strays.get(stray, moment) for stray in strays.keys() - self._begun.keys()
        }
        for stray, since in self._strays.items():
            if moment - since >= STRAY_SECONDS:
                _log.warning("the try %s was claimed and not begun; it is queued again", stray)
                with database_errors():
                    self._client.resume_workflow(stray, queue_name=strays[stray])

    async def events(self, taskuuid: str, attempt: int) -> AsyncIterator[Progress]:
        """Yield the progress of one try from its beginning to its end, as it comes."""
        values = self._client.read_stream_async(
            workflow_id(taskuuid, attempt), STREAM, polling_interval_sec=POLL_SECONDS
        )
        async for value in values:
            yield Progress.model_validate(value)

    def forget(self, seconds: float) -> int:
        """Delete DBOS's records of tries that ended longer ago; return how many."""
        before = datetime.fromtimestamp(time.time() - seconds, UTC).isoformat()
        found = self._workflows(
            *BOTH,
            status=["SUCCESS", "CANCELLED", *GIVEN_UP],
            completed_before=before,
            limit=FORGET_AT_ONCE,
        )
        ids = [known.workflow_id for known in found]
        if ids:
            with database_errors():
                self._client.delete_workflows(ids)
        return len(ids)

    def start(
        self, run: Run, deliver: Deliver, gateways: Mapping[str, Gateway], listen: Sequence[str]
    ) -> None:
        """Make this process run the tries of the queues in `listen`; `gateways` are all there are.

        On SQLite no other process may have started: whoever opens the database sees to that.
        """
        embedded = self._engine.dialect.name == "sqlite"
        self._executor = "local" if embedded else _executor_name()
        self._begun.clear()
        self._dbos = DBOS(
            config={
                "name": APPLICATION,
                "system_database_engine": self._engine,
                "executor_id": self._executor,
                "application_version": VERSION,
                "serializer": DBOSPortableJSONSerializer(),
                "log_level": "ERROR",
                "notification_listener_polling_interval_sec": POLL_SECONDS,
                "run_migrations": False,
            }
        )
        for name, workflow in ((WORKFLOW, self._try(run)), (DELIVERY, self._delivery(deliver))):
            DBOS.workflow(name=name, max_recovery_attempts=MAX_RECOVERIES)(workflow)
        DBOS.listen_queues(list(listen))
        self._register(gateways)
        if not embedded:  # the lock is taken before any work is claimed in this name
            self._liveness = Liveness(self._engine.url, self._executor)
        DBOS.launch()
        logging.getLogger("dbos").addFilter(_is_news)
        if self._liveness:
            self._liveness.start()

    def stop(self, seconds: float) -> None:
        """Stop running tries: those that do not end within `seconds` are begun again by others."""
        if self._dbos is not None:
            for event in self._dbos.background_thread_stop_events:
                event.set()  # no more claims; what was claimed just now gets a moment to begin
            time.sleep(POLL_SECONDS)
            wait = math.ceil(seconds) if self._is_busy() else 0  # DBOS looks once a second only
            DBOS.destroy(destroy_registry=True, workflow_completion_timeout_sec=wait)
            self._dbos = None
        if self._liveness:
            self._liveness.stop()
            self._liveness = None

    def close(self) -> None:
        """Let go of the database."""
        self._client.destroy()

    def _queue(
        self,
        connection: sa.Connection,
        options: EnqueueOptions,
        delay_seconds: float,
        taskuuid: str,
        attempt: int,
    ) -> None:
        options["app_version"] = VERSION
        if delay_seconds:
            options["delay_seconds"] = delay_seconds
        self._client.enqueue_in_transaction(connection, options, taskuuid, attempt)

    def _is_busy(self) -> bool:
        """Whether this process has tries to end; also False where the database is away."""
        try:
            mine = {"status": "PENDING", "executor_id": self._executor}
            return bool(self._workflows(*BOTH, **mine, limit=1))
        except DatabaseUnavailable:
            return False

    def _workflows(self, *names: str, **chosen: Any) -> list[WorkflowStatus]:
        with database_errors():
            return self._client.list_workflows(
                name=list(names), load_input=False, load_output=False, **chosen
            )

    def _register(self, gateways: Mapping[str, Gateway]) -> None:
        """Write the limits of each gateway's queue into the database, where all workers see them."""
        for name, gateway in gateways.items():
            self._client.register_queue(
                name,
                worker_concurrency=gateway.concurrency,
                global_concurrency=gateway.total_concurrency,
                limiter=(
                    {"limit": gateway.rate_limit, "period": gateway.rate_period_seconds}
                    if gateway.rate_limit
                    else None
                ),
                polling_interval_sec=POLL_SECONDS,
                on_conflict="always_update",
            )

    def _try(self, run: Run) -> Workflow:
        """Return the workflow of one try of a task."""

        async def one_try(taskuuid: str, attempt: int) -> None:
            async def step() -> None:
                await run(taskuuid, attempt, on_progress)

            def on_progress(progress: Progress) -> None:
                try:
                    DBOS.write_stream(STREAM, progress.model_dump(exclude_none=True))
                except Exception as error:  # the drawing goes on, whether or not it can be watched
                    _log.warning("progress is lost: %s", str(error).partition("\n")[0])

            await self._begin(workflow_id(taskuuid, attempt), step)

        return one_try

    def _delivery(self, deliver: Deliver) -> Workflow:
        """Return the workflow of one try to deliver the message about a task."""

        async def one_delivery(taskuuid: str, attempt: int) -> None:
            async def step() -> None:
                await deliver(taskuuid, attempt)

            await self._begin(delivery_id(taskuuid, attempt), step)

        return one_delivery

    async def _begin(self, name: str, step: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run the one step of a workflow, which is interrupted when the workflow is cancelled."""
        if self._liveness:
            self._liveness.loop = asyncio.get_running_loop()
        self._begun[name] += 1
        try:
            await DBOS.run_step_async({"name": "run", "preemptible": True}, step)
        finally:
            self._begun -= Counter([name])


def workflow_id(taskuuid: str, attempt: int) -> str:
    """Return the id of a try."""
    return f"{taskuuid}.{attempt}"


def try_of(workflow: str) -> tuple[str, int]:
    """Return the task and the attempt of the try that has this id."""
    task, _, attempt = workflow.rpartition(".")
    return task, int(attempt)


def delivery_id(taskuuid: str, attempt: int) -> str:
    """Return the id of a try to deliver the message about a task."""
    return f"{taskuuid}.webhook.{attempt}"


def delivery_of(workflow: str) -> tuple[str, int]:
    """Return the task and the attempt of the try to deliver that has this id."""
    name, attempt = try_of(workflow)
    return name.removesuffix(".webhook"), attempt


def _is_news(record: logging.LogRecord) -> bool:
    """Whether DBOS tells of more than that a try was cancelled, as it was told to."""
    return not record.exc_info or not isinstance(record.exc_info[1], CANCELLED)


def _executor_name() -> str:
    return f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
