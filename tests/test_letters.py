"""What is kept of a letter, and what is no letter."""

import random
import time

import pytest

from gouache.letters import open_letter

MAIL = """From: Mill Lane Choir <choir@mill.example>
Subject: RE: Rehearsals begin again

Dear singers,

the summer is over and the piano is tuned. Rehearsals begin on 4 September at seven, see
https://mill.example/dates or call +44 20 5550 1234.

Please bring a pencil.

Kind regards
Ottilie Marsh
Conductor

--
Mill Lane Choir, 3 Mill Lane
You receive this because you sing with us. Unsubscribe: https://mill.example/u/1
"""


def test_an_e_mail_is_its_title_and_its_paragraphs():
    letter = open_letter(MAIL)
    assert letter.title == "Rehearsals begin again"
    assert letter.greeting == "Dear singers,"
    assert letter.paragraphs[0].startswith("the summer is over and the piano is tuned")
    assert letter.paragraphs[-1] == "Please bring a pencil."
    for boilerplate in (
        "https",
        "5550",
        "Ottilie",
        "Conductor",
        "Unsubscribe",
        "choir@",
        "regards",
    ):
        assert boilerplate not in letter.text


def test_a_request_before_the_letter_leads_it():
    letter = open_letter(f"Make a newsletter header in blue for this e-mail:\n\n{MAIL}")
    assert letter.lead == "Make a newsletter header in blue for this e-mail:"
    assert letter.title == "Rehearsals begin again"


def test_a_request_on_the_same_line_leads_it_too():
    letter = open_letter(
        "newsletter picture for this e-mail: Dear all, the bakery opens at five from Monday on. "
        "There will be warm bread and rolls before your train leaves, and tea as well. "
        "Come by and say good morning.\nBest wishes\nYour bakers"
    )
    assert letter.lead == "newsletter picture for this e-mail"
    assert letter.paragraphs[0].startswith("the bakery opens at five")
    assert "bakers" not in letter.text


def test_a_postscript_is_kept():
    letter = open_letter(MAIL.replace("Conductor", "P.S. The cake was wonderful."))
    assert letter.paragraphs[-1] == "P.S. The cake was wonderful."


def test_html_is_read_as_its_words():
    lines = "".join(f"<p>{line}</p>" for line in MAIL.split("\n")[3:])
    letter = open_letter(
        f"<html><head><style>p {{color: red}}</style></head><body>{lines}&amp; more</body></html>"
    )
    assert letter.paragraphs[0].startswith("the summer is over")
    assert "<" not in letter.text and "color" not in letter.text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a cat",
        "Hi, please draw a cat. Thanks!",
        "Dear Santa, a red car",
        "A long description of a picture without any sign of a letter: " + "a cat and a dog, " * 30,
        '{"name": "Ada", "role": "pilot"}',
        "\n" * 300,
        "- " * 300,
    ],
)
def test_what_is_no_letter_is_none(text):
    assert open_letter(text) is None


def test_no_text_takes_long():
    chance = random.Random(3)
    pieces = [
        "Dear all,\n",
        "Hi ",
        "a: b\n",
        "-- \n",
        "<p",
        "</p>",
        "a.com ",
        "1 2 3 ",
        "Regards\n",
    ]
    texts = [piece * (32_000 // len(piece)) for piece in pieces]
    texts += ["".join(chance.choices(pieces, k=6000))[:32_000] for _ in range(5)]
    for text in [*texts, "Subject: " + "x" * 31_000, "warm " * 6400, "thanks " * 4500]:
        start = time.process_time()
        open_letter(text)
        assert time.process_time() - start < 0.5, text[:40]
