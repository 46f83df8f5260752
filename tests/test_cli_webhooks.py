"""Webhooks of processes: kills between the end and its message, two workers, the command line."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx2
import pytest
from standardwebhooks import Webhook

from gouache.signatures import headers, new_secret
from tests.commands import begun, blocks, gouache, run, task
from tests.receivers import receiver, say
from tests.served import until

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals of Unix")


@pytest.fixture(autouse=True)
def own_data_folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GOUACHE_ENGINE", "fake")
    monkeypatch.setenv("GOUACHE_DATA_DIR", "data")
    monkeypatch.setenv("GOUACHE_WEBHOOK_PRIVATE_NETWORKS", "true")


def serve(tmp_path, *options):
    return begun(tmp_path, "serve", "--port", "0", *options)


def post(url, body):
    answer = httpx2.post(f"{url}/tasks", json=body, timeout=30, trust_env=False)
    assert answer.status_code == 202, answer.text
    return answer.json()["taskuuid"]


def told(taskuuid):
    return json.loads(gouache("tasks", taskuuid).stdout)["webhook"]


def dead_port():
    with socket.create_server(("127.0.0.1", 0)) as closed:
        return closed.getsockname()[1]


def test_a_message_that_a_kill_interrupts_is_sent_again_under_the_same_id(tmp_path):
    released = threading.Event()

    def hold(request):
        released.wait(60)
        say(request, 204)

    with receiver(hold) as there:
        with serve(tmp_path) as server:
            taskuuid = post(server.ready(), task() | {"webhook": there.url})
            there.wait()
            server.stop(signal.SIGKILL)
        assert told(taskuuid)["state"] == "queued"
        with serve(tmp_path) as server:
            server.ready()
            first, second = there.wait(2)
            until(lambda: told(taskuuid)["state"] == "delivered")
            released.set()
            assert server.stop()[0] == 0
    assert first.messageid == second.messageid
    secret = gouache("webhook-secret").stdout.strip()
    event = Webhook(secret).verify(second.body, second.headers)
    assert (event["type"], event["data"]["taskuuid"]) == ("task.succeeded", taskuuid)
    assert "token" not in server.said


def test_what_was_to_be_told_while_nobody_was_there_is_told_after_the_next_start(tmp_path):
    with receiver() as there:
        with serve(tmp_path) as server:
            taskuuid = post(server.ready(), task(model="fake-slow") | {"webhook": there.url})
            server.stop(signal.SIGKILL)
        assert gouache("cancel", taskuuid).returncode == 0
        time.sleep(0.5)
        assert there.messages == []
        with serve(tmp_path) as server:
            server.ready()
            (message,) = there.wait()
            assert server.stop()[0] == 0
    assert message.event["type"] == "task.cancelled"


def test_run_tells_the_end_before_it_leaves(tmp_path):
    with receiver() as there:
        code, envelope, said = run(task() | {"webhook": there.url})
        assert (code, envelope["success"]) == (0, True)
        (message,) = there.messages
    assert "webhook" not in said
    assert message.event["data"]["payload"]["image"] == envelope["payload"]["image"]


def test_run_says_that_a_receiver_is_away_and_keeps_the_message(tmp_path):
    port = dead_port()
    code, envelope, said = run(task() | {"webhook": f"http://127.0.0.1:{port}/token"})
    assert (code, envelope["success"]) == (0, True)
    assert "cannot be connected to; gouache serve tries again" in said
    assert "token" not in said
    with receiver(port=port) as there, serve(tmp_path) as server:
        server.ready()
        there.wait()


def test_a_stub_of_a_file_is_told_of_each_task(tmp_path):
    with receiver() as there:
        tasks = {name: task() | {"webhook": there.url} for name in ("logo", "avatar")}
        done = gouache("run", "-", stdin=json.dumps({"stubposts": [{"tasks": tasks}]}))
        assert done.returncode == 0, done.stderr
        names = [message.event["data"]["name"] for message in there.messages]
    assert sorted(names) == ["avatar", "logo"]


def test_a_webhook_into_a_private_network_is_refused_by_default(monkeypatch):
    monkeypatch.setenv("GOUACHE_WEBHOOK_PRIVATE_NETWORKS", "false")
    done = gouache("run", "-", stdin=json.dumps(task() | {"webhook": "http://127.0.0.1:9/token"}))
    assert done.returncode == 2
    assert json.loads(done.stdout)["error"]["code"] == "webhook_refused"
    assert "token" not in done.stderr


def test_a_message_is_sent_again_by_a_command(tmp_path):
    with receiver(410) as there:
        _, _, said = run(task() | {"webhook": there.url})
        assert "answered 410: it wants no more messages\n" in said
        taskuuid = there.messages[0].event["data"]["taskuuid"]
        done = gouache("tasks", taskuuid, "--resend")
        assert json.loads(done.stdout)["webhook"]["state"] == "queued"
        with serve(tmp_path) as server:
            server.ready()
            first, second = there.wait(2)
    assert first.messageid == second.messageid
    assert gouache("tasks", "--resend").returncode == 2


def test_the_secret_is_printed_by_its_command_and_nowhere_else():
    first = gouache("webhook-secret")
    assert first.returncode == 0
    assert first.stdout == gouache("webhook-secret").stdout
    secret = first.stdout.strip()
    assert secret.startswith("whsec_")
    for command in (["doctor"], ["doctor", "--json"]):
        done = gouache(*command)
        assert secret not in done.stdout + done.stderr
        assert "gouache webhook-secret prints it" in done.stdout


def test_a_secret_that_is_none_is_refused_and_not_shown(monkeypatch):
    monkeypatch.setenv("GOUACHE_WEBHOOK_SECRET", "a-guess-that-nobody-may-read")
    done = gouache("webhook-secret")
    assert done.returncode == 3
    assert "webhook_secret must be whsec_ and then 24 to 64 bytes in base64" in done.stderr
    assert "guess" not in done.stderr


def test_two_workers_tell_each_end_once(tmp_path, monkeypatch, postgres_url):
    monkeypatch.setenv("GOUACHE_DATABASE_URL", postgres_url)
    with (
        receiver() as there,
        begun(tmp_path / "server", "serve", "--port", "0", "--no-work") as server,
        begun(tmp_path / "one", "worker") as one,
        begun(tmp_path / "two", "worker") as two,
    ):
        for worker in (one, two):
            worker.ready()
        url = server.ready()
        taskuuids = {post(url, task() | {"webhook": there.url}) for _ in range(12)}
        there.wait(12, 60)
        time.sleep(1)
        assert len(there.messages) == 12
        assert {message.event["data"]["taskuuid"] for message in there.messages} == taskuuids
        for process in (one, two, server):
            assert process.stop()[0] == 0


def test_the_receiver_of_the_page_takes_what_is_ours_and_refuses_the_rest(tmp_path, monkeypatch):
    (program,) = blocks("python", (ROOT / "docs" / "webhooks.md").read_text())
    port = dead_port()
    assert program.count("9000") == 1
    (tmp_path / "receiver.py").write_text(program.replace("9000", str(port)))
    monkeypatch.setenv("WEBHOOK_SECRET", gouache("webhook-secret").stdout.strip())
    url = f"http://127.0.0.1:{port}/"
    with (tmp_path / "out.txt").open("w") as out:
        process = subprocess.Popen([sys.executable, "receiver.py"], stdout=out, stderr=out)
        try:
            until(lambda: answers(port))
            code, _, said = run(task() | {"webhook": url})
            assert (code, "webhook" in said) == (0, False)
            forged = headers(new_secret(), "msg_forged", int(time.time()), b"{}")
            answer = httpx2.post(url, content=b"{}", headers=forged, trust_env=False)
            assert answer.status_code == 401
            printed = until(lambda: "task.succeeded" in (tmp_path / "out.txt").read_text())
        finally:
            process.kill()
            process.wait()
    assert printed
    assert "msg_forged" not in (tmp_path / "out.txt").read_text()


def answers(port):
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True
