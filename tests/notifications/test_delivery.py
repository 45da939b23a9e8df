"""Messages on their way out, with a provider that fails in every way it can."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select, update

from core import clock, outbox
from core.config import from_environment
from core.db import db
from core.outbox import Work
from notifications import delivery, suppression
from notifications.delivery import EVENT_WAIT, Office
from notifications.mailbox import LocalMailbox
from notifications.models import MailboxMessage, Message, State
from notifications.sendgrid import MESSAGE_ARGUMENT, SendGrid
from notifications.transport import Batch, Outcome
from tests.client import count_queries
from tests.vendor_sendgrid import Answer, Behaviour, Fault, Vendor

Post = Callable[..., Message]
Move = Callable[[timedelta], None]


@pytest.fixture
def vendor(app: Flask) -> Iterator[Vendor]:
    with Vendor() as vendor:
        before = app.extensions["mail"]
        app.extensions["mail"] = Office(SendGrid(vendor.url, vendor.api_key))
        yield vendor
        app.extensions["mail"].transport.close()
        app.extensions["mail"] = before


def states() -> list[tuple[str, str | None]]:
    db.session.expire_all()
    return [(each.state, each.failure) for each in db.session.scalars(select(Message).order_by(Message.id))]


def settle() -> int:
    settled = delivery.settle_stuck(now=clock.now())
    db.session.commit()
    return settled


def test_what_is_posted_reaches_the_provider_in_one_call(vendor: Vendor, post: Post) -> None:
    first = post(1, values={"name": "Hanna"}, to_name="Hanna\r\nBcc: thief@mail.example")
    post(2, values={"name": "Omar"})
    post(3, "invitation")

    assert outbox.drain("messages") == 3

    assert states() == [(State.ACCEPTED, None)] * 3
    assert vendor.requests == 2  # one for each kind
    mail = vendor.mails[0]
    assert (mail.to, mail.reply_to) == ("person1@mail.example", "care@northwind.example")
    assert mail.name == "Hanna Bcc: thief@mail.example"
    assert mail.custom_args == {MESSAGE_ARGUMENT: first.public_id}
    assert "Hello Hanna," in mail.text
    row = db.session.get(Message, first.id)
    assert row and row.provider_id == mail.provider_id and row.handed_over_at


def test_a_survey_mail_can_be_unsubscribed_with_one_click_and_a_service_mail_cannot(vendor: Vendor, post: Post) -> None:
    post(1, "invitation")
    post(2)

    outbox.drain("messages")

    survey, service = vendor.mails
    assert survey.headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert survey.headers["List-Unsubscribe"].endswith("/unsubscribe>")
    assert "List-Unsubscribe" not in service.headers


@pytest.mark.parametrize("how_many", [1, 30])
def test_sending_many_costs_as_many_statements_as_sending_one(vendor: Vendor, post: Post, how_many: int) -> None:
    for number in range(how_many):
        post(number)

    with count_queries() as queries:
        outbox.drain("messages")

    assert queries.count == 8  # two claims of work, messages, suppression, claim, lease, outcome, completion
    assert vendor.accepted == how_many


@pytest.mark.parametrize(
    ("behaviour", "waits"),
    [
        (Answer(429, headers={"Retry-After": "7"}), timedelta(seconds=7)),
        (Answer(500), timedelta(minutes=1)),
        (Fault.REFUSE_CONNECTION, None),
    ],
)
def test_messages_wait_while_the_provider_is_away_and_leave_once(
    vendor: Vendor, post: Post, moved_clock: Move, behaviour: Behaviour, waits: timedelta | None
) -> None:
    well = delivery_office().transport
    if waits is None:
        delivery_office().transport = SendGrid("http://127.0.0.1:9", "key", connect_seconds=0.2)
        waits = timedelta(minutes=1)
    else:
        vendor.script(behaviour)
    post(1)
    before = clock.now()

    assert outbox.drain("messages") == 0

    after = clock.now()
    assert states() == [(State.CREATED, "temporary")]
    work = db.session.scalars(select(Work)).one()
    assert before + waits - timedelta(seconds=1) < work.due_at < after + waits + timedelta(seconds=3)
    assert (work.attempts, work.done_at, work.leased_until) == (0, None, None)
    assert "wait" in (delivery.trouble() or "")

    moved_clock(waits + timedelta(seconds=3))
    delivery_office().transport = well
    assert outbox.drain("messages") == 1
    assert states() == [(State.ACCEPTED, None)]
    assert vendor.accepted == 1
    assert delivery.trouble() is None


def delivery_office() -> Office:
    from flask import current_app

    office: Office = current_app.extensions["mail"]
    return office


def test_while_the_provider_asks_for_peace_it_is_not_called(vendor: Vendor, post: Post) -> None:
    vendor.script(Answer(429, headers={"Retry-After": "60"}))
    post(1)
    outbox.drain("messages")
    post(2)
    post(3, "invitation")

    outbox.drain("messages")

    assert vendor.requests == 1
    assert states() == [(State.CREATED, "temporary"), (State.CREATED, None), (State.CREATED, None)]


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_keeps_messages_and_is_told(vendor: Vendor, post: Post, status: int) -> None:
    vendor.script(Answer(status))
    post(1)

    outbox.drain("messages")

    assert states() == [(State.CREATED, "configuration")]
    assert "refuses us" in (delivery.trouble() or "")


def test_one_bad_address_costs_the_others_nothing(vendor: Vendor, post: Post) -> None:
    vendor.bad_addresses = {"person2@mail.example"}
    vendor.names_fields = False
    for number in range(1, 5):
        post(number)

    assert outbox.drain("messages") == 4

    assert states() == [
        (State.ACCEPTED, None),
        (State.FAILED, "permanent"),
        (State.ACCEPTED, None),
        (State.ACCEPTED, None),
    ]
    assert sorted(mail.to for mail in vendor.mails) == [f"person{number}@mail.example" for number in (1, 3, 4)]


@pytest.mark.parametrize("fault", [Fault.DROP_REPLY, Fault.HANG, Fault.HALF_OPEN])
def test_a_lost_reply_is_repeated_once_and_only_after_waiting_for_the_event(
    vendor: Vendor, post: Post, moved_clock: Move, fault: Fault
) -> None:
    patient = delivery_office().transport
    delivery_office().transport = SendGrid(vendor.url, vendor.api_key, reply_seconds=0.3)
    vendor.script(fault)
    post(1)
    outbox.drain("messages")
    assert states() == [(State.UNCERTAIN, "uncertain")]
    delivery_office().transport = patient

    assert settle() == 0
    assert outbox.drain("messages") == 0

    moved_clock(EVENT_WAIT + timedelta(seconds=1))
    assert settle() == 1
    assert settle() == 0
    assert outbox.drain("messages") == 1
    assert states() == [(State.ACCEPTED, None)]
    assert vendor.accepted == 2  # doubled here, because it had been taken and no event told of it


def test_a_second_lost_reply_is_the_last(vendor: Vendor, post: Post, moved_clock: Move) -> None:
    vendor.script(Fault.DROP_REPLY, Fault.DROP_REPLY)
    post(1)
    for _ in range(2):
        outbox.drain("messages")
        moved_clock(EVENT_WAIT + timedelta(seconds=1))
        assert settle() == 1

    assert outbox.drain("messages") == 0
    assert states() == [(State.FAILED, "uncertain")]
    assert vendor.accepted == 2


class Killed(BaseException):
    """A worker's end: nothing of ours catches it."""


