"""Alembic's entry: brings the database it is handed to the newest version."""

from alembic import context

from gouache.database import metadata

with context.config.attributes["engine"].begin() as connection:
    context.configure(
        connection=connection,
        target_metadata=metadata,
        render_as_batch=connection.dialect.name == "sqlite",
    )
    with context.begin_transaction():
        context.run_migrations()
