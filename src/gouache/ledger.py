"""What is written down: rows in, records out.

Each function works inside the transaction of its caller, on the connection it is given; what must
happen together is put together by whoever begins the transaction. Where a function takes an `owner`,
it finds only what is that owner's; None finds all. A task ends by one compare-and-set on its state,
so it ends once, whoever tries (`test_a_task_that_two_workers_finish_ends_once`).
"""

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from gouache.contract import FileObject, Result
from gouache.database import deliveries, facts, stubposts, stubs, tasks
from gouache.errors import StubNotFound
from gouache.paging import page
from gouache.records import ENDED, Page, Stub, Stubpost, TaskRecord, TaskState, Webhook, result

Row = sa.Row[Any]

# What every task needs is put together once: to build a statement costs as much as to run it.
_INSERT_TASK = tasks.insert().returning(tasks)
_DELIVERY = [
    column.label(f"delivery_{column.name}")
    for column in deliveries.columns
    if column.name not in ("number", "taskuuid")
]
_TASKS = sa.select(tasks, *_DELIVERY).select_from(tasks.outerjoin(deliveries))
_TASK = _TASKS.where(tasks.c.taskuuid == sa.bindparam("uuid"))
_OWN_TASK = _TASK.where(tasks.c.owner == sa.bindparam("whose"))
_END_TASK = (
    tasks.update()
    .where(tasks.c.taskuuid == sa.bindparam("uuid"), tasks.c.state.not_in(ENDED))
    .values(
        state=sa.bindparam("end_state"),
        result=sa.bindparam("end_result"),
        ended=sa.bindparam("end_time"),
        started=sa.func.coalesce(tasks.c.started, sa.bindparam("begin_time")),
    )
)

_OF_TASK = [name for name in TaskRecord.model_fields if name in tasks.c]


def now() -> int:
    """Return the time as the tables keep it: whole milliseconds since 1970, UTC."""
    return time.time_ns() // 1_000_000


def as_text(milliseconds: int) -> str:
    """Return a time as records show it: ISO 8601 with milliseconds, in UTC."""
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def insert_stub(
    connection: sa.Connection,
    stubref: str,
    *,
    owner: str | None,
    state: str,
    data: Mapping[str, Any],
    attachments: Sequence[FileObject],
) -> None:
    """Write down a new stub."""
    moment = now()
    connection.execute(
        stubs.insert().values(
            stubref=stubref,
            owner=owner,
            state=state,
            data=data,
            attachments=[file.model_dump() for file in attachments],
            created=moment,
            updated=moment,
        )
    )


def lock_stub(connection: sa.Connection, stubref: str, *, owner: str | None) -> str | None:
    """Keep others from writing on the stub until the transaction ends; return whose it is.

    Raises:
        StubNotFound: there is none.
    """
    query = sa.select(stubs.c.owner).where(stubs.c.stubref == stubref).with_for_update()
    row = connection.execute(_own(query, stubs, owner)).one_or_none()
    if row is None:
        raise _no_stub(stubref)
    whose: str | None = row.owner
    return whose


def insert_stubpost(
    connection: sa.Connection,
    stubref: str,
    stubpostuuid: str,
    *,
    action: str,
    message: str,
    data: Mapping[str, Any],
    attachments: Sequence[FileObject],
    response_to: str | None = None,
) -> None:
    """Write down a new stubpost; its stub is changed by that.

    `response_to` is the task whose picture it shows; there is one such stubpost for a task.
    """
    moment = now()
    connection.execute(
        stubposts.insert().values(
            stubpostuuid=stubpostuuid,
            stubref=stubref,
            action=action,
            message=message,
            data=data,
            attachments=[file.model_dump() for file in attachments],
            created=moment,
            response_to=response_to,
        )
    )
    connection.execute(stubs.update().where(stubs.c.stubref == stubref).values(updated=moment))


def has_stub(connection: sa.Connection, stubref: str) -> bool:
    """Whether there is such a stub, whoever's it is."""
    query = sa.select(stubs.c.number).where(stubs.c.stubref == stubref)
    return connection.scalar(query) is not None


def stub(connection: sa.Connection, stubref: str, *, owner: str | None) -> Stub:
    """Return a stub without its stubposts.

    Raises:
        StubNotFound: there is none.
    """
    query = _own(sa.select(stubs).where(stubs.c.stubref == stubref), stubs, owner)
    row = connection.execute(query).one_or_none()
    if row is None:
        raise _no_stub(stubref)
    return _stub(row)