class DiesInside:
    """A transport in which the worker is killed: before the call reaches the vendor, or after."""

    def __init__(self, transport: SendGrid, *, after: bool) -> None:
        self.transport, self.after = transport, after

    def send(self, batch: Batch) -> list[Outcome]:
        if self.after:
            self.transport.send(batch)
        raise Killed


@pytest.mark.parametrize("after", [False, True])
def test_a_worker_killed_between_claim_and_record_doubles_nothing_blindly(
    vendor: Vendor, post: Post, moved_clock: Move, after: bool
) -> None:
    well = delivery_office().transport
    assert isinstance(well, SendGrid)
    delivery_office().transport = DiesInside(well, after=after)
    post(1)
    with pytest.raises(Killed):
        outbox.drain("messages")
    db.session.rollback()
    delivery_office().transport = well
    assert states() == [(State.SENDING, None)]

    assert outbox.drain("messages") == 0  # the lease still runs
    moved_clock(outbox.LEASE + timedelta(seconds=1))
    assert outbox.drain("messages") == 1
    assert states() == [(State.UNCERTAIN, "uncertain")]
    assert vendor.accepted == int(after)

    moved_clock(EVENT_WAIT + timedelta(seconds=1))
    settle()
    outbox.drain("messages")
    assert states() == [(State.ACCEPTED, None)]
    assert vendor.accepted == 1 + int(after)


