"""Settings: where each value comes from, and refusals that name the setting."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from gouache.contract import BUILT_IN_GATEWAY
from gouache.errors import SettingsError
from gouache.gateways import Gateways
from gouache.settings import (
    Gateway,
    Settings,
    check_exposure,
    read_settings,
    settings_sources,
    shown_settings,
    unknown_variables,
)

DRAFTS = "0b6f2a52-6f5e-4a5c-9d53-7a3f8f5d9c11"
LAST = "7d0a9c1e-28b4-4f0c-9a34-0f6f3b1c8e52"
SECRET = "a-secret-of-16-characters"


@pytest.fixture(autouse=True)
def empty_folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_without_any_source_the_defaults_hold(monkeypatch, tmp_path):
    monkeypatch.delenv("GOUACHE_CACHE_DIR")
    monkeypatch.setattr("gouache.settings.user_cache_path", lambda name: tmp_path / name)
    settings = read_settings()
    assert settings.engine == "embedded"
    assert settings.output_dir == Path()
    assert settings.threads == 0
    assert settings.cache_dir == tmp_path / "gouache"
    assert settings.response_action == "_update_from_generate_image"
    (built_in,) = settings.all_gateways.values()
    assert (built_in.engine, built_in.tries) == ("embedded", 3)


def test_an_argument_beats_the_environment_beats_the_folder_beats_the_user(monkeypatch, tmp_path):
    user = tmp_path / "config" / "gouache"
    user.mkdir(parents=True)
    monkeypatch.setattr("gouache.settings.user_config_path", lambda name: user)
    (user / "gouache.toml").write_text('engine = "user"\noutput_dir = "user"\nthreads = 1\n')
    Path("gouache.toml").write_text('engine = "folder"\noutput_dir = "folder"\n')
    monkeypatch.setenv("GOUACHE_ENGINE", "environment")
    settings = read_settings()
    assert (settings.engine, settings.output_dir, settings.threads) == (
        "environment",
        Path("folder"),
        1,
    )
    assert read_settings(engine="argument").engine == "argument"
    assert read_settings(engine=None).engine == "environment"


def test_a_bad_value_is_refused_by_name(monkeypatch):
    monkeypatch.setenv("GOUACHE_THREADS", "many")
    with pytest.raises(SettingsError, match="threads.*'many'") as caught:
        read_settings()
    assert caught.value.param == "threads"


def test_an_unknown_name_in_the_file_is_refused():
    Path("gouache.toml").write_text("thread = 1\n")
    with pytest.raises(SettingsError, match="thread"):
        read_settings()


@pytest.mark.parametrize("text", [b"engine = \n", b"\xff\xfe"])
def test_a_file_that_is_not_toml_is_refused(text):
    Path("gouache.toml").write_bytes(text)
    with pytest.raises(SettingsError, match="gouache.toml cannot be read"):
        read_settings()


def test_a_file_that_is_closed_to_us_is_named(monkeypatch):
    def closed(path, mode):
        raise PermissionError(13, "Permission denied", str(path))

    Path("gouache.toml").write_text("threads = 1\n")
    monkeypatch.setattr(Path, "open", closed)
    with pytest.raises(SettingsError, match="gouache.toml cannot be read.*Permission denied"):
        read_settings()


@pytest.fixture
def user_file(monkeypatch, tmp_path):
    folder = tmp_path / "config" / "gouache"
    folder.mkdir(parents=True)
    monkeypatch.setattr("gouache.settings.user_config_path", lambda name: folder)
    return folder / "gouache.toml"


def written(text):
    Path("gouache.toml").write_text(text)
    return read_settings()


def refusal(text):
    with pytest.raises(SettingsError) as caught:
        written(text)
    return caught.value


def test_the_file_that_is_not_toml_is_named(user_file):
    user_file.write_text("port = \n")
    with pytest.raises(SettingsError, match="gouache.toml cannot be read: .*config.*line 1"):
        read_settings()


def test_it_is_told_where_each_value_came_from(user_file, monkeypatch, tmp_path):
    user_file.write_text("threads = 1\nport = 1\nhost = '::1'\n")
    Path("gouache.toml").write_text("port = 2\nstop_seconds = 3\n")
    monkeypatch.setenv("GOUACHE_STOP_SECONDS", "4")
    sources = settings_sources(read_settings(engine="fake"))
    assert sources.keys() == Settings.model_fields.keys()
    local = f"gouache.toml ({tmp_path / 'gouache.toml'})"
    expected = {
        "engine": "given",
        "stop_seconds": "environment GOUACHE_STOP_SECONDS",
        "cache_dir": "environment GOUACHE_CACHE_DIR",
        "port": local,
        "threads": f"gouache.toml ({user_file})",
        "host": f"gouache.toml ({user_file})",
    }
    assert {name: source for name, source in sources.items() if source != "default"} == expected


def test_a_refusal_tells_where_the_value_came_from(monkeypatch, tmp_path):
    monkeypatch.setenv("GOUACHE_PORT", "80000")
    with pytest.raises(
        SettingsError, match=r"from 0 to 65535; not '80000' \(environment GOUACHE_P"
    ):
        read_settings()
    monkeypatch.delenv("GOUACHE_PORT")
    assert f"({tmp_path / 'gouache.toml'})" in refusal("port = -1\n").message
    with pytest.raises(SettingsError, match=r"port must be .*\(given\)"):
        read_settings(port="x")


def test_a_variable_that_is_no_setting_is_told(monkeypatch):
    assert unknown_variables() == []
    monkeypatch.setenv("GOUACHE_ENGIN", "fake")
    (sentence,) = unknown_variables()
    assert sentence.startswith("GOUACHE_ENGIN is not the name of a setting and was ignored")
    assert sentence.endswith("did you mean GOUACHE_ENGINE?")


def test_rows_of_gateways_are_read_from_the_file():
    settings = written(
        f"""
        engine = "fake"
        [gateways.drafts]
        taskapigatewayuuid = "{DRAFTS}"
        engine = "fake"
        models = {{ house-style = "fake-1" }}
        concurrency = 2
        total_concurrency = 4
        rate_limit = 10
        rate_period_seconds = 1.5
        timeout_seconds = 20
        tries = 5
        retry_seconds = 0
        """
    )
    row = settings.gateways["drafts"]
    assert (str(row.taskapigatewayuuid), row.models) == (DRAFTS, {"house-style": "fake-1"})
    assert (row.rate_period_seconds, row.tries, row.retry_seconds) == (1.5, 5, 0)
    assert list(settings.all_gateways) == ["built-in", "drafts"]
    assert settings.all_gateways["built-in"] == Gateway(
        taskapigatewayuuid=BUILT_IN_GATEWAY, engine="fake"
    )


@pytest.mark.parametrize(
    "row",
    [
        f'[gateways.mine]\ntaskapigatewayuuid = "{BUILT_IN_GATEWAY}"',
        f'[gateways.built-in]\ntaskapigatewayuuid = "{DRAFTS}"',
    ],
)
def test_a_row_takes_the_place_of_the_built_in_gateway(row):
    settings = written(row)
    assert settings.all_gateways == settings.gateways


def test_rows_of_both_files_and_the_environment_are_joined(user_file, monkeypatch):
    other = "7d0a9c1e-28b4-4f0c-9a34-0f6f3b1c8e52"
    user_file.write_text(f'[gateways.drafts]\ntaskapigatewayuuid = "{DRAFTS}"\ntries = 1\n')
    Path("gouache.toml").write_text("[gateways.drafts]\ntries = 2\n")
    monkeypatch.setenv("GOUACHE_GATEWAYS", f'{{"house": {{"taskapigatewayuuid": "{other}"}}}}')
    settings = read_settings()
    assert settings.gateways.keys() == {"drafts", "house"}
    assert settings.gateways["drafts"].tries == 2
    source = settings_sources(settings)["gateways"]
    assert source.count("gouache.toml") == 4
    assert source.endswith(", environment GOUACHE_GATEWAYS")


@pytest.mark.parametrize(
    ("row", "param", "message"),
    [
        ("tries = 0", "tries", "must be a whole number from 1 to 20; not 0"),
        ("tries = 1.5", "tries", "must be a whole number from 1 to 20; not 1.5"),
        ("timeout_seconds = 0", "timeout_seconds", "must be a number above 0; not 0"),
        ("timeout_seconds = inf", "timeout_seconds", "must be a number above 0; not inf"),
        ("retry_seconds = -1", "retry_seconds", "must be a number of at least 0; not -1"),
        ("rate_limit = 0", "rate_limit", "must be a whole number of at least 1; not 0"),
        ("engine = 3", "engine", "must be text; not 3"),
        ("models = ['a']", "models", "must be an object; not ['a']"),
        ("models = { a = 1 }", "models.a", "must be text; not 1"),
        (
            "concurrency = 3\ntotal_concurrency = 2",
            "total_concurrency",
            "must be at least the row's concurrency, 3",
        ),
    ],
)
def test_a_bad_value_of_a_row_is_refused_by_row_and_field(row, param, message):
    error = refusal(f'[gateways.drafts]\ntaskapigatewayuuid = "{DRAFTS}"\n{row}\n')
    assert error.param == f"gateways.drafts.{param}"
    assert error.message.startswith(f"setting gateways.drafts.{param} {message}")


@pytest.mark.parametrize(
    ("text", "param", "message"),
    [
        ("[gateways.drafts]\n", "gateways.drafts.taskapigatewayuuid", "is required"),
        (
            "[gateways.drafts]\ntaskapigatewayuuid = 'x'\n",
            "gateways.drafts.taskapigatewayuuid",
            "must be a UUID; not 'x'",
        ),
        (
            f"[gateways.drafts]\ntaskapigatewayuuid = '{DRAFTS}'\ntrys = 3\n",
            "gateways.drafts.trys",
            "setting gateways.drafts has no field 'trys'; did you mean tries?",
        ),
        (
            f"[gateways.'My Drafts']\ntaskapigatewayuuid = '{DRAFTS}'\n",
            "gateways.My Drafts",
            "not 'My Drafts'",
        ),
        ("gateways = 3\n", "gateways", "must be an object"),
        ("[gateways]\ndrafts = 3\n", "gateways.drafts", "must be an object; not 3"),
        (
            f"[gateways.a]\ntaskapigatewayuuid = '{DRAFTS}'\n"
            f"[gateways.b]\ntaskapigatewayuuid = '{DRAFTS.upper()}'\n",
            "gateways",
            "must differ; a and b have the same taskapigatewayuuid",
        ),
        ("thread = 1\n", "thread", "has no field 'thread'; did you mean threads?"),
        ("public_url = 'pictures.example'\n", "public_url", "like https://pictures.example"),
        ("response_action = 'two words'\n", "response_action", "like _update_from_generate_image"),
        ("max_body_bytes = 1\n", "max_body_bytes", "a whole number of at least 1024; not 1"),
        ("stop_seconds = nan\n", "stop_seconds", "must be a number of at least 0; not nan"),
    ],
)
def test_what_the_file_says_wrongly_is_refused_by_name(text, param, message):
    error = refusal(text)
    assert error.param == param
    assert message in error.message


def test_gateways_in_the_environment_are_json(monkeypatch):
    monkeypatch.setenv("GOUACHE_GATEWAYS", "{drafts")
    with pytest.raises(
        SettingsError, match=r"gateways must be JSON .*\(GOUACHE_GATEWAYS\)"
    ) as caught:
        read_settings()
    assert caught.value.param == "gateways"


def test_secrets_are_not_shown(monkeypatch):
    url = f"postgresql://gouache:{SECRET}@db.example/gouache"
    settings = read_settings(api_key=SECRET, database_url=url)
    shown = shown_settings(settings)
    assert shown.keys() == Settings.model_fields.keys()
    assert SECRET not in repr(settings) + str(settings) + str(shown)
    assert shown["database_url"] == "postgresql://gouache:***@db.example/gouache"
    assert shown["api_key"] == "(set)"
    assert settings.api_key.get_secret_value() == SECRET
    for name, value in (
        ("API_KEY", "a secret with spaces"),
        ("API_KEY", "S3CRET"),
        ("DATABASE_URL", f"mysql://root:{SECRET}@db.example/x"),
    ):
        monkeypatch.setenv(f"GOUACHE_{name}", value)
        with pytest.raises(SettingsError, match=f"setting {name.lower()} must") as caught:
            read_settings()
        assert value not in caught.value.message
        assert SECRET not in caught.value.message
        monkeypatch.delenv(f"GOUACHE_{name}")
    assert "S3CRET" not in refusal("api_keey = 'S3CRET'\n").message


def test_each_value_can_be_shown():
    shown = shown_settings(read_settings())
    assert shown["gateways"] == "built-in"
    assert shown["api_key"] == "(none)"
    assert shown["file_days"] == "(kept)"
    assert shown["database_url"] == ""
    assert shown["port"] == "8611"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost", "LOCALHOST"])
def test_a_loopback_address_needs_no_key(host):
    check_exposure(read_settings(host=host))


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "", "192.168.1.5", "10.0.0.1", "2001:db8::1", "gouache.example"]
)
def test_any_other_address_needs_a_key(host):
    with pytest.raises(SettingsError, match="GOUACHE_API_KEY") as caught:
        check_exposure(read_settings(host=host))
    assert caught.value.param == "api_key"
    check_exposure(read_settings(host=host, api_key=SECRET))


def test_the_tilde_is_the_home_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    settings = written("data_dir = '~/pictures'\n")
    assert settings.data_dir == tmp_path / "pictures"


def test_the_database_is_a_file_of_the_data_folder_or_postgresql(tmp_path):
    assert read_settings(data_dir=tmp_path).database == f"sqlite:///{tmp_path}/gouache.sqlite"
    for url in ("postgres://u:p@h/d", "postgresql://u:p@h/d", "postgresql+psycopg://u:p@h/d"):
        assert read_settings(database_url=url).database == "postgresql+psycopg://u:p@h/d"


def test_the_address_is_what_others_reach_the_server_by():
    assert read_settings().address == "http://127.0.0.1:8611"
    assert read_settings(host="::1", port=80).address == "http://[::1]:80"
    assert read_settings(public_url="https://x.example/a/").address == "https://x.example/a"


def test_the_examples_of_the_documents_are_settings():
    page = (Path(__file__).parents[1] / "docs" / "settings.md").read_text()
    examples = page.split("```toml\n")[1:]
    assert len(examples) == 2
    for example in examples:
        settings = written(example.partition("```")[0])
    ours = Gateways(settings)
    for name in ("drafts", "house"):
        assert ours.engine(name).capabilities.models
    assert "house-style" in ours.capabilities("house").models


@pytest.mark.parametrize("fallback", [["house"], ["drafts", "oil"], ["drafts", "drafts"]])
def test_a_gateway_falls_back_on_others_each_once(fallback):
    rows = {
        "house": {"taskapigatewayuuid": DRAFTS, "fallback": fallback},
        "drafts": {"taskapigatewayuuid": LAST},
    }
    with pytest.raises(SettingsError, match="use built-in, drafts") as caught:
        read_settings(gateways=rows)
    assert caught.value.param == "gateways.house.fallback"
    rows["house"]["fallback"] = ["drafts", "built-in"]
    rows["drafts"]["fallback"] = ["house"]
    assert read_settings(gateways=rows).gateways["drafts"].fallback == ["house"]


def test_settings_cannot_be_changed():
    with pytest.raises(ValidationError):
        read_settings().threads = 2


def test_each_setting_is_described():
    for model in (Settings, Gateway):
        assert [n for n, field in model.model_fields.items() if not field.description] == []
