"""Picture files: the recipe inside, the names, all or nothing."""

import errno
import io
import os
import stat
from contextlib import suppress

import numpy as np
import pytest
from PIL import Image

from gouache import images
from gouache.contract import read_request
from gouache.errors import RecipeNotFound, StorageError
from gouache.images import Recipe


def recipe(**params):
    request = read_request({"prompt": "A white cat"} | params)
    return Recipe(request=request, seed=7, model="fake-1", revised_prompt="a white cat")


def pixels(height=6, width=4):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"prompt": "two\nlines \x01\x1b[31m \U0001f98a <b>", "filename": "a/b.png", "seed": 1},
        {"prompt": "\U0001f98a" * 32_000, "style": "flat", "quality": "hd", "unknown": {"a": [1]}},
    ],
)
def test_the_recipe_read_is_the_recipe_written(params):
    written = recipe(**params)
    assert images.read_recipe(images.encode_png(pixels(), written)) == written


def test_whose_picture_it_is_is_not_in_the_file():
    data = images.encode_png(pixels(), recipe(seed_from="zoe@example.com"))
    assert b"zoe@example.com" not in data
    read = images.read_recipe(data)
    assert (read.request.seed_from, read.seed) == (None, 7)


def test_the_pixels_read_are_the_pixels_written():
    drawn = pixels()
    np.testing.assert_array_equal(images.decode_png(images.encode_png(drawn, recipe())), drawn)


def test_the_file_carries_the_alternative_text_and_the_programs_name():
    data = images.encode_png(pixels(), recipe())
    with Image.open(io.BytesIO(data)) as image:
        assert image.info["Description"] == "A white cat."
        assert image.info["Software"].startswith("gouache ")


@pytest.mark.parametrize(
    ("revised", "alt"),
    [
        (" A \x01white\n\x1b cat \u202e", "A white cat."),
        (
            "a picture of a white cat sitting on a red car, flat vector style, plain light green "
            "background. Drawn differently: “sports car” as car.",
            "A white cat sitting on a red car.",
        ),
        (
            "a logo with a teal hexagon and a white cup of coffee, one-colour emblem style, plain "
            "white background. Drawn differently: “coffee roastery” as cup of coffee. Text not "
            "drawn: “Blue Fox. Ltd”.",
            "A logo with a teal hexagon and a white cup of coffee.",
        ),
        (
            "an avatar of a person, cartoon style, plain #aabbcc background. Drawn differently: "
            "“user” as person. Not drawn: “friendly”, “big” and 3 more.",
            "An avatar of a person.",
        ),
        (
            "a picture of a mountain, soft 3D style, outer space background",
            "A mountain on an outer space background.",
        ),
        (
            "a poster of two cats, cartoon style, blue background with white dots",
            "A poster of two cats on a blue background with white dots.",
        ),
        (
            "a pattern of stars, flat vector style, red to blue gradient background",
            "A pattern of stars.",
        ),
        (
            "a logo with a white cup, flat vector style, plain white background, with the words “Blue "
            "Fox”, “Since 1901”. Drawn differently: “coffee roastery” as cup.",
            "A logo with a white cup, with the words “Blue Fox”, “Since 1901”.",
        ),
        (
            "a wide banner with a red maple leaf, an orange pumpkin and two children next to a brown dog "
            "under a grey umbrella in front of a house, flat vector style, with the words “Autumn sale”",
            "A wide banner with a red maple leaf, an orange pumpkin and two children next to a brown dog "
            "under a grey umbrella in…, with the words “Autumn sale”.",
        ),
        ("A photo-realistic image of a lake at dawn! It is calm.", "A lake at dawn! It is calm."),
        ("Please create a logo for Müller & Söhne", "A logo for Müller & Söhne."),
        ("a cat holding a picture of a dog", "A cat holding a picture of a dog."),
        ("x" * 400, "X" + "x" * 148 + "…"),
        (
            "A wide banner with a red maple leaf falling past an old brick house at the end of a "
            "long street, lit by the late sun, with two children who run after a small brown dog",
            "A wide banner with a red maple leaf falling past an old brick house at the end of a "
            "long street, lit by the late sun.",
        ),
        ("word " * 90, "Word" + " word" * 28 + "…"),
    ],
)
def test_the_alternative_text_is_a_short_sentence_on_what_was_drawn(revised, alt):
    drawn = recipe(prompt="Anything").model_copy(update={"revised_prompt": revised})
    assert images.alt_text(drawn) == alt
    assert len(alt) <= images.MAX_ALT_CHARACTERS


