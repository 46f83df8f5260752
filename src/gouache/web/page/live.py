"""Pages that change by themselves: pieces of HTML by server-sent events.

A page has one stream, whatever runs on it: browsers keep few connections to one server. A stream that
broke is begun again by the page's script, with the mark it came to, and says how everything is now.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query
from fastapi.sse import EventSourceResponse, ServerSentEvent

from gouache.errors import GouacheError
from gouache.records import ENDED, Progress, TaskRecord
from gouache.service import Service
from gouache.web.page.cards import Card, card_of, said, shortened
from gouache.web.page.feed import Entry, changed, news
from gouache.web.page.rendering import render
from gouache.web.parameters import StubRef, TaskUuid, TheService
from gouache.web.refusals import shown

NEWS_SECONDS = 0.7
MARK = r"^[0-9]{1,13}_[0-9a-f-]{0,36}_[0-9a-f-]{0,36}$"

AT_ONCE = 6
"""How many tasks of a page are watched at once; the others are queued behind them anyway."""

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True)
class Piece:
    """What has changed on a page: new entries, or a task, or how far it is."""

    entries: tuple[Entry, ...] = ()
    card: Card | None = None
    step: Progress | None = None
    said: str = ""
    title: str = ""
    is_alone: bool = False

    def as_html(self, service: Service) -> str:
        """Return the piece as the page's script puts it in."""
        values = {name: getattr(self, name) for name in self.__slots__}
        return render(service.settings, "live.html", **values)


def _known_stub(service: TheService, stubref: StubRef) -> str:
    """Return the reference of a stub there is; afterwards it is too late to answer with an error."""
    return service.stub(stubref, stubposts=False).stubref


def _known_task(service: TheService, taskuuid: TaskUuid) -> str:
    return service.task(taskuuid).taskuuid


@router.get("/ui/stubs/{stubref}/live", response_class=EventSourceResponse)
async def watch_stub(
    service: TheService,
    stubref: Annotated[str, Depends(_known_stub)],
    mark: Annotated[str, Query(pattern=MARK)],
    last_event_id: Annotated[str | None, Header(pattern=MARK)] = None,
) -> AsyncIterator[ServerSentEvent]:
    """Send what happens on a stub after a mark."""
    watching = _Watching(service, stubref, last_event_id or mark)
    try:
        async with aclosing(watching.pieces()) as pieces:
            async for piece in pieces:
                yield ServerSentEvent(raw_data=piece.as_html(service), id=watching.mark)
    except GouacheError as error:  # the script asks again
        shown(error, f"GET /ui/stubs/{stubref}/live")
    finally:
        await watching.stop()


@router.get("/ui/tasks/{taskuuid}/live", response_class=EventSourceResponse)
async def watch_task(
    service: TheService, taskuuid: Annotated[str, Depends(_known_task)]
) -> AsyncIterator[ServerSentEvent]:
    """Send what happens to a task, to its end."""
    state, card = "", None
    try:
        async with aclosing(service.events(taskuuid)) as happenings:
            async for happening in happenings:
                if isinstance(happening, Progress):
                    piece = Piece(card=card, step=happening, is_alone=True)
                else:
                    card = card_of(happening)
                    is_news = happening.state != state and (state or happening.state in ENDED)
                    state = happening.state
                    title = f"{card.state}: {shortened(card.prompt, 60)}"
                    words = said(card) if is_news else ""
                    piece = Piece(card=card, said=words, title=title, is_alone=True)
                yield ServerSentEvent(raw_data=piece.as_html(service))
        yield ServerSentEvent(event="end", raw_data="")
    except GouacheError as error:  # the script asks again
        shown(error, f"GET /ui/tasks/{taskuuid}/live")


class _Watching:
    """One page of a stub: what is posted on it, and the tasks on it that have not ended."""

    def __init__(self, service: Service, stubref: str, mark: str) -> None:
        self.mark = mark
        self._service = service
        self._stubref = stubref
        self._later: dict[str, None] = {}
        self._watched: dict[str, asyncio.Task[None]] = {}
        self._cards: dict[str, Card] = {}
        self._happenings: asyncio.Queue[TaskRecord | tuple[str, Progress] | GouacheError]
        self._happenings = asyncio.Queue()

    async def pieces(self) -> AsyncGenerator[Piece]:
        """Yield what is to be changed on the page, for as long as somebody looks."""
        for task in await asyncio.to_thread(changed, self._service, self._stubref, self.mark):
            if task.state in ENDED:
                yield Piece(card=card_of(task))
            else:
                self._later[task.taskuuid] = None
        while True:
            entries, self.mark = await asyncio.to_thread(
                news, self._service, self._stubref, self.mark
            )
            cards = [card for entry in entries for card in entry.cards]
            self._later |= {card.task.taskuuid: None for card in cards if card.is_live}
            self._watch()
            if entries:
                yield Piece(entries=tuple(entries), title=self._title())
            async for piece in self._until_the_next_look():
                yield piece

    async def stop(self) -> None:
        """Watch nothing any more."""
        for task in self._watched.values():
            task.cancel()
        await asyncio.gather(*self._watched.values(), return_exceptions=True)

    async def _until_the_next_look(self) -> AsyncGenerator[Piece]:
        end = time.monotonic() + NEWS_SECONDS
        while (seconds := end - time.monotonic()) > 0:
            try:
                happening = await asyncio.wait_for(self._happenings.get(), seconds)
            except TimeoutError:
                return
            if isinstance(happening, GouacheError):
                raise happening
            yield self._piece(happening)

    def _piece(self, happening: TaskRecord | tuple[str, Progress]) -> Piece:
        if isinstance(happening, tuple):
            taskuuid, step = happening
            return Piece(card=self._cards[taskuuid], step=step)
        known = self._cards.get(happening.taskuuid)
        card = self._cards[happening.taskuuid] = card_of(happening)
        if not card.is_live:
            self._watched.pop(happening.taskuuid, None)
            self._watch()
        is_news = not card.is_live or (known and known.state != card.state)
        return Piece(card=card, said=said(card) if is_news else "", title=self._title())

    def _watch(self) -> None:
        """Begin to watch tasks, as long as there is room."""
        while self._later and len(self._watched) < AT_ONCE:
            taskuuid = next(iter(self._later))
            del self._later[taskuuid]
            if taskuuid not in self._watched:
                self._watched[taskuuid] = asyncio.create_task(self._follow(taskuuid))

    async def _follow(self, taskuuid: str) -> None:
        try:
            async with aclosing(self._service.events(taskuuid)) as happenings:
                async for happening in happenings:
                    if isinstance(happening, Progress):
                        await self._happenings.put((taskuuid, happening))
                    else:
                        await self._happenings.put(happening)
        except GouacheError as error:
            await self._happenings.put(error)

    def _title(self) -> str:
        count = len(self._watched) + len(self._later)
        return f"{count} running: {self._stubref}" if count else self._stubref
