"""Conditions of tasks, and their params with everything put in."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add both to the tasks."""
    op.add_column("tasks", sa.Column("conditions", sa.JSON(none_as_null=True), nullable=True))
    op.add_column("tasks", sa.Column("resolved", sa.JSON(none_as_null=True), nullable=True))
