"""Whose stubs, tasks and expenses are."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

OWNED = {"stubs": ["owner"], "tasks": ["owner"], "expenses": ["owner", "sent"]}


def upgrade() -> None:
    """Add the columns; what there is belongs to the house."""
    is_owned = sa.text("owner IS NOT NULL")
    for table, indexed in OWNED.items():
        op.add_column(table, sa.Column("owner", sa.String(), nullable=True))
        op.create_index(
            op.f(f"ix_{table}_{'_'.join(indexed)}"),
            table,
            indexed,
            postgresql_where=is_owned,
            sqlite_where=is_owned,
        )
