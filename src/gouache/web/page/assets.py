"""The files a page loads: each has the digest of its bytes in its address, and is kept for good."""

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from fastapi import APIRouter
from starlette.responses import Response

from gouache.errors import RouteNotFound

FOLDER = Path(__file__).parents[1] / "static"
CONTENT_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True)
class Asset:
    """A file of ours, in memory."""

    content: bytes
    content_type: str
    address: str


@cache
def assets() -> dict[str, Asset]:
    """Return the files by their names, read once."""
    found = {}
    for path in sorted(FOLDER.iterdir()):
        content = path.read_bytes()
        digest = hashlib.sha256(content).hexdigest()[:16]
        address = f"/ui/static/{digest}/{path.name}"
        found[path.name] = Asset(content, CONTENT_TYPES[path.suffix], address)
    return found


@router.get("/ui/static/{digest}/{name}")
async def read_asset(digest: str, name: str) -> Response:
    """Read a file that a page loads."""
    asset = assets().get(name)
    if asset is None or asset.address != f"/ui/static/{digest}/{name}":
        raise RouteNotFound("nothing is at this address; load the page again")
    headers = {
        "Cache-Control": "public, max-age=31536000, immutable",
        "X-Content-Type-Options": "nosniff",
    }
    return Response(asset.content, media_type=asset.content_type, headers=headers)
