"""The provider's webhook: only what it signed, and always the same end."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from core import clock, outbox
from core.db import db
from core.events import Event
from customers.models import Consent, Customer
from notifications import delivery, suppression
from notifications.delivery import Office
from notifications.models import Message, MessageEvent, State, Suppression
from notifications.sendgrid import SendGrid
from tests.client import Client
from tests.vendor_sendgrid import Fault, Mail, SignedPost, Vendor

Post = Callable[..., Message]


@pytest.fixture
def vendor(app: Flask) -> Iterator[Vendor]:
    with Vendor() as vendor:
        before = app.extensions["mail"], app.extensions["config"]
        app.extensions["mail"] = Office(SendGrid(vendor.url, vendor.api_key))
        app.extensions["config"] = replace(before[1], sendgrid_webhook_key=vendor.public_key)
        yield vendor
        app.extensions["mail"].transport.close()
        app.extensions["mail"], app.extensions["config"] = before


def seconds() -> int:
    return int(clock.now().timestamp())


def tell(client: Client, signed: SignedPost) -> int:
    headers = {**signed.headers, "Content-Type": "application/json"}
    return client.post("/hooks/sendgrid", data=signed.body, headers=headers).status_code


def sent(vendor: Vendor, post: Post, kind: str = "case_opened", **more: Any) -> tuple[Message, Mail]:
    message = post(1, kind, **more)
    outbox.drain("messages")
    return message, vendor.mails[-1]


def of(message: Message) -> Message:
    db.session.expire_all()
    return db.session.get_one(Message, message.id)


def test_the_provider_tells_that_a_mail_arrived(client: Client, vendor: Vendor, post: Post) -> None:
    message, mail = sent(vendor, post)
    at = seconds()

    assert tell(client, vendor.signed([vendor.event(mail, "delivered", at=at)], at=at)) == 204

    assert (of(message).state, int(of(message).state_at.timestamp())) == (State.DELIVERED, at)


EVENTS = [("processed", 1), ("deferred", 2), ("delivered", 3), ("open", 4), ("bounce", 5)]


@pytest.mark.parametrize("order", list(itertools.permutations(range(5)))[::7])
def test_events_in_any_order_and_repeated_end_in_the_same_state(
    client: Client, vendor: Vendor, post: Post, order: tuple[int, ...]
) -> None:
    message, mail = sent(vendor, post)
    at = seconds()
    events = [vendor.event(mail, kind, at=at + later, type="bounce") for kind, later in EVENTS]

    for place in (*order, *order[:2]):
        assert tell(client, vendor.signed([events[place]], at=at)) == 204

    assert (of(message).state, of(message).failure) == (State.BOUNCED, "permanent")
    assert int(of(message).state_at.timestamp()) == at + 5
    assert len(db.session.scalars(select(MessageEvent)).all()) == 5
    assert len(db.session.scalars(select(Suppression)).all()) == 1
    assert [event.kind for event in db.session.scalars(select(Event))] == ["message.bounced"]


def test_forged_old_unsigned_and_unconfigured_calls_are_refused(
    app: Flask, client: Client, vendor: Vendor, post: Post
) -> None:
    message, mail = sent(vendor, post)
    events = [vendor.event(mail, "bounce", at=seconds(), type="bounce")]
    good = vendor.signed(events, at=seconds())
    stranger = Vendor().signed(events, at=seconds())

    assert tell(client, SignedPost(good.body.replace(b"bounce", b"bounse"), good.headers)) == 403
    assert tell(client, stranger) == 403
    assert tell(client, SignedPost(good.body, {})) == 403
    assert tell(client, vendor.signed(events, at=seconds() - 25 * 3600)) == 403
    app.extensions["config"] = replace(app.extensions["config"], sendgrid_webhook_key=None)
    assert tell(client, good) == 403
    assert of(message).state == State.ACCEPTED


@pytest.mark.parametrize("body", [b"", b"{", b'{"event": "bounce"}', b"null", b"\xff\xfe", b"[" * 100_000])
def test_a_signed_body_that_is_no_list_is_refused(client: Client, vendor: Vendor, body: bytes) -> None:
    signed = vendor.signed_body(body, at=seconds())

    response = client.post("/hooks/sendgrid", data=signed.body, headers=dict(signed.headers))

    assert response.status_code == 422
    assert response.content_type == "application/problem+json"


def test_a_body_too_large_is_refused(client: Client, vendor: Vendor) -> None:
    assert client.post("/hooks/sendgrid", data=b"x" * (4 * 1024 * 1024 + 1)).status_code == 413


def test_strange_events_are_left_out_and_the_others_kept(client: Client, vendor: Vendor, post: Post) -> None:
    message, mail = sent(vendor, post)
    at = seconds()
    good = vendor.event(mail, "delivered", at=at)
    strange: list[Any] = [
        None,
        7,
        {},
        good | {"sg_event_id": "a\x00b"},
        good | {"sg_event_id": "x" * 300},
        good | {"sg_event_id": "1", "timestamp": "now"},
        good | {"sg_event_id": "2", "timestamp": 10**18},
        good | {"sg_event_id": "3", "amends_message": "unknown"},
        good | {"sg_event_id": "4", "event": "something_new"},
        good | {"sg_event_id": "5", "amends_message": "\ud800"},
    ]

    body = json.dumps([*strange, good]).encode()
    assert tell(client, vendor.signed_body(body, at=at)) == 204

    assert of(message).state == State.DELIVERED
    assert len(db.session.scalars(select(MessageEvent)).all()) == 1


def test_an_event_settles_a_message_whose_reply_was_lost(
    client: Client, vendor: Vendor, post: Post, moved_clock: Callable[..., None]
) -> None:
    vendor.script(Fault.DROP_REPLY)
    message, mail = sent(vendor, post)
    assert of(message).state == State.UNCERTAIN

    tell(client, vendor.signed([vendor.event(mail, "processed", at=seconds())], at=seconds()))
    moved_clock(2 * delivery.EVENT_WAIT)

    assert delivery.settle_stuck(now=clock.now()) == 0
    assert (of(message).state, of(message).failure, vendor.accepted) == (State.ACCEPTED, None, 1)


@pytest.mark.parametrize(
    ("kind", "more", "stopped"),
    [
        ("bounce", {"type": "bounce"}, {"service", "survey", "marketing"}),
        ("bounce", {"type": "blocked"}, set()),
        ("dropped", {"reason": "Bounced Address"}, {"service", "survey", "marketing"}),
        ("dropped", {"reason": "Spam Reporting Address"}, {"survey", "marketing"}),
        ("dropped", {"reason": "Recipient List over Package Quota"}, set()),
        ("dropped", {"reason": "Unsubscribed Address"}, {"survey"}),
        ("spamreport", {}, {"survey", "marketing"}),
        ("unsubscribe", {}, {"survey"}),
        ("group_unsubscribe", {}, {"survey"}),
        ("delivered", {}, set()),
    ],
)
def test_what_an_event_stops(
    client: Client,
    vendor: Vendor,
    post: Post,
    customer: Customer,
    kind: str,
    more: dict[str, str],
    stopped: set[str],
) -> None:
    _, mail = sent(vendor, post, "invitation", customer_id=customer.id, to_address="hanna@posteo.example")

    tell(client, vendor.signed([vendor.event(mail, kind, at=seconds(), **more)], at=seconds()))

    found = {each for each in ("service", "survey", "marketing") if suppression.is_suppressed(mail.to, each)}
    assert found == stopped
    takes_consent = "service" not in stopped
    expected = Consent.WITHDRAWN if "survey" in stopped and takes_consent else Consent.UNKNOWN
    assert db.session.get_one(Customer, customer.id).survey_consent == expected
