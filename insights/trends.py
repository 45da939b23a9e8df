"""A score over time: 28-day averages with their interval, which start anew where the question's wording changed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from sqlalchemy import Date as SqlDate
from sqlalchemy import and_, cast, func, select
from sqlalchemy.orm import aliased

from core.db import db
from customers.models import Brand
from insights import metrics
from insights.metrics import Asked
from surveys import scoring, versions
from surveys.definition import Definition
from surveys.models import Survey, SurveyVersion
from surveys.scoring import Difference, Figure

WINDOW_DAYS: Final = 28
MOST_CHANGES: Final = 12
_MOST_POINTS: Final = 27


@dataclass(frozen=True)
class Change:
    """From `day` on a survey's scored question reads differently: version `number` began."""

    day: date
    survey: str
    number: int


@dataclass(frozen=True)
class Moment:
    """The 28 days up to `day`; `breaks` where another wording began since the moment before."""

    day: date
    figure: Figure
    breaks: bool


@dataclass(frozen=True)
class Trend:
    moments: list[Moment]
    changes: list[Change]

    @property
    def told(self) -> list[Moment]:
        """The moments with thirty answers or more."""
        return [moment for moment in self.moments if not moment.figure.few]

    @property
    def change(self) -> Difference | None:
        """How the newest 28 days differ from the oldest told ones of the same wording that share no day with them."""
        if not self.told:
            return None
        newest = self.told[-1]
        since = max((change.day for change in self.changes), default=date.min)
        apart = (moment for moment in self.told if moment.day >= since + timedelta(days=WINDOW_DAYS - 1))
        oldest = next(apart if self.changes else iter(self.told), newest)
        if newest.day - oldest.day < timedelta(days=WINDOW_DAYS):
            return None
        return scoring.difference(newest.figure, oldest.figure)


def trend(asked: Asked) -> Trend:
    """Return the trend of a period in two statements: about every step a moment, at most 27 of them."""
    changes = wording_changes(asked)
    days = [change.day for change in changes]
    step = max(-(-(asked.end - asked.start).days // (_MOST_POINTS - 1)), 1)
    step = step if step <= 2 else -(-step // 7) * 7  # whole weeks: every window holds each weekday equally often
    found = metrics.rolling(asked, days=WINDOW_DAYS, step=step, breaks=days)
    moments, before = [], None
    for end, figure in found:
        moments.append(Moment(end, figure, before is not None and any(before < day <= end for day in days)))
        before = end
    return Trend(moments, changes)


def wording_changes(asked: Asked) -> list[Change]:
    """Return where in the period, or in the 28 days before it, a version began whose scored question reads differently.

    One statement; definitions are parsed once per process.
    """
    older, day = aliased(SurveyVersion), cast(func.timezone(Brand.zone, SurveyVersion.published_at), SqlDate)
    query = (
        select(day, Survey.name, SurveyVersion.number, SurveyVersion.id, older.id)
        .join(Survey, Survey.id == SurveyVersion.survey_id)
        .join(Brand, Brand.id == Survey.brand_id)
        .join(older, and_(older.survey_id == SurveyVersion.survey_id, older.number == SurveyVersion.number - 1))
        .where(day.between(asked.start - timedelta(days=WINDOW_DAYS), asked.end), older.published_at.is_not(None))
        .order_by(SurveyVersion.published_at.desc())
        .limit(MOST_CHANGES)
    )
    if asked.survey_ids:
        query = query.where(Survey.id.in_(asked.survey_ids))
    if asked.brand_ids:
        query = query.where(Survey.brand_id.in_(asked.brand_ids))
    found = db.session.execute(query).all()
    return [
        Change(began, name, number)
        for began, name, number, new_id, old_id in reversed(found)
        if _asks(versions.definition_of(new_id), asked.metric) != _asks(versions.definition_of(old_id), asked.metric)
    ]


def _asks(definition: Definition, metric: str) -> list[tuple[str, dict[str, str]]]:
    """Return the wordings under which a definition asks for a metric; a version without it asks for none."""
    scored = [definition.main, *definition.further_scored]
    return [(each.key, dict(each.text)) for each in scored if each is not None and each.metric == metric]
