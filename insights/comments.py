"""Comments to read: the newest words of unhappy customers, with the way to their cases."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Final

from sqlalchemy import ColumnElement, String, cast, func, literal, select
from sqlalchemy.orm import aliased, contains_eager, joinedload

from core.db import db
from customers.models import Customer
from feedback.models import Case, OutcomeCheck
from insights.metrics import Asked
from surveys import scoring
from surveys.models import Response
from surveys.scoring import SCALES, Band, Metric

SHOWN: Final = 6


@dataclass(frozen=True)
class Comment:
    response: Response
    case_number: int | None

    @property
    def customer(self) -> Customer | None:
        return self.response.customer


def newest(asked: Asked, *, limit: int = SHOWN) -> list[Comment]:
    """Return the newest negative words of a period in one statement, which reads the index of responses with words.

    The period's days are taken as UTC's here. Words of outcome checks are among them: who was not won back is worth
    reading first of all.
    """
    reason, checked = literal("response:").concat(cast(Response.id, String)), aliased(Case)
    query = (
        select(Response, func.coalesce(Case.number, checked.number))
        .outerjoin(Case, Case.reason == reason)
        .outerjoin(OutcomeCheck, OutcomeCheck.id == Response.outcome_check_id)
        .outerjoin(checked, checked.id == OutcomeCheck.case_id)
        .outerjoin(Response.customer)
        .options(contains_eager(Response.customer), joinedload(Response.touchpoint))
        .where(*_restrictions(asked))
        .order_by(Response.answered_at.desc(), Response.id.desc())
        .limit(limit)
    )
    return [Comment(response, number) for response, number in db.session.execute(query)]


def _restrictions(asked: Asked) -> Iterable[ColumnElement[bool]]:
    start, end = (datetime.combine(day, time(), UTC) for day in (asked.start, asked.end))
    yield Response.comment.is_not(None)
    yield Response.answered_at >= start
    yield Response.answered_at < end + timedelta(days=1)
    yield Response.metric == asked.metric
    yield Response.score <= highest_negative(asked.metric)
    for column, wanted in (
        (Response.survey_id, asked.survey_ids),
        (Response.touchpoint_id, asked.touchpoint_ids),
        (Response.brand_id, asked.brand_ids),
        (Response.channel, asked.channels),
        (Response.language, asked.languages),
        (Response.tier, asked.tiers),
    ):
        if wanted:
            yield column.in_(wanted)


def highest_negative(metric: Metric) -> int:
    """Return the highest score of a metric that is still negative."""
    low, high = SCALES[metric]
    return max(score for score in range(low, high + 1) if scoring.band(metric, score) is Band.NEGATIVE)
