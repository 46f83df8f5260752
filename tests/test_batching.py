import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from gouache.engines import Step
from gouache.engines.batching import Batcher
from gouache.errors import Cancelled, ContentRefused, EngineError, EngineUnavailable


class Kitchen:
    """Makes batches and remembers them; while `open` is not set, a batch stays at work."""

    def __init__(self, **options):
        self.batches = []
        self.open = threading.Event()
        self.open.set()
        self.busy = threading.Event()
        self.batcher = Batcher(self.run, name="kitchen", **options)

    def run(self, tickets):
        self.batches.append([ticket.item for ticket in tickets])
        self.busy.set()
        assert self.open.wait(10)
        for ticket in tickets:
            ticket.tell(Step(1, 1))
        return [ticket.item.upper() for ticket in tickets]


@pytest.fixture
def kitchen():
    made = []

    def kitchen(**options):
        made.append(Kitchen(**options))
        return made[-1]

    yield kitchen
    for each in made:
        each.open.set()
        each.batcher.close()


@pytest.fixture
def callers():
    with ThreadPoolExecutor(20) as pool:
        yield pool


def ask(callers, kitchen, *orders):
    """Let each (key, item) be wanted, in this order."""
    asked = []
    for key, item in orders:
        asked.append(callers.submit(kitchen.batcher.make, key, item))
        end = time.monotonic() + 5
        while len(kitchen.batcher._waiting) < len(asked) and time.monotonic() < end:
            time.sleep(0.002)
    return asked


def results(asked):
    return [each.result(10) for each in asked]


def test_what_comes_at_the_same_time_is_made_together(kitchen, callers):
    slow = kitchen(max_batch=4, wait_seconds=5)
    asked = ask(callers, slow, *((1, item) for item in "abc"))
    asked.append(callers.submit(slow.batcher.make, 1, "d"))
    assert results(asked) == ["A", "B", "C", "D"], "the fourth fills the batch"
    assert slow.batches == [["a", "b", "c", "d"]]


def test_a_batch_begins_when_its_oldest_item_has_waited_long_enough(kitchen, callers):
    patient = kitchen(max_batch=4, wait_seconds=0.3)
    begun = time.monotonic()
    asked = ask(callers, patient, (1, "a"), (1, "b"))
    assert results(asked) == ["A", "B"]
    assert 0.3 <= time.monotonic() - begun < 3
    assert patient.batches == [["a", "b"]]


def test_items_of_other_keys_are_made_apart_and_the_oldest_comes_first(kitchen, callers):
    closed = kitchen(max_batch=3)
    closed.open.clear()
    first = callers.submit(closed.batcher.make, 0, "z")
    assert closed.busy.wait(5)
    orders = [(1, "a"), (2, "p"), (1, "b"), (2, "q"), (1, "c"), (1, "d")]
    asked = ask(callers, closed, *orders)
    closed.open.set()
    assert results([first, *asked]) == ["Z", "A", "P", "B", "Q", "C", "D"]
    assert closed.batches == [["z"], ["a", "b", "c"], ["p", "q"], ["d"]]


def test_what_fills_up_meanwhile_does_not_wait_again(kitchen, callers):
    closed = kitchen(max_batch=8, wait_seconds=0.2)
    closed.open.clear()
    first = callers.submit(closed.batcher.make, 1, "a")
    assert closed.busy.wait(5)
    asked = ask(callers, closed, (1, "b"), (1, "c"))
    time.sleep(0.3)
    begun = time.monotonic()
    closed.open.set()
    results([first, *asked])
    assert time.monotonic() - begun < 0.2
    assert closed.batches == [["a"], ["b", "c"]]


def test_who_is_stopped_leaves_the_queue(kitchen, callers):
    closed = kitchen(max_batch=8)
    closed.open.clear()
    first = callers.submit(closed.batcher.make, 1, "a")
    assert closed.busy.wait(5)

    def stop(step):
        raise Cancelled("enough")

    with pytest.raises(Cancelled, match="enough"):
        closed.batcher.make(1, "b", stop, steps=4)
    last = ask(callers, closed, (1, "c"))
    closed.open.set()
    assert results([first, *last]) == ["A", "C"]
    assert closed.batches == [["a"], ["c"]]


def test_steps_are_told_in_the_thread_that_waits(kitchen):
    seen = []
    kitchen().batcher.make(1, "a", lambda step: seen.append((step, threading.current_thread())))
    assert seen == [(Step(1, 1), threading.current_thread())]


def test_each_caller_gets_its_own_error(callers):
    def run(tickets):
        if len(tickets) == 1:
            raise ContentRefused("no", param="prompt")
        return [EngineError("odd") if ticket.item % 2 else ticket.item for ticket in tickets]

    batcher = Batcher(run, name="odd", max_batch=2, wait_seconds=5)
    even, odd = (callers.submit(batcher.make, 1, item) for item in (0, 1))
    assert even.result(10) == 0
    with pytest.raises(EngineError, match="odd"):
        odd.result(10)
    batcher.max_batch = 1
    with pytest.raises(ContentRefused, match="no") as caught:
        batcher.make(1, 0)
    assert caught.value.param == "prompt"
    batcher.close()


def test_a_foreign_error_says_where_it_came_from_but_not_its_words(caplog):
    def run(tickets):
        raise ZeroDivisionError(f"secret {tickets[0].item}")

    batcher = Batcher(run, name="broken")
    with pytest.raises(EngineError, match=r"ZeroDivisionError at test_batching\.py:\d+") as caught:
        batcher.make(1, "prompt")
    assert "secret" not in f"{caught.value} {caplog.text}"
    with pytest.raises(EngineError, match="ZeroDivisionError"):
        batcher.make(1, "the thread lives on")
    batcher.close()


def test_it_rests_between_batches_and_is_asked_when_to_look_again():
    idles = []

    def rest(idle):
        idles.append(idle)
        return 0.05 if len(idles) < 4 else None

    batcher = Batcher(lambda tickets: [0] * len(tickets), name="resting", rest=rest)
    assert idles == [], "a batcher that was never used has no thread"
    batcher.make(1, "a")
    end = time.monotonic() + 5
    while len(idles) < 4 and time.monotonic() < end:
        time.sleep(0.01)
    time.sleep(0.2)
    assert len(idles) == 4, "None: it is not called again before something was made"
    batcher.make(1, "b")
    batcher.close()


def test_a_closed_batcher_ends_what_waits_and_takes_nothing_more(kitchen, callers):
    closed = kitchen()
    closed.open.clear()
    first = callers.submit(closed.batcher.make, 1, "a")
    assert closed.busy.wait(5)
    waiting = ask(callers, closed, (1, "b"))
    closing = callers.submit(closed.batcher.close)
    while not closed.batcher._is_closed:
        time.sleep(0.01)
    closed.open.set()
    assert first.result(10) == "A"
    with pytest.raises(EngineUnavailable, match="closed"):
        waiting[0].result(10)
    closing.result(10)
    with pytest.raises(EngineUnavailable, match="closed"):
        closed.batcher.make(1, "c")
