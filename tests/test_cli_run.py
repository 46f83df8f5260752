"""`gouache run`: the documented task, what is refused, how it fails, stops and shares a data folder."""

import json
import os
import signal
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gouache import images
from gouache.cli import app
from gouache.commands.outcome import exit_code_of
from gouache.errors import GouacheError
from tests.commands import EXAMPLE, begun, gouache, run, stored, task
from tests.served import until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name != "posix", reason="signals and limits of Unix"),
]


@pytest.fixture(autouse=True)
def own_data_folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GOUACHE_ENGINE", "fake")
    monkeypatch.setenv("GOUACHE_DATA_DIR", "data")


@pytest.fixture(scope="module")
def once(tmp_path_factory):
    """The documented task, run once for all who look at its result."""
    folder = tmp_path_factory.mktemp("once")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GOUACHE_ENGINE", "fake")
        patch.chdir(folder)
        Path("task.json").write_text(EXAMPLE)
        done = gouache("run", "task.json", "--data-dir", "data", "--output", "cat.png")
    return done, folder


def refused(data, *options):
    """Run what is not even a task; return the exit code, the answer and what was said."""
    result = CliRunner().invoke(app, ["run", "-", *options], input=data)
    return result.exit_code, json.loads(result.stdout), result.stderr


@pytest.mark.skipif(
    not (Path(images.__file__).parent / "weights/model.json").is_file(),
    reason="the weights are not here",
)
def test_the_documented_task_runs_byte_for_byte_with_no_configuration(monkeypatch, tmp_path):
    monkeypatch.delenv("GOUACHE_ENGINE")
    monkeypatch.delenv("GOUACHE_DATA_DIR")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    code, end, said = run(EXAMPLE)
    assert (code, end["success"]) == (0, True), said
    assert end["payload"]["response"]["model"] == "gouache-1"
    assert len(stored(tmp_path / "share" / "gouache")) == 1


def test_the_envelope_is_all_of_standard_output(once):
    done, _ = once
    assert done.returncode == 0, done.stderr
    end = json.loads(done.stdout)
    assert end["success"] is True
    assert end["payload"]["request"] == {
        "prompt": "A white cat sitting on a red sports car.",
        "size": "1024x1024",
        "model": "dall-e-3",
        "quality": "standard",
        "n": 1,
    }
    image = end["payload"]["image"]
    assert end["payload"]["response"]["data"][0]["image"] == image
    assert end["task_duration_ms"] > 0
    assert "\x1b" not in done.stderr, "no bar where nobody watches"


def test_the_picture_is_stored_and_written_where_it_is_wanted(once):
    done, folder = once
    (kept,) = stored(folder / "data")
    assert (folder / "cat.png").read_bytes() == kept.read_bytes()
    assert images.decode_png(kept.read_bytes()).shape == (1024, 1024, 3)
    assert "The picture is cat.png" in done.stderr


def test_a_key_used_again_prints_the_first_result_and_draws_nothing():
    first = run(task(), "--key", "one")
    again = run(task(), "--key", "one", "--output", ".")
    assert (first[0], again[0]) == (0, 0)
    assert first[1]["payload"]["image"] == again[1]["payload"]["image"]
    assert len(stored("data")) == 1
    assert Path(first[1]["payload"]["image"]["filename"]).is_file()
    code, end, said = run(task(prompt="Another"), "--key", "one")
    assert (code, end["error"]["code"]) == (2, "idempotency_key_reused")
    assert "came before with another request" in said


def test_the_priority_of_the_option_is_that_of_the_task():
    assert run(task() | {"priority": 7}, "--priority", "5")[0] == 0
    said = json.loads(gouache("tasks", "--json").stdout)
    assert said["items"][0]["priority"] == 5


@pytest.mark.parametrize(
    ("model", "code", "error"),
    [("fake-failing", 3, "engine_unavailable"), ("fake-refusing", 3, "content_refused")],
)
def test_a_failed_task_prints_its_envelope_and_ends_with_the_code_of_its_error(model, code, error):
    Path("gouache.toml").write_text(
        '[gateways.built-in]\ntaskapigatewayuuid = "e366a208-63a2-48ea-af74-e3e0abf703b4"\n'
        'engine = "fake"\nretry_seconds = 0.1\ntries = 2\n'
    )
    got, end, said = run(task(model=model))
    assert (got, end["success"], end["error"]["code"]) == (code, False, error)
    assert end["payload"]["request"]["model"] == model
    assert end["error"]["message"] in said
    assert stored("data") == []


def test_exit_codes_are_found_by_the_code_of_the_error():
    def classes(error):
        yield error
        for child in error.__subclasses__():
            yield from classes(child)

    codes = {error.code: exit_code_of(error.code) for error in classes(GouacheError)}
    assert len(codes) >= 30
    assert codes["cancelled"] == 130
    assert codes["storage_error"] == 4
    assert codes["task_not_found"] == 2
    assert codes["engine_timed_out"] == 3
    assert exit_code_of("of a later version") == 3


@pytest.mark.parametrize(
    ("data", "param", "message"),
    [
        (b"", "file", "is not JSON"),
        (b"{", "file", "is not JSON: Expecting property name enclosed in double quotes at line 1"),
        (b"[" * 100_000, "file", "nested more than 100 deep"),
        (b'{"tasktype": "generate_image", "params": {"prompt": "\xff"}}', "file", "UTF-8, from byte 53"),
        (b'{"priority": NaN}', "file", "NaN, which is not JSON"),
        (b'{"priority": ' + b"1" * 5000 + b"}", "file", "a number that is too long"),
        (b" " * (4 * 1024 * 1024 + 1), "file", "larger than 4,194,304 bytes"),
        (b'{"params": {}, "params": {}}', "file", "the key 'params' twice in one object"),
        (b"[]", "file", "must hold one task"),
        (b"{}", "tasktype", "tasktype is required"),
        (b'{"tasktype": "generate_video", "params": {}}', "tasktype", "generate_image"),
        (b'{"tasktype": "generate_image"}', "params", "params is required"),
        (json.dumps(task() | {"stubref": "x"}).encode(), "stubref", "stubref"),
        (json.dumps(task() | {"priority": 0}).encode(), "priority", "1 to 1000"),
    ],
)  # fmt: skip
def test_what_is_no_task_is_refused_by_name_and_nothing_is_stored(data, param, message):
    code, answer, said = refused(data)
    assert code == 2
    assert answer["success"] is False
    assert answer["error"]["param"] == param
    assert message in answer["error"]["message"]
    assert said.startswith("Error: ")
    assert message in said
    assert not Path("data").exists()


