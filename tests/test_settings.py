"""Settings: where each value comes from, and refusals that name the setting."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from gouache.errors import SettingsError
from gouache.settings import Settings, read_settings


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


def test_settings_cannot_be_changed():
    with pytest.raises(ValidationError):
        read_settings().threads = 2


def test_each_setting_is_described():
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []
