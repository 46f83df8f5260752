"""`gouache serve` and `gouache worker` as processes: what they refuse, log, finish and hand back."""

import json
import os
import signal
import socket
import threading
from contextlib import suppress

import httpx2
import pytest
from typer.testing import CliRunner

from gouache.cli import app
from tests.commands import begun, gouache, stored, task
from tests.served import until

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name != "posix", reason="signals of Unix")]

KEY = "a-key-for-the-tests-only"
SLOW = task(model="fake-slow", prompt="Words nobody may read in a log")


@pytest.fixture(autouse=True)
def own_data_folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GOUACHE_ENGINE", "fake")
    monkeypatch.setenv("GOUACHE_DATA_DIR", "data")


def serve(tmp_path, *options):
    return begun(tmp_path, "serve", "--port", "0", *options)


def post(url, body, **headers):
    answer = httpx2.post(f"{url}/tasks", json=body, headers=headers, timeout=30, trust_env=False)
    return answer.status_code, answer.json()


def read(url, taskuuid):
    return httpx2.get(f"{url}/tasks/{taskuuid}", timeout=30, trust_env=False).json()


def drawn_at(url, taskuuid):
    """Wait until the first step of a task is drawn."""
    events = f"{url}/tasks/{taskuuid}/events"
    with httpx2.stream("GET", events, timeout=30, trust_env=False) as answer:
        for line in answer.iter_lines():
            if line == "event: progress":
                return
    raise AssertionError("the task ended without a step")


def invoke(*arguments):
    result = CliRunner().invoke(app, arguments)
    return result.exit_code, result.stderr


def test_a_task_is_posted_drawn_and_its_picture_fetched(tmp_path):
    with serve(tmp_path) as server:
        url = server.ready()
        status, answer = post(url, task(seed=1), Prefer="wait=20")
        assert (status, answer["state"]) == (200, "succeeded")
        link = answer["payload"]["response"]["data"][0]["url"]
        assert link.startswith(f"{url}/files/"), "the link knows the port that was free"
        picture = httpx2.get(link, trust_env=False)
        assert picture.headers["content-type"] == "image/png"
        (kept,) = stored("data")
        assert picture.content == kept.read_bytes()
        assert server.stop()[0] == 0
    assert str(tmp_path / "data") in server.said


def test_no_answer_waits_for_an_acknowledgement(tmp_path):
    """That would be 40 ms each time, on a connection that is kept."""
    with serve(tmp_path) as server:
        with httpx2.Client(base_url=server.ready(), trust_env=False) as client:
            seconds = [client.get("/health").elapsed.total_seconds() for _ in range(20)]
        assert server.stop()[0] == 0
    assert min(seconds) < 0.03


def test_the_log_has_neither_prompts_nor_signatures_nor_keys(tmp_path, monkeypatch):
    monkeypatch.setenv("GOUACHE_API_KEY", KEY)
    bearer = {"Authorization": f"Bearer {KEY}"}
    with serve(tmp_path) as server:
        url = server.ready()
        _, answer = post(url, SLOW | {"priority": 7}, Prefer="wait=20", **bearer)
        link = answer["payload"]["response"]["data"][0]["url"]
        assert httpx2.get(link, trust_env=False).status_code == 200
        assert post(url, SLOW)[0] == 401
        assert post(url, SLOW, Authorization="Bearer wrong")[0] == 401
        server.stop()
    assert '"POST /tasks HTTP/1.1" 200' in server.said
    assert '"POST /tasks HTTP/1.1" 401' in server.said
    assert "/files/" in server.said
    for secret in ("signature", "nobody", KEY, "wrong"):
        assert secret not in server.said


