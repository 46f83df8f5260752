"""What a list of stubs shows of each: how much was posted on it, and what last."""

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from gouache.contract import FileObject
from gouache.database import reading, stubposts


@dataclass(frozen=True, slots=True)
class Glance:
    """A stub in a line: the number of its stubposts, and the last of them."""

    posts: int
    action: str
    message: str
    attachments: Sequence[FileObject]


class Glances:
    """Looks at many stubs at once."""

    def __init__(self, engine: sa.Engine) -> None:
        """Look at nothing yet."""
        self._engine = engine

    def of(self, stubrefs: Sequence[str]) -> dict[str, Glance]:
        """Return a glance at each of the stubs that has a stubpost."""
        if not stubrefs:
            return {}
        newest = (
            sa.select(
                sa.func.max(stubposts.c.number).label("number"), sa.func.count().label("posts")
            )
            .where(stubposts.c.stubref.in_(stubrefs))
            .group_by(stubposts.c.stubref)
            .subquery()
        )
        query = sa.select(
            stubposts.c.stubref,
            stubposts.c.action,
            stubposts.c.message,
            stubposts.c.attachments,
            newest.c.posts,
        ).join(newest, newest.c.number == stubposts.c.number)
        with reading(self._engine) as connection:
            rows = connection.execute(query).all()
        return {
            row.stubref: Glance(
                posts=row.posts,
                action=row.action,
                message=row.message,
                attachments=[FileObject.model_validate(file) for file in row.attachments],
            )
            for row in rows
        }
