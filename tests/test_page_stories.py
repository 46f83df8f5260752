"""What people do on the page, each in a real browser with a real server: from a first picture on."""

import json
import re
import signal
import socket
import subprocess

import httpx2
import pytest
from playwright.sync_api import expect

from gouache.contract import BUILT_IN_GATEWAY
from tests.commands import begun
from tests.served import served

QUICK = {
    "taskapigatewayuuid": str(BUILT_IN_GATEWAY),
    "engine": "fake",
    "concurrency": 4,
    "retry_seconds": 0.1,
}
"""The built-in gateway, which tries again at once."""

A_TASK, A_STUB = re.compile(r"/ui/tasks/[0-9a-f-]{36}"), re.compile(r"/ui/stubs/[0-9A-Z-]{20}")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with served(tmp_path_factory.mktemp("stories"), gateways={"quick": QUICK}) as server:
        yield server


def fill(page, prompt, **choices):
    """Fill in the form; choices are labels of its fields, with underscores."""
    page.get_by_label("What should the picture show?").fill(prompt)
    for label, choice in choices.items():
        page.get_by_label(label, exact=True).select_option(label=choice)


def start(page, prompt, **choices):
    fill(page, prompt, **choices)
    page.get_by_role("button", name="Draw it").click()


def on_a_stub(page, server, prompt, **choices):
    """Start a task on a new stub, from the first page; return its card."""
    page.goto(f"{server.url}/ui")
    start(page, prompt, Stub="A new stub", **choices)
    page.wait_for_url(A_STUB)
    return card_of(page, prompt)


def card_of(page, prompt):
    return page.get_by_role("article").filter(has_text=prompt)


def is_shown(image):
    """Expect a picture that has arrived."""
    image.scroll_into_view_if_needed()
    expect(image).to_be_visible()
    expect(image).to_have_js_property("complete", True)
    assert image.evaluate("image => image.naturalWidth") > 0


def tasks(server, prompt):
    return [
        task for task in server.service.tasks(limit=100).items if task.params["prompt"] == prompt
    ]


@pytest.fixture
def own_data_folder(monkeypatch, tmp_path):
    """For a server that is a process: in one of ours, only one service at a time runs tasks."""
    monkeypatch.setenv("GOUACHE_ENGINE", "fake")
    monkeypatch.setenv("GOUACHE_DATA_DIR", str(tmp_path / "data"))


@pytest.mark.usefixtures("own_data_folder")
def test_a_first_picture_comes_from_an_empty_page(tmp_path, visit):
    with begun(tmp_path / "server", "serve", "--port", "0") as server:
        url = server.ready()
        page = visit(url)
        expect(page).to_have_url(f"{url}/ui")
        expect(page.get_by_text("There is no stub yet")).to_be_visible()
        start(page, "A white cat sitting on a red sports car.")
        page.wait_for_url(A_TASK)
        is_shown(page.get_by_role("img", name="A white cat sitting on a red sports car"))
        expect(page.locator(".state")).to_have_text("Done")
        page.get_by_role("link", name="Gallery").click()
        is_shown(page.locator(".gallery img"))
        page.get_by_role("link", name="Draw", exact=True).click()
        expect(page.get_by_role("heading", name="Single pictures")).to_be_visible()
        page.context.close()  # it looks for news every few seconds, and the server is gone soon


def test_a_task_on_a_stub_is_watched_until_its_picture_is_posted(server, visit):
    page = visit("about:blank")
    card = on_a_stub(page, server, "A lighthouse in the fog", Model="fake-slow")
    expect(card.get_by_role("progressbar")).to_be_visible()
    is_shown(card.get_by_role("img", name="The picture so far, not finished"))
    expect(page).to_have_title(re.compile("1 running"))
    is_shown(card.get_by_role("img", name="A lighthouse in the fog"))
    expect(card.locator(".state")).to_have_text("Done")
    post = page.get_by_role("listitem").filter(has_text="The picture is ready: A lighthouse")
    is_shown(post.get_by_role("img", name="A lighthouse in the fog"))
    expect(page.get_by_role("status")).to_contain_text("A lighthouse in the fog")
    expect(page).not_to_have_title(re.compile("running"))


