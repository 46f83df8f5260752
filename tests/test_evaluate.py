"""The evaluation: real compositions are right, noise is wrong, and so is each deliberate mistake."""

import dataclasses

import pytest
import torch
from PIL import Image

from gouache.diffusion.guide import References
from gouache.diffusion.pipeline import Pipeline
from gouache.scene import Background, Box, Item, Scene, caption
from tests.tiny_library import write_library
from tests.tiny_model import write_model
from training.classifier import Judge, Renderings, crop, everyday, group_of, load_judge, save_judge
from training.classifier import train as train_judge
from training.data import Data
from training.evaluate import answer, drawn_by_engine, markdown, table
from training.model import Denoiser
from training.presets import PRESETS
from training.prompt_sheet import CELL, COLUMNS, LABEL, draw_scenes, save_labelled
from training.questions import Question, Questions, family
from training.scores import RULES, breakdown, frechet, look, parts_of, shares, sharpness

CPU = torch.device("cpu")
DRAWINGS = {
    "cat": '<circle cx="16" cy="16" r="14" fill="#e9a13b"/>',
    "bus": '<rect x="2" y="8" width="28" height="16" fill="#3b7de9"/>',
    "rocket": '<path d="M16 2L28 30H4z" fill="#c43ad8"/>',
    "boat": '<path d="M2 4H30L16 30z" fill="#3a9a4a"/>',
    "flower": '<path d="M12 2h8v10h10v8H20v10h-8V20H2v-8h10z" fill="#d0342c"/>',
    "donut": '<path fill-rule="evenodd" d="M2 2h28v28H2zM9 9v14h14V9z" fill="#7a4a2a"/>',
    "banana": '<path d="M2 2h8v20h20v8H2z" fill="#f4c430"/>',
    "tree": '<path d="M2 2h28v8H20v20h-8V10H2z" fill="#2a7a7a"/>',
}
WHITE = Background("plain", ("white",))


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)  # so small a net loses more to threads than it gains
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return write_library(tmp_path_factory.mktemp("library"), DRAWINGS, of_animal)


def of_animal(name):
    aliases = [f"{name} {letter}" for letter in "abcdefghij"]
    return {"aliases": aliases, "cat": "animal", "hue": None, "recolor": False}


@pytest.fixture(scope="module")
def data(folders):
    return Data(PRESETS["smoke"], folders / "art", folders / "bank" / "concepts.json", CPU)


@pytest.fixture(scope="module")
def judge(folders, tmp_path_factory):
    torch.manual_seed(1)
    made = Judge(everyday(folders / "bank" / "concepts.json"), width=12)
    train_judge(made, Renderings(folders / "art", made, 1), lambda step: step / 220, batch=32)
    path = tmp_path_factory.mktemp("judge") / "judge.pt"
    save_judge(made, path)
    return load_judge(path)


@pytest.fixture(scope="module")
def answered(folders, data, judge):
    questions = Questions(folders / "bank" / "concepts.json", judge.concepts).ask(60)
    questions.sort(key=lambda q: ["square", "tall", "wide"].index(q.scene.shape))
    return questions, answer(None, data, questions)


def drawn(data, scene):
    example = Question("", scene, caption(scene))
    return data.finished([example], [example.caption], "seed", damaged=False).x[0]


def right(judge, data, rule, kind, asked, shown, without=None):
    """Return whether a rule takes the picture of one scene for the answer to another."""
    real = drawn(data, asked)
    wanting = None if without is None else drawn(data, without)
    question = Question(kind, asked, caption(asked), without)
    seen = look(judge, [question], [drawn(data, shown)], [real], [wanting])[0]
    concerns, passes = RULES[rule]
    assert concerns(question)
    return passes(seen)


