"""What people send from the page: tasks that are started, cancelled and begun once more."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.page_reading import Page
from tests.served import served, until

SCRIPT = {"HX-Request": "true"}
SLOW = "built-in/fake-slow"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with served(tmp_path_factory.mktemp("forms")) as server:
        yield server


@pytest.fixture(scope="module")
def client(server):
    with server.client(headers={"Origin": server.url}) as client:
        yield client


@pytest.fixture
def stubref(client):
    return client.post("/stubs", json={}).json()["stubref"]


def form_of(client, path="/ui", **typed):
    return Page(client.get(path).text).form("/ui/tasks") | typed


def start(client, form, **headers):
    return client.post("/ui/tasks", data=form, headers=headers)


def started(client, form):
    """Return the UUID of the task that a form has started, by where the browser is led."""
    response = start(client, form)
    assert response.status_code == 303, response.text
    there = response.headers["location"]
    return there.partition("#task-")[2] or there.removeprefix("/ui/tasks/").partition("?")[0]


def count(server):
    return sum(server.service.task_counts().values())


def ended(server, taskuuid):
    return until(lambda: (task := server.service.task(taskuuid)).ended and task, 60)


def test_a_single_task_is_started_as_it_was_typed(client, server):
    form = form_of(
        client,
        prompt="A cat,\r\nred",
        size="1024x1792",
        quality="hd",
        model="built-in/fake-1",
        style="cartoon",
        filename="cat",
        seed="7",
    )
    task = ended(server, started(client, form))
    assert task.params == {
        "prompt": "A cat,\nred",
        "size": "1024x1792",
        "quality": "hd",
        "model": "fake-1",
        "style": "cartoon",
        "filename": "cat",
        "seed": 7,
    }
    assert (task.stubref, task.state) == (None, "succeeded")
    page = client.get(f"/ui/tasks/{task.taskuuid}")
    assert Page(page.text).one("title").text == "Done: A cat, red · Gouache"


def test_a_task_is_started_on_a_new_stub_or_on_one_there_is(client, server, stubref):
    task = ended(server, started(client, form_of(client, prompt="x", stub="new")))
    assert task.stubref not in (None, stubref)
    actions = [post.action for post in server.service.stub(task.stubref).stubposts]
    assert actions == ["draw", "_update_from_generate_image"]
    task = ended(server, started(client, form_of(client, prompt="x", stub=stubref)))
    assert task.stubref == stubref


def test_the_picture_is_not_posted_where_that_is_not_wanted(client, server, stubref):
    form = form_of(client, f"/ui/stubs/{stubref}", prompt="x")
    assert form["fixed"] == stubref and form.pop("post") == "yes"
    task = ended(server, started(client, form))
    assert task.params["disable_model_response"] is True
    assert [post.action for post in server.service.stub(stubref).stubposts] == ["draw"]


def test_the_same_form_sent_twice_makes_one_task(client, server, stubref):
    for form in (
        form_of(client, prompt="once"),
        form_of(client, prompt="once", stub="new"),
        form_of(client, f"/ui/stubs/{stubref}", prompt="once"),
    ):
        before = count(server)
        with ThreadPoolExecutor(4) as pool:
            found = set(pool.map(lambda _, form=form: started(client, form), range(4)))
        assert len(found) == 1
        assert count(server) == before + 1
        assert started(client, form) in found


def test_a_form_that_was_changed_and_sent_again_makes_another_task(client):
    form = form_of(client, prompt="one")
    assert started(client, form) != started(client, form | {"prompt": "two"})


def test_a_form_without_its_key_is_refused(client, server):
    before = count(server)
    for key in ("", "short", "x" * 65, "not a key of ours!"):
        response = start(client, form_of(client, prompt="x", key=key))
        assert response.status_code == 400
        assert "load the page again" in response.text
    assert start(client, {}).status_code == 400
    assert count(server) == before


@pytest.mark.parametrize(
    ("name", "typed", "sentence"),
    [
        ("prompt", "", "prompt is required"),
        ("prompt", "x" * 32_001, "prompt must be 1 to 32,000 characters"),
        ("size", "9x9", "size must be"),
        ("quality", "best", "quality must be"),
        ("model", "built-in/", "choose one of the models"),
        ("model", "nowhere/fake-1", "choose one of the models"),
        ("model", "built-in/no-such", "is not supported by this engine"),
        ("style", "baroque", "is not supported by this engine"),
        ("seed", "seven", "seed must be"),
        ("seed", "-1", "seed must be"),
        ("seed", "9" * 30, "seed must be"),
        ("filename", "x" * 1001, "filename must be 1 to 1,000 characters"),
        ("stub", "2026-11-24-AAAA-0000", "there is no stub"),
        ("stub", "nonsense", "there is no stub"),
    ],
)
def test_what_cannot_be_used_is_said_beside_its_field_and_nothing_is_lost(
    client, server, name, typed, sentence
):
    before = count(server)
    form = form_of(client, prompt="A cat", filename="kept", seed="5", quality="hd")
    form |= {name: typed}
    for headers in ({}, SCRIPT):
        response = start(client, form, **headers)
        assert response.status_code in (400, 404, 422)
        page = Page(response.text)
        wrong = page.one("p", id=f"start-{name}-wrong")
        assert sentence in wrong.text
        field = next(one for one in page.elements if one.get("id") == f"start-{name}")
        assert field["aria-invalid"] == "true" and "autofocus" in field.attributes
        assert wrong["id"] in field["aria-describedby"].split()
        again = page.form("/ui/tasks")
        kept = [other for other in ("key", "prompt", "filename", "seed") if other != name]
        assert {other: again[other] for other in kept} == {other: form[other] for other in kept}
        assert again["quality"] == ("standard" if name == "quality" else "hd")
        assert page.all("html") == [] if headers else page.one("title").text.startswith("Not st")
        if name in ("seed", "filename", "style"):
            assert "open" in next(one for one in page.all("details") if one.inside).attributes
    assert count(server) == before


def test_a_wrong_form_makes_no_stub(client, server):
    before = len(server.service.stubs(limit=100).items)
    start(client, form_of(client, prompt="", stub="new"))
    assert len(server.service.stubs(limit=100).items) == before


def test_with_script_the_form_of_a_stub_comes_back_empty_with_its_choices(client, stubref):
    form = form_of(client, f"/ui/stubs/{stubref}", prompt="A cat", quality="hd")
    response = start(client, form, **SCRIPT)
    assert response.status_code == 200
    again = Page(response.text.partition("<hx-partial")[0]).form("/ui/tasks")
    assert (again["prompt"], again["quality"], again["fixed"]) == ("", "hd", stubref)
    assert again["key"] != form["key"]
    assert "Started" in response.text


def test_with_script_the_first_page_is_left_for_the_task(client):
    response = start(client, form_of(client, prompt="A cat"), **SCRIPT)
    assert response.headers["hx-redirect"].startswith("/ui/tasks/")


def test_without_script_running_tasks_are_followed_by_loading_again(client, server, stubref):
    response = start(client, form_of(client, prompt="x", model=SLOW, stub=stubref))
    there = response.headers["location"].partition("#")[0]
    assert there == f"/ui/stubs/{stubref}?watch=1"
    text = client.get(there).text
    assert '<noscript><meta http-equiv="refresh" content="3;url=?watch=1"></noscript>' in text
    assert "1 running" in Page(text).one("title").text
    plain = client.get(f"/ui/stubs/{stubref}").text
    assert "http-equiv" not in plain  # nobody's typing is lost
    assert f'href="/ui/stubs/{stubref}?watch=1"' in plain
    task = server.service.tasks(stubref=stubref).items[0]
    assert 'http-equiv="refresh"' in client.get(f"/ui/tasks/{task.taskuuid}").text
    ended(server, task.taskuuid)
    for path in (there, f"/ui/tasks/{task.taskuuid}"):
        assert "http-equiv" not in client.get(path).text


def test_a_task_is_cancelled_once_and_begun_again_once(client, server, stubref):
    taskuuid = started(client, form_of(client, prompt="A slow cat", model=SLOW, stub=stubref))
    page = Page(client.get(f"/ui/stubs/{stubref}").text)
    cancel = f"/ui/tasks/{taskuuid}/cancel"
    response = client.post(cancel, data=page.form(cancel))
    assert response.status_code == 303
    assert response.headers["location"] == f"/ui/stubs/{stubref}#task-{taskuuid}"
    assert server.service.task(taskuuid).state == "cancelled"
    again = client.post(cancel, data={})
    assert again.status_code == 409
    assert "has ended already" in again.text and "<h1>Too late</h1>" in again.text
    page = Page(client.get(f"/ui/stubs/{stubref}").text)
    assert "Cancelled" in page.text()
    form = page.form(f"/ui/tasks/{taskuuid}/repeat")
    assert form["seed"] == "same"
    before = count(server)
    places = {client.post(f"/ui/tasks/{taskuuid}/repeat", data=form).headers["location"]}
    places |= {client.post(f"/ui/tasks/{taskuuid}/repeat", data=form).headers["location"]}
    assert len(places) == 1 and count(server) == before + 1
    repeated = places.pop().partition("#task-")[2]
    client.post(f"/ui/tasks/{repeated}/cancel", data={})
    assert server.service.stub(stubref).stubposts[-1].action == "retry"


def test_a_variation_has_another_seed(client, server):
    first = ended(server, started(client, form_of(client, prompt="x", seed="5")))
    page = Page(client.get(f"/ui/tasks/{first.taskuuid}").text)
    form = page.form(f"/ui/tasks/{first.taskuuid}/repeat")
    assert form["seed"] == "new"
    response = client.post(f"/ui/tasks/{first.taskuuid}/repeat", data=form)
    there = response.headers["location"].removeprefix("/ui/tasks/").partition("?")[0]
    second = ended(server, there)
    assert (first.payload.response.seed, second.params["prompt"]) == (5, "x")
    assert second.payload.response.seed != 5


def test_with_script_an_action_changes_only_its_place(client, server, stubref):
    taskuuid = started(client, form_of(client, prompt="x", model=SLOW, stub=stubref))
    response = client.post(f"/ui/tasks/{taskuuid}/cancel", data={}, headers=SCRIPT)
    assert Page(response.text).one("article", id=f"task-{taskuuid}")
    form = Page(response.text).form(f"/ui/tasks/{taskuuid}/repeat")
    response = client.post(f"/ui/tasks/{taskuuid}/repeat", data=form, headers=SCRIPT)
    assert response.status_code == 200
    again = Page(response.text).form(f"/ui/tasks/{taskuuid}/repeat")
    assert again["key"] != form["key"]
    alone = client.post(
        f"/ui/tasks/{taskuuid}/repeat", data=again | {"alone": "yes"}, headers=SCRIPT
    )
    assert alone.headers["hx-redirect"].startswith(f"/ui/stubs/{stubref}#task-")
    for task in server.service.tasks(stubref=stubref, state="queued").items:
        server.service.cancel(task.taskuuid)


def test_a_bad_action_is_refused_in_words(client):
    taskuuid = started(client, form_of(client, prompt="x"))
    path = f"/ui/tasks/{taskuuid}/repeat"
    assert client.post(path, data={"seed": "new"}).status_code == 400
    assert client.post(path, data={"seed": "other", "key": "x" * 20}).status_code == 400
    unknown = "/ui/tasks/7c9e6679-7425-40de-944b-e07fc1f90ae7/repeat"
    assert client.post(unknown, data={"seed": "new", "key": "x" * 20}).status_code == 404
    many = {f"field{i}": "x" for i in range(60)}
    assert start(client, many).status_code == 400


def test_a_picture_can_be_taken_away_in_three_formats(client, server):
    task = ended(server, started(client, form_of(client, prompt="x")))
    page = Page(client.get(f"/ui/tasks/{task.taskuuid}").text)
    links = [link["href"] for link in page.all("a") if "download" in link.attributes]
    types = [client.get(link).headers["content-type"] for link in links]
    assert types == ["image/png", "image/webp", "image/jpeg"]
    assert page.one("textarea", id=f"json-{task.taskuuid}").get("readonly", "") is None
    copies = client.get(f"/ui/tasks/{task.taskuuid}/copy", headers=SCRIPT)
    assert Page(copies.text).one("textarea", id=f"curl-{task.taskuuid}").text.startswith("curl")
