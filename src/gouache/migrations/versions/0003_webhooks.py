"""Webhooks of tasks, and the messages that are sent to them."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add where the end of a task is told to, and a table of what came of that."""
    op.add_column("tasks", sa.Column("webhook", sa.String(), nullable=True))
    op.create_table(
        "deliveries",
        sa.Column("number", number, autoincrement=True, nullable=False),
        sa.Column("taskuuid", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("attempts_before", sa.Integer(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("error", sa.String(), nullable=True),
        sa.Column("delivered", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["taskuuid"], ["tasks.taskuuid"], name=op.f("fk_deliveries_taskuuid")
        ),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_deliveries")),
        sa.UniqueConstraint("taskuuid", name=op.f("uq_deliveries_taskuuid")),
    )
