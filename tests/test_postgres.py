"""The PostgreSQL of the tests: real, empty each time, and gone afterwards."""

import os
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from tests.postgres import MISSING, cluster, programs

ROOT = Path(__file__).parents[1]


needs_postgresql = pytest.mark.skipif(programs() is None, reason=MISSING)


def value(url, statement):
    with psycopg.connect(url) as connection:
        return connection.execute(statement).fetchone()[0]


def test_each_test_gets_an_empty_database(postgres, postgres_url):
    other = postgres.new_database()
    with psycopg.connect(postgres_url) as connection:
        connection.execute("create table pictures (name text)")
    count = "select count(*) from pg_tables where schemaname = 'public'"
    assert value(postgres_url, count) == 1
    assert value(other, count) == 0


@needs_postgresql
def test_a_cluster_that_is_killed_keeps_what_was_committed():
    with cluster() as made:
        assert value(made.url(), "show fsync") == "on"
        url = made.new_database()
        with psycopg.connect(url) as connection:
            connection.execute("create table pictures as select 'cat' as name")
        made.restart()
        assert value(url, "select name from pictures") == "cat"


@needs_postgresql
def test_nothing_of_a_cluster_is_left():
    with cluster(fsync="off") as made:
        assert made.server.poll() is None
    assert made.server.poll() is not None
    assert not made.folder.exists()


def test_without_the_programs_the_tests_are_skipped_and_say_how_to_get_them(tmp_path):
    test = tmp_path / "test_one.py"
    test.write_text(
        "import tests.postgres\n"
        "tests.postgres.programs = lambda: None\n"
        "from tests.postgres import postgres, postgres_url\n"
        "def test_one(postgres_url): raise AssertionError\n"
    )
    command = [sys.executable, "-m", "pytest", "-rs", "-p", "no:cacheprovider", str(test)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert "1 skipped" in done.stdout
    assert "scripts/postgres installs it" in done.stdout


@needs_postgresql
def test_where_postgresql_is_installed_the_script_has_nothing_to_do():
    done = subprocess.run([str(ROOT / "scripts/postgres")], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
