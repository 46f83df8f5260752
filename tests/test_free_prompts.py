"""Free text of the five uses: whole e-mails, records and wishes, each to one fitting picture.

The figures: the hundred prompts of `free_prompts_5x20.json` (fifteen whole e-mails and ten records
among them) were written before the work on long texts; their first run had 62 right (the intent and a
main concept), and general faults they showed were mended since. The thirty of
`free_prompts_unseen.json` were written after that work; their first run had 27 right.
"""

import json
import re
import time
from pathlib import Path

import pytest

from gouache.concepts import ConceptBank
from gouache.messages import take_in
from gouache.prompts import revise
from gouache.scene import SHAPES
from gouache.typeroom import room

WEIGHTS = Path(__file__).parents[1] / "src" / "gouache" / "weights"
FIXTURES = Path(__file__).parent / "fixtures"

pytestmark = pytest.mark.skipif(
    not (WEIGHTS / "text-encoder.xml").exists(), reason="the text encoder is not here"
)

MAIL = """Subject: Honey from our own roof

Dear neighbours,

the bees on the roof have been busy. From Saturday there is honey in the shop, two hundred jars of it.

The bees have moved here from a farm in the hills and like the lime trees in the park. If you want to
meet them, ask Rosa; she lends you a veil.

Kind regards
Your corner shop

Corner Shop, 5 High Street. You get this because you asked for it. Unsubscribe: https://corner.example
"""


@pytest.fixture(scope="module")
def bank():
    return ConceptBank.load(WEIGHTS)


@pytest.fixture(scope="module")
def draw(bank):
    from gouache.diffusion.graphs import Runtime
    from gouache.diffusion.text_encoder import TextEncoder

    encoder = TextEncoder(
        WEIGHTS / "text-encoder.xml", WEIGHTS / "tokenizer.json", runtime=Runtime(threads=1)
    )

    def draw(prompt, shape="square", **other):
        given = {"concepts": bank, "embed": encoder.vectors, "seed": 0, **other}
        return revise(prompt, shape=shape, **given)

    return draw


def concepts(revision):
    return {item.concept for item in revision.scene.items}


def is_right(row, revision):
    main = concepts(revision) & set(row["mains"])
    return revision.scene.intent in row["intents"] and bool(main)


@pytest.mark.parametrize(
    ("name", "least"), [("free_prompts_5x20.json", 90), ("free_prompts_unseen.json", 26)]
)
def test_free_prompts_get_the_right_intent_and_a_main_concept(draw, name, least):
    rows = json.loads((FIXTURES / name).read_text(encoding="utf-8"))
    right = {}
    for row in rows:
        right.setdefault(row["kind"], []).append(is_right(row, draw(row["prompt"])))
    print({kind: f"{sum(good)}/{len(good)}" for kind, good in right.items()})
    assert sum(map(sum, right.values())) >= least


def test_e_mails_and_records_show_few_things(draw):
    rows = json.loads((FIXTURES / "free_prompts_5x20.json").read_text(encoding="utf-8"))
    long = [row["prompt"] for row in rows if re.search(r"\n.*\n|^\{", row["prompt"])]
    assert len(long) == 25
    for prompt in long:
        assert 1 <= len(draw(prompt).scene.items) <= 3, prompt[:60]


def test_an_e_mail_is_about_what_it_is_about(draw):
    revision = draw(MAIL, "wide")
    assert revision.scene.intent == "newsletter"
    assert concepts(revision) <= {"bee", "honey", "jar"}
    assert {"bee", "honey"} & concepts(revision)
    assert revision.lettering == ()


def test_what_a_letter_does_not_matter_for_is_not_told(draw):
    told = " ".join(draw(MAIL).unresolved).lower()
    assert not re.search("unsubscribe|regards|street|https|dear|rosa", told)
    assert len(draw(MAIL).unresolved) <= 4


def test_the_request_before_an_e_mail_decides_intent_style_and_colours(draw):
    revision = draw(
        f'Make a cartoon poster in blue with the words "Honey!" for this e-mail:\n\n{MAIL}'
    )
    assert revision.scene.intent == "poster"
    assert revision.scene.style == "cartoon"
    assert revision.scene.background.colours[0] == "blue"
    assert [line.text for line in revision.lettering] == ["Honey!"]
    assert {"bee", "honey"} & concepts(revision)


