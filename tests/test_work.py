"""What goes wrong between the parts: lost claims, given-up tries, files on their way, a lost owner."""

import os
import time
import uuid

import pytest
import sqlalchemy as sa
from dbos import DBOS

from gouache import durable, files, ledger, making, work
from gouache.contract import BUILT_IN_GATEWAY, read
from gouache.database import reading, writing
from gouache.errors import DatabaseUnavailable
from gouache.records import NewTask
from gouache.service import open_service
from gouache.settings import read_settings
from tests.postgres import MISSING, programs

GATEWAY = {"taskapigatewayuuid": BUILT_IN_GATEWAY, "engine": "fake", "retry_seconds": 0.1}
SECONDS = 30


@pytest.fixture(params=["sqlite", "postgresql"])
def service(request, tmp_path):
    """A service that does not run tasks yet."""
    if request.param == "postgresql" and programs() is None:
        pytest.skip(MISSING)
    url = "" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    settings = read_settings(
        gateways={"fake": GATEWAY}, data_dir=tmp_path, database_url=url, stop_seconds=0
    )
    with open_service(settings) as opened:
        yield opened


def submit(service, **params):
    given = {"tasktype": "generate_image", "params": {"prompt": "a cat", **params}}
    return service.submit(read(NewTask, given)).taskuuid


def until(true):
    end = time.monotonic() + SECONDS
    while not true():
        assert time.monotonic() < end, f"not so within {SECONDS} s"
        time.sleep(0.02)


def has_ended(service, taskuuid):
    return service.task(taskuuid).ended is not None


def set_try(service, taskuuid, attempt=1, **values):
    """Change DBOS's record of a try."""
    schema = "" if service._engine.dialect.name == "sqlite" else "dbos."
    assignments = ", ".join(f"{name} = :{name}" for name in values)
    statement = f"update {schema}workflow_status set {assignments} where workflow_uuid = :id"
    with writing(service._engine) as connection:
        done = connection.execute(
            sa.text(statement), values | {"id": durable.workflow_id(taskuuid, attempt)}
        )
        assert done.rowcount == 1


def test_a_try_that_was_claimed_and_never_begun_is_begun(service, monkeypatch):
    """The answer to a claim can be lost with the connection, and the claim stays."""
    monkeypatch.setattr(durable, "STRAY_SECONDS", 1)
    service.work.start()
    service._durable.submit, submit_try = held(service), service._durable.submit
    taskuuid = submit(service)
    service._durable.submit = submit_try
    until(lambda: has_ended(service, taskuuid))
    assert service.task(taskuuid).success


def held(service):
    """Return a `submit` whose tries are claimed by this process in the same transaction."""
    schema = "" if service._engine.dialect.name == "sqlite" else "dbos."
    statement = sa.text(
        f"update {schema}workflow_status set status = 'PENDING', owner_xid = 'lost', "
        "executor_id = :executor where workflow_uuid = :id"
    )
    submit_try = service._durable.submit

    def submit_and_claim(connection, taskuuid, *, attempt, **options):
        submit_try(connection, taskuuid, attempt=attempt, **options)
        found = {"id": durable.workflow_id(taskuuid, attempt), "executor": DBOS.executor_id}
        connection.execute(statement, found)

    return submit_and_claim


def test_a_try_in_other_hands_stops_and_does_not_fail_its_task(service):
    service.work.start()
    taskuuid = submit(service, model="fake-slow", quality="hd")
    until(lambda: service.task(taskuuid).state == "running")
    time.sleep(0.3)
    set_try(service, taskuuid, owner_xid="another", executor_id="another")
    until(lambda: not service._durable._begun)
    assert service.task(taskuuid).ended is None


def test_a_try_that_was_given_up_ends_its_task(service):
    taskuuid = submit(service)
    set_try(service, taskuuid, status="MAX_RECOVERY_ATTEMPTS_EXCEEDED")
    service.work.settle()
    assert service.task(taskuuid).error.code == "task_gave_up"


def test_a_try_that_the_database_failed_under_is_followed_by_the_next(service):
    taskuuid = submit(service)
    set_try(service, taskuuid, status="ERROR")
    service.work.settle()
    assert (service.task(taskuuid).state, service.task(taskuuid).attempts) == ("queued", 2)
    service.work.start()
    until(lambda: has_ended(service, taskuuid))
    assert service.task(taskuuid).success


def test_a_drawing_goes_on_where_its_progress_cannot_be_written(service, monkeypatch):
    def away(key, value):
        raise sa.exc.OperationalError("insert", {}, Exception("the database is away"))

    monkeypatch.setattr(DBOS, "write_stream", away)
    service.work.start()
    taskuuid = submit(service, model="fake-slow")
    until(lambda: has_ended(service, taskuuid))
    assert service.task(taskuuid).success


def test_a_task_is_prepared_when_the_database_is_back(service, monkeypatch):
    def away_at_first(row):
        calls.append(row)
        if len(calls) < 3:
            raise DatabaseUnavailable("the database is away")
        return resolved(row)

    calls, resolved = [], service._stubs._preparing.resolved
    monkeypatch.setattr(service._stubs._preparing, "resolved", away_at_first)
    service.work.start()
    taskuuid = submit(service)
    until(lambda: has_ended(service, taskuuid))
    assert service.task(taskuuid).success
    assert service.task(taskuuid).attempts == 1


def test_an_earlier_try_that_was_given_up_does_not_end_the_task(service):
    taskuuid = submit(service)
    with writing(service._engine) as connection:
        ledger.retry_task(connection, taskuuid, attempt=1, started=ledger.now())
        service._stubs.queue(connection, ledger.task_row(connection, taskuuid, owner=None))
    set_try(service, taskuuid, status="MAX_RECOVERY_ATTEMPTS_EXCEEDED")
    service.work.settle()
    assert service.task(taskuuid).state == "queued"


def test_a_file_whose_task_has_not_ended_is_no_orphan(service):
    """A kill left the file; the task, begun again, is about to use it."""
    taskuuid = submit(service)
    left = making.fileuuid_of(taskuuid) + "-" + 16 * "0"
    other = making.fileuuid_of(str(uuid.uuid4())) + "-" + 16 * "0"
    for stored in (left, other):
        service._files.put(stored, b"picture")
        moment = time.time() - 2 * work.ORPHAN_SECONDS
        os.utime(service._files.path(stored), (moment, moment))
    assert [path.name for path in service.work.sweep()] == [other]
    service.cancel(taskuuid)
    assert [path.name for path in service.work.sweep()] == [left]


def test_a_cancel_holds_where_the_try_cannot_be_stopped(service, monkeypatch):
    def away(workflow):
        raise sa.exc.OperationalError("update", {}, Exception("the database is away"))

    taskuuid = submit(service)
    monkeypatch.setattr(service._durable._client, "cancel_workflow", away)
    with pytest.raises(DatabaseUnavailable):
        service._durable.cancel(taskuuid, 1)
    assert service.cancel(taskuuid).state == "cancelled"
    service.work.start()
    until(lambda: not service._durable.running())
    with reading(service._engine) as connection:
        assert files.file_rows(connection) == []
