"""A gateway's rate limit: never are more tries sent to its engine within any period, whoever sends them.

DBOS's limit of a queue decides when tries are taken from it. It is not enough: it forgets when a try
was begun that is cancelled, or that is begun again after a kill; its clock on SQLite shows whole
seconds; and it counts a try when it is taken, which may be well before anything is sent. So the times
of the last tries are kept in the database, and a try that comes too early waits for its turn.
"""

import json
from collections.abc import Callable

import sqlalchemy as sa

from gouache import ledger
from gouache.database import facts, writing
from gouache.gateways import Gateways

MARGIN_MILLISECONDS = 250
"""Added to each period, because a call is on its way for longer one time than the next."""

_LOCKS = 0x676F7564  # any number that no other lock of ours has
_DATABASE_TIME = sa.select(
    sa.cast(sa.func.extract("epoch", sa.func.clock_timestamp()) * 1000, sa.BigInteger)
)


class TooEarly(Exception):
    """It is not yet a try's turn; nothing was sent. It comes in `seconds` at the earliest."""

    def __init__(self, seconds: float) -> None:
        """Keep how long it takes."""
        super().__init__(f"the turn of this try comes in {seconds:.1f} s")
        self.seconds = seconds


class Pacing:
    """Knows when the last tries of each gateway were sent, by all workers together."""

    def __init__(
        self, engine: sa.Engine, gateways: Gateways, *, now: Callable[[], int] | None = None
    ) -> None:
        """Keep where that is written; `now` is a clock for tests."""
        self._engine = engine
        self._gateways = gateways
        self._now = now

    def take_turn(self, name: str) -> None:
        """Write down that a try of a gateway is sent now; the caller then sends it at once.

        Raises:
            TooEarly: as many as its rate limit allows were sent within the period.
            DatabaseUnavailable: nobody can tell.
        """
        row = self._gateways.row(name)
        if row.rate_limit is None:
            return
        period = round(row.rate_period_seconds * 1000) + MARGIN_MILLISECONDS
        with writing(self._engine) as connection:
            moment = self._locked(connection, name)
            before = [min(one, moment) for one in sent(connection, name)]  # clocks are put back
            recent = [one for one in before if moment - one < period]
            if len(recent) >= row.rate_limit:
                raise TooEarly((recent[-row.rate_limit] + period - moment) / 1000)
            _write(connection, name, [*recent, moment])

    def _locked(self, connection: sa.Connection, name: str) -> int:
        """Let the gateway's other tries wait until the transaction ends; return the time.

        That is the clock of the database, where workers may be on several machines.
        """
        if self._engine.dialect.name == "sqlite":  # who writes holds the lock of the database
            return self._now() if self._now else ledger.now()
        lock = sa.func.pg_advisory_xact_lock(_LOCKS, sa.func.hashtext(name))
        connection.execute(sa.select(lock))
        return self._now() if self._now else int(connection.execute(_DATABASE_TIME).scalar_one())


def sent(connection: sa.Connection, name: str) -> list[int]:
    """Return when a gateway's last tries were sent (milliseconds), oldest first."""
    query = sa.select(facts.c.value).where(facts.c.name == _fact(name))
    known: list[int] = json.loads(connection.scalar(query) or "[]")
    return known


def _fact(name: str) -> str:
    return f"sent {name}"


def _write(connection: sa.Connection, name: str, moments: list[int]) -> None:
    value = json.dumps(moments, separators=(",", ":"))
    update = facts.update().where(facts.c.name == _fact(name)).values(value=value)
    if connection.execute(update).rowcount == 0:
        connection.execute(facts.insert().values(name=_fact(name), value=value))
