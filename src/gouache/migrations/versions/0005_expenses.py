"""What tries cost."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the table; what earlier tries cost is not known."""
    op.create_table(
        "expenses",
        sa.Column("number", number, autoincrement=True, nullable=False),
        sa.Column("taskuuid", sa.String(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("gateway", sa.String(), nullable=False),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("sent", sa.BigInteger(), nullable=False),
        sa.Column("most_micros", sa.BigInteger(), nullable=True),
        sa.Column("cost_micros", sa.BigInteger(), nullable=True),
        sa.Column("input_tokens", sa.BigInteger(), nullable=True),
        sa.Column("output_tokens", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["taskuuid"], ["tasks.taskuuid"], name=op.f("fk_expenses_taskuuid")
        ),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_expenses")),
        sa.UniqueConstraint("taskuuid", "attempt", name=op.f("uq_expenses_taskuuid_attempt")),
    )
    op.create_index(op.f("ix_expenses_gateway_sent"), "expenses", ["gateway", "sent"])
