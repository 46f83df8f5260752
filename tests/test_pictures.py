"""Pictures as they are looked through and searched; tasks that are handed in together or once more."""

import asyncio

import pytest

from gouache.contract import read
from gouache.errors import IdempotencyKeyReused, RequestError, StubNotFound, TaskNotFound
from gouache.records import NewStub, NewStubpost, NewTask
from gouache.service import open_service
from gouache.settings import read_settings


@pytest.fixture(params=["sqlite", "postgresql"])
def service(request, tmp_path):
    url = "" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    settings = read_settings(
        engine="fake", data_dir=tmp_path / "data", database_url=url, stop_seconds=0
    )
    with open_service(settings) as service:
        service.work.start()
        yield service


def new_task(prompt, *, stubref=None, **params):
    given = {"tasktype": "generate_image", "params": {"prompt": prompt} | params}
    return read(NewTask, given | ({"stubref": stubref} if stubref else {}))


def ended(service, *records):
    uuids = [record.taskuuid for record in records]
    assert asyncio.run(service.wait(uuids, 30)), "not ended in time"
    return [service.task(uuid) for uuid in uuids]


def prompts(page):
    return [picture.prompt for picture in page.items]


def test_pictures_are_listed_with_what_is_said_of_them(service):
    stub = service.create_stub(NewStub())
    (record,) = ended(
        service, service.submit(new_task("A red cat", stubref=stub.stubref, size="1024x1792"))
    )
    (picture,) = service.pictures().items
    image = record.payload.image
    assert (picture.file.fileuuid, picture.taskuuid) == (image.fileuuid, record.taskuuid)
    assert (picture.stubref, picture.prompt) == (stub.stubref, "A red cat")
    assert (picture.alt_text, picture.width, picture.height) == (image.alt_text, 1024, 1792)
    assert (picture.model, picture.seed) == ("fake-1", record.payload.response.seed)
    assert picture.file.size == service.file_path(image.fileuuid).stat().st_size


def test_pictures_come_newest_first_and_in_parts(service):
    ended(service, *service.submit_all([new_task(f"Cat {i}") for i in range(3)]))
    whole = prompts(service.pictures())
    first = service.pictures(limit=2)
    second = service.pictures(limit=2, after=first.next)
    assert sorted(whole) == ["Cat 0", "Cat 1", "Cat 2"]
    assert prompts(first) + prompts(second) == whole
    assert second.next is None
    with pytest.raises(RequestError) as refused:
        service.pictures(after="x")
    assert refused.value.param == "after"


def test_every_word_of_a_search_must_be_said_somewhere(service):
    stub = service.create_stub(NewStub())
    ended(
        service,
        service.submit(new_task("A Red cat", filename="spring.png")),
        service.submit(new_task("A blue cat, 100% wool", stubref=stub.stubref)),
    )
    found = {
        "CAT red": ["A Red cat"],
        "spring": ["A Red cat"],
        stub.stubref.lower(): ["A blue cat, 100% wool"],
        "100%": ["A blue cat, 100% wool"],
        "%": ["A blue cat, 100% wool"],
        "c_t": [],
        "cat green": [],
        "'; drop table files": [],
    }
    for search, expected in found.items():
        assert prompts(service.pictures(search=search)) == expected, search
    assert len(service.pictures(search="  ").items) == 2


def test_what_failed_or_was_deleted_or_is_no_picture_is_not_listed(service):
    text = {"tasktype": "upload_file", "params": {"filename": "a.txt", "text": "cat"}}
    records = ended(
        service,
        service.submit(new_task("cat", model="fake-failing")),
        service.submit(read(NewTask, text)),
        service.submit(new_task("cat")),
    )
    assert len(service.pictures().items) == 1
    service.delete_file(records[2].payload.image.fileuuid)
    assert service.pictures().items == []


def test_the_search_reads_what_a_template_became(service):
    stub = service.create_stub(NewStub(data={"name": "Ada"}))
    ended(service, service.submit(new_task("A card for {{stub.data.name}}", stubref=stub.stubref)))
    assert prompts(service.pictures(search="ada")) == ["A card for Ada"]


