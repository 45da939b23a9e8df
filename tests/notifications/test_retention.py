"""After its time a message says only that it was sent: address and words go, in batches, with the clock's work."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from cli.recurring import JOBS
from core import clock
from core.config import Config, from_environment
from core.db import db
from customers.models import Brand
from notifications import retention
from notifications.models import MailboxMessage, Message, State
from tests.client import count_queries
from tests.factories import make_brand


def make_message(brand: Brand, number: int = 1, *, days: float, **more: Any) -> Message:
    at = clock.now() - timedelta(days=days)
    values: dict[str, Any] = {"kind": "reward", "version": 1, "reason": f"reward:{number}", "language": "en"}
    values |= {
        "brand_id": brand.id,
        "to_address": "hanna@shop.example",
        "to_name": "Hanna",
        "values": {"code": "THANKS"},
    }
    values |= {"state": State.DELIVERED, "state_at": at, "created_at": at}
    message = Message(**values | more)
    db.session.add(message)
    db.session.flush()
    return message


def kept_words(message: Message) -> tuple[str | None, str | None, dict[str, Any]]:
    db.session.refresh(message)
    return message.to_address, message.to_name, message.values


def run_clock(now: datetime) -> None:
    next(job for job in JOBS if job.name == "forget what old messages said").run(now)


def test_an_old_message_says_only_that_it_was_sent(app: Flask) -> None:
    brand = make_brand()
    old, young = make_message(brand, 1, days=731), make_message(brand, 2, days=729)
    row = {"to_address": "hanna@shop.example", "subject": "Thanks", "text": "THANKS", "html": "THANKS", "headers": {}}
    for message in (old, young):
        db.session.add(MailboxMessage(message_public_id=message.public_id, sent_at=message.created_at, **row))
    db.session.commit()

    run_clock(clock.now())

    assert kept_words(old) == (None, None, {})
    assert (old.state, old.erased_at is not None) == (State.DELIVERED, True)
    assert kept_words(young) == ("hanna@shop.example", "Hanna", {"code": "THANKS"})
    assert db.session.scalars(select(MailboxMessage.message_public_id)).all() == [young.public_id]


def test_an_old_message_that_was_never_sent_is_not_sent_any_more(app: Flask) -> None:
    message = make_message(make_brand(), days=800, state=State.CREATED, failure="temporary")

    retention.forget(now=clock.now())

    assert kept_words(message) == (None, None, {})
    assert (message.state, message.failure) == (State.SUPPRESSED, "suppressed")


def test_the_clock_goes_on_batch_by_batch_until_none_is_left(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    brand = make_brand()
    for number in range(5):
        make_message(brand, number, days=900)
    db.session.commit()
    monkeypatch.setattr(retention, "BATCH", 2)

    run_clock(clock.now())

    assert db.session.scalar(select(func.count()).select_from(Message).where(Message.to_address.is_not(None))) == 0


@pytest.mark.parametrize("count", [1, 3])
def test_a_batch_costs_the_same_at_any_size(app: Flask, count: int) -> None:
    brand = make_brand()
    for number in range(count):
        make_message(brand, number, days=900)
    db.session.commit()

    with count_queries() as queries:
        assert retention.forget(now=clock.now()) == count

    assert len(queries) == 3


def test_how_long_is_a_setting_in_days(config: Config, environment: dict[str, str]) -> None:
    assert config.message_days == 730
    assert from_environment(environment | {"AMENDS_MESSAGE_DAYS": "30"}).message_days == 30
    with pytest.raises(SystemExit, match="AMENDS_MESSAGE_DAYS"):
        from_environment(environment | {"AMENDS_MESSAGE_DAYS": "0"})
