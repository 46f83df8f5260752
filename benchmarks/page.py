"""How large the page is and how soon it comes: python benchmarks/page.py --help

A server of its own, with SQLite, the fake engine, 500 pictures and a stub with a conversation, is asked
over loopback, one request after the other. The first paint is Chromium's, of a window that was never
there; it includes what its script and style cost.
"""

import argparse
import os
import platform
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import httpx2

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

STUBREF = "2026-11-24-PAGE-0001"
OF_THE_STUB = 24
"""How many of the pictures were drawn on the stub; each has two posts, and a page shows twelve."""

PICTURES = 500
PATHS = {
    "first page": "/ui",
    "a stub's feed": f"/ui/stubs/{STUBREF}",
    "the gallery": "/ui/gallery",
    "a search in it": "/ui/gallery?q=gold+moon",
}
BARS = {"bytes": 100_000, "seconds": 0.050}
_LOADED = re.compile(r'(?:src|href)="(/ui/static/[^"]+\.(?:css|js|svg))"')


def fill(folder):
    """Write down what the pages show."""
    from gouache.records import NewStub
    from gouache.service import open_service
    from gouache.settings import Settings
    from tests.seeding import seed_pictures

    with open_service(Settings(engine="fake", data_dir=folder / "data")) as service:
        service.create_stub(NewStub(stubref=STUBREF, data={"user": {"name": "Ada"}}))
        seed_pictures(service, PICTURES - OF_THE_STUB)
        seed_pictures(service, OF_THE_STUB, stubref=STUBREF)


@contextmanager
def served(folder):
    """Run a server; yield its address and its process."""
    command = [sys.executable, "-m", "gouache", "serve", "--port", "0"]
    environment = os.environ | {
        "GOUACHE_ENGINE": "fake",
        "GOUACHE_DATA_DIR": str(folder / "data"),
        "XDG_CONFIG_HOME": str(folder),
    }
    log = folder / "log"
    with log.open("w") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file, env=environment, cwd=folder)
    try:
        until = time.monotonic() + 60
        while not (found := re.search(r"Gouache serves (http://\S+?),? ", log.read_text())):
            if time.monotonic() > until or process.poll() is not None:
                raise RuntimeError(log.read_text())
            time.sleep(0.1)
        yield found[1], process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def first_byte(client, path, count):
    """Return seconds from a request to the head of its answer, for each of `count` requests."""
    seconds = []
    for number in range(count + 10):
        begun = time.perf_counter()
        with client.stream("GET", path) as answer:
            if number >= 10:  # the first ones warm the server up
                seconds.append(time.perf_counter() - begun)
            assert answer.status_code == 200, path
            answer.read()
    return seconds


def worked(process):
    """Return the seconds of processor time that a process has used."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def weight(client, path):
    """Return the bytes that a first view loads without pictures, and as many as are sent for them."""
    text = client.get(path).text
    plain = sent = 0
    for address in [path, *dict.fromkeys(_LOADED.findall(text))]:
        with client.stream("GET", address) as answer:
            sent += sum(len(piece) for piece in answer.iter_raw())
        plain += len(client.get(address).content)
    return plain, sent


def first_paints(address, paths, count):
    """Return the milliseconds until Chromium first shows something of each page."""
    from tests.browser import browser

    found = {path: [] for path in paths}
    script = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
    with browser() as chromium:
        for _ in range(count):
            for path in paths:
                context = chromium.new_context()
                page = context.new_page()
                page.goto(address + path)
                while (painted := page.evaluate(script)) is None:
                    time.sleep(0.01)
                found[path].append(painted)
                context.close()
    return found


def main():
    """Measure each page, print a table, and fail where a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=300, help="requests for each page")
    parser.add_argument(
        "--paints", type=int, default=7, help="windows for each page; 0: no browser"
    )
    arguments = parser.parse_args()
    print(f"{platform.platform()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}\n")
    print("| page | bytes | as sent | first byte, ms | processor, ms | first paint, ms |")
    print("|---|---|---|---|---|---|")
    missed = []
    with tempfile.TemporaryDirectory(prefix="gouache-page-") as name:
        folder = Path(name)
        fill(folder)
        with (
            served(folder) as (address, process),
            httpx2.Client(base_url=address, timeout=30, trust_env=False) as client,
        ):
            paths = PATHS.values()
            paints = first_paints(address, paths, arguments.paints) if arguments.paints else {}
            for what, path in PATHS.items():
                plain, sent = weight(client, path)
                before = worked(process)
                ordered = sorted(first_byte(client, path, arguments.count))
                cost = 1000 * (worked(process) - before) / len(ordered)
                median, p95 = statistics.median(ordered), ordered[int(0.95 * len(ordered))]
                paint = f"{statistics.median(paints[path]):.0f}" if paints else "-"
                times = f"{1000 * median:.1f} / {1000 * p95:.1f}"
                print(
                    f"| {what} | {plain:,} | {sent:,} | {times} | {cost:.1f} | {paint} |",
                    flush=True,
                )
                if plain >= BARS["bytes"] or median >= BARS["seconds"]:
                    missed.append(what)
    sys.exit(f"missed a bar: {', '.join(missed)}" if missed else 0)


if __name__ == "__main__":
    main()
