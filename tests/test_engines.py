"""One suite for every engine: the fake, our own model where its weights are, and others' by doubles."""

import io
import subprocess
import sys
import time
from importlib.metadata import EntryPoint
from importlib.resources import files
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from gouache import engines
from gouache.contract import QUALITIES, SIZES, read_request
from gouache.diffusion.graphs import Runtime
from gouache.engines import (
    Capabilities,
    check_supported,
    choose_seed,
    engine_names,
    fake,
    open_engine,
)
from gouache.errors import (
    Cancelled,
    ContentRefused,
    EngineError,
    EngineRateLimited,
    EngineUnavailable,
    UnknownEngine,
    UnsupportedByEngine,
)
from gouache.images import EXTENSIONS
from gouache.settings import Settings
from tests.doubles.hosted import hosted_double
from tests.doubles.openai_images import KEY, doubled
from tests.opening import ended, install, new, opened

PROMPT = "A white cat sitting on a red sports car."


pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:diffusers")

ENGINES = (
    "fake",
    "embedded",
    "openai",
    "local openai",
    "hosted",
    "diffusers sd",
    "diffusers sdxl",
    "diffusers flux2",
)


@pytest.fixture(scope="module", params=ENGINES)
def engine(request, cache_dir, tmp_path_factory):
    if request.param == "embedded" and not (files("gouache") / "weights/model.json").is_file():
        pytest.skip("the weights are not here")
    if request.param.startswith("diffusers"):
        pytest.importorskip("diffusers")
        from tests.tiny_pipelines import save_tiny

        folder = save_tiny(request.param.split()[1], tmp_path_factory.mktemp("pipelines"))
        options = {"model": str(folder), "steps": {"standard": 2, "hd": 3}}
        yield open_engine("diffusers_local", Settings(threads=1), options)
        return
    if request.param == "hosted":
        with hosted_double() as (_, url):
            options = {"base_url": f"{url}/endpoint", "model": "hosted"}
            yield open_engine("huggingface_hosted", Settings(), options)
        return
    if not request.param.endswith("openai"):
        yield open_engine(request.param, Settings(cache_dir=cache_dir))
        return
    with doubled() as double, pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOUBLE_KEY", KEY)
        options = {
            "openai": {"dialect": "openai", "base_url": double.base_url, "key_env": "DOUBLE_KEY"},
            "local openai": {"base_url": double.local_url, "models": ["a-model"], "seed": True},
        }
        yield open_engine("openai_images", Settings(), options[request.param])


@pytest.fixture(scope="module")
def draw(engine):
    """Draws a request once, however many tests look at it."""
    drawn = {}

    def draw(**params):
        key = str(sorted(params.items()))
        if key not in drawn:
            drawn[key] = engine.generate(asked(engine, **params))
        return drawn[key]

    return draw


def asked(engine, **params):
    """Return a request, with a seed where the engine takes one."""
    seed = {"seed": 7} if engine.capabilities.supports_seed else {}
    return read_request({"prompt": PROMPT} | seed | params)


def test_an_engine_can_do_what_the_contract_promises(engine):
    can = engine.capabilities
    assert "dall-e-3" in can.models
    assert set(can.models.values()) <= set(can.models), "a model can be asked for by its own name"
    assert can.sizes == SIZES
    assert can.qualities == QUALITIES


@pytest.mark.parametrize("size", SIZES)
def test_the_picture_has_the_size_asked_for(draw, size):
    request = read_request({"prompt": PROMPT, "size": size})
    pixels = draw(size=size).pixels
    assert pixels.dtype == np.uint8
    assert pixels.shape == (request.height, request.width, 3)
    assert pixels.std() > 5, "the picture is not blank"


@pytest.mark.parametrize("size", ["1024x1792", "1792x1024"])
def test_the_file_of_a_gateway_has_exactly_the_size_asked_for(engine, size, monkeypatch, tmp_path):
    kept = SimpleNamespace(
        capabilities=engine.capabilities, generate=engine.generate, close=lambda: None
    )
    install(monkeypatch, kept=kept)
    with opened(tmp_path, first={"engine": "kept"}) as service:
        task = ended(service, service.submit(new(PROMPT, size=size)), 120)
        assert task.success, task.error
        with Image.open(service.file_path(task.payload.image.fileuuid)) as image:
            assert f"{image.width}x{image.height}" == size


