"""Complaints: filed by customers, by staff for them or by a connected system; acknowledged at once, each has a case.

An e-mail address that a stranger typed attaches to nothing, reveals no case and earns nothing until it is confirmed by
a link mailed to it. Who comes by a signed link, is filed for by staff or named by a connected system is known at once.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from flask import current_app
from flask_babel import gettext as _
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import joinedload

from core import formats, i18n, pace, tokens
from core.config import Config
from core.db import db, new_public_id
from core.errors import Gone, NotFound
from core.tokens import UnknownLink
from customers import customers
from customers.customers import CustomerData
from customers.models import Brand, Customer, Interaction, Touchpoint
from feedback import cases, files, letters, policies, public
from feedback.actors import CUSTOMER, By
from feedback.cases import Complained
from feedback.files import Upload
from feedback.models import Case, CaseClock, ClockKind, Complaint, Origin, Promise, PromiseState
from feedback.state import hold_customer, lock, record, settle
from notifications import messages
from notifications.kinds import greeting_name
from notifications.models import Message

CONFIRM_DAYS: Final = 7  # days in which an address can be confirmed
MAILS_TO_CONFIRM: Final = 3  # a day to one address, so that nobody is flooded in our name
DAY: Final = 24 * 60 * 60  # seconds
_BRAND_KEY: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,119}")


@dataclass(frozen=True)
class ComplaintData:
    """A complaint as it was told. `customer` is only who is known for certain; typed_* is what anybody can claim."""

    words: str
    form_key: str
    language: str
    customer: Customer | None = None
    reference: str | None = None
    happened_on: str | None = None  # ISO date, month or year
    wish: str | None = None
    via: str = "none"  # phone, email, sms or none
    contact_time: str | None = None
    category: str | None = None
    typed_name: str | None = None
    typed_email: str | None = None
    typed_phone: str | None = None
    files: Sequence[Upload] = ()


class ConfirmEnded(Gone):
    code = "confirm-ended"


def file(data: ComplaintData, *, brand: Brand, by: By, now: datetime) -> Complaint:
    """Keep a complaint, open its case with clocks and promise, and acknowledge it; the same form again is the same one.

    About eleven statements without files, in the caller's transaction.
    """
    complaint = _insert(data, brand, now)
    if complaint is None:
        return _with_key(data.form_key)
    order = _order_of_customer(data, brand)
    told = Complained(
        complaint_id=complaint.id,
        brand=brand,
        customer=data.customer,
        words=data.words,
        language=data.language,
        wants=data.via,
        can_be_reached=_can_be_reached(data),
        touchpoint_id=order.touchpoint_id if order else None,
        interaction_id=order.id if order else None,
    )
    case = cases.open_for_complaint(told, by=by, now=now)
    complaint.case_id = case.id
    db.session.flush()
    files.attach(case.id, data.files, now=now)
    if data.customer is not None and data.customer.email:
        acknowledge(complaint, case, now=now)
    elif data.typed_email:
        ask_to_confirm(complaint, case, now=now)
    return complaint


def _insert(data: ComplaintData, brand: Brand, now: datetime) -> Complaint | None:
    row = {
        "public_id": new_public_id(),
        "brand_id": brand.id,
        "form_key": data.form_key,
        "reference": data.reference,
        "happened_on": data.happened_on,
        "category": data.category,
        "wish": data.wish,
        "via": data.via,
        "contact_time": data.contact_time,
        "typed_name": data.typed_name,
        "typed_email": data.typed_email,
        "typed_phone": data.typed_phone,
        "received_at": now,
        "words": data.words,
        "language": data.language,
        "attributes": {},
    }
    statement = upsert(Complaint).values(row).on_conflict_do_nothing(index_elements=["form_key"])
    return db.session.scalar(statement.returning(Complaint))


def _with_key(form_key: str) -> Complaint:
    return db.session.execute(select(Complaint).where(Complaint.form_key == form_key)).scalar_one()


def _can_be_reached(data: ComplaintData) -> bool:
    """Whether we may use what there is: a number to ring may be a stranger's, an address must be a known one."""
    known = data.customer
    if data.via == "email":
        return known is not None and bool(known.email)
    return bool(data.typed_phone or (known and known.phone))