@pytest.mark.parametrize(("number", "expected"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_stop_lets_the_running_task_finish(tmp_path, number, expected):
    with serve(tmp_path) as server:
        url = server.ready()
        _, answer = post(url, SLOW)
        drawn_at(url, answer["taskuuid"])
        code, seconds = server.stop(number)
        assert code == expected
        assert seconds < 10
    said = json.loads(gouache("tasks", answer["taskuuid"]).stdout)
    assert (said["state"], said["attempts"]) == ("succeeded", 1)
    assert len(stored("data")) == 1


def test_what_a_stop_cuts_short_is_run_after_the_next_start(tmp_path, monkeypatch):
    monkeypatch.setenv("GOUACHE_STOP_SECONDS", "0")
    body = SLOW | {"params": SLOW["params"] | {"quality": "hd"}}
    with serve(tmp_path) as server:
        url = server.ready()
        _, running = post(url, body)
        _, queued = post(url, task())
        drawn_at(url, running["taskuuid"])
        code, seconds = server.stop()
        assert (code, seconds < 5) == (0, True)
    assert stored("data") == []
    with serve(tmp_path) as server:
        url = server.ready()
        for accepted in (running, queued):
            ended = httpx2.get(
                f"{url}/tasks/{accepted['taskuuid']}",
                headers={"Prefer": "wait=25"},
                timeout=30,
                trust_env=False,
            ).json()
            assert ended["state"] == "succeeded"
        assert server.stop()[0] == 0
    assert len(stored("data")) == 2


def test_a_killed_server_forgets_nothing(tmp_path):
    with serve(tmp_path) as server:
        url = server.ready()
        _, accepted = post(url, SLOW)
        drawn_at(url, accepted["taskuuid"])
    with serve(tmp_path) as server:
        url = server.ready()
        until(lambda: read(url, accepted["taskuuid"])["state"] == "succeeded", 30)
        assert server.stop()[0] == 0
    assert len(stored("data")) == 1


def test_a_second_signal_does_not_wait_for_the_task(tmp_path):
    with serve(tmp_path) as server:
        url = server.ready()
        body = SLOW | {"params": SLOW["params"] | {"quality": "hd"}}
        _, accepted = post(url, body)
        drawn_at(url, accepted["taskuuid"])
        server.process.send_signal(signal.SIGTERM)
        until(lambda: "Stopping" in server.said)
        code, seconds = server.stop()
    assert code == 128 + signal.SIGTERM
    assert seconds < 1
    assert "Traceback" not in server.said


def test_those_who_wait_or_watch_do_not_hold_up_the_stop(tmp_path, monkeypatch):
    monkeypatch.setenv("GOUACHE_STOP_SECONDS", "0")
    ended = []

    def watch(url, headers):
        with suppress(httpx2.HTTPError):
            httpx2.get(url, headers=headers, timeout=60, trust_env=False)
        ended.append(url)

    body = SLOW | {"params": SLOW["params"] | {"quality": "hd"}}
    with serve(tmp_path) as server:
        url = server.ready()
        accepted = [post(url, body)[1]["taskuuid"] for _ in range(4)]
        watchers = [
            threading.Thread(target=watch, args=(f"{url}/tasks/{accepted[3]}{path}", headers))
            for path, headers in (("", {"Prefer": "wait=60"}), ("/events", {}))
        ]
        for watcher in watchers:
            watcher.start()
        until(lambda: "/events" in server.said)
        code, seconds = server.stop()
        for watcher in watchers:
            watcher.join(5)
    assert code == 0
    assert seconds < 6
    assert len(ended) == 2
    assert "Traceback" not in server.said


def test_a_port_in_use_is_said_and_nothing_is_made(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, said = invoke("serve", "--port", str(port))
    assert code == 3
    assert f"cannot listen on 127.0.0.1 port {port}: Address already in use" in said
    assert not (tmp_path / "data").exists()


def test_a_host_that_is_none_of_this_machine_is_said(monkeypatch):
    monkeypatch.setenv("GOUACHE_API_KEY", KEY)
    code, said = invoke("serve", "--host", "192.0.2.1")
    assert code == 3
    assert "cannot listen on 192.0.2.1" in said


def test_without_a_key_other_machines_are_kept_out(tmp_path):
    code, said = invoke("serve", "--host", "0.0.0.0", "--port", "0")
    assert code == 3
    assert "GOUACHE_API_KEY" in said
    assert "secrets.token_urlsafe" in said
    assert not (tmp_path / "data").exists()


def test_with_a_key_other_machines_may_come(tmp_path, monkeypatch):
    monkeypatch.setenv("GOUACHE_API_KEY", KEY)
    with serve(tmp_path, "--host", "0.0.0.0") as server:
        port = server.ready().rpartition(":")[2]
        until(lambda: f"nobody can follow links to http://0.0.0.0:{port}" in server.said)
        local = f"http://127.0.0.1:{port}"
        assert post(local, task())[0] == 401
        assert post(local, task(), Authorization=f"Bearer {KEY}")[0] == 202
        assert server.stop()[0] == 0


def test_a_second_server_on_the_same_folder_is_refused(tmp_path):
    with serve(tmp_path / "first") as server:
        server.ready()
        done = gouache("serve", "--port", "0")
        assert done.returncode == 3
        assert "another process runs the tasks" in done.stderr


@pytest.mark.parametrize("arguments", [("worker",), ("serve", "--no-work")])
def test_several_processes_need_a_database_they_share(arguments, tmp_path):
    code, said = invoke(*arguments)
    assert code == 3
    assert "GOUACHE_DATABASE_URL" in said
    assert not (tmp_path / "data").exists()


def test_a_server_that_only_answers_leaves_the_work_to_a_worker(
    tmp_path, monkeypatch, postgres_url
):
    monkeypatch.setenv("GOUACHE_DATABASE_URL", postgres_url)
    with serve(tmp_path / "server", "--no-work") as server:
        url = server.ready()
        _, accepted = post(url, SLOW, Prefer="wait=1")
        assert accepted["state"] == "queued"
        with begun(tmp_path / "worker", "worker", "--gateway", "built-in") as worker:
            assert worker.ready() == "built-in"
            drawn_at(url, accepted["taskuuid"])
            assert worker.stop()[0] == 0
        assert read(url, accepted["taskuuid"])["state"] == "succeeded"
        assert server.stop()[0] == 0
    assert len(stored("data")) == 1


def test_a_worker_for_a_gateway_there_is_not_is_refused(monkeypatch, postgres_url):
    monkeypatch.setenv("GOUACHE_DATABASE_URL", postgres_url)
    done = gouache("worker", "--gateway", "oil")
    assert done.returncode == 3
    assert "no gateway is named 'oil'; use one of built-in" in done.stderr


def test_a_database_that_is_away_is_said(monkeypatch):
    monkeypatch.setenv("GOUACHE_DATABASE_URL", "postgresql://gouache@127.0.0.1:1/none")
    for command in (["worker"], ["serve", "--port", "0"]):
        done = gouache(*command)
        assert done.returncode == 3
        assert "database" in done.stderr
        assert "Traceback" not in done.stderr
