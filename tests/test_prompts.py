"""Free text becomes a scene: what is understood, what is said not to be, and that nothing crashes.

The figures: `prompts_heldout.tsv` was written after the lexicon, and its first run had 91 of 100
right (the intent and a main concept); general faults it showed were mended since, its words were not
added. `prompts_tuning.tsv` had 90 of 103 right in its first run and has shaped the lexicon since.
"""

import random
import time
from pathlib import Path

import numpy as np
import pytest

from gouache.concepts import ConceptBank, read_vectors, write_vectors
from gouache.layouts import contrast
from gouache.lexicon import nearest_colour, singulars
from gouache.prompts import revise
from gouache.scene import COLOURS, INTENTS, STYLES, rgb
from gouache.tagging import clean, take_names

WEIGHTS = Path(__file__).parents[1] / "src" / "gouache" / "weights"
FIXTURES = Path(__file__).parent / "fixtures"

pytestmark = pytest.mark.skipif(
    not (WEIGHTS / "text-encoder.xml").exists(), reason="the text encoder is not here"
)


@pytest.fixture(scope="module")
def bank():
    return ConceptBank.load(WEIGHTS)


@pytest.fixture(scope="module")
def embed():
    from gouache.diffusion.graphs import Runtime
    from gouache.diffusion.text_encoder import TextEncoder

    encoder = TextEncoder(
        WEIGHTS / "text-encoder.xml", WEIGHTS / "tokenizer.json", runtime=Runtime(threads=1)
    )
    return encoder.vectors


@pytest.fixture(scope="module")
def draw(bank, embed):
    def draw(prompt, shape="square", seed=0):
        return revise(prompt, shape=shape, concepts=bank, embed=embed, seed=seed)

    return draw


def things(revision):
    """Return (concept, colour) of the items, back to front."""
    return [(item.concept, item.colour) for item in revision.scene.items]


def concepts(revision):
    return {item.concept for item in revision.scene.items}


def test_the_contracts_example_is_a_white_cat_on_a_red_car_and_says_so(draw):
    revision = draw("A white cat sitting on a red sports car.")
    assert things(revision) == [("car", "red"), ("cat", "white")]
    assert revision.revised_prompt.startswith(
        "a picture of a white cat sitting on a red car, flat vector style"
    )
    assert revision.stand_ins == (("sports car", "car"),)
    assert revision.unresolved == revision.overlay_text == ()
    car, cat = (item.box for item in revision.scene.items)
    assert cat.cy < car.cy
    assert rgb(revision.scene.background.colours[0]) != rgb("white")


def test_the_same_prompt_and_seed_give_the_same_scene(draw):
    assert draw("a happy dog", seed=4) == draw("a happy dog", seed=4)
    assert len({draw("a dog", seed=seed).scene.background for seed in range(8)}) > 2


@pytest.mark.parametrize(
    ("prompt", "colour"),
    [
        ("a crimson car", "dark red"),
        ("a scarlet car", "red"),
        ("a violet car", "purple"),
        ("a silver car", "light grey"),
        ("a light blue car", "light blue"),
        ("a dark blue car", "navy"),
        ("a #ff8800 car", "#ff8800"),
        ("a #de2d2d car", "red"),
        ("a car in green", "green"),
        ("a car, yellow", "yellow"),
    ],
)
def test_colour_words_bind_to_their_noun(draw, prompt, colour):
    assert things(draw(prompt)) == [("car", colour)]


def test_each_noun_keeps_its_own_colour(draw):
    revision = draw("a green frog next to a blue butterfly on a yellow background")
    assert dict(things(revision)) == {"frog": "green", "butterfly": "blue"}
    assert revision.scene.background.colours == ("yellow",)


def test_orange_is_a_colour_before_a_noun_and_a_fruit_after_an_article(draw):
    assert dict(things(draw("an orange cat next to an orange"))) == {
        "cat": "orange",
        "orange": None,
    }
    assert draw("orange and blue logo for a basketball club").scene.items[0].colour == "orange"


@pytest.mark.parametrize(
    ("prompt", "kind", "colours"),
    [
        ("a cat on a blue background", "plain", ("blue",)),
        ("a cat on blue", "plain", ("blue",)),
        ("a cat, background: navy", "plain", ("navy",)),
        ("a cat at night", "night sky", ()),
        ("a cat in the desert", "desert", ()),
        ("a cat on the beach", "beach", ()),
        ("a cat with mountains in the background", "mountains", ()),
        ("a cat on a gradient from teal to navy", "gradient", ("teal", "navy")),
        ("a cat, teal to navy gradient background", "gradient", ("teal", "navy")),
        ("a cat on a blue background with yellow stripes", "stripes", ("blue", "yellow")),
        ("a cat on a pink background with white dots", "dots", ("pink", "white")),
        ("a red cat, white polka dot background", "dots", ("white", "light blue")),
    ],
)
def test_background_phrases_are_understood(draw, prompt, kind, colours):
    revision = draw(prompt)
    assert concepts(revision) == {"cat"}
    assert revision.scene.background.kind == kind
    assert revision.scene.background.colours == colours


@pytest.mark.parametrize(
    ("prompt", "count"),
    [
        ("a cat", 1),
        ("two cats", 2),
        ("3 cats", 3),
        ("a pair of cats", 2),
        ("seven cats", 7),
        ("9 cats", 9),
        ("twelve cats", 9),
        ("cats", 3),
    ],
)
def test_numbers_are_counted(draw, prompt, count):
    assert [name for name, _ in things(draw(prompt))] == ["cat"] * count


def test_counts_stay_within_the_denoisers_entries(draw):
    scene = draw("nine cats and nine dogs on a gradient from teal to navy").scene
    assert len(scene.items) + len(scene.background.colours) <= 10


@pytest.mark.parametrize(
    ("prompt", "relation", "order"),
    [
        ("a cat on a couch", "on", ["couch", "cat"]),
        ("a cat under a tree", "under", ["tree", "cat"]),
        ("a cat behind a tree", "behind", ["cat", "tree"]),
        ("a cat in front of a tree", "in front of", ["tree", "cat"]),
        ("a cat to the left of a tree", "left of", ["tree", "cat"]),
        ("a girl riding a horse", "riding", ["horse", "girl"]),
        ("a tree between two houses", "between", ["house", "house", "tree"]),
        ("a cat wearing a top hat", "on", ["cat", "top hat"]),
    ],
)
def test_relations_order_and_place_the_things(draw, prompt, relation, order):
    scene = draw(prompt).scene
    assert scene.relation == relation
    assert [item.concept for item in scene.items] == order


def test_left_and_right_are_left_and_right(draw):
    for word, sign in (("left", 1), ("right", -1)):
        scene = draw(f"a cat to the {word} of a dog").scene
        x = {item.concept: item.box.cx for item in scene.items}
        assert (x["dog"] - x["cat"]) * sign > 0


def test_places_in_the_picture_order_two_things(draw):
    scene = draw("a small cat on the right and a big dog on the left").scene
    x = {item.concept: item.box.cx for item in scene.items}
    assert x["dog"] < x["cat"]


def test_a_record_in_quotes_is_a_profile(draw):
    revision = draw('Avatar for {"name": "Tom", "gender": "male", "role": "pilot"}')
    assert concepts(revision) == {"man pilot"}
    assert revision.overlay_text == ("Tom",)


def test_another_language_is_not_guessed_at(draw):
    revision = draw("un gato blanco sobre un coche rojo")
    assert revision.unresolved == ("un gato blanco sobre un coche rojo",)
    assert {item.concept for item in revision.scene.items} <= {
        *("disc", "circle outline", "hexagon", "rounded square")
    }


def test_a_plain_shape_always_has_a_colour(draw):
    assert things(draw("a hexagon")) == [("hexagon", "blue")]
    assert things(draw("a yellow hexagon")) == [("hexagon", "yellow")]


def test_longest_names_win(draw):
    assert concepts(draw("a hot dog")) == {"hot dog"}
    assert concepts(draw("a fire truck")) == {"fire truck"}
    assert concepts(draw("a black cat")) == {"black cat"}


def test_a_synonym_keeps_its_word_and_a_stand_in_is_told(draw):
    assert draw("a puppy").stand_ins == ()
    revision = draw("an ocelot")
    assert concepts(revision) == {"leopard"}
    assert revision.stand_ins == (("ocelot", "leopard"),)
    assert "“ocelot” as leopard" in revision.revised_prompt