def test_a_task_that_fails_says_why_and_can_be_tried_again(server, visit):
    page = visit("about:blank")
    card = on_a_stub(page, server, "A broken jug", Model="fake-failing")
    expect(card.locator(".state")).to_have_text("Failed")
    expect(card.locator(".error")).to_contain_text("fake-failing is never there; use fake-1")
    expect(card.locator(".error")).to_contain_text("Try again in a while")
    assert tasks(server, "A broken jug")[0].attempts == 3
    card.get_by_role("button", name="Try again").click()
    expect(card).to_have_count(2)
    expect(card.last.locator(".state")).to_have_text("Failed")
    first, second = tasks(server, "A broken jug")
    assert first.taskuuid != second.taskuuid


def test_a_page_that_is_loaded_again_goes_on_where_the_task_is(server, visit):
    page = visit("about:blank")
    card = on_a_stub(page, server, "A slow snail", Model="fake-slow", Quality="HD, takes longer")
    expect(card.get_by_text(re.compile("Step [1-7] of 8"))).to_be_visible()
    page.reload()
    expect(card.get_by_text(re.compile("Step [2-8] of 8"))).to_be_visible()
    is_shown(card.get_by_role("img", name="A slow snail"))
    assert len(tasks(server, "A slow snail")) == 1


def test_two_tabs_see_the_same(server, visit):
    one = visit("about:blank")
    on_a_stub(one, server, "A fox")
    other = one.context.new_page()
    other.goto(one.url.partition("#")[0])
    is_shown(card_of(other, "A fox").get_by_role("img", name="A fox"))
    start(other, "An owl at night", Model="fake-slow", Quality="HD, takes longer")
    expect(card_of(one, "An owl at night").get_by_role("progressbar")).to_be_visible()
    for page in (one, other):
        is_shown(card_of(page, "An owl at night").get_by_role("img", name="An owl at night"))
        expect(page.get_by_role("article")).to_have_count(2)


def test_a_running_task_is_cancelled(server, visit):
    page = visit("about:blank")
    card = on_a_stub(page, server, "A tall tower", Model="fake-slow", Quality="HD, takes longer")
    expect(card.get_by_text(re.compile("Step"))).to_be_visible()
    card.get_by_role("button", name="Cancel").click()
    expect(card.locator(".state")).to_have_text("Cancelled")
    expect(card.get_by_role("progressbar")).to_have_count(0)
    expect(card.get_by_role("button", name="Try again")).to_be_visible()
    assert tasks(server, "A tall tower")[0].state == "cancelled"


def test_a_variation_is_another_picture_of_the_same_words(server, visit):
    page = visit("about:blank")
    card = on_a_stub(page, server, "A red balloon")
    card.get_by_role("button", name="Variation").click()
    expect(card).to_have_count(2)
    is_shown(card.last.get_by_role("img", name="A red balloon"))
    seeds = [task.payload.response.seed for task in tasks(server, "A red balloon")]
    assert len(set(seeds)) == 2


def test_a_picture_is_downloaded_under_its_name(server, visit):
    page = visit("about:blank")
    card = on_a_stub(page, server, "A green apple")
    with page.expect_download() as saved:
        card.get_by_role("link", name="Download PNG").click()
    image = tasks(server, "A green apple")[0].payload.image
    assert saved.value.suggested_filename == image.filename
    content = saved.value.path().read_bytes()
    assert content == server.service.file_path(image.fileuuid).read_bytes()
    with page.expect_download() as smaller:
        card.get_by_role("link", name="WebP").click()
    assert smaller.value.suggested_filename == image.filename.replace(".png", ".webp")


