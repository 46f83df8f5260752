"""Gateways: from a UUID to a row to an engine, with the row's own names of models."""

import threading
from uuid import UUID, uuid4

import pytest

from gouache import gateways
from gouache.contract import BUILT_IN_GATEWAY, read_request
from gouache.engines.embedded import EmbeddedEngine
from gouache.engines.fake import FakeEngine
from gouache.errors import GatewayNotFound, SettingsError, UnsupportedByEngine
from gouache.gateways import Gateways
from gouache.settings import read_settings

LOGOS = "0b6f2a52-6f5e-4a5c-9d53-7a3f8f5d9c11"
CAT = read_request({"prompt": "A white cat"})


def opened(**row):
    rows = {"logos": {"taskapigatewayuuid": LOGOS, "engine": "fake"} | row} if row else {}
    return Gateways(read_settings(engine="fake", gateways=rows))


def test_the_documented_uuid_is_that_of_the_built_in_gateway():
    assert opened().find(UUID("e366a208-63a2-48ea-af74-e3e0abf703b4")) == "built-in"


@pytest.mark.parametrize("uuid", [LOGOS, LOGOS.upper(), UUID(LOGOS)])
def test_a_row_is_found_by_its_uuid_as_text_or_not(uuid):
    assert opened(concurrency=2).find(uuid) == "logos"


def test_an_unknown_uuid_is_refused_with_those_there_are():
    wanted = uuid4()
    with pytest.raises(GatewayNotFound) as caught:
        opened(concurrency=2).find(wanted, inside="tasks.logo")
    error = caught.value
    assert (error.param, error.status) == ("tasks.logo.taskapigatewayuuid", 404)
    for words in (str(wanted), f"{BUILT_IN_GATEWAY} (built-in)", f"{LOGOS} (logos)"):
        assert words in error.message


def test_an_unknown_name_is_refused_with_those_there_are():
    with pytest.raises(SettingsError, match="no gateway is named 'x'; use one of built-in, logos"):
        opened(concurrency=2).row("x")


def test_an_engine_is_opened_once_for_all_gateways_and_threads(monkeypatch):
    openings = []

    def slow(name, settings, options):
        openings.append(name)
        threading.Event().wait(0.05)
        return FakeEngine(settings)

    monkeypatch.setattr(gateways, "open_engine", slow)
    ours = opened(concurrency=2)
    engines = []
    threads = [
        threading.Thread(target=lambda name=name: engines.append(ours.engine(name)))
        for name in ("built-in", "logos") * 4
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert openings == ["fake"]
    assert len(engines) == 8
    assert len(set(map(id, engines))) == 1


def test_each_row_has_the_engine_it_names():
    ours = Gateways(
        read_settings(
            engine="embedded", gateways={"logos": {"taskapigatewayuuid": LOGOS, "engine": "fake"}}
        )
    )
    assert isinstance(ours.engine("logos"), FakeEngine)
    assert isinstance(ours.engine("built-in"), EmbeddedEngine)


def test_a_row_may_give_the_engines_models_names_of_its_own():
    ours = opened(models={"house-style": "fake-1"})
    wanted = read_request({"prompt": "A logo", "model": "house-style"})
    ours.check("logos", wanted)
    assert ours.for_engine("logos", wanted).model == "fake-1"
    assert ours.for_engine("logos", wanted).prompt == "A logo"
    assert wanted.model == "house-style"
    assert ours.for_engine("logos", CAT) is CAT
    with pytest.raises(UnsupportedByEngine, match="house-style"):
        ours.check("built-in", wanted)


@pytest.mark.parametrize(
    ("field", "value", "allowed"),
    [
        ("model", "gpt-9", "dall-e-3, fake-1, .*house-style"),
        ("style", "baroque", "flat, cartoon"),
    ],
)
def test_what_a_gateway_cannot_do_is_refused_with_the_path_to_the_field(field, value, allowed):
    ours = opened(models={"house-style": "fake-1"})
    with pytest.raises(UnsupportedByEngine, match=allowed) as caught:
        ours.check("logos", read_request({"prompt": "x", field: value}), inside="tasks.logo.params")
    assert caught.value.param == f"tasks.logo.params.{field}"
    with pytest.raises(UnsupportedByEngine) as caught:
        ours.check("logos", read_request({"prompt": "x", field: value}))
    assert caught.value.param == field


def test_a_row_that_leads_to_a_model_the_engine_has_not_is_refused_by_name():
    with pytest.raises(
        SettingsError, match="has no model .gpt-9.; use one of dall-e-3, fake-1"
    ) as caught:
        opened(models={"dall-e-3": "gpt-9"}).engine("logos")
    assert caught.value.param == "gateways.logos.models.dall-e-3"


@pytest.mark.parametrize(
    ("name", "param"), [("logos", "gateways.logos.engine"), ("built-in", "engine")]
)
def test_an_engine_that_is_not_installed_is_a_setting_to_change(name, param):
    rows = {"logos": {"taskapigatewayuuid": LOGOS, "engine": "none"}}
    ours = Gateways(read_settings(engine="none", gateways=rows))
    with pytest.raises(SettingsError, match="no engine is named 'none'; use one of") as caught:
        ours.engine(name)
    assert caught.value.param == param
