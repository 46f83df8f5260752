"""The tables, and the one way to open the database that holds them.

SQLite in one file or PostgreSQL, chosen by the URL only; DBOS keeps its own tables in the same
database, so that a row of ours and a queued workflow are written by one transaction. Times are whole
milliseconds since 1970, UTC.
"""

import importlib.metadata
import logging
import secrets
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
from filelock import FileLock
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import (
    DatabaseError,
    DBAPIError,
    DisconnectionError,
    InterfaceError,
    OperationalError,
)
from sqlalchemy.pool import ConnectionPoolEntry as PoolEntry

from gouache import signatures
from gouache.errors import DatabaseUnavailable, StorageError

VERSION = "0006"
"""The newest migration, in `migrations/versions`."""

MIGRATIONS = Path(__file__).parent / "migrations"
SAFE_WAL = (3, 51, 3)
"""SQLite before this can damage a database in WAL mode that several connections write
(sqlite.org/wal.html, "the WAL-reset bug"); its rollback journal is safe."""

SIGNING_KEY = "signing_key"
"""The fact that links to files are signed with."""

WEBHOOK_SECRET = "webhook_secret"
"""The fact that webhooks are signed with, unless a setting gives another."""

BUSY_SECONDS = 30
LOCK_SECONDS = 0.1
IDLE_SECONDS = 1.0
POOL_SIZE = 20
_MIGRATION_LOCK = 0x676F7561  # any number that is always the same

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)
_number = sa.BigInteger().with_variant(sa.Integer, "sqlite")  # SQLite numbers only INTEGER keys
_is_owned = sa.text("owner IS NOT NULL")


def _table(name: str, *columns: sa.schema.SchemaItem) -> sa.Table:
    """Return a table whose rows are numbered in the order they were written."""
    return sa.Table(
        name, metadata, sa.Column("number", _number, primary_key=True, autoincrement=True), *columns
    )


stubs = _table(
    "stubs",
    sa.Column("stubref", sa.String, nullable=False, unique=True),
    sa.Column("state", sa.String, nullable=False, index=True),
    sa.Column("data", sa.JSON, nullable=False),
    sa.Column("attachments", sa.JSON, nullable=False),
    sa.Column("created", sa.BigInteger, nullable=False),
    sa.Column("updated", sa.BigInteger, nullable=False),
    sa.Column("owner", sa.String),  # the name of the key it was made with; NULL for the house
    sa.Index(None, "owner", postgresql_where=_is_owned, sqlite_where=_is_owned),
)

stubposts = _table(
    "stubposts",
    sa.Column("stubpostuuid", sa.String, nullable=False, unique=True),
    sa.Column("stubref", sa.ForeignKey("stubs.stubref"), nullable=False, index=True),
    sa.Column("action", sa.String, nullable=False),
    sa.Column("message", sa.Text, nullable=False),
    sa.Column("data", sa.JSON, nullable=False),
    sa.Column("attachments", sa.JSON, nullable=False),
    sa.Column("created", sa.BigInteger, nullable=False),
    sa.Column("response_to", sa.String, unique=True),  # the task whose picture it shows
)

tasks = _table(
    "tasks",
    sa.Column("taskuuid", sa.String, nullable=False, unique=True),
    sa.Column("stubref", sa.ForeignKey("stubs.stubref"), index=True),
    sa.Column("stubpostuuid", sa.ForeignKey("stubposts.stubpostuuid"), index=True),
    sa.Column("name", sa.String, nullable=False),
    sa.Column("tasktype", sa.String, nullable=False),
    sa.Column("taskapigatewayuuid", sa.String, nullable=False),
    sa.Column("gateway", sa.String, nullable=False),
    sa.Column("params", sa.JSON, nullable=False),
    sa.Column("warnings", sa.JSON, nullable=False),
    sa.Column("seed", sa.BigInteger),
    sa.Column("priority", sa.Integer, nullable=False),
    sa.Column("state", sa.String, nullable=False, index=True),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("created", sa.BigInteger, nullable=False),
    sa.Column("started", sa.BigInteger),
    sa.Column("ended", sa.BigInteger, index=True),
    sa.Column("result", sa.JSON),
    sa.Column("conditions", sa.JSON(none_as_null=True)),
    sa.Column("resolved", sa.JSON(none_as_null=True)),  # the params with everything put in
    sa.Column("webhook", sa.String),
    sa.Column("first_gateway", sa.String),  # the one asked for, where another took over
    sa.Column("attempts_before", sa.Integer, nullable=False, server_default=sa.text("0")),
    sa.Column("cache", sa.Boolean, nullable=False, server_default=sa.true()),
    sa.Column("cache_key", sa.String),
    sa.Column("owner", sa.String),  # that of its stub, if it has one
    sa.Index(None, "owner", postgresql_where=_is_owned, sqlite_where=_is_owned),
    sa.Index(
        None,
        "cache_key",
        postgresql_where=sa.text("cache_key IS NOT NULL"),
        sqlite_where=sa.text("cache_key IS NOT NULL"),
    ),
)