def test_a_short_letter_on_one_line_is_a_letter_unless_it_asks_for_a_picture(draw):
    told = (
        "Dear neighbours, on Sunday we clean up the park. Please bring gloves and a rake. "
        "There will be sausages for all who help."
    )
    assert draw(told).scene.intent == "newsletter"
    assert 1 <= len(draw(told).scene.items) <= 3
    asked = told.replace("Please", "Draw a picture of a tree and a fox for it, and please")
    assert concepts(draw(asked)) >= {"tree", "fox"}


def test_things_in_a_row_are_only_those_things(draw):
    assert concepts(draw("four green apples in a row")) == {"green apple"}


def test_an_e_mail_that_asks_for_a_logo_gets_one(draw):
    asked = MAIL.replace(
        "If you want", "Could you please draw a logo with a bee for us? If you want"
    )
    assert draw(asked).scene.intent == "logo"


def test_a_welcome_mail_gets_a_welcome_card(draw):
    assert (
        draw(MAIL.replace("Honey from our own roof", "Welcome to our shop")).scene.intent
        == "welcome"
    )


def test_a_season_gives_a_letter_its_ground(draw):
    winter = MAIL.replace("Honey from our own roof", "Honey for Christmas")
    assert draw(winter).scene.background.kind == "snowy field"


def test_a_record_of_a_company_is_a_logo_with_its_name(draw):
    revision = draw(
        '{"company": "Hop & Barrel", "industry": "brewery", "colors": ["green", "white"]}'
    )
    assert revision.scene.intent == "logo"
    assert concepts(revision) & {"beer", "two beers"}
    assert [line.text for line in revision.lettering] == ["Hop & Barrel"]


def test_a_record_is_drawn_for_the_request_before_it(draw):
    revision = draw('Welcome card for {"name": "Ada Bell", "role": "pilot", "gender": "female"}')
    assert revision.scene.intent == "welcome"
    assert [line.text for line in revision.lettering] == ["Welcome", "Ada Bell"]
    assert any("pilot" in name for name in concepts(revision))


def test_an_avatar_carries_no_letters(draw):
    revision = draw("name: Ada Bell\nrole: pilot\ngender: female")
    assert concepts(revision) == {"woman pilot"}
    assert revision.lettering == ()
    assert "Text not drawn: “Ada Bell”" in revision.revised_prompt


def test_words_that_are_set_are_in_the_revised_prompt(draw):
    revision = draw("logo for Acme Bakery")
    assert revision.revised_prompt.startswith("a logo with")
    assert "with the words “Acme Bakery”" in revision.revised_prompt
    assert draw("a white cat on a red car").lettering == ()


def test_words_that_cannot_be_set_are_unresolved_and_warned_of(draw):
    revision = draw('logo with a lion for "花子"')
    assert concepts(revision) >= {"lion"}
    assert (revision.lettering, revision.unresolved) == ((), ("花子",))
    assert "花" in revision.warnings[0]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    "prompt",
    [
        "logo with a lion for Acme",
        "welcome card for Maria with two cats and a dog",
        'poster of a guitar, "Blue Hour"',
        'banner with a sun, a cloud and a tree saying "Spring"',
        "invitation for Emma with balloons",
        'newsletter header with nine bees, "Bee kind"',
        'a picture of a cat on a couch with the words "Good night"',
    ],
)
def test_things_make_room_for_words_and_stay_on_the_canvas(draw, prompt, shape):
    revision = draw(prompt, shape)
    zone = room(revision.scene).zone
    assert revision.lettering
    for item in revision.scene.items:
        box = item.box
        if item.concept == "frame":
            continue
        assert box.w > 0.03 and box.h > 0.03
        assert box.cx - box.w / 2 >= 0 and box.cx + box.w / 2 <= 1
        assert box.cy - box.h / 2 >= 0 and box.cy + box.h / 2 <= 1
        beside = abs(box.cx - zone.cx) > (box.w + zone.w) / 2 - 0.01
        assert beside or abs(box.cy - zone.cy) > (box.h + zone.h) / 2 - 0.01