def change_stub(
    connection: sa.Connection,
    stubref: str,
    *,
    data: Mapping[str, Any],
    attachments: Sequence[Mapping[str, Any]],
) -> None:
    """Write down other data and attachments of a stub."""
    values = {"data": data, "attachments": list(attachments), "updated": now()}
    connection.execute(stubs.update().where(stubs.c.stubref == stubref).values(values))


def stub_page(
    connection: sa.Connection,
    *,
    owner: str | None,
    state: str | None,
    limit: int,
    after: str | None,
) -> Page[Stub]:
    """Return stubs without their stubposts, newest first."""
    query = _own(sa.select(stubs), stubs, owner)
    if state is not None:
        query = query.where(stubs.c.state == state)
    rows, following = page(connection, query, stubs, limit, after)
    return Page[Stub](items=[_stub(row) for row in rows], next=following)


def stubpost_rows(connection: sa.Connection, stubref: str) -> Sequence[Row]:
    """Return the rows of a stub's stubposts, oldest first."""
    query = sa.select(stubposts).where(stubposts.c.stubref == stubref)
    return connection.execute(query.order_by(stubposts.c.number)).all()


def stubpost_row(connection: sa.Connection, stubref: str, stubpostuuid: str) -> Row | None:
    """Return the row of one stubpost of a stub."""
    query = sa.select(stubposts).where(
        stubposts.c.stubref == stubref, stubposts.c.stubpostuuid == stubpostuuid
    )
    return connection.execute(query).one_or_none()


def stubpost_row_page(
    connection: sa.Connection, stubref: str, *, limit: int, after: str | None
) -> tuple[Sequence[Row], str | None]:
    """Return rows of a stub's stubposts, newest first, and where they go on."""
    query = sa.select(stubposts).where(stubposts.c.stubref == stubref)
    return page(connection, query, stubposts, limit, after)


def stubpost_record(row: Row, records: Sequence[TaskRecord]) -> Stubpost:
    """Return a stubpost with those of the tasks that are its own, in their order.

    The data of a stubpost that shows a picture is the result of its task.
    """
    shown = next((r for r in records if r.taskuuid == row.response_to), None)
    return Stubpost(
        stubpostuuid=row.stubpostuuid,
        stubref=row.stubref,
        action=row.action,
        message=row.message,
        data=result(shown).as_json() if shown else row.data,
        attachments=row.attachments,
        tasks={r.name: r for r in records if r.stubpostuuid == row.stubpostuuid},
        created=as_text(row.created),
        response_to=row.response_to,
    )


def insert_task(connection: sa.Connection, **values: Any) -> Row:
    """Write down a new task, with the columns that are not about its end; return its row."""
    return connection.execute(_INSERT_TASK, {"attempts": 1, "created": now(), **values}).one()


def task_row(connection: sa.Connection, taskuuid: str, *, owner: str | None) -> Row | None:
    """Return the row of a task."""
    if owner is None:
        return connection.execute(_TASK, {"uuid": taskuuid}).one_or_none()
    return connection.execute(_OWN_TASK, {"uuid": taskuuid, "whose": owner}).one_or_none()


def task_rows(
    connection: sa.Connection,
    *,
    stubposts_of: Sequence[str] | None = None,
    taskuuids: Sequence[str] | None = None,
) -> Sequence[Row]:
    """Return the rows of all tasks of some stubposts, or of some tasks, oldest first."""
    query = _TASKS
    if stubposts_of is not None:
        query = query.where(tasks.c.stubpostuuid.in_(stubposts_of))
    if taskuuids is not None:
        query = query.where(tasks.c.taskuuid.in_(taskuuids))
    return connection.execute(query.order_by(tasks.c.number)).all()


def task_row_page(
    connection: sa.Connection,
    *,
    owner: str | None,
    state: TaskState | None,
    running: Sequence[str],
    stubref: str | None,
    single: bool,
    limit: int,
    after: str | None,
) -> tuple[Sequence[Row], str | None]:
    """Return rows of tasks, newest first, and where they go on; `running` are the tasks that run.

    The tables do not know which of the queued tasks are running: that would be wrong as soon as
    their worker dies.
    """
    query = _own(_TASKS, tasks, owner)
    if state in ("queued", "running"):
        chosen = tasks.c.taskuuid.in_(running)
        query = query.where(
            tasks.c.state == "queued", chosen if state == "running" else sa.not_(chosen)
        )
    elif state is not None:
        query = query.where(tasks.c.state == state)
    if stubref is not None:
        query = query.where(tasks.c.stubref == stubref)
    if single:
        query = query.where(tasks.c.stubref.is_(None))
    return page(connection, query, tasks, limit, after)