def test_tasks_handed_in_together_are_all_accepted_or_none(service):
    good = new_task("cat")
    for bad, error in (
        (new_task("cat", size="9x9"), RequestError),
        (new_task("cat", stubref="2026-01-01-NONE-NONE"), StubNotFound),
    ):
        with pytest.raises(error):
            service.submit_all([good, bad])
    assert service.tasks().items == []


def test_tasks_handed_in_together_are_accepted_once_for_a_key(service):
    tasks = [new_task("cat", seed=seed) for seed in (1, 2, 3)]
    first = service.submit_all(tasks, key="k")
    again = service.submit_all(tasks, key="k")
    assert [task.taskuuid for task in again] == [task.taskuuid for task in first]
    assert len(service.tasks().items) == 3
    with pytest.raises(IdempotencyKeyReused):
        service.submit_all(tasks[:2], key="k")


def test_the_newest_key_with_a_prefix_is_found_while_it_is_young(service):
    service.submit(new_task("cat"), key="a_ 1")
    service.submit(new_task("cat"), key="a_ 2")
    service.submit(new_task("cat"), key="ab 3")
    assert service.recent_key("a_ ", seconds=60) == "a_ 2"
    assert service.recent_key("b", seconds=60) is None
    assert service.recent_key("a_ ", seconds=-1) is None


def test_a_task_is_repeated_as_a_retry_on_its_stub(service):
    stub = service.create_stub(NewStub())
    given = {"logo": {"tasktype": "generate_image", "params": {"prompt": "cat", "seed": 5}}}
    post = service.add_stubpost(stub.stubref, read(NewStubpost, {"tasks": given}))
    (first,) = ended(service, post.tasks["logo"])
    (again,) = ended(service, service.repeat(first.taskuuid))
    assert again.taskuuid != first.taskuuid
    assert (again.name, again.params, again.stubref) == ("logo", first.params, stub.stubref)
    assert again.payload.response.seed == 5
    posts = service.stub(stub.stubref).stubposts
    assert [post.action for post in posts if post.tasks] == ["post", "retry"]
    assert len([post for post in posts if post.attachments]) == 2, "each picture is posted"


def test_a_variation_draws_with_another_seed(service):
    (first,) = ended(service, service.submit(new_task("cat", seed_from="ada@example.org")))
    (other,) = ended(service, service.repeat(first.taskuuid, new_seed=True))
    assert other.params == {"prompt": "cat"}
    assert other.stubref is None
    assert other.payload.response.seed != first.payload.response.seed


def test_what_was_put_into_a_prompt_is_no_template_the_second_time(service):
    stub = service.create_stub(NewStub(data={"name": "{{stub.stubref}} ~~stub.state"}))
    (first,) = ended(
        service, service.submit(new_task("For {{stub.data.name}}", stubref=stub.stubref))
    )
    prompt = "For {{stub.stubref}} ~~stub.state"
    assert first.payload.request["prompt"] == prompt
    (again,) = ended(service, service.repeat(first.taskuuid))
    assert again.payload.request["prompt"] == prompt


def test_a_task_that_never_was_resolved_finds_the_data_of_its_stubpost_again(service):
    stub = service.create_stub(NewStub())
    given = {
        "data": {"who": "Ada"},
        "tasks": {
            "slow": {"tasktype": "generate_image", "params": {"prompt": "x", "model": "fake-slow"}},
            "card": {
                "tasktype": "generate_image",
                "params": {"prompt": "For {{stubpost.data.who}}"},
            },
        },
    }
    post = service.add_stubpost(stub.stubref, read(NewStubpost, given))
    service.cancel(post.tasks["card"].taskuuid)
    service.cancel(post.tasks["slow"].taskuuid)
    (again,) = ended(service, service.repeat(post.tasks["card"].taskuuid))
    assert again.payload.request["prompt"] == "For Ada"


def test_a_repetition_happens_once_for_a_key(service):
    first = service.submit(new_task("cat"))
    one = service.repeat(first.taskuuid, key="k")
    assert service.repeat(first.taskuuid, key="k").taskuuid == one.taskuuid
    with pytest.raises(IdempotencyKeyReused):
        service.repeat(first.taskuuid, new_seed=True, key="k")
    with pytest.raises(TaskNotFound):
        service.repeat("7c9e6679-7425-40de-944b-e07fc1f90ae7")
    assert len(service.tasks().items) == 2
