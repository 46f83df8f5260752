"""Budgets are hard: nothing is sent that may go over one, whoever sends it, and whatever dies."""

import time
from collections import Counter
from dataclasses import replace

import pytest
import sqlalchemy as sa

from gouache import ledger
from gouache.contract import BUILT_IN_GATEWAY, read_request
from gouache.database import expenses, reading
from gouache.engines import open_engine
from gouache.errors import BudgetExceeded, EngineTimedOut, SettingsError
from gouache.expenses import DAY_MILLISECONDS
from gouache.settings import read_settings
from gouache.spending import Spending
from gouache.usage import Usage
from tests.commands import begun
from tests.opening import LAST, SPARE, Told, ended, install, new, opened, sent_at_once
from tests.served import served, until

PRICE = {"image_usd": "0.04"}
PRICES = {model: PRICE for model in ("fake-1", "fake-flaky", "fake-slow", "fake-failing")}
PAID = {"prices": PRICES, "budget_usd": "1"}
REQUEST = read_request({"prompt": "A white cat"})


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request):
    return "" if request.param == "sqlite" else request.getfixturevalue("postgres_url")


@pytest.fixture
def drawing():
    return open_engine("fake", read_settings()).generate(REQUEST)


class Killed(BaseException):
    """What ends a process in the middle."""


def killed():
    raise Killed


def rows_of(service):
    with reading(service._engine) as connection:
        return connection.execute(sa.select(expenses).order_by(expenses.c.number)).all()


def row_of(service, taskuuid):
    with reading(service._engine) as connection:
        return ledger.task_row(connection, taskuuid, owner=None)


def spent(service):
    return sum(
        row.most_micros if row.cost_micros is None else row.cost_micros for row in rows_of(service)
    )


def left(service):
    return service.spending.report().budgets[0].left_usd


def many_tasks():
    """Return tasks of 60 tries: each second fails the first time."""
    models = ("fake-1", "fake-flaky")
    return [new(f"A cat, {i}", seed=i, model=models[i % 2]) for i in range(40)]


def check_spent(service, accepted):
    """Check that all money was spent, none twice, and that the rest was refused."""
    records = [service.task(one.taskuuid) for one in accepted]
    rows = rows_of(service)
    assert spent(service) == 1_000_000
    assert len(rows) == 25
    tries = Counter(row.taskuuid for row in rows)
    for record in records:
        sent = record.attempts
        if record.state == "failed":
            assert (record.error.code, record.error.retryable) == ("budget_exceeded", False)
            sent -= 1
        assert tries[record.taskuuid] == sent
    assert {record.state for record in records} == {"succeeded", "failed"}


def tell_workers(tmp_path, url, *, budget_usd):
    """Write the settings down that workers begin with."""
    lines = [f"{model} = {{ image_usd = 0.04 }}" for model in PRICES]
    (tmp_path / "gouache.toml").write_text(
        f'data_dir = "{tmp_path}"\ndatabase_url = "{url}"\n[gateways.paid]\n'
        f'engine = "fake"\ntaskapigatewayuuid = "{BUILT_IN_GATEWAY}"\nconcurrency = 4\n'
        f"budget_usd = {budget_usd}\nretry_seconds = 0\n[gateways.paid.prices]\n" + "\n".join(lines)
    )