def task_record(row: Row, *, started: int | None = None) -> TaskRecord:
    """Return a task; `started` is when the running try began, None where none is running."""
    state = "running" if row.state == "queued" and started is not None else row.state
    begun = row.started or started
    values = {name: getattr(row, name) for name in _OF_TASK}
    values |= {
        "conditions": row.conditions or [],
        "state": state,
        "created": as_text(row.created),
        "started": as_text(begun) if begun else None,
        "ended": as_text(row.ended) if row.ended else None,
        "webhook": _webhook(row) if row.webhook else None,
    }
    return TaskRecord.model_validate(values | (row.result or {}))


def _webhook(row: Row) -> Webhook:
    """Return what came of the message about a task; a row that was just written has none yet."""
    columns = {f"delivery_{name}": name for name in Webhook.model_fields}
    known = {columns[n]: v for n, v in row._mapping.items() if n in columns and v is not None}
    if "delivered" in known:
        known["delivered"] = as_text(known["delivered"])
    return Webhook(**{"url": row.webhook, "state": "waiting"} | known)


def end_task(
    connection: sa.Connection,
    taskuuid: str,
    state: TaskState,
    end: Result,
    *,
    started: int | None,
) -> bool:
    """Write down how a task ended; False where it had ended before, and nothing is changed."""
    values = {
        "uuid": taskuuid,
        "end_state": state,
        "end_result": end.as_json(),
        "end_time": now(),
        "begin_time": started,
    }
    return connection.execute(_END_TASK, values).rowcount == 1


def resolve_task(
    connection: sa.Connection, taskuuid: str, *, params: dict[str, Any], **values: Any
) -> Row:
    """Write down the params of a task with everything put in, once; return its row.

    `values` are other columns that follow from them.
    """
    query = tasks.update().where(tasks.c.taskuuid == taskuuid, tasks.c.resolved.is_(sa.null()))
    connection.execute(query.values(resolved=params, **values))
    return connection.execute(sa.select(tasks).where(tasks.c.taskuuid == taskuuid)).one()


def retry_task(
    connection: sa.Connection, taskuuid: str, *, attempt: int, started: int, **values: Any
) -> Row | None:
    """Write down that a try failed and another follows; None where this was done before.

    `values` are other columns that change for it.
    """
    query = tasks.update().where(
        tasks.c.taskuuid == taskuuid, tasks.c.state == "queued", tasks.c.attempts == attempt
    )
    values |= {"attempts": attempt + 1, "started": sa.func.coalesce(tasks.c.started, started)}
    return connection.execute(query.values(values).returning(tasks)).one_or_none()


def queue_next(connection: sa.Connection, stubpostuuid: str) -> Row | None:
    """Queue the first waiting task of a stubpost, unless one is queued; return its row.

    The caller holds the lock of the stub (`lock_stub`), so that two ends do not queue two.
    """
    query = sa.select(tasks).where(
        tasks.c.stubpostuuid == stubpostuuid, tasks.c.state.not_in(ENDED)
    )
    row = connection.execute(query.order_by(tasks.c.number).limit(1)).one_or_none()
    if row is None or row.state != "waiting":
        return None
    connection.execute(tasks.update().where(tasks.c.number == row.number).values(state="queued"))
    return row


def fact(connection: sa.Connection, name: str) -> str:
    """Return what is stated under this name."""
    query = sa.select(facts.c.value).where(facts.c.name == name)
    return str(connection.execute(query).scalar_one())


def _own(query: sa.Select[Any], table: sa.Table, owner: str | None) -> sa.Select[Any]:
    return query if owner is None else query.where(table.c.owner == owner)


def _no_stub(stubref: str) -> StubNotFound:
    return StubNotFound(f"there is no stub {stubref}", param="stubref")


def _stub(row: Row) -> Stub:
    return Stub(
        stubref=row.stubref,
        state=row.state,
        data=row.data,
        attachments=row.attachments,
        created=as_text(row.created),
        updated=as_text(row.updated),
    )
