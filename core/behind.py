"""A thread that rings for the web: a request leaves word which queues have work, and does not wait for Redis."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from typing import Final

from flask import Flask

GATHER_SECONDS: Final = 0.02  # what many requests leave in so short a time is rung for once


class Ringer:
    """Rings for the queues that were left since it last did, each once, soon after.

    Nothing depends on it: a process that ends before it rang leaves rows that the sweep finds.
    """

    def __init__(self, app: Flask, ring: Callable[[str], None]) -> None:
        self._app, self._ring = app, ring
        self._left: set[str] = set()
        self._lock, self._word = threading.Lock(), threading.Event()
        self._thread: threading.Thread | None = None

    def leave(self, queues: Iterable[str]) -> None:
        """Let these queues be rung; returns at once."""
        with self._lock:
            self._left.update(queues)
            if self._thread is None or not self._thread.is_alive():  # the first time, and in a forked process
                self._thread = threading.Thread(target=self._run, name="ringer", daemon=True)
                self._thread.start()
        self._word.set()

    def _run(self) -> None:
        while True:
            self._word.wait()
            time.sleep(GATHER_SECONDS)
            self._word.clear()
            with self._lock:
                left, self._left = self._left, set()
            with self._app.app_context():
                for queue in sorted(left):
                    self._ring(queue)