def orders(references: Sequence[str], brand_id: int) -> Sequence[Interaction]:
    """Return what a brand's shop told us under these references, newest first."""
    query = (
        select(Interaction)
        .join(Touchpoint, Touchpoint.id == Interaction.touchpoint_id)
        .where(Touchpoint.brand_id == brand_id, Interaction.reference.in_(references))
        .options(joinedload(Interaction.touchpoint), joinedload(Interaction.customer))
    )
    return db.session.scalars(query.order_by(Interaction.occurred_at.desc()).limit(5)).all()


def _order_of_customer(data: ComplaintData, brand: Brand) -> Interaction | None:
    """Return the customer's own order with this reference; a stranger's claim to one attaches nothing."""
    if not data.reference or data.customer is None:
        return None
    return _own(data.customer, orders([data.reference], brand.id))


def _own(customer: Customer, found: Sequence[Interaction]) -> Interaction | None:
    return next((each for each in found if each.customer_id == customer.id), None)


# Acknowledging, and confirming an address


def acknowledge(complaint: Complaint, case: Case, *, now: datetime) -> Message | None:
    """Write at once with number and deadline to the customer. It is about their own matter: no unsubscribe stops it."""
    customer = case.customer
    if customer is None or not customer.email or customer.erased_at is not None:
        return None
    promise = contact_promise(case.id)
    due = promise.due_at if promise else first_contact_due(case)
    with i18n.use_language(complaint.language, zone=case.brand.zone):
        values = {
            "number": case.label,
            "received_on": formats.day(complaint.received_at, "full"),
            "deadline": _moment(due),
            "case_url": public.case_url(case),
            "name": greeting_name(customer.first_name),
            "promise": f"{public.contact_words(case.wants)}." if promise else "",
        }
    reason = f"complaint:{complaint.id}"
    return letters.post(
        "complaint_acknowledged", case, customer, reason=reason, language=complaint.language, values=values, now=now
    )


def ask_to_confirm(complaint: Complaint, case: Case, *, now: datetime) -> Message | None:
    """Ask the owner of a typed address whether it was them; nothing else goes there before they say so."""
    address = complaint.typed_email or ""
    try:
        pace.check("confirm-address", address.lower(), most=MAILS_TO_CONFIRM, seconds=DAY, now=now)
    except pace.TooFast:
        return None
    config: Config = current_app.extensions["config"]
    with i18n.use_language(complaint.language, zone=case.brand.zone):
        values = {
            "number": case.label,
            "confirm_url": f"{config.base_url}/complaints/confirm/{tokens.sign('confirm', complaint.public_id)}",
            "valid_until": formats.day(_confirm_until(complaint), "full"),
        }
    return messages.post(
        "confirm_address",
        reason=f"complaint:{complaint.id}",
        brand=case.brand,
        customer=None,
        language=complaint.language,
        values=values,
        to_address=address,
        to_name=None,
        case_id=case.id,
        now=now,
    )


def _moment(at: datetime) -> str:
    return _("%(day)s, %(time)s", day=formats.day(at, "long"), time=formats.time(at))


def _confirm_until(complaint: Complaint) -> datetime:
    return complaint.received_at + timedelta(days=CONFIRM_DAYS)


def to_confirm(token: str, *, now: datetime) -> tuple[Complaint, Case]:
    """Return what a link to confirm an address names. Raises NotFound; ConfirmEnded once it is too old or erased."""
    complaint, case = by_public_id(tokens.read("confirm", token))
    if complaint.confirmed_at is None and (now > _confirm_until(complaint) or not complaint.typed_email):
        raise ConfirmEnded
    return complaint, case


def confirm(complaint: Complaint, case: Case, *, now: datetime) -> None:
    """Take the word of who reads the typed address that it was them: the case is theirs now. Again changes nothing.

    Raises ConfirmEnded if the address was erased at this moment: then no record is kept of it.
    """
    found = _held_customer(complaint, case, now=now)
    lock(case)
    db.session.refresh(complaint)
    if complaint.confirmed_at is not None:
        return
    if not complaint.typed_email:
        raise ConfirmEnded
    complaint.confirmed_at = now
    if case.customer is None and found is not None:
        _give_to(case, found, complaint)
    elif case.customer is not None and not case.customer.email:
        case.customer.email = complaint.typed_email
    record(case, "complaint.confirmed", by=CUSTOMER, now=now, complaint=complaint.id)
    _promise_contact(case, now)
    settle(case, now=now)
    if case.first_contact_at is None:
        acknowledge(complaint, case, now=now)
    else:
        letters.post_opened([case], now=now)


