"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the first tables."""
    _make_what_is_shared()
    _make_stubs()
    _make_tasks()
    _make_files()


def _make_what_is_shared() -> None:
    op.create_table(
        "facts",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("value", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_facts")),
    )
    op.create_table(
        "idempotency_keys",
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.Column("target", sa.String(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_idempotency_keys")),
    )


def _make_stubs() -> None:
    op.create_table(
        "stubs",
        sa.Column("number", number, autoincrement=True, nullable=False),
        sa.Column("stubref", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("attachments", sa.JSON(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("updated", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_stubs")),
        sa.UniqueConstraint("stubref", name=op.f("uq_stubs_stubref")),
    )
    op.create_index(op.f("ix_stubs_state"), "stubs", ["state"], unique=False)
    op.create_table(
        "stubposts",
        sa.Column("number", number, autoincrement=True, nullable=False),
        sa.Column("stubpostuuid", sa.String(), nullable=False),
        sa.Column("stubref", sa.String(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("attachments", sa.JSON(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("response_to", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["stubref"], ["stubs.stubref"], name=op.f("fk_stubposts_stubref")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_stubposts")),
        sa.UniqueConstraint("response_to", name=op.f("uq_stubposts_response_to")),
        sa.UniqueConstraint("stubpostuuid", name=op.f("uq_stubposts_stubpostuuid")),
    )
    op.create_index(op.f("ix_stubposts_stubref"), "stubposts", ["stubref"], unique=False)


def _make_tasks() -> None:
    op.create_table(
        "tasks",
        sa.Column("number", number, autoincrement=True, nullable=False),
        sa.Column("taskuuid", sa.String(), nullable=False),
        sa.Column("stubref", sa.String(), nullable=True),
        sa.Column("stubpostuuid", sa.String(), nullable=True),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("tasktype", sa.String(), nullable=False),
        sa.Column("taskapigatewayuuid", sa.String(), nullable=False),
        sa.Column("gateway", sa.String(), nullable=False),
        sa.Column("params", sa.JSON(), nullable=False),
        sa.Column("warnings", sa.JSON(), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=True),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("started", sa.BigInteger(), nullable=True),
        sa.Column("ended", sa.BigInteger(), nullable=True),
        sa.Column("result", sa.JSON(), nullable=True),
        sa.ForeignKeyConstraint(
            ["stubpostuuid"], ["stubposts.stubpostuuid"], name=op.f("fk_tasks_stubpostuuid")
        ),
        sa.ForeignKeyConstraint(["stubref"], ["stubs.stubref"], name=op.f("fk_tasks_stubref")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_tasks")),
        sa.UniqueConstraint("taskuuid", name=op.f("uq_tasks_taskuuid")),
    )
    op.create_index(op.f("ix_tasks_ended"), "tasks", ["ended"], unique=False)
    op.create_index(op.f("ix_tasks_state"), "tasks", ["state"], unique=False)
    op.create_index(op.f("ix_tasks_stubpostuuid"), "tasks", ["stubpostuuid"], unique=False)
    op.create_index(op.f("ix_tasks_stubref"), "tasks", ["stubref"], unique=False)


def _make_files() -> None:
    op.create_table(
        "files",
        sa.Column("number", number, autoincrement=True, nullable=False),
        sa.Column("fileuuid", sa.String(), nullable=False),
        sa.Column("taskuuid", sa.String(), nullable=False),
        sa.Column("filename", sa.String(), nullable=False),
        sa.Column("originalname", sa.String(), nullable=False),
        sa.Column("content_type", sa.String(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("stored", sa.String(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("deleted", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["taskuuid"], ["tasks.taskuuid"], name=op.f("fk_files_taskuuid")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_files")),
        sa.UniqueConstraint("fileuuid", name=op.f("uq_files_fileuuid")),
    )
    op.create_index(op.f("ix_files_taskuuid"), "files", ["taskuuid"], unique=False)