@pytest.mark.parametrize(
    ("prompt", "ground", "sky"),
    [
        ("an owl in the forest at night", "forest", "crescent moon"),
        ("at night a fox sits in the meadow", "meadow", "crescent moon"),
        ("a cat in the street at sunset", "street", "sun"),
        ("a cat at night", "night sky", None),
        ("a cat in a room at night", "room", None),
    ],
)
def test_the_hour_shows_in_the_sky_where_the_ground_is_another_place(draw, prompt, ground, sky):
    revision = draw(prompt)
    assert revision.scene.background.kind == ground
    assert concepts(revision) & {"crescent moon", "sun"} == ({sky} if sky else set())
    assert sky or ground == "night sky" or "night" in revision.unresolved


@pytest.mark.parametrize(
    "word", ["velociraptor", "trampoline", "hippogriff", "catapult", "axolotl", "poncho", "turbine"]
)
def test_a_word_the_bank_does_not_know_is_left_out_rather_than_guessed(draw, word):
    revision = draw(f"a {word} next to a tree")
    assert concepts(revision) == {"tree"}
    assert word in revision.unresolved


def test_a_document_is_no_part_of_its_picture(draw):
    revision = draw("illustration for chapter two of the travel guide: a red tower by the sea")
    assert concepts(revision) == {"tower"}
    assert concepts(draw("picture of an open book")) == {"open book"}


def test_the_style_field_wins(draw):
    assert (
        draw(f"Make a cartoon poster for this e-mail:\n\n{MAIL}", style="flat").scene.style
        == "flat"
    )


def test_a_long_text_is_read_in_a_moment(draw, bank):
    long = MAIL + MAIL.split("Dear neighbours,")[1] * 60
    draw(long[:32_000])
    seconds = []
    for _ in range(5):
        start = time.process_time()
        draw(long[:32_000])
        seconds.append(time.process_time() - start)
    assert min(seconds) < 0.3  # a tenth on a quiet machine
    assert take_in(long[:32_000], bank).reading.intent == "newsletter"


def test_a_letter_that_asks_for_a_logo_says_its_words_and_colours(draw):
    revision = draw(
        "Hi Tom,\n\ncould you make us a logo for the rowing camp? Something with an anchor, blue and "
        'white, and the name "Camp Compass" under it. We print it on shirts for sixty children, so '
        "please not too many details.\n\nThanks a lot,\nBeate"
    )
    assert revision.scene.intent == "logo"
    assert [line.text for line in revision.lettering] == ["Camp Compass"]
    assert {item.colour for item in revision.scene.items} == {"blue", "white"}


def test_a_letter_that_welcomes_somebody_greets_them_by_name(draw):
    revision = draw(
        "Dear team,\n\nplease welcome Aisha Rahman, who joins the kitchen as our new chef on 1 March. "
        "She has baked in Paris and Dubai and is known for her croissants.\n\nCome to the canteen at "
        "three, there will be cake.\n\nBest,\nHR"
    )
    assert revision.scene.intent == "welcome"
    assert [line.text for line in revision.lettering] == ["Welcome", "Aisha Rahman"]


def test_a_letter_never_shows_a_face(draw):
    revision = draw(
        "Dear Mrs Nowak,\n\nwe were sorry to hear of the loss of your father. We are sad with you; he "
        "was a member of our chess club for forty years, and we will miss his endgames.\n\nWith sincere "
        "regards\nThe board"
    )
    assert concepts(revision) == {"chess pawn"}


def test_a_long_description_of_things_is_no_letter(draw):
    revision = draw(
        "A cosy scene in warm light: a red fox sits on a tree in the forest, next to it an orange "
        "pumpkin and a small mushroom, golden leaves are falling, soft shadows, highly detailed, "
        "cinematic, beautiful composition, masterpiece, sharp focus, volumetric light, lovely mood"
    )
    assert {"fox", "tree", "mushroom"} <= concepts(revision)
    assert ("fox", "red") in [(item.concept, item.colour) for item in revision.scene.items]


def test_a_trade_no_table_knows_gets_the_sign_nearest_to_it(draw):
    assert "padlock" in " ".join(concepts(draw("logo for a locksmith")))
    assert "scales" in concepts(draw("logo for a law firm"))
    assert len(draw("logo for our company").scene.items) == 2