def _held_customer(complaint: Complaint, case: Case, *, now: datetime) -> Customer | None:
    """Hold whose case it is, or will be, before the case itself; return the latter, found or made by the address."""
    if case.customer_id is not None:
        hold_customer(case)
    elif complaint.confirmed_at is None and complaint.typed_email:
        return _customer_of(complaint, now=now)
    return None


def _customer_of(complaint: Complaint, *, now: datetime) -> Customer:
    """Return the record of a confirmed address, found or made. What was typed beside it fills blanks at most."""
    typed = CustomerData(name=complaint.typed_name, email=complaint.typed_email, language=complaint.language)
    found = customers.upsert_many([typed], now=now, only_fill=True)[0]
    if found is None:
        raise NotFound
    return found


def _give_to(case: Case, customer: Customer, complaint: Complaint) -> None:
    case.customer_id, case.customer = customer.id, customer
    order = _own(customer, orders([complaint.reference], case.brand_id)) if complaint.reference else None
    if order is not None:
        case.interaction_id, case.touchpoint_id = order.id, order.touchpoint_id
    policy = policies.policy_for(case, origin=case.origin)
    case.priority = policy.priority
    case.team_id = policy.team_id or case.team_id


def _promise_contact(case: Case, now: datetime) -> None:
    """Promise the contact that could not be promised before, by the clock that runs since the complaint came."""
    if not case.is_open or case.first_contact_at or case.wants == "none" or contact_promise(case.id):
        return
    due = max(first_contact_due(case), now + timedelta(hours=1))
    promise = cases.promise_contact(case, due, now)
    record(case, "promise.made", by=CUSTOMER, now=now, promise=promise)


# Finding


def by_public_id(public_id: str) -> tuple[Complaint, Case]:
    """Return a complaint and its case, or raise NotFound."""
    query = select(Complaint, Case).join(Case, Case.id == Complaint.case_id).where(Complaint.public_id == public_id)
    row = db.session.execute(query.options(*cases.RELATED)).first()
    if row is None:
        raise NotFound
    return row.Complaint, row.Case


def of_case(case: Case) -> Complaint | None:
    """Return the complaint that opened a case; no statement for a case of another origin."""
    if case.origin != Origin.COMPLAINT:
        return None
    return db.session.scalar(select(Complaint).where(Complaint.case_id == case.id))


def contact_promise(case_id: int) -> Promise | None:
    """Return the contact that is still to come."""
    query = select(Promise).where(
        Promise.case_id == case_id, Promise.kind == "contact", Promise.state == PromiseState.OPEN
    )
    return db.session.scalars(query.order_by(Promise.id.desc()).limit(1)).first()


def first_contact_due(case: Case) -> datetime:
    """Return by when a case's customer hears from us, as its clock says."""
    query = select(CaseClock.due_at).where(CaseClock.case_id == case.id, CaseClock.kind == ClockKind.FIRST_CONTACT)
    return db.session.scalar(query.order_by(CaseClock.id.desc()).limit(1)) or case.due_at


def brand_named(key: str) -> Brand:
    """Return the brand a form is for; without a key the first. Raises NotFound."""
    query = select(Brand).order_by(Brand.id).limit(1)
    if key:
        if not _BRAND_KEY.fullmatch(key):
            raise NotFound
        query = query.where(Brand.key == key)
    brand = db.session.scalar(query)
    if brand is None:
        raise NotFound
    return brand


def link_token(customer: Customer) -> str:
    """Return the token by which a customer whom we know files a complaint: /complaints/new?for=<token>."""
    return tokens.sign("complain", customer.public_id)


def customer_of_link(token: str) -> Customer | None:
    """Return whom a signed link shows to be filing; None for a stranger, and for whoever made up a link."""
    customer = _named(token, "complain") or _of_case_link(token)
    return customer if customer is not None and customer.erased_at is None else None


def _named(token: str, purpose: str) -> Customer | None:
    try:
        return customers.by_public_id(tokens.read(purpose, token))
    except NotFound:
        return None


def _of_case_link(token: str) -> Customer | None:
    try:
        case = cases.by_public_id(tokens.read("case", token))
    except UnknownLink:
        return None
    return case.customer if case is not None and case.link_revoked_at is None else None


def hours_to_contact(brand: Brand, *, language: str) -> int:
    """Return within how many working hours a person contacts whoever complains; no statement, as a page says it."""
    asked = Complained(0, brand, None, "", language, "none", can_be_reached=False)
    return -(-policies.policy_for(asked, origin=Origin.COMPLAINT).first_contact_minutes // 60)
