"""The five examples, run as a user runs them, with the fake engine; and what is kept of them."""

import json
import os
from pathlib import Path

import pypdfium2
import pytest
from PIL import Image

from gouache.contract import seed_of
from tests.commands import gouache

EXAMPLES = Path(__file__).parents[1] / "examples"
OUTPUT = EXAMPLES / "output"
NAMES = sorted(path.stem for path in EXAMPLES.glob("*.json"))

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name != "posix", reason="run as on a server")]


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """Return a function that runs an example, once: the stub it leaves, and its files by suffix."""
    known = {}

    def run(name):
        if name not in known:
            folder = tmp_path_factory.mktemp(name)
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("GOUACHE_ENGINE", "fake")
                done = gouache(
                    *("run", str(EXAMPLES / f"{name}.json")),
                    *("--data-dir", str(folder / "data"), "--output", str(folder / "made")),
                )
            assert done.returncode == 0, done.stderr
            made = {path.suffix: path for path in (folder / "made").iterdir()}
            known[name] = (json.loads(done.stdout), made)
        return known[name]

    return run


def test_there_is_one_example_for_each_use():
    assert NAMES == ["avatar", "logo", "newsletter", "pdf", "welcome"]


@pytest.mark.parametrize("name", NAMES)
def test_an_example_runs_by_one_command(ran, name):
    stub, made = ran(name)
    tasks = [task for post in stub["stubposts"] for task in post["tasks"].values()]
    assert [task["state"] for task in tasks] == ["succeeded"] * len(tasks)
    assert ".png" in made
    for task in tasks:
        asked = [warning for warning in task["warnings"] if "fake engine" not in warning]
        assert asked == [], "an example has no flaws"


def test_the_logo_is_on_the_record(ran):
    stub, made = ran("logo")
    assert made[".png"].name == "logo Bluefin Coffee.png"
    (attached,) = stub["attachments"]
    assert stub["data"]["company"]["logo"]["fileuuid"] == attached["fileuuid"]
    assert stub["stubposts"][1]["attachments"] == [attached]


def test_the_offer_has_its_picture_and_its_words(ran):
    stub, made = ran("pdf")
    assert [file["contentType"] for file in stub["attachments"]] == ["application/pdf"]
    assert len(stub["stubposts"]) == 1, "the picture for the PDF is not posted"
    pdf = pypdfium2.PdfDocument(made[".pdf"].read_bytes())
    text = " ".join(pdf[0].get_textpage().get_text_range().split())
    assert "5 days at Rova Bay An offer for Ms. Rivera" in text
    (picture,) = [o for o in pdf[0].get_objects() if o.type == 3]
    left, _, right, _ = picture.get_bounds()
    assert picture.get_px_size() == (1792, 1024)
    assert 1792 / ((right - left) / 72) >= 150


def test_the_mail_links_to_its_picture(ran):
    stub, made = ran("newsletter")
    post = stub["stubposts"][0]
    fileuuid = post["tasks"]["draw_picture"]["payload"]["image"]["fileuuid"]
    mail = made[".html"].read_text()
    assert f"/files/{fileuuid}?expires=" in mail
    assert "format=jpeg" in mail
    assert post["data"]["text"].split("\n")[0] in mail
    assert "{{" not in mail


def test_the_same_user_has_the_same_seed_of_the_own_id(ran):
    stub, _ = ran("avatar")
    (task,) = [t for t in stub["stubposts"][0]["tasks"].values() if "response" in t["payload"]]
    assert task["payload"]["response"]["seed"] == seed_of("user-7")


def test_what_is_kept_of_the_examples_is_small_and_shown():
    page = (EXAMPLES.parent / "docs" / "gallery.md").read_text()
    kept = [path for path in OUTPUT.iterdir() if path.suffix != ".txt"]
    assert len(kept) >= 6
    for path in kept:
        most = 150_000 if path.suffix == ".pdf" else 40_000
        assert path.stat().st_size <= most, path
        if path.suffix == ".webp":
            with Image.open(path) as image:
                assert min(image.size) >= 300
    for name in NAMES:
        assert f"gouache run examples/{name}.json" in page
        assert (OUTPUT / f"{name}.txt").read_text().strip() in page
