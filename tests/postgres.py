"""A real PostgreSQL for tests: a throw-away cluster in a temporary folder, behind a Unix socket.

`scripts/postgres` installs the programs. The server refuses to run as root, so root hands the
folder and the processes to another user. Nothing is left behind (`test_nothing_of_a_cluster_is_left`).
"""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest

CARELESS = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
"""Fast, and lost with the machine: for tests that do not kill anything."""


def programs():
    """Return the folder of the newest PostgreSQL's programs, or None where none is installed."""
    beside = [Path(found).resolve().parent] if (found := shutil.which("initdb")) else []
    debian = Path("/usr/lib/postgresql").glob("*/bin")
    versions = sorted(debian, key=lambda folder: int(folder.parent.name), reverse=True)
    return next((folder for folder in beside + versions if (folder / "initdb").exists()), None)


class Cluster:
    """A cluster and its server; `new_database` makes an empty database in it."""

    def __init__(self, bin, folder, user, settings):
        self.bin, self.folder = bin, folder
        self.data = folder / "data"
        self.made = 0
        self.server = None
        self.identity = {}
        if user:
            self.identity = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        self.initialise(settings)

    def begin(self, program, *arguments):
        with (self.folder / "log").open("a") as log:
            return subprocess.Popen(
                [str(self.bin / program), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
                start_new_session=True,  # Ctrl-C is for the tests, which then stop the server
                **self.identity,
            )

    def initialise(self, settings):
        arguments = ("--no-sync", "--auth=trust", "--username=gouache", "-E", "UTF8", "data")
        if self.begin("initdb", *arguments).wait():
            raise RuntimeError(f"initdb failed: {self.log()}")
        lines = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.folder),
            "max_connections": "200",
            "jit": "off",
            **settings,
        }
        with (self.data / "postgresql.conf").open("a") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in lines.items())

    def start(self):
        self.server = self.begin("postgres", "-D", str(self.data))
        until = time.monotonic() + 60
        while not self.accepts():
            if self.server.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"PostgreSQL does not start: {self.log()}")
            time.sleep(0.05)

    def accepts(self):
        try:
            psycopg.connect(self.url()).close()
        except psycopg.OperationalError:
            return False
        return True

    def stop(self):
        """End every process of the server at once, as a crash does."""
        self.server.send_signal(signal.SIGQUIT)
        self.server.wait(60)

    def restart(self):
        self.stop()
        self.start()

    def log(self):
        return (self.folder / "log").read_text()[-4000:]

    def url(self, database="postgres"):
        return f"postgresql://gouache@/{database}?host={quote(str(self.folder))}"

    def new_database(self):
        self.made += 1
        name = f"test{self.made}"
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f"create database {name}")
        return self.url(name)

    def drop_database(self, url):
        with psycopg.connect(self.url(), autocommit=True) as connection:
            name = url.split("@/")[1].split("?")[0]
            connection.execute(f"drop database if exists {name} with (force)")


MISSING = "PostgreSQL is not installed; scripts/postgres installs it"


@contextmanager
def cluster(**settings):
    """Run a cluster with these lines in its settings, and remove it afterwards."""
    bin = programs()
    if bin is None:
        raise FileNotFoundError(MISSING)
    user = _other_user() if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="gouache-postgres-"))
    try:
        if user:
            shutil.chown(folder, user.pw_uid, user.pw_gid)
        made = Cluster(bin, folder, user, settings)
        try:
            made.start()
            yield made
        finally:
            made.stop()
    finally:
        shutil.rmtree(folder)


def _other_user():
    import pwd  # not on every system

    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    return known.get("postgres") or known["nobody"]


@pytest.fixture(scope="session")
def postgres():
    """A cluster for the session; what needs one is skipped where PostgreSQL is not installed."""
    if programs() is None:
        pytest.skip(MISSING)
    with cluster(**CARELESS) as made:
        yield made


@pytest.fixture
def postgres_url(postgres):
    """The URL of an empty database."""
    url = postgres.new_database()
    yield url
    postgres.drop_database(url)
