"""The provider tells all many times, in any order, and others lie: the state is that of one telling."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import delete, func, select, update

from core import clock
from core.db import db
from core.events import Event
from customers.models import Customer
from notifications import messages
from notifications.messages import Draft
from notifications.models import Message, MessageEvent, Suppression
from tests.amounts import few_or_many
from tests.factories import make_brand, make_customer
from tests.faults import history
from tests.vendor_sendgrid import SignedPost, Vendor

pytestmark = [pytest.mark.fault, pytest.mark.timeout(900)]
TIMES = 50
FORGED = 0.01
SENDERS = 4
LIVES = (  # what happens to a mail, in order
    ("processed", "delivered"),
    ("processed", "deferred", "deferred", "delivered"),
    ("processed", "deferred", "bounce"),
    ("processed", "delivered", "open", "click"),
    ("processed", "delivered", "spamreport"),
    ("processed", "delivered", "open", "unsubscribe"),
    ("dropped",),
    ("processed", "delivered", "bounce"),  # accepted first, sent back later
)
MORE: Mapping[str, dict[str, str]] = {"bounce": {"type": "bounce"}, "dropped": {"reason": "Bounced Address"}}
Told = list[dict[str, Any]]


def send_mails(app: Flask, vendor: Vendor, how_many: int) -> None:
    brand, now = make_brand(), clock.now()
    people = [make_customer(name=f"Customer {number}") for number in range(how_many)]
    values = {
        "question": "How likely are you to recommend us?",
        "low_label": "Not at all likely",
        "high_label": "Extremely likely",
        "survey_url": "https://shop.example/s/x",
        "occasion": "your call",
        "occurred_on": "Friday",
        "quarantine_days": "30",
        "scale": "0-10",
    }
    drafts = [
        Draft("invitation", f"test:{number}", brand, "en", values, each.email, customer_id=each.id)
        for number, each in enumerate(people)
    ]
    messages.post_many(drafts, now=now)
    db.session.commit()
    history.work_off()
    assert len(vendor.mails) == how_many


def lives(vendor: Vendor) -> Told:
    """Return everything that happened, in order."""
    at = int(clock.now().timestamp()) - 1000
    return [
        vendor.event(mail, kind, at=at + step, **MORE.get(kind, {}))
        for number, mail in enumerate(sorted(vendor.mails, key=lambda mail: mail.to))
        for step, kind in enumerate(LIVES[number % len(LIVES)])
    ]


def lies(vendor: Vendor, how_many: int, chance: random.Random) -> list[SignedPost]:
    """Somebody who knows our ids but not the provider's key says that mails came back or were unwanted."""
    at = int(clock.now().timestamp())
    return [
        vendor.forged([vendor.event(mail, chance.choice(["bounce", "spamreport"]), at=at, type="bounce")], at=at)
        for mail in chance.choices(vendor.mails, k=how_many)
    ]


def posts(vendor: Vendor, told: Sequence[Mapping[str, Any]], *, each: int) -> list[SignedPost]:
    at = int(clock.now().timestamp())
    return [vendor.signed(told[start : start + each], at=at) for start in range(0, len(told), each)]


def deliver(app: Flask, sent: Sequence[SignedPost], *, senders: int) -> list[int]:
    """Post all, from several connections at once; return the statuses."""
    db.session.commit()

    def post(one: SignedPost) -> int:
        client = FlaskClient(app, app.response_class)
        return client.post("/hooks/sendgrid", data=one.body, headers=dict(one.headers)).status_code

    with ThreadPoolExecutor(senders) as pool:
        return list(pool.map(post, sent))


def state() -> Mapping[str, Any]:
    """All that the events decided, by the order in which the mails were posted."""
    db.session.rollback()
    db.session.expire_all()
    rows = db.session.execute(
        select(Message.state, Message.state_at, Message.failure, Customer.survey_consent)
        .join(Customer, Customer.id == Message.customer_id)
        .order_by(Message.id)
    ).all()
    kinds = select(Event.kind, func.count()).group_by(Event.kind).order_by(Event.kind)
    return {
        "messages": [tuple(row) for row in rows],
        "kept": db.session.scalar(select(func.count()).select_from(MessageEvent)),
        "suppressed": sorted(tuple(row) for row in db.session.execute(select(Suppression.scope, Suppression.reason))),
        "log": [tuple(row) for row in db.session.execute(kinds)],
    }


def forget() -> None:
    """Take the messages back to where they were before anything was told."""
    for table in (MessageEvent, Suppression, Event):
        db.session.execute(delete(table))
    db.session.execute(update(Message).values(state="accepted", failure=None))
    db.session.execute(update(Customer).values(survey_consent="unknown", marketing_consent="unknown"))
    db.session.commit()


@pytest.mark.parametrize("mails", few_or_many(24, many=100, full=400))
def test_events_told_fifty_times_in_any_order_end_as_told_once_in_order(
    app: Flask, vendor: Vendor, chance: random.Random, mails: int
) -> None:
    send_mails(app, vendor, mails)
    told = lives(vendor)
    assert set(deliver(app, posts(vendor, told, each=1), senders=1)) == {204}
    expected = state()
    assert {row[0] for row in expected["messages"]} == {"delivered", "bounced", "dropped"}
    forget()
    assert state() != expected

    again = told * TIMES
    chance.shuffle(again)
    true = posts(vendor, again, each=25)
    false = lies(vendor, max(1, round(len(true) * FORGED)), chance)
    mixed = [(post, 204) for post in true] + [(post, 403) for post in false]
    chance.shuffle(mixed)
    statuses = deliver(app, [post for post, _ in mixed], senders=SENDERS)

    assert statuses == [status for _, status in mixed]
    assert state() == expected
    print(f"\n{len(again)} events in {len(true)} posts and {len(false)} forged ones about {mails} mails")
