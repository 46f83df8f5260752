"""The gallery: every picture there is, newest first, and a search over what is said of them."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from gouache.pictures import MAX_WORDS
from gouache.web.page.rendering import is_partial, show
from gouache.web.parameters import TheService

PIECE = 30
"""How many pictures come at once; the script asks for the next ones before their place is seen."""

MAX_SEARCH_CHARACTERS = 200

Search = Annotated[str, Query(max_length=MAX_SEARCH_CHARACTERS, pattern=r"^[^\x00-\x1f\x7f]*$")]

router = APIRouter(include_in_schema=False)


@router.get("/ui/gallery")
def read_gallery(
    request: Request, service: TheService, q: Search = "", after: str | None = None
) -> Response:
    """Show pictures, of which every word of `q` is said; `after` is where an earlier part ended."""
    search = " ".join(q.split())
    pictures = service.pictures(search=search, limit=PIECE, after=after)
    return show(
        request,
        "pictures.html" if is_partial(request) else "gallery.html",
        pictures=pictures.items,
        following=pictures.next,
        is_first=after is None,
        search=search,
        unused=" ".join(search.split()[MAX_WORDS:]),
        most=MAX_SEARCH_CHARACTERS,
    )
