"""How many tasks there are, and which of them have not ended."""

from collections.abc import Sequence

import sqlalchemy as sa

from gouache.database import tasks
from gouache.records import ENDED


def unended(
    connection: sa.Connection, taskuuids: Sequence[str] | None = None, *, owner: str | None = None
) -> list[str]:
    """Return those of the tasks, or of all, that have not ended; with `owner`, only of that owner's."""
    query = sa.select(tasks.c.taskuuid).where(tasks.c.state.not_in(ENDED))
    if taskuuids is not None:
        query = query.where(tasks.c.taskuuid.in_(taskuuids))
    if owner is not None:
        query = query.where(tasks.c.owner == owner)
    return list(connection.scalars(query))


def unended_by_gateway(connection: sa.Connection) -> dict[str, int]:
    """Return how many tasks of each gateway have not ended."""
    query = sa.select(tasks.c.gateway, sa.func.count()).where(tasks.c.state.not_in(ENDED))
    return {
        gateway: count for gateway, count in connection.execute(query.group_by(tasks.c.gateway))
    }


def task_counts(connection: sa.Connection) -> dict[str, int]:
    """Return how many tasks are in each state; running ones count as queued."""
    query = sa.select(tasks.c.state, sa.func.count()).group_by(tasks.c.state)
    return {state: count for state, count in connection.execute(query)}
