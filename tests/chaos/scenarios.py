"""What is done to the processes: random kills, a hand-over, a database that crashes, a zombie."""

import random
import signal
import threading
import time
from contextlib import contextmanager

import httpx2
import sqlalchemy as sa

from tests.chaos.books import Books, balance, unended, wait_until_ended, wait_until_told
from tests.chaos.clients import Client, Promises

CLIENTS = 4
CROWD = 30
"""How many tasks may wait before clients hand in no more; fewer in a short run."""

PAUSE_SECONDS = (0.2, 2.0)
EARLY = 0.1
"""The share of kills that hit a process while it starts."""

SETTLE_SECONDS = 180


@contextmanager
def load(house, engine, promises, *, times, seed):
    """Keep clients busy inside; at the end they have all had their answers."""
    stopping = threading.Event()
    clients = [Client(n, house.address, promises, seed) for n in range(CLIENTS)]
    threads = [threading.Thread(target=client.run, args=(stopping,)) for client in clients]
    threads.append(
        threading.Thread(target=_watch, args=(engine, promises, min(CROWD, 3 * times), stopping))
    )
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stopping.set()
        for thread in threads:
            thread.join()


def _watch(engine, promises, crowd, stopping):
    while not stopping.wait(0.5):
        count = unended(engine)
        if count is not None:
            (promises.crowded.set if count > crowd else promises.crowded.clear)()


def settle(house, engine, promises):
    """Let everything end, and close the books."""
    in_time = wait_until_ended(engine, SETTLE_SECONDS) and wait_until_told(engine, SETTLE_SECONDS)
    time.sleep(1.5)  # a try ends a moment after its task
    books = balance(house, engine, promises)
    books.must(in_time, f"not all tasks ended and were told within {SETTLE_SECONDS} s")
    return books


def kills(house, *, times, seed):
    """Kill a random process at random moments, and start it again at once."""
    dice = random.Random(seed)
    engine, promises = _begin(house)
    begun = time.monotonic()
    early = 0
    with load(house, engine, promises, times=times, seed=seed):
        for number in range(times):
            victim = dice.choice(house.processes)
            if dice.random() < EARLY:
                early += 1
            else:
                victim.wait_ready()
            time.sleep(dice.uniform(*PAUSE_SECONDS))
            for process in house.processes:
                process.check()
            victim.kill()
            victim.start()
            print(f"\r{number + 1} kills, {len(promises.accepted)} accepted", end="", flush=True)
        house.server.wait_ready()
    books = settle(house, engine, promises)
    shares = ", ".join(f"{process.name} {process.kills}" for process in house.processes)
    books.counts = {"kills": f"{times} ({shares})"} | books.counts
    books.counts["seconds"] = round(time.monotonic() - begun)
    return books


