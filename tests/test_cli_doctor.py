"""`gouache doctor`: what it shows, what it finds wrong, and what it says to do."""

import asyncio
import json
import os
import time
from pathlib import Path
from uuid import uuid4

import pytest
from typer.testing import CliRunner

from gouache.cli import app
from gouache.commands import doctor
from gouache.database import VERSION
from gouache.diffusion import weights
from gouache.records import NewTask
from gouache.service import open_service
from gouache.settings import Settings, read_settings
from tests.commands import begun

WEIGHTS = Path(weights.__file__).parents[1] / "weights" / "model.json"

pytestmark = pytest.mark.skipif(not WEIGHTS.is_file(), reason="the weights are not here")


@pytest.fixture(autouse=True)
def own_data_folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GOUACHE_ENGINE", "fake")
    monkeypatch.setenv("GOUACHE_DATA_DIR", "data")


def said(*arguments):
    result = CliRunner().invoke(app, ["doctor", *arguments])
    return result.exit_code, result.stdout


def answer(*arguments):
    code, out = said(*arguments, "--json")
    return code, json.loads(out)


def problem(*arguments):
    """Examine what has one problem; return it."""
    code, found = answer(*arguments)
    assert (code, found["well"]) == (3, False)
    (sentence,) = found["problems"]
    assert f"Problem: {sentence}" in said(*arguments)[1]
    return sentence


def test_a_fresh_installation_is_well_and_stays_untouched():
    code, found = answer()
    assert (code, found["well"], found["problems"]) == (0, True, [])
    assert found["data"]["made"] is False
    assert found["data"]["free_bytes"] > 0
    assert found["database"]["kind"] == "SQLite"
    assert found["weights"] == {"model": "gouache-1", "whole": True}
    assert "fake-1" in found["gateways"]["built-in"]
    assert not Path("data").exists()
    assert said()[1].endswith("All is well.\n")


def test_each_setting_is_shown_with_where_it_came_from(monkeypatch):
    Path("gouache.toml").write_text("threads = 2\n")
    _, found = answer("--data-dir", "elsewhere")
    settings = found["settings"]
    assert settings.keys() == Settings.model_fields.keys()
    assert settings["engine"] == {"value": "fake", "source": "environment GOUACHE_ENGINE"}
    assert settings["threads"]["value"] == "2"
    assert str(Path("gouache.toml").resolve()) in settings["threads"]["source"]
    assert settings["data_dir"] == {"value": "elsewhere", "source": "given"}
    assert settings["port"] == {"value": "8611", "source": "default"}


def test_no_secret_is_shown(monkeypatch):
    monkeypatch.setenv("GOUACHE_API_KEY", "a-key-for-the-tests")
    monkeypatch.setenv("GOUACHE_DATABASE_URL", "postgresql://me:password@127.0.0.1:1/none")
    for options in ([], ["--json"]):
        code, out = said(*options)
        assert code == 3
        assert "(set)" in out
        assert "a-key-for-the-tests" not in out
        assert "password" not in out


def test_the_database_is_shown_with_its_tasks_and_workers(tmp_path):
    with open_service(read_settings()) as service:
        task = NewTask(tasktype="generate_image", params={"prompt": "x"})
        service.submit(task)
        told = task.model_copy(update={"webhook": "https://example.org/"})
        service.cancel(service.submit(told).taskuuid)
    _, found = answer()
    assert found["database"] == {
        "kind": "SQLite",
        "reachable": True,
        "version": VERSION,
        "tasks": {"cancelled": 1, "queued": 1},
        "webhooks": {"queued": 1},
        "workers": 0,
    }
    with begun(tmp_path, "serve", "--port", "0") as server:
        server.ready()
        assert answer()[1]["database"]["workers"] == 1


def test_a_postgresql_database_is_examined(monkeypatch, postgres_url, tmp_path):
    monkeypatch.setenv("GOUACHE_DATABASE_URL", postgres_url)
    code, found = answer()
    assert (code, found["database"]["kind"], found["database"]["workers"]) == (0, "PostgreSQL", 0)
    with begun(tmp_path / "1", "worker") as one, begun(tmp_path / "2", "worker") as two:
        one.ready()
        two.ready()
        assert answer()[1]["database"]["workers"] == 2


def test_a_database_that_is_away_is_a_problem(monkeypatch):
    monkeypatch.setenv("GOUACHE_DATABASE_URL", "postgresql://me@127.0.0.1:1/none")
    assert "check that the database runs and database_url is right" in problem()


def test_a_database_that_is_none_is_a_problem():
    Path("data").mkdir()
    Path("data/gouache.sqlite").write_text("not a database, whatever its name says " * 100)
    assert "the database is damaged or none" in problem()


