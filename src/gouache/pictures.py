"""The pictures that were drawn, with what is said of them, to be looked through and searched."""

from typing import Any

import sqlalchemy as sa

from gouache import files
from gouache.database import files as stored
from gouache.database import tasks
from gouache.ledger import Row
from gouache.paging import page
from gouache.records import Page, Picture

MAX_WORDS = 10
"""Of a search; what follows them is left out."""

_ASKED = sa.func.coalesce(
    tasks.c.resolved["prompt"].as_string(), tasks.c.params["prompt"].as_string()
)
_IMAGE = ("payload", "image", "alt_text")
_SAID = (_ASKED, tasks.c.result[_IMAGE].as_string(), stored.c.filename, tasks.c.stubref)


def picture_page(
    connection: sa.Connection,
    *,
    owner: str | None,
    search: str,
    limit: int,
    after: str | None,
) -> Page[Picture]:
    """Return pictures, newest first, of which every word of `search` is said somewhere.

    With `owner`, only those of that owner's tasks.
    It is looked for in the prompt, the words for those who do not see, the file's name and the
    stubref, in any case of letters.

    Raises:
        RequestError: `after` comes from no page.
    """
    query = (
        sa.select(stored, tasks.c.stubref, tasks.c.result, _ASKED.label("prompt"))
        .join(tasks, tasks.c.taskuuid == stored.c.taskuuid)
        .where(tasks.c.tasktype == "generate_image", stored.c.deleted.is_(None))
    )
    if owner is not None:
        query = query.where(tasks.c.owner == owner)
    for word in search.split()[:MAX_WORDS]:
        query = query.where(sa.or_(*(said.icontains(word, autoescape=True) for said in _SAID)))
    rows, following = page(connection, query, stored, limit, after)
    return Page[Picture](items=[_picture(row) for row in rows], next=following)


def _picture(row: Row) -> Picture:
    payload: dict[str, Any] = row.result["payload"]
    width, height = payload["request"]["size"].split("x")
    return Picture(
        file=files.file_details(row),
        taskuuid=row.taskuuid,
        stubref=row.stubref,
        prompt=row.prompt,
        alt_text=payload["image"].get("alt_text", ""),
        model=payload["response"]["model"],
        seed=payload["response"].get("seed"),
        width=int(width),
        height=int(height),
    )
