"""diffusers_local beside the suite of every engine: real pipelines of four families, a few MB each."""

import json
import logging
import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from huggingface_hub import constants, hf_api
from PIL import Image

from gouache.contract import read_request
from gouache.engines import diffusers_local, open_engine, pipelines
from gouache.engines.painting import Painter
from gouache.errors import (
    Cancelled,
    ContentRefused,
    EngineError,
    EngineUnavailable,
    GouacheError,
    SettingsError,
)
from gouache.settings import Settings
from tests import tiny_pipelines
from tests.doubles.hosted import hosted_double

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:diffusers")

PROMPT = "A white cat sitting on a red sports car."
NATIVE = {
    "sd": "drawn at 384x640, cut at the sides and enlarged to 1024x1792",
    "sdxl": "drawn at 768x1344, enlarged to 1024x1792",
    "z-image": None,
    "flux2": None,
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Saves the pipeline of a family once."""
    root, saved = tmp_path_factory.mktemp("pipelines"), {}

    def folder(family):
        if family not in saved:
            saved[family] = tiny_pipelines.save_tiny(family, root)
        return saved[family]

    return folder


@pytest.fixture
def engine(folders):
    """Opens engines of two steps, and closes them."""
    opened = []

    def engine(family="sd", **options):
        model = str(options.pop("model", None) or folders(family))
        told = {"model": model, "steps": {"standard": 2, "hd": 3}} | options
        opened.append(open_engine("diffusers_local", Settings(threads=1), told))
        return opened[-1]

    yield engine
    for each in opened:
        each.close()


def draw(engine, on_step=None, **params):
    return engine.generate(read_request({"prompt": PROMPT, "seed": 7} | params), on_step)


def draw_all(engine, prompts):
    """Draw the prompts at the same time, each with a seed of its own."""
    with ThreadPoolExecutor(len(prompts)) as pool:
        asked = [
            pool.submit(draw, engine, prompt=prompt, seed=seed)
            for seed, prompt in enumerate(prompts)
        ]
        return [each.result(120).pixels for each in asked]


@pytest.fixture
def batches(monkeypatch):
    """How many pictures each call of a pipeline drew."""
    sizes, paint = [], Painter.paint

    def counted(self, kind, orders, **options):
        sizes.append(len(orders))
        return paint(self, kind, orders, **options)

    monkeypatch.setattr(Painter, "paint", counted)
    return sizes


@pytest.mark.parametrize("family", NATIVE)
def test_each_family_is_drawn_in_its_own_size_and_brought_to_the_exact_one(engine, family):
    drawn = engine(family)
    drawing = draw(drawn, size="1024x1792")
    assert drawing.pixels.shape == (1792, 1024, 3)
    assert drawing.pixels.std() > 5
    assert drawing.warnings == ((NATIVE[family],) if NATIVE[family] else ())
    assert (drawing.model, drawing.seed) == (family, 7)


@pytest.mark.parametrize("family", NATIVE)
def test_a_picture_does_not_depend_on_its_neighbours(engine, batches, family):
    alone = draw(engine(family), prompt="a red cat", seed=0).pixels.astype(int)
    together = engine(family, max_batch=3, batch_wait_ms=5000)
    pictures = draw_all(together, ["a red cat", "a much longer prompt about a blue whale", "x"])
    assert batches == [1, 3]
    assert np.abs(pictures[0] - alone).max() <= 1, "rounding, and nothing else"
    assert np.abs(pictures[1] - alone).mean() > 5


def test_what_differs_in_size_or_quality_is_drawn_apart(engine, batches):
    drawn = engine(max_batch=4, batch_wait_ms=300)
    with ThreadPoolExecutor(4) as pool:
        kinds = [{}, {"quality": "hd"}, {}, {"size": "1792x1024"}]
        asked = [pool.submit(draw, drawn, **kind) for kind in kinds]
        shapes = [each.result(120).pixels.shape for each in asked]
    assert shapes == [(1024, 1024, 3)] * 3 + [(1024, 1792, 3)]
    assert sorted(batches) == [1, 1, 2]


def test_on_a_processor_pictures_are_drawn_one_by_one(engine, batches):
    draw_all(engine(), ["a", "b"])
    assert batches == [1, 1]


def test_previews_begin_with_the_second_picture_and_look_like_it(engine):
    drawn, first, second = engine(), [], []
    draw(drawn, first.append)
    drawing = draw(drawn, second.append, seed=8)
    assert all(step.preview is None for step in first)
    preview = next(step.preview for step in reversed(second) if step.step == 2)
    small = Image.fromarray(drawing.pixels).resize(preview.shape[1::-1], Image.Resampling.BOX)
    blurred = [
        np.asarray(Image.fromarray(a).resize((16, 16))) for a in (preview, np.asarray(small))
    ]
    assert np.corrcoef(blurred[0].ravel(), blurred[1].ravel())[0, 1] > 0.6


def test_cancelling_ends_the_pipeline_too(engine):
    drawn = engine(steps={"standard": 1000, "hd": 1})
    begun = time.monotonic()

    def stop(step):
        if step.step:
            raise Cancelled("enough")

    with pytest.raises(Cancelled, match="enough"):
        draw(drawn, stop)
    assert draw(drawn, quality="hd").pixels.shape == (1024, 1024, 3)
    assert time.monotonic() - begun < 40, "a thousand steps take minutes"


def test_the_model_is_loaded_once_and_again_after_it_was_unloaded(engine, caplog):
    caplog.set_level(logging.INFO, diffusers_local.__name__)
    drawn = engine()
    assert not drawn.is_loaded
    first = draw(drawn).pixels
    draw(drawn, seed=8)
    assert caplog.text.count("loaded sd in") == 1
    assert drawn.unload()
    assert not drawn.is_loaded
    assert not drawn.unload(), "there is nothing to let go of"
    np.testing.assert_array_equal(draw(drawn).pixels, first)
    assert caplog.text.count("loaded sd in") == 2
    assert "cpu: torch finds no graphics card" in caplog.text
    assert PROMPT not in caplog.text


def wait_until_unloaded(engine):
    end = time.monotonic() + 10
    while engine.is_loaded and time.monotonic() < end:
        time.sleep(0.02)
    assert not engine.is_loaded


def test_an_idle_model_is_unloaded_after_its_time(engine):
    drawn = engine(keep_loaded_seconds=0.2)
    draw(drawn)
    wait_until_unloaded(drawn)
    assert draw(drawn).pixels.std() > 5


def test_an_idle_model_is_unloaded_where_memory_is_short(engine):
    drawn = engine(keep_free_gb=1_000_000)
    draw(drawn)
    wait_until_unloaded(drawn)


def test_who_needs_room_unloads_the_model_that_rests_longest(engine, monkeypatch):
    first, second = engine(), engine("sdxl")
    draw(first)
    draw(second)
    assert first.is_loaded
    monkeypatch.setattr(
        diffusers_local, "free_memory", lambda device: 0 if first.is_loaded else 10**12
    )
    draw(engine("flux2"))
    assert not first.is_loaded
    assert second.is_loaded


def test_a_model_that_draws_is_not_unloaded(engine):
    drawn = engine()
    unloaded = []
    draw(drawn, lambda step: unloaded.append(drawn.unload()) if step.step == 1 else None)
    assert draw(drawn).pixels.std() > 5
    assert drawn.is_loaded
    assert True not in unloaded[:1]


@pytest.fixture
def no_memory(monkeypatch):
    """Lets memory run out in the decoder, so many times."""
    left = [0]

    def paint(self, kind, orders, **options):
        if left[0]:
            left[0] -= 1
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return once(self, kind, orders, **options)

    once = Painter.paint
    monkeypatch.setattr(Painter, "paint", paint)
    return left


def test_where_memory_runs_out_pictures_are_drawn_one_by_one_in_tiles(engine, no_memory):
    drawn = engine(max_batch=2, batch_wait_ms=5000)
    no_memory[0] = 1
    with ThreadPoolExecutor(2) as pool:
        drawings = list(pool.map(lambda seed: draw(drawn, seed=seed), (1, 2)))
    for drawing in drawings:
        assert any("worked in tiles" in sentence for sentence in drawing.warnings)
    assert not any("tiles" in sentence for sentence in draw(drawn).warnings)


def test_where_there_is_no_memory_for_one_picture_it_is_unavailable(engine, no_memory):
    drawn = engine()
    no_memory[0] = 2
    with pytest.raises(EngineUnavailable, match="even for one picture") as caught:
        draw(drawn)
    assert caught.value.retryable
    assert draw(drawn).pixels.std() > 5


def test_a_flagged_picture_is_refused(engine, tmp_path):
    drawn = engine(model=tiny_pipelines.save_flagging(tmp_path))
    with pytest.raises(ContentRefused, match="filter refuses") as caught:
        draw(drawn)
    assert caught.value.param == "prompt"


def test_numbers_that_overflow_are_no_picture(engine, folders, tmp_path):
    broken = shutil.copytree(folders("sd"), tmp_path / "broken")
    pipe = tiny_pipelines.sd(tmp_path / "tokenizers")
    pipe.vae.decoder.conv_out.bias.data.fill_(torch.nan)
    pipe.vae.save_pretrained(broken / "vae")
    with pytest.raises(EngineError, match=r"overflowed: set options\.dtype"):
        draw(engine(model=broken))


def test_words_that_the_model_does_not_read_are_named(engine):
    long = "a" * 70 + " " + "b" * 30 + " the end"
    drawn = engine()
    assert draw(drawn, prompt=long).unresolved[-2:] == ("the", "end")
    assert draw(drawn).unresolved == ()
    assert draw(engine("flux2"), prompt=long).unresolved == ()


def test_loras_change_the_picture_by_their_weight(engine, tmp_path):
    path = str(tiny_pipelines.save_lora(tmp_path))
    without = draw(engine()).pixels.astype(int)
    none = draw(engine(loras=[{"path": path, "weight": 0}])).pixels
    much = draw(engine(loras=[{"path": path, "weight": 1}])).pixels
    assert np.abs(none - without).max() <= 1
    assert np.abs(much - without).max() > 5


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"offload": "model"}, "needs a graphics card; the device is cpu"),
        ({"quantisation": "4bit"}, "pip install bitsandbytes"),
        ({"loras": [{"path": "/no/such/file"}]}, "/no/such/file cannot be loaded"),
        ({"variant": "fp16"}, "cannot be loaded"),
        ({"model": "/no/such/folder"}, "there is no model /no/such/folder"),
    ],
)
def test_what_cannot_be_loaded_is_an_error_that_says_why(engine, options, words):
    with pytest.raises(EngineError, match=words) as caught:
        draw(engine(**options))
    assert not caught.value.retryable


def test_only_weights_are_read_of_a_model(engine, folders, tmp_path):
    pickled = shutil.copytree(folders("sd"), tmp_path / "pickled")
    (pickled / "unet" / "diffusion_pytorch_model.safetensors").unlink()
    (pickled / "unet" / "diffusion_pytorch_model.bin").write_bytes(b"code")
    with pytest.raises(EngineError, match="cannot be loaded.*safetensors"):
        draw(engine(model=pickled))
    with_code = shutil.copytree(folders("sd"), tmp_path / "with-code")
    index = json.loads((with_code / "model_index.json").read_text())
    index["_class_name"] = ["pipeline", "Mine"]
    (with_code / "model_index.json").write_text(json.dumps(index))
    (with_code / "pipeline.py").write_text("raise SystemExit('it was run')")
    with pytest.raises(EngineError, match="brings code of its own"):
        draw(engine(model=with_code))
    (with_code / "model_index.json").write_text("{}")
    with pytest.raises(EngineError, match="cannot be loaded"):
        draw(engine(model=with_code))


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """The hub, on this machine; nothing is in its cache."""
    with hosted_double() as (double, url):
        monkeypatch.setattr(constants, "ENDPOINT", url)
        monkeypatch.setattr(hf_api.api, "endpoint", url)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        double.url = url
        yield double


@pytest.mark.parametrize(
    ("status", "code", "words", "retryable"),
    [
        (403, "GatedRepo", "is gated: accept its terms on its page, and put your token", False),
        (401, "GatedRepo", "is gated", False),
        (404, "RepoNotFound", r"there is no model maker/model.*into HF_TOKEN", False),
        (404, "RevisionNotFound", "has no revision 'old'", False),
        (500, "", "the hub cannot be reached", True),
    ],
)
def test_what_the_hub_refuses_is_said_with_what_to_do(engine, hub, status, code, words, retryable):
    hub.fail_hub = (status, code)
    with pytest.raises(GouacheError, match=words) as caught:
        draw(engine(model="maker/model", revision="old"))
    assert isinstance(caught.value, EngineError)
    assert caught.value.retryable == retryable


def test_a_hub_that_cannot_be_reached_may_be_there_later(engine, hub, monkeypatch):
    monkeypatch.setattr(hf_api.api, "endpoint", "http://127.0.0.1:9")
    with pytest.raises(EngineUnavailable, match="the hub cannot be reached"):
        draw(engine(model="maker/model"))


def test_nothing_is_fetched_where_only_local_files_are_allowed(engine, hub):
    with pytest.raises(EngineError, match=r"hf download maker/model"):
        draw(engine(model="maker/model", local_files_only=True))
    assert hub.asked == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, r"options\.model is required"),
        ({"model": "m", "device": "gpu"}, r"options\.device"),
        ({"model": "m", "dtype": "int8"}, r"options\.dtype"),
        ({"model": "m", "steps": {"standard": 0}}, r"options\.steps\.standard"),
        ({"model": "m", "loras": [{"weight": 1}]}, r"options\.loras"),
        ({"model": "m", "max_batch": 0}, r"options\.max_batch"),
        ({"model": "m", "trust_remote_code": True}, "options has no field 'trust_remote_code'"),
    ],
)
def test_bad_options_are_refused_by_name(options, words):
    with pytest.raises(SettingsError, match=words):
        open_engine("diffusers_local", Settings(), options)


def test_a_device_that_is_not_there_is_refused_by_name(engine):
    if torch.cuda.is_available():
        pytest.skip("it is there")
    with pytest.raises(SettingsError, match=r"'cuda' is not there: torch finds no graphics card"):
        draw(engine(device="cuda"))


def test_it_explains_where_it_draws(engine):
    said = "; ".join(engine(device="cpu").explain())
    assert "cpu is what the options say; float32: every processor" in said
    assert "1 at most together; not loaded" in said


def test_a_missing_library_is_named_with_its_extra(monkeypatch):
    monkeypatch.setattr(pipelines, "find_spec", lambda name: None if name == "diffusers" else True)
    with pytest.raises(EngineError, match=r"needs diffusers: pip install 'gouache\[diffusers\]'"):
        open_engine("diffusers_local", Settings(), {"model": "m"})


def test_its_thread_ends_when_it_is_closed(folders):
    others = set(threading.enumerate())  # other engines of these tests have threads of that name
    drawn = open_engine("diffusers_local", Settings(threads=1), {"model": str(folders("sd"))})
    draw(drawn, quality="hd")
    assert "gouache-sd" in {thread.name for thread in set(threading.enumerate()) - others}
    drawn.close()
    assert "gouache-sd" not in {thread.name for thread in set(threading.enumerate()) - others}
    assert not drawn.is_loaded
