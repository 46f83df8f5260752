"""A rate limit holds in any window of its period, whoever sends the tries, and whatever becomes of them."""

import threading
import time
from collections import Counter
from contextlib import contextmanager

import pytest

from gouache import pacing
from gouache.database import reading
from gouache.pacing import MARGIN_MILLISECONDS, Pacing, TooEarly
from gouache.settings import read_settings
from tests.commands import begun
from tests.doubles.openai_images import doubled
from tests.opening import SPARE, Told, ended, install, new, opened
from tests.served import until

LIMITED = {"rate_limit": 3, "rate_period_seconds": 2}


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request):
    return "" if request.param == "sqlite" else request.getfixturevalue("postgres_url")


@pytest.fixture
def engine(monkeypatch):
    """An engine that remembers when it was called."""

    class Timed(Told):
        def generate(self, request, on_step=None):
            self.times.append(time.monotonic())
            return super().generate(request, on_step)

    timed = Timed(read_settings())
    timed.times = []
    install(monkeypatch, timed=timed)
    return timed


def most_in(seconds, times):
    """Return how many of these moments lie in one window, at most."""
    return max(sum(begin <= one < begin + seconds for one in times) for begin in times)


def check(times, count, *, limit=LIMITED):
    assert len(times) == count
    assert most_in(limit["rate_period_seconds"], times) <= limit["rate_limit"]


def all_ended(service, tasks, seconds=90):
    until(lambda: all(service.task(one.taskuuid).ended for one in tasks), seconds)
    return [service.task(one.taskuuid) for one in tasks]


# In one process


def test_threads_begin_no_more_tries_than_the_limit_with_those_that_are_repeated(engine, tmp_path):
    row = LIMITED | {"engine": "timed", "concurrency": 8}
    with opened(tmp_path, first=row) as service:
        tasks = [new(f"A cat with a limit, {i}", seed=i, model="fake-flaky") for i in range(4)]
        records = all_ended(service, service.submit_all(tasks))
    assert [(record.state, record.attempts) for record in records] == [("succeeded", 2)] * 4
    check(engine.times, 8)


def test_tries_that_take_over_from_another_gateway_are_counted_too(engine, tmp_path):
    first = {"models": {"dall-e-3": "fake-failing"}, "tries": 1, "fallback": ["spare"]}
    spare = LIMITED | {"engine": "timed", "concurrency": 8}
    with opened(tmp_path, first=first | {"concurrency": 8}, spare=spare) as service:
        own = {"taskapigatewayuuid": SPARE}
        tasks = [new(f"A cat, {i}") for i in range(4)]
        tasks += [new(f"A dog, {i}").model_copy(update=own) for i in range(3)]
        records = all_ended(service, service.submit_all(tasks))
    assert {(record.state, record.gateway) for record in records} == {("succeeded", "spare")}
    check(engine.times, 7)


def test_a_try_that_is_cancelled_was_begun_all_the_same(engine, url, tmp_path):
    row = {"engine": "timed", "rate_limit": 2, "rate_period_seconds": 4, "concurrency": 4}
    with opened(tmp_path, database_url=url, first=row) as service:
        for expected in (2, 4):
            tasks = service.submit_all([new(f"{expected} {i}", model="fake-slow") for i in "ab"])
            until(lambda: len(engine.times) == expected, 30)  # noqa: B023
            for task in tasks:
                service.cancel(task.taskuuid)
    check(engine.times, 4, limit=row)


def test_the_wait_for_a_turn_is_none_of_the_time_that_a_try_may_take(engine, tmp_path):
    row = {"engine": "timed", "rate_limit": 1, "rate_period_seconds": 7, "timeout_seconds": 6}
    with opened(tmp_path, first=row) as service:
        ours(service).take_turn("first")
        record = ended(service, service.submit(new()))
    assert (record.state, record.attempts) == ("succeeded", 1)


