"""What every test gets: no network, no settings of whoever runs it, a cache of the session's own."""

import os
import re
import socket
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.browser import chromium as chromium
from tests.browser import visit as visit
from tests.postgres import postgres as postgres
from tests.postgres import postgres_url as postgres_url

sys.modules.setdefault("openvino_telemetry", None)  # it writes to the home folder when imported

NEEDS_TORCH = re.compile(r"^(import torch|from torch|from training import|from training\.)", re.M)
collect_ignore = [
    path.name
    for path in sorted(Path(__file__).parent.glob("test_*.py"))
    if find_spec("torch") is None and NEEDS_TORCH.search(path.read_text())
]
"""The tests of training/, where its libraries are not installed."""


def pytest_report_header():
    return f"left out without torch: {', '.join(collect_ignore)}" if collect_ignore else None


def pytest_collection_modifyitems(items):
    """Begin with the files that take longest, so that none is still going when all others are done."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


LOOPBACK = ("127.0.0.1", "::1")
"""Where a test's own server listens."""


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def refuse(self, address, *rest):
        if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in LOOPBACK:
            raise AssertionError(f"a test wanted the network: {address}")
        return connect(self, address, *rest)

    connect = socket.socket.connect
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket.socket, "connect_ex", refuse)


@pytest.fixture(scope="session")
def cache_dir(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch, tmp_path, cache_dir):
    for name in os.environ:
        if name.startswith("GOUACHE_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("GOUACHE_CACHE_DIR", str(cache_dir))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
