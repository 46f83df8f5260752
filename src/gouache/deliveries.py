"""The messages about ended tasks as they are written down: one row for each, with what came of it."""

import sqlalchemy as sa

from gouache.database import deliveries
from gouache.ledger import now
from gouache.records import WebhookState


def insert_delivery(connection: sa.Connection, taskuuid: str) -> None:
    """Write down that the message about a task is to be sent."""
    connection.execute(
        deliveries.insert().values(taskuuid=taskuuid, state="queued", attempts=0, attempts_before=0)
    )


def note_try(
    connection: sa.Connection,
    taskuuid: str,
    attempt: int,
    state: WebhookState,
    *,
    status: int | None,
    error: str | None,
) -> bool:
    """Write down what came of one try; False where it was written down before."""
    values = {"state": state, "attempts": attempt, "status": status, "error": error}
    if state == "delivered":
        values["delivered"] = now()
    query = deliveries.update().where(
        deliveries.c.taskuuid == taskuuid,
        deliveries.c.state == "queued",
        deliveries.c.attempts == attempt - 1,
    )
    return connection.execute(query.values(values)).rowcount == 1


def queue_again(connection: sa.Connection, taskuuid: str) -> int | None:
    """Write down that a message is to be sent once more, as if it were new.

    Returns how often it was tried before; None where it is queued already, or there is none.
    """
    query = deliveries.update().where(
        deliveries.c.taskuuid == taskuuid, deliveries.c.state != "queued"
    )
    values = {"state": "queued", "attempts_before": deliveries.c.attempts}
    attempts: int | None = connection.scalar(query.values(values).returning(deliveries.c.attempts))
    return attempts


def counts(connection: sa.Connection) -> dict[str, int]:
    """Return how many messages are in each state."""
    query = sa.select(deliveries.c.state, sa.func.count()).group_by(deliveries.c.state)
    return {state: count for state, count in connection.execute(query)}
