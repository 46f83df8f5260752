"""Taking tasks in: what is wrong is refused by name, what is taken is written down and queued."""

import hashlib
import json
import secrets
import string
import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

import sqlalchemy as sa
from pydantic import BaseModel
from sqlalchemy.exc import IntegrityError

from gouache import files, keys, ledger
from gouache.contract import FileObject, GenerateImage, Task, read
from gouache.database import reading, writing
from gouache.errors import FileNotFound, IdempotencyKeyReused, RequestError, StubExists
from gouache.gateways import NEIGHBOURS, Assigned, Gateways
from gouache.ledger import Row
from gouache.preparing import used_params
from gouache.records import Attachment, NewStub, NewStubpost, NewTask
from gouache.spending import Spending
from gouache.stubs import Stubs
from gouache.substitution import check_conditions, check_templates, is_template
from gouache.tasktypes import PARAMS
from gouache.webhooks import Webhooks

_A_FILE = str(uuid.UUID(int=0))
STAND_INS: dict[str, Any] = {
    **dict.fromkeys(("prompt", "html", "text", "content", "filename"), "..."),
    **dict.fromkeys(("fileuuid", "pdftemplateuuid"), _A_FILE),
    **dict.fromkeys(("files", "fileuuids", "images"), [_A_FILE]),
    "data": {},
}
"""What stands for a field while nobody knows what will be put in: others may depend on it."""

_LETTERS = string.ascii_uppercase + string.digits

Checked = TypeVar("Checked")


