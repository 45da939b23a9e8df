"""Finding and keeping the customer's record by what the shop tells us; many at once costs as many statements as one."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Select, func, or_, select, text, union

from core.db import db, new_public_id
from core.errors import NotFound
from core.inserting import among_texts, insert_all
from customers.models import Customer

TOLD: Final = ("name", "email", "phone", "language", "tier")  # what each telling may bring anew


@dataclass(frozen=True)
class CustomerData:
    """A customer as a connected system names them: by its own id, else by an address or a number it vouches for."""

    external_id: str | None = None
    name: str | None = None
    email: str | None = None
    phone: str | None = None
    language: str | None = None
    tier: str | None = None

    @property
    def key(self) -> tuple[str, str] | None:
        """Return what identifies this customer, or None: they cannot be told from others, and no record is kept."""
        if self.external_id:
            return ("external_id", self.external_id)
        if self.email:
            return ("email", self.email.lower())
        return ("phone", self.phone) if self.phone else None


def upsert(data: CustomerData, *, now: datetime) -> Customer | None:
    """Return this customer's record, made or brought up to date; None when nothing identifies them."""
    return upsert_many([data], now=now)[0]


def upsert_many(many: Sequence[CustomerData], *, now: datetime, only_fill: bool = False) -> list[Customer | None]:
    """Return the records in the order given; blanks never overwrite. At most six statements, however many.

    Who is known by what a merged record was known by gets the record that was kept; one more statement finds it.
    `only_fill` is for history: what a record says already stays, because it may be newer.
    """
    merged: dict[tuple[str, str], CustomerData] = {}
    for data in many:
        if data.key:
            merged[data.key] = _over(merged.get(data.key), data)
    by_id = [data for (kind, _), data in merged.items() if kind == "external_id"]
    by_contact = {key: data for key, data in merged.items() if key[0] != "external_id"}
    if by_contact:
        _one_at_a_time(by_contact)
    if len(merged) > 1:
        _hold_known(merged)
    found = _by_external_id(by_id, now, only_fill)
    found |= _by_contact(by_contact, now, only_fill)
    _follow_merges(found, merged)
    return [found[data.key] if data.key else None for data in many]


def _over(older: CustomerData | None, newer: CustomerData) -> CustomerData:
    """Return the newer data with its blanks filled from the older."""
    if older is None:
        return newer
    return CustomerData(
        **{name: getattr(newer, name) or getattr(older, name) for name in CustomerData.__dataclass_fields__}
    )


def _hold_known(told: Iterable[tuple[str, str]]) -> None:
    """Hold all that are known already, and those they lead to, before any is written: written one after the other by
    what they are known by, they would be locked in another order than everywhere else."""
    values: dict[str, list[str]] = {"external_id": [], "email": [], "phone": []}
    for kind, value in told:
        values[kind].append(value)
    hit = or_(
        Customer.external_id == among_texts(values["external_id"]),
        func.lower(Customer.email) == among_texts(values["email"]),
        Customer.phone == among_texts(values["phone"]),
    )
    known = select(Customer.id, Customer.merged_into_id).where(hit).cte("known")
    ids = union(select(known.c.id), select(known.c.merged_into_id))
    db.session.execute(_in_order(select(Customer.id).where(Customer.id.in_(ids))))


def _by_external_id(many: Sequence[CustomerData], now: datetime, only_fill: bool) -> dict[tuple[str, str], Customer]:
    if not many:
        return {}
    first, second = ("customer", "excluded") if only_fill else ("excluded", "customer")
    keep = ", ".join(f"{name} = coalesce({first}.{name}, {second}.{name})" for name in TOLD)
    in_order = sorted(many, key=lambda data: data.external_id or "")  # one order, no deadlock
    rows = insert_all(
        Customer, [_row(data, now) for data in in_order], unless="(external_id)", otherwise=f"UPDATE SET {keep}"
    )
    return {("external_id", customer.external_id or ""): customer for customer in rows}


