"""The records of a process: stubs, the stubposts on them, their tasks; and what is handed in for them.

A stub is the record of one process. A stubpost on it is one thing that happened: an action with its
message, data, attachments and tasks. A task's result is found under its name:
`stubpost.tasks.generate_image.payload`. Times are ISO 8601 text with milliseconds, in UTC.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Generic, Literal, TypeVar, get_args
from uuid import UUID

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    WithJsonSchema,
)
from pydantic_core import CoreSchema

from gouache.contract import TASK_NAME, FileDetails, FileObject, Payload, Result, Task, TaskError
from gouache.given import Given

WebhookState = Literal["waiting", "queued", "delivered", "failed"]
TaskState = Literal["waiting", "queued", "running", "succeeded", "failed", "cancelled", "skipped"]

TASK_STATES: tuple[TaskState, ...] = get_args(TaskState)
ENDED: tuple[TaskState, ...] = ("succeeded", "failed", "cancelled", "skipped")
STUBREF = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}-[A-Z0-9]{4}-[A-Z0-9]{4}$"
A_STUBREF = "2024-06-19-XXXX-YRA3"
MAX_TASKS = 50
MAX_ATTACHMENTS = 100
MAX_MESSAGE_CHARACTERS = 100_000

Item = TypeVar("Item")


def _as_fileuuid(attachment: object) -> str:
    """Take a file object, as results hold it, for the UUID of its file."""
    if isinstance(attachment, FileObject):
        return attachment.fileuuid
    fileuuid = attachment.get("fileuuid") if isinstance(attachment, Mapping) else attachment
    try:
        return str(UUID(str(fileuuid)))
    except ValueError as error:
        raise ValueError("must be a file object or the UUID of a file") from error


def _as_named(tasks: object) -> object:
    """Take a list of tasks with names for the object keyed by them."""
    if not isinstance(tasks, list):
        return tasks
    given = [task for task in tasks if isinstance(task, Mapping)]
    names = [str(task.get("name", task.get("tasktype", ""))) for task in given]
    if len(set(names)) != len(tasks):
        raise ValueError("must be an object, or a list in which each task has a name of its own")
    return dict(zip(names, given, strict=True))


class _Tasks:
    """Shows the fields of tasks in the JSON Schema of a stubpost, which keeps them as written."""

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        task = handler(Task.__pydantic_core_schema__)
        named = {
            "type": "object",
            "maxProperties": MAX_TASKS,
            "propertyNames": {"pattern": TASK_NAME},
            "additionalProperties": task,
        }
        return {"anyOf": [named, {"type": "array", "maxItems": MAX_TASKS, "items": task}]}


Attachment = Annotated[
    str,
    BeforeValidator(_as_fileuuid),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "format": "uuid"},
                {
                    "type": "object",
                    "properties": {"fileuuid": {"type": "string", "format": "uuid"}},
                    "required": ["fileuuid"],
                },
            ]
        }
    ),
]
"""The UUID of a file; a file object may be given for it."""


class NewStub(Given):
    """A stub to be made."""

    model_config = ConfigDict(extra="forbid")

    stubref: str | None = Field(
        None,
        pattern=STUBREF,
        examples=[A_STUBREF],
        description="Its reference; made up without one.",
    )
    state: str = Field("new", min_length=1, max_length=100, description="Where the process stands.")
    data: dict[str, Any] = Field({}, description="What is known of the process.")
    attachments: list[Attachment] = Field([], max_length=MAX_ATTACHMENTS, description="Its files.")


class NewStubpost(Given):
    """A stubpost to be made; its tasks run one after the other, in their order."""

    model_config = ConfigDict(extra="forbid")

    action: str = Field(
        "post",
        pattern=TASK_NAME,
        examples=["send_newsletter"],
        description="The name of the action that happened.",
    )
    message: str = Field("", max_length=MAX_MESSAGE_CHARACTERS, description="Words for people.")
    data: dict[str, Any] = Field({}, description="What came with the action.")
    attachments: list[Attachment] = Field([], max_length=MAX_ATTACHMENTS, description="Files.")
    tasks: Annotated[dict[str, dict[str, Any]], BeforeValidator(_as_named), _Tasks] = Field(
        {}, max_length=MAX_TASKS, description="Tasks by their names."
    )


class NewTask(Task):
    """A single task to be run, on a stub or on none."""

    stubref: str | None = Field(
        None,
        pattern=STUBREF,
        examples=[A_STUBREF],
        description="The stub on which the finished picture is posted.",
    )


class Webhook(BaseModel):
    """Where the end of a task is told to, and what came of that."""

    model_config = ConfigDict(frozen=True)

    url: str = Field(description="The address of the receiver.")
    state: WebhookState = Field(description="`waiting` is for the end of the task.")
    attempts: int = Field(0, description="How often it was tried.")
    status: int | None = Field(None, description="The status of the last answer, if one came.")
    error: str | None = Field(None, description="Why the last try failed, if it did.")
    delivered: str | None = Field(None, description="When it was last delivered.")


class TaskRecord(BaseModel):
    """A task and its fate; once it has ended, also its result."""

    model_config = ConfigDict(frozen=True)

    taskuuid: str = Field(description="Its UUID.")
    name: str = Field(description="Its name on the stubpost.")
    tasktype: str = Field(description="What is done.")
    taskapigatewayuuid: str = Field(description="The gateway asked for.")
    gateway: str = Field(description="The name of the row of the gateway that draws.")
    first_gateway: str | None = Field(
        None, description="The one asked for, where another took over from it."
    )
    params: dict[str, Any] = Field(description="The request as it was handed in.")
    conditions: list[str] = Field([], description="It is skipped unless all hold.")
    priority: int = Field(description="Lower numbers are drawn first.")
    state: TaskState = Field(description="How far it is.")
    attempts: int = Field(description="Tries, the present one included.")
    stubref: str | None = Field(None, description="Its stub, if it has one.")
    stubpostuuid: str | None = Field(None, description="The stubpost it came with, if any.")
    created: str = Field(description="When it was accepted.")
    started: str | None = Field(None, description="When it was first begun.")
    ended: str | None = Field(None, description="When it ended.")
    success: bool | None = Field(None, description="Missing until the end, as what follows.")
    payload: Annotated[Payload | dict[str, Any] | None, Field(union_mode="left_to_right")] = Field(
        None, description="As of a result."
    )
    task_duration_ms: int | None = Field(None, description="As of a result.")
    error: TaskError | None = Field(None, description="As of a result.")
    skipped: str | None = Field(None, description="As of a result.")
    warnings: list[str] = Field([], description="As of a result.")
    webhook: Webhook | None = Field(None, description="Missing where nobody is told of its end.")


class Stubpost(BaseModel):
    """One thing that happened on a stub."""

    model_config = ConfigDict(frozen=True)

    stubpostuuid: str = Field(description="Its UUID.")
    stubref: str = Field(description="The stub it is on.")
    action: str = Field(description="The name of the action that happened.")
    message: str = Field(description="Words for people.")
    data: dict[str, Any] = Field(description="What came with the action.")
    attachments: list[FileObject] = Field(description="Its files.")
    tasks: dict[str, TaskRecord] = Field(description="Its tasks by their names, in their order.")
    created: str = Field(description="When it was posted.")
    response_to: str | None = Field(None, description="The task whose picture it shows.")


class Stub(BaseModel):
    """The record of one process, with its stubposts in order."""

    model_config = ConfigDict(frozen=True)

    stubref: str = Field(description="Its reference.")
    state: str = Field(description="Where the process stands.")
    data: dict[str, Any] = Field(description="What is known of the process.")
    attachments: list[FileObject] = Field(description="Its files.")
    created: str = Field(description="When it was made.")
    updated: str = Field(description="When something was last posted or changed.")
    stubposts: list[Stubpost] = Field([], description="Left out of lists.")


class Picture(BaseModel):
    """A picture that was drawn, with what is said of it."""

    model_config = ConfigDict(frozen=True)

    file: FileDetails = Field(description="Its file.")
    taskuuid: str = Field(description="The task that drew it.")
    stubref: str | None = Field(None, description="The stub of the task, if it has one.")
    prompt: str = Field(description="What was asked for.")
    alt_text: str = Field(description="Words for those who do not see the picture.")
    model: str = Field(description="The model that drew.")
    seed: int | None = Field(None, description="The seed it drew with, if it has any.")
    width: int = Field(description="Pixels.")
    height: int = Field(description="Pixels.")


class Page(BaseModel, Generic[Item]):
    """Part of a list, newest first."""

    model_config = ConfigDict(frozen=True)

    items: list[Item] = Field(description="This part.")
    next: str | None = Field(None, description="Given as `after`, leads to the following part.")


class Spent(BaseModel):
    """What a model of a gateway cost on a day, with a key."""

    model_config = ConfigDict(frozen=True)

    day: str = Field(description="The day, UTC.")
    gateway: str = Field(description="The gateway's name.")
    model: str = Field(description="The model that drew.")
    key: str | None = Field(None, description="The name of the key; missing for the house's own.")
    tries: int = Field(description="Tries that were sent.")
    input_tokens: int = Field(description="Tokens that were read, as far as providers tell.")
    output_tokens: int = Field(description="Tokens that were drawn, as far as providers tell.")
    cost_usd: str = Field(description="US dollars that are known to be spent.")
    open_usd: str = Field(description="US dollars set aside for tries of unknown outcome.")
    unknown: int = Field(description="Tries of which nobody knows what they cost.")


class BudgetState(BaseModel):
    """What is left of the budget of a gateway or a key in this period."""

    model_config = ConfigDict(frozen=True)

    gateway: str | None = Field(None, description="The gateway's name, if it is a gateway's.")
    key: str | None = Field(None, description="The key's name, if it is a key's.")
    budget_usd: str = Field(description="US dollars that may be spent in a period.")
    budget_period: Literal["day", "month"] = Field(description="The period, UTC.")
    spent_usd: str = Field(description="US dollars that are spent or set aside.")
    left_usd: str = Field(description="US dollars that are left.")
    renews: str = Field(description="When the next period begins.")


class UsageReport(BaseModel):
    """What was spent since a day, and what is left of the budgets."""

    model_config = ConfigDict(frozen=True)

    since: str = Field(description="The first day, UTC.")
    tries: int = Field(description="Tries that were sent.")
    cost_usd: str = Field(description="US dollars that are known to be spent.")
    open_usd: str = Field(description="US dollars set aside for tries of unknown outcome.")
    unknown: int = Field(description="Tries of which nobody knows what they cost.")
    items: list[Spent] = Field(description="The sums by day, gateway, model and key.")
    budgets: list[BudgetState] = Field(description="The budgets the caller may know of.")


class Progress(BaseModel):
    """How far a running task is."""

    model_config = ConfigDict(frozen=True)

    attempt: int = Field(description="Which try this is, from 1.")
    step: int = Field(description="Steps done.")
    steps: int = Field(description="Steps in all.")
    preview: str | None = Field(None, description="A small picture so far, as a data: URL.")


def result(record: TaskRecord) -> Result:
    """Return the result of a task that has ended."""
    return Result.model_validate(record.model_dump(include=set(Result.model_fields)))


def as_json(record: BaseModel) -> dict[str, Any]:
    """Return a record as users see it: nothing of ours in it is null but an error's `param`."""
    content = record.model_dump(mode="json", exclude_none=True)
    _complete(content)
    return content


def schemas() -> dict[str, dict[str, Any]]:
    """Return the JSON Schemas of `docs/schema/` by their names."""
    models: dict[str, type[BaseModel]] = {
        "task": NewTask,
        "result": Result,
        "stub": Stub,
        "stubpost": Stubpost,
    }
    dialect = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return {name: dialect | model.model_json_schema() for name, model in models.items()}


def _complete(content: dict[str, Any]) -> None:
    """Put the `param` of each task's error back where it is null; leave stubposts out of lists."""
    if "error" in content:
        content["error"].setdefault("param", None)
    for item in content.get("items", ()):
        item.pop("stubposts", None)
    parts = (*content.get("items", ()), *content.get("stubposts", ()))
    for part in (*parts, *content.get("tasks", {}).values()):
        _complete(part)
