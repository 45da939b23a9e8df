"""What a customer is today, by their last score; answers that arrive late overwrite nothing newer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, or_, update

from core.db import db
from customers.models import Customer


@dataclass(frozen=True)
class Scored:
    """One answer's effect on the customer: `profile` is detractor, passive or promoter as surveys.scoring says."""

    customer_id: int
    profile: str
    metric: str
    score: int
    at: datetime
    won_back: bool = False


def update_many(answers: Sequence[Scored]) -> None:
    """Bring the profiles up to date, a statement each, in the order of the customers so that none block each other."""
    for answer in sorted(answers, key=lambda answer: (answer.customer_id, answer.at)):
        values: dict[str, object] = {
            "profile": answer.profile,
            "profile_metric": answer.metric,
            "profile_score": answer.score,
            "profile_at": answer.at,
        }
        if answer.won_back:
            values["won_back_at"] = func.greatest(func.coalesce(Customer.won_back_at, answer.at), answer.at)
        db.session.execute(
            update(Customer)
            .where(Customer.id == answer.customer_id)
            .where(or_(Customer.profile_at.is_(None), Customer.profile_at <= answer.at))
            .values(**values)
            .execution_options(synchronize_session=False)
        )
