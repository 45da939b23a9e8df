"""What is said in a case: notes, calls, replies by e-mail, the customer's own words."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from flask_babel import gettext as _
from sqlalchemy import or_, select
from sqlalchemy.orm import joinedload

from accounts.models import Staff
from core import i18n
from core.db import db
from core.errors import Conflict, Refusal
from feedback import clocks, promises, public
from feedback.actors import CUSTOMER, actor_of
from feedback.models import Case, CaseEntry, CaseState, ClockKind, EntryKind
from feedback.reopening import reopen, start_clock
from feedback.state import CaseClosed, lock, lock_where_it_goes_on, record, settle
from notifications import kinds, messages
from notifications.models import Message


class CannotWrite(Refusal):
    """There is nobody to write to; the sentence says why."""

    code = "cannot-write"


class StaleReply(Conflict):
    """Something was said since the writer opened the case; `since` holds it. The draft is the caller's to keep."""

    code = "stale-reply"

    def __init__(self, since: Sequence[CaseEntry]) -> None:
        super().__init__()
        self.since = list(since)

    def sentence(self) -> str:
        return _("Something was said while you were writing. Read it, then send your reply again.")


def note(case: Case, *, body: str, by: Staff, now: datetime, form_key: str | None = None) -> CaseEntry:
    """Keep something for the team alone."""
    lock(case)
    if again := _made_by(form_key):
        return again
    entry = _add(case, EntryKind.NOTE, body=body, by=by, now=now, form_key=form_key)
    record(case, "case.noted", by=by, now=now, entry=entry.id)
    return entry


def log_call(
    case: Case,
    *,
    reached: bool,
    minutes: int | None,
    body: str | None,
    by: Staff,
    now: datetime,
    form_key: str | None = None,
) -> CaseEntry:
    """Keep a call to the customer; one that reached them is a contact: it stops clocks, keeps the promise to call."""
    lock(case)
    if again := _made_by(form_key):
        return again
    entry = _add(case, EntryKind.CALL, body=body, by=by, now=now, form_key=form_key, reached=reached, minutes=minutes)
    record(case, "case.called", by=by, now=now, entry=entry.id, reached=reached, minutes=minutes)
    if reached:
        _contacted(case, by=by, now=now)
        case.planned_at = None
    settle(case, now=now)
    return entry


def reply(
    case: Case,
    *,
    body: str,
    last_seen: int,
    by: Staff,
    now: datetime,
    form_key: str | None = None,
    wait: bool = False,
) -> CaseEntry:
    """Write to the customer by e-mail; `last_seen` is the newest entry its writer saw.

    `wait` pauses the clocks for an answer. It counts as the first contact unless the customer asked to be called.
    Raises CannotWrite, StaleReply, CaseClosed.
    """
    lock(case)
    if again := _made_by(form_key):
        return again
    to = _address(case)
    if since := newer_than(case, last_seen, unless_by=by):
        raise StaleReply(since)
    if case.state == CaseState.CLOSED:
        raise CaseClosed(_("This case is closed. Open it again to write to the customer."))
    entry = _add(case, EntryKind.REPLY, body=body, by=by, now=now, form_key=form_key)
    message = _send(case, entry, to=to, by=by, now=now)
    entry.message_id = message.id if message else None
    record(case, "case.replied", by=by, now=now, entry=entry.id, message=entry.message_id)
    _answered(case, by=by, now=now)
    case.planned_at = None
    if wait and case.is_open:
        _wait(case, by=by, now=now)
    settle(case, now=now)
    return entry


def customer_reply(case: Case, *, body: str, now: datetime, form_key: str, language: str | None = None) -> CaseEntry:
    """Keep what the customer writes; an answer of ours is due then, and a case that was over opens again."""
    case = lock_where_it_goes_on(case)
    if again := _made_by(form_key):
        return again
    entry = CaseEntry(case_id=case.id, kind=EntryKind.CUSTOMER, body=body, language=language, form_key=form_key, at=now)
    _keep(case, entry)
    record(case, "case.customer_replied", by=CUSTOMER, now=now, entry=entry.id)
    if not case.is_open:
        reopen(case, because="customer_replied", by=CUSTOMER, now=now)
    elif case.state == CaseState.WAITING:
        clocks.resume(case.id, actor=CUSTOMER, now=now)
        case.state = CaseState.RECOVERY if case.first_contact_at else CaseState.OPEN
    start_clock(case, ClockKind.NEXT_RESPONSE, by=CUSTOMER, now=now)
    settle(case, now=now)
    return entry


