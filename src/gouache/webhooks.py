"""Webhooks: the end of a task is told to whoever asked for it, by a signed message.

The message is queued in the transaction that ends the task, so it is neither lost nor queued twice.
Each try notes what came of it and queues the next in one transaction; after a kill in between the
message is sent again, under the same id: at least once.
"""

import asyncio
import json
import logging
import random
import time
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import urlsplit

import sqlalchemy as sa

from gouache import deliveries, ledger, signatures
from gouache.addresses import is_written_private
from gouache.contract import FIRST, Task
from gouache.database import WEBHOOK_SECRET, reading, writing
from gouache.durable import Durable
from gouache.errors import DatabaseUnavailable, TaskNotFound, WebhookNotSendable, WebhookRefused
from gouache.gateways import WEBHOOKS
from gouache.ledger import Row
from gouache.records import ENDED, TaskRecord, WebhookState, as_json
from gouache.sending import Answer, post
from gouache.settings import Settings
from gouache.views import Views

PAUSES = (5, 30, 2 * 60, 10 * 60, 30 * 60, 3600, 3 * 3600, 7 * 3600, 12 * 3600)
"""Seconds before the second try and those that follow: ten tries in a day."""

JITTER = 0.2
LONGEST_PAUSE = 12 * 3600.0
"""The longest pause that a receiver may ask for."""

DATABASE_RETRY_SECONDS = 0.5

_log = logging.getLogger(__name__)

Done = TypeVar("Done")


