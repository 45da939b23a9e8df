"""A customer's record as one page shows it, read across all rooms; its size never changes the number of statements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, Row, Select, func, or_, select, true, union_all
from sqlalchemy.orm import joinedload

from accounts.models import Staff
from accounts.visibility import brand_of
from core.db import db
from core.errors import NotFound
from customers.models import Consent, Customer, Interaction, Touchpoint
from customers.scales import Profile, band
from feedback import seen
from feedback.models import (
    OPEN_STATES,
    Case,
    CaseState,
    Complaint,
    Origin,
    Promise,
    PromiseState,
)
from incentives.models import Programme, Reward, RewardState
from notifications import suppression
from surveys import silence
from surveys.models import Invitation, InvitationRule, InvitationState, Response
from surveys.rules import Reason

LED: Final = 50  # records that a reference, or what was merged, leads to
MARKS: Final = 24  # answers that the drawing shows


@dataclass(frozen=True)
class Promises:
    kept: int = 0
    late: int = 0
    open: int = 0
    broken: int = 0

    @property
    def all(self) -> int:
        return self.kept + self.late + self.open + self.broken


@dataclass(frozen=True)
class Asking:
    """Whether this customer may be surveyed now: `rule` is the first that says no, or INVITED.

    `until` is when a rest of `days` ends, `last_asked` the last time.
    """

    rule: Reason
    until: datetime | None = None
    last_asked: datetime | None = None
    days: int = 0


@dataclass(frozen=True)
class Totals:
    interactions: int
    orders: int
    answers: int
    cases: int
    rewards: int


def load(public_id: str, *, staff: Staff) -> Customer:
    """Return a customer whom this member of staff may see (a merged one leads to who remains), or raise NotFound."""
    customer = db.session.scalar(select(Customer).where(Customer.public_id == public_id))
    if customer is not None and customer.merged_into_id:
        customer = db.session.get(Customer, customer.merged_into_id)
    if customer is None or not _is_seen(customer, staff):
        raise NotFound
    return customer


def is_all_seen(customer: Customer, staff: Staff) -> bool:
    """Whether this person sees all of a customer: nothing of theirs is with a brand that is not this person's."""
    brand_id = brand_of(staff)
    if brand_id is None:
        return True
    elsewhere = select(Customer.id).where(Customer.id == customer.id, seen.met_others(brand_id))
    return db.session.scalar(elsewhere) is None


def visible(staff: Staff) -> Select[Customer]:
    """Return the statement of customers this person may see: a team of one brand sees those who met that brand."""
    return seen.by(staff)


def answers(customer: Customer, *, brand_id: int | None = None) -> Sequence[Response]:
    """Return the newest scored answers, to one brand or to any, oldest first, for the drawing."""
    query = select(Response).where(Response.customer_id == customer.id, Response.score.is_not(None))
    query = query.where(_of(brand_id, Response.brand_id))
    query = query.options(joinedload(Response.touchpoint)).order_by(Response.answered_at.desc()).limit(MARKS)
    return list(reversed(db.session.scalars(query).all()))


def cases(customer: Customer, *, brand_id: int | None = None) -> Sequence[Case]:
    query = (
        select(Case)
        .where(Case.customer_id == customer.id, _of(brand_id, Case.brand_id))
        .order_by(Case.opened_at.desc())
        .limit(8)
    )
    return db.session.scalars(query).all()


def promises(customer: Customer, *, brand_id: int | None = None) -> Promises:
    query = select(Promise.state, func.count()).join(Case, Case.id == Promise.case_id)
    query = query.where(Case.customer_id == customer.id, _of(brand_id, Case.brand_id))
    query = query.where(Promise.state != PromiseState.RENEGOTIATED)
    return Promises(**{str(state): count for state, count in db.session.execute(query.group_by(Promise.state))})


def totals(customer: Customer, *, brand_id: int | None = None) -> Totals:
    """Return how much there is of each, with one brand or with all, in one statement."""

    def count(column: Any, *conditions: ColumnElement[bool]) -> Any:
        return select(func.count()).where(column == customer.id, *conditions).scalar_subquery()

    places = select(Touchpoint.id).where(Touchpoint.brand_id == brand_id)
    met = Interaction.touchpoint_id.in_(places) if brand_id is not None else true()
    programmes = select(Programme.id).where(Programme.brand_id == brand_id)
    given = Reward.programme_id.in_(programmes) if brand_id is not None else true()
    row = db.session.execute(
        select(
            count(Interaction.customer_id, met),
            count(Interaction.customer_id, Interaction.value_minor.is_not(None), met),
            count(Response.customer_id, _of(brand_id, Response.brand_id)),
            count(Case.customer_id, _of(brand_id, Case.brand_id)),
            count(Reward.customer_id, Reward.state == RewardState.ISSUED, given),
        )
    ).one()
    return Totals(*row)


