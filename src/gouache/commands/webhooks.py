"""`gouache webhook-secret`, and what a command that runs tasks owes their webhooks before it leaves."""

import asyncio
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

import typer

from gouache.commands.options import DataDir
from gouache.commands.outcome import errors_shown, say_warning
from gouache.settings import read_settings

if TYPE_CHECKING:
    from gouache.service import Service

TRY_SECONDS = 35.0
"""A little longer than a try may take."""

LOOK_SECONDS = 0.1


def webhook_secret(data_dir: DataDir = None) -> None:
    """Print the secret by which receivers of webhooks know that they come from here."""
    with errors_shown(as_json=False):
        from gouache.service import open_service

        with open_service(read_settings(data_dir=data_dir)) as service:
            typer.echo(service.webhooks.secret())


def see_delivered(service: "Service", taskuuids: Iterable[str], stop: asyncio.Event) -> None:
    """Wait for the first try of each message about these tasks; say which did not arrive."""
    until = time.monotonic() + TRY_SECONDS
    for taskuuid in taskuuids:
        webhook = service.task(taskuuid).webhook
        while webhook is not None and (webhook.state, webhook.attempts) == ("queued", 0):
            if stop.is_set() or time.monotonic() > until:
                break
            time.sleep(LOOK_SECONDS)
            webhook = service.task(taskuuid).webhook
        if webhook is not None and webhook.state != "delivered":
            why = webhook.error or "was not tried yet"
            next_try = "; gouache serve tries again" if webhook.state == "queued" else ""
            say_warning(f"the webhook of the task {taskuuid} {why}{next_try}")
