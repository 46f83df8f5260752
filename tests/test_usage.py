"""What pictures cost: prices, what is written down of each try, and the report of it."""

import json
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from gouache import prices
from gouache.cli import app
from gouache.contract import read_request
from gouache.database import expenses, reading
from gouache.engines.dialects import read_target
from gouache.errors import (
    ContentRefused,
    EngineTimedOut,
    EngineUnavailable,
    GatewayNotFound,
)
from gouache.expenses import DAY_MILLISECONDS
from gouache.gateways import Gateways
from gouache.rows import Price
from gouache.settings import read_settings
from gouache.spending import Spending, _period
from gouache.usage import Usage
from tests.opening import Told, ended, install, new, opened
from tests.served import served

REQUEST = read_request({"prompt": "A white cat"})
HD = read_request({"prompt": "A white cat", "quality": "hd", "size": "1792x1024"})
TOKENS = Price(input_usd=5, output_usd=30)
PAID = {"prices": {"fake-1": {"image_usd": "0.04"}}}
ZERO = "0.00"


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request):
    return "" if request.param == "sqlite" else request.getfixturevalue("postgres_url")


class Counting(Told):
    """An engine of a provider that says what was used."""

    usage = Usage(input_tokens=20, output_tokens=1000)

    def __init__(self, settings, error=None):
        super().__init__(settings, error)
        self.capabilities = replace(self.capabilities, provider="other")

    def generate(self, request, on_step=None):
        return replace(super().generate(request, on_step), usage=self.usage)


def rows_of(service):
    with reading(service._engine) as connection:
        return connection.execute(sa.select(expenses).order_by(expenses.c.number)).all()


def test_what_the_provider_says_wins_then_tokens_then_the_price_of_a_picture():
    price = TOKENS.model_copy(update={"image_usd": Decimal("0.04")})
    said = Usage(input_tokens=20, output_tokens=1000, cost_usd="0.0123456")
    assert prices.cost(price, REQUEST, said) == 12346
    assert prices.cost(None, REQUEST, said) == 12346
    assert prices.cost(price, REQUEST, Usage(input_tokens=20, output_tokens=1000)) == 30100
    assert prices.cost(price, REQUEST, Usage(output_tokens=1000)) == 40000
    assert prices.cost(price, REQUEST, None) == 40000
    assert prices.cost(TOKENS, REQUEST, None) is None
    assert prices.cost(None, REQUEST, Usage(output_tokens=1000)) is None


def test_a_price_may_depend_on_size_and_quality():
    price = Price(image_usd="0.04", images_usd={"1792x1024 hd": "0.12"})
    assert [prices.most(price, one) for one in (REQUEST, HD)] == [40000, 120000]
    assert prices.most(TOKENS, REQUEST) is None
    assert prices.most(Price(output_usd=30, at_most_usd="0.3"), REQUEST) == 300000
    with pytest.raises(ValueError, match="String should match"):
        Price(images_usd={"large": "0.12"})


def test_money_is_whole_micro_dollars_rounded_up():
    assert prices.micros(Decimal("0.0000001")) == 1
    shown = {0: "0.00", 40000: "0.04", 1: "0.000001", 12_500_000: "12.50", -40000: "-0.04"}
    assert {amount: prices.as_usd(amount) for amount in shown} == shown


def test_each_price_of_the_table_has_a_source_and_a_price():
    assert len(prices.known_prices()) >= 5
    for known in prices.known_prices().values():
        assert known.source.startswith("https://")
        assert known.image_usd or (known.input_usd and known.output_usd)


def test_the_table_is_for_the_providers_own_addresses_and_a_row_wins():
    def price(**row):
        gateway = {"taskapigatewayuuid": "0b6f2a52-6f5e-4a5c-9d53-7a3f8f5d9c11"} | row
        ours = Gateways(read_settings(gateways={"one": gateway}))
        return ours.price("one", read_request({"prompt": "x", "model": "gpt-image-2"}))

    options = {"models": ["gpt-image-2"]}
    elsewhere = {**options, "dialect": "openai", "base_url": "https://example.org/v1"}
    assert price(engine="openai_images", options=options).output_usd == 30
    assert price(engine="openai_images", options=elsewhere) is None
    assert read_target(elsewhere).provider == "other"
    ours = {"gpt-image-2": {"image_usd": "0.1"}}
    assert price(engine="openai_images", options=options, prices=ours).image_usd == Decimal("0.1")


def test_what_this_machine_draws_costs_nothing_and_is_not_written_down(tmp_path):
    with opened(tmp_path, free={"budget_usd": "0"}) as service:
        assert ended(service, service.submit(new())).success
        assert rows_of(service) == []
        report = service.spending.report()
    assert (report.tries, report.cost_usd, report.items) == (0, ZERO, [])
    assert report.budgets[0].left_usd == ZERO


def test_each_try_that_was_sent_is_written_down_with_what_it_used(monkeypatch, url, tmp_path):
    install(monkeypatch, paid=Counting(read_settings()))
    row = {"engine": "paid", "prices": {"fake-1": {"input_usd": 5, "output_usd": 30}}}
    with opened(tmp_path, database_url=url, first=row) as service:
        task = ended(service, service.submit(new()))
        (written,) = rows_of(service)
        assert (written.taskuuid, written.attempt, written.gateway) == (task.taskuuid, 1, "first")
        assert (written.model, written.cost_micros, written.most_micros) == ("fake-1", 30100, None)
        report = service.spending.report()
        assert service.spending.report(since=date(2999, 1, 1)).items == []
        with pytest.raises(GatewayNotFound):
            service.spending.report(gateway="none")
    (spent,) = report.items
    assert (spent.day, spent.gateway) == (datetime.now(UTC).date().isoformat(), "first")
    assert (spent.tries, spent.input_tokens, spent.output_tokens) == (1, 20, 1000)
    assert (spent.cost_usd, report.cost_usd, spent.unknown) == ("0.0301", "0.0301", 0)


