"""What follows a failed try: another one, the next gateway of the chain, or the end; once."""

import pytest
import sqlalchemy as sa

from gouache import database, errors, ledger
from gouache.contract import BUILT_IN_GATEWAY, read
from gouache.errors import (
    ContentRefused,
    EngineError,
    EngineRateLimited,
    EngineTimedOut,
    EngineUnavailable,
    WeightsUnusable,
)
from gouache.records import NewStub, NewStubpost
from tests.opening import LAST, Told, ended, install, new, opened

AWAY = {"models": {"dall-e-3": "fake-failing"}, "fallback": ["spare"]}


@pytest.fixture
def engines(monkeypatch):
    """Return a function that installs an engine that fails with an error, and returns it."""

    def told(error=None, **options):
        from gouache.settings import read_settings

        engine = Told(read_settings(), error, **options)
        install(monkeypatch, told=engine)
        return engine

    return told


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_another_gateway_draws_what_the_first_could_not(kind, request, tmp_path):
    url = "" if kind == "sqlite" else request.getfixturevalue("postgres_url")
    with opened(tmp_path, database_url=url, first=AWAY, spare={}) as service:
        stub = service.create_stub(NewStub())
        record = ended(service, service.submit(new(stubref=stub.stubref)))
        assert (record.state, record.attempts) == ("succeeded", 4)
        assert (record.gateway, record.first_gateway) == ("spare", "first")
        assert record.taskapigatewayuuid == str(BUILT_IN_GATEWAY)
        assert record.payload.response.model == "fake-1"
        assert record.payload.request["model"] == "dall-e-3"
        assert "the gateway first failed (engine_unavailable); spare took over" in record.warnings
        assert len(service.stub(stub.stubref).stubposts) == 1
        with database.reading(service._engine) as connection:
            assert len(connection.execute(sa.select(database.files)).all()) == 1


@pytest.mark.parametrize(
    ("error", "calls"),
    [
        (EngineUnavailable("away"), 3),
        (EngineRateLimited("slower"), 3),
        (EngineRateLimited("slower", retry_after_seconds=600), 1),
        (EngineTimedOut("too long"), 3),
        (WeightsUnusable("damaged"), 1),
    ],
)
def test_what_may_pass_is_tried_as_often_as_the_row_says_and_then_elsewhere(
    engines, tmp_path, error, calls
):
    engine = engines(error)
    with opened(tmp_path, first={"engine": "told", "fallback": ["spare"]}, spare={}) as service:
        record = ended(service, service.submit(new()))
    assert (record.state, record.gateway, record.attempts) == ("succeeded", "spare", calls + 1)
    assert len(engine.drawings) == calls
    assert f"the gateway first failed ({error.code}); spare took over" in record.warnings


def test_no_other_error_goes_elsewhere(engines, tmp_path):
    others = [
        cls
        for cls in errors.classes_by_code().values()
        if not cls.falls_back and not cls.retryable and cls is not errors.Cancelled
    ]
    assert {ContentRefused, EngineError, errors.SettingsError, errors.RequestError} < {*others}
    engine = engines()
    with opened(tmp_path, first={"engine": "told", "fallback": ["spare"]}, spare={}) as service:
        for cls in others:
            engine.error, engine.drawings = cls("no"), []
            record = ended(service, service.submit(new()))
            assert (record.state, record.gateway, record.error.code) == (
                "failed",
                "first",
                cls.code,
            )
            assert (len(engine.drawings), record.first_gateway) == (1, None)


def test_a_try_that_takes_too_long_is_gone_on_with_elsewhere(tmp_path):
    slow = {"models": {"dall-e-3": "fake-slow"}, "timeout_seconds": 0.5, "tries": 1}
    with opened(tmp_path, first=slow | {"fallback": ["spare"]}, spare={}) as service:
        record = ended(service, service.submit(new()))
    assert (record.state, record.gateway) == ("succeeded", "spare")
    assert "the gateway first failed (engine_timed_out); spare took over" in record.warnings


def test_where_all_fail_the_last_error_is_the_result_and_each_failure_is_named(tmp_path):
    first = {"models": {"dall-e-3": "fake-failing"}, "tries": 2, "fallback": ["spare", "last"]}
    spare = {"models": {"dall-e-3": "fake-failing"}, "tries": 1}
    last = {"models": {"dall-e-3": "fake-refusing"}}
    with opened(tmp_path, first=first, spare=spare, last=last) as service:
        record = ended(service, service.submit(new()))
        assert service.repeat(record.taskuuid).gateway == "first"
    assert (record.state, record.gateway, record.first_gateway) == ("failed", "last", "first")
    assert (record.error.code, record.attempts) == ("content_refused", 4)
    assert record.warnings == [
        "the gateway first failed (engine_unavailable); spare took over",
        "the gateway spare failed (engine_unavailable); last took over",
    ]


def test_gateways_may_stand_in_for_each_other(tmp_path):
    spare = {"models": {"dall-e-3": "fake-failing"}, "tries": 1, "fallback": ["first"]}
    with opened(tmp_path, first=AWAY | {"tries": 1}, spare=spare) as service:
        record = ended(service, service.submit(new()))
    assert (record.state, record.attempts, record.gateway) == ("failed", 2, "spare")


