"""The gallery: 500 pictures, newest first, searched, scrolled through in a real browser."""

import re
from html import unescape

import pytest
from playwright.sync_api import expect

from tests.browser import PHONE, findings, overflow
from tests.seeding import prompt, seed_pictures
from tests.served import served

COUNT = 500
STUBREF = "2026-11-24-PICT-0001"
BROKEN = "[...document.images].filter(image => image.complete && !image.naturalWidth).length"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with served(tmp_path_factory.mktemp("gallery"), start=False) as server:
        seed_pictures(server.service, COUNT - 5)
        with server.client() as client:
            assert client.post("/stubs", json={"stubref": STUBREF}).status_code == 201
        seed_pictures(server.service, 5, stubref=STUBREF)
        yield server


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    with served(tmp_path_factory.mktemp("empty"), start=False) as server:
        yield server


def read(server, **query):
    with server.client() as client:
        response = client.get("/ui/gallery", params=query)
    return response.status_code, response.text


def prompts(text):
    return [unescape(found) for found in re.findall(r'<p class="prompt">(.*?)</p>', text)]


def test_the_newest_pictures_come_first(server):
    status, text = read(server)
    assert status == 200
    assert prompts(text)[:6] == [prompt(n) for n in (4, 3, 2, 1, 0, COUNT - 6)]


def test_without_script_links_lead_to_every_picture(server):
    found, address = [], "/ui/gallery"
    with server.client() as client:
        while address:
            text = client.get(address).text
            found += prompts(text)
            more = re.search(r'<a href="([^"]+)"[^>]*>More pictures', text)
            address = more and unescape(more[1])
    assert len(found) == COUNT


def test_a_picture_has_words_a_shape_and_leads_to_its_task(server):
    text = read(server, q="number 494")[1]
    (task,) = server.service.pictures(search="number 494").items
    picture = f'alt="{prompt(494)}." width="1792" height="1024" loading="lazy"'
    assert picture in text.replace("\n", " ")
    assert f'href="/ui/tasks/{task.taskuuid}"' in text
    assert f'/files/{task.file.fileuuid}?h=320&amp;format=webp"' in text


def test_a_picture_on_a_stub_leads_there(server):
    text = read(server, q=STUBREF)[1]
    assert len(prompts(text)) == 5
    assert text.count(f'<a href="/ui/stubs/{STUBREF}">') == 5


def test_every_word_of_a_search_must_be_said_in_any_case(server):
    found = prompts(read(server, q=" MOON  gold ")[1])
    assert len(found) >= 20
    assert all("gold moon" in one for one in found)


def test_a_search_that_finds_nothing_says_so(server):
    status, text = read(server, q='<b>"100%_')
    assert status == 200
    assert "No picture matches “&lt;b&gt;&#34;100%_”" in text
    assert "<b>" not in text


def test_words_that_are_too_many_are_named(server):
    text = read(server, q="a a a a a a a a a a zebra owl")[1]
    assert "“zebra owl”" in text
    assert prompts(text)


@pytest.mark.parametrize(
    "query", [{"q": "a\0b"}, {"q": "x" * 201}, {"after": "x"}, {"after": "-1"}]
)
def test_what_cannot_be_searched_for_is_refused(server, query):
    status, text = read(server, **query)
    assert status == 400
    assert "Traceback" not in text


def test_after_the_last_picture_there_are_no_more(server):
    assert "There are no more pictures" in read(server, after="1")[1]


def test_an_empty_gallery_leads_to_the_first_picture(empty):
    status, text = read(empty)
    assert status == 200
    assert "There are no pictures yet" in text
    assert '<a href="/ui">Draw the first one</a>' in text


def test_whoever_scrolls_quickly_sees_every_picture(server, visit):
    pages = [visit(f"{server.url}/ui/gallery") for _ in range(2)]
    while any(page.locator(".more").count() for page in pages):
        for page in pages:
            page.mouse.wheel(0, 4000)
            page.evaluate("() => new Promise(requestAnimationFrame)")
    for page in pages:
        images = page.locator(".gallery img")
        expect(images).to_have_count(COUNT)
        for image in (images.first, images.nth(COUNT // 2), images.last):
            image.scroll_into_view_if_needed()
            expect(image).to_have_js_property("complete", True, timeout=60_000)
        assert page.evaluate(BROKEN) == 0


def test_pictures_that_arrive_move_nothing(server, visit):
    page = visit("about:blank")
    page.add_init_script(
        "window.moved = 0; new PerformanceObserver(list => { for (const entry of list.getEntries())"
        " window.moved += entry.value }).observe({type: 'layout-shift', buffered: true})"
    )
    page.goto(f"{server.url}/ui/gallery")
    page.wait_for_load_state("networkidle")
    assert page.evaluate("moved") < 0.02


def test_the_keyboard_searches_and_opens_a_picture(server, visit):
    page = visit(f"{server.url}/ui/gallery")
    page.get_by_role("searchbox").focus()
    page.keyboard.type("number 321")
    page.keyboard.press("Enter")
    page.wait_for_url("**q=number+321")
    picture = page.get_by_role("link", name=prompt(321))
    expect(picture).to_have_count(1)
    for _ in range(20):
        page.keyboard.press("Tab")
        if picture.evaluate("element => element === document.activeElement"):
            break
    expect(picture).to_be_focused()


def test_further_pictures_come_where_the_keyboard_is(server, visit):
    page = visit(f"{server.url}/ui/gallery", viewport={"width": 1100, "height": 400})
    page.locator(".gallery li:nth-child(30) a").first.focus()
    expect(page.locator(".gallery img")).not_to_have_count(
        30
    )  # they came before their place is seen
    page.keyboard.press("Tab")
    expect(page.locator(".gallery li:nth-child(31) a").first).to_be_focused()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_anybody_can_use_the_gallery(server, empty, visit, scheme):
    for address in (f"{server.url}/ui/gallery?q=moon", f"{empty.url}/ui/gallery"):
        page = visit(address, color_scheme=scheme, viewport=PHONE)
        page.wait_for_load_state("networkidle")
        assert findings(page) == []
        for width in (PHONE["width"], 320):
            page.set_viewport_size({"width": width, "height": 600})
            assert overflow(page) <= 0


def test_pages_are_sent_compressed_and_files_as_they_are(server):
    picture = server.service.pictures(limit=1).items[0]
    with server.client(headers={"Accept-Encoding": "gzip"}) as client:
        page = client.get("/ui/gallery")
        assert page.headers["content-encoding"] == "gzip"
        assert int(page.headers["content-length"]) < len(page.content) / 3
        for path in (f"/files/{picture.file.fileuuid}", "/openapi.json", "/health"):
            assert "content-encoding" not in client.get(path).headers
    with server.client(headers={"Accept-Encoding": "identity"}) as client:
        assert client.get("/ui/gallery").text == page.text
