"""A real browser for tests: Debian's chromium, driven by Playwright, which reaches this machine only.

`scripts/chromium` installs it. What a page complains of, and what it asks of another address, fails
the test; a complaint that belongs to the story is announced by `expects`.
"""

import os
import re
import shutil
from contextlib import contextmanager

import pytest

MISSING = "chromium is not installed; scripts/chromium installs it"
PATIENCE_MS = 30_000
OWN = re.compile(r"(http://127\.0\.0\.1:\d+/|data:|blob:|about:)")
THIS_MACHINE_ONLY = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
SCREEN, PHONE = {"width": 1100, "height": 800}, {"width": 375, "height": 720}


def program():
    """Return the path of chromium, or None where it is not installed."""
    return shutil.which("chromium")


@contextmanager
def browser():
    """Run a browser, and end it with the block."""
    from playwright.sync_api import sync_playwright

    if program() is None:
        raise FileNotFoundError(MISSING)
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(
            executable_path=program(),
            chromium_sandbox=os.geteuid() != 0,  # it has none for root
            args=[THIS_MACHINE_ONLY],
        )
        try:
            yield launched
        finally:
            launched.close()


@pytest.fixture(scope="module")
def chromium():
    """A browser for a module: while it runs, no test there can run an event loop of its own."""
    if program() is None:
        pytest.skip(MISSING)
    with browser() as launched:
        yield launched


@pytest.fixture
def visit(chromium):
    """Opens pages, and afterwards fails the test where one of them complained."""
    visits = Visits(chromium)
    yield visits
    visits.close()
    assert not visits.complaints, "\n".join(visits.complaints)


class Visits:
    """The visitors of one test, each with cookies of its own, and what their pages complained of."""

    def __init__(self, browser):
        self.browser = browser
        self.complaints = []
        self.expected = []
        self.contexts = []

    def expects(self, *patterns):
        """Take complaints that match for part of the story."""
        self.expected += patterns

    def visitor(self, **options):
        """Return a visitor: a context in which pages share cookies."""
        from playwright.sync_api import expect

        expect.set_options(timeout=PATIENCE_MS)
        context = self.browser.new_context(**{"viewport": SCREEN} | options)
        context.set_default_timeout(PATIENCE_MS)
        context.on("request", lambda request: self._note_address(request.url))
        context.on("weberror", lambda error: self._note(f"error: {error.error}"))
        context.on("console", lambda message: self._note_message(message))
        self.contexts.append(context)
        return context

    def __call__(self, address, **options):
        """Open an address as a new visitor, and return the page."""
        page = self.visitor(**options).new_page()
        page.goto(address)
        return page

    def close(self):
        for context in self.contexts:
            context.close()

    def _note_address(self, url):
        if not OWN.match(url):
            self.complaints.append(f"asked for {url}")

    def _note_message(self, message):
        if message.type in ("error", "warning"):
            self._note(f"{message.type}: {message.text} ({message.location.get('url')})")

    def _note(self, complaint):
        if not any(re.search(pattern, complaint) for pattern in self.expected):
            self.complaints.append(complaint)


def findings(page):
    """Return what axe-core finds serious or critical on a page, in words."""
    from axe_playwright_python.sync_playwright import Axe

    violations = Axe().run(page).response["violations"]
    return [
        f"{found['impact']} {found['id']}: {node['html']} {node['failureSummary']}"
        for found in violations
        if found["impact"] in ("serious", "critical")
        for node in found["nodes"][:2]
    ]


def overflow(page):
    """Return by how many pixels a page is wider than its window."""
    return page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
