"""Customers who send their answers at the same time, each once; what came of each is the history that is checked."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from itertools import count
from typing import Any
from urllib.parse import urlencode

from core import tokens
from surveys.models import Invitation
from tests.faults.processes import Web

HAPPY = {"nps": "10"}
UNHAPPY = {"nps": "2", "why": "late_or_damaged", "comment": "The tent came four days late.", "contact": "email"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@dataclass(frozen=True)
class Attempt:
    """One sending of one form. status None: no answer came, so nobody knows whether it was taken."""

    invitation_id: int
    status: int | None
    seconds: float

    @property
    def was_acknowledged(self) -> bool:
        return self.status == 303


@dataclass(frozen=True)
class Form:
    invitation_id: int
    path: str
    body: str


def forms(invitations: Iterable[tuple[int, str]], *, unhappy_every: int = 7) -> list[Form]:
    """Return the filled forms of invitations (id, public id); every seventh customer is unhappy."""
    numbers = count()
    return [
        Form(
            id,
            f"/s/{tokens.sign('survey', public_id)}",
            urlencode(HAPPY if next(numbers) % unhappy_every else UNHAPPY),
        )
        for id, public_id in invitations
    ]


class Crowd:
    """Sends forms from `size` threads until all are sent once; one that `goes_on` waits for more until it is stopped.

    Each keeps its connection, as browsers do. Through a `proxy` each request has a connection of its own, and one that
    was broken off before any answer is sent a second time, as docs/running.md tells nginx to; `repeated` counts those.
    """

    def __init__(
        self,
        web: Web,
        forms: Iterable[Form],
        *,
        size: int = 8,
        rest: float = 0.0,
        proxy: bool = False,
        goes_on: bool = False,
    ) -> None:
        self.attempts: list[Attempt] = []
        self.repeated = 0
        self._web, self._rest, self._proxy = web, rest, proxy
        self._left = deque(forms)
        self._goes_on = goes_on
        self._lock = threading.Condition()
        self._threads = [threading.Thread(target=self._send_all, daemon=True) for _ in range(size)]

    def __enter__(self) -> Crowd:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: Any) -> None:
        if kind is not None:
            self.stop()
        for thread in self._threads:
            thread.join()

    def add(self, forms: Iterable[Form]) -> None:
        with self._lock:
            self._left.extend(forms)
            self._lock.notify_all()

    def stop(self) -> None:
        """Send no more."""
        with self._lock:
            self._left.clear()
            self._goes_on = False
            self._lock.notify_all()

    @property
    def left(self) -> int:
        """How many forms wait to be sent."""
        return len(self._left)

    @property
    def acknowledged(self) -> int:
        return sum(attempt.was_acknowledged for attempt in list(self.attempts))

    def has_sent(self, how_many: int) -> bool:
        return len(self.attempts) >= how_many

    def has_kept(self, how_many: int) -> bool:
        """Whether so many were acknowledged."""
        return self.acknowledged >= how_many

    def outcomes(self) -> Counter[int | None]:
        return Counter(attempt.status for attempt in self.attempts)

    def _send_all(self) -> None:
        connection = self._web.connection()
        while form := self._next():
            attempt = self._send(connection, form)
            self.attempts.append(attempt)
            if self._proxy:
                connection.close()
            time.sleep(self._rest if attempt.was_acknowledged else 1.0)  # nobody hammers a page that says "later"
        connection.close()

    def _next(self) -> Form | None:
        with self._lock:
            self._lock.wait_for(lambda: self._left or not self._goes_on)
            return self._left.popleft() if self._left else None

    def _send(self, connection: HTTPConnection, form: Form) -> Attempt:
        began = time.monotonic()
        status = send(connection, "POST", form.path, form.body, FORM)
        if status is None and self._proxy:
            with self._lock:
                self.repeated += 1
            status = send(connection, "POST", form.path, form.body, FORM)
        return Attempt(form.invitation_id, status, time.monotonic() - began)


def send(
    connection: HTTPConnection, method: str, path: str, body: str | bytes = "", headers: Mapping[str, str] | None = None
) -> int | None:
    """Return the status, or None where no answer came. Never repeats anything."""
    try:
        connection.request(method, path, body, dict(headers or {}))
        with connection.getresponse() as response:
            response.read()
            return response.status
    except (OSError, HTTPException):
        connection.close()
        return None


def public_ids(invitations: Iterable[Invitation]) -> list[tuple[int, str]]:
    return [(each.id, each.public_id) for each in invitations]


def every(seconds: float, act: Callable[[], None], *, until: threading.Event) -> threading.Thread:
    """Do something again and again, in a thread, until told to stop."""

    def run() -> None:
        while not until.wait(seconds):
            act()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread
