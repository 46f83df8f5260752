"""What calls take."""

import time


def durations(call, runs):
    """Return the seconds of some calls, and of processor time that all threads worked for each."""
    taken = []
    for _ in range(runs):
        begun, worked = time.perf_counter(), time.process_time()
        call()
        taken.append((time.perf_counter() - begun, time.process_time() - worked))
    return taken
