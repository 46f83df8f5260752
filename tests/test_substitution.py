"""Substitution and conditions: what is put in, what is refused, what is bounded."""

import json
import subprocess
import sys
import threading
import time

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from gouache import expressions, handlebars
from gouache.errors import FileNotFound, GouacheError, RequestError
from gouache.substitution import (
    CONTEXT_KEYS,
    MAX_PUT_IN_CHARACTERS,
    check_conditions,
    check_templates,
    conditions_hold,
    is_template,
    substitute,
)

LOGO = "530cabeb-7ce7-57b1-ace3-d3795f4fa5bb"
FILE = {
    "fileuuid": LOGO,
    "filename": "our <logo>.png",
    "originalname": "our <logo>.png",
    "contentType": "image/png",
}
CONTEXT = {
    "stubpost": {
        "message": "Welcome!",
        "attachments": [LOGO, FILE],
        "data": {"voicenote": None},
        "tasks": {"generate_image": {"success": True, "payload": {"image": FILE}}},
    },
    "stub": {
        "stubref": "2024-06-19-XXXX-YRA3",
        "data": {
            "customer_name": "Ann & <b>Bob</b>",
            "age": 41,
            "share": 0.5,
            "member": True,
            "pets": [{"type": "cat"}, {"type": "dog", "name": "Rex"}],
            "none": [],
            "first name": "Ann",
            "a.b": "dotted",
            "]odd": "bracketed",
            "größe": "tall",
            "constructor": "a key like any other",
            "12": "twelve",
        },
    },
    "template": {"data": {"prompts": {"system": "Draw for {{stub.data.customer_name}}."}}},
}