def _of(brand_id: int | None, column: Any) -> ColumnElement[bool]:
    return true() if brand_id is None else column == brand_id


def asking(customer: Customer, *, now: datetime) -> Asking:
    """Return why this customer is, or is not, surveyed now, by what all active rules have in common.

    The longest rest of any touchpoint counts. Asking again about a case is not held back by any of it. Four statements.
    """
    invited = (Invitation.customer_id == customer.id, Invitation.outcome_check_id.is_(None))
    last = db.session.scalar(
        select(func.max(Invitation.sent_at)).where(*invited, Invitation.state != InvitationState.SKIPPED)
    )
    days, must_agree = db.session.execute(
        select(func.max(InvitationRule.quarantine_days), func.bool_and(InvitationRule.needs_consent)).where(
            InvitationRule.active
        )
    ).one()
    until = last + timedelta(days=days) if last and days else None
    rule = _first_refusal(customer, bool(must_agree), until is not None and until > now)
    return Asking(rule, until if rule is Reason.QUARANTINE else None, last, days or 0)


def prefers(customer: Customer) -> Row[str, str | None] | None:
    """Return how the customer last wanted to be reached, as (way, time of day); None where they never said."""
    query = select(Case.wants, Complaint.contact_time).outerjoin(Complaint, Complaint.case_id == Case.id)
    query = query.where(Case.customer_id == customer.id, Case.wants.in_(("phone", "email", "sms")))
    return db.session.execute(query.order_by(Case.opened_at.desc(), Case.id.desc()).limit(1)).first()


def _first_refusal(customer: Customer, must_agree: bool, rests: bool) -> Reason:
    """Return the first rule that says no, in the order in which they are tried (surveys.rules)."""
    wishes = Consent(customer.survey_consent)
    stopped = bool(customer.email) and suppression.is_suppressed(customer.email or "", "survey")
    held = _holds(customer)
    tried = (
        (Reason.NO_ADDRESS, not customer.email),
        (Reason.CONSENT, wishes is Consent.WITHDRAWN or (must_agree and wishes is not Consent.GIVEN)),
        (Reason.SUPPRESSED, stopped),
        (held, held is not Reason.INVITED),
        (Reason.QUARANTINE, rests),
    )
    return next((reason for reason, refuses in tried if refuses), Reason.INVITED)


def _holds(customer: Customer) -> Reason:
    """Whoever waits for us to put something right is not asked how we do."""
    waiting = Case.state.in_((*OPEN_STATES, CaseState.RESOLVED))
    query = select(Case.origin).where(Case.customer_id == customer.id, waiting, Case.off_desk.is_(False))
    origins = set(db.session.scalars(query))
    if Origin.COMPLAINT in origins:
        return Reason.OPEN_COMPLAINT
    return Reason.OPEN_CASE if origins else Reason.INVITED


def profile_today(customer: Customer, *, now: datetime) -> str | None:
    """Return what a customer is today: silent where the last link ran out unanswered, else by the last score."""
    is_silent = customer.id in silence.silent_among([customer.id], now=now)
    return str(Profile.SILENT) if is_silent else customer.profile


def profile_of(response: Response) -> str:
    return str(band(response.metric, response.score)) if response.metric and response.score is not None else ""


def _is_seen(customer: Customer, staff: Staff) -> bool:
    brand_id = brand_of(staff)
    if brand_id is None:
        return True
    return db.session.scalar(select(Customer.id).where(Customer.id == customer.id, seen.met(brand_id))) is not None


def matching(words: str) -> ColumnElement[bool]:
    """Return the condition by which a customer is found, after one statement for what leads to a few of them.

    A name's beginning, an address, a number, the shop's id, the reference of an order or a call, and what a record that
    was merged into theirs was known by.
    """
    same = _known_by(words)
    reference = (
        select(Interaction.customer_id)
        .join(Touchpoint)
        .where(Interaction.reference == words.strip(), Interaction.customer_id.is_not(None))
    )
    merged = select(Customer.merged_into_id).where(Customer.merged_into_id.is_not(None), same)
    led = db.session.scalars(union_all(reference.limit(LED), merged.limit(LED))).all()
    return or_(same, Customer.id.in_(led)) if led else same


def _known_by(words: str) -> ColumnElement[bool]:
    plain = words.strip().lower()
    start = plain.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
    digits = "".join(letter for letter in plain if letter.isdigit() or letter == "+")
    found = [
        func.lower(Customer.name).like(start),
        func.lower(Customer.email) == plain,
        Customer.external_id == words.strip(),
    ]
    if len(digits) >= 6:
        found.append(Customer.phone == digits)
    return or_(*found)
