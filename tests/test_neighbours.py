"""The neighbour tasks: alone with real files, and in the service, where their ends change the stub."""

import asyncio
import base64
import io
import json

import pypdfium2
import pytest
from PIL import Image

from gouache.contract import FileDetails, read
from gouache.errors import FileNotFound, RequestError
from gouache.neighbours import MAX_DATA_CHARACTERS, merged, run, with_attached
from gouache.records import NewStub, NewStubpost, NewTask
from gouache.service import open_service
from gouache.settings import read_settings
from gouache.tasktypes import MAX_ATTACHMENTS, PARAMS

ONE = "530cabeb-7ce7-57b1-ace3-d3795f4fa5bb"
TEMPLATE = "8142ce6c-f3cd-526c-a5d3-747799ed2b1a"
NOTHING = "00000000-0000-5000-8000-000000000000"
MADE = "a1a1a1a1-0000-5000-8000-000000000000"
PNG = io.BytesIO()
Image.new("RGB", (64, 64), "teal").save(PNG, "PNG")


class Around:
    """A context over files in a folder."""

    stubref = "2024-06-19-XXXX-YRA3"
    taskname = "task"
    fileuuid = MADE
    created = "2026-11-24T12:00:00.000Z"
    address = "https://pictures.example"
    max_bytes = 1000

    def __init__(self, folder):
        self.folder = folder
        self.types = {}

    def put(self, fileuuid, data, content_type):
        (self.folder / fileuuid).write_bytes(data)
        self.types[fileuuid] = content_type

    def file(self, fileuuid):
        if fileuuid not in self.types:
            raise FileNotFound(f"there is no file {fileuuid}")
        return FileDetails(
            fileuuid=fileuuid,
            filename="logo.png",
            originalname="Logo.png",
            contentType=self.types[fileuuid],
            size=self.file_path(fileuuid).stat().st_size,
            upload_date=self.created,
        )

    def file_path(self, fileuuid):
        return self.folder / fileuuid

    def file_url(self, fileuuid):
        return f"{self.address}/files/{fileuuid}?expires=1&signature=2"


@pytest.fixture
def around(tmp_path):
    context = Around(tmp_path)
    context.put(ONE, PNG.getvalue(), "image/png")
    return context


def outcome(around, tasktype, **params):
    return run(read(PARAMS[tasktype], params, inside="params"), around)


def text_of(data):
    pages = [page.get_textpage().get_text_range() for page in pypdfium2.PdfDocument(data)]
    return " ".join(" ".join(pages).split())


def test_attaching_returns_the_uuid_and_adds_the_file(around):
    done = outcome(around, "attach_file", fileuuid=ONE)
    assert done.payload == {"fileuuid": ONE}
    assert [file.filename for file in done.attachments] == ["logo.png"]


def test_a_file_may_be_attached_under_another_name(around):
    (file,) = outcome(around, "attach_file", fileuuid=ONE, filename="../Our Logo.txt").attachments
    assert (file.filename, file.originalname) == ("Our Logo.txt.png", "../Our Logo.txt")
    (file,) = outcome(around, "attach_file", files=[ONE, {"fileuuid": ONE}]).attachments
    assert file.fileuuid == ONE


def test_details_are_those_of_each_file(around):
    (details,) = outcome(around, "get_file_details", fileuuids=[ONE]).payload["file_details"]
    assert list(details) == [
        *("fileuuid", "filename", "originalname", "contentType"),
        *("encoding", "size", "upload_date"),
    ]
    assert details["size"] == len(PNG.getvalue())


@pytest.mark.parametrize(
    ("params", "filename", "content_type", "data"),
    [
        ({"text": "a;b", "filename": "x.csv"}, "x.csv", "text/csv", b"a;b"),
        ({"html": "<p>", "filename": "x"}, "x.html", "text/html", b"<p>"),
        ({"content": "aMO8", "filename": "../x"}, "x.txt", "text/plain", "hü".encode()),
        ({"content": " data:text/plain;base64,aGk= ", "filename": "x"}, None, None, None),
        ({"content": "data:x;base64,aG\nk=", "filename": "x"}, "x.txt", "text/plain", b"hi"),
    ],
)
def test_a_file_is_made_of_what_the_task_holds(around, params, filename, content_type, data):
    if filename is None:
        with pytest.raises(RequestError, match="params.content is not base64"):
            outcome(around, "upload_file", **params)
        return
    done = outcome(around, "upload_file", **params)
    assert (done.file.file.filename, done.file.file.contentType) == (filename, content_type)
    assert done.file.data == data
    assert done.file.file.originalname == params["filename"]
    assert done.payload == {"fileuuid": MADE, "file": done.file.file.model_dump()}


def test_an_uploaded_picture_is_known_by_its_bytes(around):
    content = base64.b64encode(PNG.getvalue()).decode()
    file = outcome(around, "upload_file", content=content, filename="x.exe").file.file
    assert (file.filename, file.contentType) == ("x.exe.png", "image/png")


