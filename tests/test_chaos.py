"""A few kills on each database, and a bookkeeper that notices what must not happen.

The whole of it is a command of its own: `python -m tests.chaos`.
"""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.chaos.books import (
    Books,
    check_data,
    check_files,
    check_gateways,
    check_messages,
    check_order,
    check_posts,
    check_promises,
)
from tests.chaos.clients import Promises
from tests.postgres import MISSING, programs

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.skipif(not Path("/proc").exists(), reason="signals and sockets of Linux")


@pytest.mark.slow
@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_a_few_kills_lose_and_double_nothing(database):
    if database == "postgres" and programs() is None:
        pytest.skip(MISSING)
    command = [sys.executable, "-m", "tests.chaos", "--database", database, "--kills", "4"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 wrong" in done.stdout


def task(name, state="succeeded", **values):
    row = {
        "taskuuid": name,
        "state": state,
        "tasktype": "generate_image",
        "stubref": "stub",
        "stubpostuuid": "post",
        "params": {"prompt": name},
        "webhook": None,
        "started": 10,
        "ended": 20,
    }
    return SimpleNamespace(**(row | values))


def post(name, stubref="stub"):
    return SimpleNamespace(response_to=name, stubref=stubref)


def file(name):
    return SimpleNamespace(taskuuid=name, fileuuid=name, stored=name, size=1)


def wrong(check, *arguments):
    books = Books()
    check(books, *arguments)
    return books.wrong


def test_the_bookkeeper_notices_a_lost_and_a_doubled_task():
    promises = Promises(accepted={"a": "a"}, keyed={"a"})
    assert wrong(check_promises, promises, [task("a")]) == []
    assert "a was accepted and is lost" in wrong(check_promises, promises, [])
    twice = [task("a"), task("b", params={"prompt": "a"})]
    assert "'a' is there 2 times" in wrong(check_promises, promises, twice)
    assert "nobody handed it in" in wrong(check_promises, Promises(), [task("a")])[0]


def test_the_bookkeeper_notices_a_cancelled_task_that_was_drawn():
    promises = Promises(accepted={"a": "a"}, cancelled={"a"})
    assert wrong(check_promises, promises, [task("a")]) == ["a was cancelled and is succeeded"]


def test_the_bookkeeper_notices_a_missing_a_second_and_a_misplaced_post():
    assert wrong(check_posts, [task("a")], [post("a")]) == []
    assert wrong(check_posts, [task("a")], []) == ["a has 0 posts, not 1"]
    assert wrong(check_posts, [task("a")], [post("a"), post("a")]) == ["a has 2 posts, not 1"]
    assert wrong(check_posts, [task("a")], [post("a", "other")]) == ["a: on another stub"]
    silent = task("a", params={"prompt": "a", "disable_model_response": "true"})
    assert wrong(check_posts, [silent], [post("a")]) == ["a has 1 posts, not 0"]


def test_the_bookkeeper_notices_a_task_before_its_turn():
    first, second = task("a"), task("b", started=20, ended=30)
    assert wrong(check_order, [first, second]) == []
    early = task("b", started=19, ended=30)
    assert wrong(check_order, [first, early]) == ["b began before its turn"]


def test_the_bookkeeper_notices_a_task_on_the_wrong_gateway():
    spared = {"gateway": "spare", "first_gateway": "fake", "attempts_before": 3}
    away = {"params": {"prompt": "a", "model": "fake-failing"}, "warnings": ["spare took over"]}
    assert wrong(check_gateways, [task("a", **spared, **away)]) == []
    assert wrong(check_gateways, [task("a", **away, gateway="fake")])
    for other in ({"first_gateway": None}, {"attempts_before": 1}, {"warnings": []}):
        assert wrong(check_gateways, [task("a", **spared | away | other)])


def test_the_bookkeeper_notices_a_missing_file_and_a_second_row(tmp_path):
    house = SimpleNamespace(data_dir=tmp_path, database_url="")
    found = wrong(check_files, house, [task("a")], [file("a"), file("a")])
    assert "a, succeeded, has 2 file rows" in found
    assert "the file a is missing" in found


def test_the_bookkeeper_notices_data_that_was_not_kept():
    kept = task("a", tasktype="savedata")
    for data in ({}, {"kept": {"a": 1, "b": 1}}, {"kept": {"b": 1}}):
        assert wrong(check_data, [kept], [SimpleNamespace(stubref="stub", data=data)])
    right = SimpleNamespace(stubref="stub", data={"kept": {"a": 1}})
    assert wrong(check_data, [kept], [right]) == []


def message(name, kind="task.succeeded"):
    event = {"type": kind, "data": {"taskuuid": name}}
    return SimpleNamespace(messageid=f"msg_{name}", event=event)


def test_the_bookkeeper_notices_an_end_that_was_not_told_or_told_wrongly():
    told, silent = task("a", webhook="http://127.0.0.1/"), task("b")
    assert wrong(check_messages, [told, silent], [message("a"), message("a")]) == []
    assert "was told as set()" in wrong(check_messages, [told], [])[0]
    assert wrong(check_messages, [told], [message("a", "task.failed")])
    assert wrong(check_messages, [told], [message("a"), message("a", "task.failed")])
    assert wrong(check_messages, [silent], [message("b")])
    assert wrong(check_messages, [], [message("c")]) == ["told of unknown tasks: {'c'}"]
