"""The final check: what clients were promised against what is in the tables and on disk."""

import json
import os
import time
from collections import Counter
from dataclasses import dataclass, field

import httpx2
import sqlalchemy as sa

from gouache import images
from gouache.database import deliveries, files, stubposts, stubs, tasks
from gouache.records import ENDED
from gouache.service import open_service
from gouache.settings import read_settings

HOURS_AGO = 2 * 3600
FETCHED = 40


@dataclass
class Books:
    """What was counted, and each way in which it is wrong."""

    counts: dict = field(default_factory=dict)
    wrong: list = field(default_factory=list)

    def must(self, holds, sentence):
        if not holds:
            self.wrong.append(sentence)


def unended(engine):
    """Return how many tasks have not ended; None while the database is away."""
    try:
        with engine.connect() as connection:
            query = sa.select(sa.func.count()).where(tasks.c.state.not_in(ENDED))
            return connection.scalar(query)
    except sa.exc.DBAPIError:
        return None


def wait_until_ended(engine, seconds):
    """Return whether all tasks ended in time."""
    until = time.monotonic() + seconds
    while unended(engine) != 0:
        if time.monotonic() > until:
            return False
        time.sleep(0.2)
    return True


def wait_until_told(engine, seconds):
    """Return whether all messages about ended tasks were delivered in time."""
    query = sa.select(sa.func.count()).where(deliveries.c.state == "queued")
    until = time.monotonic() + seconds
    while True:
        with engine.connect() as connection:
            if connection.scalar(query) == 0:
                return True
        if time.monotonic() > until:
            return False
        time.sleep(0.2)


def balance(house, engine, promises):
    """Compare everything with everything."""
    books = Books()
    with engine.connect() as connection:
        task_rows = connection.execute(sa.select(tasks).order_by(tasks.c.number)).all()
        file_rows = connection.execute(sa.select(files)).all()
        stub_rows = connection.execute(sa.select(stubs)).all()
        posts = connection.execute(
            sa.select(stubposts).where(stubposts.c.response_to.is_not(None))
        ).all()
        workflows = connection.execute(
            sa.text(f"select workflow_uuid, status, recovery_attempts from {_dbos_table(engine)}")
        ).all()
    books.wrong += promises.wrong
    check_promises(books, promises, task_rows)
    check_results(books, task_rows)
    check_files(books, house, task_rows, file_rows)
    check_posts(books, task_rows, posts)
    check_data(books, task_rows, stub_rows)
    check_order(books, task_rows)
    check_gateways(books, task_rows)
    check_messages(books, task_rows, house.receiver.messages)
    check_workflows(books, workflows)
    check_answers(books, house, task_rows)
    states = Counter(row.state for row in task_rows)
    books.counts = {
        "accepted": len(promises.accepted),
        "unsure": len(promises.unsure & {row.params["prompt"] for row in task_rows}),
        "tasks": len(task_rows),
        **{state: states[state] for state in ENDED},
        "results": sum(row.result is not None for row in task_rows),
        "files": len(file_rows),
        "posts": len(posts),
        "reposts": promises.reposts,
        "tries": sum(row.attempts for row in task_rows),
        **books.counts,
    }
    return books


def check_promises(books, promises, rows):
    """What was accepted is there; what had a key is there once; what was cancelled stayed so."""
    by_uuid = {row.taskuuid: row for row in rows}
    times = Counter(row.params["prompt"] for row in rows)
    for taskuuid, prompt in promises.accepted.items():
        row = by_uuid.get(taskuuid)
        books.must(row is not None, f"{taskuuid} was accepted and is lost")
        if row is not None:
            books.must(row.params["prompt"] == prompt, f"{taskuuid} is another task")
    known = set(promises.accepted.values())
    for prompt, count in times.items():
        books.must(count == 1, f"{prompt!r} is there {count} times")
        expected = prompt in known or prompt in promises.unsure
        books.must(expected, f"{prompt!r} is there and nobody handed it in")
    for prompt in promises.keyed:
        books.must(times[prompt] == 1, f"{prompt!r}, with a key, is there {times[prompt]} times")
    for taskuuid in promises.cancelled:
        state = by_uuid[taskuuid].state if taskuuid in by_uuid else "lost"
        books.must(state == "cancelled", f"{taskuuid} was cancelled and is {state}")