deliveries = _table(
    "deliveries",
    sa.Column("taskuuid", sa.ForeignKey("tasks.taskuuid"), nullable=False, unique=True),
    sa.Column("state", sa.String, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("attempts_before", sa.Integer, nullable=False),  # it was last queued by hand
    sa.Column("status", sa.Integer),
    sa.Column("error", sa.String),
    sa.Column("delivered", sa.BigInteger),
)
"""The messages to the webhooks of ended tasks; a task that has not ended has none."""

expenses = _table(
    "expenses",
    sa.Column("taskuuid", sa.ForeignKey("tasks.taskuuid"), nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("gateway", sa.String, nullable=False),
    sa.Column("model", sa.String, nullable=False),
    sa.Column("sent", sa.BigInteger, nullable=False),
    sa.Column("most_micros", sa.BigInteger),
    sa.Column("cost_micros", sa.BigInteger),  # NULL while it is not known
    sa.Column("input_tokens", sa.BigInteger),
    sa.Column("output_tokens", sa.BigInteger),
    sa.Column("owner", sa.String),  # that of its task
    sa.UniqueConstraint("taskuuid", "attempt"),
    sa.Index(None, "gateway", "sent"),
    sa.Index(None, "owner", "sent", postgresql_where=_is_owned, sqlite_where=_is_owned),
)
"""What tries cost that were sent to engines that cost something, in micro-dollars."""

files = _table(
    "files",
    sa.Column("fileuuid", sa.String, nullable=False, unique=True),
    sa.Column("taskuuid", sa.ForeignKey("tasks.taskuuid"), nullable=False, index=True),
    sa.Column("filename", sa.String, nullable=False),
    sa.Column("originalname", sa.String, nullable=False),
    sa.Column("content_type", sa.String, nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("stored", sa.String, nullable=False),
    sa.Column("created", sa.BigInteger, nullable=False),
    sa.Column("deleted", sa.BigInteger),
)

idempotency_keys = sa.Table(
    "idempotency_keys",
    metadata,
    sa.Column("key", sa.String, primary_key=True),
    sa.Column("fingerprint", sa.String, nullable=False),
    sa.Column("target", sa.String, nullable=False),
    sa.Column("created", sa.BigInteger, nullable=False),
)

facts = sa.Table(
    "facts",
    metadata,
    sa.Column("name", sa.String, primary_key=True),
    sa.Column("value", sa.String, nullable=False),
)
"""What the programs on one database share: the keys to sign with, the version of DBOS's tables."""


def open_database(url: str) -> sa.Engine:
    """Return the engine of a database whose tables are there and of this version.

    Raises:
        DatabaseUnavailable: it cannot be reached, or is of a later version than this program.
        StorageError: the folder of the SQLite file cannot be made.
    """
    parsed = sa.make_url(url)
    if parsed.get_backend_name() == "sqlite":
        _make_folder(Path(parsed.database or ""))
        engine = sa.create_engine(
            url,
            pool_size=POOL_SIZE,
            max_overflow=POOL_SIZE,
            hide_parameters=True,  # prompts are nobody's business in a log
            connect_args={"timeout": BUSY_SECONDS},
        )
        sa.event.listen(engine, "connect", _prepare_sqlite)
    else:
        engine = sa.create_engine(
            url,
            pool_size=POOL_SIZE,
            max_overflow=POOL_SIZE,
            hide_parameters=True,
            connect_args={"connect_timeout": 10},
        )
        sa.event.listen(engine, "checkin", _note_the_time)
        sa.event.listen(engine, "checkout", _try_whether_it_lives)
    try:
        with database_errors():
            _migrate(engine)
    except BaseException:
        engine.dispose()
        raise
    return engine


@contextmanager
def writing(engine: sa.Engine) -> Iterator[sa.Connection]:
    """Yield a connection in a transaction that is committed at the end, or rolled back.

    On SQLite it holds the write lock from the start, so that what it reads stays true.

    Raises:
        DatabaseUnavailable: the database cannot be reached or stays locked.
    """
    with database_errors(), engine.begin() as connection:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        yield connection


@contextmanager
def reading(engine: sa.Engine) -> Iterator[sa.Connection]:
    """Yield a connection for reading.

    Raises:
        DatabaseUnavailable: as of `writing`.
    """
    with database_errors(), engine.connect() as connection:
        yield connection


@contextmanager
def database_errors() -> Iterator[None]:
    """Turn the errors of a database that is away, full or locked into ours."""
    try:
        yield
    except (OperationalError, InterfaceError) as error:
        raise DatabaseUnavailable(f"the database cannot be used: {_first_line(error)}") from error
    except DatabaseError as error:
        if type(error) is not DatabaseError:
            raise
        message = f"the database is damaged or none: {_first_line(error)}"
        raise DatabaseUnavailable(message) from error


def version(engine: sa.Engine) -> str | None:
    """Return the newest migration the database has had, or None where it has had none."""
    with reading(engine) as connection:
        if not sa.inspect(connection).has_table("alembic_version"):
            return None
        found: str | None = connection.scalar(sa.text("SELECT version_num FROM alembic_version"))
        return found


def _prepare_sqlite(connection: sqlite3.Connection, record: object) -> None:
    connection.isolation_level = "IMMEDIATE"  # a reader that turns writer would fail at once
    connection.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA synchronous = FULL")


def _note_the_time(connection: object, record: PoolEntry) -> None:
    record.info["used"] = time.monotonic()


def _try_whether_it_lives(connection: DBAPIConnection, record: PoolEntry, proxy: object) -> None:
    """Let the pool open another connection where this one broke while it lay idle.

    One that was used a moment ago is taken as it is: to ask each time is a fifth of all statements.
    """
    if time.monotonic() - record.info.get("used", 0) < IDLE_SECONDS:
        return
    try:
        cursor = connection.cursor()
        cursor.execute("SELECT 1")
        cursor.close()
        connection.rollback()
    except Exception as error:
        raise DisconnectionError from error


def _make_folder(path: Path) -> None:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"{path.parent} cannot be made: {error.strerror}") from error


def _migrate(engine: sa.Engine) -> None:
    """Bring the tables to this version; one program at a time, the others wait."""
    dbos_version = importlib.metadata.version("dbos")
    if _is_current(engine, dbos_version):
        return
    with _one_at_a_time(engine):
        if _is_current(engine, dbos_version):
            return
        found = version(engine)
        if found is not None and found > VERSION:
            raise DatabaseUnavailable(
                f"the database is of version {found}, this program of {VERSION}; install a newer one"
            )
        _migrate_dbos(engine)
        _upgrade(engine)
        with engine.begin() as connection:
            connection.execute(facts.delete().where(facts.c.name == "dbos"))
            connection.execute(facts.insert().values(name="dbos", value=dbos_version))
            known = connection.scalars(sa.select(facts.c.name)).all()
            made = {SIGNING_KEY: secrets.token_hex(32), WEBHOOK_SECRET: signatures.new_secret()}
            for name in made.keys() - set(known):
                connection.execute(facts.insert().values(name=name, value=made[name]))


def _is_current(engine: sa.Engine, dbos_version: str) -> bool:
    if version(engine) != VERSION:
        return False
    with reading(engine) as connection:
        found = connection.scalar(sa.select(facts.c.value).where(facts.c.name == "dbos"))
    return found == dbos_version


@contextmanager
def _one_at_a_time(engine: sa.Engine) -> Iterator[None]:
    if engine.dialect.name == "sqlite":
        path = Path(str(engine.url.database))
        with FileLock(path.with_suffix(".migrating"), timeout=BUSY_SECONDS):
            mode = "WAL" if sqlite3.sqlite_version_info >= SAFE_WAL else "DELETE"
            with engine.connect() as connection:
                connection.exec_driver_sql(f"PRAGMA journal_mode = {mode}")
            yield
        return
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        # Whoever waits for it inside a statement keeps DBOS's migrations from building an index.
        while not connection.scalar(sa.select(sa.func.pg_try_advisory_lock(_MIGRATION_LOCK))):
            time.sleep(LOCK_SECONDS)
        try:
            yield
        finally:
            connection.execute(sa.select(sa.func.pg_advisory_unlock(_MIGRATION_LOCK)))


def _migrate_dbos(engine: sa.Engine) -> None:
    from dbos import DBOS

    logging.getLogger("dbos").setLevel(logging.WARNING)
    url = engine.url.render_as_string(hide_password=False)
    DBOS.migrate(url.replace("postgresql+psycopg://", "postgresql://"))


def _upgrade(engine: sa.Engine) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["engine"] = engine
    command.upgrade(config, "head")


def _first_line(error: DBAPIError) -> str:
    lines = str(error.orig).strip().splitlines()
    return lines[0] if lines else type(error.orig).__name__
