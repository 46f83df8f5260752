"""The service opened in a test, with gateways of engines that do as they are told."""

import asyncio
import threading
from contextlib import contextmanager
from dataclasses import replace

from gouache import gateways
from gouache.contract import BUILT_IN_GATEWAY, read
from gouache.engines import open_engine
from gouache.engines.fake import FakeEngine
from gouache.errors import BudgetExceeded
from gouache.records import NewTask
from gouache.service import open_service
from gouache.settings import read_settings
from tests.served import until

SPARE = "0b6f2a52-6f5e-4a5c-9d53-7a3f8f5d9c11"
LAST = "7d0a9c1e-28b4-4f0c-9a34-0f6f3b1c8e52"


class Told(FakeEngine):
    """The fake engine, which counts its drawings, fails as it is told and may know no seeds."""

    def __init__(self, settings, error=None, *, seeds=True):
        super().__init__(settings)
        self.error, self.drawings = error, []
        self.capabilities = replace(self.capabilities, supports_seed=seeds)

    def generate(self, request, on_step=None):
        self.drawings.append(request)
        if self.error is not None:
            raise self.error
        drawing = super().generate(request, on_step)
        return drawing if self.capabilities.supports_seed else replace(drawing, seed=None)


def install(monkeypatch, **engines):
    """Let rows of the settings name these engines, too."""

    def opened(name, settings, options):
        return engines[name] if name in engines else open_engine(name, settings, options)

    monkeypatch.setattr(gateways, "open_engine", opened)


@contextmanager
def opened(data_dir, *, database_url="", start=True, keys=None, **rows):
    """Yield the service with these gateways, of which the first is the built-in one's UUID."""
    uuids = dict(zip(rows, (BUILT_IN_GATEWAY, SPARE, LAST), strict=False))
    plain = {"engine": "fake", "retry_seconds": 0, "concurrency": 2}
    settings = read_settings(
        data_dir=data_dir,
        database_url=database_url,
        stop_seconds=0,
        keys=keys or {},
        gateways={
            name: plain | {"taskapigatewayuuid": uuids[name]} | row for name, row in rows.items()
        },
    )
    with open_service(settings) as service:
        if start:
            service.work.start()
        yield service


def new(prompt="A white cat", *, stubref=None, cache=True, **params):
    given = {"tasktype": "generate_image", "params": {"prompt": prompt} | params, "cache": cache}
    return read(NewTask, given | ({"stubref": stubref} if stubref else {}))


def ended(service, record, seconds=30):
    assert asyncio.run(service.wait([record.taskuuid], seconds)), "not ended in time"
    return service.task(record.taskuuid)


@contextmanager
def sent_at_once(service, rows, request, drawing):
    """Send a try for each row at the same moment; yield those drawn and refused before any is settled."""
    begin, drawn, refused = threading.Barrier(len(rows)), [], []
    until_all_looked = threading.Event()

    def draw():
        drawn.append(None)
        until_all_looked.wait(30)
        return drawing

    def one(row):
        begin.wait()
        try:
            service.spending.drawing(row, request, draw)
        except BudgetExceeded:
            refused.append(None)

    threads = [threading.Thread(target=one, args=(row,)) for row in rows]
    for thread in threads:
        thread.start()
    until(lambda: len(drawn) + len(refused) == len(rows), 30)
    yield drawn, refused
    until_all_looked.set()
    for thread in threads:
        thread.join()