quietly = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""Whoever shares the machine, the examples are what is tested."""

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip
braces = st.lists(
    st.sampled_from(
        ["~~", "{", "}", "{{", "}}", "{{{{skip}}}}", "{{{{/skip}}}}", "{{#substitute}}", "#", "/"]
        + ["{{/substitute}}", "{{stub.data.x}}", "~~stub", "~~#jsonata#(1)", "<", "&", " ", "x"]
    )
).map("".join)
"""Texts that look like templates, whole and broken."""


def put(value, context=CONTEXT, **more):
    return substitute(value, context, file_url=address, **more)


def address(fileuuid):
    return f"https://pictures.example/files/{fileuuid}?expires=1&signature=2"


def refusal(call, *arguments, **more):
    with pytest.raises(RequestError) as caught:
        call(*arguments, **more)
    return caught.value


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("stub.stubref", "2024-06-19-XXXX-YRA3"),
        ("stub.data.age", 41),
        ("stub.data.share", 0.5),
        ("stub.data.member", True),
        ("stub.data.none", []),
        ("stub.data.pets[1].type", "dog"),
        ("stub.data.pets.1.type", "dog"),
        ("stub.data.pets[0]", {"type": "cat"}),
        ("stubpost.tasks.generate_image.payload.image", FILE),
        ("stubpost.data.voicenote", None),
        ('stub.data["first name"]', "Ann"),
        ("stub.data['a.b']", "dotted"),
        ("stub.data.[first name]", "Ann"),
        ('stub.data["]odd"]', "bracketed"),
        ("stub.data.größe", "tall"),
        ("stub.data.constructor", "a key like any other"),
        ("stub.data[12]", "twelve"),
        (" stub.data.age ", 41),
    ],
)
def test_a_reference_keeps_the_type_of_its_value(path, value):
    (found,) = put([f"~~{path}"])
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("stub.data.age + 1", 42),
        ("stub.data.pets.type", ["cat", "dog"]),
        ("stub.data.pets[type = 'dog'].name", "Rex"),
        ("stub.data.none", []),
        ("null", None),
        ("stubpost.data.voicenote", None),
        ("{'a': [1..3], 'b': stubpost.data.voicenote}", {"a": [1, 2, 3], "b": None}),
        ('$join($map(stub.data.pets, function($p) { "a " & $p.type }), ", ")', "a cat, a dog"),
        ("stub.data.age", 41),
        ("(\n  $n := stub.data.age;\n  $n > 40 ? 'old' : 'young'\n)", "old"),
    ],
)
def test_an_expression_gives_a_value_with_its_type(expression, value):
    assert put({"prompt": f"~~#jsonata#( {expression} )"}) == {"prompt": value}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello {{stub.data.pets[1].name}}!", "Hello Rex!"),
        ("{{ stub.data.age }} {{{stub.data.member}}} {{stub.data.share}}", "41 true 0.5"),
        ("no{{stubpost.data.voicenote}}thing", "nothing"),
        ("{{stub.data.pets}}", '[{"type": "cat"}, {"type": "dog", "name": "Rex"}]'),
        ("{{stub.data.[first name]}}", "Ann"),
        ("{{stub.data.customer_name}}", "Ann & <b>Bob</b>"),
        ("a{{! a comment }}b{{!-- with {{tags}} --}}c", "abc"),
        ("{{{{skip}}}}Hello {{name}} {{{{/skip}}}}.", "Hello {{name}} ."),
        ("{{{{skip}}}}~~{{{{/skip}}}}old~~", "~~old~~"),
        ("{{template.data.prompts.system}}", "Draw for {{stub.data.customer_name}}."),
        (
            "{{#substitute}}{{template.data.prompts.system}}{{/substitute}}",
            "Draw for Ann & <b>Bob</b>.",
        ),
        (
            "{{#substitute}}{{{{skip}}}}{{stub.data.age}}{{{{/skip}}}}{{/substitute}}",
            "41",
        ),
        (
            "{{#substitute}}{{#substitute}}{{template.data.prompts.system}}{{/substitute}}{{/substitute}}",
            "Draw for Ann & <b>Bob</b>.",
        ),
    ],
)
def test_tags_in_a_text_stand_for_text(text, expected):
    assert put(text) == expected


@pytest.mark.parametrize(
    "file", ["stubpost.attachments[0]", "stubpost.attachments[1]", LOGO, f'"{LOGO}"']
)
def test_a_file_has_an_address(file):
    expected = f"See https://pictures.example/files/{LOGO}?expires=1&signature=2"
    assert put(f"See {{{{#file_url {file}}}}}{{{{/file_url}}}}") == expected


def test_a_link_to_a_file_is_html_whatever_the_file_is_called():
    url = f"https://pictures.example/files/{LOGO}?expires=1&amp;signature=2"
    link = "{{#file_link stubpost.attachments[1]}}{{/file_link}}"
    assert put(link) == f'<a href="{url}">our &lt;logo&gt;.png</a>'


def test_in_fields_that_are_html_values_are_escaped():
    text = (
        "<p>{{stub.data.customer_name}}</p>{{{stub.data.customer_name}}}"
        "{{#substitute}}<i>{{template.data.prompts.system}}</i>{{/substitute}}"
    )
    given = {"html": text, "prompt": "{{stub.data.customer_name}}"}
    assert put(given, html_fields=["html"]) == {
        "html": "<p>Ann &amp; &lt;b&gt;Bob&lt;/b&gt;</p>Ann & <b>Bob</b>"
        "<i>Draw for Ann &amp; &lt;b&gt;Bob&lt;/b&gt;.</i>",
        "prompt": "Ann & <b>Bob</b>",
    }


def test_everything_in_params_is_substituted_but_the_names():
    given = {"{{x}}": [{"deep": ["~~stub.data.age", "{{stub.data.age}}", 7, None]}]}
    assert put(given) == {"{{x}}": [{"deep": [41, "41", 7, None]}]}


def test_the_context_is_not_changed_with_the_result():
    result = put({"file": "~~stubpost.attachments[1]"})
    result["file"]["filename"] = "changed"
    assert CONTEXT["stubpost"]["attachments"][1]["filename"] == "our <logo>.png"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "~~stub.data.custmer_name",
            "stub.data.custmer_name is missing; stub.data has customer_name, age, share, member, "
            "pets, none, first name, a.b, ]odd, größe, ...; did you mean customer_name?",
        ),
        ("Hi {{stub.data.pets[2].name}}", "stub.data.pets[2].name is missing; stub.data.pets is a list of 2"),
        ("~~stub.data.pets[0].name", "stub.data.pets[0].name is missing; stub.data.pets[0] has type"),
        ("~~stub.stubref.length", "stub.stubref.length is missing; stub.stubref is text"),
        ("~~stub.data.age.x", "stub.data.age.x is missing; stub.data.age is a number"),
        ("~~stubpost.data.voicenote.url", "stubpost.data.voicenote.url is missing; stubpost.data.voicenote is null"),
        ("~~org.name", "org.name is missing; the context has stubpost, stub, template"),
        ("~~stub.__class__", "stub.__class__ is missing; stub has stubref, data"),
        ("{{stub.data.pets.__len__}}", "stub.data.pets.__len__ is missing; stub.data.pets is a list of 2"),
        ("~~stub.data.pets[99999999999999]", "stub.data.pets[99999999999999] is missing; stub.data.pets is a list of 2"),
        ("~~#jsonata#( stub.data.nme )", "'stub.data.nme' gives nothing; something in it is missing"),
        ("{{#file_url stub.data.pets}}{{/file_url}}", "stub.data.pets is no file object and no fileuuid"),
        ("{{#file_url stub.stubref}}{{/file_url}}", "stub.stubref is no file object and no fileuuid"),
    ],
)  # fmt: skip
def test_what_is_missing_is_named_with_what_is_there(text, sentence):
    error = refusal(put, {"images": [{"prompt": text}]}, inside="tasks.draw.params")
    assert error.param == "tasks.draw.params.images.0.prompt"
    assert error.message == f"{error.param}: {sentence}"
    check_templates(text)  # nothing is wrong with the template


def test_a_file_that_is_gone_is_said_at_the_place_of_its_tag():
    def gone(fileuuid):
        raise FileNotFound(f"there is no file {fileuuid}")

    text = f"{{{{#file_url {LOGO}}}}}{{{{/file_url}}}}"
    with pytest.raises(FileNotFound, match="params.html: there is no file") as caught:
        substitute({"html": text}, {}, file_url=gone)
    assert caught.value.param == "params.html"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("~~", "'' is not a path"),
        ("~~old~~ new", r"\{\{\{\{skip\}\}\}\}~~"),
        ("~~stub..data", "is not a path"),
        ("~~.stub", "is not a path"),
        ("~~[0]", "is not a path"),
        ("~~stub.data[]", "is not a path"),
        ("~~stub.data.first name", "odd keys go into brackets"),
        ("~~name", "name begins with no key of the context; there are stubpost, stub, template"),
        ("{{stubs.data}}", "did you mean stub"),
        ("{{#substitute}}{{else}}{{/substitute}}", "else begins with no key"),
        ("{{#file_url name}}{{/file_url}}", "name begins with no key"),
        ("~~#json#(x)", "there is ~~path and ~~#jsonata#"),
        ("~~#jsonata#", "there is ~~path and ~~#jsonata#"),
        ("~~#jsonata#( stub. )", "'stub.' is refused by JSONata: .*end of expression"),
        ("~~#jsonata#( )", "is refused by JSONata"),
        ("~~#jsonata#( /(/ )", "No terminating /"),
        ("a {{", "'{{' opens a tag and does not close it; .*skip"),
        ("{{a{b}}", "does not close it"),
        ("{{}}", "'' is not a path"),
        ("{{> partial}}", "'> partial' is not a path"),
        ("{{stub.data..}}", "is not a path"),
        ("{{{{skip}}}} no end", "does not close it"),
        ("{{{{/skip}}}}", "does not close it"),
        ("{{{{raw}}}}{{{{/raw}}}}", "there is no raw block 'raw'; there is skip"),
        ("{{#each stub.data.pets}}{{/each}}", "there is no block 'each'; there are substitute"),
        ("{{#}}", "there is no block ''"),
        ("{{#substitute}}", r"\{\{#substitute\}\} has no \{\{/substitute\}\}"),
        ("{{#substitute x}}{{/substitute}}", "takes nothing"),
        ("{{/substitute}}", "closes nothing"),
        ("{{#substitute}}{{/file_url}}", "closes nothing; {{/substitute}} is due first"),
        ("{{#file_url}}{{/file_url}}", "takes a file"),
        ("{{#file_url stub}}text{{/file_url}}", "holds nothing"),
        ("{{#substitute}}" * 11 + "{{/substitute}}" * 11, "nested more than 10 deep"),
    ],
)
def test_a_broken_template_is_refused_by_name_before_anything_runs(text, words):
    with pytest.raises(RequestError, match=words) as caught:
        check_templates({"size": "1024x1024", "prompt": text})
    assert caught.value.param == "params.prompt"


def test_good_templates_pass_the_check():
    check_templates({"a": "~~stub.x", "b": ["{{org.x}}", "~~#jsonata#( stub.x[0] )"], "c": 1})


def test_only_what_would_be_substituted_is_a_template():
    assert not any(map(is_template, [None, 1, "a ~~b", "{x}", {"~~a": "{ {x} }"}, ["1024x1024"]]))
    assert all(map(is_template, ["~~a", "x {{a}}", {"x": ["~~a"]}, ["{{"]]))


@quietly
@given(json_values)
def test_what_holds_no_markers_stays_what_it_is(value):
    assume(not is_template(value))
    assert put(value) is value


@quietly
@given(json_values)
def test_types_are_kept(value):
    found = put({"x": "~~stub.x"}, {"stub": {"x": value}})["x"]
    assert json.dumps(found) == json.dumps(value)


@quietly
@given(st.text() | braces, st.text() | braces)
def test_values_never_change_the_structure_of_a_template(first, second):
    context = {"stub": {"a": first, "b": [second]}}
    text = "1 {{stub.a}} 2 {{{stub.b[0]}}}{{{{skip}}}}{{stub.a}}{{{{/skip}}}} 3"
    assert put(text, context) == f"1 {first} 2 {second}{{{{stub.a}}}} 3"
    assert put(["~~stub.b"], context) == [[second]]


@quietly
@given(st.text() | braces)
def test_values_never_change_the_structure_of_html(text):
    (found,) = put(["<b>{{stub.x}}</b>"], {"stub": {"x": text}}, html_fields=["0"])
    assert not set("<>\"'") & set(found.removeprefix("<b>").removesuffix("</b>"))


@quietly
@given(braces)
def test_any_text_is_substituted_or_refused(text):
    try:
        check_templates(text)
    except RequestError:
        return
    context = dict.fromkeys(CONTEXT_KEYS, {"data": {"x": 1}})
    assert isinstance(put([text], context), list)


@settings(quietly, max_examples=5)
@given(st.text(st.characters(codec="utf-8", exclude_characters="\0")) | braces)
def test_values_are_no_source_to_an_expression_either(text):
    context = {"stub": {"x": text}}
    assert put('~~#jsonata#( "<" & stub.x & ">" )', context) == f"<{text}>"


# Limits


def test_no_more_is_put_in_than_there_is_room_for():
    context = {"stub": {"x": "x" * (MAX_PUT_IN_CHARACTERS - 2), "big": "x" * 10_000_000}}
    assert len(put("~~stub.x", context)) == MAX_PUT_IN_CHARACTERS - 2
    for text in ("~~stub.big", "{{stub.big}}", "{{stub}}", "{{stub.x}}---"):
        error = refusal(put, {"prompt": text}, context)
        assert error.message == "params.prompt: more than 1,048,576 characters are put in"
    refusal(put, ["~~stub.x", "~~stub.x"], context)


def test_an_expression_gives_no_more_than_there_is_room_for():
    error = refusal(put, '~~#jsonata#( $pad("x", 2000000) )')
    assert error.message.endswith("gives more than 1,048,576 characters")


def test_substitute_may_not_lead_to_itself():
    text = "{{#substitute}}{{stub.x}}{{/substitute}}"
    error = refusal(put, {"prompt": text}, {"stub": {"x": text}})
    assert error.param == "params.prompt"
    assert "more than 10 times; does it lead to itself?" in error.message


def test_substitute_may_not_grow_without_end():
    """Each text leads to a thousand of the next, so that all together would be 10**24."""
    context = {"stub": {"x8": "the end"}}
    for n in range(8):
        context["stub"][f"x{n}"] = (
            f"{{{{#substitute}}}}{{{{stub.x{n + 1}}}}}{{{{/substitute}}}}" * 1000
        )
    started = time.monotonic()
    error = refusal(put, "{{#substitute}}{{stub.x0}}{{/substitute}}", context)
    assert "more than 1,048,576 characters are put in" in error.message
    assert time.monotonic() - started < 10


@pytest.mark.parametrize(
    "text", ["{{" * 500_000, "{{{{skip}}}}" * 80_000, "{{#substitute}}" * 60_000]
)
def test_reading_a_large_broken_text_takes_no_time(text):
    started = time.monotonic()
    refusal(handlebars.parse, text)
    assert time.monotonic() - started < 2


def test_what_is_nested_without_end_is_refused():
    cycle = []
    cycle.append(cycle)
    deep = json.loads("[" * 90 + "1" + "]" * 90)
    very_deep = json.loads("[" * 900 + "1" + "]" * 900)
    assert "nested more than 100 deep" in refusal(put, {"x": cycle}).message
    for value in (cycle, very_deep):
        assert "nested" in refusal(put, ["~~stub"], {"stub": value}).message
        assert "nested" in refusal(put, "~~#jsonata#( stub )", {"stub": value}).message
    assert (
        "nested more than 100 deep"
        in refusal(put, {"x": [["~~stub"]] * 3}, {"stub": [[[[[[[[[deep]]]]]]]]]}).message
    )
    assert put(["~~stub"], {"stub": deep}) == [deep]


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("($f := function() { $f() }; $f())", "takes longer than 1 s; does it loop"),
        ('$match("' + "a" * 40 + '!", /^(a+)+$/)', "takes longer than 1 s; .*bad pattern"),
        ("$reduce([1..1000000], $append)", "takes longer than 1 s|too much memory"),
        ("($f := function($n) { 1 + $f($n) }; $f(1))", "JSONata: Stack overflow"),
        ('$pad("x", 2000000000)', "needs too much memory"),
        ('$reduce([1..60], function($a, $b) { $a & $a }, "xxxxxxxxxx")', "memory|takes longer"),
        ("(" * 4000 + "1" + ")" * 4000, "is nested too deep"),
        ("[1..100000000]", "JSONata"),
        ("1 / 0", "cannot be evaluated: .*zero"),
        ("function($x) { $x }", "it gives a function"),
        ('"' + "x" * 10_000 + '"', "is longer than 10,000 characters"),
        ("$unknown(1)", "Attempted to invoke a non-function"),
    ],
)
def test_an_expression_that_takes_too_much_ends(expression, words, monkeypatch):
    monkeypatch.setattr(expressions, "PROCESSOR_SECONDS", 1)
    with pytest.raises(RequestError, match=words) as caught:
        put({"a": "~~#jsonata#( 1 )", "b": f"~~#jsonata#( {expression} )"})
    assert caught.value.param == "params.b"


def test_where_nothing_bounds_the_processor_time_the_clock_does(monkeypatch):
    monkeypatch.setattr(expressions, "PROCESSOR_SECONDS", 600)
    monkeypatch.setattr(expressions, "WALL_SECONDS", 1.0)
    with pytest.raises(RequestError, match=r"conditions.1: .* takes longer than"):
        conditions_hold(["true", "($f := function() { $f() }; $f())"], {})


def test_too_large_a_context_is_not_read():
    context = {"stub": {"x": "x" * expressions.MAX_CONTEXT_CHARACTERS}}
    with pytest.raises(RequestError, match="more than 16,777,216 characters to read"):
        conditions_hold(["true"], context)


def test_ten_megabytes_are_read_by_an_expression():
    context = {"stub": {"x": "x" * 10_000_000}}
    assert conditions_hold(["$length(stub.x) = 10000000"], context) == (True, None)


def test_the_process_that_serves_does_not_load_the_library():
    code = (
        "import sys; from gouache.substitution import conditions_hold; "
        "before = sys.getrecursionlimit(); assert conditions_hold(['1 = 1'], {}) == (True, None); "
        "assert 'jsonata' not in sys.modules and sys.getrecursionlimit() == before"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_it_is_said_when_no_process_can_be_started(monkeypatch, tmp_path):
    monkeypatch.setattr(expressions, "_EVALUATOR", tmp_path / "nothing.py")
    with pytest.raises(GouacheError, match="no expression can be evaluated here: .*nothing.py"):
        conditions_hold(["true"], {})


def test_expressions_of_many_threads_do_not_meet():
    found = {}

    def judge(n):
        found[n] = put("~~#jsonata#( stub.x * 2 )", {"stub": {"x": n}})

    threads = [threading.Thread(target=judge, args=[n]) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {0: 0, 1: 2, 2: 4, 3: 6}


# Conditions


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ([], (True, None)),
        (["stubpost.tasks.generate_image.success = true"], (True, None)),
        (["stub.data.age > 40", "$exists(stub.data.pets)", "stub.data.member"], (True, None)),
        (["stub.data.age > 40", "stub.data.age > 41", "false"], (False, 1)),
        (["stub.data.channel = 'email'"], (False, 0)),
        (["stub.data.channel"], (False, 0)),
        (["stub.data.channel > 3"], (False, 0)),
        (["stubpost.data.voicenote"], (False, 0)),
        (["stub.data.none"], (False, 0)),
        (["stub.data.age"], (True, None)),
        (['stub.data.pets[type = "dog"].name = "Rex"'], (True, None)),
    ],
)
def test_all_conditions_must_hold(conditions, expected):
    assert conditions_hold(conditions, CONTEXT) == expected


@pytest.mark.parametrize(
    ("conditions", "param", "words"),
    [
        ("true", "conditions", "conditions must be a list of JSONata expressions"),
        ({"a": 1}, "conditions", "must be a list"),
        (["true", 7], "conditions.1", "conditions.1 must be text"),
        (["true", "stub.data. ="], "conditions.1", "'stub.data. =' is refused by JSONata"),
        ([""], "conditions.0", "'' is refused by JSONata"),
        (["true"] * 101, "conditions.100", "there may be 100 expressions"),
        (["true", "x" * 10_001], "conditions.1", "is longer than 10,000 characters"),
    ],
)
def test_bad_conditions_are_refused_by_name_before_anything_runs(conditions, param, words):
    for call in (check_conditions, lambda given: conditions_hold(given, CONTEXT)):
        with pytest.raises(RequestError, match=words) as caught:
            call(conditions)
        assert caught.value.param == param


def test_a_condition_that_cannot_be_evaluated_is_named():
    given = ["true", 'stub.data.pets > "a"']
    check_conditions(given)
    error = refusal(conditions_hold, given, CONTEXT, inside="tasks.draw.conditions")
    assert error.param == "tasks.draw.conditions.1"
    assert 'stub.data.pets > "a"' in error.message
