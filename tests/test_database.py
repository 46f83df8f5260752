"""Opening a database: its tables, its versions, and what happens where it cannot be opened."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from gouache import database, ledger, signatures
from gouache.errors import DatabaseUnavailable, StorageError
from gouache.settings import Settings


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'a' / 'gouache.sqlite'}"
    return Settings(database_url=request.getfixturevalue("postgres_url")).database


@pytest.fixture
def opened():
    """Return a function that opens a database and lets go of it afterwards."""
    engines = []

    def open_it(url):
        engines.append(database.open_database(url))
        return engines[-1]

    yield open_it
    for engine in engines:
        engine.dispose()


def ours(thing, name, kind, reflected, compare_to):
    return not (kind == "table" and reflected and compare_to is None)  # DBOS's tables


def test_the_migrations_make_the_tables_that_the_program_uses(url, opened):
    with opened(url).connect() as connection:
        context = MigrationContext.configure(connection, opts={"include_object": ours})
        assert compare_metadata(context, database.metadata) == []


def test_the_newest_migration_is_the_version():
    scripts = ScriptDirectory(str(database.MIGRATIONS))
    assert scripts.get_current_head() == database.VERSION


def test_a_database_of_the_first_version_is_brought_up_with_all_its_rows(url, monkeypatch, opened):
    first = sa.create_engine(url)
    with monkeypatch.context() as patch:
        patch.setattr(database, "VERSION", "0001")
        patch.setattr(database, "_upgrade", lambda engine: upgrade(engine, "0001"))
        database.open_database(url).dispose()
    with first.begin() as connection:
        connection.execute(
            sa.text(
                "insert into stubs (stubref, state, data, attachments, created, updated) "
                "values ('2026-01-01-AAAA-AAAA', 'new', '{\"a\": 1}', '[]', 1, 1)"
            )
        )
        key = connection.scalar(sa.text("select value from facts where name = 'signing_key'"))
    first.dispose()
    engine = opened(url)
    assert database.version(engine) == database.VERSION
    with database.reading(engine) as connection:
        assert connection.scalar(sa.select(database.stubs.c.data)) == {"a": 1}
        facts = sa.select(database.facts.c.value).where(database.facts.c.name == "signing_key")
        assert connection.scalar(facts) == key


def test_tasks_of_before_webhooks_have_none_and_keep_all_else(url, monkeypatch, opened):
    second = sa.create_engine(url)
    with monkeypatch.context() as patch:
        patch.setattr(database, "VERSION", "0002")
        patch.setattr(database, "_upgrade", lambda engine: upgrade(engine, "0002"))
        database.open_database(url).dispose()
    with second.begin() as connection:
        connection.execute(sa.text("delete from facts where name = 'webhook_secret'"))
        connection.execute(
            sa.text(
                "insert into tasks (taskuuid, name, tasktype, taskapigatewayuuid, gateway, params, "
                "warnings, priority, state, attempts, created) values ('a', 'logo', "
                "'generate_image', 'b', 'built-in', '{\"prompt\": \"x\"}', '[]', 100, 'queued', 1, 1)"
            )
        )
    second.dispose()
    engine = opened(url)
    with database.reading(engine) as connection:
        row = ledger.task_row(connection, "a", owner=None)
        assert (row.name, row.params, row.webhook) == ("logo", {"prompt": "x"}, None)
        assert ledger.task_record(row).webhook is None
        secret = ledger.fact(connection, database.WEBHOOK_SECRET)
    assert len(signatures.key_of(secret)) == 32


def test_tasks_of_before_chains_and_caches_are_those_of_their_gateway(url, monkeypatch, opened):
    third = sa.create_engine(url)
    with monkeypatch.context() as patch:
        patch.setattr(database, "VERSION", "0003")
        patch.setattr(database, "_upgrade", lambda engine: upgrade(engine, "0003"))
        database.open_database(url).dispose()
    with third.begin() as connection:
        connection.execute(
            sa.text(
                "insert into tasks (taskuuid, name, tasktype, taskapigatewayuuid, gateway, params, "
                "warnings, priority, state, attempts, created, seed) values ('a', 'logo', "
                "'generate_image', 'b', 'house', '{\"prompt\": \"x\"}', '[]', 100, 'queued', 2, 1, 7)"
            )
        )
    third.dispose()
    engine = opened(url)
    with database.writing(engine) as connection:
        row = ledger.task_row(connection, "a", owner=None)
        assert (row.gateway, row.first_gateway, row.attempts_before) == ("house", None, 0)
        assert (row.cache, row.cache_key, row.seed, row.params) == (True, None, 7, {"prompt": "x"})
        again = ledger.retry_task(
            connection, "a", attempt=2, started=1, gateway="spare", first_gateway="house"
        )
        assert (again.gateway, again.attempts) == ("spare", 3)
        assert ledger.task_record(again).first_gateway == "house"


def upgrade(engine, revision):
    config = Config()
    config.set_main_option("script_location", str(database.MIGRATIONS))
    config.attributes["engine"] = engine
    command.upgrade(config, revision)


def test_many_may_open_a_new_database_at_once(url):
    with ThreadPoolExecutor(6) as pool:
        engines = list(pool.map(lambda n: database.open_database(url), range(6)))
    with database.reading(engines[0]) as connection:
        facts = connection.scalars(sa.select(database.facts.c.name)).all()
    assert sorted(facts) == ["dbos", "signing_key", "webhook_secret"]
    for engine in engines:
        engine.dispose()


def test_a_database_of_a_later_version_is_refused(url, opened):
    engine = opened(url)
    with engine.begin() as connection:
        connection.execute(sa.text("update alembic_version set version_num = '9999'"))
    with pytest.raises(DatabaseUnavailable, match="of version 9999"):
        database.open_database(url)


def test_a_transaction_that_fails_leaves_nothing(url, opened):
    engine = opened(url)
    with pytest.raises(ZeroDivisionError), database.writing(engine) as connection:
        connection.execute(database.facts.insert().values(name="a", value="b"))
        raise ZeroDivisionError
    with database.reading(engine) as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(database.facts)) == 3


def test_what_is_no_database_is_refused(tmp_path):
    path = tmp_path / "gouache.sqlite"
    path.write_text("nothing of the kind" * 100)
    with pytest.raises(DatabaseUnavailable, match="damaged or none"):
        database.open_database(f"sqlite:///{path}")


def test_a_folder_that_cannot_be_made_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be made"):
        database.open_database(f"sqlite:///{tmp_path / 'file' / 'data' / 'gouache.sqlite'}")


def test_a_server_that_does_not_answer_is_said(tmp_path):
    with pytest.raises(DatabaseUnavailable, match="cannot be used") as refused:
        database.open_database(f"postgresql+psycopg://ada:secret@/x?host={tmp_path}")
    assert refused.value.retryable
    assert "secret" not in refused.value.message


def test_sqlite_keeps_its_rollback_journal_where_its_wal_is_not_safe(tmp_path, opened):
    engine = opened(f"sqlite:///{tmp_path / 'gouache.sqlite'}")
    with engine.connect() as connection:
        mode = connection.exec_driver_sql("pragma journal_mode").scalar()
        assert connection.exec_driver_sql("pragma synchronous").scalar() == 2

    safe = sqlite3.sqlite_version_info >= (3, 51, 3)
    assert mode == ("wal" if safe else "delete")
