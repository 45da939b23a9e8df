"""Merging two records of one customer: everything that hangs on one moves to the other, by which it is found from now.

What the merged record was known by stays on it, so that the shop's next word about it reaches the record that is kept.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from flask_babel import gettext as _
from sqlalchemy import func, select, update

from core import events, outbox
from core.db import db
from core.errors import Conflict
from core.events import Event
from customers import customers
from customers.models import Consent, Customer, Interaction
from customers.signals import SETTLED_AFTER, Merge, customer_merged, tell

STRICTEST: Final = (Consent.WITHDRAWN, Consent.UNKNOWN, Consent.GIVEN)
PROFILE: Final = ("profile", "profile_metric", "profile_score", "profile_at")


class SameCustomer(Conflict):
    code = "same-customer"

    def sentence(self) -> str:
        return _("This is one and the same record.")


class MergedElsewhere(Conflict):
    """One of the two was merged with a third record meanwhile: what was looked at is not what there is."""

    code = "merged-elsewhere"

    def sentence(self) -> str:
        return _("One of these records was merged meanwhile. Look at what there is now, then decide anew.")


class NothingLeft(Conflict):
    code = "customer-erased"

    def sentence(self) -> str:
        return _("One of these records was erased. There is nothing left to merge.")


def merge(kept: Customer, gone: Customer, *, by: str, now: datetime) -> Customer:
    """Move all that hangs on `gone` to `kept`, and return `kept`; a second time changes nothing.

    Raises SameCustomer, NothingLeft where one was erased, MergedElsewhere where one leads to a third record.
    """
    if kept.id == gone.id:
        raise SameCustomer
    _hold(kept, gone)
    if gone.merged_into_id == kept.id:
        return kept
    _check(kept, gone)
    gone.merged_into_id = kept.id
    _follow(kept, gone)
    _take_over(kept, gone)
    db.session.flush()
    move(kept, gone, by=by, now=now)
    events.record("customer.merged", at=now, actor=by, customer=kept.id, merged=gone.id)
    outbox.later("customer.settle", key=f"{gone.id}:merged", due_at=now + SETTLED_AFTER, customer_id=gone.id)
    return kept


def move(kept: Customer, gone: Customer, *, by: str, now: datetime) -> None:
    """Move the rows of every room, and what they add up to; again moves what has come since. Both are held."""
    tell(customer_merged, kept, merge=Merge(kept, gone, by, now))
    _add_up(kept, gone)
    for model, column in ((Interaction, Interaction.customer_id), (Event, Event.customer_id)):
        db.session.execute(
            update(model)
            .where(column == gone.id)
            .values(customer_id=kept.id)
            .execution_options(synchronize_session="fetch")
        )
    db.session.flush()


def _hold(kept: Customer, gone: Customer) -> None:
    """Hold both records and those merged into them before, in the order in which everybody locks them."""
    customers.held(select(Customer).where(Customer.merged_into_id.in_([kept.id, gone.id])))
    customers.held(select(Customer).where(Customer.id.in_([kept.id, gone.id])))


def _check(kept: Customer, gone: Customer) -> None:
    if kept.merged_into_id or gone.merged_into_id:
        raise MergedElsewhere
    if kept.erased_at or gone.erased_at:
        raise NothingLeft


def _follow(kept: Customer, gone: Customer) -> None:
    """Let what was merged into `gone` lead to `kept` at once: there are no chains."""
    for each in customers.held(select(Customer).where(Customer.merged_into_id == gone.id)):
        each.merged_into_id = kept.id


def _take_over(kept: Customer, gone: Customer) -> None:
    customers.fill_blanks(kept, gone)
    kept.survey_consent = stricter(kept.survey_consent, gone.survey_consent)
    kept.marketing_consent = stricter(kept.marketing_consent, gone.marketing_consent)
    kept.created_at = min(kept.created_at, gone.created_at)


def _add_up(kept: Customer, gone: Customer) -> None:
    """Take over what follows from rows: the value, the last score, when they were asked and won back last."""
    kept.value_minor, kept.value_currency = joint_value(kept, gone)
    gone.value_minor, gone.value_currency = 0, None
    kept.last_invited_at = _latest(kept.last_invited_at, gone.last_invited_at)
    kept.won_back_at = _latest(kept.won_back_at, gone.won_back_at)
    gone.last_invited_at = gone.won_back_at = None
    is_newer = gone.profile_at and (kept.profile_at is None or kept.profile_at < gone.profile_at)
    for name in PROFILE:
        if is_newer:
            setattr(kept, name, getattr(gone, name))
        setattr(gone, name, None)


def stricter(one: str, other: str) -> Consent:
    """Return of two answers the one that allows less: not asked allows less than agreed."""
    return min(Consent(one), Consent(other), key=STRICTEST.index)


def joint_value(kept: Customer, gone: Customer) -> tuple[int, str | None]:
    """Return what both were worth, in the currency of the record that is kept: money of another is never mixed in."""
    currency = kept.value_currency or gone.value_currency
    if gone.value_currency == currency:
        return kept.value_minor + gone.value_minor, currency
    in_ours = select(func.coalesce(func.sum(Interaction.value_minor), 0)).where(
        Interaction.customer_id == gone.id, Interaction.currency == currency, Interaction.status == "completed"
    )
    return kept.value_minor + int(db.session.scalar(in_ours) or 0), currency


def _latest(*moments: datetime | None) -> datetime | None:
    return max((each for each in moments if each is not None), default=None)
