"""Money: what tries may cost at most is set aside before they are sent, and settled afterwards.

A budget is hard: the most that a try can cost is set aside in the database, one try of a gateway after
the other whatever process it is in, before anything is sent; what would go over the limit is not sent.
What becomes of a try that is killed, cancelled or takes too long nobody knows, so all that was set aside
stays spent; a try that is begun again after a kill has what it set aside before.
"""

import logging
from collections.abc import Callable
from datetime import UTC, date, datetime

import sqlalchemy as sa

from gouache import expenses, ledger, prices
from gouache.contract import GenerateImage
from gouache.database import reading, writing
from gouache.engines import Drawing
from gouache.errors import (
    BudgetExceeded,
    DatabaseUnavailable,
    EngineError,
    GatewayNotFound,
    RequestError,
    SettingsError,
)
from gouache.gateways import Gateways
from gouache.ledger import Row
from gouache.prices import FREE, as_usd
from gouache.records import BudgetState, Spent, UsageReport
from gouache.rows import Gateway, Price
from gouache.usage import Usage

_log = logging.getLogger(__name__)


class Spending:
    """Knows what was spent, and what may be."""

    def __init__(
        self, engine: sa.Engine, gateways: Gateways, *, now: Callable[[], int] = ledger.now
    ) -> None:
        """Spend nothing yet."""
        self._engine = engine
        self._gateways = gateways
        self._now = now

    def check(self, connection: sa.Connection, gateway: str, request: GenerateImage) -> None:
        """Refuse what a gateway's budget has no money for now.

        Raises:
            BudgetExceeded: it is spent.
            SettingsError: nobody knows what the picture can cost.
        """
        if self._gateways.row(gateway).budget_usd is None:
            return
        price = self._gateways.price(gateway, request)
        if price is not FREE:
            self._within(connection, gateway, request, price)

    def drawing(self, row: Row, request: GenerateImage, draw: Callable[[], Drawing]) -> Drawing:
        """Return what is drawn for a try, and write down what it cost where it costs anything.

        Raises:
            BudgetExceeded: it would cost more than is left; nothing is sent.
            SettingsError: there is a budget, and nobody knows what the picture can cost.
            whatever `draw` raises
        """
        price = self._gateways.price(row.gateway, request)
        if price is FREE:
            return draw()
        before = self._set_aside(row, request, price)
        try:
            drawing = draw()
        except Exception as error:
            if _spent_nothing(error):
                self._settle(row, cost_micros=before)
            raise
        usage, cost = drawing.usage or Usage(), prices.cost(price, request, drawing.usage)
        self._settle(
            row,
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            cost_micros=None if cost is None else before + cost,
        )
        return drawing

    def report(self, *, gateway: str | None = None, since: date | None = None) -> UsageReport:
        """Return what was spent by day, gateway and model, since the first of the month or that day.

        Raises:
            GatewayNotFound: there is no such gateway, nor was there.
        """
        begin = since or datetime.fromtimestamp(self._now() / 1000, UTC).date().replace(day=1)
        with reading(self._engine) as connection:
            rows = expenses.sums(connection, gateway=gateway, since=_milliseconds(begin))
            known = [name for name in self._gateways.names if gateway in (None, name)]
            if not known and not rows:
                names = ", ".join(self._gateways.names)
                message = f"no gateway is named {gateway!r}; use one of {names}"
                raise GatewayNotFound(message, param="gateway")
            found = [self._budget_state(connection, name) for name in known]
        return UsageReport(
            since=begin.isoformat(),
            tries=sum(row.tries for row in rows),
            cost_usd=as_usd(sum(int(row.cost_micros) for row in rows)),
            open_usd=as_usd(sum(int(row.open_micros) for row in rows)),
            unknown=sum(int(row.unknown) for row in rows),
            items=[_spent(row) for row in rows],
            budgets=[state for state in found if state is not None],
        )

    def _set_aside(self, row: Row, request: GenerateImage, price: Price | None) -> int:
        """Write down the most that a try can cost; return what it cost when it was sent before."""
        this = (row.taskuuid, row.attempts)
        with writing(self._engine) as connection:
            expenses.lock(connection, row.gateway)
            earlier = expenses.try_row(connection, *this)
            before: int = (earlier.cost_micros or 0) if earlier else 0
            if self._gateways.row(row.gateway).budget_usd is None:
                most = prices.most(price, request)
            else:
                most = self._within(
                    connection, row.gateway, request, price, before=before, but=this
                )
            expenses.write_try(
                connection,
                *this,
                gateway=row.gateway,
                model=self._gateways.drawn_by(row.gateway, request),
                most_micros=before + (most or 0) if before or most is not None else None,
                sent=self._now(),
            )
        return before

    def _within(
        self,
        connection: sa.Connection,
        name: str,
        request: GenerateImage,
        price: Price | None,
        *,
        before: int = 0,
        but: tuple[str, int] | None = None,
    ) -> int:
        """Return the most that a picture can cost, if a gateway's budget has it."""
        row = self._gateways.row(name)
        assert row.budget_usd is not None  # the caller has looked
        most = prices.most(price, request)
        if most is None:
            model = self._gateways.drawn_by(name, request)
            field = f"gateways.{name}.prices.{model}"
            raise SettingsError(
                f"the gateway {name} has a budget, and nobody knows what {model} can cost; set "
                f"image_usd or at_most_usd in {field}",
                param=field,
            )
        limit = prices.micros(row.budget_usd)
        begin, end = _period(row, self._now())
        spent = before + expenses.spent(connection, name, since=begin, but=but)
        if spent + most > limit:
            raise BudgetExceeded(
                f"the budget of the gateway {name} is {as_usd(limit)} USD a {row.budget_period}, of "
                f"which {as_usd(spent)} are spent; a picture may cost {as_usd(most)}. It renews at "
                f"{ledger.as_text(end)}"
            )
        return most

    def _settle(self, row: Row, **values: int | None) -> None:
        """Write down what a try cost; where the database is away, what was set aside counts on."""
        try:
            with writing(self._engine) as connection:
                expenses.settle(connection, row.taskuuid, row.attempts, **values)
        except DatabaseUnavailable as error:
            _log.warning("what a try of %s cost is lost: %s", row.taskuuid, error.message)

    def _budget_state(self, connection: sa.Connection, name: str) -> BudgetState | None:
        row = self._gateways.row(name)
        if row.budget_usd is None:
            return None
        begin, end = _period(row, self._now())
        limit, spent = prices.micros(row.budget_usd), expenses.spent(connection, name, since=begin)
        return BudgetState(
            gateway=name,
            budget_usd=as_usd(limit),
            budget_period=row.budget_period,
            spent_usd=as_usd(spent),
            left_usd=as_usd(max(0, limit - spent)),
            renews=ledger.as_text(end),
        )


def _spent_nothing(error: Exception) -> bool:
    """Whether it is certain that a try that failed so cost nothing."""
    if isinstance(error, EngineError):
        return error.nothing_spent
    return isinstance(error, RequestError | SettingsError)


def _period(row: Gateway, moment: int) -> tuple[int, int]:
    """Return where the period of a budget begins and ends that a moment lies in, UTC."""
    day = datetime.fromtimestamp(moment / 1000, UTC).date()
    if row.budget_period == "day":
        begin = _milliseconds(day)
        return begin, begin + expenses.DAY_MILLISECONDS
    first = day.replace(day=1)
    following = date(first.year + first.month // 12, first.month % 12 + 1, 1)
    return _milliseconds(first), _milliseconds(following)


def _milliseconds(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1000


def _spent(row: Row) -> Spent:
    return Spent(
        day=ledger.as_text(row.day)[:10],
        gateway=row.gateway,
        model=row.model,
        tries=row.tries,
        input_tokens=int(row.input_tokens),
        output_tokens=int(row.output_tokens),
        cost_usd=as_usd(int(row.cost_micros)),
        open_usd=as_usd(int(row.open_micros)),
        unknown=int(row.unknown),
    )
