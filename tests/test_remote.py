"""Waiting for another machine in the thread that draws."""

import asyncio
import threading
import time

import pytest

from gouache.engines import Step, remote
from gouache.errors import Cancelled, EngineUnavailable


def test_what_comes_is_returned_and_each_step_told_in_the_callers_thread():
    seen, threads = [], set()

    def on_step(step):
        seen.append(step.step)
        threads.add(threading.get_ident())

    async def ask(tell):
        for number in (1, 2):
            tell(Step(number, 3))
            await asyncio.sleep(0)
        return "picture"

    assert remote.wait_for(ask, on_step, steps=3) == "picture"
    assert seen == [1, 2]
    assert threads == {threading.get_ident()}


def test_while_nothing_comes_the_last_step_is_told_again():
    seen = []

    async def ask(tell):
        await asyncio.sleep(2.5 * remote.PULSE_SECONDS)
        tell(Step(1, 2))
        await asyncio.sleep(2.5 * remote.PULSE_SECONDS)

    remote.wait_for(ask, seen.append, steps=2)
    assert {step.step for step in seen[:2]} == {0}
    assert seen[-1] is seen[-2], "the very same step"
    assert (seen[-1].step, seen[-1].steps) == (1, 2)


def test_stopping_does_not_wait_and_lets_what_runs_clean_up():
    cleaned = []

    async def ask(tell):
        try:
            await asyncio.sleep(60)
        finally:
            cleaned.append(True)

    def stop(step):
        raise Cancelled("enough")

    started = time.monotonic()
    with pytest.raises(Cancelled, match="enough"):
        remote.wait_for(ask, stop, steps=1)
    assert time.monotonic() - started < 5
    assert cleaned == [True]


def test_what_is_no_exception_stops_it_too():
    """The queue stops a try that is in other hands by what is no `Exception`."""

    class InOtherHands(BaseException):
        pass

    async def ask(tell):
        await asyncio.sleep(60)

    def stop(step):
        raise InOtherHands

    with pytest.raises(InOtherHands):
        remote.wait_for(ask, stop, steps=1)


def test_a_failure_reaches_the_caller_after_the_steps_before_it():
    seen = []

    async def ask(tell):
        tell(Step(1, 2))
        raise EngineUnavailable("away")

    with pytest.raises(EngineUnavailable, match="away"):
        remote.wait_for(ask, seen.append, steps=2)
    assert [step.step for step in seen] == [1]


def test_nobody_needs_to_watch():
    async def ask(tell):
        tell(Step(1, 1))
        return 5

    assert remote.wait_for(ask, None, steps=1) == 5
