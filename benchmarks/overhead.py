"""What the service costs around the engine: python benchmarks/overhead.py --help

The same tasks are drawn bare (engine, PNG, file on disk) and through the service: called in process,
and over HTTP, on SQLite and on PostgreSQL. Every run has a process, a folder and a database of its
own, on the disk of the temporary folder, with everything synced to it.
"""

import argparse
import asyncio
import json
import os
import platform
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from datetime import datetime
from pathlib import Path

HERE = Path(__file__).resolve().parent
CALLERS = 4
ALONE = 20
"""How many tasks are handed in one after the other, each when the one before has ended."""

GATEWAY = "e366a208-63a2-48ea-af74-e3e0abf703b4"
WAYS = ("bare", "sqlite", "postgres", "sqlite-http", "postgres-http")


def body(number):
    """Return a task as it is handed in."""
    return {"tasktype": "generate_image", "params": {"prompt": f"picture {number}", "seed": number}}


def bare(engine_name, count, folder):
    """Draw, encode and write, one after the other."""
    from gouache.contract import read_request
    from gouache.engines import open_engine
    from gouache.files import FileStore
    from gouache.images import Recipe, encode_png
    from gouache.settings import read_settings

    engine, files = open_engine(engine_name, read_settings()), FileStore(folder / "files")
    seconds = []
    for number in range(count):
        begun = time.perf_counter()
        request = read_request(body(number)["params"])
        drawing = engine.generate(request, lambda step: None)
        recipe = Recipe(
            request=request,
            seed=drawing.seed,
            model=drawing.model,
            revised_prompt=drawing.revised_prompt,
        )
        files.put(f"{number:012x}", encode_png(drawing.pixels, recipe))
        seconds.append(time.perf_counter() - begun)
    return {"rate": count / sum(seconds), "alone": summary(seconds)}


def in_process(count):
    """Hand tasks to the service by calling it."""
    from gouache.contract import read
    from gouache.records import NewTask
    from gouache.service import open_service
    from gouache.settings import read_settings

    with open_service(read_settings()) as service:
        service.work.start()

        def accept(number):
            return service.submit(read(NewTask, body(number))).taskuuid

        def wait(taskuuids):
            assert asyncio.run(service.wait(taskuuids, 600))

        def span(taskuuid):
            record = service.task(taskuuid)
            assert record.success, record.error
            return seconds_of(record.ended) - seconds_of(record.created)

        return measured(count, accept, wait, span) | {"memory": pss([os.getpid()])}


def over_http(count, folder, *, workers):
    """Hand tasks to a server that is a process of its own."""
    import httpx2

    with served(folder, workers) as (address, processes):
        http = httpx2.Client(base_url=address, timeout=60, trust_env=False)

        def accept(number):
            answer = http.post("/tasks", json=body(number))
            assert answer.status_code == 202, answer.text
            return answer.json()["taskuuid"]

        def wait(taskuuids):
            if len(taskuuids) == 1:
                while not http.get(f"/tasks/{taskuuids[0]}").json().get("ended"):
                    time.sleep(0.02)
            for state in ("queued", "running", "queued"):
                while http.get("/tasks", params={"state": state, "limit": 1}).json()["items"]:
                    time.sleep(0.1)

        def span(taskuuid):
            record = http.get(f"/tasks/{taskuuid}").json()
            assert record["success"], record["error"]
            return seconds_of(record["ended"]) - seconds_of(record["created"])

        return measured(count, accept, wait, span) | {"memory": pss(processes)}


def measured(count, accept, wait, span):
    """Hand in tasks alone, then all at once; return rates and latencies in seconds.

    The rate is of tasks from the first call to the last end.
    """
    wait([accept(count + ALONE)])  # opens the engine
    accepts, alone = [], []
    for number in range(count, count + ALONE):  # no task twice: it would come from the cache
        begun = time.perf_counter()
        taskuuid = accept(number)
        accepts.append(time.perf_counter() - begun)
        wait([taskuuid])
        alone.append(span(taskuuid))
    begun = time.perf_counter()
    with ThreadPoolExecutor(CALLERS) as callers:
        taskuuids = list(callers.map(accept, range(count)))
        accepted = time.perf_counter()
        wait(taskuuids)
    ended = time.perf_counter()
    return {
        "rate": count / (ended - begun),
        "accepted": count / (accepted - begun),
        "accept": summary(accepts),
        "alone": summary(alone),
        "crowded": summary([span(taskuuid) for taskuuid in taskuuids]),
    }


@contextmanager
def served(folder, workers):
    """Run a server, with workers beside it or working itself; yield its address and processes."""
    log = folder / "log"
    commands = [["serve", "--port", "0", *(["--no-work"] if workers else [])]]
    commands += [["worker"]] * workers
    running = []
    try:
        for command in commands:
            with log.open("a") as file:
                running.append(
                    subprocess.Popen(
                        [sys.executable, "-m", "gouache", *command], stdout=file, stderr=file
                    )
                )
        yield address(log), [process.pid for process in running]
    finally:
        for process in running:
            process.send_signal(signal.SIGTERM)
        for process in running:
            process.wait(30)


