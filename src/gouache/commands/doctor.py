"""`gouache doctor`: what this installation is made of, and what is wrong with it."""

import shutil
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from gouache.callers import Callers, missing_keys
from gouache.commands.options import AsJson, DataDir
from gouache.commands.outcome import UNWELL, errors_shown, print_json
from gouache.errors import GouacheError
from gouache.settings import (
    Settings,
    check_exposure,
    read_settings,
    settings_sources,
    shown_settings,
    unknown_variables,
)

if TYPE_CHECKING:
    from gouache.service import Service

ENOUGH_BYTES = 500_000_000
"""Less free disk than this is a problem: some hundred pictures."""


@dataclass(slots=True)
class Report:
    """What was found: by section and name; `problems` are sentences that say what to do."""

    sections: dict[str, dict[str, Any]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def doctor(
    sweep: Annotated[
        bool, typer.Option("--sweep", help="Delete stored files that no record points to.")
    ] = False,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Examine settings, disk, database, weights and files."""
    with errors_shown(as_json=as_json):
        settings = read_settings(data_dir=data_dir)
        report = Report()
        _look_at_settings(settings, report)
        _look_at_data(settings, report)
        _look_at_database(settings, report, sweep=sweep)
        _look_at_weights(report)
        _look_at_gateways(settings, report)
    if as_json:
        print_json({"well": not report.problems, "problems": report.problems, **report.sections})
    else:
        _print(report)
    if report.problems:
        raise typer.Exit(UNWELL)


def _look_at_settings(settings: Settings, report: Report) -> None:
    sources = settings_sources(settings)
    report.sections["settings"] = {
        name: {"value": value, "source": sources[name]}
        for name, value in shown_settings(settings).items()
    }
    report.problems += unknown_variables()
    report.problems += [
        f"the key {name} opens nothing: set its variable" for name in missing_keys(settings)
    ]
    try:
        check_exposure(settings)
        Callers(settings)
    except GouacheError as error:
        report.problems.append(error.message)


def _look_at_data(settings: Settings, report: Report) -> None:
    folder = settings.data_dir.resolve()
    there = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(there).free
    report.sections["data"] = {
        "folder": str(folder),
        "made": folder.is_dir(),
        "free_bytes": free,
    }
    if free < ENOUGH_BYTES:
        report.problems.append(f"only {_size(free)} are free in {there}; make room")


def _look_at_database(settings: Settings, report: Report, *, sweep: bool) -> None:
    """Look into the database; one that is not there yet is not made for that."""
    from gouache.database import VERSION
    from gouache.service import open_service

    embedded = settings.database.startswith("sqlite")
    found: dict[str, Any] = {"kind": "SQLite" if embedded else "PostgreSQL"}
    report.sections["database"] = found
    if embedded and not Path(settings.database.removeprefix("sqlite:///")).exists():
        found["reachable"] = "made when it is first needed"
        return
    try:
        with open_service(settings) as service:
            found |= {"reachable": True, "version": VERSION, "tasks": service.task_counts()}
            found["webhooks"] = service.webhooks.counts()
            found["workers"] = service.work.workers()
            _look_at_files(service, report, sweep=sweep)
    except GouacheError as error:
        found["reachable"] = False
        report.problems.append(
            f"{error.message}; check that the database runs and database_url is right, or that "
            f"{settings.data_dir} may be written"
        )


def _look_at_files(service: "Service", report: Report, *, sweep: bool) -> None:
    swept = service.work.sweep() if sweep else []
    orphans, missing = service.work.orphans(), service.work.missing()
    report.sections["files"] = {
        "swept": [str(path) for path in swept],
        "orphans": [str(path) for path in orphans],
        "missing": missing,
    }
    for gateway, count in service.work.stranded().items():
        report.problems.append(
            f"tasks wait for the gateway {gateway!r}, which is in no setting: {count}; add it again "
            "or cancel them"
        )
    if orphans:
        report.problems.append(
            f"stored files without a record: {len(orphans)}; gouache doctor --sweep deletes them"
        )
    if missing:
        report.problems.append(
            f"files of finished tasks that are gone: {len(missing)}; restore the files folder from "
            "a backup, or run their tasks again"
        )


def _look_at_weights(report: Report) -> None:
    from gouache.diffusion.weights import open_model

    folder = Path(str(files("gouache") / "weights"))
    try:
        model = open_model(folder)
        report.sections["weights"] = {"model": model.name, "whole": True}
    except GouacheError as error:
        report.sections["weights"] = {"model": None, "whole": False}
        report.problems.append(f"{error.message}; install the package again")


def _look_at_gateways(settings: Settings, report: Report) -> None:
    from gouache.engines import Explained
    from gouache.gateways import Gateways

    gateways = Gateways(settings)
    report.sections["gateways"] = found = {}
    for name, row in settings.all_gateways.items():
        try:
            models = ", ".join(sorted(gateways.capabilities(name).models))
            report.problems += gateways.endings(name) + gateways.unpriced(name)
            engine = gateways.engine(name)
            said = "; ".join([models, *(engine.explain() if isinstance(engine, Explained) else ())])
            found[name] = f"{row.taskapigatewayuuid}, engine {row.engine}: {said}"
        except GouacheError as error:
            found[name] = f"{row.taskapigatewayuuid}, engine {row.engine}: cannot be used"
            report.problems.append(error.message)


def _print(report: Report) -> None:
    """Print the report for people."""
    console = Console(highlight=False, soft_wrap=True)
    for title, found in report.sections.items():
        console.print(f"[bold]{title.capitalize()}[/bold]")
        for name, value in found.items():
            console.print(f"  {_label(name):20}  {escape(_shown(name, value))}")
    for problem in report.problems:
        console.print(f"[red]Problem:[/red] {escape(problem)}")
    if not report.problems:
        console.print("[green]All is well.[/green]")


def _label(name: str) -> str:
    return {"free_bytes": "free", "made": "there"}.get(name, name.replace("_", " "))


def _shown(name: str, value: Any) -> str:
    match value:
        case {"value": shown, "source": source}:
            return f"{shown or '(empty)'}  ({source})"
        case dict():
            return ", ".join(f"{count} {state}" for state, count in value.items()) or "none"
        case list():
            return ", ".join(value) or "none"
        case bool():
            return "yes" if value else "no"
        case int() if name.endswith("bytes"):
            return _size(value)
        case _:
            return str(value)


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB"
