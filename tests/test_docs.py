"""The prose is run: README commands, promised tests, links, versions."""

import json
import re
import shutil
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest

from gouache import __version__
from gouache.contract import Result, Task, read, read_request
from gouache.images import read_recipe
from gouache.records import NewStubpost
from gouache.settings import Settings
from tests.commands import EXAMPLE, PORT, blocks, follow

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
TUTORIAL = (ROOT / "docs" / "tutorial.md").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


needs_a_shell = pytest.mark.skipif(
    not (shutil.which("bash") and shutil.which("curl")), reason="bash and curl are not here"
)


@pytest.fixture
def fake_engine(monkeypatch, tmp_path):
    monkeypatch.setenv("GOUACHE_ENGINE", "fake")
    monkeypatch.chdir(tmp_path)


@needs_a_shell
def test_the_commands_of_the_readme_run(fake_engine, tmp_path):
    (task,) = blocks("json", README)
    assert task == EXAMPLE
    (tmp_path / "task.json").write_text(task)
    said, code = follow(README, tmp_path)
    assert code == 0
    assert len(list(tmp_path.glob("*.png"))) == 5
    assert "_update_from_generate_image" in said
    assert said.count("succeeded") >= 4
    assert said.endswith("All is well.\n")


@needs_a_shell
def test_the_tutorial_leads_to_a_stub_with_a_picture(fake_engine, tmp_path):
    said, code = follow(TUTORIAL, tmp_path)
    assert code == 0
    assert "event: end" in said
    assert "_update_from_generate_image" in said
    recipe = read_recipe((tmp_path / "welcome.png").read_bytes())
    assert recipe.request.prompt == "A card with a yellow balloon and a cake"
    assert (tmp_path / "flat.png").is_file()


@pytest.mark.parametrize("page", [README, TUTORIAL], ids=["README.md", "tutorial.md"])
def test_a_page_names_the_port_of_the_server(page):
    assert str(Settings.model_fields["port"].default) == PORT
    assert f"127.0.0.1:{PORT}" in page


def test_the_python_of_the_readme_runs(fake_engine, capsys):
    (code,) = blocks("python", README)
    exec(compile(code, "README.md", "exec"), {})
    assert "(1024, 1024, 3) A red bicycle" in capsys.readouterr().out


def test_the_examples_of_the_contract_are_what_we_take_and_give():
    page = (ROOT / "docs" / "contract.md").read_text()
    examples = [json.loads(block) for block in blocks("json", page)]
    task, success, failure, post = examples
    assert read_request(read(Task, task).params).prompt == success["payload"]["request"]["prompt"]
    for result in (success, failure):
        assert Result.model_validate(result).as_json() == result
    for name, values in read(NewStubpost, post).tasks.items():
        assert not read_request(read(Task, {"name": name} | values).params).warnings()


def test_the_scripts_the_readme_names_are_there():
    named = re.findall(r"scripts/\w+", README)
    assert len(named) >= 4
    assert [name for name in named if not (ROOT / name).is_file()] == []


def test_the_readme_installs_as_the_scripts_do():
    script = (ROOT / "scripts" / "venv").read_text()
    for words in (
        "-m venv .venv",
        ".venv/bin/python -m pip install",
        "--constraint constraints.txt",
    ):
        assert words in script
        assert words in README
        assert words in TUTORIAL


def test_the_readme_is_short():
    assert len(README.splitlines()) <= 150


def test_links_in_the_documents_lead_somewhere():
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    found = 0
    for page in pages:
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
            if not re.match(r"https?:", target):
                found += 1
                assert (page.parent / target).exists(), f"{page.name} links to {target}"
    assert found >= 8


def test_each_decision_names_a_test_that_exists():
    decisions = (ROOT / "docs" / "decisions.md").read_text().split("\n## ")[1:]
    tests = "".join(path.read_text() for path in (ROOT / "tests").glob("test_*.py"))
    assert len(decisions) >= 8
    for decision in decisions:
        title = decision.partition("\n")[0]
        assert re.match(r"\d{4}-\d\d-\d\d: ", title), title
        names = re.findall(r"`(test_\w+)`", decision.partition("Enforced by:")[2])
        assert names, f"{title}: no test"
        for name in names:
            assert f"def {name}(" in tests, f"{title}: {name} is no test"


def test_the_version_is_the_same_everywhere():
    assert PROJECT["project"]["version"] == __version__
    assert f"## [{__version__}]" in (ROOT / "CHANGELOG.md").read_text()


def test_every_dependency_is_pinned_exactly():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in lines)
    pinned = {line.partition("==")[0].lower().replace("_", "-") for line in lines}
    extras = PROJECT["project"]["optional-dependencies"]
    wanted = PROJECT["project"]["dependencies"] + sum(extras.values(), [])
    names = {re.match(r"[\w.-]+", line).group().lower().replace("_", "-") for line in wanted}
    assert names - {"gouache"} <= pinned  # an extra may name others of ours


def test_the_checks_install_the_training_libraries():
    assert "scripts/venv test,training" in (ROOT / "scripts" / "check").read_text()


def test_the_package_carries_its_weights():
    """Whatever lies in the package and is no module is named as package data."""
    package = ROOT / "src" / "gouache"
    patterns = PROJECT["tool"]["setuptools"]["package-data"]["gouache"]
    for path in package.rglob("*"):
        if path.is_file() and path.suffix != ".py" and "__pycache__" not in path.parts:
            name = path.relative_to(package).as_posix()
            assert any(fnmatch(name, pattern) for pattern in patterns), name


def test_the_weights_are_no_heavier_than_promised():
    files = [path for path in (ROOT / "src" / "gouache" / "weights").iterdir() if path.is_file()]
    assert {"denoiser.bin", "references.bin"} <= {path.name for path in files}
    assert sum(path.stat().st_size for path in files) < 56e6
