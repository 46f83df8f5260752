"""Which gateways a task went through, and by which key its picture is found again."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the columns; the tasks there are were drawn by the gateway they asked for."""
    op.add_column("tasks", sa.Column("first_gateway", sa.String(), nullable=True))
    op.add_column(
        "tasks",
        sa.Column("attempts_before", sa.Integer(), server_default=sa.text("0"), nullable=False),
    )
    op.add_column(
        "tasks", sa.Column("cache", sa.Boolean(), server_default=sa.true(), nullable=False)
    )
    op.add_column("tasks", sa.Column("cache_key", sa.String(), nullable=True))
    op.create_index(
        op.f("ix_tasks_cache_key"),
        "tasks",
        ["cache_key"],
        postgresql_where=sa.text("cache_key IS NOT NULL"),
        sqlite_where=sa.text("cache_key IS NOT NULL"),
    )