@pytest.mark.parametrize(("field", "value"), [("seed", 7), ("seed_from", "Ada")])
def test_a_gateway_that_cannot_do_what_is_asked_for_is_left_out(engines, tmp_path, field, value):
    engine = engines(seeds=False)
    first = {"models": {"dall-e-3": "fake-failing"}, "tries": 1, "fallback": ["spare", "last"]}
    with opened(tmp_path, first=first, spare={"engine": "told"}, last={}) as service:
        record = ended(service, service.submit(new(**{field: value})))
    assert (record.gateway, engine.drawings) == ("last", [])
    assert f"the gateway spare was left out: it cannot do what {field} asks" in record.warnings


def test_a_gateway_that_cannot_be_used_is_left_out_and_so_are_all_in_the_end(tmp_path):
    first = AWAY | {"tries": 1}
    with opened(tmp_path, first=first, spare={"engine": "oil"}) as service:
        record = ended(service, service.submit(new()))
    assert (record.state, record.gateway, record.first_gateway) == ("failed", "first", None)
    assert record.error.code == "engine_unavailable"
    assert record.warnings == ["the gateway spare was left out: it cannot be used (settings_error)"]


def test_a_model_that_only_the_first_knows_is_drawn_with_the_default_of_the_other(tmp_path):
    first = {"models": {"house-style": "fake-failing"}, "tries": 1, "fallback": ["spare"]}
    with opened(tmp_path, first=first, spare={}) as service:
        record = ended(service, service.submit(new(model="house-style")))
    assert (record.state, record.payload.response.model) == ("succeeded", "fake-1")
    assert record.payload.request["model"] == "house-style"
    said = "the gateway spare has no model 'house-style'; its default model drew"
    assert said in record.warnings


def test_a_name_that_both_know_leads_to_each_one_s_own_model(tmp_path):
    first = {"models": {"house-style": "fake-failing"}, "tries": 1, "fallback": ["spare"]}
    spare = {"models": {"house-style": "fake-slow"}}
    with opened(tmp_path, first=first, spare=spare) as service:
        record = ended(service, service.submit(new(model="house-style")))
    assert record.payload.response.model == "fake-slow"


def test_the_seed_goes_along_where_the_next_takes_one(engines, tmp_path):
    engines(EngineUnavailable("away"), seeds=False)
    first = {"engine": "told", "tries": 1, "fallback": ["spare"]}
    with opened(tmp_path / "a", first=first, spare={}) as service:
        record = ended(service, service.submit(new()))
    assert record.payload.response.seed is not None
    with opened(tmp_path / "b", first=AWAY, spare={"engine": "told"}) as service:
        engine = engines(seeds=False)
        service.gateways._engines.clear()
        record = ended(service, service.submit(new()))
    assert (record.state, record.payload.response.seed) == ("succeeded", None)
    assert [request.seed for request in engine.drawings] == [None]


def test_what_a_template_gave_goes_along(tmp_path):
    with opened(tmp_path, first=AWAY, spare={}) as service:
        stub = service.create_stub(NewStub(data={"animal": "zebra"}))
        tasks = {"logo": {"tasktype": "generate_image", "params": {"prompt": "~~stub.data.animal"}}}
        stubpost = service.add_stubpost(stub.stubref, read(NewStubpost, {"tasks": tasks}))
        record = ended(service, stubpost.tasks["logo"])
    assert (record.gateway, record.payload.request["prompt"]) == ("spare", "zebra")


def test_a_failure_that_two_workers_write_down_is_followed_by_one_try(tmp_path):
    with opened(tmp_path, start=False, first=AWAY | {"tries": 1}, spare={}) as service:
        record = service.submit(new())
        with database.reading(service._engine) as connection:
            row = ledger.task_row(connection, record.taskuuid, owner=None)
        for _ in range(2):
            service._stubs.lost(row, EngineUnavailable("away"))
        again = service.task(record.taskuuid)
        assert (again.gateway, again.attempts) == ("spare", 2)
        assert len(again.warnings) == 1
        service.work.start()
        record = ended(service, record)
        assert (record.state, record.gateway, record.attempts) == ("succeeded", "spare", 2)


def test_a_task_that_was_cancelled_meanwhile_goes_nowhere(tmp_path):
    with opened(tmp_path, start=False, first=AWAY | {"tries": 1}, spare={}) as service:
        record = service.submit(new())
        with database.reading(service._engine) as connection:
            row = ledger.task_row(connection, record.taskuuid, owner=None)
        service.cancel(record.taskuuid)
        service._stubs.lost(row, EngineUnavailable("away"))
        record = service.task(record.taskuuid)
        assert (record.state, record.gateway, record.attempts) == ("cancelled", "first", 1)


def test_a_chain_that_a_restart_changed_is_the_new_one(tmp_path):
    with opened(tmp_path, start=False, first=AWAY | {"tries": 1}, spare={}) as service:
        record = service.submit(new())
        with database.reading(service._engine) as connection:
            row = ledger.task_row(connection, record.taskuuid, owner=None)
        service._stubs.lost(row, EngineUnavailable("away"))
    spare = {"models": {"dall-e-3": "fake-failing"}, "tries": 1}
    rows = {"first": AWAY | {"fallback": ["last"]}, "spare": spare, "last": {}}
    with opened(tmp_path, **rows) as service:
        record = ended(service, record)
        assert service.settings.gateways["last"].taskapigatewayuuid.hex == LAST.replace("-", "")
    assert (record.state, record.gateway) == ("failed", "spare"), "spare is in no chain any more"
