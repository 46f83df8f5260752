"""Records become sentences: what is kept, in which order, and what is no record."""

import json

import pytest

from gouache.profiles import read_record


def test_json_and_lines_of_the_same_record_say_the_same():
    values = {
        "name": "Ada Bell",
        "gender": "f",
        "job": "Senior pilot at North Air",
        "hobbies": "chess",
    }
    record = read_record(json.dumps({"id": 7, "profile": values, "since": "2021-05-01"}))
    lines = read_record("\n".join(f"{key}: {value}" for key, value in values.items()))
    assert record.sentence == lines.sentence == "pilot. woman. likes chess"
    assert record.names == lines.names == ("Ada Bell",)
    assert record.is_person


def test_first_and_last_name_are_one_name():
    record = read_record('{"first_name": "Yuki", "last_name": "Tanaka", "role": "chemist"}')
    assert record.names == ("Yuki Tanaka",)


def test_hair_and_colours_are_said_as_people_say_them():
    record = read_record("Name = Cal\nHair = red\nGender = male\nFavourite colour = #112233")
    assert record.sentence == "man. red hair. #112233"


def test_a_player_plays_the_sport_of_the_record():
    assert read_record("name: Jo\ntype: player\nsport: tennis").sentence == "tennis player"


def test_a_company_is_no_person():
    record = read_record('{"company": "Acme", "industry": "bakery", "colors": ["brown", "white"]}')
    assert not record.is_person
    assert record.names == ("Acme",)
    assert record.sentence == "bakery. brown and white"


def test_what_leads_a_record_is_kept():
    record = read_record('Welcome card for this user: {"name": "Ada", "role": "pilot"} Thanks')
    assert record.lead == "Welcome card for this user Thanks"
    assert (
        read_record("Make an avatar:\nname: Ada\nrole: pilot\ncity: Rome").lead == "Make an avatar"
    )


def test_codes_and_addresses_say_nothing():
    record = read_record(
        '{"name": "Ada", "role": "https://x.example/1", "likes": "a@b.example", "job": 5}'
    )
    assert record.sentence == ""


@pytest.mark.parametrize(
    "text",
    [
        *("", "a cat", "{", "{}", "[]", "{]}", '{"a": 1}', '{"name"', "{" * 20_000, '{"a":' * 5000),
        "Name: a cat",
        "colours: red and blue, a cat on a car",
        "Dear all,\nname: Ada\nwe write to you today\nbecause of this\nand that\nrole: pilot",
    ],
)
def test_what_is_no_record_is_none(text):
    assert read_record(text) is None