@pytest.mark.parametrize(
    ("prompt", "concept"),
    [
        ("logo for a coffee company", "cup of coffee"),
        ("logo for a law firm", "scales"),
        ("logo for a dentist", "tooth"),
        ("logo for our bakery", "bread"),
        ("logo for an espresso bar", "cup of coffee"),
        ("logo for Bean & Leaf Coffee", "cup of coffee"),
    ],
)
def test_a_trade_gets_its_sign(draw, prompt, concept):
    revision = draw(prompt)
    assert revision.scene.intent == "logo"
    assert concept in concepts(revision)


def test_words_that_cannot_be_drawn_are_told(draw):
    revision = draw("a fluffy cat with a blarfgorp")
    assert concepts(revision) == {"cat"}
    assert {"fluffy", "blarfgorp"} <= set(revision.unresolved)
    assert "“fluffy”" in revision.revised_prompt


def test_nothing_understood_still_gives_a_picture(draw):
    revision = draw("一只白猫坐在红色跑车上")
    assert revision.unresolved == ("一只白猫坐在红色跑车上",)
    assert len(revision.scene.items) >= 3
    assert "Not drawn" in revision.revised_prompt


@pytest.mark.parametrize(
    "prompt", ["", "   ", "\x00\x01", ".", "!!!", "\u200d", "#", "1", "the of a"]
)
def test_empty_and_meaningless_prompts_give_a_picture(draw, prompt):
    assert draw(prompt).scene.items


def test_emoji_are_their_drawings(draw):
    assert things(draw("🐶 on a 🛹")) == [("skateboard", None), ("dog face", None)]
    assert concepts(draw("👩🏽‍💻")) == {"woman programmer"}
    assert concepts(draw("two ❤️")) == {"red heart"}


@pytest.mark.parametrize(
    ("prompt", "names"),
    [
        ('a logo called "Bean & Leaf"', ("Bean & Leaf",)),
        ("a logo for a shop called Golden Crust", ("Golden Crust",)),
        ("a card saying Happy Days on a blue background", ("Happy Days",)),
        ("a welcome card for Anna", ("Anna",)),
        ("Welcome to the team, Peter!", ("Peter",)),
        ("invitation for Emma's birthday", ("Emma",)),
        ("a card for Christmas", ()),
        ("a white cat", ()),
    ],
)
def test_text_to_be_written_is_taken_out_and_told(draw, prompt, names):
    revision = draw(prompt)
    assert revision.overlay_text == names
    assert all(name in revision.revised_prompt for name in names)


def test_a_quoted_letter_is_content_and_no_text(draw):
    letter = "Our quarterly results are in, sales grew and we celebrate with a big cake on Friday."
    revision = draw(f'newsletter image for this e-mail: "{letter}"')
    assert revision.overlay_text == ()
    assert revision.scene.intent == "newsletter"
    assert "line chart going up" in concepts(revision)


def test_a_long_letter_gives_its_few_main_things(draw):
    letter = (
        "Dear members,\n\nthe cycling season is starting! Our first bike tour takes place on Saturday. "
        "Bring your bicycle, a helmet and something to drink. After the tour we meet at the club "
        "house, where you can book a table, check the date and leave a note at the bar.\n\nThe board"
    )
    revision = draw(letter, "wide")
    assert revision.scene.intent == "newsletter"
    assert "bicycle" in concepts(revision)
    assert 1 <= len(concepts(revision)) <= 4


@pytest.mark.parametrize("intent", INTENTS)
def test_each_intent_is_found_by_its_word_and_has_a_layout(draw, intent):
    revision = draw(f"{intent} of a fox")
    assert revision.scene.intent == intent
    assert concepts(revision) & {"fox", "fox face"}


@pytest.mark.parametrize("shape", ["square", "tall", "wide"])
def test_a_banner_leaves_room_for_words(draw, shape):
    boxes = [item.box for item in draw("banner for a summer sale", shape).scene.items]
    if shape == "tall":
        assert min(b.cy - b.h / 2 for b in boxes) > 0.3
    else:
        assert min(b.cx - b.w / 2 for b in boxes) > 0.3


