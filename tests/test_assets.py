"""The sprite library's words, measures, licences and files; nothing is downloaded."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("resvg_py", reason="resvg-py is in the training extra")

from training.assets import __main__ as command
from training.assets import measure, pack, packages
from training.assets.avatars import avatar_words
from training.assets.captions import make_captions, make_record
from training.assets.clipart import ClipArt, ClipArtNamer
from training.assets.colours import colour_word, hair_word, skin_word
from training.assets.drawing import Drawing, icon_svg
from training.assets.emoji import Emoji, is_kept
from training.assets.emoji_names import emoji_words
from training.assets.icons import VARIANTS, IconNamer, largest_sizes
from training.assets.sources import (
    CLEAN_LICENCES,
    HERE,
    Source,
    attribution,
    licence_rows,
    licence_table,
    load_sources,
)
from training.assets.wordnet import WordNet
from training.assets.words import TABLES, article, slug, with_article

RED_HALF = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 100">'
    '<rect x="30" y="20" width="20" height="40" fill="#e01010"/>'
    '<rect x="50" y="20" width="20" height="40" fill="#ffffff"/></svg>'
)
DATA_NOUN = """\
  1 a licence text
00000001 03 n 01 entity 0 000 | all there is
00000002 05 n 02 animal 0 beast 0 001 @ 00000001 n 0000 | living
00000003 05 n 02 cat 0 true_cat 0 001 @ 00000002 n 0000 | a pet
00000004 06 n 01 lamp 0 001 @ 00000001 n 0000 | gives light
00000005 06 n 01 desk_lamp 0 001 @ 00000004 n 0000 | stands on a desk
00000006 04 n 01 running 0 001 @ 00000001 n 0000 | an act
"""
INDEX_NOUN = """\
  1 a licence text
