"""The cache of pictures: who gets one that was drawn before, and what stays each task's own."""

import pytest
import sqlalchemy as sa

from gouache import database, files, images
from gouache.contract import read_request
from gouache.errors import EngineUnavailable
from gouache.gateways import Gateways
from gouache.records import NewStub
from gouache.settings import read_settings
from tests.opening import SPARE, Told, ended, install, new, opened


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request):
    return "" if request.param == "sqlite" else request.getfixturevalue("postgres_url")


@pytest.fixture
def engine(monkeypatch):
    engine = Told(read_settings())
    install(monkeypatch, told=engine, seedless=Told(read_settings(), seeds=False))
    return engine


@pytest.fixture
def service(engine, tmp_path):
    with opened(tmp_path, first={"engine": "told"}) as service:
        yield service


def data_of(service, record):
    return service.file_path(record.payload.image.fileuuid).read_bytes()


def drawn(service, *tasks):
    return [ended(service, service.submit(task)) for task in tasks]


def test_the_same_request_gets_the_picture_drawn_before_as_its_own(engine, url, tmp_path):
    with opened(tmp_path, database_url=url, first={"engine": "told"}) as service:
        stub = service.create_stub(NewStub())
        first = ended(service, service.submit(new(seed=7)))
        second = ended(service, service.submit(new(seed=7, stubref=stub.stubref)))
        third = ended(service, service.submit(new(seed=7, filename="cat")))
        assert len(engine.drawings) == 1
        for hit in (second, third):
            assert (hit.state, hit.attempts) == ("succeeded", 1)
            assert hit.payload.response.cached_from == first.taskuuid
            assert hit.payload.response.seed == 7
            assert hit.payload.response.usage is None
            assert hit.warnings == first.warnings
            assert data_of(service, hit) == data_of(service, first)
        assert first.payload.response.cached_from is None
        assert third.payload.image.filename == "cat.png"
        assert third.payload.request["filename"] == "cat"
        (post,) = service.stub(stub.stubref).stubposts
        assert [file.fileuuid for file in post.attachments] == [second.payload.image.fileuuid]
        uuids = {record.payload.image.fileuuid for record in (first, second, third)}
        assert len(uuids) == 3


def test_deleting_one_of_them_breaks_no_other(service, engine):
    first, second = drawn(service, new(seed=7), new(seed=7))
    service.delete_file(first.payload.image.fileuuid)
    assert images.decode_png(data_of(service, second)).shape == (1024, 1024, 3)
    (third,) = drawn(service, new(seed=7))
    assert third.payload.response.cached_from == first.taskuuid
    service.delete_file(second.payload.image.fileuuid)
    service.delete_file(third.payload.image.fileuuid)
    (fourth,) = drawn(service, new(seed=7))
    assert fourth.payload.response.cached_from is None
    assert len(engine.drawings) == 2
    assert service.work.orphans(0) == []


def test_a_picture_whose_file_is_lost_is_drawn_again(service, engine):
    (first,) = drawn(service, new(seed=7))
    service.file_path(first.payload.image.fileuuid).unlink()
    (second,) = drawn(service, new(seed=7))
    assert (second.payload.response.cached_from, len(engine.drawings)) == (None, 2)


@pytest.mark.parametrize(
    "other",
    [
        {"prompt": "A white  cat"},
        {"seed": 8},
        {"size": "1024x1792"},
        {"quality": "hd"},
        {"style": "flat"},
        {"model": "fake-slow"},
    ],
)
def test_whatever_the_picture_depends_on_makes_another_request(service, engine, other):
    drawn(service, new(seed=7), new(**{"seed": 7} | other))
    assert len(engine.drawings) == 2


def test_whose_picture_it_is_is_a_seed(service, engine):
    drawn(service, new(seed_from="Ada"), new(seed_from="Ada"), new(seed_from="Zoë"))
    assert len(engine.drawings) == 2


def test_without_a_seed_each_picture_is_another(service, engine):
    first, second = drawn(service, new(), new())
    assert first.payload.response.seed != second.payload.response.seed
    assert len(engine.drawings) == 2


