"""Tasks as they are shown: in words, with their picture, and as what a program would send."""

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gouache.contract import DEFAULT_PRIORITY, FileObject, GenerateImage, Payload
from gouache.records import ENDED, TaskRecord
from gouache.settings import Settings

STATES = {
    "waiting": "Waiting for the task before it",
    "queued": "Queued",
    "running": "Running",
    "succeeded": "Done",
    "failed": "Failed",
    "cancelled": "Cancelled",
    "skipped": "Skipped",
}
ADVICE = {
    "content_refused": "Write the prompt in other words and start a new task.",
    "engine_unavailable": "Try again in a while; if it stays so, see whether the engine runs.",
    "engine_rate_limited": "Too many were asked for at once; try again in a while.",
    "engine_timed_out": "Try again, or ask for the standard quality, which is quicker.",
    "weights_unusable": "The model's files are damaged; whoever runs the server installs it again.",
    "task_gave_up": "It ended its worker each time; another model or size may do.",
    "storage_error": "The server could not write the file; its log says why.",
    "database_unavailable": "The database was away; try again in a while.",
    "request_error": "Something put into the task cannot be used; start it with another value.",
}
"""What to do about an error, by its code."""

READABLE = ("image/png", "image/jpeg", "image/webp")
"""The content types of files that have small variants."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A file on a page; of a picture also its size, where it is known."""

    fileuuid: str
    filename: str
    is_picture: bool
    alt: str = ""
    width: int = 0
    height: int = 0


@dataclass(frozen=True, slots=True)
class Card:
    """A task and the words for it."""

    task: TaskRecord
    state: str
    prompt: str
    width: int
    height: int
    file: Shown | None
    facts: Sequence[tuple[str, str]]
    advice: str

    @property
    def is_live(self) -> bool:
        """Whether it has not ended."""
        return self.task.state not in ENDED

    @property
    def is_picture(self) -> bool:
        """Whether it draws."""
        return self.task.tasktype == "generate_image"

    @property
    def payload(self) -> str:
        """The payload of its result, for people."""
        payload = self.task.payload
        if isinstance(payload, Payload):
            payload = payload.model_dump(mode="json", exclude_none=True)
        return as_text(payload)


def card_of(task: TaskRecord) -> Card:
    """Return a task as it is shown."""
    request = _request(task)
    width, height = size_of(request.get("size"))
    return Card(
        task=task,
        state=_state(task),
        prompt=str(request.get("prompt", "")),
        width=width,
        height=height,
        file=_file(task, width, height),
        facts=_facts(task, request),
        advice=ADVICE.get(task.error.code, "") if task.error else "",
    )


def said(card: Card) -> str:
    """Return what a screen reader says when a task has changed its state."""
    if card.task.state == "succeeded" and card.file is not None:
        return f"The picture is ready: {card.file.alt}"
    if card.task.error is not None and card.task.state == "failed":
        return f"The task has failed: {card.task.error.message}"
    return f"{card.state}: {shortened(card.prompt)}"


def as_request(task: TaskRecord) -> dict[str, Any]:
    """Return the body by which a program asks for the same task."""
    body: dict[str, Any] = {"tasktype": task.tasktype, "params": task.params}
    body["taskapigatewayuuid"] = task.taskapigatewayuuid
    if task.name != task.tasktype:
        body["name"] = task.name
    if task.conditions:
        body["conditions"] = task.conditions
    if task.priority != DEFAULT_PRIORITY:
        body["priority"] = task.priority
    return body | ({"stubref": task.stubref} if task.stubref else {})


def as_curl(task: TaskRecord, settings: Settings) -> str:
    """Return the command that asks for the same task; it names the key's variable, never the key."""
    words = ["curl", "--json", shlex.quote(json.dumps(as_request(task), ensure_ascii=False))]
    if settings.has_keys:
        words += ["-H", '"Authorization: Bearer $GOUACHE_API_KEY"']
    return " ".join([*words, shlex.quote(f"{settings.address}/tasks")])


def as_text(value: object) -> str:
    """Return a value as JSON for people."""
    return json.dumps(value, ensure_ascii=False, indent=2)


def shortened(text: str, most: int = 80) -> str:
    """Return a text in one line, cut where it is long."""
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 1] + "…"


def files_of(
    attachments: Sequence[FileObject], drawn: Mapping[str, Any] | None = None
) -> list[Shown]:
    """Return the files of a stub or stubpost as they are shown; `drawn` is the payload of the picture."""
    image = (drawn or {}).get("image") or {}
    found = []
    for file in attachments:
        is_known = file.fileuuid == image.get("fileuuid")
        width, height = size_of(drawn["request"].get("size")) if drawn and is_known else (0, 0)
        alt = (image.get("alt_text") if is_known else None) or file.originalname
        is_picture = file.contentType in READABLE
        found.append(Shown(file.fileuuid, file.filename, is_picture, alt, width, height))
    return found


def size_of(size: object) -> tuple[int, int]:
    """Return width and height; those of the default where a template stands for them."""
    default = str(GenerateImage.model_fields["size"].default)
    width, _, height = str(size).partition("x")
    if not (width.isdecimal() and height.isdecimal()):
        width, _, height = default.partition("x")
    return int(width), int(height)


def _request(task: TaskRecord) -> dict[str, Any]:
    """Return what was asked for: as it was resolved, or as it was handed in."""
    return task.payload.request if isinstance(task.payload, Payload) else task.params


def _state(task: TaskRecord) -> str:
    words = STATES[task.state]
    if task.state == "running" and task.tasktype == "generate_image":
        words = "Drawing"
    again = task.state in ("queued", "running") and task.attempts > 1
    return f"{words}, try {task.attempts}" if again else words


def _file(task: TaskRecord, width: int, height: int) -> Shown | None:
    if isinstance(task.payload, Payload):
        image = task.payload.image
        if image is None:
            return None
        alt = image.alt_text or image.originalname
        is_picture = image.contentType in READABLE
        return Shown(image.fileuuid, image.filename, is_picture, alt, width, height)
    made = (task.payload or {}).get("file")
    if not isinstance(made, dict):
        return None
    return files_of([FileObject.model_validate(made)])[0]


def _facts(task: TaskRecord, request: dict[str, Any]) -> list[tuple[str, str]]:
    """Return what there is to know beside the prompt, each with its name."""
    found: list[tuple[str, object]] = []
    if task.tasktype == "generate_image":
        asked = str(request.get("model", GenerateImage.model_fields["model"].default))
        response = task.payload.response if isinstance(task.payload, Payload) else None
        drawn = response.model if response else None
        found.append(
            ("Model", f"{drawn} (asked for as {asked})" if drawn and drawn != asked else asked)
        )
        width, height = size_of(request.get("size"))
        found.append(("Size", f"{width} × {height}"))
        found.append(("Quality", request.get("quality", "standard")))
        found.append(("Style", request.get("style")))
        found.append(("Seed", response.seed if response else request.get("seed")))
        if response and response.unresolved:
            found.append(("Words without influence", ", ".join(response.unresolved)))
    if task.task_duration_ms is not None and task.state == "succeeded":
        found.append(("Took", f"{task.task_duration_ms / 1000:.1f} s"))
    return [(name, shortened(str(value), 300)) for name, value in found if value is not None]
