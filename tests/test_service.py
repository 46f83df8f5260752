"""Stubs, stubposts and tasks, end to end in one process, on SQLite and on PostgreSQL."""

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa

from gouache import database, images
from gouache.contract import BUILT_IN_GATEWAY, read, seed_of
from gouache.errors import (
    AlreadyRunning,
    FileNotFound,
    GatewayNotFound,
    IdempotencyKeyReused,
    LinkRefused,
    RequestError,
    SettingsError,
    StubExists,
    StubNotFound,
    StubpostNotFound,
    TaskNotCancellable,
    TaskNotFound,
    UnsupportedByEngine,
)
from gouache.records import NewStub, NewStubpost, NewTask, Progress, result
from gouache.service import open_service
from gouache.settings import read_settings

CAT = "A white cat sitting on a red sports car."
GATEWAY = {
    "taskapigatewayuuid": BUILT_IN_GATEWAY,
    "engine": "fake",
    "concurrency": 2,
    "retry_seconds": 0.1,
}
OTHER = "0b6b6a0e-3f0f-4f0c-9d55-1f3f6f3a0c11"


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request):
    return "" if request.param == "sqlite" else request.getfixturevalue("postgres_url")


@pytest.fixture
def opened(url, tmp_path):
    """Return a function that opens the service, with one gateway of the fake engine."""
    open_services = []

    def open_it(*, start=True, gateway=None, **settings):
        given = {
            "data_dir": tmp_path / "data",
            "database_url": url,
            "stop_seconds": 0,
            "gateways": {"fake": GATEWAY | (gateway or {})},
        }
        context = open_service(read_settings(**given | settings))
        service = context.__enter__()
        open_services.append(context)
        if start:
            service.work.start()
        return service

    yield open_it
    for context in reversed(open_services):
        context.__exit__(None, None, None)


@pytest.fixture
def service(opened):
    return opened()


def task(prompt=CAT, *, stubref=None, priority=100, gateway=BUILT_IN_GATEWAY, **params):
    given = {
        "tasktype": "generate_image",
        "taskapigatewayuuid": str(gateway),
        "params": {"prompt": prompt} | params,
        "priority": priority,
    }
    return read(NewTask, given | ({"stubref": stubref} if stubref else {}))


def post(**tasks):
    given = {
        name: {"tasktype": "generate_image", "params": {"prompt": CAT} | params}
        for name, params in tasks.items()
    }
    return read(NewStubpost, {"action": "welcome", "tasks": given})


def ended(service, *records, seconds=30):
    uuids = [record.taskuuid for record in records]
    assert asyncio.run(service.wait(uuids, seconds)), "not ended in time"
    found = [service.task(uuid) for uuid in uuids]
    return found[0] if len(found) == 1 else found


def until(true, seconds=10):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"not so within {seconds} s"
        time.sleep(0.02)


def rows(service, table):
    with database.reading(service._engine) as connection:
        return connection.scalar(sa.select(sa.func.count()).select_from(table))


def everything(service):
    tables = (database.stubs, database.stubposts, database.tasks, database.files)
    return [rows(service, table) for table in (*tables, database.idempotency_keys)]


def stored(service):
    folder = service.settings.data_dir / "files"
    return [path for path in folder.rglob("*") if path.is_file()]


def test_a_task_is_drawn_and_its_picture_stored(service):
    record = ended(service, service.submit(task()))
    assert (record.state, record.success, record.attempts) == ("succeeded", True, 1)
    envelope = result(record).as_json()
    assert envelope["payload"]["request"] == {
        "prompt": CAT,
        "size": "1024x1024",
        "model": "dall-e-3",
        "quality": "standard",
        "n": 1,
    }
    response = envelope["payload"]["response"]
    assert response["model"] == "fake-1"
    assert abs(response["created"] - time.time()) < 30
    assert envelope["payload"]["image"] == response["data"][0]["image"]
    image = envelope["payload"]["image"]
    assert image["contentType"] == "image/png"
    assert image["alt_text"] == CAT
    path = service.file_path(image["fileuuid"])
    assert stored(service) == [path]
    recipe = images.read_recipe(path.read_bytes())
    assert (recipe.request.prompt, recipe.model, recipe.seed) == (CAT, "fake-1", response["seed"])
    assert service.file(image["fileuuid"]).size == path.stat().st_size