def test_a_logo_stands_on_the_badge_and_in_the_colours_asked_for(draw):
    revision = draw("logo for a law firm, a gold emblem on a navy shield")
    assert things(revision) == [("shield shape", "navy"), ("scales", "gold")]
    assert things(draw("blue and white logo for a plumber"))[0][1] == "blue"


def test_a_logo_of_an_unknown_trade_is_a_plain_mark(draw):
    badge, mark = draw("Make me a logo! Thanks").scene.items
    assert badge.concept in ("disc", "rounded square")
    assert contrast(badge.colour, mark.colour) >= 200


def test_a_logo_in_one_colour_on_another_needs_no_badge(draw):
    revision = draw("company logo: a lion's head, gold on black")
    assert things(revision) == [("lion", "gold")]
    assert revision.scene.background.colours == ("black",)


def test_a_welcome_card_has_a_waving_hand_and_confetti(draw):
    revision = draw("Welcome Anna!")
    assert concepts(revision) == {"waving hand", "balloon", "party popper"}
    assert revision.scene.background.kind == "confetti"


def test_an_avatar_shows_the_person_of_the_profile(draw):
    prompt = "Avatar. Name: Maria Lopez. Job: nurse. Gender: female. Hobbies: painting, cats."
    assert "woman doctor" in concepts(draw(prompt))
    assert "woman with red hair" in concepts(draw("avatar of a lady with red hair"))
    assert "cat face" in concepts(draw("avatar: a cat"))


def test_an_avatar_without_a_clue_is_a_person(draw):
    assert "person" in concepts(draw("an avatar"))


@pytest.mark.parametrize(
    ("prompt", "style"),
    [
        ("a cat, flat vector", "flat"),
        ("cartoon of a cat", "cartoon"),
        ("a 3d cat", "soft"),
        ("a cat silhouette", "emblem"),
        ("photo of a cat", "soft"),
        ("a cat", "flat"),
    ],
)
def test_the_style_follows_the_words(draw, prompt, style):
    assert draw(prompt).scene.style == style


def test_a_photo_is_told_to_be_a_drawing(draw):
    assert ("photo", "soft drawing") in draw("photo of a lion").stand_ins


def test_a_thing_never_vanishes_on_its_ground(draw):
    for seed in range(20):
        scene = draw("a white cat", seed=seed).scene
        assert contrast("white", scene.background.colours[0]) >= 100
    revision = draw("a white rabbit on a white background")
    assert revision.scene.background.colours != ("white",)
    assert revision.stand_ins[0][0] == "white background"
    assert draw("a black cat on black").scene.background.colours != ("black",)


def test_the_emblem_style_always_has_a_colour_that_stands_out(draw):
    for seed in range(10):
        scene = draw("logo of an anchor", seed=seed).scene
        badge, anchor = scene.items
        assert contrast(badge.colour, anchor.colour) >= 200


def test_names_of_the_bank_are_all_found(bank, draw):
    lost = [
        c.name
        for c in bank.concepts
        if c.kind == "object" and c.name not in concepts(draw(f"a {c.name.lower()}"))
    ]
    assert len(lost) < 0.05 * len(bank.concepts), lost


def heldout(name):
    lines = (FIXTURES / name).read_text(encoding="utf-8").splitlines()[1:]
    return [line.split("\t") for line in lines]


@pytest.mark.parametrize("name", ["prompts_heldout.tsv", "prompts_tuning.tsv"])
def test_at_least_eight_of_ten_realistic_prompts_are_understood(draw, name):
    right, rows = {}, heldout(name)
    for kind, intents, mains, prompt in rows:
        revision = draw(prompt.replace("\\n", "\n"))
        good = revision.scene.intent in intents.split("|") and concepts(revision) & set(
            mains.split("|")
        )
        right.setdefault(kind, []).append(bool(good))
    print({kind: f"{sum(good)}/{len(good)}" for kind, good in right.items()})
    assert sum(map(sum, right.values())) >= 0.8 * len(rows)


def test_every_free_prompt_is_drawn_with_known_concepts(draw, bank):
    prompts = (Path(__file__).parents[1] / "training" / "free_prompts.txt").read_text().splitlines()
    assert len(prompts) == 40
    for prompt in prompts:
        scene = draw(prompt).scene
        assert scene.items
        assert all(scene.style in bank[item.concept].styles for item in scene.items)


