"""How the work of something grows with its input, in CPU: the same on a busy machine, unlike the time that passes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

TRIES: Final = 5  # of which the quickest counts: caches and other processes only ever add


def growth(of: Callable[[int], object], n: int) -> float:
    """Return how many times as much CPU `of(2 * n)` takes as `of(n)`: about 2 if it is linear, 4 if it is quadratic."""
    once, twice = [], []
    for _ in range(TRIES):
        once.append(_cpu_seconds(of, n))
        twice.append(_cpu_seconds(of, 2 * n))
    return min(twice) / min(once)


def _cpu_seconds(of: Callable[[int], object], n: int) -> float:
    began = time.thread_time()
    of(n)
    return time.thread_time() - began
