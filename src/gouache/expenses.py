"""What tries cost, written down: one row for each try that may cost something.

A row is written before anything is sent, with the most that the try can cost; that counts until what it
did cost is known. Each function works inside the transaction of its caller.
"""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from gouache.database import expenses
from gouache.ledger import Row

DAY_MILLISECONDS = 24 * 3600 * 1000
_LOCKS = 0x676F7563  # any number that no other lock of ours has

_COUNTED = sa.func.coalesce(expenses.c.cost_micros, expenses.c.most_micros, 0)


def lock(connection: sa.Connection, gateway: str) -> None:
    """Keep others from writing down tries of the gateway until the transaction ends.

    On SQLite a transaction that writes holds the lock of the whole database.
    """
    if connection.dialect.name != "sqlite":
        name = sa.func.hashtext(gateway)
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCKS, name)))


def try_row(connection: sa.Connection, taskuuid: str, attempt: int) -> Row | None:
    """Return the row of a try."""
    return connection.execute(sa.select(expenses).where(_is_try(taskuuid, attempt))).one_or_none()


def write_try(connection: sa.Connection, taskuuid: str, attempt: int, **values: Any) -> None:
    """Write down that a try is sent; the caller holds the lock of its gateway (`lock`)."""
    again = expenses.update().where(_is_try(taskuuid, attempt))
    if connection.execute(again.values(cost_micros=None, **values)).rowcount == 0:
        connection.execute(expenses.insert().values(taskuuid=taskuuid, attempt=attempt, **values))


def settle(connection: sa.Connection, taskuuid: str, attempt: int, **values: Any) -> None:
    """Write down what became of a try, where that is known."""
    connection.execute(expenses.update().where(_is_try(taskuuid, attempt)).values(**values))


def spent(
    connection: sa.Connection, gateway: str, *, since: int, but: tuple[str, int] | None = None
) -> int:
    """Return the micro-dollars of a gateway's tries since then, of all but one of them."""
    query = sa.select(sa.func.coalesce(sa.func.sum(_COUNTED), 0)).where(
        expenses.c.gateway == gateway, expenses.c.sent >= since
    )
    if but is not None:
        query = query.where(sa.not_(_is_try(*but)))
    return int(connection.scalar(query) or 0)


def sums(connection: sa.Connection, *, gateway: str | None, since: int) -> Sequence[Row]:
    """Return the sums by day (milliseconds), gateway and model, in that order."""
    day = (expenses.c.sent - expenses.c.sent % DAY_MILLISECONDS).label("day")
    is_open = expenses.c.cost_micros.is_(None)
    query = sa.select(
        day,
        expenses.c.gateway,
        expenses.c.model,
        sa.func.count().label("tries"),
        _sum(expenses.c.input_tokens, "input_tokens"),
        _sum(expenses.c.output_tokens, "output_tokens"),
        _sum(expenses.c.cost_micros, "cost_micros"),
        _sum(sa.case((is_open, expenses.c.most_micros)), "open_micros"),
        _sum(sa.case((is_open & expenses.c.most_micros.is_(None), 1)), "unknown"),
    ).where(expenses.c.sent >= since)
    if gateway is not None:
        query = query.where(expenses.c.gateway == gateway)
    groups = (day, expenses.c.gateway, expenses.c.model)
    return connection.execute(query.group_by(*groups).order_by(*groups)).all()


def _sum(column: sa.ColumnElement[Any], name: str) -> sa.Label[Any]:
    return sa.func.coalesce(sa.func.sum(column), 0).label(name)


def _is_try(taskuuid: str, attempt: int) -> sa.ColumnElement[bool]:
    return sa.and_(expenses.c.taskuuid == taskuuid, expenses.c.attempt == attempt)
