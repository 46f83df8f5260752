"""The OpenAPI document: what FastAPI finds in the routes, and what only we know.

Bodies are read by us (`bodies`), so their models are added here. `docs/openapi.json` holds the
document of a server with an API key (`test_the_committed_document_is_that_of_the_routes`).
"""

from collections.abc import Iterable, Sequence
from typing import Any

from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from starlette.routing import BaseRoute

from gouache import __version__
from gouache.contract import BUILT_IN_GATEWAY, TASK_NAME, GenerateImage, Task
from gouache.records import MAX_TASKS, NewStub, NewStubpost, NewTask
from gouache.variants import CONTENT_TYPES
from gouache.web.openai_requests import ImagesRequest
from gouache.web.refusals import ErrorBody

REF = "#/components/schemas/"

ABOUT = """Draws pictures from words, as tasks that survive whatever dies.

A task is written down before its answer is sent; it then runs once to its end. Submit one on its own
(`POST /tasks`), or put several on a stubpost of a stub, the record of a process. Wait for the end with
`Prefer: wait=N`, ask again, or watch the events.

Any call may be answered with 401 (no key, or a wrong one), 421 (a host that is not ours), 500 (something
failed inside) and 503 (the database cannot be reached). Every error has one body: `{"error": {"code", "message", "type", "param", "retryable"}}`. `param` names
the field, parameter or header to change; what is `retryable` may be sent again as it is.
"""

TASK_EXAMPLE = {
    "tasktype": "generate_image",
    "taskapigatewayuuid": str(BUILT_IN_GATEWAY),
    "params": {"prompt": "A white cat sitting on a red sports car."},
}
"""The task's documented example."""

Answers = dict[int | str, dict[str, Any]]

_TEXT = {"schema": {"type": "string"}}

LOCATION = {"Location": {"description": "Where it is found.", "required": True, **_TEXT}}
APPLIED = {"Preference-Applied": {"description": "How long it was waited for at most.", **_TEXT}}

KINDS = tuple(CONTENT_TYPES.values())
"""What a file may be."""

_FILE_HEADERS = {
    "ETag": {"description": "Changes with the bytes.", "required": True, **_TEXT},
    "Last-Modified": {"description": "When it was written.", "required": True, **_TEXT},
}
_FILE_CONTENT = {
    "content": {kind: {"schema": {"type": "string", "format": "binary"}} for kind in KINDS},
    "headers": {
        **_FILE_HEADERS,
        "Content-Disposition": {"description": "Its name.", "required": True, **_TEXT},
        "Gouache-Warning": {"description": "A sentence for whoever wrote the address.", **_TEXT},
    },
}

THE_FILE: Answers = {200: {"description": "The file.", **_FILE_CONTENT}}
PART_OF_FILE: Answers = {206: {"description": "The part that `Range` asks for.", **_FILE_CONTENT}}
NOT_MODIFIED: Answers = {
    304: {"description": "The caller's copy is still good.", "headers": _FILE_HEADERS}
}

EVENTS: dict[str, Any] = {
    "responses": {
        "200": {
            "content": {
                "text/event-stream": {
                    "schema": {
                        "type": "object",
                        "description": "One event.",
                        "required": ["event", "data"],
                        "properties": {
                            "event": {"enum": ["task", "progress", "end", "error"]},
                            "data": {"type": "string", "contentMediaType": "application/json"},
                        },
                    },
                    "example": 'event: progress\ndata: {"attempt":1,"step":2,"steps":4}\n\n',
                }
            }
        }
    }
}

PICTURE_EVENTS: dict[str, Any] = {
    "responses": {
        "200": {
            "content": {
                "text/event-stream": {
                    "schema": {
                        "type": "object",
                        "description": "One event; its data has the `type` too.",
                        "required": ["event", "data"],
                        "properties": {
                            "event": {
                                "enum": [
                                    "image_generation.partial_image",
                                    "image_generation.completed",
                                    "error",
                                ]
                            },
                            "data": {"type": "string", "contentMediaType": "application/json"},
                        },
                    }
                }
            }
        }
    }
}


def takes(model: type[BaseModel], **examples: Any) -> dict[str, Any]:
    """Return the description of a route whose body is this model."""
    content = {
        "schema": {"$ref": REF + model.__name__},
        "examples": {name: {"value": value} for name, value in examples.items()},
    }
    return {"requestBody": {"required": True, "content": {"application/json": content}}}


def with_headers(
    answers: Answers, statuses: int | Iterable[int], headers: dict[str, Any]
) -> Answers:
    """Return the descriptions of answers with those of their headers."""
    for status in [statuses] if isinstance(statuses, int) else statuses:
        answers.setdefault(status, {})["headers"] = headers
    return answers


def document(routes: Sequence[BaseRoute], *, secured: bool) -> dict[str, Any]:
    """Return the OpenAPI document; `secured` where the server asks for an API key."""
    built = get_openapi(
        title="Gouache",
        version=__version__,
        description=ABOUT,
        routes=routes,
        separate_input_output_schemas=False,  # nulls are left out, so what has a default may miss
    )
    for operations in built["paths"].values():
        for operation in operations.values():
            _mend(operation)
    schemas = built["components"]["schemas"]
    schemas |= _bodies()
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    built["components"]["schemas"] = dict(sorted(schemas.items()))
    if secured:
        _secure(built)
    return built


def _mend(operation: dict[str, Any]) -> None:
    """Take out what FastAPI supposes: its own error for parameters, and a field of OpenAPI 3.2."""
    answers = operation["responses"]
    if "HTTPValidationError" in str(answers.get("422")):
        del answers["422"]
    for answer in answers.values():
        answer.get("content", {}).get("text/event-stream", {}).pop("itemSchema", None)


def _bodies() -> dict[str, Any]:
    """Return the schemas of what is sent, and of errors."""
    models: list[type[BaseModel]] = [NewStub, NewStubpost, NewTask, Task, GenerateImage, ErrorBody]
    models.append(ImagesRequest)
    _, built = models_json_schema(
        [(model, "validation") for model in models], ref_template=REF + "{model}"
    )
    schemas: dict[str, Any] = built["$defs"]
    schemas["NewStubpost"]["properties"]["tasks"] |= {
        "anyOf": [
            {
                "type": "object",
                "maxProperties": MAX_TASKS,
                "propertyNames": {"pattern": TASK_NAME},
                "additionalProperties": {"$ref": REF + "Task"},
            },
            {"type": "array", "maxItems": MAX_TASKS, "items": {"$ref": REF + "Task"}},
        ],
    }
    for unused in ("type", "maxProperties", "additionalProperties"):
        schemas["NewStubpost"]["properties"]["tasks"].pop(unused, None)
    return schemas


def _secure(built: dict[str, Any]) -> None:
    built["components"]["securitySchemes"] = {
        "key": {"type": "http", "scheme": "bearer", "description": "The server's API key."},
        "link": {
            "type": "apiKey",
            "in": "query",
            "name": "signature",
            "description": "A signed link to a file, as results show it.",
        },
    }
    built["security"] = [{"key": []}]
    built["paths"]["/health"]["get"]["security"] = []
    for method in ("get", "head"):
        built["paths"]["/files/{fileuuid}"][method]["security"] = [{"key": []}, {"link": []}]