def check_results(books, rows):
    for row in rows:
        books.must(row.state in ENDED, f"{row.taskuuid} is {row.state}")
        books.must(row.result is not None, f"{row.taskuuid}, {row.state}, has no result")
        if row.result is None:
            continue
        success = row.result["success"]
        books.must(success == (row.state == "succeeded"), f"{row.taskuuid}: {row.state}, {success}")
        if row.state == "failed":
            code = row.result["error"]["code"]
            books.counts[f"failed: {code}"] = books.counts.get(f"failed: {code}", 0) + 1


def check_files(books, house, task_rows, file_rows):
    """Each picture has one row and one file of its own; what a kill left over can be swept."""
    folder = house.data_dir / "files"
    found = {path.name: path for path in folder.glob("*/*")}
    of_task = Counter(row.taskuuid for row in file_rows)
    prompts = {row.taskuuid: row.params["prompt"] for row in task_rows}
    for row in task_rows:
        expected = int(row.state == "succeeded" and row.tasktype == "generate_image")
        count = of_task[row.taskuuid]
        books.must(count == expected, f"{row.taskuuid}, {row.state}, has {count} file rows")
    for row in file_rows:
        path = found.get(row.stored)
        books.must(path is not None, f"the file {row.stored} is missing")
        if path is not None:
            data = path.read_bytes()
            books.must(len(data) == row.size, f"{row.stored} has {len(data)} bytes, not {row.size}")
            drawn = images.read_recipe(data).request.prompt
            books.must(drawn == prompts[row.taskuuid], f"{row.stored} is the picture of another")
            images.decode_png(data)  # whole to the last byte
    left = set(found) - {row.stored for row in file_rows}
    pictured = {row.fileuuid for row in file_rows}
    for name in left:
        fileuuid = name[:36]
        books.must(fileuuid not in pictured, f"{name} is a second file of a picture")
    books.counts["left over"] = len(left)
    sweep(books, house, left, found, {row.stored for row in file_rows})


def sweep(books, house, left, found, stored):
    """Make what is left look old: the service's own sweeping takes just that."""
    for name in left:
        moment = time.time() - HOURS_AGO
        os.utime(found[name], (moment, moment))
    settings = read_settings(
        data_dir=house.data_dir, database_url=house.database_url, engine="fake"
    )
    with open_service(settings) as service:
        service.work.sweep()
        books.must(service.work.missing() == [], f"missing: {service.work.missing()}")
    on_disk = {path.name for path in (house.data_dir / "files").glob("*/*")}
    books.must(on_disk == stored, f"after sweeping, disk and rows differ by {on_disk ^ stored}")
    books.counts["orphans"] = len(on_disk - stored)


def check_posts(books, task_rows, posts):
    """A picture is posted on its stub once, unless its task said not to."""
    of_task = Counter(post.response_to for post in posts)
    stub_of = {post.response_to: post.stubref for post in posts}
    for row in task_rows:
        silent = row.params.get("disable_model_response") in (True, "true")
        drawn = row.state == "succeeded" and row.tasktype == "generate_image"
        expected = int(drawn and row.stubref is not None and not silent)
        count = of_task[row.taskuuid]
        books.must(count == expected, f"{row.taskuuid} has {count} posts, not {expected}")
        if count:
            books.must(stub_of[row.taskuuid] == row.stubref, f"{row.taskuuid}: on another stub")
    unknown = set(of_task) - {row.taskuuid for row in task_rows}
    books.must(not unknown, f"posts of unknown tasks: {unknown}")


