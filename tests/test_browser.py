"""The browser of the tests: it reaches this machine only, and hides no complaint of a page."""

import os
import subprocess
import sys
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tests.browser import MISSING, Visits, findings, overflow, program

ROOT = Path(__file__).parents[1]
PAGE = "<!doctype html><html lang=en><title>A page</title><h1>A page</h1>"


@contextmanager
def site(body, **headers):
    """Serve one page at every address but /missing."""

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(404 if self.path == "/missing" else 200)
            for name, value in ({"content-type": "text/html"} | headers).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *arguments):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def complaints(chromium, body, **headers):
    with site(PAGE + body, **headers) as address:
        visits = Visits(chromium)
        visits(address).wait_for_load_state("networkidle")
        visits.close()
    return visits.complaints


def test_a_quiet_page_passes(visit):
    with site(PAGE) as address:
        assert visit(address).title() == "A page"


def test_what_a_page_complains_of_is_kept(chromium):
    for body, said in (
        ("<script>throw new Error('it broke')</script>", "it broke"),
        ("<script>console.error('it is bad')</script>", "it is bad"),
        ("<img src=/missing>", "404"),
    ):
        assert said in " ".join(complaints(chromium, body))


def test_a_violated_policy_is_kept(chromium):
    policy = {"content-security-policy": "default-src 'self'"}
    (said,) = complaints(chromium, "<script>document.title = 1</script>", **policy)
    assert "Content Security Policy" in said


def test_another_address_is_kept_and_not_reached(chromium):
    found = complaints(chromium, "<img src=http://example.invalid/x.png>")
    assert found[0] == "asked for http://example.invalid/x.png"
    assert "net::ERR" in found[1]


def test_a_complaint_of_the_story_is_no_failure(visit):
    visit.expects("404")
    with site(PAGE + "<img src=/missing>") as address:
        visit(address).wait_for_load_state("networkidle")


def test_what_is_serious_and_what_is_too_wide_is_found(visit):
    body = "<img src='data:,'><p style='width:500px;color:#999'>A grey line</p>"
    with site(PAGE + body) as address:
        page = visit(address, viewport={"width": 320, "height": 500})
        found = " ".join(findings(page))
        assert "critical image-alt" in found
        assert "serious color-contrast" in found
        assert overflow(page) > 150


def test_without_the_program_the_tests_are_skipped_and_say_how_to_get_it(tmp_path):
    test = tmp_path / "test_one.py"
    test.write_text(
        "import tests.browser\n"
        "tests.browser.program = lambda: None\n"
        "from tests.browser import chromium, visit\n"
        "def test_one(visit): raise AssertionError\n"
    )
    command = [sys.executable, "-m", "pytest", "-rs", "-p", "no:cacheprovider", str(test)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert "1 skipped" in done.stdout
    assert "scripts/chromium installs it" in done.stdout


@pytest.mark.skipif(program() is None, reason=MISSING)
def test_where_chromium_is_installed_the_script_has_nothing_to_do():
    done = subprocess.run([str(ROOT / "scripts/chromium")], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
