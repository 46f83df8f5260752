"""What happens to a task before it runs: its conditions are judged, its templates replaced.

What came of it is written down before anything is drawn, so that every try of the task, also one
after a kill, works from the same params, whatever has changed on the stub meanwhile.
"""

from typing import Any

import sqlalchemy as sa

from gouache import files, ledger
from gouache.contract import GenerateImage, read
from gouache.database import reading, writing
from gouache.errors import FileNotFound
from gouache.gateways import Assigned, Gateways
from gouache.ledger import Row
from gouache.links import Links
from gouache.settings import Settings
from gouache.substitution import conditions_hold, is_template, substitute
from gouache.tasktypes import HTML_FIELDS, PARAMS
from gouache.views import Views


class Preparing:
    """Prepares tasks, from what their stubs know at that moment."""

    def __init__(
        self,
        settings: Settings,
        engine: sa.Engine,
        *,
        gateways: Gateways,
        views: Views,
        links: Links,
    ) -> None:
        """Prepare nothing yet."""
        self._settings = settings
        self._engine = engine
        self._gateways = gateways
        self._views = views
        self._links = links

    def failed_condition(self, row: Row) -> str | None:
        """Return the first of a task's conditions that does not hold.

        Raises:
            RequestError: a condition cannot be judged.
        """
        if not row.conditions or row.resolved is not None or row.attempts > 1:
            return None
        holds, index = conditions_hold(row.conditions, self._context(row))
        return None if holds or index is None else str(row.conditions[index])

    def resolved(self, row: Row) -> Row:
        """Return the row of a task with its params as they are used, written down.

        Raises:
            RequestError: a template leads nowhere, or what it gives is no value of its field.
            FileNotFound: it asks for the address of a file that is not the task's owner's.
            UnsupportedByEngine: the gateway cannot do what a field asks for.
        """
        if row.resolved is not None or not is_template(row.params):
            return row
        params: dict[str, Any] = substitute(
            row.params,
            self._context(row),
            file_url=lambda fileuuid: self._file_url(fileuuid, row.owner),
            html_fields=HTML_FIELDS.get(row.tasktype, ()),
        )
        request = read(PARAMS[row.tasktype], params, inside="params")
        assigned = Assigned()
        if isinstance(request, GenerateImage):
            self._gateways.check(row.gateway, request, inside="params")
            assigned = self._gateways.assigned(row.gateway, request, owner=row.owner)
        with writing(self._engine) as connection:
            return ledger.resolve_task(
                connection,
                row.taskuuid,
                params=params,
                seed=assigned.seed,
                cache_key=assigned.cache_key,
                warnings=[*row.warnings, *assigned.warnings],
            )

    def _context(self, row: Row) -> dict[str, Any]:
        """Return what templates and conditions of a task may read."""
        context: dict[str, Any] = {
            "org": self._settings.org,
            "program": self._settings.program,
            "template": self._settings.template,
        }
        with reading(self._engine) as connection:
            if row.stubref is not None:
                stub = ledger.stub(connection, row.stubref, owner=row.owner)
                context["stub"] = stub.model_dump(mode="json", exclude={"stubposts"})
            post = None
            if row.stubpostuuid is not None:
                post = ledger.stubpost_row(connection, row.stubref, row.stubpostuuid)
            if post is not None:
                (stubpost,) = self._views.stubposts(connection, [post])
                context["stubpost"] = stubpost.model_dump(mode="json", exclude_none=True)
        return context

    def _file_url(self, fileuuid: str, owner: str | None) -> str:
        """Return a link to a file; nobody gets one to another's."""
        if owner is not None:
            with reading(self._engine) as connection:
                if files.file_row(connection, fileuuid, owner=owner) is None:
                    raise FileNotFound(f"there is no file {fileuuid}")
        return self._links.url(fileuuid)


def used_params(row: Row) -> dict[str, Any]:
    """Return the params of a task as they are used: with everything put in, if it has been."""
    params: dict[str, Any] = row.params if row.resolved is None else row.resolved
    return params
