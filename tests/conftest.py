"""What every test gets: no network, no settings of whoever runs it, a cache of the session's own."""

import os
import socket
import sys

import pytest

sys.modules.setdefault("openvino_telemetry", None)  # it writes to the home folder when imported


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def refuse(self, address, *rest):
        if self.family in (socket.AF_INET, socket.AF_INET6):
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