def random_prompt(chance):
    pieces = [
        lambda: chr(chance.randrange(1, 0x2FF)),
        lambda: chr(
            chance.choice([0x4E00, 0x600, 0x1F300, 0xE000, 0x200B, 0xD800, 0x10FFFF, 0x900])
        ),
        lambda: chance.choice(list(COLOURS)),
        lambda: chance.choice(
            [
                "cat",
                "dog",
                "car",
                "logo",
                "on",
                "under",
                "between",
                "two",
                "nine",
                "🐶",
                "👩\u200d💻",
                "welcome",
                "in",
            ]
        ),
        lambda: chance.choice(
            ["gradient", "background", "stripes", "to", "and", "with", "of", "orange"]
        ),
        lambda: chance.choice(list("\"'“”,.;:!?\n#-&()[]{}")),
    ]
    return "".join(
        chance.choice(pieces)() + chance.choice(["", " ", " "])
        for _ in range(chance.choice([1, 5, 20, 60, 200]))
    )


def check(revision):
    scene = revision.scene
    assert scene.items or scene.background
    assert scene.style in STYLES
    assert scene.intent in INTENTS
    assert len(scene.items) + max(1, len(scene.background.colours)) <= 10
    for item in scene.items:
        box = item.box
        assert box.w > 0 and box.h > 0
        assert box.cx - box.w / 2 > -0.02 and box.cx + box.w / 2 < 1.02, (item, scene)
        assert box.cy - box.h / 2 > -0.02 and box.cy + box.h / 2 < 1.02, (item, scene)
    assert len(revision.revised_prompt) < 3000


def any_vectors(phrases):
    """Stand in for the text encoder, which is too slow for hundreds of prompts."""
    return np.stack([np.random.default_rng(len(p)).standard_normal(384) / 20 for p in phrases])


def test_random_text_never_crashes_and_stays_on_the_canvas(bank):
    chance = random.Random(7)
    for seed in range(200):
        shape = chance.choice(["square", "tall", "wide"])
        prompt = random_prompt(chance)
        check(revise(prompt, shape=shape, concepts=bank, embed=any_vectors, seed=seed))


def test_a_prompt_of_the_longest_length_is_read_in_a_moment(draw):
    chance = random.Random(1)
    words = "the red cat sat on a blue car 🐶 blarf 白猫 and we met, dear, in “Paris” " * 600
    for prompt in (
        words[:32000],
        "x" * 32000,
        '"' * 32000,
        "a " * 16000,
        "🐶" * 32000,
        "A" + "a'" * 16000,
    ):
        start = time.process_time()
        check(draw(prompt))
        assert time.process_time() - start < 1.5, prompt[:20]
    check(draw("".join(chr(chance.randrange(32, 0xFFFF)) for _ in range(32000))))


def test_a_usual_prompt_takes_milliseconds(draw):
    draw("a red cat with a zorblax")
    times = []
    for number in range(15):
        start = time.process_time()
        draw(f"a red cat on a blue car with {number} balloons and a hippogriff")
        times.append(time.process_time() - start)
    assert sorted(times)[7] < 0.1


def test_vectors_come_back_as_written_and_only_for_their_own_phrases(tmp_path):
    chance = np.random.default_rng(0)
    vectors = chance.standard_normal((3, 384)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    write_vectors(tmp_path / "v.npz", ["a", "b", "c"], vectors)
    back = read_vectors(tmp_path / "v.npz", ["a", "b", "c"])
    assert np.abs(back - vectors).max() < 0.002
    assert read_vectors(tmp_path / "v.npz", ["a", "b", "d"]) is None


def test_the_shipped_vectors_fit_the_shipped_bank(bank):
    assert bank._vectors is not None


def test_hex_values_near_a_colour_get_its_word():
    assert nearest_colour("#fff") == "white"
    assert nearest_colour("#ff8800") == "#ff8800"


def test_singulars_are_found():
    assert singulars("leaves") == ["leaf"]
    assert "cherry" in singulars("cherries")
    assert "box" in singulars("boxes")
    assert singulars("glass") == []


def test_cleaning_keeps_words_and_drops_controls():
    assert clean('"a\u0000 cat\u202e"') == "a  cat"
    assert take_names(clean("ｆｕｌｌ ｗｉｄｔｈ"))[0] == "full width"
