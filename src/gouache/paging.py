"""Parts of long lists, newest first."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from gouache.errors import RequestError


def page(
    connection: sa.Connection,
    query: sa.Select[Any],
    table: sa.Table,
    limit: int,
    after: str | None,
) -> tuple[Sequence[sa.Row[Any]], str | None]:
    """Return at most `limit` rows, newest first, and the number after which they go on.

    Raises:
        RequestError: `after` comes from no page.
    """
    if after is not None:
        if not after.isascii() or not after.isdigit() or len(after) > 18:
            raise RequestError("after must be the `next` of a page", param="after")
        query = query.where(table.c.number < int(after))
    rows = connection.execute(query.order_by(table.c.number.desc()).limit(limit + 1)).all()
    return rows[:limit], str(rows[limit - 1].number) if len(rows) > limit else None
