import json

import pytest

from gouache.diffusion import weights
from gouache.diffusion.weights import open_model, write_manifest
from gouache.errors import WeightsUnusable

DRAWING = weights.Drawing({"standard": 10, "hd": 30}, 2.5, "euler", 1.5, 128)


@pytest.fixture
def folder(tmp_path):
    for name in weights.FILES:
        (tmp_path / name).write_bytes(name.encode())
    write_manifest(tmp_path, name="m", preset="p", licence="l", drawing=DRAWING)
    return tmp_path


def test_what_was_written_is_read(folder):
    model = open_model(folder)
    assert (model.name, model.preset, model.licence) == ("m", "p", "l")
    assert model.drawing == DRAWING
    assert model.path(weights.DENOISER) == folder / "denoiser.xml"


def test_without_a_manifest_there_is_no_model(folder):
    (folder / weights.MANIFEST).unlink()
    with pytest.raises(WeightsUnusable, match="model.json is missing"):
        open_model(folder)


def test_a_folder_that_is_not_there_is_said(tmp_path):
    with pytest.raises(WeightsUnusable, match="no model in .*nowhere"):
        open_model(tmp_path / "nowhere")


@pytest.mark.parametrize("name", weights.FILES)
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(WeightsUnusable, match=name):
        open_model(folder)


@pytest.mark.parametrize("damage", [b"", b"longer than it was", b"DENOISER.bin"])
def test_a_damaged_file_is_named(folder, damage):
    (folder / "denoiser.bin").write_bytes(damage)
    with pytest.raises(WeightsUnusable, match="denoiser.bin is damaged"):
        open_model(folder)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"name": "m"}', '{"files": []}'])
def test_a_manifest_that_makes_no_sense_is_said(folder, text):
    (folder / weights.MANIFEST).write_text(text)
    with pytest.raises(WeightsUnusable, match="model.json cannot be read"):
        open_model(folder)


def test_a_manifest_that_leaves_a_file_out_is_refused(folder):
    path = folder / weights.MANIFEST
    manifest = json.loads(path.read_text())
    del manifest["files"]["upscaler.bin"]
    path.write_text(json.dumps(manifest))
    with pytest.raises(WeightsUnusable, match="does not name upscaler.bin"):
        open_model(folder)


def test_the_manifest_comes_last_and_whole(folder):
    (folder / weights.MANIFEST).unlink()
    (folder / weights.REFERENCES).unlink()
    with pytest.raises(FileNotFoundError):
        write_manifest(folder, name="m", preset="p", licence="l", drawing=DRAWING)
    assert [path.name for path in folder.glob("*model.json*")] == []