def test_a_drawing_says_what_drew_it_and_from_what(engine, draw):
    drawing = draw()
    assert drawing.model == engine.capabilities.models["dall-e-3"]
    assert drawing.seed == (7 if engine.capabilities.supports_seed else None)
    assert drawing.revised_prompt
    assert all(isinstance(word, str) and word for word in drawing.unresolved)
    assert all(isinstance(sentence, str) and sentence for sentence in drawing.warnings)


def test_same_seed_same_pixels(engine, draw):
    if not engine.capabilities.supports_seed:
        pytest.skip("it takes no seed")
    again = engine.generate(asked(engine))
    np.testing.assert_array_equal(draw().pixels, again.pixels)


def test_another_seed_other_pixels(engine, draw):
    if not engine.capabilities.supports_seed:
        pytest.skip("it takes no seed")
    assert (draw().pixels != draw(seed=8).pixels).any()


def test_another_prompt_other_pixels(draw):
    assert (draw().pixels != draw(prompt="A blue whale in the sea").pixels).mean() > 0.05


def test_each_style_is_drawn(engine, draw):
    for style in engine.capabilities.styles[:2]:
        assert draw(style=style).pixels.shape == (1024, 1024, 3)


def test_steps_are_counted_and_previewed(engine, draw):
    draw()  # some learn from it what a preview looks like
    seen = []
    engine.generate(asked(engine), seen.append)
    told = {step.step: step for step in seen if step.step}  # who waits tells its last step again
    assert list(told) == list(range(1, seen[0].steps + 1))
    assert len({step.steps for step in seen}) == 1
    for step in told.values():
        assert step.preview.dtype == np.uint8
        assert step.preview.ndim == 3
        assert step.preview.shape[2] == 3


def test_cancelling_stops_between_two_steps(engine):
    seen = []

    def stop(step):
        seen.append(step)
        raise Cancelled("enough")

    with pytest.raises(Cancelled, match="enough"):
        engine.generate(read_request({"prompt": PROMPT}), stop)
    assert len(seen) == 1


@pytest.mark.parametrize(
    ("param", "value"), [("model", "no-such-model"), ("style", "no such style")]
)
def test_what_an_engine_cannot_do_is_refused_by_name(engine, param, value):
    with pytest.raises(
        UnsupportedByEngine, match=f"{param} '{value}'.*(use one of|leave it out)"
    ) as caught:
        engine.generate(read_request({"prompt": PROMPT, param: value}))
    assert caught.value.param == param


@pytest.mark.parametrize("prompt", [" ", "?!", "\U0001f98a\x01", "qwrtz " * 5000, "中文 текст"])
def test_any_prompt_is_drawn(engine, prompt):
    drawing = engine.generate(asked(engine, prompt=prompt))
    assert drawing.pixels.shape == (1024, 1024, 3)


def test_a_file_that_came_with_a_drawing_holds_its_pixels(draw):
    drawing = draw()
    if drawing.encoded is not None:
        assert drawing.encoded.content_type in EXTENSIONS
        with Image.open(io.BytesIO(drawing.encoded.data)) as image:
            np.testing.assert_array_equal(np.asarray(image.convert("RGB")), drawing.pixels)


def test_every_choice_of_a_request_is_checked():
    nothing = Capabilities(models={}, sizes=(), qualities=(), supports_seed=False)
    everything = {"models": {"dall-e-3": "m"}, "sizes": SIZES, "qualities": QUALITIES}
    request = read_request({"prompt": PROMPT, "style": "flat", "seed": 1})
    for name in ("model", "size", "quality", "style", "seed"):
        with pytest.raises(UnsupportedByEngine, match=f"^{name} .*leave it out") as caught:
            check_supported(request, nothing)
        assert caught.value.param == name
        if name == "style":
            nothing = Capabilities(**everything, styles=("flat",), supports_seed=False)
        elif name != "seed":
            field = {"model": "models", "size": "sizes", "quality": "qualities"}[name]
            values = {f: getattr(nothing, f) for f in ("models", "sizes", "qualities")}
            nothing = Capabilities(**values | {field: everything[field]}, supports_seed=False)
    check_supported(request, Capabilities(**everything, styles=("flat",)))


