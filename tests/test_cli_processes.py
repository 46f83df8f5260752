"""`gouache run` of a stub with its posts: what is printed and written, what is refused, how it stops."""

import json
import os
import signal
from pathlib import Path

import pytest

from tests.commands import begun, gouache
from tests.served import until

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals of Unix")

ONE = "530cabeb-7ce7-57b1-ace3-d3795f4fa5bb"


@pytest.fixture(autouse=True)
def own_data_folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GOUACHE_ENGINE", "fake")
    monkeypatch.setenv("GOUACHE_DATA_DIR", "data")


def a(tasktype, **params):
    return {"tasktype": tasktype, "params": params}


def run(process, *options):
    done = gouache("run", "-", *options, stdin=json.dumps(process))
    return done.returncode, json.loads(done.stdout), done.stderr


def test_posts_run_one_after_the_other_and_their_files_are_written():
    upload = a("upload_file", filename="a.txt", text="{{stub.data.word}}")
    process = {
        "stub": {"stubref": "2026-11-24-DEMO-0001", "data": {"word": "one"}},
        "stubposts": [
            {
                "action": "first",
                "tasks": {"one": upload, "keep": a("savedata", data={"word": "two"})},
            },
            {"action": "second", "tasks": {"two": upload}},
        ],
    }
    code, stub, said = run(process, "--output", "made/files")
    assert (code, stub["stubref"]) == (0, "2026-11-24-DEMO-0001")
    assert [post["action"] for post in stub["stubposts"]] == ["first", "second"]
    texts = {path.name: path.read_text() for path in Path("made/files").iterdir()}
    assert texts == {"a.txt": "one", "two a.txt": "two"}, "no file is written over another"
    assert "first: one succeeded" in said
    assert "second: two succeeded" in said


def test_without_a_folder_it_says_where_the_files_are():
    code, _, said = run(
        {"stubposts": [{"tasks": {"one": a("upload_file", filename="a", text="x")}}]}
    )
    assert code == 0
    path = Path(said.rsplit("one: ", 1)[1].strip())
    assert path.read_text() == "x"


def test_a_task_that_fails_is_said_and_the_others_run():
    tasks = {"lost": a("attach_file", fileuuid=ONE), "kept": a("savedata", data={"a": 1})}
    code, stub, said = run({"stubposts": [{"tasks": tasks}]})
    assert (code, stub["data"]) == (2, {"a": 1})
    assert f"post: lost failed: params.fileuuid: there is no file {ONE}" in said


def test_the_same_key_does_it_once():
    process = {"stubposts": [{"tasks": {"one": a("savedata", data={"a": 1})}}] * 2}
    first, again = (run(process, "--key", "k")[1] for _ in range(2))
    assert first == again
    assert len(again["stubposts"]) == 2


@pytest.mark.parametrize(
    ("process", "options", "param"),
    [
        ({"stub": {}}, [], "stubposts"),
        ({"stubposts": []}, [], "stubposts"),
        ({"stubposts": [{}], "posts": []}, [], "posts"),
        ({"stubposts": [{"acton": "x"}]}, [], "stubposts.0.acton"),
        ({"stub": {"stubref": "x"}, "stubposts": [{}]}, [], "stub.stubref"),
        ({"stubposts": [{"tasks": {"x": a("draw")}}]}, [], "tasks.x.tasktype"),
        ({"stubposts": [{"tasks": {"x": a("savedata")}}]}, [], "tasks.x.params.data"),
        ({"stubposts": [{}]}, ["--priority", "1"], "priority"),
    ],
)
def test_what_is_wrong_is_refused_by_name(process, options, param):
    code, answer, _ = run(process, *options)
    assert (code, answer["error"]["param"]) == (2, param)


def test_a_folder_that_cannot_be_written_is_refused_before_anything_runs():
    Path("made").write_text("a file")
    process = {"stubposts": [{"tasks": {"one": a("upload_file", filename="a", text="x")}}]}
    code, answer, _ = run(process, "--output", "made")
    assert (code, answer["error"]["code"]) == (4, "storage_error")
    assert not Path("data").exists()


SLOW = a("generate_image", prompt="A red bicycle", model="fake-slow", quality="hd")
QUICK = a("upload_file", filename="a", text="x")
LONG = {"stubposts": [{"tasks": {"a": QUICK, "b": SLOW, "c": QUICK}}, {"tasks": {"never": QUICK}}]}


def test_a_signal_cancels_what_runs_and_posts_nothing_more(tmp_path):
    Path("long.json").write_text(json.dumps(LONG))
    with begun(tmp_path, "run", "long.json") as command:
        assert until(lambda: "running" in gouache("tasks").stdout, 30), command.said
        code, seconds = command.stop(signal.SIGINT)
        stub = json.loads(command.out.read_text())
    (post,) = stub["stubposts"]
    assert {name: task["state"] for name, task in post["tasks"].items()} == {
        "a": "succeeded",
        "b": "cancelled",
        "c": "cancelled",
    }
    assert (code, seconds < 5) == (130, True)


def test_a_process_that_takes_too_long_is_cancelled():
    code, stub, said = run(LONG, "--timeout", "2")
    states = [task["state"] for task in stub["stubposts"][0]["tasks"].values()]
    assert (code, states[1], len(stub["stubposts"])) == (130, "cancelled", 1)
    assert "Stopping the task" in said
