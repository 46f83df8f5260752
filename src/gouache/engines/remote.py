"""Waiting for another machine: a coroutine asks it, and its steps are told in the thread that draws.

While nothing comes the last step is told again and again, so that nobody who stops the drawing has to
wait for the other machine: `on_step` raises, the coroutine is cancelled and its connection closed.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from gouache.engines import OnStep, Step

PULSE_SECONDS = 0.2

Done = TypeVar("Done")


def wait_for(
    ask: Callable[[OnStep], Coroutine[Any, Any, Done]], on_step: OnStep | None, *, steps: int
) -> Done:
    """Return what `ask` comes to; the steps it tells are passed on, out of `steps` in all.

    Raises:
        Cancelled: `on_step` raised it.
    """
    told: list[Step] = []
    last = Step(0, steps)
    with asyncio.Runner() as runner:  # leaving it cancels what still runs
        asked = runner.get_loop().create_task(ask(told.append))
        while not asked.done():
            runner.run(asyncio.wait({asked}, timeout=PULSE_SECONDS))
            if not told and not asked.done():
                told.append(last)
            for step in told:
                if on_step:
                    on_step(step)
                last = step
            told.clear()
        return asked.result()
