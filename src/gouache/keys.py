"""Idempotency keys, each with what its request made; every owner has its own."""

import sqlalchemy as sa

from gouache import ledger
from gouache.database import idempotency_keys
from gouache.ledger import Row


def insert_key(
    connection: sa.Connection, key: str, *, owner: str | None, fingerprint: str, target: str
) -> None:
    """Write down an idempotency key; sqlalchemy's IntegrityError where it is known."""
    connection.execute(
        idempotency_keys.insert().values(
            key=_before(owner) + key, fingerprint=fingerprint, target=target, created=ledger.now()
        )
    )


def key_row(connection: sa.Connection, key: str, *, owner: str | None) -> Row | None:
    """Return the row of an idempotency key."""
    query = sa.select(idempotency_keys).where(idempotency_keys.c.key == _before(owner) + key)
    return connection.execute(query).one_or_none()


def recent_key(
    connection: sa.Connection, prefix: str, *, owner: str | None, seconds: float
) -> str | None:
    """Return the newest idempotency key that begins with a prefix and is at most that old."""
    since = ledger.now() - int(seconds * 1000)
    before = _before(owner)
    query = (
        sa.select(idempotency_keys.c.key)
        .where(
            idempotency_keys.c.created >= since,
            idempotency_keys.c.key.startswith(before + prefix, autoescape=True),
        )
        .order_by(idempotency_keys.c.created.desc())
        .limit(1)
    )
    found: str | None = connection.scalar(query)
    return found and found.removeprefix(before)


def _before(owner: str | None) -> str:
    """Return what an owner's keys begin with in the table; no key that is sent has a line's end."""
    return "" if owner is None else f"{owner}\n"
