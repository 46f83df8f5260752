"""Money: what tries may cost at most is set aside before they are sent, and settled afterwards.

A budget of a gateway or a key is hard: the most that a try can cost is set aside in the database, one try
after the other whatever process it is in, before anything is sent; what would go over a limit is not sent.
What becomes of a try that is killed, cancelled or takes too long nobody knows, so all that was set aside
stays spent; a try that is begun again after a kill has what it set aside before.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
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
    KeyNotFound,
    RequestError,
    SettingsError,
)
from gouache.gateways import Gateways
from gouache.ledger import Row
from gouache.prices import FREE, as_usd
from gouache.records import BudgetState, Spent, UsageReport
from gouache.rows import Gateway, NamedKey, Price
from gouache.usage import Usage

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Budget:
    """The budget of a gateway or of a key; the other name is None."""

    row: Gateway | NamedKey
    limit: int
    gateway: str | None = None
    owner: str | None = None

    @property
    def whose(self) -> str:
        """Whose it is, in words."""
        return f"the key {self.owner}" if self.gateway is None else f"the gateway {self.gateway}"

    def spent(
        self, connection: sa.Connection, moment: int, but: tuple[str, int] | None = None
    ) -> int:
        """Return what is spent of it in the period of a moment, but for one try (micro-dollars)."""
        begin, _ = _period(self.row, moment)
        return expenses.spent(
            connection, gateway=self.gateway, owner=self.owner, since=begin, but=but
        )


class Spending:
    """Knows what was spent, and what may be."""

    def __init__(
        self,
        engine: sa.Engine,
        gateways: Gateways,
        keys: Mapping[str, NamedKey],
        *,
        now: Callable[[], int] = ledger.now,
    ) -> None:
        """Spend nothing yet."""
        self._engine = engine
        self._gateways = gateways
        self._keys = keys
        self._now = now

    def check(
        self,
        connection: sa.Connection,
        gateway: str,
        request: GenerateImage,
        *,
        owner: str | None,
    ) -> None:
        """Refuse what a gateway's budget, or that of its owner, has no money for now.

        Raises:
            BudgetExceeded: it is spent.
            SettingsError: nobody knows what the picture can cost.
        """
        budgets = self._budgets(gateway, owner)
        if not budgets:
            return
        price = self._gateways.price(gateway, request)
        if price is not FREE:
            most = self._most(budgets[0], gateway, request, price)
            self._check(connection, budgets, most, tells=owner is None)

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

    def report(
        self,
        *,
        gateway: str | None = None,
        key: str | None = None,
        since: date | None = None,
        owner: str | None = None,
    ) -> UsageReport:
        """Return what was spent by day, gateway, model and key, since the first of the month or that day.

        Who asks as the `owner` of a key is told of that key only, and of the budgets of gateways nothing.

        Raises:
            GatewayNotFound, KeyNotFound: there is no such gateway or key, nor was there.
        """
        whose = key if owner is None else owner
        begin = since or datetime.fromtimestamp(self._now() / 1000, UTC).date().replace(day=1)
        with reading(self._engine) as connection:
            rows = expenses.sums(
                connection, gateway=gateway, owner=whose, since=_milliseconds(begin)
            )
            if key not in (None, whose) or (whose not in (None, *self._keys) and not rows):
                raise KeyNotFound(f"no key is named {key!r}", param="key")
            if gateway not in (None, *self._gateways.names) and not rows:
                names = ", ".join(self._gateways.names)
                message = f"no gateway is named {gateway!r}; use one of {names}"
                raise GatewayNotFound(message, param="gateway")
            found = [
                self._budget_state(connection, budget)
                for budget in self._all_budgets(is_house=owner is None)
                if _is_asked_for(budget, gateway, whose)
            ]
        return UsageReport(
            since=begin.isoformat(),
            tries=sum(row.tries for row in rows),
            cost_usd=as_usd(sum(int(row.cost_micros) for row in rows)),
            open_usd=as_usd(sum(int(row.open_micros) for row in rows)),
            unknown=sum(int(row.unknown) for row in rows),
            items=[_spent(row) for row in rows],
            budgets=found,
        )

    def _set_aside(self, row: Row, request: GenerateImage, price: Price | None) -> int:
        """Write down the most that a try can cost; return what it cost when it was sent before."""
        this = (row.taskuuid, row.attempts)
        budgets = self._budgets(row.gateway, row.owner)
        is_kept = any(budget.owner is not None for budget in budgets)
        with writing(self._engine) as connection:
            expenses.lock(connection, row.gateway, owner=row.owner if is_kept else None)
            earlier = expenses.try_row(connection, *this)
            before: int = (earlier.cost_micros or 0) if earlier else 0
            most = prices.most(price, request)
            if budgets:
                most = self._most(budgets[0], row.gateway, request, price)
                self._check(
                    connection, budgets, most, before=before, but=this, tells=row.owner is None
                )
            expenses.write_try(
                connection,
                *this,
                gateway=row.gateway,
                owner=row.owner,
                model=self._gateways.drawn_by(row.gateway, request),
                most_micros=before + (most or 0) if before or most is not None else None,
                sent=self._now(),
            )
        return before

    def _budgets(self, gateway: str, owner: str | None) -> list[_Budget]:
        """Return the budgets that a try counts against."""
        return [
            budget
            for budget in self._all_budgets()
            if budget.gateway == gateway or (owner is not None and budget.owner == owner)
        ]

    def _all_budgets(self, *, is_house: bool = True) -> list[_Budget]:
        """Return the budgets of all gateways, for the house, and of all keys."""
        of_gateways = [
            _Budget(row, prices.micros(row.budget_usd), gateway=name)
            for name in self._gateways.names
            if is_house and (row := self._gateways.row(name)).budget_usd is not None
        ]
        of_keys = [
            _Budget(row, prices.micros(row.budget_usd), owner=name)
            for name, row in self._keys.items()
            if row.budget_usd is not None
        ]
        return of_gateways + of_keys

    def _most(
        self, budget: _Budget, gateway: str, request: GenerateImage, price: Price | None
    ) -> int:
        """Return the most that a picture can cost, which a budget has to know (micro-dollars)."""
        most = prices.most(price, request)
        if most is None:
            model = self._gateways.drawn_by(gateway, request)
            field = f"gateways.{gateway}.prices.{model}"
            raise SettingsError(
                f"{budget.whose} has a budget, and nobody knows what {model} can cost; set "
                f"image_usd or at_most_usd in {field}",
                param=field,
            )
        return most

    def _check(
        self,
        connection: sa.Connection,
        budgets: Sequence[_Budget],
        most: int,
        *,
        before: int = 0,
        but: tuple[str, int] | None = None,
        tells: bool,
    ) -> None:
        """Raise `BudgetExceeded` unless all budgets have the most that a picture can cost.

        What all together spent of a gateway's is said only where it `tells`.
        """
        moment = self._now()
        for budget in budgets:
            spent = before + budget.spent(connection, moment, but)
            if spent + most <= budget.limit:
                continue
            said = f"the budget of {budget.whose} is used up, or too little is left of it"
            if tells or budget.owner is not None:
                said = (
                    f"the budget of {budget.whose} is {as_usd(budget.limit)} USD a "
                    f"{budget.row.budget_period}, of which {as_usd(spent)} are spent"
                )
            _, end = _period(budget.row, moment)
            raise BudgetExceeded(
                f"{said}; a picture may cost {as_usd(most)}. It renews at {ledger.as_text(end)}"
            )

    def _settle(self, row: Row, **values: int | None) -> None:
        """Write down what a try cost; where the database is away, what was set aside counts on."""
        try:
            with writing(self._engine) as connection:
                expenses.settle(connection, row.taskuuid, row.attempts, **values)
        except DatabaseUnavailable as error:
            _log.warning("what a try of %s cost is lost: %s", row.taskuuid, error.message)

    def _budget_state(self, connection: sa.Connection, budget: _Budget) -> BudgetState:
        moment = self._now()
        spent = budget.spent(connection, moment)
        return BudgetState(
            gateway=budget.gateway,
            key=budget.owner,
            budget_usd=as_usd(budget.limit),
            budget_period=budget.row.budget_period,
            spent_usd=as_usd(spent),
            left_usd=as_usd(max(0, budget.limit - spent)),
            renews=ledger.as_text(_period(budget.row, moment)[1]),
        )


def _is_asked_for(budget: _Budget, gateway: str | None, key: str | None) -> bool:
    """Whether a budget is shown where usage of a gateway, of a key, of both or of all is asked for."""
    if budget.gateway is None:
        return key == budget.owner or key is gateway is None
    return gateway == budget.gateway or key is gateway is None


def _spent_nothing(error: Exception) -> bool:
    """Whether it is certain that a try that failed so cost nothing."""
    if isinstance(error, EngineError):
        return error.nothing_spent
    return isinstance(error, RequestError | SettingsError)


def _period(row: Gateway | NamedKey, moment: int) -> tuple[int, int]:
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
        key=row.owner,
        tries=row.tries,
        input_tokens=int(row.input_tokens),
        output_tokens=int(row.output_tokens),
        cost_usd=as_usd(int(row.cost_micros)),
        open_usd=as_usd(int(row.open_micros)),
        unknown=int(row.unknown),
    )