def test_a_task_that_waits_for_its_turn_can_be_cancelled(engine, tmp_path):
    row = {"engine": "timed", "rate_limit": 1, "rate_period_seconds": 600}
    with opened(tmp_path, first=row) as service:
        ours(service).take_turn("first")
        task = service.submit(new())
        until(lambda: service.task(task.taskuuid).state == "running")
        service.cancel(task.taskuuid)
        until(lambda: service._durable.running() == {})
    assert engine.times == []


def test_what_the_cache_has_needs_no_turn(engine, tmp_path):
    row = {"engine": "timed", "rate_limit": 1, "rate_period_seconds": 1}
    with opened(tmp_path, first=row) as service:
        ended(service, service.submit(new(seed=1)))
        sent = time.monotonic()
        ended(service, service.submit(new(seed=1)))
        until(lambda: time.monotonic() > sent + 1 + MARGIN_MILLISECONDS / 1000)
        ours(service).take_turn("first")
    assert len(engine.times) == 1


# In several


@contextmanager
def gateways(tmp_path, url, **rows):
    """Write the rows down for workers and open the service with them; it runs nothing itself."""
    rows = {
        name: {"engine": "openai_images", "retry_seconds": 0} | row for name, row in rows.items()
    }
    with opened(tmp_path, database_url=url, start=False, **rows) as service:
        lines = [f'data_dir = "{tmp_path}"', f'database_url = "{url}"']
        for name, row in rows.items():
            uuid = service.settings.gateways[name].taskapigatewayuuid
            lines += [f"[gateways.{name}]", f'taskapigatewayuuid = "{uuid}"']
            lines += [f"{key} = {toml(value)}" for key, value in row.items()]
        (tmp_path / "gouache.toml").write_text("\n".join(lines))
        yield service