def test_the_same_user_gets_the_same_avatar_whatever_the_stub(service):
    drawn = []
    for user, seed_from in (
        ("Ada", "~~stub.data.user"),
        ("Ada", "Ada"),
        ("Zoë", "~~stub.data.user"),
    ):
        stub = service.create_stub(NewStub(data={"user": user}))
        stubpost = service.add_stubpost(stub.stubref, post(avatar={"seed_from": seed_from}))
        record = ended(service, stubpost.tasks["avatar"])
        data = service.file_path(record.payload.image.fileuuid).read_bytes()
        assert record.payload.request["seed_from"] == user
        assert record.payload.response.seed == seed_of(user)
        assert user.encode() not in data
        drawn.append(images.decode_png(data))
    assert (drawn[0] == drawn[1]).all()
    assert (drawn[0] != drawn[2]).any()


def test_a_link_to_a_file_is_good_until_it_expires_and_only_as_it_was_made(opened):
    service = opened(file_url_seconds=1)
    record = ended(service, service.submit(task()))
    link = record.payload.response.data[0].url
    fileuuid = record.payload.image.fileuuid
    begin = f"{service.settings.address}/files/{fileuuid}?expires="
    assert link.startswith(begin)
    expires, signature = link.removeprefix(begin).split("&signature=")
    service.check_link(fileuuid, expires, signature)
    for altered in (
        (fileuuid, str(int(expires) + 1000), signature),
        (fileuuid, expires, signature[:-1] + ("0" if signature[-1] != "0" else "1")),
        (OTHER, expires, signature),
        (fileuuid, "never", signature),
        (fileuuid, expires, "é" * 64),
    ):
        with pytest.raises(LinkRefused, match="altered"):
            service.check_link(*altered)
    until(lambda: time.time() > int(expires) + 0.01)
    with pytest.raises(LinkRefused, match="expired"):
        service.check_link(fileuuid, expires, signature)
    assert service.task(record.taskuuid).payload.response.data[0].url != link


def test_the_picture_is_posted_on_the_stub_once(service):
    stub = service.create_stub(NewStub(data={"name": "Ada"}))
    stubpost = service.add_stubpost(stub.stubref, post(avatar={}))
    assert [task.state for task in stubpost.tasks.values()] in (["queued"], ["running"])
    avatar = ended(service, stubpost.tasks["avatar"])
    first, second = service.stub(stub.stubref).stubposts
    assert first.stubpostuuid == stubpost.stubpostuuid
    assert first.tasks["avatar"] == avatar
    assert second.action == "_update_from_generate_image"
    assert second.response_to == avatar.taskuuid
    assert [file.fileuuid for file in second.attachments] == [avatar.payload.image.fileuuid]
    assert CAT in second.message
    assert second.data["payload"]["image"] == avatar.payload.image.model_dump()
    assert second.tasks == {}
    assert avatar.payload.image.filename.startswith(f"{stub.stubref}_")
    assert avatar.payload.image.filename.endswith("_avatar.png")


def test_the_picture_is_not_posted_when_the_task_says_so(service):
    stub = service.create_stub(NewStub())
    new = post(quiet={"disable_model_response": "true"})
    stubpost = service.add_stubpost(stub.stubref, new)
    assert ended(service, stubpost.tasks["quiet"]).payload.image is not None
    assert len(service.stub(stub.stubref).stubposts) == 1


def test_a_single_task_posts_on_the_stub_it_names(service):
    stub = service.create_stub(NewStub())
    record = ended(service, service.submit(task(stubref=stub.stubref)))
    (response,) = service.stub(stub.stubref).stubposts
    assert response.response_to == record.taskuuid


def test_the_action_of_the_post_is_a_setting(opened):
    service = opened(response_action="_picture")
    stub = service.create_stub(NewStub())
    ended(service, service.submit(task(stubref=stub.stubref)))
    assert service.stub(stub.stubref).stubposts[0].action == "_picture"


def test_the_tasks_of_a_stubpost_run_in_their_order_also_after_one_that_failed(service):
    stub = service.create_stub(NewStub())
    new = post(z={"model": "fake-refusing"}, a={}, m={})
    stubpost = service.add_stubpost(stub.stubref, new)
    assert list(stubpost.tasks) == ["z", "a", "m"]
    states = [record.state for record in stubpost.tasks.values()]
    assert states[0] in ("queued", "running")
    assert states[1:] == ["waiting", "waiting"]
    z, a, m = ended(service, *stubpost.tasks.values())
    assert [z.state, a.state, m.state] == ["failed", "succeeded", "succeeded"]
    assert z.ended <= a.started <= a.ended <= m.started
    assert (z.error.code, z.error.retryable, z.attempts) == ("content_refused", False, 1)
    assert result(z).as_json()["payload"] == {
        "request": {
            "prompt": CAT,
            "size": "1024x1024",
            "model": "fake-refusing",
            "quality": "standard",
            "n": 1,
        }
    }


def test_what_is_retryable_is_tried_again(service):
    flaky = ended(service, service.submit(task(str(time.time_ns()), model="fake-flaky")))
    assert (flaky.state, flaky.attempts) == ("succeeded", 2)
    failing = ended(service, service.submit(task(model="fake-failing")))
    assert (failing.state, failing.attempts) == ("failed", 3)
    assert (failing.error.code, failing.error.retryable) == ("engine_unavailable", True)
    assert failing.task_duration_ms >= 100 + 200, "it waits longer each time"


def test_a_try_that_takes_too_long_is_given_up(opened):
    service = opened(gateway={"timeout_seconds": 0.7, "tries": 2})
    record = ended(service, service.submit(task(model="fake-slow")))
    assert (record.state, record.attempts) == ("failed", 2)
    assert record.error.code == "engine_timed_out"
    until(lambda: service._durable.running() == {})
    assert stored(service) == []


def test_lower_priorities_are_drawn_first(opened):
    service = opened(gateway={"concurrency": 1}, start=False)
    last, first, middle = (service.submit(task(priority=n)) for n in (300, 1, 200))
    assert first.state == "queued"
    service.work.start()
    last, first, middle = ended(service, last, first, middle)
    assert first.started < middle.started < last.started


def test_a_gateway_begins_no_more_tries_than_its_rate_limit(opened):
    service = opened(gateway={"rate_limit": 2, "rate_period_seconds": 2, "concurrency": 9})
    records = ended(service, *(service.submit(task(str(n))) for n in range(5)))
    started = sorted(record.started for record in records)
    assert all(after > before for before, after in zip(started, started[2:], strict=False))
    seconds = [float(text[17:23]) + 60 * float(text[14:16]) for text in started]
    assert seconds[4] - seconds[0] >= 3


def test_a_queued_task_that_is_cancelled_is_never_drawn(opened):
    service = opened(start=False)
    stub = service.create_stub(NewStub())
    record = service.submit(task(stubref=stub.stubref))
    cancelled = service.cancel(record.taskuuid)
    assert (cancelled.state, cancelled.success) == ("cancelled", False)
    assert (cancelled.error.code, cancelled.payload.response) == ("cancelled", None)
    service.work.start()
    other = ended(service, service.submit(task()))
    assert stored(service) == [service.file_path(other.payload.image.fileuuid)]
    assert service.stub(stub.stubref).stubposts == []
    with pytest.raises(TaskNotCancellable):
        service.cancel(record.taskuuid)


def test_a_running_task_that_is_cancelled_stops_and_leaves_nothing(service):
    record = service.submit(task(model="fake-slow", quality="hd"))
    until(lambda: service.task(record.taskuuid).state == "running")
    assert service.tasks(state="running").items[0].taskuuid == record.taskuuid
    assert service.tasks(state="queued").items == []
    service.cancel(record.taskuuid)
    until(lambda: service._durable.running() == {}, seconds=3)
    cancelled = service.task(record.taskuuid)
    assert cancelled.state == "cancelled"
    assert cancelled.started is not None
    assert cancelled.task_duration_ms > 0
    assert stored(service) == []