def test_the_copied_json_and_the_copied_command_ask_for_the_same(server, visit):
    page = visit("about:blank")
    prompt = 'A baker\'s shop, "open" & warm, $HOME'
    card = on_a_stub(page, server, prompt)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    card.get_by_text("As JSON or curl").click()

    def copied(name):
        card.get_by_role("button", name=f"Copy {name}").click()
        expect(page.get_by_role("status")).to_have_text("Copied.")
        return page.evaluate("navigator.clipboard.readText()")

    with server.client() as client:
        sent = client.post("/tasks", json=json.loads(copied("Request as JSON")))
    assert sent.status_code == 202, sent.text
    command = copied("Request as a curl command")
    done = subprocess.run(
        ["bash", "-c", f"{command} --silent --fail-with-body"], capture_output=True, timeout=30
    )
    assert done.returncode == 0, done
    taskuuid = json.loads(done.stdout)["taskuuid"]
    same = [task for task in tasks(server, prompt) if task.params["prompt"] == prompt]
    assert len(same) == 3
    assert same[0].taskuuid == taskuuid
    assert same[0].stubref == same[2].stubref
    expect(card).to_have_count(3)


def test_what_is_wrong_is_said_beside_its_field_and_what_was_typed_stays(server, visit):
    visit.expects("status of 400")
    page = visit(f"{server.url}/ui")
    fill(page, "A yellow door", Size="Wide, 1792×1024")
    page.get_by_text("More choices").click()
    page.get_by_label("Seed").fill("often")
    page.get_by_role("button", name="Draw it").click()
    seed = page.get_by_label("Seed")
    expect(seed).to_have_attribute("aria-invalid", "true")
    expect(seed).to_have_accessible_description(re.compile("must be .*integer|whole number"))
    expect(seed).to_have_value("often")
    expect(page.get_by_label("What should the picture show?")).to_have_value("A yellow door")
    expect(page.get_by_label("Size")).to_have_value("1792x1024")
    assert tasks(server, "A yellow door") == []
    seed.fill("7")
    page.get_by_role("button", name="Draw it").click()
    page.wait_for_url(A_TASK)
    assert tasks(server, "A yellow door")[0].params["seed"] == 7


def test_nothing_is_sent_without_words(server, visit):
    page = visit(f"{server.url}/ui")
    page.get_by_role("button", name="Draw it").click()
    expect(page.get_by_label("What should the picture show?")).to_be_focused()
    expect(page).to_have_url(f"{server.url}/ui")


def test_a_double_click_makes_one_task(server, visit):
    page = visit(f"{server.url}/ui")
    fill(page, "A blue kite")
    page.get_by_role("button", name="Draw it").dblclick()
    page.wait_for_url(A_TASK)
    is_shown(page.get_by_role("img", name="A blue kite"))
    page.go_back()
    fill(page, "A blue kite")
    assert len(tasks(server, "A blue kite")) == 1


@pytest.mark.usefixtures("own_data_folder")
def test_after_a_restart_in_the_middle_the_page_goes_on(tmp_path, visit):
    visit.expects("ERR_", "htmx", "fetch", "network error")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
    with begun(tmp_path / "first", "serve", "--port", port) as first:
        url = first.ready()
        page = visit(f"{url}/ui")
        start(page, "A sailing ship", Stub="A new stub", Model="fake-slow")
        page.wait_for_url(A_STUB)
        card = card_of(page, "A sailing ship")
        expect(card.get_by_text(re.compile("Step"))).to_be_visible()
        first.stop(signal.SIGKILL)
    expect(page.get_by_role("alert")).to_contain_text("The connection to the server is lost")
    with begun(tmp_path / "second", "serve", "--port", port) as second:
        second.ready()
        is_shown(card.get_by_role("img", name="A sailing ship"))
        expect(page.get_by_role("alert")).to_be_empty()
        expect(card).to_have_count(1)
        page.context.close()
        found = httpx2.get(f"{url}/tasks", trust_env=False).json()["items"]
        assert [task["state"] for task in found] == ["succeeded"]
