"""The page with pictures of the shipped model; with GOUACHE_SCREENSHOTS set, docs/images/page-*.jpg."""

import os
import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser import PHONE
from tests.served import served, until

pytestmark = pytest.mark.embedded

IMAGES = Path(__file__).parents[1] / "docs" / "images"
WANTED = bool(os.environ.get("GOUACHE_SCREENSHOTS"))
STUBREF = "2026-11-24-ADA0-2026"
DRAWN = (
    ("A white cat sitting on a red sports car.", "1024x1024"),
    ("A lighthouse on a cliff, 3D style", "1024x1792"),
    ("A logo for a bakery named Crumb", "1024x1024"),
    ("A banner for a spring sale with tulips", "1792x1024"),
    ("A fox reading a book", "1024x1024"),
    ("A rocket flying to the moon at night", "1024x1792"),
    ("A blue bicycle beside a house", "1792x1024"),
    ("Three red balloons over a green hill", "1024x1024"),
    ("An owl with glasses", "1024x1024"),
)


def taken(page, name):
    """Keep what the window shows, where screenshots are wanted."""
    if WANTED:
        page.evaluate("document.activeElement.blur()")
        page.wait_for_load_state("load")
        page.screenshot(path=IMAGES / f"page-{name}.jpg", type="jpeg", quality=72)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server with a stub of a new user, and some pictures."""
    with served(tmp_path_factory.mktemp("pictures"), engine="embedded") as server:
        with server.client() as client:
            drawn = DRAWN if WANTED else DRAWN[:2]
            for seed, (prompt, size) in enumerate(drawn):
                params = {"prompt": prompt, "size": size, "seed": seed}
                task = {"tasktype": "generate_image", "params": params}
                assert client.post("/tasks", json=task).status_code == 202
            stub = {"stubref": STUBREF, "state": "welcome", "data": {"user": {"name": "Ada"}}}
            client.post("/stubs", json=stub)
            post = {
                "action": "sign_up",
                "message": "Ada signed up",
                "tasks": {"welcome": {"params": {"prompt": "A card with a cake and a balloon"}}},
            }
            post["tasks"]["welcome"]["tasktype"] = "generate_image"
            assert client.post(f"/stubs/{STUBREF}/stubposts", json=post).status_code == 201
        until(lambda: not {"queued"} & server.service.task_counts().keys(), 240)
        assert server.service.task_counts() == {"succeeded": len(drawn) + 1}
        yield server


def loaded(page):
    """Wait until every picture in the window is there."""
    arrived = (
        "[...document.images].every(image => image.complete"
        " || image.getBoundingClientRect().top > innerHeight)"
    )
    until(lambda: page.evaluate(arrived), 60)  # the page's policy forbids Playwright's own waiting


def test_a_picture_appears_as_it_is_drawn(server, visit):
    page = visit(f"{server.url}/ui/stubs/{STUBREF}")
    page.get_by_label("What should the picture show?").fill("A yellow sailing boat on the sea")
    page.get_by_label("Quality").select_option(label="HD, takes longer")
    page.get_by_role("button", name="Draw it").click()
    card = page.get_by_role("article").filter(has_text="A yellow sailing boat")
    preview = card.get_by_role("img", name="The picture so far, not finished")
    expect(preview).to_be_visible(timeout=60_000)
    card.scroll_into_view_if_needed()
    taken(page, "drawing")
    picture = card.get_by_role("img", name=re.compile("sailing boat|yellow"))
    expect(picture).to_be_visible(timeout=60_000)
    expect(page.locator(".message").filter(has_text="A yellow sailing boat")).to_be_visible()
    page.goto(f"{server.url}/ui/stubs/{STUBREF}")
    loaded(page)
    taken(page, "stub")


def test_the_first_page_and_the_gallery_show_the_pictures(server, visit):
    page = visit(f"{server.url}/ui")
    loaded(page)
    expect(page.get_by_role("link", name=STUBREF)).to_be_visible()
    page.get_by_label("What should the picture show?").fill("A red bicycle in front of a house")
    taken(page, "home")
    page.goto(f"{server.url}/ui/gallery")
    loaded(page)
    expect(page.get_by_role("img", name=re.compile("white cat"))).to_be_visible()
    taken(page, "gallery")


def test_the_gallery_in_the_dark_on_a_phone(server, visit):
    page = visit(
        f"{server.url}/ui/gallery", viewport=PHONE, color_scheme="dark", device_scale_factor=1.5
    )
    loaded(page)
    expect(page.get_by_role("img", name=re.compile("white cat"))).to_have_count(1)
    taken(page, "phone")