def test_files_without_a_record_are_found_and_swept():
    with open_service(read_settings()) as service:
        path = service._files.path("a" * 20)
        path.parent.mkdir()
        path.write_bytes(b"left by a kill")
        fresh = path.with_name("b" * 20)
        fresh.write_bytes(b"perhaps being written")
    long_ago = time.time() - 7200
    os.utime(path, (long_ago, long_ago))
    assert "stored files without a record: 1; gouache doctor --sweep deletes them" in problem()
    assert path.exists()
    code, found = answer("--sweep")
    assert (code, found["files"]["swept"]) == (0, [str(path)])
    assert not path.exists()
    assert fresh.exists()


def test_files_that_are_gone_are_a_problem():
    with open_service(read_settings()) as service:
        task = service.submit(NewTask(tasktype="generate_image", params={"prompt": "x"}))
        service.work.start()
        assert asyncio.run(service.wait([task.taskuuid], 20))
        fileuuid = service.task(task.taskuuid).payload.image.fileuuid
        service.file_path(fileuuid).unlink()
    assert "restore the files folder from a backup" in problem()
    assert answer()[1]["files"]["missing"] == [fileuuid]


def test_damaged_weights_are_a_problem(monkeypatch, tmp_path):
    damaged = tmp_path / "package" / "weights"
    damaged.mkdir(parents=True)
    for path in WEIGHTS.parent.iterdir():
        if path.is_file():
            (damaged / path.name).symlink_to(path)
    (damaged / weights.TOKENIZER).unlink()
    (damaged / weights.TOKENIZER).write_text("{}")
    monkeypatch.setattr(doctor, "files", lambda package: damaged.parent)
    sentence = problem()
    assert "tokenizer.json is damaged" in sentence
    assert "install the package again" in sentence


def test_a_gateway_that_cannot_draw_is_a_problem(monkeypatch):
    monkeypatch.setenv("GOUACHE_ENGINE", "oil")
    assert "'oil'" in problem()


@pytest.mark.parametrize("engine", ["openai_images", "huggingface_hosted"])
def test_a_gateway_without_its_key_is_a_problem(monkeypatch, engine):
    options = {
        "openai_images": 'base_url = "https://pictures.example/v1", models = ["m"]',
        "huggingface_hosted": 'model = "maker/model"',
    }
    Path("gouache.toml").write_text(
        f'[gateways.theirs]\ntaskapigatewayuuid = "{uuid4()}"\nengine = "{engine}"\n'
        f'options = {{ {options[engine]}, key_env = "PICTURES_KEY" }}\n'
    )
    assert problem().startswith("the variable PICTURES_KEY")
    monkeypatch.setenv("PICTURES_KEY", "key-0123456789")
    code, out = said()
    assert (code, "with the key of PICTURES_KEY" in out) == (0, True)
    assert "key-0123456789" not in out


def test_a_budget_without_a_price_is_a_problem():
    row = (
        f'[gateways.paid]\ntaskapigatewayuuid = "{uuid4()}"\nengine = "openai_images"\n'
        'options = { base_url = "http://127.0.0.1:9/v1", models = ["model-1.5", "other"] }\n'
        'prices.other.image_usd = 0.04\nprices."model-1.5".input_usd = 5\n'
    )
    Path("gouache.toml").write_text(row)
    assert answer()[0] == 0, "without a budget nobody has to know"
    Path("gouache.toml").write_text(f"{row}budget_usd = 5\n")
    sentence = problem()
    assert "the gateway paid has a budget, and nobody knows what model-1.5 can cost" in sentence
    assert sentence.endswith('set image_usd or at_most_usd in gateways.paid.prices."model-1.5"')
    known = 'prices."model-1.5".images_usd = { "1024x1024 hd" = 0.08 }\n'
    Path("gouache.toml").write_text(f"{row}budget_usd = 5\n{known}")
    assert "model-1.5" in problem(), "the other sizes have none"
    known = 'prices."model-1.5".at_most_usd = 0.25\n'
    Path("gouache.toml").write_text(f"{row}budget_usd = 5\n{known}")
    assert answer()[0] == 0


def test_a_full_disk_is_a_problem(monkeypatch):
    monkeypatch.setattr(doctor, "ENOUGH_BYTES", 10**18)
    assert "make room" in problem()


def test_a_variable_that_is_no_setting_is_a_problem(monkeypatch):
    monkeypatch.setenv("GOUACHE_PROT", "80")
    assert "did you mean GOUACHE_PORT?" in problem()


def test_a_server_open_to_all_is_a_problem(monkeypatch):
    monkeypatch.setenv("GOUACHE_HOST", "0.0.0.0")
    assert "GOUACHE_API_KEY" in problem()


def test_a_setting_that_cannot_be_used_ends_the_examination(monkeypatch):
    monkeypatch.setenv("GOUACHE_PORT", "x")
    result = CliRunner().invoke(app, ["doctor"])
    assert result.exit_code == 3
    assert "port" in result.stderr