def test_a_waiting_task_can_be_cancelled_and_the_others_go_on(opened):
    service = opened(start=False)
    stub = service.create_stub(NewStub())
    tasks = service.add_stubpost(stub.stubref, post(a={}, b={}, c={}, d={})).tasks
    service.cancel(tasks["c"].taskuuid)
    assert service.task(tasks["b"].taskuuid).state == "waiting"
    service.cancel(tasks["a"].taskuuid)
    assert service.task(tasks["b"].taskuuid).state == "queued"
    service.work.start()
    records = ended(service, *tasks.values())
    states = [record.state for record in records]
    assert states == ["cancelled", "succeeded", "cancelled", "succeeded"]


def test_a_key_makes_a_task_once(service):
    first = service.submit(task(), key="a")
    assert service.submit(task(), key="a").taskuuid == first.taskuuid
    assert service.submit(task(), key="b").taskuuid != first.taskuuid
    done = ended(service, first)
    again = service.submit(task(), key="a")
    assert again.payload.image == done.payload.image
    with pytest.raises(IdempotencyKeyReused) as refused:
        service.submit(task("another prompt"), key="a")
    assert refused.value.status == 409
    with pytest.raises(IdempotencyKeyReused):
        service.create_stub(NewStub(), key="a")


def test_a_key_makes_a_stub_and_a_stubpost_once(service):
    stub = service.create_stub(NewStub(), key="s")
    assert service.create_stub(NewStub(), key="s").stubref == stub.stubref
    one = service.add_stubpost(stub.stubref, post(a={}), key="p")
    assert service.add_stubpost(stub.stubref, post(a={}), key="p").tasks.keys() == one.tasks.keys()
    assert rows(service, database.tasks) == 1
    other = service.create_stub(NewStub())
    with pytest.raises(IdempotencyKeyReused):
        service.add_stubpost(other.stubref, post(a={}), key="p")


def test_many_at_once_with_one_stubref_make_one_stub(opened):
    service = opened(start=False)

    def make(n):
        try:
            return service.create_stub(NewStub(stubref="2026-01-01-AAAA-AAAA")).stubref
        except StubExists:
            return None

    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(make, range(16)))
    assert [stubref for stubref in made if stubref] == ["2026-01-01-AAAA-AAAA"]


def test_tasks_whose_gateway_is_gone_are_told_of(opened):
    first = opened(start=False)
    first.submit(task())
    assert first.work.stranded() == {}
    other = opened(start=False, gateways={"other": GATEWAY})
    assert other.work.stranded() == {"fake": 1}


def test_many_at_once_with_one_key_make_one_task(opened):
    service = opened(start=False)
    with ThreadPoolExecutor(12) as pool:
        records = list(pool.map(lambda n: service.submit(task(), key="one"), range(24)))
    assert len({record.taskuuid for record in records}) == 1
    assert rows(service, database.tasks) == 1


@pytest.mark.parametrize(
    ("new", "error", "param"),
    [
        (post(logo={"size": "512x512"}), RequestError, "tasks.logo.params.size"),
        (post(a={}, b={"prompt": ""}), RequestError, "tasks.b.params.prompt"),
        (post(a={"model": "dall-e-9"}), UnsupportedByEngine, "tasks.a.params.model"),
        (
            NewStubpost(tasks={"a": {"tasktype": "generate_video", "params": {}}}),
            RequestError,
            "tasks.a.tasktype",
        ),
        (
            NewStubpost(
                tasks={
                    "a": {
                        "tasktype": "generate_image",
                        "taskapigatewayuuid": OTHER,
                        "params": {"prompt": CAT},
                    }
                }
            ),
            GatewayNotFound,
            "tasks.a.taskapigatewayuuid",
        ),
        (NewStubpost(attachments=[OTHER]), FileNotFound, "attachments.0"),
    ],
)
def test_a_stubpost_that_is_refused_leaves_nothing(opened, new, error, param):
    service = opened(start=False)
    stub = service.create_stub(NewStub())
    before = everything(service)
    with pytest.raises(error) as refused:
        service.add_stubpost(stub.stubref, new, key="k")
    assert refused.value.param == param
    assert everything(service) == before


