"""Being asked to end, by a signal."""

from __future__ import annotations

import time
from typing import Final

AT_ONCE: Final = 0.1  # seconds within which a waiting process notices


class Stopping:
    """Set by a signal's handler, asked by what runs.

    Not a threading.Event: who waits takes its lock, and a handler, which runs in the same thread, would wait for it.
    """

    def __init__(self) -> None:
        self._asked = False

    def set(self) -> None:
        self._asked = True

    def clear(self) -> None:
        self._asked = False

    def is_set(self) -> bool:
        return self._asked

    def wait(self, seconds: float) -> bool:
        """Return after so many seconds, or soon after it is set; say whether it is."""
        until = time.monotonic() + seconds
        while not self._asked and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, AT_ONCE))
        return self._asked
