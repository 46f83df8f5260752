"""The signals that ask a command to stop: the first asks, the second does not wait."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from rich.console import Console

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def stop_asked(ask: Callable[[int], None]) -> Iterator[None]:
    """Call `ask` with the number of the first signal; end the process at the second.

    Whatever is being written then is safe: files are renamed when whole, and rows are committed.
    """
    asked: list[int] = []

    def on_signal(number: int, frame: FrameType | None) -> None:
        if asked:
            Console(stderr=True).show_cursor()  # a bar hides it
            os._exit(128 + number)
        asked.append(number)
        ask(number)

    before = {number: signal.signal(number, on_signal) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