def test_real_compositions_are_right_and_noise_is_wrong(judge, answered):
    questions, answers = answered
    real = shares(look(judge, questions, answers.real, answers.real, answers.without))
    noise = [torch.randn(p.shape).clamp(-1, 1) for p in answers.real]
    wrong = shares(look(judge, questions, noise, answers.real, answers.without))
    assert set(real) == {*RULES, "overall"}
    for row in ("single object", "two objects", "counting", "position", "wide and tall"):
        assert real[row] > 0.7, row
        assert wrong[row] < 0.4, row
    assert real["background, plain colour"] > 0.95 > 0.2 > wrong["background, plain colour"]
    assert real["intent"] == 1.0
    assert wrong["intent"] < 0.5
    assert real["overall"] > wrong["overall"] + 0.4


def test_another_thing_is_not_the_one_asked_for(judge, data):
    box = Box(0.5, 0.5, 0.7, 0.7)
    asked = Scene((Item("cat", "cat", box),), WHITE)
    shown = dataclasses.replace(asked, items=(Item("rocket", "rocket", box),))
    assert right(judge, data, "single object", "single", asked, asked)
    assert not right(judge, data, "single object", "single", asked, shown)


@pytest.mark.parametrize("change", ["one less", "one more"])
def test_a_wrong_number_is_not_counted_as_right(judge, data, change):
    boxes = [Box(x, y, 0.3, 0.3) for x in (0.25, 0.75) for y in (0.2, 0.5, 0.8)]
    items = tuple(Item("flower", "flower", box) for box in boxes)
    asked = Scene(items[:4], WHITE)
    shown = dataclasses.replace(asked, items=items[:5] if change == "one more" else items[:3])
    assert right(judge, data, "counting", "count", asked, asked)
    assert not right(judge, data, "counting", "count", asked, shown)


def test_things_in_each_others_places_are_not_placed(judge, data):
    left, right_box = Box(0.26, 0.5, 0.45, 0.45), Box(0.74, 0.5, 0.45, 0.45)
    asked = Scene((Item("cat", "cat", left), Item("rocket", "rocket", right_box)), WHITE)
    asked = dataclasses.replace(asked, relation="left of")
    swapped = (Item("cat", "cat", right_box), Item("rocket", "rocket", left))
    shown = dataclasses.replace(asked, items=swapped)
    for rule in ("position", "two objects"):
        assert right(judge, data, rule, "pair", asked, asked)
        assert not right(judge, data, rule, "pair", asked, shown)


def test_another_ground_is_not_on_its_colour(judge, data):
    asked = Scene((Item("cat", "cat", Box(0.5, 0.5, 0.6, 0.6)),), Background("plain", ("teal",)))
    shown = dataclasses.replace(asked, background=Background("plain", ("pink",)))
    assert right(judge, data, "background, plain colour", "single", asked, asked)
    assert not right(judge, data, "background, plain colour", "single", asked, shown)


@pytest.mark.parametrize("intent", ["logo", "welcome", "sticker"])
def test_a_missing_badge_frame_or_rim_is_missed(judge, data, intent):
    thing = (Item("cat", "cat", Box(0.5, 0.5, 0.4, 0.4)),)
    added = {
        "logo": (Item("disc", "disc", Box(0.5, 0.5, 0.8, 0.8), "red"),),
        "welcome": (Item("frame", "frame", Box(0.5, 0.5, 0.94, 0.94), "red"),),
        "sticker": (),
    }[intent]
    asked = Scene((*added, *thing), Background("plain", ("blue",)), intent=intent)
    without = dataclasses.replace(asked, items=thing, intent="picture")
    assert right(judge, data, "intent", "intent", asked, asked, without)
    assert not right(judge, data, "intent", "intent", asked, without, without)


def test_the_table_puts_everything_beside_ceiling_and_floor(judge, data, answered):
    questions, answers = answered
    answers = dataclasses.replace(answers, guided=answers.real, text=answers.floor)
    rows = table(judge, data, questions, answers, answers.real)
    assert rows["single object"]["guided"] == rows["single object"]["real"]
    assert rows["sharpness"]["guided"] == 1.0
    assert rows["sharpness"]["text"] < 0.9
    assert rows["nearly identical to a drawing"]["real"] > 0.8
    written = markdown(rows, "Step 1")
    assert "| single object | 13 |" in written
    assert "100%" in written


