"""The command line, with the fake engine: what it prints, writes, refuses, and its exit codes."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from gouache import __version__, cli, images
from gouache.cli import app, separate_prompt
from gouache.contract import read_request
from gouache.engines import Step
from gouache.engines.fake import FakeEngine
from gouache.errors import Cancelled

WEIGHTS = Path(cli.__file__).parent / "weights" / "model.json"
CAT = "A white cat sitting on a red sports car."


@pytest.fixture(autouse=True)
def fake_engine_in_an_empty_folder(monkeypatch, tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("GOUACHE_ENGINE", "fake")


def run(*arguments, stdin=None):
    return CliRunner().invoke(app, separate_prompt(arguments), input=stdin)


def generate(*arguments, stdin=None):
    return run("generate", *arguments, stdin=stdin)


def answer(*arguments):
    result = generate(*arguments, "--json")
    return result.exit_code, json.loads(result.stdout)


def everything_here():
    return sorted(path.name for path in Path().iterdir())


def test_a_picture_is_drawn_and_its_path_is_all_of_standard_output():
    result = generate(CAT)
    assert result.exit_code == 0
    assert everything_here() == [result.stdout.strip()]
    data = Path(result.stdout.strip()).read_bytes()
    assert images.decode_png(data).shape == (1024, 1024, 3)
    assert images.read_recipe(data).request == read_request({"prompt": CAT})


def test_it_says_what_was_understood_and_what_not_and_how_long_it_took():
    said = generate("a [blue] cat", "--seed", "7").stderr
    assert "Drew a [blue] cat" in said
    assert "Not understood: a, [blue], cat" in said
    assert "Warning: the fake engine draws a pattern" in said
    assert "1024x1024, standard, fake-1, seed 7," in said
    assert said.rstrip().endswith(" s")


def test_every_choice_reaches_the_request():
    code, said = answer(
        CAT, "--size", "1024x1792", "--quality", "hd", "--seed", "9", "--style", "flat",
        "--model", "fake-1", "--engine", "fake", "--filename", "my/cat.jpg",
    )  # fmt: skip
    assert code == 0
    assert said["request"] == {
        "prompt": CAT,
        "model": "fake-1",
        "size": "1024x1792",
        "quality": "hd",
        "filename": "my/cat.jpg",
        "disable_model_response": False,
        "seed": 9,
        "style": "flat",
    }
    assert said["path"] == str(Path("cat.png").resolve())
    assert (said["success"], said["model"], said["seed"]) == (True, "fake-1", 9)
    assert said["seconds"] > 0
    assert said["unresolved"] == CAT.split()


@pytest.mark.skipif(not WEIGHTS.is_file(), reason="the weights are not here")
def test_without_any_setting_the_embedded_model_draws(monkeypatch):
    monkeypatch.delenv("GOUACHE_ENGINE")
    code, said = answer(CAT, "--seed", "7")
    assert (code, said["model"]) == (0, "gouache-1")
    assert "cat" in said["revised_prompt"]
    data = Path(said["path"]).read_bytes()
    assert images.decode_png(data).shape == (1024, 1024, 3)
    assert images.read_recipe(data).seed == 7


def test_the_same_seed_writes_the_same_file():
    generate(CAT, "--seed", "7", "--output", "a.png")
    generate(CAT, "--seed", "7", "--output", "b.png")
    generate(CAT, "--seed", "8", "--output", "c.png")
    a, b, c = (Path(name).read_bytes() for name in ("a.png", "b.png", "c.png"))
    assert a == b
    assert a != c


def test_a_picture_is_remade_from_its_own_recipe():
    generate(CAT, "--size", "1792x1024", "--output", "a.png")
    assert generate("--from", "a.png", "--output", "b.png").exit_code == 0
    a, b = (images.decode_png(Path(name).read_bytes()) for name in ("a.png", "b.png"))
    assert (a == b).all()


def test_an_option_beside_from_changes_the_recipe():
    generate(CAT, "--size", "1792x1024", "--seed", "7", "--output", "a.png")
    _, said = answer("--from", "a.png", "--size", "1024x1024", "--output", "b.png")
    assert said["request"]["size"] == "1024x1024"
    assert (said["request"]["prompt"], said["seed"]) == (CAT, 7)


def test_a_recipe_keeps_unknown_fields_and_warns_of_them():
    old = images.Recipe(
        request=read_request({"prompt": CAT, "sise": "big"}), seed=1, model="m", revised_prompt="r"
    )
    pixels = images.np.zeros((2, 2, 3), images.np.uint8)
    Path("old.png").write_bytes(images.encode_png(pixels, old))
    _, said = answer("--from", "old.png")
    assert said["request"]["sise"] == "big"
    assert "did you mean size?" in said["warnings"][0]


def test_the_prompt_can_come_from_standard_input():
    generate("-", "--output", "a.png", stdin="two\nlines\n")
    assert images.read_recipe(Path("a.png").read_bytes()).request.prompt == "two\nlines"


def test_a_prompt_on_standard_input_that_is_not_utf8_is_refused():
    result = generate("-", stdin=b"\xff\xfe")
    assert result.exit_code == 2
    assert "not UTF-8" in result.stderr


def test_the_picture_can_go_to_standard_output():
    result = generate(CAT, "--output", "-")
    assert images.decode_png(result.stdout_bytes).shape == (1024, 1024, 3)
    assert everything_here() == []


def test_the_output_can_be_a_folder():
    Path("folder").mkdir()
    generate(CAT, "--output", "folder", "--filename", "cat")
    assert (Path("folder") / "cat.png").is_file()


def test_the_output_folder_is_a_setting(monkeypatch):
    monkeypatch.setenv("GOUACHE_OUTPUT_DIR", "elsewhere/deep")
    generate(CAT, "--filename", "cat")
    assert Path("elsewhere/deep/cat.png").is_file()


@pytest.mark.parametrize(
    ("given", "separated"),
    [
        (["generate", "- a cat"], ["generate", "--", "- a cat"]),
        (["generate", "--a=b is not = c", "--json"], ["generate", "--a=b is not = c", "--json"]),
        (["generate", "-5 degrees = cold"], ["generate", "--", "-5 degrees = cold"]),
        (["generate", "--json", "-5 degrees"], ["generate", "--json", "--", "-5 degrees"]),
        (["generate", "--filename", "-my cat"], ["generate", "--filename", "-my cat"]),
        (["generate", "--seed=5", "- a cat"], ["generate", "--seed=5", "--", "- a cat"]),
        (["generate", "--", "- a cat"], ["generate", "--", "- a cat"]),
        (["generate", "-"], ["generate", "-"]),
        ([], []),
    ],
)
def test_a_prompt_that_begins_with_a_dash_is_told_from_an_option(given, separated):
    assert separate_prompt(given) == separated


@pytest.mark.parametrize("prompt", ["- a cat", "-5 degrees in the snow", "--- x"])
def test_a_prompt_that_begins_with_a_dash_is_drawn(prompt):
    code, said = answer(prompt, "--seed", "3")
    assert (code, said["request"]["prompt"], said["seed"]) == (0, prompt, 3)


def test_an_option_mistyped_is_not_taken_for_a_prompt():
    result = generate(CAT, "--sise", "1024x1024")
    assert result.exit_code == 2
    assert "No such option" in result.output
    assert everything_here() == []


@pytest.mark.parametrize(
    ("arguments", "code", "param", "message"),
    [
        ([""], 2, "prompt", "1 to 32,000"),
        ([CAT, "--size", "big"], 2, "size", "1024x1024, 1024x1792, 1792x1024"),
        ([CAT, "--seed", "-1"], 2, "seed", "0 to 4294967295"),
        ([CAT, "--style", "oil"], 2, "style", "use one of flat, cartoon"),
        ([CAT, "--model", "oil"], 2, "model", "use one of dall-e-3, fake-1"),
        ([CAT, "--engine", "oil"], 2, "engine", "use one of diffusers_local, embedded, fake"),
        (["--from", __file__], 2, None, "not a PNG"),
        (["--from", "missing.png"], 4, None, "missing.png could not be read: No such file"),
        ([CAT, "--output", __file__ + "/cat.png"], 4, None, "is not a folder"),
        ([CAT, "--output", "x" * 300], 4, None, "File name too long"),
        (["--size", "1024x1024"], 2, "prompt", "prompt is required"),
    ],
)
def test_a_failure_has_a_message_and_an_exit_code_and_writes_nothing(
    arguments, code, param, message
):
    result = generate(*arguments)
    assert result.exit_code == code
    assert result.stderr.startswith("Error: ")
    assert message in result.stderr
    assert result.stdout == ""
    assert everything_here() == []
    as_json_code, said = answer(*arguments)
    assert as_json_code == code
    assert said["success"] is False
    assert said["error"]["param"] == param
    assert message in said["error"]["message"]


def test_json_and_the_picture_cannot_both_go_to_standard_output():
    assert answer(CAT, "--output", "-")[0] == 2


def test_a_bad_setting_is_named(monkeypatch):
    monkeypatch.setenv("GOUACHE_THREADS", "-1")
    result = generate(CAT)
    assert result.exit_code == 3
    assert "threads" in result.stderr


def test_a_closed_folder_is_refused_before_anything_is_drawn(monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    monkeypatch.setattr(FakeEngine, "generate", None)
    result = generate(CAT)
    assert result.exit_code == 4
    assert "not writable" in result.stderr


def test_a_full_disk_is_a_message_and_leaves_nothing(monkeypatch):
    def full(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    result = generate(CAT)
    assert result.exit_code == 4
    assert "No space left on device" in result.stderr
    assert everything_here() == []


def interrupted(where):
    """Run the command in a process of its own, where the call `where` is a Ctrl-C; return the run."""
    code = (
        "import os, signal, sys\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # ignored in the background
        "from gouache.engines.fake import FakeEngine\n"
        f"{where} = lambda *a, **k: os.kill(os.getpid(), signal.SIGINT)\n"
        "from gouache.__main__ import main\n"
        f"sys.argv = ['gouache', 'generate', {CAT!r}]\n"
        "main()\n"
    )
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)


def test_interrupting_a_drawing_leaves_nothing():
    done = interrupted("FakeEngine.generate")
    assert done.returncode == 130
    assert done.stderr.endswith("Stopped.\n")
    assert everything_here() == []


def test_interrupting_while_the_program_loads_is_quiet():
    code = (
        "import sys\n"
        "class Stop:\n"
        "    def find_spec(self, name, path, target=None):\n"
        "        if name == 'gouache.cli': raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Stop())\n"
        "from gouache.__main__ import main\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (130, "")


def test_interrupting_the_writing_leaves_nothing():
    assert interrupted("os.fsync").returncode == 130
    assert everything_here() == []


def test_a_drawing_that_was_cancelled_says_so(monkeypatch):
    def cancelled(self, request, on_step=None):
        raise Cancelled("the drawing was stopped")

    monkeypatch.setattr(FakeEngine, "generate", cancelled)
    assert generate(CAT).exit_code == 130


def test_the_picture_is_opened_when_asked_for(monkeypatch):
    opened = []
    monkeypatch.setattr(typer, "launch", opened.append)
    generate(CAT, "--filename", "cat", "--open")
    assert opened == ["cat.png"]


def test_models_lists_each_engine_and_what_it_can_do():
    said = run("models").stdout
    assert "fake (used unless another is asked for)" in said
    assert "model    fake-1 (also asked for as dall-e-3)" in said
    assert "size     1024x1024, 1024x1792, 1792x1024" in said
    assert "embedded\n" in said


def test_version_is_the_version():
    assert run("version").stdout == f"gouache {__version__}\n"


def test_the_installed_command_takes_a_prompt_that_begins_with_a_dash():
    command = [sys.executable, "-m", "gouache", "generate", "- a cat"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert everything_here() == [done.stdout.strip()]
    assert "\x1b" not in done.stderr, "no bar and no preview where nobody watches"


@pytest.mark.skipif(os.name != "posix", reason="pseudo-terminals")
def test_a_terminal_shows_a_bar_and_a_preview():
    import pty

    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "gouache", "generate", CAT]
    looks = {"TERM": "xterm-256color", "COLORTERM": "truecolor", "COLUMNS": "80"}
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=theirs, env=os.environ | looks
    )
    os.close(theirs)
    shown = b""
    try:
        while chunk := os.read(ours, 65536):
            shown += chunk
    except OSError:  # how Linux tells that the other end is closed
        pass
    os.close(ours)
    assert process.wait() == 0
    assert "\u2580".encode() in shown
    assert b"4/4" in shown


def test_steps_reach_whoever_watches(monkeypatch):
    steps = []
    FakeEngine(None).generate(read_request({"prompt": CAT}), steps.append)
    assert [(s.step, s.steps) for s in steps] == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert isinstance(steps[0], Step)
