from typing import get_args

import pytest

from gouache.contract import TASK_TYPES, read
from gouache.errors import RequestError
from gouache.tasktypes import (
    HTML_FIELDS,
    PARAMS,
    AttachFile,
    GeneratePdf,
    GetFileDetails,
    PageSize,
    SaveData,
    UploadFile,
)

ONE = "530cabeb-7ce7-57b1-ace3-d3795f4fa5bb"
OTHER = "8142ce6c-f3cd-526c-a5d3-747799ed2b1a"
OBJECT = {"fileuuid": ONE, "filename": "a.png", "originalname": "A.png", "contentType": "image/png"}


def test_each_type_has_its_params():
    assert set(PARAMS) == set(TASK_TYPES)
    for tasktype, fields in HTML_FIELDS.items():
        assert set(fields) <= set(PARAMS[tasktype].model_fields)


@pytest.mark.parametrize(
    ("model", "values"),
    [
        (AttachFile, {"fileuuid": ONE}),
        (AttachFile, {"fileuuid": OBJECT}),
        (AttachFile, {"files": [ONE]}),
        (AttachFile, {"files": [OBJECT]}),
        (AttachFile, {"files": OBJECT}),
        (AttachFile, {"fileuuid": "", "filename": "", "contentType": "", "files": [OBJECT]}),
    ],
)
def test_a_file_is_attached_whichever_way_it_is_named(model, values):
    assert [file.fileuuid for file in read(model, values).wanted] == [ONE]


def test_files_are_looked_up_one_or_several():
    assert read(GetFileDetails, {"fileuuid": OBJECT}).wanted == [ONE]
    assert read(GetFileDetails, {"fileuuids": [ONE, OTHER]}).wanted == [ONE, OTHER]


def test_saved_data_goes_to_its_path():
    assert read(SaveData, {"data": {"a": 1}}).patch == {"a": 1}
    assert read(SaveData, {"data": {"a": 1}, "path": ""}).patch == {"a": 1}
    assert read(SaveData, {"data": {"a": 1}, "path": "x.y"}).patch == {"x": {"y": {"a": 1}}}


@pytest.mark.parametrize(
    ("model", "values", "param", "message"),
    [
        (AttachFile, {}, "fileuuid", "is required, or files instead"),
        (AttachFile, {"fileuuid": "", "files": []}, "fileuuid", "is required"),
        (AttachFile, {"fileuuid": "x"}, "fileuuid", "must be a file object or the UUID of a file"),
        (AttachFile, {"files": [{}]}, "files.0.fileuuid", "is required"),
        (AttachFile, {"files": ["x"]}, "files.0.fileuuid", "must be a file object or the UUID"),
        (AttachFile, {"fileuuid": ONE, "files": [OTHER]}, "files", "cannot be used together with"),
        (AttachFile, {"fileuuid": ONE, "contentType": "x"}, "contentType", "like application/pdf"),
        (AttachFile, {"files": [ONE] * 101}, "files", "must have at most 100 items"),
        (GetFileDetails, {}, "fileuuid", "is required, or fileuuids instead"),
        (UploadFile, {"text": "x"}, "filename", "is required"),
        (UploadFile, {"filename": "x"}, "content", "is required, or text or html instead"),
        (UploadFile, {"filename": "x", "url": "https://a.example/"}, "url", "is not fetched; give"),
        (
            UploadFile,
            {"filename": "x", "text": "a", "html": "b"},
            "html",
            "cannot be used together",
        ),
        (SaveData, {}, "data", "is required"),
        (SaveData, {"data": [1]}, "data", "must be an object"),
        (SaveData, {"data": {}, "path": "a..b"}, "path", "like customer.address"),
        (SaveData, {"data": {}, "path": "a[0]"}, "path", "like customer.address"),
        (GeneratePdf, {}, "html", "is required, or text or pdftemplateuuid instead"),
        (GeneratePdf, {"html": "a", "text": "b"}, "text", "cannot be used together with html"),
        (GeneratePdf, {"html": "a", "data": {"a": 1}}, "data", "is put into a template only"),
        (GeneratePdf, {"html": "a", "images": [ONE]}, "images", "come before a text only"),
        (GeneratePdf, {"html": " \n"}, "", "nothing to print"),
        (GeneratePdf, {"html": "a", "page_size": "A9"}, "page_size", "must be one of A3, A4, A5"),
        (GeneratePdf, {"html": "a", "margin_mm": 71}, "margin_mm", "from 0 to 70"),
        (GeneratePdf, {"html": "a", "new_file": {"filename": 7}}, "new_file.filename", "be text"),
        (GeneratePdf, {"html": "a" * 1_000_001}, "html", "1,000,001"),
    ],
)
def test_a_bad_field_is_refused_by_name(model, values, param, message):
    with pytest.raises(RequestError, match=message) as caught:
        read(model, values, inside="params")
    assert caught.value.param == f"params.{param}".rstrip(".")


@pytest.mark.parametrize(
    ("tasktype", "values", "known"),
    [
        ("attach_file", {"fileuuid": ONE, "file": [OBJECT]}, "files"),
        ("get_file_details", {"fileuuid": ONE, "fileuids": []}, "fileuuids"),
        ("upload_file", {"filename": "a", "text": "x", "content_type": "x"}, "contentType"),
        ("savedata", {"data": {}, "paths": ""}, "path"),
        ("generate_pdf", {"html": "a", "pagesize": "A4"}, "page_size"),
    ],
)
def test_an_unknown_field_is_kept_and_named(tasktype, values, known):
    (warning,) = read(PARAMS[tasktype], values).warnings()
    assert f"is not a field of {tasktype} and was ignored; did you mean {known}?" in warning


def test_each_sheet_has_a_size():
    from gouache.documents import SIZES_MM

    assert set(SIZES_MM) == set(get_args(PageSize))