def toml(value):
    """Return a value as TOML has it in one line."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {toml(one)}" for key, one in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(toml(one) for one in value) + "]"
    return f'"{value}"' if isinstance(value, str) else str(value)


def at(double):
    return {"base_url": double.local_url, "models": ["a-model"]}


@contextmanager
def turns(service):
    """Yield the moments (seconds) of all turns that any worker takes meanwhile, by gateway."""
    taken, done = {name: Counter() for name in service.gateways.names}, threading.Event()

    def look():
        while not done.wait(0.05):
            with reading(service._engine) as connection:
                for name in taken:
                    taken[name] |= Counter(pacing.sent(connection, name))

    looking = threading.Thread(target=look)
    looking.start()
    found = {}
    try:
        yield found
    finally:
        done.set()
        looking.join()
        found |= {
            name: [one / 1000 for one in moments.elements()] for name, moments in taken.items()
        }


def test_two_workers_together_keep_the_limits_of_a_chain_of_gateways(
    postgres_url, monkeypatch, tmp_path
):
    monkeypatch.chdir(tmp_path)
    with doubled() as away, doubled() as there:
        away.mode = "503"
        first = {"rate_limit": 3, "rate_period_seconds": 2, "concurrency": 3, "tries": 2}
        first |= {"options": at(away), "fallback": ["spare"]}
        spare = {"rate_limit": 2, "rate_period_seconds": 2, "options": at(there), "concurrency": 2}
        with gateways(tmp_path, postgres_url, first=first, spare=spare) as service:
            tasks = service.submit_all([new(f"A cat, {i}") for i in range(6)])
            with begun(tmp_path / "one", "worker") as one, begun(tmp_path / "two", "worker") as two:
                one.ready()
                two.ready()
                with turns(service) as taken:
                    records = all_ended(service, tasks)
        assert {(record.state, record.gateway) for record in records} == {("succeeded", "spare")}
        check(taken["first"], len(away.calls), limit=first)
        check(taken["spare"], len(there.calls), limit=spare)
        assert (len(away.calls), len(there.calls)) == (12, 6)


def test_a_try_that_died_with_its_worker_was_begun_all_the_same(
    postgres_url, monkeypatch, tmp_path
):
    monkeypatch.chdir(tmp_path)
    with doubled() as double:
        double.mode = "slow"
        row = {"rate_limit": 3, "rate_period_seconds": 15, "concurrency": 4, "options": at(double)}
        with gateways(tmp_path, postgres_url, first=row) as service, turns(service) as taken:
            tasks = service.submit_all([new(f"A cat, {i}") for i in range(3)])
            with begun(tmp_path / "one", "worker") as one:
                one.ready()
                until(lambda: len(double.calls) == 3, 30)
            double.mode = ""
            with begun(tmp_path / "two", "worker"):
                records = all_ended(service, tasks)
        assert [(record.state, record.attempts) for record in records] == [("succeeded", 1)] * 3
        assert len(double.calls) == 6
        check(taken["first"], 6, limit=row)
        died, again = (sorted(call["time"] for call in double.calls)[i] for i in (0, 3))
        assert again - died >= 10, "this test has stopped seeing the wait; mend it"


# Turns


def ours(service, now=None):
    return Pacing(service._engine, service.gateways, now=now)


def test_a_turn_that_comes_too_early_says_when_to_come(url, tmp_path):
    with opened(tmp_path, database_url=url, start=False, first=LIMITED) as service:
        clock = [1_000_000]
        paced = ours(service, lambda: clock[0])
        period = 2000 + MARGIN_MILLISECONDS
        for clock[0] in (1_000_000, 1_000_500, 1_001_900):
            paced.take_turn("first")
        for clock[0], seconds in [
            (1_001_900, period / 1000 - 1.9),
            (1_000_000 + period - 1, 0.001),
        ]:
            with pytest.raises(TooEarly) as caught:
                paced.take_turn("first")
            assert caught.value.seconds == pytest.approx(seconds)
        clock[0] += 1
        paced.take_turn("first")
        with pytest.raises(TooEarly) as caught:
            paced.take_turn("first")
        assert caught.value.seconds == pytest.approx(0.5)


def test_turns_that_are_taken_at_the_same_moment_are_taken_one_after_the_other(url, tmp_path):
    row = {"rate_limit": 5, "rate_period_seconds": 600}
    with opened(tmp_path, database_url=url, start=False, first=row) as service:
        begin, taken = threading.Barrier(16), []

        def one():
            paced = ours(service)
            begin.wait()
            try:
                paced.take_turn("first")
            except TooEarly:
                return
            taken.append(None)

        threads = [threading.Thread(target=one) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(taken) == 5


def test_a_clock_that_is_put_back_makes_nobody_wait_longer_than_a_period(tmp_path):
    row = {"rate_limit": 1, "rate_period_seconds": 2}
    with opened(tmp_path, start=False, first=row) as service:
        ours(service, lambda: 9_000_000).take_turn("first")
        with pytest.raises(TooEarly) as caught:
            ours(service, lambda: 1_000).take_turn("first")
        assert caught.value.seconds == pytest.approx(2 + MARGIN_MILLISECONDS / 1000)


def test_each_gateway_has_turns_of_its_own_and_one_without_a_limit_needs_none(tmp_path):
    row = {"rate_limit": 1, "rate_period_seconds": 600}
    with opened(tmp_path, start=False, first=row, spare=row, last={}) as service:
        for name in ("first", "spare", "last", "last"):
            ours(service).take_turn(name)
        with pytest.raises(TooEarly):
            ours(service).take_turn("spare")


def test_a_limit_that_was_lowered_waits_for_those_that_were_sent_before(tmp_path):
    row = {"rate_limit": 3, "rate_period_seconds": 10}
    with opened(tmp_path, start=False, first=row) as service:
        for moment in (1000, 2000, 3000):
            ours(service, lambda moment=moment: moment).take_turn("first")
    with opened(tmp_path, start=False, first=row | {"rate_limit": 1}) as service:
        with pytest.raises(TooEarly) as caught:
            ours(service, lambda: 4000).take_turn("first")
        assert caught.value.seconds == pytest.approx(9 + MARGIN_MILLISECONDS / 1000)
