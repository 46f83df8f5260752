"""`gouache tasks` and `gouache cancel`: what was accepted, how far it is, and an end to it."""

from typing import Annotated

import typer

from gouache.commands.options import After, AsJson, DataDir, Limit
from gouache.commands.outcome import errors_shown, print_json
from gouache.errors import RequestError
from gouache.records import TaskRecord, TaskState
from gouache.settings import read_settings


def tasks(
    taskuuid: Annotated[
        str | None, typer.Argument(help="The task to show as JSON; all without it.")
    ] = None,
    state: Annotated[TaskState | None, typer.Option(help="Only tasks in this state.")] = None,
    limit: Limit = 20,
    after: After = None,
    resend: Annotated[
        bool, typer.Option("--resend", help="Send the task's webhook again, or now.")
    ] = False,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """List the tasks, newest first, or show one."""
    with errors_shown(as_json=as_json):
        if resend and taskuuid is None:
            raise RequestError("which task's webhook? name the task", param="taskuuid")
        from gouache.service import open_service

        with open_service(read_settings(data_dir=data_dir)) as service:
            if taskuuid is not None:
                task = service.webhooks.send_again(taskuuid) if resend else service.task(taskuuid)
                print_json(task.model_dump(mode="json", exclude_none=True))
                return
            page = service.tasks(state=state, limit=limit, after=after)
    if as_json:
        print_json(page.model_dump(mode="json", exclude_none=True))
        return
    for task in page.items:
        typer.echo(f"{task.taskuuid}  {task.created}  {task_line(task)}")
    if page.next:
        typer.echo(f"For more: --after {page.next}", err=True)


def cancel(
    taskuuid: Annotated[str, typer.Argument(help="The task, as gouache tasks lists it.")],
    data_dir: DataDir = None,
) -> None:
    """Cancel a task that has not ended."""
    with errors_shown(as_json=False):
        from gouache.service import open_service

        with open_service(read_settings(data_dir=data_dir)) as service:
            typer.echo(task_line(service.cancel(taskuuid)))


def task_line(task: TaskRecord) -> str:
    """Return a task as one line: its name, its state, how long it took, why it failed."""
    pieces = [task.name, task.state]
    if task.task_duration_ms is not None:
        pieces.append(f"{task.task_duration_ms / 1000:.1f} s")
    if task.error:
        pieces.append(f"{task.error.code}: {task.error.message}")
    return "  ".join(pieces)