def test_a_file_that_is_too_large_is_refused(around):
    with pytest.raises(RequestError, match="has 1,001 bytes; there may be 1,000"):
        outcome(around, "upload_file", text="x" * 1001, filename="x")


def test_what_needs_a_stub_is_refused_without_one(around):
    around.stubref = None
    with pytest.raises(RequestError, match="attach_file needs a stub"):
        outcome(around, "attach_file", fileuuid=ONE)
    with pytest.raises(RequestError, match="savedata needs a stub"):
        outcome(around, "savedata", data={})


@pytest.mark.parametrize(
    ("tasktype", "params", "param"),
    [
        ("attach_file", {"fileuuid": NOTHING}, "params.fileuuid"),
        ("attach_file", {"files": [ONE, NOTHING]}, "params.files.1"),
        ("get_file_details", {"fileuuids": [NOTHING]}, "params.fileuuids.0"),
        ("generate_pdf", {"html": f"<img src='{NOTHING}'>"}, "params.html"),
        ("generate_pdf", {"text": "x", "images": [NOTHING]}, "params.images"),
        ("generate_pdf", {"pdftemplateuuid": NOTHING}, "params.pdftemplateuuid"),
    ],
)
def test_a_missing_file_is_named_by_who_asked_for_it(around, tasktype, params, param):
    with pytest.raises(FileNotFound, match=f"there is no file {NOTHING}") as caught:
        outcome(around, tasktype, **params)
    assert caught.value.param == param


def test_saving_merges_objects_and_replaces_all_else():
    data = {"a": {"b": 1, "c": [1, 2]}, "d": 1}
    patch = {"a": {"c": [3], "e": None}, "f": {"g": 1}}
    assert merged(data, patch) == {"a": {"b": 1, "c": [3], "e": None}, "d": 1, "f": {"g": 1}}
    assert data == {"a": {"b": 1, "c": [1, 2]}, "d": 1}


def test_data_that_grows_too_large_is_refused(around):
    with pytest.raises(RequestError, match="the stub's data would have .* there may be 1,048,576"):
        merged({"a": "x" * MAX_DATA_CHARACTERS}, {"b": 1})
    with pytest.raises(RequestError, match="the stub's data would have"):
        outcome(around, "savedata", data={"a": "x" * MAX_DATA_CHARACTERS})


def test_attachments_are_kept_once_each_and_not_without_end(around):
    (file,) = outcome(around, "attach_file", fileuuid=ONE, filename="new.png").attachments
    before = [{"fileuuid": ONE, "filename": "old.png"}, {"fileuuid": NOTHING}]
    after = with_attached(before, [file])
    assert [attached["fileuuid"] for attached in after] == [ONE, NOTHING]
    assert after[0]["filename"] == "new.png"
    with pytest.raises(RequestError, match="the stub would have 101 attachments"):
        with_attached([{"fileuuid": str(i)} for i in range(MAX_ATTACHMENTS)], [file])


def test_a_document_is_named_after_the_stub_and_the_task(around):
    done = outcome(around, "generate_pdf", html="<p>Hi")
    assert done.file.file.filename == "2024-06-19-XXXX-YRA3_task.pdf"
    assert done.payload == {"file": done.file.file.model_dump(), "pages": 1}
    done = outcome(around, "generate_pdf", html="<p>Hi", new_file={"filename": "My: offer.docx"})
    assert done.file.file.filename == "My_ offer.docx.pdf"
    assert done.file.file.originalname == "My: offer.docx"


def test_a_document_says_what_it_did_not_read(around):
    done = outcome(around, "generate_pdf", html="<p>Hi<img src='http://192.0.2.1/a.png'>")
    assert done.warnings == (
        "'http://192.0.2.1/a.png' was not read: a document shows stored files only",
    )


def test_a_stored_template_is_filled_in_with_data_that_stays_data(around):
    source = (
        "<h1>{{title}}</h1><p>{{{bold}}} {{lines[1].price}} {{#file_url logo}}{{/file_url}}</p>"
    )
    around.put(TEMPLATE, source.encode(), "text/html")
    data = {
        "title": "{{secret}} <i>",
        "secret": "no",
        "bold": "<b>x</b>",
        "lines": [{}, {"price": 7}],
        "logo": {"fileuuid": ONE},
    }
    done = outcome(around, "generate_pdf", pdftemplateuuid=TEMPLATE, data=data)
    printed = text_of(done.file.data)
    assert printed.startswith(f"{{{{secret}}}} <i> x 7 {around.address}/files/{ONE}")
    with pytest.raises(RequestError, match="lines") as caught:
        outcome(around, "generate_pdf", pdftemplateuuid=TEMPLATE, data={**data, "lines": []})
    assert caught.value.param.startswith("params.pdftemplateuuid")
    with pytest.raises(RequestError, match="is no HTML file"):
        outcome(around, "generate_pdf", pdftemplateuuid=ONE)


# In the service


@pytest.fixture(params=["sqlite", "postgresql"])
def service(request, tmp_path):
    url = "" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    settings = read_settings(
        engine="fake", data_dir=tmp_path / "data", database_url=url, stop_seconds=0
    )
    with open_service(settings) as service:
        service.work.start()
        yield service


