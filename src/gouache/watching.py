"""Watching a task: its record whenever its state changes, and how far it is in between."""

import asyncio
from collections.abc import AsyncGenerator, Callable

from gouache.durable import Durable
from gouache.records import ENDED, Progress, TaskRecord

STATE_CHANGE_SECONDS = 0.3


async def watched(
    read: Callable[[], TaskRecord], durable: Durable
) -> AsyncGenerator[TaskRecord | Progress, None]:
    """Yield the task that `read` returns, then its progress, and the task again at each change.

    Raises:
        whatever `read` raises
    """
    record = await asyncio.to_thread(read)
    yield record
    while record.state not in ENDED:
        if record.state != "waiting":
            async for progress in durable.events(record.taskuuid, record.attempts):
                if record.state == "queued":
                    record = await asyncio.to_thread(read)
                    yield record
                yield progress
        seen = record
        while (record.state, record.attempts) == (seen.state, seen.attempts):
            await asyncio.sleep(STATE_CHANGE_SECONDS)
            record = await asyncio.to_thread(read)
        yield record
