"""Budgets of keys: as hard as those of gateways, over all gateways, workers and tries."""

from collections import Counter
from dataclasses import replace
from hashlib import sha256

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from gouache import expenses as written
from gouache import ledger
from gouache.cli import app
from gouache.contract import BUILT_IN_GATEWAY, read_request
from gouache.database import expenses, reading, writing
from gouache.engines import open_engine
from gouache.errors import BudgetExceeded, KeyNotFound, SettingsError
from gouache.records import NewStub
from gouache.settings import read_settings
from tests.commands import begun
from tests.opening import SPARE, Told, ended, install, new, opened, sent_at_once
from tests.served import until

PRICES = {model: {"image_usd": "0.04"} for model in ("fake-1", "fake-flaky")}
PAID = {"prices": PRICES}
REQUEST = read_request({"prompt": "A white cat"})
DIGEST = sha256(b"a-key-that-is-ada-s-alone").hexdigest()


def key(budget="1", **more):
    return {"ada": {"sha256": DIGEST, "budget_usd": budget} | more}


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request):
    return "" if request.param == "sqlite" else request.getfixturevalue("postgres_url")


def rows_of(service, owner="ada"):
    with reading(service._engine) as connection:
        rows = connection.execute(sa.select(expenses).order_by(expenses.c.number)).all()
    return [row for row in rows if row.owner == owner]


def spent(rows):
    return sum(row.most_micros if row.cost_micros is None else row.cost_micros for row in rows)


def at(gateway, task):
    return task.model_copy(update={"taskapigatewayuuid": gateway})


