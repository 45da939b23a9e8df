"""What tests of incentives share: threads with connections of their own, and the books checked after every test."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from flask import Flask

from core.db import db
from incentives import ledger

NOW = datetime(2026, 11, 13, 12, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def books_balance(app: Flask) -> Iterator[None]:
    """After every test the ledger agrees with the programmes and the rewards."""
    yield
    db.session.rollback()
    assert ledger.check() == []


@pytest.fixture
def race(app: Flask) -> Callable[[int, Callable[[int], Any]], list[Any]]:
    """Return a function that runs `act(number)` in `count` threads let go at once, each with its own connection.

    Each commits; what it returned or raised is in the list at its number.
    """

    def run(count: int, act: Callable[[int], Any]) -> list[Any]:
        db.session.commit()
        gate, results = threading.Barrier(count), [None] * count

        def one(number: int) -> None:
            with app.app_context():
                gate.wait()
                try:
                    results[number] = act(number)
                    db.session.commit()
                except Exception as error:
                    db.session.rollback()
                    results[number] = error
                finally:
                    db.session.remove()

        threads = [threading.Thread(daemon=True, target=one, args=(number,)) for number in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        db.session.rollback()
        db.session.expire_all()
        return results

    return run
