"""Which words are set over a picture, by its use and by how they are given."""

import pytest

from gouache.tagging import clean, find_names
from gouache.wording import choose_words


def wording(prompt, intent):
    return choose_words(clean(prompt), find_names(clean(prompt))[1], intent)


def lines(prompt, intent):
    return [line.text for line in wording(prompt, intent).lines]


@pytest.mark.parametrize(
    ("prompt", "intent", "words"),
    [
        ("a logo for Acme Bakery", "logo", ["Acme Bakery"]),
        ('logo of the firm "Corda"', "logo", ["Corda"]),
        ("logo for Tilda's Seed Exchange", "logo", ["Tilda’s Seed Exchange"]),
        ("Welcome card for Maria", "welcome", ["Welcome", "Maria"]),
        ("welcome back Zoë!", "welcome", []),
        ("Please welcome aboard: a card for Maria", "welcome", ["Welcome aboard", "Maria"]),
        ('card with the words "Welcome, Maria"', "welcome", ["Welcome, Maria"]),
        ("greeting for Osman", "welcome", ["Osman"]),
        ("banner saying Summer Sale on the beach", "banner", ["Summer Sale"]),
        ('poster "Blue Hour", saxophone', "poster", ["Blue Hour"]),
        ('a cat named "Tom"', "picture", []),
        ('a cat with the words "Good night"', "picture", ["Good night"]),
        ('avatar for "Tom"', "avatar", []),
        ("a white cat on a red car", "picture", []),
        ("logo for Acme, no text", "logo", []),
        ("logo for Acme without any lettering", "logo", []),
        ("logo of Lumen & Moss, photographers from Galway", "logo", ["Lumen & Moss"]),
    ],
)
def test_given_names_and_quoted_words_are_set_where_the_use_asks_for_them(prompt, intent, words):
    assert lines(prompt, intent) == words


def test_the_name_is_the_main_line():
    assert [line.is_main for line in wording("Welcome card for Maria", "welcome").lines] == [
        *(False, True)
    ]
    two = wording('logo "Acme" with the slogan "We try"', "logo").lines
    assert [(line.text, line.is_main) for line in two] == [("Acme", True), ("We try", False)]


def test_words_that_cannot_be_set_are_told():
    told = wording('logo "花子"', "logo")
    assert (told.lines, told.unset, told.refused) == ((), ("花子",), ("花子",))
    assert "花" in told.warnings[0]
    long = wording(f'poster "{"word " * 22}", "{"more " * 22}"', "poster")
    assert len(long.lines) <= 1


def test_names_that_are_not_set_are_told_but_no_places():
    told = wording('a picture of a cat named "Tom" from Galway', "picture")
    assert told.unset == ("Tom",)