def test_a_task_file_may_begin_with_a_byte_order_mark():
    code, answer, _ = refused(b'\xef\xbb\xbf{"tasktype": "generate_image"}')
    assert (code, answer["error"]["param"]) == (2, "params")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing.json"], "missing.json could not be read: No such file"),
        (["."], ". could not be read: Is a directory"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused(arguments, message):
    result = CliRunner().invoke(app, ["run", *arguments])
    assert result.exit_code == 2
    assert message in result.stderr
    assert json.loads(result.stdout)["error"]["param"] == "file"
    assert not Path("data").exists()


def test_an_output_that_cannot_be_written_is_refused_before_anything_is_stored():
    Path("file").touch()
    code, answer, _ = refused(EXAMPLE, "--output", "file/cat.png")
    assert (code, answer["error"]["code"]) == (4, "storage_error")
    assert not Path("data").exists()


def test_what_only_the_service_can_refuse_is_refused_by_name_too():
    other = "e366a208-63a2-48ea-af74-e3e0abf703b5"
    for wrong, param in (
        (task() | {"params": {}}, "params.prompt"),
        (task(size="big"), "params.size"),
        (task() | {"taskapigatewayuuid": other}, "taskapigatewayuuid"),
        (task(model="oil"), "params.model"),
        (task() | {"stubref": "2026-11-24-XXXX-NONE"}, "stubref"),
    ):
        code, answer, _ = run(wrong)
        assert (code, answer["error"]["param"]) == (2, param)
    assert json.loads(gouache("tasks", "--json").stdout)["items"] == []


def test_a_full_disk_ends_the_task_with_a_storage_error_and_leaves_nothing_half_written():
    tall = task(size="1024x1792", seed=1)
    code, end, said = run(tall, most_bytes=450_000)
    assert (code, end["error"]["code"]) == (4, "storage_error")
    assert "File too large" in said
    assert stored("data") == []
    assert run(tall)[0] == 0, "with room it is drawn"
    states = [item["state"] for item in json.loads(gouache("tasks", "--json").stdout)["items"]]
    assert states == ["succeeded", "failed"]


SLOW = task(model="fake-slow", quality="hd")


def running(command):
    """Wait until the task of a command runs."""
    listed = until(lambda: "running" in gouache("tasks").stdout, 30)
    assert listed, command.said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_cancels_the_task_and_leaves_nothing(number, tmp_path):
    Path("slow.json").write_text(json.dumps(SLOW))
    with begun(tmp_path, "run", "slow.json", "--key", "it") as command:
        running(command)
        code, seconds = command.stop(number)
        end = json.loads(command.out.read_text())
    assert code == 130
    assert seconds < 5
    assert (end["success"], end["error"]["code"]) == (False, "cancelled")
    assert "Stopping the task" in command.said
    assert stored("data") == []
    assert run(SLOW, "--key", "it")[1]["error"]["code"] == "cancelled", "and it stays cancelled"


def test_a_second_signal_does_not_wait(tmp_path):
    Path("slow.json").write_text(json.dumps(SLOW))
    with begun(tmp_path, "run", "slow.json") as command:
        running(command)
        command.process.send_signal(signal.SIGINT)
        until(lambda: "Stopping the task" in command.said)
        code, seconds = command.stop(signal.SIGINT)
    assert code == 130
    assert seconds < 1
    assert "Traceback" not in command.said
    assert stored("data") == []


def test_a_task_that_takes_too_long_is_cancelled():
    code, end, said = run(SLOW, "--timeout", "1")
    assert (code, end["error"]["code"]) == (130, "cancelled")
    assert "not done within 1 s" in said
    assert stored("data") == []


def test_where_another_process_executes_it_is_waited_for(tmp_path):
    with begun(tmp_path, "serve", "--port", "0") as server:
        server.ready()
        code, end, said = run(task())
    assert (code, end["success"]) == (0, True)
    assert "Another process executes on this data folder" in said


def test_when_the_other_process_dies_this_one_takes_over(tmp_path):
    Path("slow.json").write_text(json.dumps(SLOW))
    with begun(tmp_path / "server", "serve", "--port", "0") as server:
        server.ready()
        with begun(tmp_path / "run", "run", "slow.json") as command:
            running(command)
            server.process.kill()
            assert command.process.wait(30) == 0, command.said
            end = json.loads(command.out.read_text())
    assert end["success"] is True
    assert len(stored("data")) == 1


def test_a_terminal_shows_the_progress_of_a_stored_task():
    import pty
    import subprocess

    Path("task.json").write_text(json.dumps(task(model="fake-slow")))
    ours, theirs = pty.openpty()
    looks = {"TERM": "xterm-256color", "COLORTERM": "truecolor", "COLUMNS": "80"}
    process = subprocess.Popen(
        [sys.executable, "-m", "gouache", "run", "task.json"],
        stdout=subprocess.DEVNULL,
        stderr=theirs,
        env=os.environ | looks,
    )
    os.close(theirs)
    shown = b""
    try:
        while chunk := os.read(ours, 65536):
            shown += chunk
    except OSError:  # how Linux tells that the other end is closed
        pass
    os.close(ours)
    assert process.wait() == 0
    assert "\u2580".encode() in shown
    assert b"4/4" in shown


def test_on_postgresql_a_task_is_run_beside_a_worker(monkeypatch, tmp_path, postgres_url):
    monkeypatch.setenv("GOUACHE_DATABASE_URL", postgres_url)
    with begun(tmp_path / "worker", "worker") as worker:
        worker.ready()
        code, end, said = run(task())
        assert (code, end["success"]) == (0, True), said
        assert worker.stop()[0] == 0
    assert len(stored("data")) == 1