def test_where_nothing_was_revised_the_alternative_text_is_the_prompts():
    drawn = recipe(prompt="Draw me a red fox").model_copy(update={"revised_prompt": ""})
    assert images.alt_text(drawn) == "A red fox."


def test_a_picture_of_another_program_has_no_recipe():
    file = io.BytesIO()
    Image.fromarray(pixels()).save(file, "PNG")
    with pytest.raises(RecipeNotFound, match="no recipe"):
        images.read_recipe(file.getvalue())


@pytest.mark.parametrize("data", [b"", b"GIF89a", b"\x89PNG\r\n\x1a\n", b"\x89PNG\r\n\x1a\nxxxxx"])
def test_a_file_that_is_no_png_has_no_recipe(data):
    with pytest.raises(RecipeNotFound, match="not a PNG"):
        images.read_recipe(data)


def test_a_damaged_recipe_is_refused():
    data = images.encode_png(pixels(), recipe())
    with pytest.raises(RecipeNotFound):
        images.read_recipe(data.replace(b'"seed":7', b'"seeb":7'))


@pytest.mark.parametrize("length", range(8, 900, 89))
def test_a_picture_cut_short_is_refused_or_read_whole(length):
    data = images.encode_png(pixels(), recipe())[:length]
    with suppress(RecipeNotFound):
        assert images.read_recipe(data) == recipe()


@pytest.mark.parametrize(
    ("wanted", "safe"),
    [
        ("cat.png", "cat.png"),
        ("cat", "cat.png"),
        ("cat.JPG", "cat.png"),
        ("cat.tar.gz", "cat.tar.gz.png"),
        ("logo v1.2", "logo v1.2.png"),
        ("../../etc/passwd", "passwd.png"),
        ("C:\\pictures\\cat.webp", "cat.png"),
        ("a/b/", "b.png"),
        ("..", "image.png"),
        (".png", "png.png"),
        (" .hidden", "hidden.png"),
        ("con", "_con.png"),
        ("NUL.png", "_NUL.png"),
        ("com1.x", "_com1.x.png"),
        ('a<b>:"c|?*', "a_b___c___.png"),
        ("a\x00b\x1b\u202ec\n.png", "abc.png"),
        ("cafe\u0301", "caf\u00e9.png"),
        ("\x00", "image.png"),
        ("trailing. . ", "trailing.png"),
    ],
)
def test_a_filename_is_made_safe(wanted, safe):
    assert images.safe_filename(wanted) == safe


@pytest.mark.parametrize("wanted", ["x" * 1000, "\U0001f98a" * 300, "é" * 300 + ".jpeg"])
def test_a_filename_has_at_most_200_bytes(wanted):
    name = images.safe_filename(wanted)
    assert 190 < len(name.encode()) <= 200
    assert name.endswith(".png")


def test_a_safe_filename_is_safe_already():
    for wanted in ("con", "x" * 1000, "a/b: c.jpg", "..", "cat.png"):
        safe = images.safe_filename(wanted)
        assert images.safe_filename(safe) == safe


def test_the_same_recipe_has_the_same_default_name_and_another_has_another():
    name = images.default_filename(recipe())
    assert name == images.default_filename(recipe())
    assert name != images.default_filename(recipe(prompt="A black cat"))
    assert name.endswith("_generate_image.png")
    assert name[14] == "5", "a version-5 UUID"


UUID5 = "35000afc-2e6f-5fe9-86b5-1490cd426d41"


