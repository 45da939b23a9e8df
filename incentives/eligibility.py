"""Who may get a programme's rewards: conditions on the customer, never on what they answered; a cap; no staff."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from flask_babel import gettext as _
from sqlalchemy import ScalarSelect, exists, func, select

from accounts.models import Staff
from core import conditions
from core.db import db
from core.errors import Refusal
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


def is_staff(customer: Customer) -> bool:
    """Whether a customer's address is that of a staff account."""
    return bool(db.session.execute(select(_is_staff(customer))).scalar_one())


def _is_staff(customer: Customer) -> Any:
    return exists(select(Staff.id).where(func.lower(Staff.email) == (customer.email or "").lower()))


def rewards_since(programme: Programme, customer: Customer, *, now: datetime) -> ScalarSelect[int]:
    """Return the count, as SQL, of what a customer got or is promised in the programme's cap_days before `now`."""
    return (
        select(func.count())
        .where(
            Reward.programme_id == programme.id,
            Reward.customer_id == customer.id,
            Reward.state != RewardState.RELEASED,
            Reward.created_at > now - timedelta(days=programme.cap_days),
        )
        .scalar_subquery()
    )
