"""The lock that shows a worker is alive, on a real PostgreSQL."""

import time

import psycopg
import pytest
import sqlalchemy as sa

from gouache import liveness
from gouache.errors import DatabaseUnavailable
from gouache.liveness import Liveness


@pytest.fixture
def worker(postgres_url):
    """Return a function that makes a worker of a name; all are stopped at the end."""
    made = []

    def make(name):
        made.append(Liveness(sa.make_url(postgres_url), name))
        return made[-1]

    yield make
    for one in made:
        one.stop()


def is_locked(url, name):
    with psycopg.connect(url, autocommit=True) as connection:
        got = connection.execute(liveness._LOCK, (name,)).fetchone()[0]
    return not got


def test_a_worker_holds_its_lock_until_it_stops(worker, postgres_url):
    one = worker("one")
    assert is_locked(postgres_url, "one")
    assert not is_locked(postgres_url, "two")
    one.stop()
    assert not is_locked(postgres_url, "one")


def test_a_worker_that_stands_still_loses_its_lock(worker, postgres_url, monkeypatch):
    monkeypatch.setattr(liveness, "STILL_SECONDS", 1)
    worker("still")  # its thread was not started: nothing uses the session
    assert is_locked(postgres_url, "still")
    time.sleep(1.5)
    assert not is_locked(postgres_url, "still")


def test_a_worker_that_moves_keeps_its_lock(worker, postgres_url, monkeypatch):
    monkeypatch.setattr(liveness, "STILL_SECONDS", 1)
    monkeypatch.setattr(liveness, "SCAN_SECONDS", 0.2)
    worker("moving").start()
    for _ in range(10):
        time.sleep(0.2)
        assert is_locked(postgres_url, "moving")


def test_a_worker_that_was_cut_off_takes_its_lock_again(worker, postgres_url, monkeypatch):
    monkeypatch.setattr(liveness, "SCAN_SECONDS", 0.2)
    one = worker("one")
    one.start()
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        mine = one._connection.info.backend_pid
        connection.execute("select pg_terminate_backend(%s)", (mine,))
    until = time.monotonic() + 10
    while not is_locked(postgres_url, "one") or one._connection.info.backend_pid == mine:
        assert time.monotonic() < until
        time.sleep(0.05)


def test_a_database_that_cannot_be_reached_is_said(tmp_path):
    url = sa.make_url(f"postgresql+psycopg://nobody@/none?host={tmp_path}")
    with pytest.raises(DatabaseUnavailable, match="cannot be used"):
        Liveness(url, "one")
