"""The mail provider fails in every way it can, two calls in five: nothing is lost, and little is sent twice."""

from __future__ import annotations

import random
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from core import clock, outbox
from core.db import db
from core.outbox import Work
from notifications import delivery, messages
from notifications.delivery import EVENT_WAIT
from notifications.messages import Draft
from notifications.models import Message, State
from notifications.samples import sample_values
from notifications.sendgrid import MESSAGE_ARGUMENT, SendGrid
from tests.amounts import few_or_many
from tests.client import Client
from tests.factories import make_brand, make_staff
from tests.faults import history
from tests.vendor_sendgrid import Answer, Fault, Vendor

pytestmark = [pytest.mark.fault, pytest.mark.timeout(900)]
FAULTS = (
    Answer(429, headers={"Retry-After": "7"}),
    Answer(500),
    Fault.HANG,
    Fault.HANG_UNTAKEN,
    Fault.HALF_OPEN,
    Fault.DROP_REPLY,
    Fault.REFUSE_CONNECTION,
)
Move = Callable[[timedelta], None]


@pytest.fixture
def hasty(app: Flask, vendor: Vendor) -> Iterator[None]:
    """Give up on a provider that does not reply soon. It may be well and slow: the test counts that as a lost reply."""
    office, patient = app.extensions["mail"], app.extensions["mail"].transport
    office.transport = SendGrid(vendor.url, vendor.api_key, reply_seconds=0.4)
    yield
    office.transport.close()
    office.transport = patient


def post(how_many: int, *, first: int = 0) -> None:
    brand, values = make_brand(), sample_values("case_opened", "en", fully=False)
    drafts = [
        Draft("case_opened", f"case:{number}", brand, "en", values, f"person{number}@mail.example")
        for number in range(first, first + how_many)
    ]
    messages.post_many(drafts, now=clock.now())
    db.session.commit()


@pytest.mark.parametrize("how_many", few_or_many(120, many=400, full=2000))
def test_nothing_is_lost_and_only_lost_replies_are_repeated(
    app: Flask, vendor: Vendor, hasty: None, moved_clock: Move, chance: random.Random, how_many: int
) -> None:
    vendor.misbehave(*FAULTS, share=0.4, seed=chance.randrange(2**32))
    lost_replies: Counter[str] = Counter()  # by message: how often we did not hear what came of it

    for first in range(0, how_many, 4):  # few a call, so that there are many calls
        post(4, first=first)
        lost_replies += drain_once()
        moved_clock(timedelta(minutes=1))
    for _ in range(40):
        if not unsettled():
            break
        tell_of_half(app, vendor)
        while delivery.settle_stuck(now=clock.now()):
            db.session.commit()
        db.session.commit()
        lost_replies += drain_once()
        moved_clock(timedelta(minutes=2))

    assert history.left_undone() == []
    found = {each.public_id: each for each in db.session.scalars(select(Message))}
    taken = Counter(mail.custom_args[MESSAGE_ARGUMENT] for mail in vendor.mails)
    assert len(found) == how_many
    for public_id, message in found.items():
        if message.state == State.FAILED:  # told to staff, after two replies that were lost and no event
            assert (message.failure, lost_replies[public_id]) == ("uncertain", 2)
        else:
            assert message.state in (State.ACCEPTED, State.DELIVERED)
            assert taken[public_id] >= 1
        assert taken[public_id] <= 1 + lost_replies[public_id], "sent again though its reply was heard"
        assert taken[public_id] <= 2
    doubled = sum(count > 1 for count in taken.values())
    failed = sum(message.state == State.FAILED for message in found.values())
    assert vendor.requests > how_many / 4
    print(f"\n{how_many} messages: {sum(lost_replies.values())} replies lost, {doubled} doubled, {failed} given up")


def drain_once() -> Counter[str]:
    """Drain, and return which messages ended uncertain just now."""
    before = uncertain()
    outbox.drain("messages")
    return Counter(dict.fromkeys(uncertain() - before, 1))


def uncertain() -> set[str]:
    db.session.rollback()
    return set(db.session.scalars(select(Message.public_id).where(Message.state == State.UNCERTAIN)))


def unsettled() -> bool:
    states = (State.CREATED, State.SENDING, State.UNCERTAIN)
    return bool(db.session.scalars(select(Message.id).where(Message.state.in_(states)).limit(1)).first())


def tell_of_half(app: Flask, vendor: Vendor) -> None:
    """The provider's events come for every second mail; those of the others are lost."""
    told = [mail for number, mail in enumerate(vendor.mails) if number % 2]
    if told:
        history.tell(app, vendor, told, "delivered")


def test_uncertain_messages_wait_for_their_event_and_are_not_sent_again_once_it_came(
    app: Flask, vendor: Vendor, moved_clock: Move
) -> None:
    vendor.script(Fault.DROP_REPLY)
    post(3)
    outbox.drain("messages")
    assert history.messages_by_state() == {"uncertain": 3}
    moved_clock(EVENT_WAIT - timedelta(minutes=1))
    assert delivery.settle_stuck(now=clock.now()) == 0

    history.tell_all(app, vendor, "delivered")

    moved_clock(EVENT_WAIT)
    assert delivery.settle_stuck(now=clock.now()) == 0
    history.work_off()
    assert history.messages_by_state() == {"delivered": 3}
    assert len(vendor.mails) == 3


def test_while_the_provider_is_away_messages_wait_the_page_says_so_and_they_leave_when_it_is_back(
    app: Flask, vendor: Vendor, moved_clock: Move
) -> None:
    client, page = Client(app, app.response_class), "/settings/messages"
    client.sign_in(make_staff("admin"))
    post(5)
    assert "provider is away" not in client.get(page).text

    office, line = app.extensions["mail"], app.extensions["mail"].transport
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))  # and listens to nobody
        office.transport = SendGrid(f"http://127.0.0.1:{silent.getsockname()[1]}", vendor.api_key)
        for _ in range(outbox.MAX_ATTEMPTS + 8):  # waiting for a provider is no failure of the work
            outbox.drain("messages")
            moved_clock(timedelta(minutes=2))
    office.transport = line
    vendor.script(Answer(503))  # up, but not well yet
    outbox.drain("messages")
    moved_clock(timedelta(minutes=2))
    assert "The mail provider is away: messages wait and leave by themselves once it is back." in client.get(page).text
    assert history.messages_by_state() == {"created": 5}
    assert db.session.scalar(select(Work.attempts).limit(1)) == 0

    outbox.drain("messages")

    assert history.messages_by_state() == {"accepted": 5}
    assert len(vendor.mails) == 5
    assert "provider is away" not in client.get(page).text
