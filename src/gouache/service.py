"""The use cases: stubs, stubposts, tasks and files.

What a call accepts is stored when it returns, in one transaction: rows and queued work, or nothing.
With an idempotency key a call happens once; a repetition gets what the first one made.

Every name that leads from outside to a stub, a task or a file is looked up here, among what the caller
may see (`test_nobody_reaches_what_is_another_s_by_any_route`).
"""

from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from datetime import date
from functools import partial
from pathlib import Path

import sqlalchemy as sa
from pydantic import BaseModel, RootModel
from sqlalchemy.exc import IntegrityError

from gouache import backlog, files, keys, ledger
from gouache.contract import FileDetails, Task
from gouache.database import open_database, reading, writing
from gouache.errors import FileNotFound, StubExists, StubpostNotFound, TaskNotFound
from gouache.intake import Checked
from gouache.ledger import Row
from gouache.parts import Parts
from gouache.pictures import picture_page
from gouache.records import (
    NewStub,
    NewStubpost,
    NewTask,
    Page,
    Picture,
    Progress,
    Stub,
    Stubpost,
    TaskRecord,
    TaskState,
    UsageReport,
)
from gouache.settings import Settings
from gouache.watching import watched


class Service(Parts):
    """All that the surfaces may do, for the house, which sees everything; safe to call from any thread."""

    _owner: str | None = None

    def seen_by(self, owner: str | None) -> "Service":
        """Return the same service as the owner of a key sees it: nothing of others is there."""
        if owner == self._owner:
            return self
        view = copy(self)
        view._owner = owner
        return view

    def create_stub(self, new: NewStub, *, key: str | None = None) -> Stub:
        """Make a stub.

        Raises:
            StubExists: another stub has the stubref, whoever's it is.
            FileNotFound: an attachment is none of the caller's files.
            IdempotencyKeyReused: the key came before with another request.
        """

        def write(connection: sa.Connection, _: None) -> str:
            return self._intake.stub(connection, new, owner=self._owner)

        try:
            return self.stub(self._once(key, "stub", new, lambda: None, write))
        except IntegrityError as error:  # another made it at the same moment
            raise StubExists(f"there is a stub {new.stubref}", param="stubref") from error

    def stub(self, stubref: str, *, stubposts: bool = True) -> Stub:
        """Return a stub with all its stubposts, or without.

        Raises:
            StubNotFound: there is none.
        """
        with reading(self._engine) as connection:
            stub = ledger.stub(connection, stubref, owner=self._owner)
            if not stubposts:
                return stub
            rows = ledger.stubpost_rows(connection, stubref)
            return stub.model_copy(update={"stubposts": self._views.stubposts(connection, rows)})

    def stubs(
        self, *, state: str | None = None, limit: int = 20, after: str | None = None
    ) -> Page[Stub]:
        """Return stubs without their stubposts, newest first; a bad `after` is a RequestError."""
        with reading(self._engine) as connection:
            return ledger.stub_page(
                connection, owner=self._owner, state=state, limit=limit, after=after
            )

    def add_stubpost(self, stubref: str, new: NewStubpost, *, key: str | None = None) -> Stubpost:
        """Post on a stub; the tasks of the post run one after the other.

        Raises:
            StubNotFound, FileNotFound, IdempotencyKeyReused
            RequestError: a task is wrong; `param` leads to the field, as in "tasks.logo.params.size".
            GatewayNotFound, UnsupportedByEngine: of one of the tasks.
        """

        def check() -> list[Task]:
            return [self._intake.named(name, task) for name, task in new.tasks.items()]

        def write(connection: sa.Connection, tasks: list[Task]) -> str:
            return self._intake.post(connection, stubref, new, tasks, owner=self._owner)

        written = self._once(key, f"stubpost of {stubref}", new, check, write)
        return self.stubpost(stubref, written)

    def stubpost(self, stubref: str, stubpostuuid: str) -> Stubpost:
        """Return one stubpost with its tasks.

        Raises:
            StubNotFound: there is no such stub.
            StubpostNotFound: it has no such stubpost.
        """
        with reading(self._engine) as connection:
            ledger.stub(connection, stubref, owner=self._owner)
            row = ledger.stubpost_row(connection, stubref, stubpostuuid)
            if row is None:
                message = f"the stub {stubref} has no stubpost {stubpostuuid}"
                raise StubpostNotFound(message, param="stubpostuuid")
            return self._views.stubposts(connection, [row])[0]

    def stubposts(
        self, stubref: str, *, limit: int = 20, after: str | None = None
    ) -> Page[Stubpost]:
        """Return a stub's stubposts, newest first.

        Raises:
            StubNotFound: there is no such stub.
            RequestError: `after` comes from no page.
        """
        with reading(self._engine) as connection:
            ledger.stub(connection, stubref, owner=self._owner)
            rows, following = ledger.stubpost_row_page(
                connection, stubref, limit=limit, after=after
            )
            return Page[Stubpost](items=self._views.stubposts(connection, rows), next=following)

    def submit(self, new: NewTask, *, key: str | None = None) -> TaskRecord:
        """Accept a single task; when this returns it is stored, and it will be run.

        Raises:
            StubNotFound, IdempotencyKeyReused
            RequestError: the request is wrong; `param` leads to the field, as in "params.size".
            GatewayNotFound: no gateway has the UUID.
            UnsupportedByEngine: the gateway cannot do what a field asks for.
        """
        return self._accept([new], new, key, lambda: [self._intake.checked(new)])[0]

    def submit_all(self, tasks: Sequence[NewTask], *, key: str | None = None) -> list[TaskRecord]:
        """Accept all of the tasks or none; raises as `submit` does."""
        body = RootModel[list[NewTask]](list(tasks))
        return self._accept(tasks, body, key, lambda: [self._intake.checked(new) for new in tasks])

    def repeat(
        self, taskuuid: str, *, new_seed: bool = False, key: str | None = None
    ) -> TaskRecord:
        """Accept a task once more, as it was resolved; with `new_seed` it draws another picture.

        On a stub it comes with a stubpost of its own, whose action is "retry" or "variation".

        Raises:
            TaskNotFound: there is none.
            GatewayNotFound: its gateway is in no setting any more.
            IdempotencyKeyReused: the key came before with another request.
        """
        body = RootModel[tuple[str, bool]]((taskuuid, new_seed))

        def write(connection: sa.Connection, first: Row) -> str:
            return str(self._intake.repeat(connection, first, new_seed=new_seed).taskuuid)

        written = self._once(key, "repeat", body, lambda: self._task_row(taskuuid), write)
        return self.task(written)

    def recent_key(self, prefix: str, *, seconds: float) -> str | None:
        """Return the newest idempotency key that begins so and is at most that old."""
        with reading(self._engine) as connection:
            return keys.recent_key(connection, prefix, owner=self._owner, seconds=seconds)

    def task(self, taskuuid: str) -> TaskRecord:
        """Return a task and, once it has ended, its result.

        Raises:
            TaskNotFound: there is none.
        """
        return self._views.tasks([self._task_row(taskuuid)])[0]

    def tasks(
        self,
        *,
        state: TaskState | None = None,
        stubref: str | None = None,
        single: bool = False,
        limit: int = 20,
        after: str | None = None,
    ) -> Page[TaskRecord]:
        """Return tasks, newest first, or only the single ones; a bad `after` is a RequestError."""
        running = list(self._durable.running()) if state in ("queued", "running") else []
        with reading(self._engine) as connection:
            rows, following = ledger.task_row_page(
                connection,
                owner=self._owner,
                state=state,
                running=running,
                stubref=stubref,
                single=single,
                limit=limit,
                after=after,
            )
        return Page[TaskRecord](items=self._views.tasks(rows), next=following)

    def task_counts(self) -> dict[str, int]:
        """Return how many tasks are in each state, whoever's they are."""
        with reading(self._engine) as connection:
            return backlog.task_counts(connection)

    def cancel(self, taskuuid: str) -> TaskRecord:
        """End a task that has not ended; a running one is stopped within a second.

        Raises:
            TaskNotFound: there is none.
            TaskNotCancellable: it has ended.
        """
        return self._views.tasks([self._stubs.cancel(taskuuid, owner=self._owner)])[0]

    def send_webhook(self, taskuuid: str) -> TaskRecord:
        """Send the message about a task once more, or now; raises as `Webhooks.send_again`."""
        return self.webhooks.send_again(taskuuid, owner=self._owner)

    async def wait(self, taskuuids: Sequence[str], seconds: float | None = None) -> bool:
        """Return whether all the tasks have ended, as soon as they have or `seconds` are over."""
        return await self._waiting.ended(taskuuids, seconds, owner=self._owner)

    def events(self, taskuuid: str) -> AsyncGenerator[TaskRecord | Progress, None]:
        """Yield the task, then its progress, and the task again at each change, to its end.

        Raises:
            TaskNotFound: there is none.
        """
        return watched(partial(self.task, taskuuid), self._durable)

    def pictures(
        self, *, search: str = "", limit: int = 20, after: str | None = None
    ) -> Page[Picture]:
        """Return pictures, newest first, of which every word of `search` is said somewhere."""
        with reading(self._engine) as connection:
            return picture_page(
                connection, owner=self._owner, search=search, limit=limit, after=after
            )

    def usage(
        self,
        *,
        gateway: str | None = None,
        key: str | None = None,
        since: date | None = None,
    ) -> UsageReport:
        """Return what was spent, and what is left of the budgets; raises as `Spending.report`."""
        return self.spending.report(gateway=gateway, key=key, since=since, owner=self._owner)

    def file(self, fileuuid: str) -> FileDetails:
        """Return what is known of a file.

        Raises:
            FileNotFound: there is none, or it was deleted.
        """
        return files.file_details(self._file_row(fileuuid))

    def file_path(self, fileuuid: str) -> Path:
        """Return where a file's bytes are; raises as `file` does."""
        return self._files.path(self._file_row(fileuuid).stored)

    def delete_file(self, fileuuid: str) -> None:
        """Delete a file for good; records that name it are kept.

        Raises:
            FileNotFound: as of `file`.
            StorageError: it could not be deleted.
        """
        row = self._file_row(fileuuid)
        with writing(self._engine) as connection:
            files.delete_file(connection, fileuuid)
        self._files.delete(row.stored)

    def file_url(self, fileuuid: str) -> str:
        """Return a link that anybody may follow until it expires; to another's file, as `file`."""
        if self._owner is not None:
            self._file_row(fileuuid)
        return self.links.url(fileuuid)

    def check_link(self, fileuuid: str, expires: str, signature: str) -> None:
        """Refuse, as LinkRefused, a link that is not ours, was altered or has expired."""
        self.links.check(fileuuid, expires, signature)

    def close(self) -> None:
        """Run no more tasks, and let go of the database."""
        self.work.stop()
        self.gateways.close()
        self._durable.close()
        self._engine.dispose()

    def _once(
        self,
        key: str | None,
        kind: str,
        body: BaseModel,
        check: Callable[[], Checked],
        write: Callable[[sa.Connection, Checked], str],
    ) -> str:
        return self._intake.once(key, kind, body, check, write, owner=self._owner)

    def _accept(
        self,
        tasks: Sequence[NewTask],
        body: BaseModel,
        key: str | None,
        check: Callable[[], list[Task]],
    ) -> list[TaskRecord]:
        accepted: list[Row] = []

        def write(connection: sa.Connection, checked: list[Task]) -> str:
            for new, task in zip(tasks, checked, strict=True):
                accepted.append(self._intake.submit(connection, new, task, owner=self._owner))
            return ",".join(row.taskuuid for row in accepted)

        written = self._once(key, "task", body, check, write).split(",")
        if [row.taskuuid for row in accepted] == written:
            return [ledger.task_record(row) for row in accepted]
        return [self.task(taskuuid) for taskuuid in written]  # the first answer to this key

    def _task_row(self, taskuuid: str) -> Row:
        with reading(self._engine) as connection:
            row = ledger.task_row(connection, taskuuid, owner=self._owner)
        if row is None:
            raise TaskNotFound(f"there is no task {taskuuid}", param="taskuuid")
        return row

    def _file_row(self, fileuuid: str) -> Row:
        with reading(self._engine) as connection:
            row = files.file_row(connection, fileuuid, owner=self._owner)
        if row is None:
            raise FileNotFound(f"there is no file {fileuuid}", param="fileuuid")
        return row


@contextmanager
def open_service(settings: Settings) -> Iterator[Service]:
    """Yield the service, on a database and folders that are made where they are missing.

    Raises:
        DatabaseUnavailable, StorageError, SettingsError
    """
    service = Service(settings, open_database(settings.database))
    try:
        yield service
    finally:
        service.close()
