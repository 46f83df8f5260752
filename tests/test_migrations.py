"""Migrations that are cut off: what was begun is undone, and the next program begins anew."""

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from gouache import database, ledger
from gouache.database import MIGRATIONS, open_database, reading
from gouache.errors import StubNotFound
from tests.postgres import MISSING, programs


class CutOff(BaseException):
    """What ends a program in the middle; a kill, as far as the database can tell."""


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'gouache.sqlite'}"
    if programs() is None:
        pytest.skip(MISSING)
    given = request.getfixturevalue("postgres_url")
    return given.replace("postgresql://", "postgresql+psycopg://")


@pytest.mark.parametrize("table", ["stubs", "tasks", "files", "deliveries"])
def test_migrations_that_are_cut_off_can_be_begun_anew(url, table):
    def cut_off(connection, cursor, statement, *rest):
        if f"CREATE TABLE {table} " in statement.replace("\n", " "):
            raise CutOff

    sa.event.listen(sa.Engine, "before_cursor_execute", cut_off)
    try:
        with pytest.raises(CutOff):
            open_database(url)
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", cut_off)
    engine = open_database(url)
    with reading(engine) as connection:
        tables = set(sa.inspect(connection).get_table_names())
    assert set(database.metadata.tables) <= tables
    engine.dispose()


def test_what_was_made_before_there_were_owners_belongs_to_the_house(url):
    earlier = sa.create_engine(url)
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["engine"] = earlier
    command.upgrade(config, "0005")
    with earlier.begin() as connection:
        connection.execute(
            sa.text(
                "INSERT INTO stubs (stubref, state, data, attachments, created, updated) "
                "VALUES ('2026-11-24-MADE-0001', 'new', '{}', '[]', 1, 1)"
            )
        )
    earlier.dispose()
    engine = open_database(url)
    with reading(engine) as connection:
        assert ledger.stub(connection, "2026-11-24-MADE-0001", owner=None).state == "new"
        with pytest.raises(StubNotFound):
            ledger.stub(connection, "2026-11-24-MADE-0001", owner="ada")
    engine.dispose()
