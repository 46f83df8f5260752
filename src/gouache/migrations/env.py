"""Alembic's entry: brings the database it is handed to the newest version."""

from alembic import context

from gouache.database import metadata

with context.config.attributes["engine"].begin() as connection:
    if connection.dialect.name == "sqlite":  # Python begins no transaction for a CREATE TABLE
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    context.configure(
        connection=connection,
        target_metadata=metadata,
        transactional_ddl=True,
        render_as_batch=connection.dialect.name == "sqlite",
    )
    with context.begin_transaction():
        context.run_migrations()