@pytest.mark.parametrize(
    ("stubref", "task", "name"),
    [
        (
            "2024-06-19-XXXX-YRA3",
            "generate_image",
            f"2024-06-19-XXXX-YRA3_{UUID5}_generate_image.png",
        ),
        ("2024-06-19-XXXX-YRA3", "logo", f"2024-06-19-XXXX-YRA3_{UUID5}_logo.png"),
        (None, "generate_image", f"{UUID5}_generate_image.png"),
        (None, "logo", f"{UUID5}_generate_image.png"),
    ],
)
def test_a_tasks_picture_is_named_as_documented(stubref, task, name):
    request = read_request({"prompt": "A white cat"})
    assert images.names(request, uuid=UUID5, stubref=stubref, task=task) == (name, name)


def test_a_given_name_is_made_safe_and_the_callers_own_is_kept():
    request = read_request({"prompt": "A white cat", "filename": "../cats/ca\u0301t.jpg"})
    names = images.names(request, uuid=UUID5, stubref="2024-06-19-XXXX-YRA3", task="logo")
    assert names == ("c\u00e1t.png", "../cats/ca\u0301t.jpg")


def test_the_longest_default_name_is_safe_already():
    request = read_request({"prompt": "A white cat"})
    name, _ = images.names(request, uuid=UUID5, stubref="2024-06-19-XXXX-YRA3", task="x" * 100)
    assert images.safe_filename(name) == name


def test_writing_makes_folders_and_replaces_a_file(tmp_path):
    path = tmp_path / "new" / "folder" / "cat.png"
    images.write_atomically(path, b"one")
    images.write_atomically(path, b"two")
    assert path.read_bytes() == b"two"
    assert [p.name for p in path.parent.iterdir()] == ["cat.png"]


def test_whoever_reads_the_old_file_reads_it_to_its_end(tmp_path):
    path = tmp_path / "cat.png"
    path.write_bytes(b"old")
    os.link(path, tmp_path / "reader")
    images.write_atomically(path, b"new")
    assert (tmp_path / "reader").read_bytes() == b"old"


@pytest.mark.skipif(os.name != "posix", reason="permission bits")
def test_a_written_file_has_the_permissions_the_umask_leaves(tmp_path):
    old = os.umask(0o022)
    try:
        images.write_atomically(tmp_path / "cat.png", b"x")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "cat.png").stat().st_mode) == 0o644


@pytest.mark.parametrize("stop", [OSError(errno.ENOSPC, "No space left on device")])
def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, stop):
    path = tmp_path / "cat.png"
    path.write_bytes(b"old")

    def full(handle):
        raise stop

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="No space left"):
        images.write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["cat.png"]


def test_an_interrupt_while_writing_leaves_nothing(tmp_path, monkeypatch):
    def interrupt(handle):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        images.write_atomically(tmp_path / "cat.png", b"new")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_not_written_over(tmp_path):
    with pytest.raises(StorageError, match="not a file"):
        images.write_atomically(tmp_path, b"x")


def test_a_file_is_not_taken_for_a_folder(tmp_path):
    (tmp_path / "cat").write_bytes(b"x")
    with pytest.raises(StorageError, match="not a folder"):
        images.write_atomically(tmp_path / "cat" / "cat.png", b"x")


@pytest.mark.skipif(os.name != "posix", reason="device files")
def test_a_device_is_not_replaced():
    with pytest.raises(StorageError, match="not a file"):
        images.write_atomically(images.Path("/dev/null"), b"x")


def test_a_name_too_long_is_a_storage_error(tmp_path):
    with pytest.raises(StorageError, match="too long"):
        images.write_atomically(tmp_path / ("x" * 300), b"x")


def test_a_closed_folder_is_found_out_before_drawing(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(StorageError, match="not writable"):
        images.check_writable(tmp_path / "new" / "cat.png")


@pytest.mark.skipif(os.name != "posix", reason="symbolic links")
def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "link.png").symlink_to(tmp_path / "real.png")
    images.write_atomically(tmp_path / "link.png", b"x")
    assert (tmp_path / "link.png").is_symlink()
    assert (tmp_path / "real.png").read_bytes() == b"x"
