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

from gouache import files, ledger
from gouache.contract import FileObject, GenerateImage, Task, read
from gouache.database import reading, writing
from gouache.engines import choose_seed
from gouache.errors import FileNotFound, IdempotencyKeyReused, RequestError
from gouache.gateways import NEIGHBOURS, Gateways
from gouache.ledger import Row
from gouache.records import Attachment
from gouache.stubs import Stubs
from gouache.substitution import check_conditions, check_templates, is_template
from gouache.tasktypes import PARAMS

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

    def __init__(self, engine: sa.Engine, *, gateways: Gateways, stubs: Stubs) -> None:
        """Take in nothing yet."""
        self._engine = engine
        self._gateways = gateways
        self._stubs = stubs

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
                    row = ledger.key_row(connection, key)
                    if row is None:
                        target = write(connection, checked)
                        ledger.insert_key(connection, key, fingerprint=fingerprint, target=target)
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
            return ledger.key_row(connection, key)

    def checked(self, task: Task, *, inside: str = "") -> Task:
        """Return the task; what its gateway does not know or cannot do is refused by name.

        Raises:
            RequestError: the request is wrong; `param` leads to the field, after `inside`.
            GatewayNotFound: no gateway has the UUID.
            UnsupportedByEngine: the gateway cannot do what a field asks for.
        """
        path = f"{inside}.params" if inside else "params"
        check_templates(task.params, inside=path)
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

    def accept(
        self,
        connection: sa.Connection,
        task: Task,
        *,
        stubref: str | None,
        stubpostuuid: str | None = None,
        waiting: bool = False,
    ) -> Row:
        """Write down a task and queue it, unless it waits for the one before it."""
        gateway, seed = NEIGHBOURS, None
        request = read(PARAMS[task.tasktype], _certain(task.params))
        if isinstance(request, GenerateImage):
            gateway = self._gateways.find(task.taskapigatewayuuid)
            if self._gateways.capabilities(gateway).supports_seed:
                seed = choose_seed(request)
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
            conditions=task.conditions or None,
            warnings=[*task.warnings(), *request.warnings()],
            seed=seed,
            priority=task.priority,
            state="waiting" if waiting else "queued",
        )
        if not waiting:
            self._stubs.queue(connection, row)
        return row

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