def test_two_workers_together_spend_not_a_cent_too_much(postgres_url, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    tell_workers(tmp_path, postgres_url, budget_usd="1")
    with opened(tmp_path, database_url=postgres_url, start=False, paid=PAID) as service:
        accepted = service.submit_all(many_tasks())
        with begun(tmp_path / "one", "worker") as one, begun(tmp_path / "two", "worker") as two:
            one.ready()
            two.ready()
            until(lambda: all(service.task(t.taskuuid).ended for t in accepted), 60)
        check_spent(service, accepted)


def test_what_a_dead_worker_had_set_aside_is_spent_once_by_the_next(
    postgres_url, monkeypatch, tmp_path
):
    monkeypatch.chdir(tmp_path)
    tell_workers(tmp_path, postgres_url, budget_usd="0.16")
    paid = PAID | {"budget_usd": "0.16"}
    with opened(tmp_path, database_url=postgres_url, start=False, paid=paid) as service:
        accepted = service.submit_all([new(f"A cat, {i}", model="fake-slow") for i in range(6)])
        with begun(tmp_path / "one", "worker") as one:
            one.ready()
            until(lambda: rows_of(service), 30)
        assert not any(service.task(t.taskuuid).ended for t in accepted), "killed too late"
        with begun(tmp_path / "two", "worker"):
            until(lambda: all(service.task(t.taskuuid).ended for t in accepted), 60)
        records = [service.task(t.taskuuid) for t in accepted]
        failed = [record.error.code for record in records if record.state == "failed"]
        assert failed == ["budget_exceeded"] * 2
        assert sum(record.state == "succeeded" for record in records) == 4
        assert [row.cost_micros for row in rows_of(service)] == [40000] * 4


def test_threads_on_sqlite_spend_not_a_cent_too_much(tmp_path):
    with opened(tmp_path, paid=PAID | {"concurrency": 8}) as service:
        accepted = service.submit_all(many_tasks())
        until(lambda: all(service.task(t.taskuuid).ended for t in accepted), 60)
        check_spent(service, accepted)


def test_what_is_set_aside_at_the_same_moment_is_set_aside_one_after_the_other(
    url, drawing, tmp_path
):
    """All of them have looked, and none has drawn, before the first is settled."""
    with opened(
        tmp_path, database_url=url, start=False, paid=PAID | {"budget_usd": "0.2"}
    ) as service:
        rows = [row_of(service, service.submit(new()).taskuuid) for _ in range(12)]
        with sent_at_once(service, rows, REQUEST, drawing) as (drawn, refused):
            assert (len(drawn), len(refused), spent(service)) == (5, 7, 200_000)
        assert spent(service) == 200_000


def test_a_try_that_was_killed_is_begun_again_with_what_it_had_set_aside(url, drawing, tmp_path):
    with opened(
        tmp_path, database_url=url, start=False, paid=PAID | {"budget_usd": "0.04"}
    ) as service:
        row = row_of(service, service.submit(new()).taskuuid)
        with pytest.raises(Killed):
            service.spending.drawing(row, REQUEST, killed)
        assert left(service) == "0.00"
        service.spending.drawing(row, REQUEST, lambda: drawing)
        (written,) = rows_of(service)
        assert (written.attempt, written.cost_micros) == (1, 40000)


def test_a_try_that_was_paid_and_killed_before_its_end_is_paid_again(drawing, tmp_path):
    with opened(tmp_path, start=False, paid=PAID | {"budget_usd": "0.08"}) as service:
        row = row_of(service, service.submit(new()).taskuuid)
        for _ in range(2):
            service.spending.drawing(row, REQUEST, lambda: drawing)
        assert spent(service) == 80000
        with pytest.raises(BudgetExceeded):
            service.spending.drawing(row, REQUEST, lambda: drawing)
        assert spent(service) == 80000


def test_a_server_that_is_killed_loses_and_doubles_nothing(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gouache.toml").write_text(
        f'data_dir = "{tmp_path}"\n[gateways.paid]\nengine = "fake"\nbudget_usd = 0.04\n'
        f'taskapigatewayuuid = "{BUILT_IN_GATEWAY}"\n'
        "[gateways.paid.prices.fake-slow]\nimage_usd = 0.04\n"
    )
    with opened(tmp_path, start=False, paid=PAID | {"budget_usd": "0.04"}) as service:
        task = service.submit(new(model="fake-slow"))
        with begun(tmp_path / "one", "serve", "--port", "0") as one:
            one.ready()
            until(lambda: rows_of(service), 30)
        assert left(service) == "0.00"
        with begun(tmp_path / "two", "serve", "--port", "0"):
            assert ended(service, task).success
        (written,) = rows_of(service)
        assert (written.attempt, written.cost_micros) == (1, 40000)


def test_what_a_picture_cost_less_than_it_could_is_given_back(monkeypatch, tmp_path):
    class Cheap(Told):
        def generate(self, request, on_step=None):
            return replace(super().generate(request, on_step), usage=Usage(cost_usd="0.01"))

    install(monkeypatch, cheap=Cheap(read_settings()))
    row = {"engine": "cheap", "budget_usd": "0.06", "prices": {"fake-1": {"at_most_usd": "0.04"}}}
    with opened(tmp_path, paid=row) as service:
        for remaining in ("0.05", "0.04", "0.03"):
            assert ended(service, service.submit(new())).success
            assert left(service) == remaining
        with pytest.raises(BudgetExceeded):
            service.submit(new())


def test_a_try_of_unknown_outcome_counts_and_so_does_the_next(monkeypatch, tmp_path):
    install(monkeypatch, slow=Told(read_settings(), EngineTimedOut("too long")))
    row = PAID | {"engine": "slow", "tries": 5, "budget_usd": "0.1"}
    with opened(tmp_path, paid=row, spare={}) as service:
        task = ended(service, service.submit(new()))
        assert (task.error.code, task.attempts) == ("budget_exceeded", 3)
        assert spent(service) == 80000


def test_a_spent_budget_is_no_reason_to_go_on_with_another_gateway(tmp_path):
    row = PAID | {"budget_usd": "0.05", "fallback": ["spare"], "concurrency": 1}
    with opened(tmp_path, start=False, paid=row, spare={}) as service:
        tasks = service.submit_all([new("A cat"), new("A dog")])
        service.work.start()
        found = [ended(service, task) for task in tasks]
        assert sorted(task.state for task in found) == ["failed", "succeeded"]
        assert [row.gateway for row in rows_of(service)] == ["paid"]


def test_a_cancelled_task_keeps_what_was_set_aside(tmp_path):
    with opened(tmp_path, paid=PAID | {"budget_usd": "0.04"}) as service:
        task = service.submit(new(model="fake-slow", quality="hd"))
        until(lambda: rows_of(service))
        service.cancel(task.taskuuid)
        time.sleep(1)
        assert left(service) == "0.00"


def test_what_is_spent_is_said_when_a_task_is_handed_in(tmp_path):
    row = {"taskapigatewayuuid": LAST, "engine": "fake"} | PAID | {"budget_usd": "0.05"}
    with served(tmp_path, gateways={"paid": row}) as server, server.client() as client:
        task = {"tasktype": "generate_image", "params": {"prompt": "A cat"}}
        task |= {"taskapigatewayuuid": LAST}
        first = client.post("/tasks", json=task, headers={"Prefer": "wait=20"}).json()
        assert first["success"]
        answer = client.post("/tasks", json=task)
        assert answer.status_code == 402
        error = answer.json()["error"]
        assert (error["code"], error["retryable"]) == ("budget_exceeded", False)
        assert (
            "the budget of the gateway paid is 0.05 USD a month, of which 0.04" in error["message"]
        )
        assert "It renews at 20" in error["message"]
        assert client.get("/tasks").json()["items"][1:] == []
        stub = client.post("/stubs", json={}).json()["stubref"]
        post = {"action": "note", "tasks": {"picture": task}}
        assert client.post(f"/stubs/{stub}/stubposts", json=post).status_code == 402
        assert client.get(f"/stubs/{stub}").json()["stubposts"] == []
        with pytest.raises(BudgetExceeded):
            server.service.repeat(first["taskuuid"])


def test_no_budget_without_a_price(monkeypatch, tmp_path):
    class Unpriced(Told):
        def __init__(self, settings):
            super().__init__(settings)
            self.capabilities = replace(self.capabilities, provider="other")

    install(monkeypatch, unpriced=Unpriced(read_settings()))
    with opened(tmp_path, paid={"engine": "unpriced", "budget_usd": "1"}) as service:
        with pytest.raises(SettingsError, match="nobody knows what fake-1 can cost") as caught:
            service.submit(new())
        assert caught.value.param == "gateways.paid.prices.fake-1"


def test_a_budget_renews_with_its_period(drawing, tmp_path):
    row = PAID | {"budget_usd": "0.04", "budget_period": "day"}
    with opened(tmp_path, start=False, paid=row) as service:
        one, two, three = (row_of(service, service.submit(new()).taskuuid) for _ in range(3))
        service.spending.drawing(one, REQUEST, lambda: drawing)
        with pytest.raises(BudgetExceeded):
            service.spending.drawing(two, REQUEST, lambda: drawing)
        tomorrow = rows_of(service)[0].sent + DAY_MILLISECONDS
        later = Spending(service._engine, service.gateways, {}, now=lambda: tomorrow)
        later.drawing(two, REQUEST, lambda: drawing)
        with pytest.raises(BudgetExceeded):
            later.drawing(three, REQUEST, lambda: drawing)


def test_each_gateway_has_a_budget_of_its_own(drawing, tmp_path):
    rows = {"paid": PAID | {"budget_usd": "0.04"}, "spare": PAID}
    with opened(tmp_path, start=False, **rows) as service:
        row = row_of(service, service.submit(new()).taskuuid)
        service.spending.drawing(row, REQUEST, lambda: drawing)
        other = {"taskapigatewayuuid": SPARE}
        assert service.submit(new().model_copy(update=other)).state == "queued"
        with pytest.raises(BudgetExceeded):
            service.submit(new())
