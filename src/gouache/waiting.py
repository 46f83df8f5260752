"""Waiting for tasks to end: one question to the database for all who wait in this process."""

import asyncio
from collections.abc import Sequence

import sqlalchemy as sa

from gouache import backlog
from gouache.database import reading

FIRST_SECONDS = 0.05
LONGEST_SECONDS = 0.4


class Waiting:
    """Those who wait, and the one who looks; used from one event loop."""

    def __init__(self, engine: sa.Engine) -> None:
        """Wait for nothing yet."""
        self._engine = engine
        self._awaited: dict[str, set[asyncio.Event]] = {}
        self._watcher: asyncio.Task[None] | None = None
        self._pause = FIRST_SECONDS

    async def ended(
        self, taskuuids: Sequence[str], seconds: float | None, *, owner: str | None
    ) -> bool:
        """Return whether all the tasks have ended, as soon as they have or `seconds` are over.

        For a task of another than `owner` nobody waits, as for one that there is not.

        Raises:
            DatabaseUnavailable: nobody can tell.
        """
        try:
            async with asyncio.timeout(seconds):
                for taskuuid in taskuuids:
                    await self._end(taskuuid, owner)
            return True
        except TimeoutError:
            return False

    async def _end(self, taskuuid: str, owner: str | None) -> None:
        if await asyncio.to_thread(self._still, [taskuuid], owner) == []:
            return
        event = asyncio.Event()
        self._awaited.setdefault(taskuuid, set()).add(event)
        self._pause = FIRST_SECONDS
        if self._watcher is None or self._watcher.done():
            self._watcher = asyncio.create_task(self._watch())
        try:
            await event.wait()
        finally:
            events = self._awaited.get(taskuuid, set())
            events.discard(event)
            if not events:
                self._awaited.pop(taskuuid, None)
        if self._watcher.done():
            self._watcher.result()

    async def _watch(self) -> None:
        try:
            while self._awaited:
                await asyncio.sleep(self._pause)
                self._pause = min(self._pause * 1.2, LONGEST_SECONDS)
                awaited = list(self._awaited)
                still = set(await asyncio.to_thread(self._still, awaited))
                for taskuuid in set(awaited) - still:
                    self._wake(taskuuid)
        finally:  # also where the database is away: nobody waits for ever
            for taskuuid in list(self._awaited):
                self._wake(taskuuid)

    def _wake(self, taskuuid: str) -> None:
        for event in self._awaited.pop(taskuuid, set()):
            event.set()

    def _still(self, taskuuids: Sequence[str], owner: str | None = None) -> list[str]:
        with reading(self._engine) as connection:
            return backlog.unended(connection, taskuuids, owner=owner)