class Webhooks:
    """Queues the messages about ended tasks, and delivers them."""

    def __init__(
        self, settings: Settings, engine: sa.Engine, *, durable: Durable, views: Views
    ) -> None:
        """Send nothing yet."""
        self._settings = settings
        self._engine = engine
        self._durable = durable
        self._views = views

    def wanted(self, task: Task) -> str | None:
        """Return where the end of a task is to be told to: its own webhook, or everybody's."""
        return task.webhook or self._settings.webhook_url or None

    def check(self, task: Task, *, inside: str = "") -> None:
        """Refuse a webhook that is plainly private; where a name leads to is seen later.

        Raises:
            WebhookRefused: it is, and the settings do not allow it; `inside` leads to the task.
        """
        if self._settings.webhook_private_networks or task.webhook is None:
            return
        if is_written_private(task.webhook):
            field = f"{inside}.webhook" if inside else "webhook"
            raise WebhookRefused(
                f"{field} must not lead to a private network; the setting "
                "webhook_private_networks allows it",
                param=field,
            )

    def queue(self, connection: sa.Connection, row: Row) -> None:
        """Queue the message about a task, if one is wanted, in the transaction that ends the task."""
        if row.webhook is not None:
            deliveries.insert_delivery(connection, row.taskuuid)
            self._submit(connection, row.taskuuid, attempt=1, tried=0)

    async def deliver(self, taskuuid: str, attempt: int) -> None:
        """Try once to deliver the message about a task, and write down what came of it."""
        row = await _patiently(lambda: self._row(taskuuid))
        if row is None or row.delivery_state != "queued" or row.delivery_attempts != attempt - 1:
            return  # killed after its end was written down
        secret, body = await _patiently(lambda: self._message(row))
        answer = await post(
            row.webhook,
            body,
            {
                "Content-Type": "application/json",
                "User-Agent": "Gouache",
                "Connection": "close",
                **signatures.headers(secret, f"msg_{taskuuid}", int(time.time()), body),
            },
            private_networks=self._settings.webhook_private_networks,
        )
        await _patiently(lambda: self._note(row, attempt, answer))

    def settle(self) -> None:
        """Note, as failed, the tries that DBOS ended by itself and nobody noted."""
        given_up = self._durable.given_up_deliveries()
        if not given_up:
            return
        with reading(self._engine) as connection:
            found = ledger.task_rows(connection, taskuuids=[taskuuid for taskuuid, _ in given_up])
        rows = {row.taskuuid: row for row in found}
        answer = Answer(error="could not be tried; the worker's log says why")
        for taskuuid, attempt in given_up:
            if rows[taskuuid].delivery_attempts == attempt - 1:
                self._note(rows[taskuuid], attempt, answer)

    def send_again(self, taskuuid: str, *, owner: str | None = None) -> TaskRecord:
        """Send the message about a task once more, or at once where it waits for its next try.

        Raises:
            TaskNotFound: there is no such task.
            WebhookNotSendable: it has no webhook, or has not ended.
        """
        row = self._row(taskuuid, owner)
        if row is None:
            raise TaskNotFound(f"there is no task {taskuuid}", param="taskuuid")
        if row.webhook is None or row.state not in ENDED:
            why = "has no webhook" if row.webhook is None else f"has not ended: {row.state}"
            raise WebhookNotSendable(f"the task {taskuuid} {why}", param="taskuuid")
        with writing(self._engine) as connection:
            tried = deliveries.queue_again(connection, taskuuid)
            if tried is not None:
                self._submit(connection, taskuuid, attempt=tried + 1, tried=0)
        if tried is None:
            self._durable.hurry_delivery(taskuuid, row.delivery_attempts + 1)
        row = self._row(taskuuid)
        assert row is not None  # tasks are kept
        return self._views.tasks([row])[0]

    def counts(self) -> dict[str, int]:
        """Return how many messages are in each state."""
        with reading(self._engine) as connection:
            return deliveries.counts(connection)

    def secret(self) -> str:
        """Return what messages are signed with: the setting, or what was made for this database."""
        if self._settings.webhook_secret is not None:
            return self._settings.webhook_secret.get_secret_value()
        with reading(self._engine) as connection:
            return ledger.fact(connection, WEBHOOK_SECRET)

    def _row(self, taskuuid: str, owner: str | None = None) -> Row | None:
        with reading(self._engine) as connection:
            return ledger.task_row(connection, taskuuid, owner=owner)

    def _message(self, row: Row) -> tuple[str, bytes]:
        """Return the secret to sign with, and the body; its links are good from now on."""
        record = self._views.tasks([row])[0]
        body: dict[str, Any] = {
            "type": f"task.{record.state}",
            "timestamp": record.ended,
            "data": as_json(record.model_copy(update={"webhook": None})),
        }
        return self.secret(), json.dumps(body, ensure_ascii=False).encode()

    def _note(self, row: Row, attempt: int, answer: Answer) -> None:
        """Write down what came of a try; where another is to follow, queue it with that."""
        tried = attempt - row.delivery_attempts_before
        state: WebhookState = "delivered"
        if answer.error is not None:
            state = "failed" if answer.is_final or tried > len(PAUSES) else "queued"
        with writing(self._engine) as connection:
            noted = deliveries.note_try(
                connection, row.taskuuid, attempt, state, status=answer.status, error=answer.error
            )
            if noted and state == "queued":
                pause = _pause(tried, answer)
                self._submit(
                    connection, row.taskuuid, attempt=attempt + 1, tried=tried, pause=pause
                )
        if noted and answer.error is not None:
            host = urlsplit(row.webhook).hostname
            _log.warning("webhook of the task %s: %s %s", row.taskuuid, host, answer.error)

    def _submit(
        self,
        connection: sa.Connection,
        taskuuid: str,
        *,
        attempt: int,
        tried: int,
        pause: float = 0,
    ) -> None:
        """Queue a try; those that were tried less often come first, as their receivers may live."""
        self._durable.submit_delivery(
            connection,
            taskuuid,
            attempt=attempt,
            queue=WEBHOOKS,
            priority=FIRST + tried,
            delay_seconds=pause,
        )


def _pause(tried: int, answer: Answer) -> float:
    """Return how long to wait after so many tries (seconds), longer where the receiver asks for it."""
    pause = PAUSES[tried - 1] * random.uniform(1 - JITTER, 1 + JITTER)
    return max(pause, min(answer.retry_after_seconds or 0, LONGEST_PAUSE))


async def _patiently(do: Callable[[], Done]) -> Done:
    """Do it in a thread, again and again while the database is away."""
    while True:
        try:
            return await asyncio.to_thread(do)
        except DatabaseUnavailable as error:
            _log.warning("%s; trying again", error.message)
            await asyncio.sleep(DATABASE_RETRY_SECONDS)
