"""`gouache stubs`: the records of processes, as a list or one with all that happened on it."""

from typing import TYPE_CHECKING, Annotated

import typer

from gouache.commands.options import After, AsJson, DataDir, Limit
from gouache.commands.outcome import errors_shown, print_json
from gouache.commands.tasks import task_line
from gouache.errors import FileNotFound
from gouache.records import Stub, Stubpost
from gouache.settings import read_settings

if TYPE_CHECKING:
    from gouache.service import Service


def stubs(
    stubref: Annotated[
        str | None, typer.Argument(help="The stub to show with its posts; all without it.")
    ] = None,
    state: Annotated[str | None, typer.Option(help="Only stubs in this state.")] = None,
    limit: Limit = 20,
    after: After = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """List the stubs, or show one with its posts and files."""
    with errors_shown(as_json=as_json):
        from gouache.service import open_service

        with open_service(read_settings(data_dir=data_dir)) as service:
            if stubref is not None:
                _show(service, service.stub(stubref), as_json=as_json)
                return
            page = service.stubs(state=state, limit=limit, after=after)
    if as_json:
        print_json(page.model_dump(mode="json"))
        return
    for stub in page.items:
        typer.echo(f"{stub.stubref}  {stub.state}  {stub.updated}")
    if page.next:
        typer.echo(f"For more: --after {page.next}", err=True)


def _show(service: "Service", stub: Stub, *, as_json: bool) -> None:
    if as_json:
        print_json(stub.model_dump(mode="json"))
        return
    typer.echo(f"{stub.stubref}  {stub.state}  {stub.created}")
    for post in stub.stubposts:
        typer.echo("\n".join(_post_lines(service, post)))


def _post_lines(service: "Service", post: Stubpost) -> list[str]:
    """Return a post, its tasks and its files, each file with where it is stored."""
    lines = [f"  {post.created}  {post.action}  {post.message}".rstrip()]
    lines += [f"    {task_line(task)}" for task in post.tasks.values()]
    for file in post.attachments:
        try:
            where = str(service.file_path(file.fileuuid))
        except FileNotFound:
            where = "(deleted)"
        lines.append(f"    {file.filename}  {where}")
    return lines