animal n 1 1 @ 1 0 00000002
cat n 1 1 @ 1 0 00000003
lamp n 1 1 @ 1 0 00000004
desk_lamp n 1 1 @ 1 0 00000005
running n 1 1 @ 1 0 00000006
"""


@pytest.fixture
def wordnet(tmp_path):
    (tmp_path / "data.noun").write_text(DATA_NOUN)
    (tmp_path / "index.noun").write_text(INDEX_NOUN)
    return WordNet(tmp_path)


@pytest.fixture
def drawing():
    source = next(source for source in load_sources() if source.key == "twemoji")
    return Drawing(
        id="twemoji:1",
        source=source,
        name="cup",
        aliases=["mug of tea"],
        nouns=["cup"],
        kind="object",
        category="dishware",
        styles=source.styles,
        svg=RED_HALF,
    )


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("red apple", "a red apple"),
        ("orange", "an orange"),
        ("hourglass", "an hourglass"),
        ("unicorn", "a unicorn"),
        ("rice", "some rice"),
        ("bowl of rice", "a bowl of rice"),
        ("grapes", "grapes"),
        ("kittens", "some kittens"),
        ("bus", "a bus"),
        ("person with glasses", "a person with glasses"),
        ("SUV", "an SUV"),
        ("UFO", "a UFO"),
        ("two beers", "two beers"),
    ],
)
def test_names_get_the_article_people_would_use(name, expected):
    assert with_article(name) == expected


def test_a_slug_has_only_letters_digits_and_single_hyphens():
    assert slug("Man’s shoe (“left”)") == "mans-shoe-left"


def test_every_name_in_the_tables_has_an_article():
    names = [names[0] for names in TABLES["names"].values()]
    assert len(names) > 400
    assert {article(name) for name in names} == {"a", "an", "some", ""}


@pytest.mark.parametrize(
    ("rgb", "word"),
    [
        ((255, 255, 255), "white"),
        ((0, 0, 0), "black"),
        ((128, 128, 128), "gray"),
        ((220, 40, 40), "red"),
        ((220, 40, 70), "red"),
        ((120, 20, 25), "dark red"),
        ((120, 72, 40), "brown"),
        ((250, 140, 20), "orange"),
        ((250, 210, 40), "yellow"),
        ((50, 170, 70), "green"),
        ((20, 150, 140), "teal"),
        ((40, 90, 220), "blue"),
        ((20, 30, 90), "navy blue"),
        ((120, 60, 180), "purple"),
        ((250, 140, 190), "pink"),
    ],
)
def test_colours_get_everyday_words(rgb, word):
    assert colour_word(*rgb) == word


def test_hair_and_skin_have_words_of_their_own():
    assert hair_word("#f5d76e") == "blonde"
    assert hair_word("#d35400") == "red"
    assert skin_word("#ffdbb4") == "light"
    assert skin_word("#3b2219") == "dark"


def test_wordnet_finds_the_singular_and_what_a_noun_is(wordnet):
    assert wordnet.lemma("Cats") == "cat"
    assert wordnet.sense("cat").kind == "animal"
    assert wordnet.sense("running") is None
    assert wordnet.sense("unheard of") is None
    assert wordnet.related("00000003", 1) == {"cat", "true cat", "animal", "beast"}
    assert wordnet.depth("00000003") == 2


def test_an_emoji_label_becomes_an_everyday_name(wordnet):
    car = emoji_words("automobile", (), "travel-places", "transport-ground", wordnet)
    assert (car.name, car.kind, car.category) == ("car", "object", "vehicle")
    witch = emoji_words("woman mage", (), "people-body", "person-fantasy", wordnet)
    assert (witch.name, witch.kind) == ("witch", "person")
    cat = emoji_words("cat", ("beast", "cute"), "animals-nature", "animal-mammal", wordnet)
    assert cat.aliases == ["beast"]  # near in WordNet; "cute" is only an association
    assert "kitten" in cat.more["near"]
    beard = emoji_words("man: beard", (), "people-body", "person", wordnet)
    assert beard.name == "man with a beard"


def test_unsafe_emoji_and_far_flags_are_left_out():
    def emoji(label, group, subgroup, tone=None):
        return Emoji(label, (), group, subgroup, "x", "1F600", tone)

    noto, fluent = (
        next(source for source in load_sources() if source.key == key)
        for key in ("noto", "fluent-emoji")
    )
    assert not is_kept(emoji("middle finger", "people-body", "hand"), noto)
    assert not is_kept(emoji("flag: Chad", "flags", "country-flag"), fluent)
    assert is_kept(emoji("flag: Chad", "flags", "country-flag"), noto)
    tones = ("light", "light brown", "tan", "brown", "dark")
    kept = [tone for tone in tones if is_kept(emoji("cook", "people-body", "person", tone), noto)]
    assert len(kept) == 2


def test_icons_are_named_only_when_they_show_a_thing(wordnet):
    namer = IconNamer(wordnet, frozenset({"lamp"}))
    assert namer.name(["lamp", "desk"], plain_names=False)[0] == "desk lamp"
    assert namer.name(["lamp", "1"], plain_names=False)[0] == "lamp"
    assert namer.name(["happy", "lamp"], plain_names=True)[:2] == ("happy lamp", "lamp")
    assert namer.name(["happy", "lamp"], plain_names=False) is None
    assert namer.name(["arrow", "lamp"], plain_names=True) is None
    assert namer.name(["dead", "cat"], plain_names=True) is None
    assert namer.concept("graph-bar")[0] == "bar chart"
    assert VARIANTS["ph"]("cat-thin") is None
    assert VARIANTS["ph"]("cat-bold")[0] == "cat"
    assert largest_sizes(["home-16", "home-24", "cat-16"]) == ["home-24", "cat-16"]


def test_clip_art_is_named_by_its_title_and_never_when_unsafe(wordnet):
    namer = ClipArtNamer(IconNamer(wordnet, frozenset({"cat", "lamp"})))

    def clipart(title):
        return ClipArt(Path("x_01.svg"), "animals/mammals", title, ("cat",))

    assert namer.name(clipart("Open Clip - Sleeping Cat"))[0] == "sleeping cat"
    assert namer.name(clipart("Simbolo"))[0] == "cat"  # Italian: by the keywords
    assert namer.name(clipart("dead cat")) is None


def test_an_avatar_is_described_by_its_options():
    head = {
        "body": "breasts",
        "skinTone": "dark",
        "accessory": "shades",
        "hat": "none",
        "hair": "bun",
        "hairColor": "orange",
        "clothing": "vneck",
        "clothingColor": "green",
        "facialHair": "none",
        "mouth": "openSmile",
    }
    assert avatar_words("bigheads", head)["name"] == (
        "woman with dark brown skin and red hair in a bun, "
        "wearing sunglasses and a green v-neck sweater, smiling"
    )
    person = {"skinColor": "#ffdbb4", "hair": "shortFlat", "facialHair": "full", "mouth": "smile"}
    name = avatar_words("dicebear-personas", person)["name"]
    assert name == "man with light skin, short flat hair and a full beard, smiling"
    mascot = {"what": "IceCream", "mood": "ko", "color": "pink"}
    assert avatar_words("kawaii", mascot)["name"] == "cute dizzy pink ice cream bar"


def test_a_drawing_is_trimmed_and_measured():
    sprite = measure.sprite_from_svg(RED_HALF)
    assert sprite.width == sprite.height
    assert 250 <= sprite.width <= measure.SIDE
    facts = measure.measure(sprite)
    assert facts["fill"] == 1.0
    assert {word: share for word, share in facts["colors"]} == pytest.approx(
        {"red": 0.5, "white": 0.5}, abs=0.03
    )
    assert facts["hue"] == 5
    assert facts["hue_frac"] == pytest.approx(0.5, abs=0.03)


def test_a_grey_drawing_has_no_hue():
    sprite = Image.fromarray(np.full((64, 64, 4), (120, 120, 120, 255), np.uint8))
    facts = measure.measure(sprite)
    assert (facts["hue"], facts["hue_frac"]) == (None, 0.0)
    assert facts["colors"] == [["gray", 1.0]]


@pytest.mark.parametrize(
    ("body", "reason"),
    [("", "nothing is drawn"), ('<rect width="100" height="1"/>', "only a thin line")],
)
def test_an_unusable_drawing_says_why(body, reason):
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 100">{body}</svg>'
    assert measure.measure_drawing(svg, None) == (None, None, reason)
    assert measure.measure_drawing("no svg", None)[2] == "not readable (ValueError)"


def test_an_icon_becomes_a_whole_svg():
    icons = {"width": 24, "icons": {"dot": {"body": '<circle r="9" fill="currentColor"/>'}}}
    svg = icon_svg(icons, "dot")
    assert 'viewBox="0 0 24 16"' in svg
    assert 'fill="#000"' in svg


def test_a_record_names_its_ruling_colour_and_captions_repeat(drawing):
    facts = measure.measure(measure.sprite_from_svg(RED_HALF.replace("#ffffff", "#000000")))
    row = make_record(drawing, facts, 0)
    assert (row["color"], row["article"], row["vector"], row["off"]) == ("red", "a", True, -1)
    captions = make_captions(row)
    assert captions == make_captions(row)
    assert {"a cup", "a red cup", "a mug of tea"} <= set(captions)
    assert "a red mug of tea" not in captions


def test_no_source_is_share_alike():
    sources = load_sources()
    assert len(sources) > 50, "this test has stopped finding sources; do not lower the floor"
    for source in sources:
        assert source.licence in CLEAN_LICENCES
        assert source.version
        assert source.author
    assert not any("SA" in licence or "GPL" in licence for licence in CLEAN_LICENCES)


def test_every_package_is_pinned_to_one_version():
    wanted = json.loads((HERE / "package.json").read_text())["dependencies"]
    assert all(version[0].isdigit() for version in wanted.values())
    lock = json.loads((HERE / "package-lock.json").read_text())["packages"]
    assert lock[""]["dependencies"] == wanted
    assert all("integrity" in row for path, row in lock.items() if path)


def test_the_notice_credits_author_licence_and_version():
    rows = licence_rows({"twemoji": 3})
    assert [(row["source"], row["licence"], row["count"]) for row in rows] == [
        ("twemoji", "CC-BY-4.0", 3)
    ]
    assert "Twitter Emoji by Twitter" in attribution({"twemoji": 3})
    assert "CC BY 4.0" in attribution({"twemoji": 3})


def test_the_readme_shows_the_licence_table():
    assert licence_table() in (HERE / "README.md").read_text("utf-8")


def test_a_package_with_another_licence_is_refused(tmp_path):
    source = next(source for source in load_sources() if source.key == "noto")
    with pytest.raises(packages.AssetsError, match="is missing"):
        packages.check_licence(tmp_path, source)
    folder = tmp_path / source.package
    folder.mkdir(parents=True)
    (folder / "info.json").write_text('{"license": {"spdx": "CC-BY-SA-4.0"}}')
    with pytest.raises(packages.AssetsError, match="CC-BY-SA-4.0"):
        packages.check_licence(tmp_path, source)


def test_a_missing_program_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PATH", str(tmp_path))
    arguments = ["--out", str(tmp_path / "out"), "--work", str(tmp_path / "work")]
    assert command.main(arguments) == 1
    assert "Install librsvg2-bin" in capsys.readouterr().err
    assert command.main([*arguments, "--skip", "openclipart"]) == 1
    assert "The program 'node' is missing" in capsys.readouterr().err
    assert command.main([*arguments, "--only", "clipart"]) == 1
    assert "No source is called clipart" in capsys.readouterr().err


def write_part(out, key, row, *, svg=None, raster=None):
    with pack.PartWriter(out, key, "s1") as part:
        part.add(row, svg, raster)
    return part.folder


def test_the_marker_is_written_last(tmp_path, drawing, monkeypatch):
    facts = measure.measure(measure.sprite_from_svg(RED_HALF))
    vector = make_record(drawing, facts, 0)
    raster = vector | {"id": "twemoji:2", "vector": False, "len": 4}
    parts = [
        write_part(tmp_path, "a", vector, svg=RED_HALF),
        write_part(tmp_path, "b", raster, raster=b"1234"),
        write_part(tmp_path, "c", raster | {"id": "twemoji:3"}, raster=b"5678"),
    ]
    with monkeypatch.context() as patch:
        patch.setattr(pack, "licence_rows", lambda counts: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            pack.write_library(tmp_path, parts, [], state="s1")
    assert pack.read_marker(tmp_path) is None
    marker = pack.write_library(tmp_path, parts, [], state="s1")
    assert pack.read_marker(tmp_path) == marker
    assert (marker["sprites"], marker["state"]) == (3, "s1")
    rows = list(pack.read_lines(tmp_path / "sprites.jsonl.xz"))
    assert [(row["off"], row["len"]) for row in rows] == [(-1, -1), (0, 4), (4, 4)]
    assert (tmp_path / "raster.bin").read_bytes() == b"12345678"
    assert [row["id"] for row in pack.read_lines(tmp_path / "vectors.jsonl.xz")] == ["twemoji:1"]
    assert not (tmp_path / pack.PARTS).exists()


def test_an_interrupted_part_does_not_count(tmp_path):
    with pytest.raises(KeyboardInterrupt), pack.PartWriter(tmp_path, "noto", "s1"):
        raise KeyboardInterrupt
    assert not pack.PartWriter(tmp_path, "noto", "s1").is_finished


def test_a_finished_library_is_left_as_it_is(tmp_path, capsys):
    chosen = command.choose_sources(["noto"], [])
    assert [source.key for source in chosen] == ["noto"]
    assert isinstance(chosen[0], Source)
    marker = {"state": command.build_state(chosen, None), "sprites": 7}
    (tmp_path / pack.MARKER).write_text(json.dumps(marker))
    assert command.main(["--out", str(tmp_path), "--only", "noto"]) == 0
    assert "already built: 7 sprites" in capsys.readouterr().out


def test_a_sample_is_spread_evenly():
    assert command.sample(list(range(10)), 5) == [0, 2, 4, 6, 8]
    assert command.sample([1, 2], 5) == [1, 2]
    assert command.sample([1, 2], None) == [1, 2]
