"""`gouache usage`: what was spent, and what is left of the budgets."""

from datetime import datetime
from typing import Annotated

import typer

from gouache.commands.options import AsJson, DataDir
from gouache.commands.outcome import errors_shown, print_json
from gouache.records import Spent, UsageReport
from gouache.settings import read_settings


def usage(
    gateway: Annotated[str | None, typer.Option(help="Only this gateway.")] = None,
    key: Annotated[str | None, typer.Option(help="Only the key of this name.")] = None,
    since: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="From this day on (UTC); else this month."),
    ] = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Show what was spent by day, gateway, model and key, and what is left of budgets."""
    with errors_shown(as_json=as_json):
        from gouache.service import open_service

        with open_service(read_settings(data_dir=data_dir)) as service:
            day = since.date() if since else None
            report = service.usage(gateway=gateway, key=key, since=day)
    if as_json:
        print_json(report.model_dump(mode="json"))
        return
    for line in usage_lines(report):
        typer.echo(line)


def usage_lines(report: UsageReport) -> list[str]:
    """Return a report in words, a line for each sum and each budget."""
    lines = [
        f"{one.day}  {one.gateway}  {one.model}{_of_key(one)}  {_sums(one)}" for one in report.items
    ]
    lines.append(f"since {report.since}  {_sums(report)}")
    for budget in report.budgets:
        lines.append(
            f"budget of {budget.gateway or f'the key {budget.key}'}: {budget.left_usd} of {budget.budget_usd} USD left this "
            f"{budget.budget_period}, until {budget.renews}"
        )
    return lines


def _of_key(one: Spent) -> str:
    return f"  key {one.key}" if one.key else ""


def _sums(one: Spent | UsageReport) -> str:
    tries = "1 try" if one.tries == 1 else f"{one.tries} tries"
    pieces = [tries, f"{one.cost_usd} USD"]
    if one.open_usd != "0.00":
        pieces.append(f"{one.open_usd} USD set aside")
    if one.unknown:
        pieces.append(f"{one.unknown} of unknown cost")
    return "  ".join(pieces)
