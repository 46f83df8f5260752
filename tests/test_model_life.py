"""When models end: our table, what a row says otherwise, and who is told."""

from datetime import date, timedelta

import pytest
from typer.testing import CliRunner

from gouache import model_life
from gouache.cli import app
from gouache.engines import engine_names
from gouache.gateways import Gateways
from gouache.records import NewStub
from gouache.rows import ModelLife
from gouache.settings import read_settings
from tests.opening import LAST, ended, new, opened

SOON = {"fake-1": {"ends": date(2026, 12, 1), "replacement": "fake-2"}}


def test_each_end_has_a_source_a_replacement_and_a_day_it_was_looked_up():
    ends = model_life.known_ends()
    assert len({end.name for end in ends}) == len(ends) >= 7
    assert [end.ends for end in ends] == sorted(end.ends for end in ends)
    for end in ends:
        assert end.source.startswith("https://")
        assert end.replacement
        assert end.checked >= date(2026, 11, 24)


def test_no_replacement_has_ended_itself():
    names = {end.name for end in model_life.known_ends()}
    for end in model_life.known_ends():
        assert not names.intersection(end.replacement.split(" or ")), end.name


@pytest.mark.parametrize(
    ("day", "said"),
    [
        (date(2026, 10, 31), None),
        (date(2026, 11, 1), "ends on 2026-12-01"),
        (date(2026, 12, 1), "ends on 2026-12-01"),
        (date(2026, 12, 2), "ended on 2026-12-01"),
    ],
)
def test_it_is_said_from_thirty_days_before(day, said):
    sentence = model_life.warning("gpt-image-1.5", {}, day)
    expected = f"the model gpt-image-1.5 {said}; use gpt-image-2.6-sunburst or gpt-image-2.6-flare"
    assert sentence == (said and expected)


def test_a_model_without_a_known_end_is_not_spoken_of():
    assert model_life.warning("gpt-image-2", {}, date(2030, 1, 1)) is None


def test_what_a_row_says_wins_over_the_table():
    day = date(2027, 10, 1)
    azure = {"gpt-image-2": ModelLife(ends=date(2027, 10, 21))}
    assert model_life.warning("gpt-image-2", azure, day) == (
        "the model gpt-image-2 ends on 2027-10-21"
    )
    ours = {"gpt-image-1": ModelLife()}
    assert model_life.warning("gpt-image-1", ours, day) is None


def test_today_is_a_day():
    assert abs(model_life.today() - date.today()) <= timedelta(days=1)


@pytest.mark.parametrize("model", ["dall-e-3", "fake-1", "~~stub.data.model"])
def test_a_result_says_that_its_model_ends_soon(tmp_path, model):
    row = {"model_life": SOON}
    with opened(tmp_path, start=False, first=row) as service:
        service.gateways._today = lambda: date(2026, 11, 24)
        service.work.start()
        stub = service.create_stub(NewStub(data={"model": "dall-e-3"}))
        record = ended(service, service.submit(new(model=model, stubref=stub.stubref)))
    assert record.success
    assert record.warnings.count("the model fake-1 ends on 2026-12-01; use fake-2") == 1


def test_also_a_result_without_a_picture_says_so(tmp_path):
    row = {"model_life": {"fake-refusing": {"ends": date(2020, 1, 1)}}}
    with opened(tmp_path, first=row) as service:
        record = ended(service, service.submit(new(model="fake-refusing")))
    assert record.state == "failed"
    assert record.warnings == ["the model fake-refusing ended on 2020-01-01"]


def test_a_result_of_another_gateway_says_what_holds_there(tmp_path):
    gone = {"ends": date(2020, 1, 1)}
    first = {"models": {"dall-e-3": "fake-failing"}, "tries": 1, "fallback": ["spare"]}
    with opened(tmp_path, first=first, spare={"model_life": {"fake-1": gone}}) as service:
        record = ended(service, service.submit(new()))
    assert record.gateway == "spare"
    assert "the model fake-1 ended on 2020-01-01" in record.warnings


def test_a_day_can_be_put_in():
    rows = {"one": {"taskapigatewayuuid": LAST, "engine": "fake", "model_life": SOON}}
    settings = read_settings(engine="fake", gateways=rows)
    for day, count in ((date(2026, 10, 1), 0), (date(2026, 11, 24), 1)):
        ours = Gateways(settings, today=lambda day=day: day)
        assert len(ours.endings("one")) == count
        assert ours.endings("built-in") == []


def test_models_shows_the_table():
    said = CliRunner().invoke(app, ["models"]).stdout
    assert "2026-12-01  gpt-image-1.5: use gpt-image-2.6-sunburst or gpt-image-2.6-flare" in said
    assert all(end.source in said for end in model_life.known_ends())


def test_the_doctor_tells_of_models_that_a_row_leads_to(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GOUACHE_DATA_DIR", str(tmp_path / "data"))
    (tmp_path / "gouache.toml").write_text(
        f'[gateways.one]\ntaskapigatewayuuid = "{LAST}"\nengine = "fake"\n'
        "[gateways.one.models]\nhouse = 'fake-slow'\n"
        "[gateways.one.model_life]\nfake-slow = { ends = 2020-01-01, replacement = 'fake-1' }\n"
    )
    done = CliRunner().invoke(app, ["doctor"])
    assert done.exit_code != 0
    said = "gateway one, asked for house: the model fake-slow ended on 2020-01-01; use fake-1"
    assert said in " ".join(done.stdout.split())


def test_our_own_engines_lead_to_no_model_of_the_table():
    ours = Gateways(read_settings(), today=lambda: date(2099, 1, 1))
    assert ours.endings("built-in") == []
    assert "embedded" in engine_names()
