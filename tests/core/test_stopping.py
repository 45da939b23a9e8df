"""A process that waits is asked to end by a signal, in whatever instruction it is."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from core.stopping import AT_ONCE, Stopping

UNDER_FIRE = """
import signal
from core.stopping import Stopping

stop, times = Stopping(), 0

def handle(_signal, _frame):
    global times
    times += 1
    stop.set()

signal.signal(signal.SIGALRM, handle)
signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
while times < 1_000:
    stop.clear()
    stop.wait(0.00001)
signal.setitimer(signal.ITIMER_REAL, 0)
"""


def test_a_signal_may_come_at_any_moment_of_waiting() -> None:
    subprocess.run([sys.executable, "-c", UNDER_FIRE], check=True)  # a threading.Event hangs here


def test_waiting_ends_with_its_time_or_soon_after_it_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    stop = Stopping()
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            stop.set()

    assert stop.wait(0.01) is False
    monkeypatch.setattr(time, "sleep", sleep)
    assert stop.wait(3600) is True
    assert slept == [AT_ONCE] * 3
    stop.clear()
    assert not stop.is_set()