def test_the_breakdown_sorts_single_things_by_shape_style_and_category(judge, answered):
    questions, answers = answered
    rows = breakdown(look(judge, questions, answers.real, answers.real, answers.without))
    assert {"shape: square", "shape: wide", "shape: tall", "of animals"} <= set(rows)
    assert {"intent: logo", "intent: welcome", "intent: sticker"} <= set(rows)
    assert min(value for row, value in rows.items() if row.startswith("intent")) == 1
    alone = [q for q in questions if q.kind in ("single", "synonym", "shape")]
    for heading in ("shape: ", "style: ", "of "):
        counted = [row for q in alone for row in parts_of(q) if row.startswith(heading)]
        assert len(counted) == len(alone)
    wrong = breakdown(look(judge, questions, answers.real[::-1], answers.real, answers.without))
    assert wrong["shape: square"] < rows["shape: square"]


def test_the_engine_s_pictures_are_of_the_size_of_the_real_ones(tmp_path):
    pipeline = Pipeline.open(write_model(tmp_path), threads=1)
    large, small = (Item("cat", "cat", Box(0.5, 0.5, x, x)) for x in (0.55, 0.3))
    scenes = [Scene((large,), shape="wide"), Scene((small,)), Scene((large,))]
    questions = [Question("single", scene, caption(scene)) for scene in scenes]
    pictures = drawn_by_engine(pipeline, questions, guidance_scale=1.6, steps=2)
    assert [p.shape for p in pictures] == [(3, 128, 128), (3, 128, 128), (3, 128, 224)]


def test_questions_ask_what_training_held_out_and_repeat_with_their_seed(folders, judge):
    bank = folders / "bank" / "concepts.json"
    asked = Questions(bank, judge.concepts, 3).ask(40)
    assert asked == Questions(bank, judge.concepts, 3).ask(40)
    assert asked != Questions(bank, judge.concepts, 4).ask(40)
    for question in asked:
        if question.kind == "binding":
            first, second = question.scene.items
            assert family(first.colour) != family(second.colour)


def test_features_of_the_same_pictures_are_no_distance_apart(judge):
    pictures = [torch.rand(3, 64, 64) for _ in range(12)]
    assert abs(frechet(judge, pictures, pictures)) < 1e-2
    assert frechet(judge, pictures, [p - 1 for p in pictures]) > 1
    assert sharpness(pictures, pictures) == 1


def test_views_and_breeds_share_a_group():
    assert group_of("cat face") == group_of("black cat") == group_of("cat") == "cat"
    assert group_of("taxi seen from the front") == "taxi"
    assert group_of("race car") == "race car"


def test_a_crop_holds_its_box_and_goes_on_beyond_the_edge():
    picture = torch.zeros(1, 3, 50, 100)
    picture[..., 60:] = 1
    cut = crop(picture, [Box(0.9, 0.5, 0.2, 0.4)])
    assert cut.shape == (1, 3, 40, 40)
    assert cut.min() == 1


def test_free_scenes_are_drawn_to_a_labelled_sheet(folders, data, tmp_path):
    torch.manual_seed(1)
    scenes = [Scene((Item("cat", "cat", Box(0.5, 0.5, x, x), "red"),)) for x in (0.3, 0.8)]
    bank = folders / "bank"
    pictures = draw_scenes(
        Denoiser(PRESETS["smoke"].denoiser).eval(),
        scenes,
        text=data.text,
        references=References(bank / "concepts.json", bank / "references.bin"),
        side=64,
        steps=2,
        guidance_scale=1.0,
        seed=1,
    )
    assert [p.shape for p in pictures] == [(3, 64, 64)] * 2
    save_labelled(pictures, ["a small cat", "a large cat"], tmp_path / "sheet.png")
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.size == (COLUMNS * CELL, CELL + LABEL)
