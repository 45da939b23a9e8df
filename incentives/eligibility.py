"""Who may get a programme's rewards: conditions on the customer, never on what they answered; a cap; no staff."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from flask_babel import gettext as _
from sqlalchemy import ColumnElement, ScalarSelect, exists, func, select

from accounts.models import Staff
from core import conditions
from core.db import db
from core.errors import Refusal
from core.inserting import among
from customers.models import Customer
from incentives.models import Programme, Reward, RewardState

FIELDS: Final = ("tier", "language", "marketing_consent", "value_minor")  # of the customer
OF_THE_ANSWER: Final = re.compile(
    r"score|rating|stars|band|profile|detractor|passive|promoter|nps|csat|ces|metric|won_back|answer|response|comment",
    re.IGNORECASE,
)


class DependsOnScore(Refusal):
    """Rewards never depend on the score: such a programme would buy answers."""

    code = "reward-depends-on-score"

    def sentence(self) -> str:
        return _("Rewards never depend on the score or on what somebody answered. Take that condition away.")


class UnknownCondition(Refusal):
    code = "unknown-condition"


def checked(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Return a condition tree as it is stored ({}: everybody).

    Raises DependsOnScore for a condition on an answer, UnknownCondition for what is no condition on a customer.
    """
    if not tree:
        return {}
    try:
        condition = conditions.parse(tree)
    except conditions.BadCondition as bad:
        raise UnknownCondition(bad.reason, field="conditions") from bad
    for field in sorted(conditions.fields(condition)):
        if OF_THE_ANSWER.search(field):
            raise DependsOnScore(field="conditions")
        if field not in FIELDS:
            raise UnknownCondition(_("“%(field)s” is nothing we know of a customer.", field=field), field="conditions")
    return conditions.to_json(condition)


def facts(customer: Customer) -> dict[str, Any]:
    """Return what conditions may ask of a customer."""
    return {field: getattr(customer, field) for field in FIELDS}


def meets(programme: Programme, customer: Customer) -> bool:
    """Whether the programme's conditions hold for a customer."""
    if not programme.conditions:
        return True
    return conditions.evaluate(conditions.parse(programme.conditions), facts(customer))


def may_get_one(programme: Programme, customer: Customer, *, now: datetime) -> bool:
    """Whether conditions and cap allow a reward, and it is not for one of us; the cap is asked again when it counts."""
    if customer.erased_at is not None or not meets(programme, customer):
        return False
    staff, given = db.session.execute(select(_is_staff(customer), rewards_since(programme, customer, now=now))).one()
    return not staff and given < programme.cap_per_customer


def eligible_among(programme: Programme, customers: Sequence[Customer]) -> set[int]:
    """Return the ids of those to whom the conditions allow rewards, and who are none of us; one statement."""
    able = {each.id: each for each in customers if each.erased_at is None and meets(programme, each)}
    addresses = {(each.email or "").lower() for each in able.values()}
    ours = set(db.session.scalars(select(func.lower(Staff.email)).where(func.lower(Staff.email).in_(addresses))))
    return {each.id for each in able.values() if (each.email or "").lower() not in ours}


def is_staff(customer: Customer) -> bool:
    """Whether a customer's address is that of a staff account."""
    return bool(db.session.execute(select(_is_staff(customer))).scalar_one())


def _is_staff(customer: Customer) -> Any:
    return exists(select(Staff.id).where(func.lower(Staff.email) == (customer.email or "").lower()))


def rewards_since(programme: Programme, customer: Customer, *, now: datetime) -> ScalarSelect[int]:
    """Return the count, as SQL, of what a customer got or is promised in the programme's cap_days before `now`."""
    counted = select(func.count()).where(Reward.customer_id == customer.id, *_counts(programme, now))
    return counted.scalar_subquery()


def given_since(programme: Programme, customer_ids: Collection[int], *, now: datetime) -> Counter[int]:
    """Return the same count for many customers."""
    counted = select(Reward.customer_id, func.count()).where(Reward.customer_id == among(customer_ids))
    rows = db.session.execute(counted.where(*_counts(programme, now)).group_by(Reward.customer_id))
    return Counter({customer_id: count for customer_id, count in rows if customer_id is not None})


def _counts(programme: Programme, now: datetime) -> tuple[ColumnElement[bool], ...]:
    return (
        Reward.programme_id == programme.id,
        Reward.state != RewardState.RELEASED,
        Reward.created_at > now - timedelta(days=programme.cap_days),
    )
