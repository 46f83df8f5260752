"""The scripts, with a stand-in for Python that writes down what it is asked to install."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

PYTHON = """#!/bin/sh
# Makes a .venv whose python writes its arguments to the log and fails where the file "broken" is.
mkdir -p .venv/bin
cat >.venv/bin/python <<'END'
#!/bin/sh
[ "$1" = -c ] && exit 0
echo "$*" >>log
[ ! -e broken ]
END
cat >.venv/bin/gouache <<'END'
#!/bin/sh
for argument; do echo "<$argument>"; done
END
chmod +x .venv/bin/*
"""

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the scripts are for bash")


@pytest.fixture
def project(tmp_path):
    folder = tmp_path / "a project"
    shutil.copytree(ROOT / "scripts", folder / "scripts")
    for name in ("pyproject.toml", "constraints.txt"):
        (folder / name).write_text(name)
    stand_in = folder / "python"
    stand_in.write_text(PYTHON)
    stand_in.chmod(0o755)
    return folder


def run(project, *arguments, script="run"):
    environment = os.environ | {"PYTHON": str(project / "python")}
    command = [str(project / "scripts" / script), *arguments]
    return subprocess.run(
        command, env=environment, cwd=project.parent, capture_output=True, text=True
    )


def installs(project):
    log = project / "log"
    return log.read_text().splitlines() if log.exists() else []


def test_run_installs_the_base_package_and_draws_the_white_cat(project):
    done = run(project)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["<generate>", "<A white cat sitting on a red sports car.>"]
    (install,) = installs(project)
    assert install.endswith("--constraint constraints.txt --editable .")


def test_run_gives_its_arguments_to_generate(project):
    done = run(project, "a  dog", "--seed", "7")
    assert done.stdout.splitlines() == ["<generate>", "<a  dog>", "<--seed>", "<7>"]


def test_a_second_run_installs_nothing(project):
    run(project)
    run(project)
    assert len(installs(project)) == 1


def test_changed_requirements_are_installed_again(project):
    run(project)
    (project / "constraints.txt").write_text("changed")
    run(project)
    assert len(installs(project)) == 2


def test_a_project_that_was_moved_is_installed_again(project):
    run(project)
    moved = project.rename(project.parent / "moved")
    run(moved)
    assert len(installs(moved)) == 2


def test_an_environment_whose_python_is_gone_is_made_again(project):
    run(project)
    (project / ".venv" / "bin" / "python").unlink()
    assert run(project).returncode == 0
    assert len(installs(project)) == 2


def test_a_failed_installation_draws_nothing_and_is_tried_again(project):
    (project / "broken").touch()
    done = run(project)
    assert done.returncode != 0
    assert done.stdout == ""
    (project / "broken").unlink()
    assert run(project).returncode == 0
    assert len(installs(project)) == 2


def test_extras_are_installed_beside_the_base(project):
    run(project)
    run(project, "test,training", script="venv")
    assert installs(project)[1].endswith("--editable .[test,training]")