def hand_over(house, *, times, seed):
    """Kill the worker that draws; the other begins the task again."""
    engine, promises = _begin(house)
    http = httpx2.Client(base_url=house.address, timeout=20, trust_env=False)
    books, waits = Books(), []
    for number in range(times):
        time.sleep(5)  # the worker that was started again is as ready as the other
        taskuuid = _submit_slow(http, promises, f"hand-over {seed} {number}")
        worker = _drawing(house, engine, taskuuid)
        time.sleep(0.7)
        moment = time.time()
        worker.kill()
        waits.append(_begun_again(engine, taskuuid, moment) - moment)
        print(f"\r{number + 1}: {waits[-1]:.2f} s", end="", flush=True)
        books.must(wait_until_ended(engine, 60), f"{taskuuid} did not end")
        worker.start()
    closed = settle(house, engine, promises)
    books.must(max(waits) < 5, f"a hand-over took {max(waits):.2f} s")
    books.must(closed.counts["succeeded"] == times, "not all succeeded")
    books.wrong += closed.wrong
    middle = sorted(waits)[len(waits) // 2]
    books.counts = {"worker kills": times, "median s": f"{middle:.2f}"} | closed.counts
    books.counts["longest s"] = f"{max(waits):.2f}"
    return books


def restart(house, *, times, seed):
    """Crash the database under load, and start it again."""
    engine, promises = _begin(house)
    begun = time.monotonic()
    with load(house, engine, promises, times=times, seed=seed):
        for number in range(times):
            time.sleep(6)
            house.postgres.restart()
            print(f"\r{number + 1} restarts, {len(promises.accepted)} accepted", end="", flush=True)
            for process in house.processes:
                process.check()
        time.sleep(3)
    books = settle(house, engine, promises)
    books.counts = {"restarts": times} | books.counts
    books.counts["seconds"] = round(time.monotonic() - begun)
    return books


def zombie(house, *, times, seed):
    """Stop the worker that draws until the database has given it up; the other takes over; wake it."""
    engine, promises = _begin(house)
    http = httpx2.Client(base_url=house.address, timeout=20, trust_env=False)
    books, waits = Books(), []
    for number in range(times):
        time.sleep(4)
        taskuuid = _submit_slow(http, promises, f"zombie {seed} {number}")
        worker = _drawing(house, engine, taskuuid)
        time.sleep(0.7)
        moment = time.time()
        worker.signal(signal.SIGSTOP)
        waits.append(_begun_again(engine, taskuuid, moment) - moment)
        if number % 2:  # it wakes while the other draws, or long after
            books.must(wait_until_ended(engine, 60), f"{taskuuid} did not end")
        worker.signal(signal.SIGCONT)
        print(f"\r{number + 1}: {waits[-1]:.2f} s", end="", flush=True)
        books.must(wait_until_ended(engine, 60), f"{taskuuid} did not end")
        time.sleep(4)  # the zombie ends its own drawing
        worker.check()
    closed = settle(house, engine, promises)
    books.must(closed.counts["succeeded"] == times, "not all succeeded")
    books.wrong += closed.wrong
    books.counts = {"zombies": times, "longest s": f"{max(waits):.2f}"} | closed.counts
    return books


SCENARIOS = {"kills": kills, "hand-over": hand_over, "restart": restart, "zombie": zombie}


def _begin(house):
    house.start()
    engine = sa.create_engine(house.engine_url, pool_pre_ping=True)
    return engine, Promises(webhook=house.receiver.url)


def _submit_slow(http, promises, prompt):
    stubref = http.post("/stubs", json={}).raise_for_status().json()["stubref"]
    params = {"prompt": prompt, "model": "fake-slow"}
    body = {"tasktype": "generate_image", "params": params, "stubref": stubref}
    taskuuid = http.post("/tasks", json=body).raise_for_status().json()["taskuuid"]
    promises.accepted[taskuuid] = prompt
    return taskuuid


def _owner(connection, taskuuid):
    """Return who runs the first try of a task, and since when (seconds)."""
    query = sa.text(
        "select executor_id, started_at_epoch_ms from dbos.workflow_status "
        "where workflow_uuid = :id and status = 'PENDING'"
    )
    row = connection.execute(query, {"id": f"{taskuuid}.1"}).one_or_none()
    return (row[0], row[1] / 1000) if row and row[1] else None


def _drawing(house, engine, taskuuid):
    """Return the worker that draws this task, once one does."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        with engine.connect() as connection:
            owner = _owner(connection, taskuuid)
        if owner:
            process = int(owner[0].split(":")[1])
            return next(w for w in house.workers if w.running.pid == process)
        time.sleep(0.02)
    raise RuntimeError(f"nobody draws {taskuuid}")


def _begun_again(engine, taskuuid, moment):
    """Return when a worker began the task again after `moment` (seconds)."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        with engine.connect() as connection:
            owner = _owner(connection, taskuuid)
        if owner and owner[1] > moment:
            return owner[1]
        time.sleep(0.02)
    raise RuntimeError(f"nobody took over {taskuuid}")
