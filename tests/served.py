"""A real server for tests: uvicorn on a free port of this machine, the fake engine, a folder of its own."""

import os
import socket
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass

import httpx2
import pytest
import uvicorn

from gouache.service import Service, open_service
from gouache.settings import Settings
from gouache.web import create_app

START_SECONDS = 20


@dataclass(frozen=True)
class Served:
    """A running server, the service behind it, and where it is."""

    service: Service
    url: str

    def client(self, **options):
        """Return a client; close it."""
        return httpx2.Client(base_url=self.url, timeout=30, trust_env=False, **options)


@contextmanager
def served(data_dir, *, start=True, **settings):
    """Yield a server; its tasks are run where `start` is true."""
    with without_settings(data_dir), socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
        port = listener.getsockname()[1]
        given = {"engine": "fake", "data_dir": data_dir, "port": port} | settings
        with open_service(Settings(**given)) as service:
            if start:
                service.work.start()
            with running(create_app(service), listener):
                yield Served(service, f"http://127.0.0.1:{port}")


@contextmanager
def without_settings(folder):
    """Hide the settings of whoever runs the tests, for fixtures that outlive a test."""
    with pytest.MonkeyPatch.context() as patch:
        for name in os.environ:
            if name.startswith("GOUACHE_"):
                patch.delenv(name)
        patch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
        yield


@contextmanager
def running(app, listener):
    """Run an application on this socket, in a thread."""
    config = uvicorn.Config(app, log_level="critical", timeout_graceful_shutdown=1, ws="none")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        until(lambda: server.started, START_SECONDS)
        yield
    finally:
        server.should_exit = True
        thread.join(START_SECONDS)
        assert not thread.is_alive(), "the server does not stop"


def until(happened, seconds=20):
    """Wait until something is so, and return it."""
    end = time.monotonic() + seconds
    while not (found := happened()):
        assert time.monotonic() < end, f"nothing happened in {seconds} s"
        time.sleep(0.02)
    return found
