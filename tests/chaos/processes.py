"""The real processes of a run: a server on SQLite, or a server and two workers on PostgreSQL."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, nullcontext
from pathlib import Path

from tests.postgres import cluster
from tests.receivers import receiver

GATEWAY = "e366a208-63a2-48ea-af74-e3e0abf703b4"
SPARE = "0b6f2a52-6f5e-4a5c-9d53-7a3f8f5d9c11"
SETTINGS = f"""
[gateways.fake]
taskapigatewayuuid = "{GATEWAY}"
engine = "fake"
concurrency = 2
tries = 3
retry_seconds = 0.2
fallback = ["spare"]

[gateways.spare]
taskapigatewayuuid = "{SPARE}"
engine = "fake"
models = {{ fake-failing = "fake-1" }}
retry_seconds = 0.2
"""
START_SECONDS = 60
READY = b"Gouache "


class Process:
    """A process that can be killed and started again; its log is kept."""

    def __init__(self, name, command, folder, environment):
        self.name, self.command, self.folder = name, command, folder
        self.environment = environment
        self.log_file = folder / f"{name}.log"
        self.running = None
        self.begun_at = 0  # of the log
        self.kills = 0

    def start(self):
        with self.log_file.open("a") as log:
            self.begun_at = log.tell()
            self.running = subprocess.Popen(
                [sys.executable, "-m", "gouache", *self.command],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def signal(self, number):
        self.running.send_signal(number)

    def kill(self):
        self.running.kill()
        self.running.wait()
        self.kills += 1

    def stop(self):
        """Ask it to stop, as an operator does; return its exit code."""
        self.running.terminate()
        try:
            return self.running.wait(30)
        except subprocess.TimeoutExpired:
            self.running.kill()
            self.running.wait()
            return -signal.SIGKILL

    def check(self):
        """Complain if it ended by itself."""
        if self.running.poll() is not None:
            raise RuntimeError(f"{self.name} ended by itself: {self.log()}")

    def log(self):
        return self.log_file.read_text(errors="replace")[-3000:]

    def is_ready(self):
        """Whether it has said since its start that it serves or works."""
        with self.log_file.open("rb") as log:
            log.seek(self.begun_at)
            return READY in log.read()

    def wait_ready(self):
        until = time.monotonic() + START_SECONDS
        while not self.is_ready():
            self.check()
            if time.monotonic() > until:
                raise RuntimeError(f"{self.name} does not start: {self.log()}")
            time.sleep(0.02)


class House:
    """All processes of one service, with the folder and the database they share."""

    def __init__(self, folder, there, database_url="", postgres=None):
        self.folder, self.receiver = folder, there
        self.database_url, self.postgres = database_url, postgres
        self.data_dir = folder / "data"
        (folder / "gouache.toml").write_text(SETTINGS)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.address = f"http://127.0.0.1:{self.port}"
        names = {name: value for name, value in os.environ.items() if "GOUACHE" not in name}
        self.environment = names | {
            "GOUACHE_DATA_DIR": str(self.data_dir),
            "GOUACHE_DATABASE_URL": database_url,
            "GOUACHE_STOP_SECONDS": "3",
            "GOUACHE_WEBHOOK_PRIVATE_NETWORKS": "true",
            "XDG_CONFIG_HOME": str(folder / "config"),
            "OMP_NUM_THREADS": "1",
        }
        serve = ["serve", "--port", str(self.port)]
        if postgres is None:
            self.processes = [self._process("serve", serve)]
        else:
            self.processes = [
                self._process("serve", [*serve, "--no-work"]),
                self._process("worker-1", ["worker"]),
                self._process("worker-2", ["worker"]),
            ]
        self.server, self.workers = self.processes[0], self.processes[1:]
        self.guard = threading.Lock()

    def _process(self, name, command):
        return Process(name, command, self.folder, self.environment)

    @property
    def engine_url(self):
        """The URL of the database as SQLAlchemy takes it."""
        if self.postgres is None:
            return f"sqlite:///{self.data_dir / 'gouache.sqlite'}"
        return self.database_url.replace("postgresql://", "postgresql+psycopg://")

    def start(self):
        for process in self.processes:  # at once, on a database that none of them knows
            process.start()
        for process in self.processes:
            process.wait_ready()

    def stop(self):
        for process in self.processes:
            if process.running and process.running.poll() is None:
                process.running.send_signal(signal.SIGCONT)
                process.stop()


@contextmanager
def house(database, folder):
    """Make a service in the folder; its database is "sqlite", or a PostgreSQL that syncs to disk."""
    folder = Path(folder)
    with receiver() as there, cluster() if database == "postgres" else nullcontext() as postgres:
        shared = (postgres.new_database(), postgres) if postgres else ()
        made = House(folder, there, *shared)
        try:
            yield made
        finally:
            made.stop()