def test_a_task_that_is_refused_leaves_nothing(opened):
    service = opened(start=False)
    for new, error in (
        (task(size="1x1"), RequestError),
        (task(gateway=OTHER), GatewayNotFound),
        (task(model="x"), UnsupportedByEngine),
        (task(stubref="2026-01-01-AAAA-AAAA"), StubNotFound),
    ):
        with pytest.raises(error):
            service.submit(new, key="k")
    assert everything(service) == [0, 0, 0, 0, 0]


def test_what_is_not_there_is_not_found(service):
    missing = "2026-01-01-AAAA-AAAA"
    stub = service.create_stub(NewStub(stubref="2026-01-01-BBBB-BBBB"))
    for call, error in (
        (lambda: service.stub(missing), StubNotFound),
        (lambda: service.stubposts(missing), StubNotFound),
        (lambda: service.add_stubpost(missing, NewStubpost()), StubNotFound),
        (lambda: service.stubpost(stub.stubref, OTHER), StubpostNotFound),
        (lambda: service.task(OTHER), TaskNotFound),
        (lambda: service.cancel(OTHER), TaskNotFound),
        (lambda: service.file(OTHER), FileNotFound),
        (lambda: service.delete_file(OTHER), FileNotFound),
        (lambda: service.create_stub(NewStub(stubref=stub.stubref)), StubExists),
        (lambda: service.stubs(after="x"), RequestError),
        (lambda: service.work.start(["nowhere"]), SettingsError),
    ):
        with pytest.raises(error):
            call()


def test_lists_come_in_pages_newest_first(opened):
    service = opened(start=False)
    refs = [service.create_stub(NewStub(state=f"s{n % 2}")).stubref for n in range(5)]
    first = service.stubs(limit=2)
    second = service.stubs(limit=2, after=first.next)
    third = service.stubs(limit=2, after=second.next)
    assert [s.stubref for page in (first, second, third) for s in page.items] == refs[::-1]
    assert third.next is None
    assert [s.stubref for s in service.stubs(state="s1").items] == [refs[3], refs[1]]
    one = service.submit(task(stubref=refs[0]))
    other = service.submit(task())
    assert [t.taskuuid for t in service.tasks().items] == [other.taskuuid, one.taskuuid]
    assert [t.taskuuid for t in service.tasks(stubref=refs[0]).items] == [one.taskuuid]
    assert [t.taskuuid for t in service.tasks(single=True).items] == [other.taskuuid]
    assert service.tasks(state="succeeded").items == []
    posts = [service.add_stubpost(refs[1], NewStubpost(message=str(n))) for n in range(3)]
    page = service.stubposts(refs[1], limit=2)
    assert [p.message for p in page.items] == ["2", "1"]
    assert service.stubposts(refs[1], after=page.next).items == posts[:1]


def test_events_tell_of_each_state_and_each_step(service):
    async def watch(record):
        return [event async for event in service.events(record.taskuuid)]

    events = asyncio.run(watch(service.submit(task(model="fake-slow"))))
    states = [event.state for event in events if not isinstance(event, Progress)]
    assert states == ["queued", "running", "succeeded"]
    steps = [event for event in events if isinstance(event, Progress)]
    assert [event.step for event in steps] == sorted({event.step for event in steps})
    assert len(steps) >= 3
    assert steps[0].preview.startswith("data:image/jpeg;base64,")
    assert isinstance(events[-1].payload.image.fileuuid, str)
    assert len(asyncio.run(watch(events[-1]))) == 1


