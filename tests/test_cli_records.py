"""`gouache stubs`, `gouache tasks`, `gouache cancel`: what is recorded, read without a server."""

import asyncio
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gouache.cli import app
from gouache.records import NewStub, NewStubpost, NewTask
from gouache.service import open_service
from gouache.settings import read_settings

STUBREF = "2026-11-24-ABCD-EFGH"


@pytest.fixture(autouse=True)
def own_data_folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GOUACHE_ENGINE", "fake")
    monkeypatch.setenv("GOUACHE_DATA_DIR", "data")


@pytest.fixture
def service():
    with open_service(read_settings()) as service:
        yield service


def image(**params):
    return {"tasktype": "generate_image", "params": {"prompt": "A red bicycle"} | params}


def said(*arguments):
    result = CliRunner().invoke(app, arguments)
    return result.exit_code, result.stdout, result.stderr


def answer(*arguments):
    code, out, _ = said(*arguments, "--json")
    assert code == 0
    return json.loads(out)


def run_all(service, *taskuuids):
    service.work.start()
    assert asyncio.run(service.wait(taskuuids, 20))
    service.work.stop()


def test_stubs_are_listed_newest_first_by_state_and_in_parts(service):
    for state in ("new", "done", "new"):
        service.create_stub(NewStub(state=state))
    first, second, third = reversed(answer("stubs")["items"])
    assert [stub["state"] for stub in (first, second, third)] == ["new", "done", "new"]
    code, out, err = said("stubs", "--limit", "2")
    assert [line.split()[0] for line in out.splitlines()] == [third["stubref"], second["stubref"]]
    following = err.split("--after ")[1].strip()
    assert answer("stubs", "--after", following)["items"] == [first]
    assert [s["stubref"] for s in answer("stubs", "--state", "done")["items"]] == [
        second["stubref"]
    ]


def test_a_stub_is_shown_with_its_posts_tasks_and_files(service):
    service.create_stub(NewStub(stubref=STUBREF))
    post = service.add_stubpost(
        STUBREF,
        NewStubpost(
            action="welcome",
            message="Two pictures",
            tasks={"logo": image(), "refused": image(model="fake-refusing")},
        ),
    )
    run_all(service, *(task.taskuuid for task in post.tasks.values()))
    code, out, _ = said("stubs", STUBREF)
    lines = out.splitlines()
    assert lines[0].split()[:2] == [STUBREF, "new"]
    assert "welcome  Two pictures" in lines[1]
    assert lines[2].split()[:2] == ["logo", "succeeded"]
    assert lines[3].split()[:2] == ["refused", "failed"]
    assert "content_refused: the model fake-refusing draws no prompt" in lines[3]
    assert "_update_from_generate_image" in lines[4]
    name, path = lines[5].split()
    assert name.startswith(f"{STUBREF}_")
    assert Path(path).read_bytes()[:4] == b"\x89PNG"
    feed = answer("stubs", STUBREF)["stubposts"]
    assert feed[0]["tasks"]["logo"]["payload"]["image"] == {
        **feed[1]["attachments"][0],
        "revised_prompt": "A red bicycle",
        "alt_text": "A red bicycle.",
    }


def test_a_file_that_was_deleted_is_shown_as_deleted(service):
    service.create_stub(NewStub(stubref=STUBREF))
    task = service.submit(NewTask(**image(), stubref=STUBREF))
    run_all(service, task.taskuuid)
    service.delete_file(service.task(task.taskuuid).payload.image.fileuuid)
    code, out, _ = said("stubs", STUBREF)
    assert code == 0
    assert out.splitlines()[-1].endswith("(deleted)")


def test_tasks_are_listed_by_state_and_shown(service):
    waiting = service.submit(NewTask(**image()))
    cancelled = service.submit(NewTask(**image()))
    service.cancel(cancelled.taskuuid)
    code, out, _ = said("tasks")
    lines = [line.split() for line in out.splitlines()]
    assert [(line[0], line[3]) for line in lines] == [
        (cancelled.taskuuid, "cancelled"),
        (waiting.taskuuid, "queued"),
    ]
    (only,) = answer("tasks", "--state", "queued")["items"]
    assert only["taskuuid"] == waiting.taskuuid
    code, out, _ = said("tasks", cancelled.taskuuid)
    assert json.loads(out)["error"]["code"] == "cancelled"


def test_a_task_is_cancelled_once(service):
    task = service.submit(NewTask(**image()))
    code, out, _ = said("cancel", task.taskuuid)
    assert (code, out.split()[1]) == (0, "cancelled")
    code, _, err = said("cancel", task.taskuuid)
    assert code == 2
    assert "has ended already" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["stubs", STUBREF], f"there is no stub {STUBREF}"),
        (["tasks", "none"], "there is no task none"),
        (["cancel", "none"], "there is no task none"),
        (["stubs", "--after", "x"], "after must be"),
        (["tasks", "--state", "lost"], "lost"),
        (["stubs", "--limit", "0"], "--limit"),
    ],
)
def test_what_is_not_there_is_said(arguments, message):
    code, out, err = said(*arguments)
    assert code == 2
    assert message in err
    assert out == ""


def test_an_empty_folder_has_empty_lists():
    assert said("stubs") == (0, "", "")
    assert said("tasks") == (0, "", "")