def wait(case: Case, *, by: Staff, now: datetime) -> None:
    """Wait for the customer: nothing but promises is due until they answer."""
    lock(case)
    if case.state in (CaseState.OPEN, CaseState.RECOVERY):
        _wait(case, by=by, now=now)
        settle(case, now=now)


def newer_than(case: Case, last_seen: int, *, unless_by: Staff) -> list[CaseEntry]:
    """Return what others said after the entry `last_seen`, oldest first."""
    if case.last_entry_id <= last_seen:
        return []
    query = (
        select(CaseEntry)
        .options(joinedload(CaseEntry.staff).lazyload(Staff.roles))
        .where(
            CaseEntry.case_id == case.id,
            CaseEntry.id > last_seen,
            or_(CaseEntry.staff_id.is_(None), CaseEntry.staff_id != unless_by.id),
        )
    )
    return list(db.session.scalars(query.order_by(CaseEntry.at, CaseEntry.id)))


def of(*case_ids: int) -> list[CaseEntry]:
    """Return everything said in a case (or some) with who said it, oldest first."""
    query = (
        select(CaseEntry)
        .options(joinedload(CaseEntry.staff).lazyload(Staff.roles))
        .where(CaseEntry.case_id.in_(case_ids))
    )
    return list(db.session.scalars(query.order_by(CaseEntry.at, CaseEntry.id)))


def can_write_to(case: Case) -> bool:
    return case.customer is not None and bool(case.customer.email) and case.customer.erased_at is None


def _address(case: Case) -> str:
    customer = case.customer
    if customer is None:
        raise CannotWrite(_("Nobody knows which customer this is, so there is nobody to write to."), field="body")
    if not can_write_to(case) or customer.email is None:
        raise CannotWrite(
            _("There is no e-mail address for this customer. Call instead, or add the address."), field="body"
        )
    return customer.email


def _made_by(form_key: str | None) -> CaseEntry | None:
    return db.session.scalar(select(CaseEntry).where(CaseEntry.form_key == form_key)) if form_key else None


def _add(
    case: Case,
    kind: EntryKind,
    *,
    body: str | None,
    by: Staff,
    now: datetime,
    form_key: str | None,
    reached: bool | None = None,
    minutes: int | None = None,
) -> CaseEntry:
    entry = CaseEntry(
        case_id=case.id,
        kind=kind,
        body=body,
        reached=reached,
        minutes=minutes,
        staff_id=by.id,
        staff=by,
        form_key=form_key,
        at=now,
    )
    _keep(case, entry)
    return entry


def _keep(case: Case, entry: CaseEntry) -> None:
    db.session.add(entry)
    db.session.flush()
    case.last_entry_id = entry.id


def _contacted(case: Case, *, by: Staff, now: datetime) -> None:
    """Note that the customer was spoken to."""
    if case.first_contact_at is None:
        case.first_contact_at = now
        record(case, "case.contacted", by=by, now=now)
    promises.keep_contact(case, by=by, now=now)
    kinds_met = (ClockKind.FIRST_CONTACT, ClockKind.NEXT_RESPONSE)
    clocks.stop(case.id, kinds=kinds_met, reason="contacted", actor=actor_of(by), now=now)
    if case.state == CaseState.OPEN:
        case.state = CaseState.RECOVERY


def _answered(case: Case, *, by: Staff, now: datetime) -> None:
    """Note that we wrote. Who asked to be called has not been contacted by that."""
    if case.wants == "phone" and case.first_contact_at is None:
        clocks.stop(case.id, kinds=(ClockKind.NEXT_RESPONSE,), reason="replied", actor=actor_of(by), now=now)
    else:
        _contacted(case, by=by, now=now)


def _wait(case: Case, *, by: Staff, now: datetime) -> None:
    clocks.pause(case.id, reason="customer", actor=actor_of(by), now=now)
    case.state = CaseState.WAITING
    record(case, "case.waiting", by=by, now=now)


def _send(case: Case, entry: CaseEntry, *, to: str, by: Staff, now: datetime) -> Message | None:
    customer = case.customer
    with i18n.use_language(case.language, zone=case.brand.zone):
        values = {
            "number": case.label,
            "agent_name": by.name,
            "reply": entry.body or "",
            "case_url": public.case_url(case),
            "name": kinds.greeting_name(customer.first_name if customer else None),
        }
    return messages.post(
        "case_reply",
        reason=f"entry:{entry.id}",
        brand=case.brand,
        customer=customer,
        language=case.language,
        values=values,
        to_address=to,
        to_name=customer.name if customer else None,
        case_id=case.id,
        now=now,
    )
