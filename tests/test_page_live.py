"""Pages that change by themselves: what comes over their streams."""

import re
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from tests.page_reading import Page
from tests.served import served, until

SLOW = {"tasktype": "generate_image", "params": {"prompt": "A slow <b>cat", "model": "fake-slow"}}
READY = 'hx-swap="textContent">The picture is ready'
ANSWER = "Update from generate image"
SECONDS = 30
QUICK = {"tasktype": "generate_image", "params": {"prompt": "A quick cat"}}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with served(tmp_path_factory.mktemp("live")) as server:
        yield server


@pytest.fixture(scope="module")
def client(server):
    with server.client() as client:
        yield client


@pytest.fixture
def stubref(client):
    return client.post("/stubs", json={}).json()["stubref"]


def post(client, stubref, *tasks, **fields):
    body = {"tasks": {f"task_{i}": task for i, task in enumerate(tasks)}, **fields}
    return client.post(f"/stubs/{stubref}/stubposts", json=body).json()


def stream_of(client, path):
    """Return the address of the stream that a page opens."""
    page = Page(client.get(path).text)
    return next(
        one["hx-sse:connect"] for one in page.elements if "hx-sse:connect" in one.attributes
    )


@contextmanager
def listening(client, address, **headers):
    """Yield the events of a stream, each as its event, id and data."""

    def events(lines):
        event = {}
        end = time.monotonic() + SECONDS
        for line in lines:
            assert time.monotonic() < end, f"nothing more came in {SECONDS} s"
            name, _, value = line.partition(": ")
            if line == "":
                if event:
                    yield event
                    end = time.monotonic() + SECONDS
                event = {}
            elif name:
                event[name] = event[name] + "\n" + value if name in event else value

    with client.stream("GET", address, headers=headers) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        yield events(response.iter_lines())


def first(events, wanted):
    """Return the first event whose data has these words, and the data of those before it."""
    before = []
    for event in events:
        if wanted in event.get("data", ""):
            return event, before
        before.append(event.get("data", ""))
    raise AssertionError(f"{wanted} never came")


def test_a_stub_tells_of_new_posts_and_draws_before_the_eyes(client, stubref):
    with listening(client, stream_of(client, f"/ui/stubs/{stubref}")) as events:
        made = post(client, stubref, SLOW, action="welcome", message="Hello <i>")
        taskuuid = made["tasks"]["task_0"]["taskuuid"]
        event, before = first(events, f'id="post-{made["stubpostuuid"]}"')
        assert before == []
        assert 'hx-target="#feed"' in event["data"] and "Hello &lt;i&gt;" in event["data"]
        assert f"<title>1 running: {stubref} · Gouache</title>" in event["data"]
        event, _ = first(events, "<progress")
        event, _ = first(events, "data:image/")
        assert f'hx-target="#drawing-{taskuuid}"' in event["data"]
        assert re.search(r'max="4" value="[1-4]"', event["data"])
        assert 'alt="The picture so far, not finished"' in event["data"]
        assert "#said" not in event["data"]
        event, between = first(events, READY)
        assert '<hx-partial hx-target="#said"' in event["data"]
        assert f'hx-target="#task-{taskuuid}" hx-swap="outerMorph"' in event["data"]
        assert f"<title>{stubref} · Gouache</title>" in event["data"]
        assert "<b>" not in event["data"]
        if not any(ANSWER in one for one in between):  # whichever is seen first
            event, _ = first(events, ANSWER)
        Page(event["data"])


def test_a_stub_tells_of_tasks_that_come_without_a_post(client, stubref):
    with listening(client, stream_of(client, f"/ui/stubs/{stubref}")) as events:
        task = client.post("/tasks", json=QUICK | {"stubref": stubref}).json()
        event, _ = first(events, f'id="lone-{task["taskuuid"]}"')
        assert "A task without a post" in event["data"]
        if ">Done<" not in event["data"]:  # a quick one has ended when it is first told of
            first(events, READY)


def test_more_tasks_than_are_watched_at_once_are_all_told_of(client, stubref):
    with listening(client, stream_of(client, f"/ui/stubs/{stubref}")) as events:
        made = post(client, stubref, *[QUICK] * 9)
        left = {task["taskuuid"] for task in made["tasks"].values()}
        for event in events:
            done = re.search('class="task is-succeeded" id="task-([^"]*)"', event["data"])
            left -= {done[1]} if done else set()
            if not left:
                break
        assert "running" not in event["data"].partition("</title>")[0]


def test_a_stream_that_is_begun_again_says_what_happened_meanwhile(client, server, stubref):
    made = post(client, stubref, SLOW)
    taskuuid = made["tasks"]["task_0"]["taskuuid"]
    with listening(client, stream_of(client, f"/ui/stubs/{stubref}")) as events:
        mark = next(events)["id"]
    until(lambda: server.service.task(taskuuid).ended)
    address = stream_of(client, f"/ui/stubs/{stubref}")
    with listening(client, address, **{"Last-Event-ID": mark}) as events:
        event, before = first(events, "is-succeeded")
        assert f'hx-target="#task-{taskuuid}"' in event["data"] and before == []
        event, _ = first(events, ANSWER)
        assert made["stubpostuuid"] not in event["data"]


def test_nothing_is_told_twice(client, stubref):
    post(client, stubref, message="one")
    with listening(client, stream_of(client, f"/ui/stubs/{stubref}")) as events:
        made = post(client, stubref, message="two")
        event, before = first(events, "two")
        assert before == [] and "one" not in event["data"]
        assert event["id"].split("_")[1] == made["stubpostuuid"]
        post(client, stubref, message="three")
        event, before = first(events, "three")
        assert before == [] and "two" not in event["data"]


def test_a_task_tells_how_it_is_drawn_to_its_end(client):
    task = client.post("/tasks", json=SLOW).json()
    path = f"/ui/tasks/{task['taskuuid']}"
    with listening(client, stream_of(client, path)) as events:
        heard = list(events)
    assert heard[-1]["event"] == "end"
    assert [event for event in heard if "data:image/" in event["data"]]
    last = heard[-2]["data"]
    assert "<title>Done: A slow &lt;b&gt;cat · Gouache</title>" in last
    assert "The picture is ready" in last and "/files/" in last
    assert sum("#said" in event["data"] for event in heard) <= 3
    page = Page(client.get(path).text)
    assert not [one for one in page.elements if "hx-sse:connect" in one.attributes]
    with listening(client, f"{path}/live") as events:
        assert [event.get("event") for event in events] == [None, "end"]


def test_a_task_that_fails_says_so(client):
    body = {"tasktype": "generate_image", "params": {"prompt": "x", "model": "fake-refusing"}}
    task = client.post("/tasks", json=body).json()
    with listening(client, f"/ui/tasks/{task['taskuuid']}/live") as events:
        event, _ = first(events, "is-failed")
    assert "The task has failed: the model fake-refusing draws no prompt" in event["data"]
    assert "Try again" in event["data"]


def test_streams_of_what_is_not_there_are_refused(client, stubref):
    unknown = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
    assert client.get(f"/ui/tasks/{unknown}/live").status_code == 404
    assert client.get("/ui/stubs/2026-11-24-AAAA-0000/live?mark=1__").status_code == 404
    for mark in ("", "x", "1_2", "1_%0d%0a_", "-1__"):
        assert client.get(f"/ui/stubs/{stubref}/live?mark={mark}").status_code == 400, mark


def test_many_may_watch_at_once_and_leave(client, server, stubref):
    address = stream_of(client, f"/ui/stubs/{stubref}")

    def watch(_):
        with server.client() as own, listening(own, address) as events:
            return first(events, "for all of you")[0]["id"]

    with ThreadPoolExecutor(20) as pool:
        watching = [pool.submit(watch, i) for i in range(20)]
        post(client, stubref, message="for all of you")
        assert len([one.result(30) for one in watching]) == 20
    assert client.get("/ui").status_code == 200
