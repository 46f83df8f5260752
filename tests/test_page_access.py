"""The page for everybody: without script, by keyboard, read aloud, in the dark, on a phone, with a key."""

import re
import time

import pytest
from playwright.sync_api import expect

from tests.browser import PHONE, findings, overflow
from tests.served import served, until

KEY = "a-key-of-more-than-16-letters"
STUBREF = "2026-11-24-PAGE-0001"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with served(tmp_path_factory.mktemp("access")) as server:
        yield server


@pytest.fixture(scope="module")
def locked(tmp_path_factory):
    with served(tmp_path_factory.mktemp("locked"), start=False, api_key=KEY) as locked:
        yield locked


def draw(server, prompt, *, stubref=None, **params):
    """Hand in a task; return its UUID."""
    task = {"tasktype": "generate_image", "params": {"prompt": prompt} | params}
    with server.client() as client:
        if stubref is None:
            return client.post("/tasks", json=task).json()["taskuuid"]
        client.post("/stubs", json={"stubref": stubref, "data": {"user": {"name": "Ada"}}})
        post = {"action": "sign_up", "message": "Ada signed up", "tasks": {"welcome": task}}
        return client.post(f"/stubs/{stubref}/stubposts", json=post).json()["tasks"]["welcome"][
            "taskuuid"
        ]


@pytest.fixture(scope="module")
def drawn(server):
    """Tasks of every kind; return the addresses of pages that show them."""
    alone = draw(server, "A white cat, alone")
    refused = draw(server, "A refused picture", model="fake-refusing", stubref=STUBREF)
    welcome = draw(server, "A card for Ada", stubref=STUBREF)
    for taskuuid in (alone, refused, welcome):
        until(lambda taskuuid=taskuuid: server.service.task(taskuuid).ended, 60)
    return {
        "first page": "/ui",
        "stub": f"/ui/stubs/{STUBREF}",
        "task": f"/ui/tasks/{alone}",
        "failed task": f"/ui/tasks/{refused}",
        "gallery": "/ui/gallery",
        "search that finds nothing": "/ui/gallery?q=zebra",
        "nothing": "/ui/tasks/530cabeb-7ce7-57b1-ace3-d3795f4fa5bb",
    }


def test_without_script_the_whole_way_can_be_gone(server, visit):
    visit.expects("status of 400")
    page = visit(f"{server.url}/ui", java_script_enabled=False)
    page.get_by_label("What should the picture show?").fill("A lantern")
    page.get_by_text("More choices").click()
    page.get_by_label("Seed").fill("-1")
    page.get_by_label("Stub", exact=True).select_option(label="A new stub")
    page.get_by_role("button", name="Draw it").click()
    expect(page.get_by_label("Seed")).to_have_accessible_description(re.compile("must be"))
    expect(page.get_by_label("What should the picture show?")).to_have_value("A lantern")
    page.get_by_label("Seed").fill("5")
    page.get_by_label("Model").select_option(label="fake-slow")
    page.get_by_role("button", name="Draw it").click()
    page.wait_for_url("**/ui/stubs/*")
    card = page.get_by_role("article")
    expect(card.get_by_role("progressbar")).to_be_visible()
    expect(card.get_by_role("img", name="A lantern")).to_be_visible()  # the page loads itself
    card.get_by_role("button", name="Variation").click()
    expect(card).to_have_count(2)
    card.last.get_by_role("button", name="Cancel").click()
    expect(card.last.locator(".state")).to_have_text("Cancelled")
    card.last.get_by_role("button", name="Try again").click()
    expect(card).to_have_count(3)
    page.get_by_role("link", name="Gallery").click()
    page.get_by_role("searchbox").fill("lantern")
    page.get_by_role("button", name="Search").click()
    page.get_by_role("link", name="A lantern").first.click()
    page.wait_for_url("**/ui/tasks/*")
    expect(page.get_by_label("Request as a curl command")).to_contain_text("curl --json")