def _by_contact(
    many: dict[tuple[str, str], CustomerData], now: datetime, only_fill: bool
) -> dict[tuple[str, str], Customer]:
    if not many:
        return {}
    emails = [value for kind, value in many if kind == "email"]
    phones = [value for kind, value in many if kind == "phone"]
    known: dict[tuple[str, str], Customer] = {}
    hit = func.lower(Customer.email).in_(emails) | Customer.phone.in_(phones)
    for customer in held(select(Customer).where(Customer.erased_at.is_(None), hit)):
        known.setdefault(("email", (customer.email or "").lower()), customer)
        known.setdefault(("phone", customer.phone or ""), customer)
    for key, data in many.items():
        if key in known:
            _fill(known[key], data, only_fill)
    missing = [_row(data, now) for key, data in many.items() if key not in known]
    if missing:
        for customer in insert_all(Customer, missing):
            known[("email", customer.email.lower()) if customer.email else ("phone", customer.phone or "")] = customer
    return {key: known[key] for key in many}


def held(query: Select[Customer]) -> list[Customer]:
    """Return records, held until commit so that none is erased or merged meanwhile; those of their own come first.

    Merged ones are locked before those they lead to, everywhere. The lock lets others insert rows that name a record.
    """
    found = db.session.scalars(_in_order(query), execution_options={"populate_existing": True}).all()
    return sorted(found, key=lambda each: (each.merged_into_id is not None, each.id))


def _in_order(query: Select[Any]) -> Select[Any]:
    return query.order_by(Customer.merged_into_id.is_(None), Customer.id).with_for_update(key_share=True)


def _follow_merges(found: dict[tuple[str, str], Customer], told: Mapping[tuple[str, str], CustomerData]) -> None:
    """Put the kept record in the place of each merged one; what was told fills its blanks at most."""
    into = {each.merged_into_id for each in found.values() if each.merged_into_id}
    if not into:
        return
    kept = {each.id: each for each in held(select(Customer).where(Customer.id.in_(into)))}
    for key, customer in found.items():
        if customer.merged_into_id:
            found[key] = remaining = kept[customer.merged_into_id]
            if remaining.erased_at is None:
                fill_blanks(remaining, told[key])


def fill_blanks(customer: Customer, other: CustomerData | Customer) -> None:
    """Take over what a record does not say yet."""
    for name in TOLD:
        if not getattr(customer, name) and (value := getattr(other, name)):
            setattr(customer, name, value)


def _one_at_a_time(keys: Iterable[tuple[str, str]]) -> None:
    """Let two requests with the same new address make one record: no unique index can, as families share addresses."""
    locks = sorted({zlib.crc32(":".join(key).encode("utf-8", "replace")) for key in keys})
    db.session.execute(
        text("SELECT pg_advisory_xact_lock(7301, key) FROM unnest(CAST(:keys AS int[])) AS key"),
        {"keys": [lock - 2**31 for lock in locks]},
    )


def _fill(customer: Customer, data: CustomerData, only_fill: bool) -> None:
    for name in ("name", "phone", "language", "tier"):
        is_open = not (only_fill and getattr(customer, name))
        if is_open and (value := getattr(data, name)) and getattr(customer, name) != value:
            setattr(customer, name, value)


def _row(data: CustomerData, now: datetime) -> dict[str, object]:
    row: dict[str, object] = {name: getattr(data, name) for name in CustomerData.__dataclass_fields__}
    return row | {"public_id": new_public_id(), "created_at": now}


# Finding


def by_public_id(public_id: str) -> Customer:
    """Return a customer, following a merge to the record that is kept, or raise NotFound."""
    customer = db.session.scalar(select(Customer).where(Customer.public_id == public_id))
    if customer is None:
        raise NotFound
    return remaining(customer)


def remaining(customer: Customer) -> Customer:
    """Return the record into which this one was merged, else itself. Merging leaves no chains."""
    if customer.merged_into_id is None:
        return customer
    return db.session.get_one(Customer, customer.merged_into_id)


def by_reference(words: str) -> Customer:
    """Return whom the shop calls by this number, else the one customer with this address, or raise NotFound.

    Also what a merged record was known by. An address that several customers share names none of them.
    """
    found = db.session.scalar(select(Customer).where(Customer.external_id == words))
    if found is not None:
        return remaining(found)
    same = select(Customer).where(func.lower(Customer.email) == words.lower())
    people = {remaining(each) for each in db.session.scalars(same.limit(20))}
    if len(people) != 1:
        raise NotFound
    return people.pop()


def locked_family(customer: Customer) -> list[Customer]:
    """Return the record that remains and then those merged into it, held until commit and read anew."""
    while True:
        kept_id = customer.merged_into_id or customer.id
        merged = held(select(Customer).where(Customer.merged_into_id == kept_id))
        customer = held(select(Customer).where(Customer.id == kept_id))[0]
        if customer.merged_into_id is None:
            return [customer, *merged]
