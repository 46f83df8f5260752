"""The cache of pictures: what was drawn for a request is found again by the same request.

A task has a key where two pictures of its request would be the same, or where its gateway says that one
will do for the other. The key stands for all that the picture depends on; it is a column of the task, so
the picture and the key are written by the same transaction, and a deleted file is not found any more.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from gouache import __version__
from gouache.contract import GenerateImage
from gouache.database import files, tasks
from gouache.ledger import Row

_DRAWN_BEFORE: sa.Select[Any] = (
    sa.select(
        tasks.c.taskuuid, tasks.c.result, tasks.c.warnings, files.c.stored, files.c.content_type
    )
    .join(files, files.c.taskuuid == tasks.c.taskuuid)
    .where(
        tasks.c.cache_key == sa.bindparam("key"),
        tasks.c.state == "succeeded",
        files.c.deleted.is_(None),
    )
    .order_by(tasks.c.number.desc())
    .limit(1)
)


def key_of(request: GenerateImage, *, owner: str | None, drawn_by: Mapping[str, Any]) -> str:
    """Return what all requests have in common that lead to the same picture.

    `drawn_by` is what draws it; of two owners nobody gets the other's.
    """
    asked = {
        "prompt": request.prompt,
        "size": request.size,
        "quality": request.quality,
        "style": request.style,
        "seed": request.wanted_seed,
    }
    text = json.dumps([__version__, owner, asked, drawn_by], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def drawn_before(connection: sa.Connection, key: str) -> Row | None:
    """Return the newest task whose picture is there and has this key, with that of its file."""
    return connection.execute(_DRAWN_BEFORE, {"key": key}).one_or_none()