def test_whoever_lost_the_lease_does_not_call_the_provider(vendor: Vendor, post: Post, moved_clock: Move) -> None:
    post(1)
    items = outbox.claim("messages", now=clock.now())["message.send"]
    moved_clock(outbox.LEASE + timedelta(seconds=1))
    outbox.claim("messages", now=clock.now())

    with pytest.raises(outbox.LeaseLost):
        delivery.send(items, now=clock.now())
    db.session.rollback()

    assert vendor.requests == 0
    assert states() == [(State.CREATED, None)]


def test_an_unsubscribe_before_the_hand_over_still_stops_it(vendor: Vendor, post: Post) -> None:
    post(1, "invitation")
    post(2)
    for number in (1, 2):
        suppression.suppress(f"person{number}@mail.example", "survey", "unsubscribe", clock.now())
    db.session.commit()

    outbox.drain("messages")

    assert states() == [(State.SUPPRESSED, "suppressed"), (State.ACCEPTED, None)]
    assert [mail.to for mail in vendor.mails] == ["person2@mail.example"]


def test_an_erased_message_is_not_sent(vendor: Vendor, post: Post) -> None:
    message = post(1)
    message.to_address, message.values, message.erased_at = None, {}, clock.now()
    db.session.commit()

    outbox.drain("messages")

    assert states() == [(State.SUPPRESSED, "suppressed")]
    assert vendor.requests == 0


def test_a_version_whose_template_is_gone_fails_alone(vendor: Vendor, post: Post) -> None:
    post(1).version = 99
    post(2)
    db.session.commit()

    outbox.drain("messages")

    assert states() == [(State.FAILED, "technical"), (State.ACCEPTED, None)]


@pytest.mark.usefixtures("app")
class TestLocalMailbox:
    def test_mail_is_kept_as_the_vendor_would_have_sent_it(self, app: Flask, post: Post) -> None:
        message = post(1, values={"name": 'Hanna <b> "-number_text-"'})
        outbox.drain("messages")
        kept = db.session.scalars(select(MailboxMessage)).one()

        with Vendor() as vendor:
            transport = SendGrid(vendor.url, vendor.api_key)
            app.extensions["mail"] = Office(transport)
            post(2, values={"name": 'Hanna <b> "-number_text-"'})
            outbox.drain("messages")
            app.extensions["mail"] = Office(LocalMailbox())
            transport.close()
            sent = vendor.mails[0]

        assert isinstance(delivery_office().transport, LocalMailbox)
        assert kept.message_public_id == message.public_id
        assert (kept.subject, kept.text, kept.html) == (sent.subject, sent.text, sent.html)

    def test_a_killed_worker_leaves_nothing_unsent_and_nothing_doubled(self, post: Post, moved_clock: Move) -> None:
        post(1)
        post(2)
        items = outbox.claim("messages", now=clock.now())["message.send"]
        delivery._hand_over(list(db.session.scalars(select(Message))), delivery_office(), items)
        db.session.execute(update(Message).values(state=State.SENDING))  # died before it could record anything
        db.session.commit()

        moved_clock(outbox.LEASE + timedelta(seconds=1))
        assert outbox.drain("messages") == 2

        assert states() == [(State.ACCEPTED, None)] * 2
        assert len(db.session.scalars(select(MailboxMessage)).all()) == 2


def test_without_a_provider_in_production_messages_wait_and_leave_once_there_is_one(
    vendor: Vendor, post: Post, moved_clock: Move
) -> None:
    environment = {
        "DATABASE_URL": "postgresql://db/amends",
        "REDIS_URL": "redis://cache",
        "SECRET_KEY": "k" * 40,
        "AMENDS_BASE_URL": "https://amends.example",
    }
    well = delivery_office().transport
    delivery_office().transport = delivery.transport_for(from_environment(environment))
    post(1)

    assert outbox.drain("messages") == 0
    assert states() == [(State.CREATED, "configuration")]

    moved_clock(timedelta(minutes=6))
    delivery_office().transport = well
    assert outbox.drain("messages") == 1
    assert states() == [(State.ACCEPTED, None)]
