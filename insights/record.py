"""A customer's record as one page shows it, read across all rooms; its size never changes the number of statements."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, func, or_, select, union_all
from sqlalchemy.orm import joinedload

from accounts.models import Staff
from accounts.visibility import brand_of
from core.db import db
from core.errors import NotFound
from customers.models import Consent, Customer, Interaction, Touchpoint
from customers.scales import band
from feedback.models import Case, CaseEntry, EntryKind, Promise, PromiseState
from incentives.models import Reward, RewardState
from notifications import suppression
from surveys.models import Invitation, InvitationRule, InvitationState, Response

PAGE: Final = 40
LED: Final = 50  # records that a reference, or what was merged, leads to
MARKS: Final = 24  # answers that the drawing shows
SHOWN: Final = ("all", "interactions", "answers", "cases", "rewards")


@dataclass(frozen=True)
class Line:
    """One thing that happened; `kind` is interaction, answer, contact, case or reward, and says what else is there."""

    kind: str
    at: datetime
    key: int
    interaction: Interaction | None = None
    response: Response | None = None
    entry: CaseEntry | None = None
    case: Case | None = None
    reward: Reward | None = None


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
    """Whether this customer may be surveyed, and why not: `rule` is eligible, consent, suppressed or quarantine."""

    rule: str
    until: datetime | None = None
    last_asked: datetime | None = None


@dataclass(frozen=True)
class Totals:
    interactions: int
    orders: int
    contacts: int
    answers: int
    gifts: tuple[tuple[str, int], ...]  # currency, minor units given as rewards


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
    met = select(Interaction.id).join(Touchpoint).where(Interaction.customer_id == customer.id)
    cases = select(Case.id).where(Case.customer_id == customer.id, Case.brand_id != brand_id)
    return not db.session.scalar(select(or_(met.where(Touchpoint.brand_id != brand_id).exists(), cases.exists())))


def visible(staff: Staff) -> Select[Customer]:
    """Return the statement of customers this person may see: a team of one brand sees those who met that brand."""
    query = select(Customer).where(Customer.merged_into_id.is_(None))
    brand_id = brand_of(staff)
    return query if brand_id is None else query.where(Customer.id.in_(_met(brand_id)))


def lines(
    customer: Customer, *, shown: str = "all", before: datetime | None = None
) -> tuple[list[Line], datetime | None]:
    """Return up to 40 things that happened before a moment, newest first, and where the next page begins.

    One statement for each kind that is shown, each cut to one page by its index.
    """
    found: list[Line] = []
    for kind, read in _READERS:
        if shown in ("all", _SHOWN_AS[kind]):
            found += read(customer.id, before)
    found.sort(key=lambda line: (line.at, line.kind, line.key), reverse=True)
    more = len(found) > PAGE
    return found[:PAGE], found[PAGE - 1].at if more else None


def answers(customer: Customer) -> Sequence[Response]:
    """Return the newest scored answers, oldest first, for the drawing."""
    query = select(Response).where(Response.customer_id == customer.id, Response.score.is_not(None))
    query = query.options(joinedload(Response.touchpoint)).order_by(Response.answered_at.desc()).limit(MARKS)
    return list(reversed(db.session.scalars(query).all()))


def cases(customer: Customer) -> Sequence[Case]:
    query = select(Case).where(Case.customer_id == customer.id).order_by(Case.opened_at.desc()).limit(8)
    return db.session.scalars(query).all()


def promises(customer: Customer) -> Promises:
    query = select(Promise.state, func.count()).join(Case, Case.id == Promise.case_id)
    query = query.where(Case.customer_id == customer.id, Promise.state != PromiseState.RENEGOTIATED)
    return Promises(**{str(state): count for state, count in db.session.execute(query.group_by(Promise.state))})


def totals(customer: Customer) -> Totals:
    """Return what the figures on top say, in three statements."""
    met = db.session.execute(
        select(func.count(), func.count(Interaction.value_minor)).where(Interaction.customer_id == customer.id)
    ).one()
    spoken = (CaseEntry.kind != EntryKind.NOTE) & (Case.customer_id == customer.id)
    contacts = db.session.scalar(
        select(func.count()).select_from(CaseEntry).join(Case, Case.id == CaseEntry.case_id).where(spoken)
    )
    given = select(Reward.currency, func.sum(Reward.amount_minor)).where(
        Reward.customer_id == customer.id, Reward.state == RewardState.ISSUED
    )
    gifts = tuple((currency, int(amount)) for currency, amount in db.session.execute(given.group_by(Reward.currency)))
    replies = db.session.scalar(select(func.count()).select_from(Response).where(Response.customer_id == customer.id))
    return Totals(met[0], met[1], contacts or 0, replies or 0, gifts)


def asking(customer: Customer, *, now: datetime) -> Asking:
    """Return why this customer is, or is not, surveyed now; the longest rest of any touchpoint counts."""
    last = db.session.scalar(
        select(func.max(Invitation.sent_at)).where(
            Invitation.customer_id == customer.id,
            Invitation.state != InvitationState.SKIPPED,
            Invitation.outcome_check_id.is_(None),
        )
    )
    if customer.survey_consent == Consent.WITHDRAWN:
        return Asking("consent", last_asked=last)
    if customer.email and suppression.is_suppressed(customer.email, "survey"):
        return Asking("suppressed", last_asked=last)
    days = db.session.scalar(select(func.max(InvitationRule.quarantine_days)).where(InvitationRule.active)) or 0
    until = last + timedelta(days=days) if last else None
    if until and until > now:
        return Asking("quarantine", until, last)
    return Asking("eligible", last_asked=last)


def profile_of(response: Response) -> str:
    return str(band(response.metric, response.score)) if response.metric and response.score is not None else ""


def _is_seen(customer: Customer, staff: Staff) -> bool:
    brand_id = brand_of(staff)
    if brand_id is None:
        return True
    return (
        db.session.scalar(select(Customer.id).where(Customer.id == customer.id, Customer.id.in_(_met(brand_id))))
        is not None
    )


def _met(brand_id: int) -> Select[Any]:
    """Return the ids of customers who met a brand, or have a case with it."""
    met = select(Interaction.customer_id).join(Touchpoint).where(Touchpoint.brand_id == brand_id)
    return met.union(select(Case.customer_id).where(Case.brand_id == brand_id)).subquery().select()


def _interactions(customer_id: int, before: datetime | None) -> Iterable[Line]:
    query = select(Interaction).where(Interaction.customer_id == customer_id)
    query = query.options(joinedload(Interaction.touchpoint))
    for row in _newest(query, Interaction.occurred_at, before):
        yield Line("interaction", row.occurred_at, row.id, interaction=row)


def _responses(customer_id: int, before: datetime | None) -> Iterable[Line]:
    query = select(Response).where(Response.customer_id == customer_id).options(joinedload(Response.touchpoint))
    for row in _newest(query, Response.answered_at, before):
        yield Line("answer", row.answered_at, row.id, response=row)


def _contacts(customer_id: int, before: datetime | None) -> Iterable[Line]:
    query = select(CaseEntry, Case).join(Case, Case.id == CaseEntry.case_id).options(joinedload(CaseEntry.staff))
    query = query.where(Case.customer_id == customer_id, CaseEntry.kind != EntryKind.NOTE)
    if before is not None:
        query = query.where(CaseEntry.at < before)
    for entry, case in db.session.execute(query.order_by(CaseEntry.at.desc()).limit(PAGE + 1)):
        yield Line("contact", entry.at, entry.id, entry=entry, case=case)


def _cases(customer_id: int, before: datetime | None) -> Iterable[Line]:
    query = select(Case).where(Case.customer_id == customer_id).options(joinedload(Case.touchpoint))
    for row in _newest(query, Case.opened_at, before):
        yield Line("case", row.opened_at, row.id, case=row)


def _rewards(customer_id: int, before: datetime | None) -> Iterable[Line]:
    query = select(Reward).where(Reward.customer_id == customer_id, Reward.state == RewardState.ISSUED)
    query = query.options(joinedload(Reward.programme))
    for row in _newest(query, Reward.issued_at, before):
        yield Line("reward", row.issued_at, row.id, reward=row)


def _newest(query: Select[Any], column: Any, before: datetime | None) -> Iterable[Any]:
    if before is not None:
        query = query.where(column < before)
    return db.session.scalars(query.order_by(column.desc()).limit(PAGE + 1)).all()


_READERS: Final = (
    ("interaction", _interactions),
    ("answer", _responses),
    ("contact", _contacts),
    ("case", _cases),
    ("reward", _rewards),
)
_SHOWN_AS: Final = {
    "interaction": "interactions",
    "answer": "answers",
    "contact": "cases",
    "case": "cases",
    "reward": "rewards",
}


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