def address(log):
    """Return the address the server says it serves."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        found = re.search(r"Gouache serves (http://\S+)", log.read_text())
        if found:
            return found[1]
        time.sleep(0.1)
    raise RuntimeError(log.read_text())


def seconds_of(moment):
    """Return a time of a record in seconds since 1970."""
    return datetime.fromisoformat(moment).timestamp()


def summary(seconds):
    """Return the median and the 95th percentile."""
    ordered = sorted(seconds)
    return {
        "median": statistics.median(ordered),
        "p95": ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))],
    }


def pss(processes):
    """Return the memory of processes in MB, shared pages counted in part."""
    kilobytes = 0
    for process in processes:
        for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                kilobytes += int(line.split()[1])
    return kilobytes / 1024


def one(way, engine, count, workers):
    """Measure one way, in this process, and print it as JSON."""
    folder = Path.cwd()
    if way == "bare":
        found = bare(engine, count, folder)
    elif way.endswith("http"):
        found = over_http(count, folder, workers=workers if way.startswith("postgres") else 0)
    else:
        found = in_process(count)
    print(json.dumps(found))


def measure(way, engine, count, workers, concurrency):
    """Measure one way in a process of its own, and return what it printed."""
    sys.path.insert(0, str(HERE.parent))
    from tests.postgres import cluster

    with tempfile.TemporaryDirectory(prefix="gouache-overhead-") as name:
        folder = Path(name)
        metadata = folder / "still_engine-1.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text("Name: still_engine\nVersion: 1\n")
        (metadata / "entry_points.txt").write_text(
            "[gouache.engines]\nstill = still_engine:StillEngine\n"
        )
        (folder / "gouache.toml").write_text(
            f'[gateways.one]\ntaskapigatewayuuid = "{GATEWAY}"\nengine = "{engine}"\n'
            f"concurrency = {concurrency}\n"
        )
        server = cluster() if way.startswith("postgres") else nullcontext()
        with server as postgres:
            environment = os.environ | {
                "PYTHONPATH": os.pathsep.join([*sys.path, str(HERE), str(folder)]),
                "GOUACHE_DATA_DIR": str(folder / "data"),
                "GOUACHE_DATABASE_URL": postgres.new_database() if postgres else "",
                "XDG_CONFIG_HOME": str(folder),
            }
            command = [sys.executable, str(HERE / "overhead.py"), "--one", way]
            command += ["--engine", engine, "--count", str(count), "--workers", str(workers)]
            done = subprocess.run(
                command, cwd=folder, env=environment, capture_output=True, text=True
            )
            if done.returncode:
                log = folder / "log"
                raise RuntimeError(done.stderr + (log.read_text() if log.exists() else ""))
    return json.loads(done.stdout.splitlines()[-1])


def row(way, found, plain):
    """Return one line of the table."""

    def pair(name):
        if name not in found:
            return "-"
        return f"{1000 * found[name]['median']:.0f} / {1000 * found[name]['p95']:.0f}"

    memory = f"{found['memory']:.0f}" if "memory" in found else "-"
    accepted = f"{found['accepted']:.0f}" if "accepted" in found else "-"
    cells = [way, f"{found['rate']:.1f}", f"{found['rate'] / plain:.2f}", accepted]
    cells += [pair("accept"), pair("alone"), pair("crowded"), memory]
    return f"| {' | '.join(cells)} |"


def main():
    """Measure each way and print a table for each engine."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", choices=["fake", "still"], help="both without it")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS)
    parser.add_argument("--count", type=int, help="tasks; 40 of fake and 400 of still without it")
    parser.add_argument("--workers", type=int, default=1, help="beside the server on PostgreSQL")
    parser.add_argument("--concurrency", type=int, default=4, help="tasks at once in a worker")
    parser.add_argument("--one", choices=WAYS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        one(arguments.one, arguments.engine, arguments.count, arguments.workers)
        return
    print(f"{platform.platform()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    for engine in [arguments.engine] if arguments.engine else ["still", "fake"]:
        count = arguments.count or {"fake": 40, "still": 400}[engine]
        print(f"\n{count} tasks, engine {engine}; rates per second, times median / p95 in ms\n")
        print("| way | tasks | of bare | accepted | accept | alone | crowded | memory, MB |")
        print("|---|---|---|---|---|---|---|---|")
        plain = None
        for way in arguments.ways:
            found = measure(way, engine, count, arguments.workers, arguments.concurrency)
            plain = plain or found["rate"]
            print(row(way, found, plain), flush=True)


if __name__ == "__main__":
    main()
