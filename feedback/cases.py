"""Cases: opened by an unhappy answer, by hand or by an import, and found by who may see them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import joinedload

from accounts import visibility
from accounts.models import Staff
from core import i18n
from core.db import db, new_public_id
from core.errors import NotFound
from core.events import Event
from core.inserting import insert_many
from customers import erasure
from customers.models import Brand, Customer, Touchpoint
from customers.scales import Band, band
from feedback import clocks, opening, policies, public, reopening
from feedback.actors import IMPORT, RULE, By, actor_of
from feedback.models import Case, ClockKind, Origin, Promise, PromiseState
from feedback.state import lock, record, settle

NUMBER: Final = re.compile(r"(?:AM-)?([0-9]{1,15})", re.IGNORECASE)
CONTACTS: Final = ("phone", "email")  # that an answer can wish for; a complaint also a text: sms


@dataclass(frozen=True)
class UnhappyAnswer:
    """An answer as the desk sees it. `threshold` is the highest score that opens a case; None: every negative one."""

    survey_id: int
    question: str
    metric: str
    score: int
    brand: policies.JudgedBrand
    touchpoint_id: int | None
    interaction_id: int | None
    customer: policies.JudgedCustomer | None
    why: Sequence[str]
    words: str | None
    language: str
    wants: str  # phone, email or none
    threshold: int | None = None

    @property
    def is_unhappy(self) -> bool:
        if self.threshold is not None:
            return self.score <= self.threshold
        return band(self.metric, self.score) is Band.NEGATIVE


@dataclass(frozen=True)
class ByHand:
    """A case that somebody opens for a customer; `form_key` makes a double click one case."""

    brand: Brand
    customer: Customer | None
    summary: str
    words: str | None
    form_key: str
    language: str = "en"
    wants: str = "none"
    touchpoint_id: int | None = None
    interaction_id: None = None
    metric: None = None
    score: None = None
    why: tuple[str, ...] = ()


@dataclass(frozen=True)
class Complained:
    """A complaint as the desk sees it. `can_be_reached`: there is a number or an address that we may use already."""

    complaint_id: int
    brand: Brand
    customer: Customer | None
    words: str
    language: str
    wants: str  # phone, email, sms or none
    can_be_reached: bool
    touchpoint_id: int | None = None
    interaction_id: int | None = None
    metric: None = None
    score: None = None
    why: tuple[str, ...] = ()


@dataclass(frozen=True)
class ImportedCase:
    """A case as it was elsewhere: it keeps its time, has no clocks and stays off the desk until asked for."""

    reason: str  # response:<id>, complaint:<id>
    origin: str
    brand_id: int
    opened_at: datetime
    language: str
    customer_id: int | None = None
    touchpoint_id: int | None = None
    interaction_id: int | None = None
    response_id: int | None = None
    survey_id: int | None = None
    question: str | None = None
    metric: str | None = None
    score: int | None = None
    why: Sequence[str] = ()
    words: str | None = None
    summary: str | None = None
    import_id: int | None = None
    attributes: dict[str, Any] = field(default_factory=dict)  # further columns of case, such as reopened


def opening_of(answer: UnhappyAnswer, *, now: datetime) -> dict[str, Any] | None:
    """Return what `opening.beside` writes for an unhappy answer, with the contact it wished for; None for any other."""
    if not answer.is_unhappy:
        return None
    wants = answer.wants if answer.customer is not None and answer.wants in CONTACTS else "none"
    return opening.values(
        answer,
        origin=Origin.ANSWER,
        wants=wants,
        is_promised=wants in CONTACTS,
        actor=RULE,
        now=now,
        survey_id=answer.survey_id,
        question=answer.question,
    )


def open_by_hand(data: ByHand, *, by: By, now: datetime) -> Case:
    """Open a case for a customer, or for nobody known; the same form sent twice opens one."""
    reason = f"hand:{data.form_key}"
    decided = opening.values(
        data,
        origin=Origin.HAND,
        wants=data.wants,
        is_promised=False,
        actor=actor_of(by),
        now=now,
        summary=data.summary,
    )
    opening.write(decided, reason=reason)
    return _with_reason(reason)


def open_for_complaint(told: Complained, *, by: By, now: datetime) -> Case:
    """Open a case with its clocks for a complaint, and promise the contact if its customer can be reached.

    Two statements. One complaint has one case: again returns the same.
    """
    reason = f"complaint:{told.complaint_id}"
    decided = opening.values(
        told,
        origin=Origin.COMPLAINT,
        wants=told.wants,
        is_promised=told.can_be_reached and told.wants != "none",
        actor=actor_of(by),
        now=now,
    )
    opening.write(decided, reason=reason)
    return _with_reason(reason)


def open_imported(imported: ImportedCase, *, now: datetime) -> Case:
    """Keep one imported case; again returns the same."""
    open_many_imported([imported], now=now)
    return _with_reason(imported.reason)


def open_many_imported(many: Sequence[ImportedCase], *, now: datetime) -> list[int]:
    """Keep imported cases, return the ids of the new ones; two statements, however many. Nothing is sent."""
    if not many:
        return []
    rows = [_imported_row(each) for each in many]
    new = insert_many(Case, rows, unless="(reason)", returning=("id", "customer_id", "opened_at"))
    shared = {"kind": "case.opened", "version": 1, "actor": IMPORT, "data": {"kept_at": now.isoformat()}}
    insert_many(
        Event, [shared | {"at": row.opened_at, "customer_id": row.customer_id, "case_id": row.id} for row in new]
    )
    return [row.id for row in new]


def _imported_row(each: ImportedCase) -> dict[str, Any]:
    row = {name: getattr(each, name) for name in ImportedCase.__dataclass_fields__ if name != "attributes"}
    return {
        **row,
        "why": list(each.why),
        "public_id": new_public_id(),
        "due_at": each.opened_at,
        "next_act": "none",
        "off_desk": True,
        **each.attributes,
    }


def bring_to_desk(case: Case, *, by: By, now: datetime) -> None:
    """Start work on an imported case: its clocks run from now."""
    lock(case)
    if not case.off_desk:
        return
    case.off_desk = False
    record(case, "case.brought_to_desk", by=by, now=now)
    if case.is_open:
        policy = policies.policy_for(case, origin=case.origin)
        _start_clocks(case, policy, actor=actor_of(by), now=now)
        settle(case, now=now)
    else:
        reopening.reopen(case, because="staff", by=by, now=now)


def stop_link(case: Case, *, by: By, now: datetime) -> None:
    """Let the link to the customer's page of this case lead nowhere, whoever has it."""
    lock(case)
    if case.link_revoked_at is None:
        case.link_revoked_at = now
        record(case, "case.link_stopped", by=by, now=now)