def test_the_keyboard_alone_draws_and_cancels(server, visit):
    page = visit(f"{server.url}/ui")

    def press(key, until_focused):
        for _ in range(40):
            page.keyboard.press(key)
            if until_focused.evaluate("element => element === document.activeElement"):
                return
        expect(until_focused).to_be_focused()

    press("Tab", page.get_by_role("link", name="Skip to the content"))
    page.keyboard.press("Enter")
    press("Tab", page.get_by_label("What should the picture show?"))
    page.keyboard.type("A quiet harbour")
    press("Tab", page.get_by_label("Quality"))
    page.keyboard.press("ArrowDown")
    press("Tab", page.get_by_label("Model"))
    page.keyboard.type("fake-slow")
    press("Tab", page.get_by_role("button", name="Draw it"))
    page.keyboard.press("Enter")
    page.wait_for_url("**/ui/tasks/*")
    press("Tab", page.get_by_role("button", name="Cancel"))
    page.keyboard.press("Enter")
    expect(page.locator(".state")).to_have_text("Cancelled")
    focus = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert focus, "what has the focus is seen"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_on_any_page_keeps_anybody_out(server, locked, drawn, visit, scheme):
    visit.expects("status of 404")
    addresses = [server.url + path for path in drawn.values()] + [f"{locked.url}/ui/login"]
    page = visit("about:blank", color_scheme=scheme, viewport=PHONE, reduced_motion="reduce")
    for address in addresses:
        page.goto(address)
        for details in page.locator("details > summary").all():
            details.click()
        assert findings(page) == [], address
        for width in (PHONE["width"], 320):
            page.set_viewport_size({"width": width, "height": PHONE["height"]})
            assert overflow(page) <= 0, f"{address} at {width}"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_on_a_page_in_the_making_keeps_anybody_out(server, visit, scheme):
    visit.expects("status of 400")
    taskuuid = draw(server, f"Slow in the {scheme}", model="fake-slow", quality="hd")
    page = visit("about:blank", color_scheme=scheme, reduced_motion="reduce")
    page.goto(f"{server.url}/ui/tasks/{taskuuid}")
    expect(page.get_by_role("img", name="The picture so far")).to_be_visible()
    assert findings(page) == []
    page.get_by_role("button", name="Cancel").click()
    page.goto(f"{server.url}/ui")
    page.get_by_label("What should the picture show?").fill("x")
    page.get_by_text("More choices").click()
    page.get_by_label("Seed").fill("x")
    page.get_by_role("button", name="Draw it").click()
    expect(page.get_by_label("Seed")).to_have_attribute("aria-invalid", "true")
    assert findings(page) == []


@pytest.mark.parametrize("late", ["htmx.min.js", "hx-sse.min.js", "page.js"])
def test_a_script_that_comes_late_keeps_no_page_from_changing(server, visit, late):
    page = visit("about:blank")
    page.route(f"**/{late}", lambda route: (time.sleep(0.4), route.continue_()))
    taskuuid = draw(server, f"Slow, with {late} late", model="fake-slow", quality="hd")
    page.goto(f"{server.url}/ui/tasks/{taskuuid}")
    expect(page.get_by_role("img", name="The picture so far")).to_be_visible()


def test_every_picture_has_words(server, drawn, visit):
    visit.expects("status of 404")
    page = visit("about:blank")
    for path in drawn.values():
        page.goto(server.url + path)
        assert page.locator("main img:not([alt]), main img[alt='']").count() == 0, path


def test_a_long_word_makes_no_page_wider(server, visit):
    taskuuid = draw(server, "W" * 3000 + " " + "<b>&amp;" * 50)
    until(lambda: server.service.task(taskuuid).ended, 60)
    page = visit("about:blank", viewport=PHONE)
    for path in ("/ui", f"/ui/tasks/{taskuuid}", "/ui/gallery"):
        page.goto(server.url + path)
        assert overflow(page) <= 0, path


def test_with_a_key_one_logs_in_once(locked, visit):
    visit.expects("status of 401")
    page = visit(f"{locked.url}/ui/gallery?q=cat")
    page.get_by_label("API key").fill("a-wrong-key-of-16-letters")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert").filter(has_text="This is not the key")).to_be_visible()
    expect(page.get_by_label("API key")).to_be_focused()
    page.get_by_label("API key").fill(KEY)
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{locked.url}/ui/gallery?q=cat")
    (cookie,) = page.context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Lax")
    assert KEY not in cookie["value"]
    other = page.context.new_page()
    other.goto(f"{locked.url}/ui")
    expect(other.get_by_role("button", name="Draw it")).to_be_visible()
    other.get_by_role("button", name="Log out").click()
    expect(other.get_by_label("API key")).to_be_visible()
    assert page.context.cookies() == []
    page.goto(f"{locked.url}/ui")
    expect(page.get_by_label("API key")).to_be_visible()


def test_without_the_key_nothing_is_shown_and_nothing_is_done(locked, visit):
    with locked.client() as client:
        for path in ("/ui", "/ui/gallery", f"/ui/stubs/{STUBREF}"):
            answer = client.get(path)
            assert answer.status_code == 303
            assert "/ui/login?next=" in answer.headers["location"]
        form = {"content-type": "application/x-www-form-urlencoded"}
        assert client.post("/ui/tasks", content="prompt=x", headers=form).status_code == 401
    assert locked.service.tasks().items == []
