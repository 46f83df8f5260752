"""Dynamic batching: what callers want at the same time, and can be made together, is made together.

One thread does all the work; callers wait for it in threads of their own. A batch is the oldest item
that waits, with those of the same key: it begins when it is full, or when its oldest item has waited
long enough. While a batch is made the next one fills.

A caller that is stopped leaves its item behind; it is not begun, and what makes a batch may ask whether
anybody still waits.
"""

import copy
import logging
import threading
import time
import traceback
from collections.abc import Callable, Hashable, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

from gouache.engines import OnStep, Step
from gouache.errors import EngineError, EngineUnavailable, GouacheError

PULSE_SECONDS = 0.2

_log = logging.getLogger(__name__)

Item = TypeVar("Item")
Made = TypeVar("Made")


class Ticket(Generic[Item, Made]):
    """An item on its way: what its caller is told arrives in the caller's thread."""

    def __init__(self, key: Hashable, item: Item, *, steps: int, wants_steps: bool) -> None:
        """Wait from now on; `steps` is how many there will be, as far as is known."""
        self.key = key
        self.item = item
        self.wants_steps = wants_steps
        self.is_abandoned = False
        self._last = Step(0, steps)
        self.since = time.monotonic()
        self._told: SimpleQueue[Step | GouacheError | tuple[Made]] = SimpleQueue()

    def tell(self, step: Step) -> None:
        """Report progress."""
        self._told.put(step)

    def end(self, outcome: Made | GouacheError) -> None:
        """Report what was made, or why nothing was."""
        self._told.put(
            copy.copy(outcome) if isinstance(outcome, GouacheError) else (outcome,)
        )  # each caller raises an error of its own

    def wait(self, on_step: OnStep | None) -> Made:
        """Return what was made; steps go to `on_step`, and what that raises abandons the item.

        While nothing comes the last step is told again and again, so that nobody who stops it has to
        wait for its turn.
        """
        try:
            while True:
                match self._heard():
                    case Step() as step:
                        self._last = step
                        if on_step:
                            on_step(step)
                    case (made,):
                        return made
                    case error:
                        raise error
        finally:
            self.is_abandoned = True

    def _heard(self) -> "Step | GouacheError | tuple[Made]":
        try:
            return self._told.get(timeout=PULSE_SECONDS)
        except Empty:
            return self._last


Run = Callable[[Sequence[Ticket[Item, Made]]], Sequence[Made | GouacheError]]
"""Makes a batch; returns for each ticket what was made of it, or its error; an error is all theirs."""


class Batcher(Generic[Item, Made]):
    """Brings items together, and has them made by one thread."""

    def __init__(
        self,
        run: Run[Item, Made],
        *,
        name: str,
        max_batch: int = 1,
        wait_seconds: float = 0.0,
        rest: Callable[[float], float | None] = lambda idle: None,
    ) -> None:
        """Begin the thread with the first item.

        `rest` is called when nothing waits, with the seconds since something did; it returns after
        how many seconds it is to be called again, if at all.
        """
        self.max_batch = max_batch
        self._run = run
        self._name = name
        self._wait_seconds = wait_seconds
        self._rest = rest
        self._waiting: list[Ticket[Item, Made]] = []
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._is_closed = False

    def make(
        self, key: Hashable, item: Item, on_step: OnStep | None = None, *, steps: int = 1
    ) -> Made:
        """Return what is made of an item, in a batch with others of the same key.

        Raises:
            GouacheError: it could not be made, or the batcher was closed.
        """
        ticket: Ticket[Item, Made] = Ticket(key, item, steps=steps, wants_steps=on_step is not None)
        with self._changed:
            if self._is_closed:
                raise EngineUnavailable("the engine was closed; open it again")
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name=self._name, daemon=True)
                self._thread.start()
            self._waiting.append(ticket)
            self._changed.notify_all()
        return ticket.wait(on_step)

    def close(self) -> None:
        """Let the batch at work end, and begin no other."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def _work(self) -> None:
        """Make batches until the batcher is closed."""
        while batch := self._next():
            try:
                outcomes = self._run(batch)
            except GouacheError as error:
                outcomes = [error] * len(batch)
            except Exception as error:  # else the thread ends, and everyone waits for ever
                said = f"{type(error).__name__} at {_place(error)}"
                _log.error(
                    "a batch of %s failed: %s", len(batch), said
                )  # its words may hold prompts
                outcomes = [EngineError(f"the model failed: {said}")] * len(batch)
            for ticket, outcome in zip(batch, outcomes, strict=True):
                ticket.end(outcome)
        for ticket in self._waiting:
            ticket.end(EngineUnavailable("the engine was closed; open it again"))

    def _next(self) -> list[Ticket[Item, Made]]:
        """Return the next batch once it may begin; none when the batcher is closed."""
        idle_since = time.monotonic()
        while True:
            look_again = None
            if not self._waiting:  # without the lock: callers may come meanwhile
                look_again = self._rest(time.monotonic() - idle_since)
            with self._changed:
                if self._is_closed:
                    return []
                ready_in = self._ready_in()
                if ready_in == 0:
                    batch = self._oldest()
                    self._waiting = [ticket for ticket in self._waiting if ticket not in batch]
                    return batch
                self._changed.wait(look_again if ready_in is None else ready_in)

    def _ready_in(self) -> float | None:
        """Return the seconds until a batch may begin; None where nothing waits."""
        self._waiting = [ticket for ticket in self._waiting if not ticket.is_abandoned]
        batch = self._oldest()
        if not batch:
            return None
        if len(batch) >= self.max_batch:
            return 0.0
        return max(0.0, batch[0].since + self._wait_seconds - time.monotonic())

    def _oldest(self) -> list[Ticket[Item, Made]]:
        """Return the oldest item that waits, with as many of its key as make a batch."""
        same = [ticket for ticket in self._waiting if ticket.key == self._waiting[0].key]
        return same[: self.max_batch]


def _place(error: Exception) -> str:
    """Return the file and line an error comes from."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{Path(frame.filename).name}:{frame.lineno}"
