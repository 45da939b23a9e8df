"""A batch of which some items are done and others must wait."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from core import clock, outbox
from core.db import db
from core.outbox import Item, Waiting, Work


@pytest.fixture
def odd_ones_wait(app: Flask) -> Iterator[str]:
    @outbox.handler("test.odd", queue="reports", batch=10)
    def run(items: list[Item], *, now: datetime) -> Waiting:
        return {item.id: now + timedelta(hours=1) for item in items if item.ids["number"] % 2}

    yield "test.odd"
    outbox._handlers.pop("test.odd")


def test_some_items_of_a_batch_wait_while_the_others_are_done(odd_ones_wait: str) -> None:
    now = clock.now()
    outbox.later_many(odd_ones_wait, [(str(number), {"number": number}) for number in range(4)], due_at=now)
    db.session.commit()

    assert outbox.drain("reports") == 2

    rows = db.session.scalars(select(Work).order_by(Work.id)).all()
    assert [row.done_at is not None for row in rows] == [True, False, True, False]
    assert all(row.leased_until is None and row.attempts == 0 for row in rows)
    assert all(row.due_at > now + timedelta(minutes=59) for row in rows if row.ids["number"] % 2)