def check_data(books, task_rows, stub_rows):
    """What a task was to keep in its stub's data is there if it succeeded, and only then."""
    kept = [row for row in task_rows if row.tasktype == "savedata" and row.state == "succeeded"]
    for stub in stub_rows:
        expected = {row.params["prompt"] for row in kept if row.stubref == stub.stubref}
        found = set(stub.data.get("kept", {}))
        books.must(found == expected, f"{stub.stubref} keeps {found}, not {expected}")
    books.counts["kept"] = len(kept)


def check_order(books, task_rows):
    """A task of a stubpost began only after those before it had ended."""
    ends = {}
    for row in task_rows:
        if row.stubpostuuid is None:
            continue
        last = ends.get(row.stubpostuuid, 0)
        if row.started is not None:
            books.must(row.started >= last, f"{row.taskuuid} began before its turn")
        ends[row.stubpostuuid] = max(last, row.ended or 0)


def check_gateways(books, task_rows):
    """A task whose gateway is away is drawn by the spare one, after all tries of the first."""
    spared = [row for row in task_rows if row.gateway == "spare"]
    for row in spared:
        books.must(row.first_gateway == "fake", f"{row.taskuuid} is on a gateway nobody asked for")
        books.must(
            row.attempts_before == 3, f"{row.taskuuid} fell back after {row.attempts_before}"
        )
        said = sum("spare took over" in sentence for sentence in row.warnings)
        books.must(said == 1, f"{row.taskuuid} says {said} times that it fell back")
    for row in task_rows:
        if row.params.get("model") == "fake-failing" and row.state == "succeeded":
            books.must(row.gateway == "spare", f"{row.taskuuid} was drawn by what is away")
    books.counts["drawn by the spare gateway"] = sum(row.state == "succeeded" for row in spared)


def check_messages(books, task_rows, messages):
    """Each end was told to the webhook that wanted it, at least once, always under one id."""
    told = {}
    for message in messages:
        event = message.event
        seen = told.setdefault(event["data"]["taskuuid"], set())
        seen.add((message.messageid, event["type"]))
    for row in task_rows:
        expected = {(f"msg_{row.taskuuid}", f"task.{row.state}")} if row.webhook else set()
        found = told.pop(row.taskuuid, set())
        books.must(found == expected, f"{row.taskuuid}, {row.state}, was told as {found}")
    books.must(not told, f"told of unknown tasks: {set(told)}")
    books.counts["told"] = sum(row.webhook is not None for row in task_rows)
    books.counts["told again"] = len(messages) - books.counts["told"]


def check_workflows(books, workflows):
    statuses = Counter(row.status for row in workflows)
    for status in ("ENQUEUED", "PENDING", "DELAYED"):
        books.must(statuses[status] == 0, f"{statuses[status]} tries are still {status}")
    books.counts["begun again"] = sum(max((row.recovery_attempts or 0) - 1, 0) for row in workflows)


def check_answers(books, house, task_rows):
    """What the server says is what is in the tables; the pictures can be fetched."""
    with httpx2.Client(base_url=house.address, timeout=20, trust_env=False) as http:
        for row in task_rows[:: max(1, len(task_rows) // FETCHED)]:
            answer = http.get(f"/tasks/{row.taskuuid}")
            books.must(answer.status_code == 200, f"{row.taskuuid}: {answer.status_code}")
            record = answer.json()
            books.must(record["state"] == row.state, f"{row.taskuuid}: {json.dumps(record)[:200]}")
            if row.state == "succeeded" and row.tasktype == "generate_image":
                url = record["payload"]["response"]["data"][0]["url"]
                picture = http.get(url)
                books.must(picture.status_code == 200, f"{url}: {picture.status_code}")
                books.must(picture.content[:4] == b"\x89PNG", f"{url} is no picture")


def _dbos_table(engine):
    return "workflow_status" if engine.dialect.name == "sqlite" else "dbos.workflow_status"
