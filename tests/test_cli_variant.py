"""`gouache variant`: from a file or a stored one to the file named, or to standard output."""

import io
import zipfile

import pytest
from PIL import Image
from typer.testing import CliRunner

from gouache.cli import app
from gouache.icons import NAMES
from tests.pictures import disc, png
from tests.served import served

SOURCE = png(disc(300, 200))


@pytest.fixture
def picture(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cat.png").write_bytes(SOURCE)
    return tmp_path


def variant(*arguments):
    return CliRunner().invoke(app, ["variant", *arguments])


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("out.png", "PNG"),
        ("out.jpg", "JPEG"),
        ("out.JPEG", "JPEG"),
        ("out.webp", "WEBP"),
        ("out", "PNG"),
    ],
)
def test_the_name_of_the_output_says_the_format(picture, name, form):
    done = variant("cat.png", "--output", name, "--w", "50")
    assert (done.exit_code, done.stdout) == (0, f"{name}\n")
    with Image.open(picture / name) as image:
        assert (image.size, image.format) == ((50, 75), form)


def test_a_format_asked_for_goes_before_the_name(picture):
    assert variant("cat.png", "--output", "a.png", "--format", "pdf").exit_code == 0
    assert (picture / "a.png").read_bytes().startswith(b"%PDF")


def test_all_options_reach_the_variant(picture):
    options = "--w 40 --h 40 --fit cover --circle --background #00f0f0 --dpi 72 --format jpeg"
    done = variant(
        "cat.png", *options.split(), "--max-bytes", "2000", "--quality", "70", "--output", "a"
    )
    assert done.exit_code == 0, done.stderr
    with Image.open(picture / "a") as image:
        assert image.size == (40, 40)
        assert image.info["dpi"] == (72, 72)
        red, green, blue = image.getpixel((1, 1))
        assert red < 60
        assert min(green, blue) > 200
    assert (picture / "a").stat().st_size <= 2000


def test_icons_are_a_zip(picture):
    assert variant("cat.png", "--output", "icons.zip").exit_code == 0
    with zipfile.ZipFile(picture / "icons.zip") as archive:
        assert tuple(archive.namelist()) == NAMES
    done = variant("cat.png", "--output", "icons.zip", "--w", "9")
    assert done.exit_code == 2
    assert "w is of no use with icons" in done.stderr


def test_a_variant_goes_to_standard_output(picture):
    done = variant("cat.png", "--output", "-", "--w", "20")
    assert Image.open(io.BytesIO(done.stdout_bytes)).size == (20, 30)


def test_warnings_are_said(picture):
    done = variant("cat.png", "--output", "a.png", "--w", "700")
    assert done.exit_code == 0
    assert "enlarged 3.5 times" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["cat.png", "--output", "a.gif"], 2, "format must be one of png, jpeg"),
        (
            ["cat.png", "--output", "a.png", "--w", "0"],
            2,
            "w must be a whole number from 1 to 4096",
        ),
        (["cat.png", "--output", "a.jpg", "--circle"], 2, "circle needs a background colour"),
        (["none.png", "--output", "a.png"], 4, "none.png could not be read"),
        ([".", "--output", "a.png"], 4, "could not be read"),
        (["cat.png", "--output", "cat.png/a.png"], 4, "is not a folder"),
    ],
)
def test_what_cannot_be_made_is_said_and_nothing_is_written(picture, arguments, code, said):
    done = variant(*arguments)
    assert (done.exit_code, done.stdout) == (code, "")
    assert said in done.stderr
    assert [path.name for path in picture.iterdir()] == ["cat.png"]


def test_a_stored_picture_is_named_by_its_uuid(picture, tmp_path):
    folder = tmp_path / "data"
    with served(folder) as server, server.client() as client:
        body = {"tasktype": "generate_image", "params": {"prompt": "A cat"}}
        task = client.post("/tasks", json=body, headers={"Prefer": "wait=30"}).json()
    fileuuid = task["payload"]["image"]["fileuuid"]
    done = variant(fileuuid.upper(), "--output", "a.png", "--w", "32", "--data-dir", str(folder))
    assert done.exit_code == 0, done.stderr
    with Image.open(picture / "a.png") as image:
        assert image.size == (32, 32)
    missing = fileuuid[:-4] + "0000"
    done = variant(missing, "--output", "b.png", "--data-dir", str(folder))
    assert done.exit_code == 2
    assert "there is no file" in done.stderr