def test_a_seed_from_somebody_is_refused_where_seeds_are():
    can = Capabilities(models={"dall-e-3": "x"}, supports_seed=False)
    with pytest.raises(UnsupportedByEngine, match="seed_from is not supported") as caught:
        check_supported(read_request({"prompt": PROMPT, "seed_from": "zoe"}), can)
    assert caught.value.param == "seed_from"


def test_a_seed_is_kept_and_a_missing_one_is_new_each_time():
    assert choose_seed(read_request({"prompt": PROMPT, "seed": 5})) == 5
    ours = read_request({"prompt": PROMPT, "seed_from": "zoe"})
    assert choose_seed(ours) == ours.wanted_seed
    request = read_request({"prompt": PROMPT})
    assert choose_seed(request) != choose_seed(request)


def test_the_engines_are_installed():
    assert {"embedded", "fake", "openai_images"} <= set(engine_names())


def test_a_cache_folder_that_cannot_be_made_is_done_without(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    assert "CACHE_DIR" in Runtime(cache_dir=tmp_path / "new" / "folder").properties()
    assert "CACHE_DIR" not in Runtime(cache_dir=tmp_path / "file" / "folder").properties()
    assert "CACHE_DIR" not in Runtime(cache_dir=tmp_path / "file").properties()


def test_an_unknown_engine_is_refused_with_those_there_are():
    with pytest.raises(UnknownEngine, match="embedded, fake"):
        open_engine("oil", Settings())


def test_an_engine_that_cannot_be_loaded_is_an_engine_error(monkeypatch):
    broken = EntryPoint("broken", "gouache.engines.no_such_module:Engine", "gouache.engines")
    monkeypatch.setattr(engines, "entry_points", lambda group: [broken])
    with pytest.raises(EngineError, match="'broken' cannot be loaded"):
        open_engine("broken", Settings())


def rehearse(model, on_step=None, **params):
    request = read_request({"prompt": PROMPT, "seed": 7, "model": model} | params)
    return open_engine("fake", Settings()).generate(request, on_step)


def test_a_slow_model_takes_its_time_between_steps_and_draws_the_same(monkeypatch):
    monkeypatch.setattr(fake, "SLOW_SECONDS", 0.05)
    times = [time.monotonic()]
    drawing = rehearse("fake-slow", lambda step: times.append(time.monotonic()))
    assert len(times) == 5
    assert (np.diff(times) >= 0.05).all()
    assert drawing.model == "fake-slow"
    np.testing.assert_array_equal(drawing.pixels, rehearse("fake-1").pixels)


def test_a_failing_model_fails_each_time():
    for _ in range(3):
        with pytest.raises(EngineUnavailable, match="never there"):
            rehearse("fake-failing")


def test_a_flaky_model_fails_the_first_try_of_each_prompt_and_seed():
    for params in ({"prompt": "flaky"}, {"prompt": "flaky", "seed": 8}, {"prompt": "flaky too"}):
        with pytest.raises(EngineUnavailable, match="the next time"):
            rehearse("fake-flaky", **params)
        assert rehearse("fake-flaky", **params).model == "fake-flaky"


def test_a_limited_model_says_when_to_come_again():
    with pytest.raises(EngineRateLimited, match=r"again in 0\.5 s") as caught:
        rehearse("fake-limited")
    assert caught.value.retry_after_seconds == fake.LIMITED_SECONDS
    assert rehearse("fake-limited").model == "fake-limited"


def test_a_refusing_model_refuses_the_prompt():
    with pytest.raises(ContentRefused) as caught:
        rehearse("fake-refusing")
    assert caught.value.param == "prompt"
    assert not caught.value.retryable


def test_a_crashing_model_ends_its_process():
    code = (
        "from gouache.contract import read_request\n"
        "from gouache.engines.fake import FakeEngine\n"
        "FakeEngine(None).generate(read_request({'prompt': 'x', 'model': 'fake-crashing'}))\n"
        "print('still here')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == -9
    assert (done.stdout, done.stderr) == ("", "")
