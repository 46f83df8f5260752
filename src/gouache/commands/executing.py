"""Executing tasks in a command's own process, where no other process does on the same data folder."""

import asyncio
from typing import TYPE_CHECKING

from gouache.errors import AlreadyRunning

if TYPE_CHECKING:
    from gouache.service import Service

TAKE_OVER_SECONDS = 2.0


async def take_over(service: "Service") -> None:
    """Make this process execute as soon as no other one does."""
    while not await asyncio.to_thread(started, service):
        await asyncio.sleep(TAKE_OVER_SECONDS)


def started(service: "Service") -> bool:
    """Make this process execute, or return False where another one does."""
    try:
        service.work.start()
    except AlreadyRunning:
        return False
    return True
