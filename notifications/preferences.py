"""What a customer wants to hear of: consent on the record and suppression of the address, always changed together."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import joinedload

from core import tokens
from core.db import db
from core.errors import NotFound
from customers import consent, customers, erasure
from customers.models import Brand, Consent, Customer
from notifications import suppression
from notifications.kinds import KINDS, Purpose
from notifications.models import Message, SuppressionReason

PURPOSES: tuple[consent.Purpose, consent.Purpose] = ("survey", "marketing")


def customer_of(token: str) -> Customer:
    """Return whose preferences a link is about. Raises NotFound for a link we did not sign, CustomerErased."""
    customer = customers.by_public_id(tokens.read("preferences", token))
    erasure.check(customer)
    return customer


def message_of(token: str) -> Message:
    """Return the message that an unsubscribe link came with. Raises NotFound, CustomerErased."""
    public_id = tokens.read("unsubscribe", token)
    query = select(Message).options(joinedload(Message.brand), joinedload(Message.customer))
    message = db.session.scalar(query.where(Message.public_id == public_id))
    if message is None:
        raise NotFound
    erasure.check(message.customer)
    return message


def brand_of(customer: Customer) -> Brand | None:
    """Return the brand that wrote to a customer last, else the first one."""
    last = select(Brand).join(Message, Message.brand_id == Brand.id).where(Message.customer_id == customer.id)
    brand = db.session.scalar(last.order_by(Message.created_at.desc()).limit(1))
    return brand or db.session.scalar(select(Brand).order_by(Brand.id).limit(1))


def wants(customer: Customer, purpose: consent.Purpose) -> bool:
    """Surveys are sent unless withdrawn; marketing only where it was agreed to."""
    said = consent.of(customer, purpose)
    return said is not Consent.WITHDRAWN if purpose == "survey" else said is Consent.GIVEN


def choose(customer: Customer, wanted: Mapping[consent.Purpose, bool], *, by: str, now: datetime) -> None:
    """Set the choices as the customer ticked them; a choice that stays is not recorded again."""
    for purpose, is_wanted in wanted.items():
        if is_wanted and not wants(customer, purpose):
            _start(customer, purpose, by=by, now=now)
        elif wants(customer, purpose) and not is_wanted:
            _stop(customer, customer.email, purpose, by=by, now=now)
    db.session.flush()


def note(customer: Customer, purpose: consent.Purpose, *, wanted: bool, by: str, now: datetime) -> None:
    """Note what a customer told a member of staff, as if they had ticked it themselves; a yes is kept as said."""
    if wanted:
        _start(customer, purpose, by=by, now=now)
    else:
        _stop(customer, customer.email, purpose, by=by, now=now)
    db.session.flush()


def stop(message: Message, *, by: str, now: datetime) -> None:
    """Stop what this message was: surveys or marketing; both, if it was neither. Doing it again changes nothing."""
    kind = KINDS[message.kind]
    for purpose in PURPOSES:
        if kind.purpose in (Purpose.SERVICE, purpose):
            _stop(message.customer, message.to_address, purpose, by=by, now=now)
    db.session.flush()


def stop_everything(message: Message, *, reason: SuppressionReason, by: str, now: datetime) -> None:
    """Stop all that is not about the customer's own matter."""
    for purpose in PURPOSES:
        _stop(message.customer, message.to_address, purpose, by=by, now=now, reason=reason)
    db.session.flush()


def _stop(
    customer: Customer | None,
    address: str | None,
    purpose: consent.Purpose,
    *,
    by: str,
    now: datetime,
    reason: SuppressionReason = SuppressionReason.UNSUBSCRIBE,
) -> None:
    """The address the mail came to is stopped, and the record's present one, which may be another by now."""
    known = {each for each in (address, customer.email if customer else None) if each}
    for each in sorted(known):  # in one order, so that nobody waits for who waits for them
        suppression.suppress(each, purpose, reason, now)
    if customer:
        consent.withdraw(customer, purpose, by=by, now=now)


def _start(customer: Customer, purpose: consent.Purpose, *, by: str, now: datetime) -> None:
    if customer.email:
        suppression.lift(customer.email, purpose)
    consent.give(customer, purpose, by=by, now=now)