def open_link(case: Case, *, by: By, now: datetime) -> None:
    """Let a stopped link lead to the customer's page again. Raises CustomerErased."""
    lock(case)
    erasure.check(case.customer)
    if case.link_revoked_at is not None:
        case.link_revoked_at = None
        record(case, "case.link_opened", by=by, now=now)


def number_of(text: str) -> int | None:
    """Return the number in `AM-2417` or `2417`, or None for anything else."""
    match = NUMBER.fullmatch(text.strip())
    return int(match[1]) if match else None


def visible(staff: Staff, number: str) -> Case:
    """Return a case with what its page shows of it, or raise NotFound, also when its brand is not this person's."""
    found = number_of(number)
    query = visibility.visible_to(staff, select(Case).where(Case.number == found), Case.brand_id)
    case = db.session.scalar(query.options(*RELATED)) if found is not None else None
    if case is None:
        raise NotFound
    return case


def by_public_id(public_id: str) -> Case | None:
    """Return the case a customer's link names; one that was merged leads to the case that goes on, unless its link was
    stopped."""
    case = db.session.scalar(select(Case).where(Case.public_id == public_id).options(*RELATED))
    if case is None or case.merged_into_id is None or case.link_revoked_at is not None:
        return case
    return by_id(case.merged_into_id)


def by_id(case_id: int) -> Case:
    """Return a case with what its pages show of it."""
    return db.session.scalars(select(Case).where(Case.id == case_id).options(*RELATED)).one()


RELATED: Final = (
    joinedload(Case.brand),
    joinedload(Case.touchpoint),
    joinedload(Case.customer),
    joinedload(Case.assignee).lazyload(Staff.roles),
    joinedload(Case.interaction),
)


def _with_reason(reason: str) -> Case:
    return db.session.execute(select(Case).where(Case.reason == reason).options(*RELATED)).scalar_one()


def _start_clocks(case: Case, policy: policies.Policy, *, actor: str, now: datetime) -> None:
    targets = [
        clocks.Target(ClockKind.FIRST_CONTACT, policy.first_contact_minutes),
        clocks.Target(ClockKind.RESOLUTION, policy.resolution_minutes),
    ]
    if case.first_contact_at is not None:
        targets = targets[1:]
    clocks.start(case.id, targets, policy=policy.name, calendar_id=case.brand.calendar_id, actor=actor, now=now)


def promise_contact(case: Case, due: datetime, now: datetime) -> int:
    """Promise the first contact by the end of its clock; return the promise's id."""
    with i18n.use_language(case.language, zone=case.brand.zone):
        words = public.contact_words(case.wants)
    row = {
        "case_id": case.id,
        "kind": "contact",
        "words": words,
        "due_at": due,
        "due_zone": case.brand.zone,
        "made_by": RULE,
        "made_at": now,
        "state": PromiseState.OPEN,
    }
    made: int = insert_many(Promise, [row], returning=("id",))[0].id
    return made


def touchpoints_of(brand_id: int | None) -> list[Touchpoint]:
    """Return the touchpoints in use, of one brand or of all, by name."""
    query = select(Touchpoint).where(Touchpoint.archived_at.is_(None)).order_by(Touchpoint.name, Touchpoint.id)
    return list(db.session.scalars(query.where(Touchpoint.brand_id == brand_id) if brand_id else query))
