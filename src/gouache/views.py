"""Records as they are shown: what the tables say, what is running now, and links that are good now."""

from collections.abc import Sequence

import sqlalchemy as sa

from gouache import ledger
from gouache.contract import Payload
from gouache.durable import Durable
from gouache.ledger import Row
from gouache.links import Links
from gouache.records import Stubpost, TaskRecord


class Views:
    """Turns rows into records."""

    def __init__(self, durable: Durable, links: Links) -> None:
        """Show nothing yet."""
        self._durable = durable
        self._links = links

    def stubposts(self, connection: sa.Connection, rows: Sequence[Row]) -> list[Stubpost]:
        """Return stubposts with their tasks, and with the results they show."""
        own = ledger.task_rows(connection, stubposts_of=[row.stubpostuuid for row in rows])
        shown = [row.response_to for row in rows if row.response_to]
        known = {row.taskuuid for row in own}
        others = [taskuuid for taskuuid in shown if taskuuid not in known]
        more = ledger.task_rows(connection, taskuuids=others) if others else []
        records = self.tasks([*own, *more])
        return [ledger.stubpost_record(row, records) for row in rows]

    def tasks(self, rows: Sequence[Row]) -> list[TaskRecord]:
        """Return tasks as they are now, with links that are good from now on."""
        running = self._durable.running(
            [(row.taskuuid, row.attempts) for row in rows if row.state == "queued"]
        )
        return [
            self._signed(ledger.task_record(row, started=running.get(row.taskuuid))) for row in rows
        ]

    def _signed(self, record: TaskRecord) -> TaskRecord:
        if not isinstance(record.payload, Payload) or record.payload.response is None:
            return record
        response = record.payload.response
        data = [
            item.model_copy(update={"url": self._links.url(item.image.fileuuid)})
            for item in response.data
        ]
        response = response.model_copy(update={"data": data})
        payload = record.payload.model_copy(update={"response": response})
        return record.model_copy(update={"payload": payload})
