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
_LOCKS = 0x676F7563  # any numbers that no other locks of ours have
_OWNER_LOCKS = 0x676F7564

_COUNTED = sa.func.coalesce(expenses.c.cost_micros, expenses.c.most_micros, 0)


def lock(connection: sa.Connection, gateway: str, *, owner: str | None = None) -> None:
    """Keep others from writing down tries of the gateway, and of an owner, until the transaction ends.

    The gateway comes first for everybody, so that no two wait for each other. On SQLite a transaction
    that writes holds the lock of the whole database.
    """
    if connection.dialect.name == "sqlite":
        return
    for number, name in ((_LOCKS, gateway), (_OWNER_LOCKS, owner)):
        if name is not None:
            lock_it = sa.func.pg_advisory_xact_lock(number, sa.func.hashtext(name))
            connection.execute(sa.select(lock_it))


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
    connection: sa.Connection,
    *,
    gateway: str | None = None,
    owner: str | None = None,
    since: int,
    but: tuple[str, int] | None = None,
) -> int:
    """Return the micro-dollars of a gateway's or an owner's tries since then, of all but one of them."""
    query = sa.select(sa.func.coalesce(sa.func.sum(_COUNTED), 0))
    query = _narrowed(query, gateway=gateway, owner=owner, since=since)
    if but is not None:
        query = query.where(sa.not_(_is_try(*but)))
    return int(connection.scalar(query) or 0)


def sums(
    connection: sa.Connection, *, gateway: str | None, owner: str | None, since: int
) -> Sequence[Row]:
    """Return the sums by day (milliseconds), gateway, model and owner, in that order; the house's first."""
    day = (expenses.c.sent - expenses.c.sent % DAY_MILLISECONDS).label("day")
    is_open = expenses.c.cost_micros.is_(None)
    query = sa.select(
        day,
        expenses.c.gateway,
        expenses.c.model,
        expenses.c.owner,
        sa.func.count().label("tries"),
        _sum(expenses.c.input_tokens, "input_tokens"),
        _sum(expenses.c.output_tokens, "output_tokens"),
        _sum(expenses.c.cost_micros, "cost_micros"),
        _sum(sa.case((is_open, expenses.c.most_micros)), "open_micros"),
        _sum(sa.case((is_open & expenses.c.most_micros.is_(None), 1)), "unknown"),
    )
    query = _narrowed(query, gateway=gateway, owner=owner, since=since)
    groups = (day, expenses.c.gateway, expenses.c.model, expenses.c.owner)
    query = query.group_by(*groups).order_by(*groups[:3], sa.func.coalesce(expenses.c.owner, ""))
    return connection.execute(query).all()


def _narrowed(
    query: sa.Select[Any], *, gateway: str | None, owner: str | None, since: int
) -> sa.Select[Any]:
    if gateway is not None:
        query = query.where(expenses.c.gateway == gateway)
    if owner is not None:
        query = query.where(expenses.c.owner == owner)
    return query.where(expenses.c.sent >= since)


def _sum(column: sa.ColumnElement[Any], name: str) -> sa.Label[Any]:
    return sa.func.coalesce(sa.func.sum(column), 0).label(name)


def _is_try(taskuuid: str, attempt: int) -> sa.ColumnElement[bool]:
    return sa.and_(expenses.c.taskuuid == taskuuid, expenses.c.attempt == attempt)
