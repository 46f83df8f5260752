"""Webhooks, end to end in one process, on SQLite and on PostgreSQL, with real receivers."""

import asyncio
import logging
import threading
import time
from itertools import pairwise

import pytest
import sqlalchemy as sa
from dbos import DBOS
from standardwebhooks import Webhook

from gouache import calling, sending, webhooks
from gouache.contract import BUILT_IN_GATEWAY, read
from gouache.database import writing
from gouache.durable import delivery_id
from gouache.errors import (
    DatabaseUnavailable,
    SettingsError,
    TaskNotFound,
    WebhookNotSendable,
    WebhookRefused,
)
from gouache.records import NewStub, NewStubpost, NewTask, as_json
from gouache.sending import Answer
from gouache.service import open_service
from gouache.settings import read_settings
from gouache.signatures import new_secret
from tests.postgres import MISSING, programs
from tests.receivers import NAME, PUBLIC, later, receiver, say
from tests.receivers import world as world
from tests.served import until

GATEWAY = {"taskapigatewayuuid": BUILT_IN_GATEWAY, "engine": "fake", "concurrency": 2}
DEAD = "http://127.0.0.1:9/told?token=secret"


@pytest.fixture(params=["sqlite", "postgresql"])
def opened(request, tmp_path):
    """Return a function that opens the service; a webhook may lead to this machine."""
    if request.param == "postgresql" and programs() is None:
        pytest.skip(MISSING)
    url = "" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    contexts = []

    def open_it(*, start=True, **settings):
        given = {
            "data_dir": tmp_path,
            "database_url": url,
            "stop_seconds": 10,
            "gateways": {"fake": GATEWAY | {"tries": 1}},
            "webhook_private_networks": True,
        }
        contexts.append(open_service(read_settings(**given | settings)))
        service = contexts[-1].__enter__()
        if start:
            service.work.start()
        return service

    yield open_it
    for context in contexts:
        context.__exit__(None, None, None)


@pytest.fixture
def service(opened):
    return opened()


@pytest.fixture
def idle(opened):
    """A service that runs no tasks and sends nothing."""
    return opened(start=False)


@pytest.fixture
def soon(monkeypatch):
    """Let each try follow the one before it at once."""
    monkeypatch.setattr(webhooks, "PAUSES", (0.05,) * 3)


def given(url=None, **params):
    task = {"tasktype": "generate_image", "params": {"prompt": "a cat"} | params}
    return task | ({"webhook": url} if url else {})


def submit(service, url=None, **params):
    return service.submit(read(NewTask, given(url, **params))).taskuuid


def told(service, taskuuid):
    return service.task(taskuuid).webhook


def delivered(service, taskuuid):
    return until(lambda: (w := told(service, taskuuid)).state == "delivered" and w)


def check(service, message):
    """Verify a message as its receiver does, and return its event."""
    return Webhook(service.webhooks.secret()).verify(message.body, message.headers)


def ended(service, taskuuid):
    """Cancel a task, which ends it without drawing."""
    return service.cancel(taskuuid)


def test_a_drawn_task_is_told_once_as_the_api_shows_it(service):
    with receiver() as there:
        taskuuid = submit(service, there.url)
        assert told(service, taskuuid).model_dump(exclude_none=True) == {
            "url": there.url,
            "state": "waiting",
            "attempts": 0,
        }
        (message,) = there.wait()
        webhook = delivered(service, taskuuid)
        time.sleep(0.5)
    assert there.messages == [message]
    assert (message.path, message.headers["content-type"]) == (
        "/told?token=secret",
        "application/json",
    )
    assert (webhook.attempts, webhook.status, webhook.error) == (1, 204, None)
    event = check(service, message)
    task = as_json(service.task(taskuuid))
    assert event.keys() == {"type", "timestamp", "data"}
    assert (event["type"], event["timestamp"]) == ("task.succeeded", task["ended"])
    (link,) = (data.pop("url") for data in event["data"]["payload"]["response"]["data"])
    assert "signature=" in link
    del task["webhook"], task["payload"]["response"]["data"][0]["url"]
    assert event["data"] == task


def test_what_failed_was_skipped_or_cancelled_is_told_as_well(service):
    with receiver() as there:
        submit(service, there.url, model="fake-refusing")
        service.submit(read(NewTask, given(there.url) | {"conditions": ["1 = 2"]}))
        running = submit(service, there.url, model="fake-slow", quality="hd")
        until(lambda: service.task(running).state == "running")
        service.cancel(running)
        events = {
            check(service, message)["type"]: check(service, message) for message in there.wait(3)
        }
    assert events.keys() == {"task.failed", "task.skipped", "task.cancelled"}
    assert events["task.failed"]["data"]["error"]["code"] == "content_refused"
    assert events["task.cancelled"]["data"]["error"]["param"] is None
    assert events["task.skipped"]["data"]["skipped"] == "1 = 2"
    assert events["task.cancelled"]["data"]["taskuuid"] == running