def test_two_workers_together_spend_not_a_cent_of_a_key_too_much(
    postgres_url, monkeypatch, tmp_path
):
    """At two gateways, of which one has a budget too, with tries that fail, beside the house."""
    monkeypatch.chdir(tmp_path)
    lines = "\n".join(f"{model} = {{ image_usd = 0.04 }}" for model in PRICES)
    rows = [
        f'[gateways.{name}]\nengine = "fake"\ntaskapigatewayuuid = "{uuid}"\nconcurrency = 4\n'
        f"retry_seconds = 0\nbudget_usd = {budget}\n[gateways.{name}.prices]\n{lines}\n"
        for name, uuid, budget in (("paid", BUILT_IN_GATEWAY, 100), ("spare", SPARE, 0.4))
    ]
    (tmp_path / "gouache.toml").write_text(
        f'data_dir = "{tmp_path}"\ndatabase_url = "{postgres_url}"\n'
        f'[keys.ada]\nsha256 = "{DIGEST}"\nbudget_usd = 1\n' + "".join(rows)
    )
    given = {"paid": PAID, "spare": PAID}
    with opened(tmp_path, database_url=postgres_url, start=False, keys=key(), **given) as service:
        ada, tasks = service.seen_by("ada"), []
        for i in range(48):
            task = new(f"A cat, {i}", seed=i, model=("fake-1", "fake-flaky")[i % 2])
            where = (BUILT_IN_GATEWAY, SPARE)[i // 2 % 2]
            tasks.append((service if i % 8 == 7 else ada).submit(at(where, task)))
        with begun(tmp_path / "one", "worker") as one, begun(tmp_path / "two", "worker") as two:
            one.ready()
            two.ready()
            until(lambda: all(service.task(task.taskuuid).ended for task in tasks), 90)
        own = rows_of(service)
        assert spent(own) == 1_000_000
        assert len(own) == 25
        every = own + rows_of(service, None)
        assert spent([row for row in every if row.gateway == "spare"]) <= 400_000
        tries = Counter(row.taskuuid for row in every)
        for task in map(lambda one: service.task(one.taskuuid), tasks):
            sent = task.attempts - (task.state == "failed")
            assert tries[task.taskuuid] == sent
            assert task.state == "succeeded" or task.error.code == "budget_exceeded"


def test_what_two_gateways_set_aside_at_the_same_moment_is_of_one_budget(url, tmp_path):
    """All of them have looked, and none has drawn, before the first is settled."""
    drawing = open_engine("fake", read_settings()).generate(REQUEST)
    with opened(
        tmp_path, database_url=url, start=False, keys=key("0.2"), paid=PAID, spare=PAID
    ) as service:
        ada = service.seen_by("ada")
        taskuuids = [
            ada.submit(at((BUILT_IN_GATEWAY, SPARE)[i % 2], new())).taskuuid for i in range(12)
        ]
        with reading(service._engine) as connection:
            rows = [ledger.task_row(connection, each, owner="ada") for each in taskuuids]
        with sent_at_once(service, rows, REQUEST, drawing) as (drawn, refused):
            assert (len(drawn), len(refused), spent(rows_of(service))) == (5, 7, 200_000)
        assert spent(rows_of(service)) == 200_000


def test_an_owner_named_like_a_gateway_locks_another_lock(postgres_url, tmp_path):
    with (
        opened(tmp_path, database_url=postgres_url, start=False, paid=PAID) as service,
        writing(service._engine) as one,
        writing(service._engine) as other,
    ):
        written.lock(one, "paid", owner="ada")
        other.execute(sa.text("SET lock_timeout = '2s'"))
        written.lock(other, "ada")


def test_a_spent_budget_refuses_what_is_handed_in_and_leaves_the_others_alone(tmp_path):
    keys = key("0.05") | {"bob": {"sha256": "0" * 64}}
    with opened(tmp_path, keys=keys, paid=PAID) as service:
        ada, bob = service.seen_by("ada"), service.seen_by("bob")
        assert ended(ada, ada.submit(new())).success
        with pytest.raises(BudgetExceeded) as caught:
            ada.submit(new("A dog"))
        message = caught.value.message
        assert "the budget of the key ada is 0.05 USD a month, of which 0.04 are spent" in message
        assert "It renews at 20" in message
        assert ended(bob, bob.submit(new("A dog"))).success
        assert ended(service, service.submit(new("A dog", seed=1))).success


def test_a_named_key_is_not_told_what_all_together_spent_of_a_gateway_s_budget(tmp_path):
    with opened(tmp_path, keys=key("5"), paid=PAID | {"budget_usd": "0.05"}) as service:
        assert ended(service, service.submit(new())).success
        with pytest.raises(BudgetExceeded, match="0.05 USD a month, of which 0.04 are spent"):
            service.submit(new("A dog"))
        with pytest.raises(BudgetExceeded, match="the gateway paid is used up") as caught:
            service.seen_by("ada").submit(new("A dog"))
        assert "0.05" not in caught.value.message
        (budget,) = service.seen_by("ada").usage().budgets
        assert (budget.gateway, budget.key, budget.left_usd) == (None, "ada", "5.00")


def test_each_repeated_try_counts(tmp_path):
    with opened(tmp_path, keys=key("0.06"), paid=PAID) as service:
        ada = service.seen_by("ada")
        task = ended(ada, ada.submit(new(model="fake-flaky")))
        assert (task.error.code, task.error.retryable) == ("budget_exceeded", False)
        assert spent(rows_of(service)) == 40_000


def test_no_budget_of_a_key_without_a_price(monkeypatch, tmp_path):
    class Unpriced(Told):
        def __init__(self, settings):
            super().__init__(settings)
            self.capabilities = replace(self.capabilities, provider="other")

    install(monkeypatch, unpriced=Unpriced(read_settings()))
    with opened(tmp_path, keys=key(), paid={"engine": "unpriced"}) as service:
        with pytest.raises(SettingsError, match="the key ada has a budget, and nobody knows"):
            service.seen_by("ada").submit(new())
        assert ended(service, service.submit(new())).success


def test_a_budget_of_a_key_limits_nothing_that_this_machine_draws(tmp_path):
    with opened(tmp_path, keys=key("0"), free={}) as service:
        ada = service.seen_by("ada")
        assert ended(ada, ada.submit(new())).success


def test_what_the_house_has_drawn_on_an_owner_s_stub_counts_for_the_owner(tmp_path):
    with opened(tmp_path, keys=key(), paid=PAID) as service:
        stub = service.seen_by("ada").create_stub(NewStub())
        assert ended(service, service.submit(new(stubref=stub.stubref))).success
        assert spent(rows_of(service)) == 40_000


def test_usage_tells_keys_apart(monkeypatch, tmp_path):
    with opened(tmp_path, keys=key("0.1"), paid=PAID | {"budget_usd": 9}) as service:
        ada = service.seen_by("ada")
        for seen in (ada, service):
            assert ended(seen, seen.submit(new())).success
        every, of_ada = service.usage(), service.usage(key="ada")
        assert [(one.key, one.cost_usd) for one in every.items] == [(None, "0.04"), ("ada", "0.04")]
        assert [(one.gateway, one.key) for one in every.budgets] == [("paid", None), (None, "ada")]
        assert [one.key for one in of_ada.items] == ["ada"]
        assert [one.key for one in of_ada.budgets] == ["ada"]
        assert [one.gateway for one in service.usage(gateway="paid").budgets] == ["paid"]
        assert of_ada == ada.usage()
        with pytest.raises(KeyNotFound):
            service.usage(key="none")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gouache.toml").write_text(
        f'data_dir = "{tmp_path}"\nengine = "fake"\n'
        f'[keys.ada]\nsha256 = "{DIGEST}"\nbudget_usd = 0.1\n'
    )
    words = CliRunner().invoke(app, ["usage", "--key", "ada"]).stdout
    assert "  paid  fake-1  key ada  1 try  0.04 USD\n" in words
    assert "budget of the key ada: 0.06 of 0.10 USD left this month, until " in words
    assert CliRunner().invoke(app, ["usage", "--key", "none"]).exit_code != 0