class Intake:
    """Checks what is handed in, and writes it down.

    `owner` is whose key it was handed in with, None for the house. What is put on a stub belongs to
    the owner of the stub, whoever puts it there, and may name that owner's files only.
    """

    def __init__(
        self,
        engine: sa.Engine,
        *,
        gateways: Gateways,
        spending: Spending,
        stubs: Stubs,
        webhooks: Webhooks,
    ) -> None:
        """Take in nothing yet."""
        self._engine = engine
        self._gateways = gateways
        self._spending = spending
        self._stubs = stubs
        self._webhooks = webhooks

    def once(
        self,
        key: str | None,
        kind: str,
        body: BaseModel,
        check: Callable[[], Checked],
        write: Callable[[sa.Connection, Checked], str],
        *,
        owner: str | None,
    ) -> str:
        """Check and write once for each key; return what was written, now or the first time.

        Raises:
            IdempotencyKeyReused: the key came before with another body.
        """
        if key is None:
            checked = check()
            with writing(self._engine) as connection:
                return write(connection, checked)
        text = json.dumps([kind, body.model_dump(mode="json")], sort_keys=True)
        fingerprint = hashlib.sha256(text.encode()).hexdigest()
        row = self._key_row(key, owner)
        if row is None:
            checked = check()
            try:
                with writing(self._engine) as connection:
                    row = keys.key_row(connection, key, owner=owner)
                    if row is None:
                        target = write(connection, checked)
                        keys.insert_key(
                            connection, key, owner=owner, fingerprint=fingerprint, target=target
                        )
                        return target
            except IntegrityError:  # the same key at the same moment, and the other was first
                row = self._key_row(key, owner)
                if row is None:
                    raise
        if row.fingerprint != fingerprint:
            raise IdempotencyKeyReused(
                "this idempotency key came before with another request; use a new one",
                param="Idempotency-Key",
            )
        first: str = row.target
        return first

    def _key_row(self, key: str, owner: str | None) -> Row | None:
        with reading(self._engine) as connection:
            return keys.key_row(connection, key, owner=owner)

    def checked(self, task: Task, *, inside: str = "") -> Task:
        """Return the task; what its gateway does not know or cannot do is refused by name.

        Raises:
            RequestError: the request is wrong; `param` leads to the field, after `inside`.
            GatewayNotFound: no gateway has the UUID.
            UnsupportedByEngine: the gateway cannot do what a field asks for.
            WebhookRefused: the webhook must not be called.
        """
        path = f"{inside}.params" if inside else "params"
        check_templates(task.params, inside=path)
        self._webhooks.check(task, inside=inside)
        check_conditions(task.conditions, inside=f"{inside}.conditions" if inside else "conditions")
        request = read(PARAMS[task.tasktype], _certain(task.params), inside=path)
        if isinstance(request, GenerateImage):
            gateway = self._gateways.find(task.taskapigatewayuuid, inside=inside)
            self._gateways.check(gateway, request, inside=path)
        return task

    def named(self, name: str, values: dict[str, Any]) -> Task:
        """Return the task that a stubpost has under a name, checked.

        Raises:
            RequestError: it is wrong; `param` leads to the field, as in "tasks.logo.params.size".
            GatewayNotFound, UnsupportedByEngine: as of `checked`.
        """
        inside = f"tasks.{name}"
        task = read(Task, {"name": name} | values, inside=inside)
        if task.name != name:
            message = f"{inside}.name must be the key of the task; leave it out"
            raise RequestError(message, param=f"{inside}.name")
        return self.checked(task, inside=inside)

    def stub(self, connection: sa.Connection, new: NewStub, *, owner: str | None) -> str:
        """Write down a stub; return its stubref.

        Raises:
            StubExists, FileNotFound
        """
        stubref = new.stubref or new_stubref()
        if ledger.has_stub(connection, stubref):
            raise StubExists(f"there is a stub {stubref}", param="stubref")
        ledger.insert_stub(
            connection,
            stubref,
            owner=owner,
            state=new.state,
            data=new.data,
            attachments=self.attachments(connection, new.attachments, owner=owner),
        )
        return stubref

    def post(
        self,
        connection: sa.Connection,
        stubref: str,
        new: NewStubpost,
        tasks: Sequence[Task],
        *,
        owner: str | None,
    ) -> str:
        """Write down a stubpost and its checked tasks, of which the first is queued; return its UUID.

        Raises:
            StubNotFound, FileNotFound
        """
        whose = ledger.lock_stub(connection, stubref, owner=owner)
        stubpostuuid = str(uuid.uuid4())
        ledger.insert_stubpost(
            connection,
            stubref,
            stubpostuuid,
            action=new.action,
            message=new.message,
            data=new.data,
            attachments=self.attachments(connection, new.attachments, owner=whose),
        )
        for i, task in enumerate(tasks):
            self.accept(
                connection,
                task,
                owner=whose,
                stubref=stubref,
                stubpostuuid=stubpostuuid,
                waiting=i > 0,
            )
        return stubpostuuid

    def submit(
        self,
        connection: sa.Connection,
        new: NewTask,
        task: Task,
        *,
        owner: str | None,
    ) -> Row:
        """Write down a single task, of which `task` is what was checked, and queue it.

        Raises:
            StubNotFound, BudgetExceeded
        """
        if new.stubref:
            owner = ledger.lock_stub(connection, new.stubref, owner=owner)
        return self.accept(connection, task, owner=owner, stubref=new.stubref)

    def accept(
        self,
        connection: sa.Connection,
        task: Task,
        *,
        owner: str | None,
        stubref: str | None,
        stubpostuuid: str | None = None,
        waiting: bool = False,
        is_resolved: bool = False,
    ) -> Row:
        """Write down a task and queue it, unless it waits for the one before it.

        Where `is_resolved`, what looks like a template in its params is none: it was put in.

        Raises:
            BudgetExceeded: the gateway or the owner has no money for it now.
        """
        gateway, assigned = NEIGHBOURS, Assigned()
        params = task.params if is_resolved else _certain(task.params)
        request = read(PARAMS[task.tasktype], params)
        if isinstance(request, GenerateImage):
            gateway = self._gateways.find(task.taskapigatewayuuid)
            self._spending.check(connection, gateway, request, owner=owner)
            if is_resolved or not is_template(task.params):
                assigned = self._gateways.assigned(gateway, request, owner=owner)
        row = ledger.insert_task(
            connection,
            taskuuid=str(uuid.uuid4()),
            owner=owner,
            stubref=stubref,
            stubpostuuid=stubpostuuid,
            name=task.name,
            tasktype=task.tasktype,
            taskapigatewayuuid=str(task.taskapigatewayuuid),
            gateway=gateway,
            params=task.params,
            resolved=task.params if is_resolved else None,
            conditions=task.conditions or None,
            warnings=[*task.warnings(), *request.warnings(), *assigned.warnings],
            seed=assigned.seed,
            cache=task.cache,
            cache_key=assigned.cache_key,
            priority=task.priority,
            state="waiting" if waiting else "queued",
            webhook=self._webhooks.wanted(task),
        )
        if not waiting:
            self._stubs.queue(connection, row)
        return row

    def repeat(self, connection: sa.Connection, row: Row, *, new_seed: bool) -> Row:
        """Write down a task once more, with everything put in that was; on its stub as a stubpost.

        Raises:
            GatewayNotFound: its gateway is in no setting any more.
        """
        left_out = ("seed", "seed_from") if new_seed else ()
        params = {name: value for name, value in used_params(row).items() if name not in left_out}
        values = {name: getattr(row, name) for name in ("tasktype", "name", "priority", "webhook")}
        values |= {"taskapigatewayuuid": row.taskapigatewayuuid, "params": params}
        task = read(Task, values | {"cache": row.cache and not new_seed})
        stubpostuuid = None
        if row.stubref is not None:
            stubpostuuid = str(uuid.uuid4())
            self._post_again(connection, row, stubpostuuid, "variation" if new_seed else "retry")
        return self.accept(
            connection,
            task,
            owner=row.owner,
            stubref=row.stubref,
            stubpostuuid=stubpostuuid,
            is_resolved=row.resolved is not None,
        )

    def _post_again(
        self, connection: sa.Connection, row: Row, stubpostuuid: str, action: str
    ) -> None:
        """Write down the stubpost of a repeated task, with what its templates may still read."""
        ledger.lock_stub(connection, row.stubref, owner=row.owner)
        first = None
        if row.stubpostuuid is not None and row.resolved is None and is_template(row.params):
            first = ledger.stubpost_row(connection, row.stubref, row.stubpostuuid)
        ledger.insert_stubpost(
            connection,
            row.stubref,
            stubpostuuid,
            action=action,
            message="",
            data=first.data if first else {},
            attachments=[FileObject(**file) for file in first.attachments] if first else [],
        )

    def attachments(
        self, connection: sa.Connection, attachments: Sequence[Attachment], *, owner: str | None
    ) -> list[FileObject]:
        """Return the file objects of files that are the owner's.

        Raises:
            FileNotFound: one is not.
        """
        found = []
        for i, fileuuid in enumerate(attachments):
            row = files.file_row(connection, fileuuid, owner=owner)
            if row is None:
                raise FileNotFound(f"there is no file {fileuuid!r}", param=f"attachments.{i}")
            found.append(files.file_object(row))
        return found


def new_stubref() -> str:
    """Return a reference for a new stub: the day, and eight letters and digits nobody can guess."""
    parts = ["".join(secrets.choice(_LETTERS) for _ in range(4)) for _ in range(2)]
    return f"{datetime.now(UTC):%Y-%m-%d}-{'-'.join(parts)}"


def _certain(params: dict[str, Any]) -> dict[str, Any]:
    """Return the params without those that nobody can judge before everything is put in."""
    certain = {name: value for name, value in params.items() if not is_template(value)}
    unknown = {name: STAND_INS[name] for name in params if name in STAND_INS}
    return unknown | certain