def test_each_task_of_a_stubpost_is_told_to_its_own_webhook_or_everybodys(opened):
    with receiver() as own, receiver() as everybodys:
        service = opened(webhook_url=everybodys.url)
        stub = service.create_stub(NewStub())
        tasks = {"logo": given(own.url), "avatar": given(), "banner": given()}
        post = service.add_stubpost(stub.stubref, NewStubpost(tasks=tasks))
        names = {check(service, m)["data"]["name"] for m in everybodys.wait(2)}
        (message,) = own.wait()
    assert names == {"avatar", "banner"}
    assert message.event["data"]["name"] == "logo"
    assert post.tasks["avatar"].webhook.url == everybodys.url


def test_a_task_without_a_webhook_costs_no_statement_and_shows_none(service):
    statements = []

    def note(connection, cursor, statement, *rest):
        statements.append(statement)

    sa.event.listen(service._engine, "before_cursor_execute", note)
    taskuuid = submit(service)
    until(lambda: service.task(taskuuid).ended)
    sa.event.remove(service._engine, "before_cursor_execute", note)
    assert len(statements) > 5
    assert [
        s for s in statements if "deliveries" in s and "LEFT OUTER JOIN deliveries" not in s
    ] == []
    assert "webhook" not in as_json(service.task(taskuuid))


def test_a_receiver_that_fails_at_first_gets_the_same_message_again(service, soon):
    with receiver(500, later(0.1, 503)) as there:
        taskuuid = submit(service, there.url)
        messages = there.wait(3)
        assert delivered(service, taskuuid).attempts == 3
    assert len({message.messageid for message in messages}) == 1
    assert [check(service, message)["data"]["taskuuid"] for message in messages] == [taskuuid] * 3


def test_a_receiver_that_was_down_is_told_when_it_is_back(service, soon):
    with receiver() as there:
        url, port = there.url, there.port
    taskuuid = submit(service, url)
    webhook = until(lambda: (w := told(service, taskuuid)).attempts and w)
    assert webhook.error == "cannot be connected to"
    with receiver(port=port) as there:
        there.wait()
        assert delivered(service, taskuuid).error is None


def test_after_the_last_try_it_is_given_up(service, soon):
    taskuuid = submit(service, DEAD)
    webhook = until(lambda: (w := told(service, taskuuid)).state == "failed" and w)
    assert (webhook.attempts, webhook.delivered) == (4, None)
    assert webhook.error == "cannot be connected to"


@pytest.mark.parametrize("status", [410, 307])
def test_the_record_says_in_words_what_a_receiver_answered(service, monkeypatch, status):
    monkeypatch.setattr(webhooks, "PAUSES", (60,))
    with receiver(status) as there:
        taskuuid = submit(service, there.url)
        webhook = until(lambda: (w := told(service, taskuuid)).attempts and w)
    assert webhook.status == status
    assert (webhook.state, webhook.error) == {
        410: ("failed", "answered 410: it wants no more messages"),
        307: ("queued", "answered 307, a redirect, which is not followed"),
    }[status]


def test_tries_are_spread_over_a_day():
    assert len(webhooks.PAUSES) == 9
    assert all(earlier < later for earlier, later in pairwise(webhooks.PAUSES))
    assert 20 * 3600 < sum(webhooks.PAUSES) < 28 * 3600
    pauses = {webhooks._pause(1, Answer(500, "answered 500")) for _ in range(100)}
    assert len(pauses) > 50
    assert all(4 <= pause <= 6 for pause in pauses)


@pytest.mark.parametrize(
    ("wanted", "least", "most"),
    [(-5, 4, 6), (1, 4, 6), (60, 60, 60), (10**9, 12 * 3600, 12 * 3600)],
)
def test_a_receiver_may_ask_for_a_longer_pause_but_not_for_ever(wanted, least, most):
    answer = Answer(503, "answered 503", retry_after_seconds=wanted)
    assert least <= webhooks._pause(1, answer) <= most


def test_the_pause_that_a_receiver_asks_for_is_kept(service, soon):
    def in_a_while(request):
        say(request, 503, Retry_After="2")

    with receiver(in_a_while) as there:
        submit(service, there.url)
        there.wait()
        begun = time.monotonic()
        there.wait(2)
    assert time.monotonic() - begun > 1.5


