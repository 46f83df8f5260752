"""Conditions and templates of tasks that run on a stub: judged and resolved once."""

import asyncio
import time

import pytest

from gouache import ledger
from gouache.contract import read
from gouache.database import reading
from gouache.errors import RequestError
from gouache.records import NewStub, NewStubpost, NewTask
from gouache.service import open_service
from gouache.settings import read_settings


@pytest.fixture(params=["sqlite", "postgresql"])
def service(request, tmp_path):
    url = "" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    settings = read_settings(
        engine="fake",
        data_dir=tmp_path / "data",
        database_url=url,
        stop_seconds=0,
        org={"name": "Acme"},
    )
    with open_service(settings) as service:
        yield service


def on_stub(service, data=None, /, *, start=True, **tasks):
    """Run tasks on a stub; return their records by name, and the stub."""
    data = {"name": "Ada", "mail": "ada@example.org"} if data is None else data
    stub = service.create_stub(NewStub(data=data))
    given = {name: {"tasktype": "generate_image"} | task for name, task in tasks.items()}
    new = read(NewStubpost, {"data": {"vip": True}, "tasks": given})
    records = service.add_stubpost(stub.stubref, new).tasks
    if start:
        service.work.start()
        assert asyncio.run(service.wait([r.taskuuid for r in records.values()], 60))
    return {name: service.task(r.taskuuid) for name, r in records.items()}, stub


def drawn(prompt, **fields):
    return {"params": {"prompt": prompt} | fields}


def test_templates_read_the_stub_the_stubpost_and_the_settings(service):
    prompt = "{{stub.data.name}} of {{org.name}}, {{stubpost.data.vip}}, {{stub.stubref}}"
    tasks, stub = on_stub(service, a=drawn(prompt))
    request = tasks["a"].payload.request
    assert request["prompt"] == f"Ada of Acme, true, {stub.stubref}"
    assert tasks["a"].params == {"prompt": prompt}, "the record shows what was handed in"


def test_a_template_keeps_the_type_of_its_value(service):
    data = {"size": "1024x1792", "quiet": True, "seed": 7}
    fields = {
        "size": "~~stub.data.size",
        "disable_model_response": "~~stub.data.quiet",
        "seed": "~~#jsonata#(stub.data.seed + 1)",
    }
    tasks, stub = on_stub(service, data, a=drawn("a cat", **fields))
    assert tasks["a"].payload.request["size"] == "1024x1792"
    assert tasks["a"].payload.response.seed == 8
    assert len(service.stub(stub.stubref).stubposts) == 1


def test_a_task_reads_the_results_of_those_before_it(service):
    tasks, _ = on_stub(
        service,
        first=drawn("a cat"),
        second=drawn("~~stubpost.tasks.first.payload.image.filename"),
    )
    filename = tasks["first"].payload.image.filename
    assert tasks["second"].payload.request["prompt"] == filename


def test_a_task_whose_condition_does_not_hold_is_skipped(service):
    tasks, stub = on_stub(
        service,
        bad=drawn("a cat", model="fake-refusing"),
        no={"conditions": ["true", "stubpost.tasks.bad.success"], **drawn("{{stub.data.name}}")},
        yes={"conditions": ["stubpost.tasks.no.skipped != ''"], **drawn("a dog")},
    )
    assert [task.state for task in tasks.values()] == ["failed", "skipped", "succeeded"]
    no = tasks["no"]
    assert (no.success, no.error, no.skipped) == (False, None, "stubpost.tasks.bad.success")
    assert no.payload.request["prompt"] == "{{stub.data.name}}"
    shown = [post.response_to for post in service.stub(stub.stubref).stubposts]
    assert shown == [None, tasks["yes"].taskuuid]


def test_values_put_in_are_never_templates(service):
    tasks, _ = on_stub(
        service,
        {"name": "{{org.name}} ~~org.name", "org": "{{org}}"},
        a=drawn("{{stub.data.name}}"),
    )
    assert tasks["a"].payload.request["prompt"] == "{{org.name}} ~~org.name"


def test_what_a_template_gives_is_checked_as_if_it_was_written_there(service):
    tasks, _ = on_stub(
        service,
        missing=drawn("{{stub.data.nme}}"),
        size=drawn("x", size="~~stub.data.name"),
        model=drawn("x", model="~~stub.data.name"),
    )
    errors = {name: (task.error.code, task.error.param) for name, task in tasks.items()}
    assert errors == {
        "missing": ("request_error", "params.prompt"),
        "size": ("request_error", "params.size"),
        "model": ("unsupported_by_engine", "params.model"),
    }
    assert "did you mean name?" in tasks["missing"].error.message


@pytest.mark.parametrize(
    ("task", "param"),
    [
        (drawn("{{stub.data"), "tasks.a.params.prompt"),
        (drawn("{{nobody.name}}"), "tasks.a.params.prompt"),
        (drawn("{{stub.data.name}}", size="1x1"), "tasks.a.params.size"),
        (drawn("x", size="~~#jsonata#(stub.)"), "tasks.a.params.size"),
        ({"conditions": ["a ="], **drawn("x")}, "tasks.a.conditions.0"),
        ({"params": {"size": "~~stub.data.size"}}, "tasks.a.params.prompt"),
    ],
)
def test_what_can_be_known_before_is_refused_before(service, task, param):
    with pytest.raises(RequestError) as refused:
        on_stub(service, a=task, start=False)
    assert refused.value.param == param
    assert service.tasks().items == []


def test_templates_are_resolved_once(service):
    """A second try works from the same params, although the moment is another."""
    prompt = "~~#jsonata#($string($millis()))"
    tasks, _ = on_stub(service, a=drawn(prompt, model="fake-slow"), start=False)
    service.work.start()
    until = time.monotonic() + 20
    while service.task(tasks["a"].taskuuid).state != "running":
        assert time.monotonic() < until
        time.sleep(0.05)
    time.sleep(1)
    with reading(service._engine) as connection:
        first = ledger.task_row(connection, tasks["a"].taskuuid, owner=None).resolved
    service.work.stop()
    service.work.start()
    assert asyncio.run(service.wait([tasks["a"].taskuuid], 60))
    record = service.task(tasks["a"].taskuuid)
    assert record.payload.request["prompt"] == first["prompt"]
    assert record.payload.request["prompt"].isdigit()


def test_the_same_value_gives_the_same_picture_also_through_a_template(service):
    fields = {"seed_from": "~~stub.data.mail"}
    tasks, _ = on_stub(service, a=drawn("an avatar", **fields), b=drawn("an avatar", **fields))
    seeds = {task.payload.response.seed for task in tasks.values()}
    assert len(seeds) == 1


def test_a_single_task_may_use_templates(service):
    stub = service.create_stub(NewStub(data={"name": "Ada"}))
    new = {
        "tasktype": "generate_image",
        "stubref": stub.stubref,
        "params": {"prompt": "{{stub.data.name}}"},
    }
    service.work.start()
    record = service.submit(read(NewTask, new))
    assert asyncio.run(service.wait([record.taskuuid], 30))
    assert service.task(record.taskuuid).payload.request["prompt"] == "Ada"
