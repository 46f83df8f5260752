"""A stub as a conversation: its stubposts and the tasks without one, in their order."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

from gouache import ledger
from gouache.records import Stub, Stubpost, TaskRecord
from gouache.service import Service
from gouache.web.page.cards import Card, Shown, as_text, card_of, files_of

POSTS = 10
"""Stubposts on one page: it stays small, and older ones are one link away."""

TASKS = 50
"""How many of the stub's newest tasks are looked through for those that came without a stubpost."""

COMMIT_MS = 2000
"""How long after the time that is written as its end a task may still be seen as running."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened: a stubpost with its tasks, or a task that came without one."""

    created: str
    post: Stubpost | None
    cards: Sequence[Card]
    files: Sequence[Shown] = ()
    data: str = ""

    @property
    def address(self) -> str:
        """The id of its element."""
        if self.post is None:
            return f"lone-{self.cards[0].task.taskuuid}"
        return f"post-{self.post.stubpostuuid}"


@dataclass(frozen=True, slots=True)
class Feed:
    """Part of a stub's history, oldest first; `mark` is how far it goes, for what comes later."""

    stub: Stub
    entries: Sequence[Entry]
    earlier: str | None
    mark: str
    is_newest: bool

    @property
    def unended(self) -> int:
        """How many of the tasks have not ended."""
        return sum(card.is_live for entry in self.entries for card in entry.cards)


def read_feed(service: Service, stubref: str, *, before: str | None = None) -> Feed:
    """Return the newest part of a stub's history, or what comes before another part.

    Raises:
        StubNotFound: there is no such stub.
        RequestError: `before` comes from no part.
    """
    moment = ledger.now()
    number, _, until = (before or "").partition("_")
    stub = service.stub(stubref, stubposts=False)
    page = service.stubposts(stubref, limit=POSTS, after=number or None)
    tasks = service.tasks(stubref=stubref, limit=TASKS).items
    entries = [_post(post) for post in page.items]
    oldest = entries[-1].created if page.next else ""
    entries += [
        _task(task)
        for task in tasks
        if task.stubpostuuid is None
        and oldest <= task.created
        and (not until or task.created < until)
    ]
    return Feed(
        stub=stub,
        entries=sorted(entries, key=lambda entry: entry.created),
        earlier=f"{page.next}_{oldest}" if page.next else None,
        mark=_mark(moment, page.items, tasks),
        is_newest=before is None,
    )


def news(service: Service, stubref: str, mark: str) -> tuple[list[Entry], str]:
    """Return what happened on a stub after a mark, oldest first, and the new mark.

    Raises:
        StubNotFound: there is no such stub.
    """
    moment = ledger.now()
    _, seen_post, seen_task = mark.split("_")
    found = _mark(moment, *_newest(service, stubref, 1))
    if found.endswith(f"_{seen_post}_{seen_task}"):
        return [], found
    posts, tasks = _newest(service, stubref, POSTS)
    new = [_post(post) for post in takewhile(lambda one: one.stubpostuuid != seen_post, posts)]
    new += [
        _task(task)
        for task in takewhile(lambda one: one.taskuuid != seen_task, tasks)
        if task.stubpostuuid is None
    ]
    return sorted(new, key=lambda entry: entry.created), _mark(moment, posts, tasks)


def changed(service: Service, stubref: str, mark: str) -> list[TaskRecord]:
    """Return a stub's newest tasks that have not ended or have since a mark, oldest first."""
    since = ledger.as_text(int(mark.partition("_")[0]) - COMMIT_MS)
    tasks = service.tasks(stubref=stubref, limit=TASKS).items
    return [task for task in reversed(tasks) if task.ended is None or task.ended >= since]


def _newest(
    service: Service, stubref: str, limit: int
) -> tuple[Sequence[Stubpost], Sequence[TaskRecord]]:
    posts = service.stubposts(stubref, limit=limit).items
    return posts, service.tasks(stubref=stubref, limit=limit).items


def _mark(moment: int, posts: Sequence[Stubpost], tasks: Sequence[TaskRecord]) -> str:
    """Return how far a page goes: until when, and which are the newest stubpost and task."""
    post = posts[0].stubpostuuid if posts else ""
    return f"{moment}_{post}_{tasks[0].taskuuid if tasks else ''}"


def _post(post: Stubpost) -> Entry:
    drawn = post.data.get("payload") if post.response_to else None
    return Entry(
        created=post.created,
        post=post,
        cards=[card_of(task) for task in post.tasks.values()],
        files=files_of(post.attachments, drawn),
        data=as_text(post.data) if post.data and not post.response_to else "",
    )


def _task(task: TaskRecord) -> Entry:
    return Entry(created=task.created, post=None, cards=[card_of(task)])