def test_slow_receivers_hold_up_no_drawing(service, monkeypatch):
    def hold(request):
        released.wait(60)
        say(request, 204)

    released = threading.Event()
    monkeypatch.setattr(calling, "CONNECT_SECONDS", 60)
    monkeypatch.setattr(sending, "WHOLE_SECONDS", 60)
    with receiver(*[hold] * 30) as there:
        for _ in range(25):
            ended(service, submit(service, there.url))
        there.wait(20)
        taskuuid = submit(service)
        until(lambda: service.task(taskuuid).success)
        assert len(there.messages) == 20
        released.set()
        there.wait(25)


@pytest.mark.parametrize("name", [NAME, "10.0.0.1.example"])
def test_a_name_that_leads_into_a_private_network_is_refused_when_it_is_called(opened, world, name):
    world.leads(name, "10.0.0.1")
    service = opened(webhook_private_networks=False)
    taskuuid = submit(service, f"https://{name}/")
    webhook = until(lambda: (w := told(service, taskuuid)).state == "failed" and w)
    assert webhook.error.startswith("leads to a private network")
    assert (webhook.attempts, "10.0.0.1" in world.reached) == (1, False)


def test_by_default_the_world_is_told(opened, world):
    world.leads(NAME, PUBLIC)
    service = opened(webhook_private_networks=False)
    with receiver() as there:
        world.sites[PUBLIC] = there.port
        taskuuid = submit(service, f"http://{NAME}/")
        there.wait()
        assert delivered(service, taskuuid).attempts == 1


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "10.0.0.1", "[::1]", "169.254.169.254", "2130706433", "0x7f.1"],
)
def test_a_plainly_private_webhook_is_refused_by_name(opened, host):
    service = opened(start=False, webhook_private_networks=False)
    url = f"http://{host}/"
    with pytest.raises(
        WebhookRefused, match="webhook must not lead to a private network"
    ) as refused:
        submit(service, url)
    assert refused.value.param == "webhook"
    stub = service.create_stub(NewStub())
    with pytest.raises(WebhookRefused) as refused:
        service.add_stubpost(stub.stubref, NewStubpost(tasks={"logo": given(url)}))
    assert refused.value.param == "tasks.logo.webhook"
    with pytest.raises(SettingsError) as refused:
        read_settings(webhook_url=url)
    assert refused.value.param == "webhook_url"
    assert service.task_counts() == {}


def test_the_end_and_its_message_are_written_together(service, monkeypatch):
    def away_at_first(connection, taskuuid, **options):
        calls.append(taskuuid)
        submit_delivery(connection, taskuuid, **options)
        if len(calls) < 3:
            raise DatabaseUnavailable("the database is away")

    calls, submit_delivery = [], service._durable.submit_delivery
    monkeypatch.setattr(service._durable, "submit_delivery", away_at_first)
    with receiver() as there:
        taskuuid = submit(service, there.url)
        until(lambda: calls)
        assert service.task(taskuuid).ended is None
        delivered(service, taskuuid)
        time.sleep(0.5)
        assert len(there.messages) == 1
    assert service.task(taskuuid).success


def test_a_try_whose_end_was_written_down_is_not_repeated(service):
    with receiver() as there:
        taskuuid = submit(service, there.url)
        delivered(service, taskuuid)
        asyncio.run(service.webhooks.deliver(taskuuid, 1))
        assert len(there.messages) == 1


def test_what_came_of_a_try_is_written_down_once(idle):
    taskuuid = submit(idle, DEAD)
    ended(idle, taskuuid)
    row = idle.webhooks._row(taskuuid)
    for _ in range(2):  # a second worker that was given up and woke
        idle.webhooks._note(row, 1, Answer(500, "answered 500"))
    assert (told(idle, taskuuid).attempts, told(idle, taskuuid).state) == (1, "queued")