def on_stub(service, data=None, /, **tasks):
    """Run tasks on a new stub to their ends; return their records, and the stub."""
    stub = service.create_stub(NewStub(data=data or {}))
    posted = service.add_stubpost(stub.stubref, read(NewStubpost, {"tasks": tasks})).tasks
    assert asyncio.run(service.wait([r.taskuuid for r in posted.values()], 60))
    ended = {name: service.task(r.taskuuid) for name, r in posted.items()}
    return ended, service.stub(stub.stubref)


def a(tasktype, **params):
    return {"tasktype": tasktype, "params": params}


def test_a_picture_goes_from_task_to_task(service):
    image = "~~stubpost.tasks.draw.payload.image"
    link = "{{#file_url stubpost.tasks.draw.payload.image}}{{/file_url}}"
    ended, stub = on_stub(
        service,
        {"name": "Ann <b>", "company": {"name": "Acme"}},
        draw=a("generate_image", prompt="A logo for {{stub.data.company.name}}"),
        attach=a("attach_file", files=[image]),
        look=a("get_file_details", fileuuid=image),
        print=a("generate_pdf", html=f"<h1>For {{{{stub.data.name}}}}</h1><img src='{link}'>"),
        keep=a("savedata", path="company", data={"logo": image}),
        mail=a("upload_file", filename="mail.html", html="Dear {{stub.data.name}}"),
    )
    assert {name: record.state for name, record in ended.items()} == dict.fromkeys(
        ended, "succeeded"
    )
    fileuuid = ended["draw"].payload.image.fileuuid
    assert [file.fileuuid for file in stub.attachments] == [fileuuid]
    assert stub.data["company"]["name"] == "Acme"
    assert stub.data["company"]["logo"]["fileuuid"] == fileuuid
    assert ended["look"].payload["file_details"][0]["fileuuid"] == fileuuid
    assert len(stub.stubposts) == 2, "only pictures are posted"
    made = service.file(ended["print"].payload["file"]["fileuuid"])
    data = service.file_path(made.fileuuid).read_bytes()
    assert (made.contentType, made.size, ended["print"].warnings) == (
        "application/pdf",
        len(data),
        [],
    )
    assert text_of(data) == "For Ann <b>"
    mail = service.file_path(ended["mail"].payload["fileuuid"])
    assert mail.read_text() == "Dear Ann &lt;b&gt;"
    assert (service.work.orphans(), service.work.missing()) == ([], [])


def test_a_neighbour_that_fails_changes_nothing_and_the_next_one_runs(service):
    ended, stub = on_stub(
        service,
        {"a": "x" * (MAX_DATA_CHARACTERS - 50)},
        lost=a("attach_file", fileuuid=NOTHING),
        full=a("savedata", data={"b": "y" * 100}),
        fits=a("savedata", data={"a": 1}),
        skipped=a("savedata", data={"a": 2}) | {"conditions": ["stubpost.tasks.lost.success"]},
    )
    assert [record.state for record in ended.values()] == [
        *("failed", "failed", "succeeded", "skipped")
    ]
    assert (ended["lost"].error.code, ended["lost"].error.param) == (
        "file_not_found",
        "params.fileuuid",
    )
    assert ended["full"].error.param == "params.data"
    assert (stub.data, stub.attachments) == ({"a": 1}, [])


def test_two_that_save_at_once_both_do(service):
    stub = service.create_stub(NewStub(data={}))
    tasks = [
        service.submit(
            read(NewTask, a("savedata", data={f"key{i}": i}) | {"stubref": stub.stubref})
        )
        for i in range(8)
    ]
    assert asyncio.run(service.wait([task.taskuuid for task in tasks], 60))
    assert service.stub(stub.stubref).data == {f"key{i}": i for i in range(8)}


@pytest.mark.parametrize(
    ("values", "param"),
    [
        (a("generate_pdf", html="~~stub.data.x", page_size="A9"), "params.page_size"),
        (a("generate_pdf", html="{{stub.data.x}}", text="y"), "params.text"),
        (a("attach_file", files=["~~stub.data.x"], fileuuid=ONE), "params.files"),
        (a("upload_file", filename="x", url="http://192.0.2.1/"), "params.url"),
        (a("savedata", data="x"), "params.data"),
    ],
)
def test_what_can_be_judged_is_refused_when_it_comes_in(service, values, param):
    with pytest.raises(RequestError) as caught:
        service.submit(read(NewTask, values))
    assert caught.value.param == param
    assert service.tasks().items == []


def test_any_gateway_may_be_named_where_nothing_is_drawn(service):
    documented = {"taskapigatewayuuid": "3de7fb63-7514-4c64-b852-0fae474211a0"}
    task = service.submit(read(NewTask, a("generate_pdf", html="<p>Hi") | documented))
    assert asyncio.run(service.wait([task.taskuuid], 60))
    ended = service.task(task.taskuuid)
    assert ended.success, ended.error
    assert (
        json.loads(ended.model_dump_json())["payload"]["file"]["contentType"] == "application/pdf"
    )
