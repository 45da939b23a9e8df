"""Bells of the web ring behind the request, once for many, and never keep one waiting."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from flask import Flask, current_app

from core import clock, outbox
from core.behind import Ringer
from core.db import db


class Bell:
    """Notes what is rung for; while it is held, whoever rings waits."""

    def __init__(self) -> None:
        self.rung: list[str] = []
        self.free, self.one = threading.Event(), threading.Semaphore(0)
        self.free.set()

    def __call__(self, queue: str) -> None:
        assert current_app
        self.free.wait()
        self.rung.append(queue)
        self.one.release()
        if queue == "broken":
            raise RuntimeError

    def heard(self) -> bool:
        return self.one.acquire()


@pytest.fixture
def bell() -> Bell:
    return Bell()


@pytest.fixture
def ringer(app: Flask, bell: Bell) -> Iterator[Ringer]:
    yield Ringer(app, bell)
    bell.free.set()


def test_who_leaves_word_goes_on_and_many_are_rung_once(ringer: Ringer, bell: Bell) -> None:
    bell.free.clear()
    ringer.leave(["reactions"])
    ringer.leave(["reactions"])
    for _ in range(50):
        ringer.leave(["messages", "reactions"])
    assert bell.rung == []  # nobody had to wait for it

    bell.free.set()

    assert all(bell.heard() for _ in range(2))
    assert len(bell.rung) <= 4
    assert set(bell.rung) == {"messages", "reactions"}


def test_word_that_is_left_later_is_rung_for_later(ringer: Ringer, bell: Bell) -> None:
    for _ in range(3):
        ringer.leave(["reactions"])
        assert bell.heard()

    assert bell.rung == ["reactions"] * 3


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_ended_is_replaced(ringer: Ringer, bell: Bell) -> None:
    ringer.leave(["broken"])
    assert bell.heard()
    assert ringer._thread is not None
    ringer._thread.join()

    ringer.leave(["reactions"])

    assert bell.heard()
    assert bell.rung == ["broken", "reactions"]


def test_a_request_outside_tests_leaves_word_after_its_commit(
    app: Flask, bell: Bell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "testing", False)
    monkeypatch.setitem(app.extensions, "ringer", Ringer(app, bell))

    with app.test_request_context():
        outbox.later("reward.issue", key="1", due_at=clock.now())
        assert bell.rung == []
        db.session.commit()

    assert bell.heard()
    assert bell.rung == ["rewards"]