@pytest.mark.parametrize("word", ["ERROR", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"])
def test_a_try_that_ended_its_worker_is_followed_by_the_next(idle, soon, word):
    with receiver() as there:
        taskuuid = submit(idle, there.url)
        ended(idle, taskuuid)
        set_delivery(idle, taskuuid, 1, status=word)
        for _ in range(2):
            idle.webhooks.settle()
        webhook = told(idle, taskuuid)
        assert (webhook.state, webhook.attempts) == ("queued", 1)
        assert webhook.error == "could not be tried; the worker's log says why"
        idle.work.start()
        there.wait()
        assert delivered(idle, taskuuid).attempts == 2


def test_a_message_that_was_claimed_and_not_begun_is_sent(service, monkeypatch):
    """The answer to a claim can be lost with the connection, and the claim stays."""

    def submit_and_claim(connection, taskuuid, **options):
        submit_delivery(connection, taskuuid, **options)
        claim = {"status": "PENDING", "owner_xid": "lost", "executor_id": DBOS.executor_id}
        change(connection, taskuuid, 1, **claim)

    monkeypatch.setattr("gouache.durable.STRAY_SECONDS", 1)
    submit_delivery = service._durable.submit_delivery
    monkeypatch.setattr(service._durable, "submit_delivery", submit_and_claim)
    with receiver() as there:
        submit(service, there.url)
        there.wait()


def set_delivery(service, taskuuid, attempt, **values):
    """Change DBOS's record of a try to deliver."""
    with writing(service._engine) as connection:
        change(connection, taskuuid, attempt, **values)


def change(connection, taskuuid, attempt, **values):
    schema = "" if connection.dialect.name == "sqlite" else "dbos."
    assignments = ", ".join(f"{name} = :{name}" for name in values)
    statement = f"update {schema}workflow_status set {assignments} where workflow_uuid = :id"
    found = values | {"id": delivery_id(taskuuid, attempt)}
    assert connection.execute(sa.text(statement), found).rowcount == 1


def test_records_of_messages_are_forgotten_with_those_of_tries(service):
    with receiver() as there:
        taskuuid = submit(service, there.url)
        delivered(service, taskuuid)
        until(lambda: not service._durable._begun)
    until(lambda: service._durable.forget(0) == 2, 5)
    assert told(service, taskuuid).state == "delivered"


def test_a_message_is_sent_again_by_hand(service):
    with receiver(410) as there:
        taskuuid = submit(service, there.url)
        until(lambda: told(service, taskuuid).state == "failed")
        assert service.webhooks.send_again(taskuuid).webhook.state == "queued"
        assert delivered(service, taskuuid).attempts == 2
        service.webhooks.send_again(taskuuid)
        messages = there.wait(3)
        until(lambda: told(service, taskuuid).attempts == 3)
    assert len({message.messageid for message in messages}) == 1


def test_by_hand_all_tries_are_to_be_had_anew(service, soon):
    taskuuid = submit(service, DEAD)
    until(lambda: told(service, taskuuid).state == "failed")
    service.webhooks.send_again(taskuuid)
    until(lambda: told(service, taskuuid).state == "failed")
    assert told(service, taskuuid).attempts == 8


def test_by_hand_a_waiting_try_comes_at_once(service, monkeypatch):
    monkeypatch.setattr(webhooks, "PAUSES", (3600, 3600))
    with receiver(500) as there:
        taskuuid = submit(service, there.url)
        until(lambda: told(service, taskuuid).attempts == 1)
        service.webhooks.send_again(taskuuid)
        there.wait(2)
        assert delivered(service, taskuuid).attempts == 2


def test_only_the_end_of_a_task_with_a_webhook_can_be_sent(idle):
    silent, waiting = submit(idle), submit(idle, DEAD)
    with pytest.raises(WebhookNotSendable, match="has no webhook"):
        idle.webhooks.send_again(silent)
    with pytest.raises(WebhookNotSendable, match="has not ended: queued"):
        idle.webhooks.send_again(waiting)
    with pytest.raises(TaskNotFound):
        idle.webhooks.send_again("none")


def test_the_secret_of_the_settings_signs(opened):
    secret = new_secret()
    service = opened(webhook_secret=secret)
    assert service.webhooks.secret() == secret
    assert secret not in repr(service.settings)
    with receiver() as there:
        ended(service, submit(service, there.url))
        (message,) = there.wait()
    assert Webhook(secret).verify(message.body, message.headers)["type"] == "task.cancelled"


def test_a_log_says_no_more_than_host_and_status(service, caplog):
    with caplog.at_level(logging.DEBUG, logger="gouache"), receiver(500) as there:
        taskuuid = submit(service, there.url)
        until(lambda: told(service, taskuuid).attempts == 1)
    said = [record.getMessage() for record in caplog.records if record.name.startswith("gouache")]
    assert f"webhook of the task {taskuuid}: 127.0.0.1 answered 500" in said
    assert not [line for line in said if "token" in line or "whsec_" in line or "a cat" in line]


def test_a_repeated_task_is_told_as_the_first_was(idle):
    taskuuid = submit(idle, DEAD)
    assert idle.repeat(taskuuid).webhook.url == DEAD


def test_keys_of_before_webhooks_stay_good():
    """A key's fingerprint is made of the request: what is not asked for must not change it."""
    assert "webhook" not in read(NewTask, given()).model_dump(mode="json")
    assert read(NewTask, given(DEAD)).model_dump(mode="json")["webhook"] == DEAD


def test_messages_are_counted_by_state(idle):
    for _ in range(2):
        ended(idle, submit(idle, DEAD))
    assert idle.webhooks.counts() == {"queued": 2}
