"""The page of a stub."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from gouache.service import Service
from gouache.web.page.cards import as_text, files_of
from gouache.web.page.feed import read_feed
from gouache.web.page.forms import Form, blank
from gouache.web.page.rendering import show
from gouache.web.parameters import StubRef, TheService

router = APIRouter(include_in_schema=False)


@router.get("/ui/stubs/{stubref}")
def read_stub(
    request: Request,
    service: TheService,
    stubref: StubRef,
    before: str | None = None,
    watch: str = "",
) -> Response:
    """Show a stub's newest history, or what comes before a part of it."""
    return stub_page(request, service, stubref, before=before, watched=watch == "1")


def stub_page(
    request: Request,
    service: Service,
    stubref: str,
    *,
    form: Form | None = None,
    status: int = 200,
    before: str | None = None,
    watched: bool = False,
) -> Response:
    """Return the page of a stub, with a form as it was sent."""
    feed = read_feed(service, stubref, before=before)
    return show(
        request,
        "stub.html",
        status=status,
        feed=feed,
        data=as_text(feed.stub.data) if feed.stub.data else "",
        files=files_of(feed.stub.attachments),
        form=form or blank(service, fixed=stubref),
        watched=watched,
    )