def test_a_picture_from_the_cache_costs_nothing(tmp_path):
    with opened(tmp_path, first=PAID) as service:
        for _ in range(2):
            assert ended(service, service.submit(new(seed=7))).success
        assert [row.cost_micros for row in rows_of(service)] == [40000]


@pytest.mark.parametrize(
    ("error", "cost"),
    [
        (ContentRefused("no"), 0),
        (EngineUnavailable("no connection").unspent(), 0),
        (EngineUnavailable("it broke off"), None),
        (EngineTimedOut("too long"), None),
        (ValueError("a bug"), None),
    ],
)
def test_a_try_that_failed_costs_nothing_only_where_that_is_certain(
    monkeypatch, tmp_path, error, cost
):
    install(monkeypatch, paid=Counting(read_settings(), error))
    with opened(tmp_path, first=PAID | {"engine": "paid", "tries": 2}) as service:
        task = ended(service, service.submit(new()))
        rows = rows_of(service)
        report = service.spending.report()
    assert [row.attempt for row in rows] == list(range(1, task.attempts + 1))
    assert {(row.cost_micros, row.most_micros) for row in rows} == {(cost, 40000)}
    still_open = ZERO if cost == 0 else prices.as_usd(40000 * len(rows))
    assert (report.cost_usd, report.open_usd) == (ZERO, still_open)


def test_what_nobody_knows_the_price_of_is_counted_as_such(monkeypatch, tmp_path):
    install(monkeypatch, paid=Counting(read_settings()))
    with opened(tmp_path, first={"engine": "paid"}) as service:
        assert ended(service, service.submit(new())).success
        report = service.spending.report()
    assert (report.tries, report.cost_usd, report.unknown) == (1, ZERO, 1)


def test_periods_begin_at_midnight_utc_and_end_where_the_next_begins():
    row = read_settings(gateways={"a": _row("day"), "b": _row("month", "1")}).gateways

    def bounds(name, *moment):
        now = int(datetime(*moment, tzinfo=UTC).timestamp() * 1000)
        return [
            datetime.fromtimestamp(edge / 1000, UTC).isoformat()[:16]
            for edge in _period(row[name], now)
        ]

    assert bounds("a", 2026, 2, 28, 23, 59) == ["2026-02-28T00:00", "2026-03-01T00:00"]
    assert bounds("b", 2026, 12, 31, 23) == ["2026-12-01T00:00", "2027-01-01T00:00"]
    assert bounds("b", 2026, 2, 1) == ["2026-02-01T00:00", "2026-03-01T00:00"]


def _row(period, end="0"):
    uuid = f"0b6f2a52-6f5e-4a5c-9d53-7a3f8f5d9c1{end}"
    return {"taskapigatewayuuid": uuid, "budget_period": period, "budget_usd": 1}


def test_a_report_begins_with_the_month(tmp_path):
    with opened(tmp_path, first=PAID) as service:
        assert ended(service, service.submit(new())).success
        later = Spending(
            service._engine,
            service.gateways,
            {},
            now=lambda: rows_of(service)[0].sent + 32 * DAY_MILLISECONDS,
        )
        assert later.report().tries == 0
        assert later.report(since=date(2026, 1, 1)).tries == 1


def test_usage_is_read_over_http(tmp_path):
    rows = {"first": PAID | {"engine": "fake", "budget_usd": "1", **_row("day")}}
    rows["first"]["taskapigatewayuuid"] = "00000000-0000-4000-8000-000000000001"
    with served(tmp_path, gateways=rows) as server, server.client() as client:
        task = {"tasktype": "generate_image", "params": {"prompt": "A white cat"}} | {
            "taskapigatewayuuid": rows["first"]["taskapigatewayuuid"]
        }
        assert client.post("/tasks", json=task, headers={"Prefer": "wait=20"}).status_code == 200
        report = client.get("/usage", params={"gateway": "first"}).json()
        assert (report["cost_usd"], report["tries"]) == ("0.04", 1)
        (budget,) = report["budgets"]
        assert (budget["spent_usd"], budget["left_usd"]) == ("0.04", "0.96")
        assert client.get("/usage", params={"gateway": "none"}).status_code == 404
        for wrong in ("yesterday", "0", "2026-11-24T00:00:00"):
            assert client.get("/usage", params={"since": wrong}).status_code == 400
        assert client.get("/usage", params={"until": "2026-01-01"}).status_code == 400


def test_usage_is_read_on_the_command_line(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with opened(tmp_path, built=PAID) as service:
        assert ended(service, service.submit(new())).success
    (tmp_path / "gouache.toml").write_text(
        f'data_dir = "{tmp_path}"\n[gateways.built]\nengine = "fake"\nbudget_usd = 0.1\n'
        'taskapigatewayuuid = "e366a208-63a2-48ea-af74-e3e0abf703b4"\n'
    )

    def said(*arguments):
        return CliRunner().invoke(app, ["usage", *arguments])

    words = said()
    assert "  built  fake-1  1 try  0.04 USD\n" in words.stdout
    assert "budget of built: 0.06 of 0.10 USD left this month, until " in words.stdout
    report = json.loads(said("--since", "2026-01-01", "--json").stdout)
    assert report["items"][0]["cost_usd"] == "0.04"
    wrong = said("--gateway", "none")
    assert wrong.exit_code != 0
    assert "no gateway is named 'none'" in wrong.stderr
    assert said("--since", "yesterday").exit_code == 2