def test_waiting_ends_in_time_and_many_may_wait(service):
    record = service.submit(task(model="fake-slow"))

    async def wait():
        begun = time.monotonic()
        assert not await service.wait([record.taskuuid], 0.2)
        assert time.monotonic() - begun < 4
        return await asyncio.gather(*(service.wait([record.taskuuid], 20) for _ in range(200)))

    assert all(asyncio.run(wait()))


def test_a_task_that_two_workers_finish_ends_once(opened):
    service = opened(start=False)
    stub = service.create_stub(NewStub())
    record = service.submit(task(stubref=stub.stubref))

    def run(n):
        asyncio.run(service._stubs.run(record.taskuuid, 1, lambda progress: None))

    threads = [threading.Thread(target=run, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    done = service.task(record.taskuuid)
    assert done.state == "succeeded"
    assert stored(service) == [service.file_path(done.payload.image.fileuuid)]
    assert len(service.stub(stub.stubref).stubposts) == 1
    assert rows(service, database.files) == 1


def test_stopping_hands_back_what_is_running(opened):
    service = opened()
    record = service.submit(task(model="fake-slow"))
    until(lambda: service._durable._begun)  # claimed is not begun: DBOS complains of a stop between
    service.work.stop()
    assert service.task(record.taskuuid).state in ("queued", "running")
    service.work.start()
    assert ended(service, record).state == "succeeded"
    assert len(stored(service)) == 1


def test_stopping_lets_what_is_running_end(opened):
    service = opened(stop_seconds=20)
    record = service.submit(task(model="fake-slow"))
    until(lambda: service.task(record.taskuuid).state == "running")
    service.work.stop()
    assert service.task(record.taskuuid).state == "succeeded"


def test_a_deleted_file_is_gone_and_its_task_still_there(service):
    record = ended(service, service.submit(task()))
    service.delete_file(record.payload.image.fileuuid)
    with pytest.raises(FileNotFound):
        service.file(record.payload.image.fileuuid)
    assert stored(service) == []
    assert service.task(record.taskuuid).state == "succeeded"
    assert service.work.missing() == []


def test_files_expire_where_a_setting_says_so(opened):
    service = opened(file_days=1e-6)
    record = ended(service, service.submit(task()))
    time.sleep(0.2)
    service.work.tidy()
    with pytest.raises(FileNotFound):
        service.file(record.payload.image.fileuuid)
    assert stored(service) == []


def test_orphans_and_missing_files_are_found(service, monkeypatch):
    record = ended(service, service.submit(task()))
    path = service.file_path(record.payload.image.fileuuid)
    orphan = Path(f"{path}0")
    orphan.write_bytes(path.read_bytes())
    assert service.work.orphans() == [], "it may be about to get its row"
    monkeypatch.setattr("gouache.work.ORPHAN_SECONDS", -1)
    assert service.work.orphans(-1) == [orphan]
    path.unlink()
    assert service.work.missing() == [record.payload.image.fileuuid]


def test_attachments_are_files_of_ours(service):
    record = ended(service, service.submit(task()))
    image = record.payload.image
    stub = service.create_stub(NewStub(attachments=[image.fileuuid]))
    assert [file.filename for file in stub.attachments] == [image.filename]
    stubpost = service.add_stubpost(stub.stubref, NewStubpost(attachments=[image.fileuuid]))
    assert stubpost.attachments == stub.attachments


def test_warnings_name_unknown_fields(service):
    given = {"tasktype": "generate_image", "params": {"prompt": CAT, "qualty": "hd"}, "titel": 1}
    record = ended(service, service.submit(read(NewTask, given)))
    assert any("'qualty'" in line and "quality" in line for line in record.warnings)
    assert any("'titel'" in line for line in record.warnings)


def test_records_of_finished_tries_are_forgotten_and_the_tasks_kept(service):
    record = ended(service, service.submit(task()))
    until(lambda: service._durable.forget(0) == 1)
    assert service._durable.forget(0) == 0
    assert service.task(record.taskuuid).state == "succeeded"


def test_on_sqlite_one_process_runs_tasks(opened, url):
    if url:
        pytest.skip("on PostgreSQL any number do")
    opened()
    with pytest.raises(AlreadyRunning):
        opened(start=False).work.start()
