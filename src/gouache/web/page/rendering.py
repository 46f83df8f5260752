"""Templates made into answers: escaped, never kept by the browser, loading nothing from elsewhere.

Every template knows `prefix`, the path of the public address, which all links begin with; `asset`,
which leads to a file of ours; and what `show` puts in.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from fastapi import Request
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse

from gouache.settings import Settings
from gouache.web.page.assets import assets
from gouache.web.page.forms import new_key
from gouache.web.refusals import PRIVATE

TEMPLATES = Path(__file__).parents[1] / "templates"
POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    ]
)
HEADERS = {**PRIVATE, "Content-Security-Policy": POLICY, "Referrer-Policy": "same-origin"}


def show(
    request: Request,
    template: str,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    **context: Any,
) -> HTMLResponse:
    """Return the answer that a template makes."""
    settings: Settings = request.app.state.service.settings
    known = {
        "here": request.url.path,
        "has_login": settings.has_keys,
        "is_partial": is_partial(request),
    }
    text = render(settings, template, **known | context)
    return HTMLResponse(text, status, {**HEADERS, **(headers or {})})


def render(settings: Settings, template: str, **context: Any) -> str:
    """Return what a template makes of these values."""
    return environment(prefix_of(settings)).get_template(template).render(context)


def prefix_of(settings: Settings) -> str:
    """Return the path of the public address, without a slash at the end."""
    return urlsplit(settings.public_url).path.rstrip("/")


def is_partial(request: Request) -> bool:
    """Whether the page's script asks, for a piece to be put into the page."""
    return request.headers.get("hx-request") == "true"


@cache
def environment(prefix: str) -> Environment:
    """Return the templates for one prefix; each is compiled once."""
    found = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        auto_reload=False,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.globals |= {
        "prefix": prefix,
        "new_key": new_key,
        "asset": lambda name: prefix + assets()[name].address,
    }
    return found
