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
from gouache.records import Attachment, NewStub, NewStubpost
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
    """Checks what is handed in, and writes it down."""

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
        row = self._key_row(key)
        if row is None:
            checked = check()
            try:
                with writing(self._engine) as connection:
                    row = keys.key_row(connection, key)
                    if row is None:
                        target = write(connection, checked)
                        keys.insert_key(connection, key, fingerprint=fingerprint, target=target)
                        return target
            except IntegrityError:  # the same key at the same moment, and the other was first
                row = self._key_row(key)
                if row is None:
                    raise
        if row.fingerprint != fingerprint:
            raise IdempotencyKeyReused(
                "this idempotency key came before with another request; use a new one",
                param="Idempotency-Key",
            )
        first: str = row.target
        return first

    def _key_row(self, key: str) -> Row | None:
        with reading(self._engine) as connection:
            return keys.key_row(connection, key)

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

    def stub(self, connection: sa.Connection, new: NewStub) -> str:
        """Write down a stub; return its stubref.

        Raises:
            StubExists, FileNotFound
        """
        stubref = new.stubref or new_stubref()
        if ledger.has_stub(connection, stubref):
            raise StubExists(f"there is a stub {stubref}", param="stubref")
        attachments = self.attachments(connection, new.attachments)
        ledger.insert_stub(
            connection, stubref, state=new.state, data=new.data, attachments=attachments
        )
        return stubref

    def post(
        self, connection: sa.Connection, stubref: str, new: NewStubpost, tasks: Sequence[Task]
    ) -> str:
        """Write down a stubpost and its checked tasks, of which the first is queued; return its UUID.

        Raises:
            StubNotFound, FileNotFound
        """
        ledger.lock_stub(connection, stubref)
        stubpostuuid = str(uuid.uuid4())
        ledger.insert_stubpost(
            connection,
            stubref,
            stubpostuuid,
            action=new.action,
            message=new.message,
            data=new.data,
            attachments=self.attachments(connection, new.attachments),
        )
        for i, task in enumerate(tasks):
            self.accept(connection, task, stubref=stubref, stubpostuuid=stubpostuuid, waiting=i > 0)
        return stubpostuuid

    def accept(
        self,
        connection: sa.Connection,
        task: Task,
        *,
        stubref: str | None,
        stubpostuuid: str | None = None,
        waiting: bool = False,
        is_resolved: bool = False,
    ) -> Row:
        """Write down a task and queue it, unless it waits for the one before it.

        Where `is_resolved`, what looks like a template in its params is none: it was put in.

        Raises:
            BudgetExceeded: the gateway has no money for it now.
        """
        gateway, assigned = NEIGHBOURS, Assigned()
        params = task.params if is_resolved else _certain(task.params)
        request = read(PARAMS[task.tasktype], params)
        if isinstance(request, GenerateImage):
            gateway = self._gateways.find(task.taskapigatewayuuid)
            self._spending.check(connection, gateway, request)
            if is_resolved or not is_template(task.params):
                assigned = self._gateways.assigned(gateway, request, owner=None)
        row = ledger.insert_task(
            connection,
            taskuuid=str(uuid.uuid4()),
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
            stubref=row.stubref,
            stubpostuuid=stubpostuuid,
            is_resolved=row.resolved is not None,
        )

    def _post_again(
        self, connection: sa.Connection, row: Row, stubpostuuid: str, action: str
    ) -> None:
        """Write down the stubpost of a repeated task, with what its templates may still read."""
        ledger.lock_stub(connection, row.stubref)
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
        self, connection: sa.Connection, attachments: Sequence[Attachment]
    ) -> list[FileObject]:
        """Return the file objects of files that are ours.

        Raises:
            FileNotFound: one is none of ours.
        """
        found = []
        for i, fileuuid in enumerate(attachments):
            row = files.file_row(connection, fileuuid)
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
