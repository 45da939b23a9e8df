"""Erasing a customer: words and identifiers go, from every room; scores, money and the skeleton of events stay.

Each room clears its own tables when it is told (`customers.signals`). Their addresses go on the list of those that we
must not write to, as hashes. What was under way at that very moment is looked for once more a little later (`settle`).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import Text, cast, func, literal, or_, select, update

from core import events, outbox
from core.db import db
from core.errors import Refusal
from customers import customers, refusals
from customers.models import Consent, Customer, Interaction
from customers.signals import SETTLED_AFTER, Erasure, customer_erased, tell

IDENTIFYING: Final = ("external_id", "name", "email", "phone")
PERSONAL: Final = (*IDENTIFYING, "language", "tier")


class CustomerErased(Refusal):
    """What a customer's link led to was erased with their record."""

    status, code = 410, "customer-erased"


def erase(customer: Customer, *, by: str, now: datetime) -> Customer:
    """Erase a customer and every record that was merged into theirs; again clears what has come since.

    Returns the record that is left, without anything that tells who it was.
    """
    family = customers.locked_family(customer)
    kept = family[0]
    is_first = kept.erased_at is None
    erasure = _erasure(family, by, now)
    tell(customer_erased, kept, erasure=erasure)
    refusals.seek(kept, erasure)
    _clear(family, now)
    _clear_interactions(erasure.ids)
    if is_first:
        events.record("customer.erased", at=now, actor=by, customer=kept.id)
        outbox.later("customer.settle", key=f"{kept.id}:erased", due_at=now + SETTLED_AFTER, customer_id=kept.id)
    db.session.flush()
    return kept


def _erasure(family: Sequence[Customer], by: str, now: datetime) -> Erasure:
    ids = [each.id for each in family]
    addresses = {each.email.lower() for each in family if each.email}
    numbers = {number for each in family for number in (each.external_id, each.phone) if number}
    names = {each.name for each in family if each.name}
    theirs = addresses - shared(addresses, besides=ids)
    return Erasure(ids, frozenset(theirs), frozenset(numbers), frozenset(names), by, now)


def shared(addresses: Collection[str], *, besides: Collection[int]) -> set[str]:
    """Return those addresses, in lower case, that another customer has too, as families do."""
    address = func.lower(Customer.email)
    held = select(address).where(Customer.email.is_not(None), address.in_(addresses), Customer.id.not_in(besides))
    return set(db.session.scalars(held.where(Customer.erased_at.is_(None)))) if addresses else set()


def has_shared_address(customer: Customer) -> bool:
    """Whether another customer has an address of this one or of a record merged into it: it stays open to messages."""
    family = db.session.scalars(
        select(Customer).where(or_(Customer.id == customer.id, Customer.merged_into_id == customer.id))
    ).all()
    return bool(shared({each.email.lower() for each in family if each.email}, besides=[each.id for each in family]))


def _clear(family: Sequence[Customer], now: datetime) -> None:
    for each in family:
        for name in PERSONAL:
            setattr(each, name, None)
        each.survey_consent = each.marketing_consent = Consent.WITHDRAWN
        each.erased_at = each.erased_at or now
    db.session.flush()


def _clear_interactions(ids: Sequence[int]) -> None:
    """Keep where and when, and what it was worth; the shop's reference leads to a person, and attributes may."""
    db.session.execute(
        update(Interaction)
        .where(Interaction.customer_id.in_(ids))
        .values(reference=literal("erased:").concat(cast(Interaction.id, Text)), attributes={})
        .execution_options(synchronize_session="fetch")
    )


def check(customer: Customer | None) -> None:
    """Raise CustomerErased for the links of somebody whose record was erased."""
    if customer is not None and customer.erased_at is not None:
        raise CustomerErased


def names(customer: Customer, typed: str) -> bool:
    """Whether somebody typed the customer's number, name, address or phone: asked before what cannot be undone."""
    given = " ".join(typed.split()).casefold()
    known = {" ".join(value.split()).casefold() for name in IDENTIFYING if (value := getattr(customer, name))}
    return bool(given) and given in known