def test_a_task_may_want_its_picture_drawn_anew(service, engine):
    first, anew = drawn(service, new(seed=7), new(seed=7, cache="false"))
    assert (anew.payload.response.cached_from, len(engine.drawings)) == (None, 2)
    (third,) = drawn(service, new(seed=7))
    assert third.payload.response.cached_from == anew.taskuuid
    again = ended(service, service.repeat(anew.taskuuid))
    assert again.payload.response.cached_from is None
    assert first.taskuuid != again.taskuuid


@pytest.mark.parametrize(("cache", "drawings"), [(None, 3), (False, 3), (True, 2)])
def test_without_seeds_the_gateway_says_whether_one_picture_does_for_all(
    engine, tmp_path, cache, drawings
):
    row = {"engine": "seedless"} | ({} if cache is None else {"cache": cache})
    with opened(tmp_path, first=row) as service:
        first, second = drawn(service, new(), new())
        variation = ended(service, service.repeat(first.taskuuid, new_seed=True))
        counted = service.gateways.engine("first").drawings
    assert len(counted) == drawings
    assert (second.payload.response.cached_from is not None) == bool(cache)
    assert variation.payload.response.cached_from is None


def test_a_gateway_may_have_no_cache(engine, tmp_path):
    with opened(tmp_path, first={"engine": "told", "cache": False}) as service:
        drawn(service, new(seed=7), new(seed=7))
    assert len(engine.drawings) == 2


def test_what_a_template_gave_is_what_is_asked_for(service, engine):
    stub = service.create_stub(NewStub(data={"animal": "zebra"}))
    told = new("~~stub.data.animal", stubref=stub.stubref, seed=7)
    first, second, plain = drawn(service, told, told, new("zebra", seed=7))
    assert {second.payload.response.cached_from, plain.payload.response.cached_from} == {
        first.taskuuid
    }
    assert len(engine.drawings) == 1


def test_a_failed_task_leaves_nothing_to_be_found(service, engine):
    engine.error = EngineUnavailable("away")
    drawn(service, new(seed=7))
    engine.error, engine.drawings = None, []
    (second,) = drawn(service, new(seed=7))
    assert (second.payload.response.cached_from, len(engine.drawings)) == (None, 1)


def test_a_picture_of_the_spare_gateway_is_not_taken_for_one_of_the_first(engine, tmp_path):
    engine.error = EngineUnavailable("away")
    first = {"engine": "told", "tries": 1, "fallback": ["spare"]}
    with opened(tmp_path, first=first, spare={}) as service:
        spared, again = drawn(service, new(seed=7), new(seed=7))
        assert again.payload.response.cached_from == spared.taskuuid
        assert (again.gateway, len(engine.drawings)) == ("spare", 2)
        engine.error = None
        (back,) = drawn(service, new(seed=7))
    assert (back.gateway, back.payload.response.cached_from) == ("first", None)


def test_a_plain_task_asks_nothing_of_the_cache(service, monkeypatch):
    statements = []

    def note(connection, cursor, statement, *rest):
        if "cache_key = " in statement or "cache_key=" in statement:
            statements.append(statement)

    sa.event.listen(service._engine, "before_cursor_execute", note)
    drawn(service, new())
    assert statements == []
    drawn(service, new(seed=7))
    assert len(statements) == 1


def test_the_key_says_who_asks_and_who_draws():
    def key(owner=None, **row):
        given = {"taskapigatewayuuid": SPARE, "engine": "fake"} | row
        ours = Gateways(read_settings(gateways={"one": given}, rewriter_model=rewriter))
        return ours.assigned("one", read_request({"prompt": "x", "seed": 7}), owner=owner).cache_key

    rewriter = ""
    keys = [key(), key(), key("ada"), key("zoe"), key(models={"dall-e-3": "fake-slow"})]
    rewriter = "other"
    keys.append(key())
    assert len({*keys}) == len(keys) - 1
    assert keys[0] == keys[1]


def test_copies_are_files_of_their_own(service):
    first, second = drawn(service, new(seed=7), new(seed=7))
    with database.reading(service._engine) as connection:
        rows = [
            files.file_row(connection, record.payload.image.fileuuid, owner=None)
            for record in (first, second)
        ]
    assert rows[0].stored != rows[1].stored
    paths = [service.file_path(row.fileuuid) for row in rows]
    assert paths[0].stat().st_ino != paths[1].stat().st_ino
