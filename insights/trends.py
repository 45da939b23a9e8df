"""A score over time: 28-day averages with their interval, which start anew where the question's wording changed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Final

from sqlalchemy import Date as SqlDate
from sqlalchemy import and_, cast, func, or_, select
from sqlalchemy.orm import aliased

from core.db import db
from customers.models import Brand
from insights import metrics
from insights.metrics import Asked
from surveys import changes, scoring, versions, wordings
from surveys.models import Survey, SurveyVersion
from surveys.scoring import Difference, Figure

WINDOW_DAYS: Final = 28
_MOST_POINTS: Final = 27


@dataclass(frozen=True)
class Change:
    """From `day` on a survey's scored question reads differently: version `number` began.

    `equivalent` where somebody declared both wordings the same: the line goes on.
    """

    day: date
    survey: str
    number: int
    key: str = ""  # the survey's
    survey_id: int = 0
    equivalent: bool = False


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
    def breaks(self) -> list[Change]:
        """The changes at which the line starts anew."""
        return [change for change in self.changes if not change.equivalent]

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
        since = max((change.day for change in self.breaks), default=date.min)
        apart = (moment for moment in self.told if moment.day >= since + timedelta(days=WINDOW_DAYS - 1))
        oldest = next(apart if self.breaks else iter(self.told), newest)
        if newest.day - oldest.day < timedelta(days=WINDOW_DAYS):
            return None
        return scoring.difference(newest.figure, oldest.figure)


def trend(asked: Asked, known: list[Change] | None = None) -> Trend:
    """Return the trend of a period in three statements: about every step a moment, at most 27 of them.

    `known` are the changes of this period and perhaps of an earlier one, where somebody has asked for them already.
    """
    since = asked.start - timedelta(days=WINDOW_DAYS)
    in_period = [change for change in (wording_changes(asked) if known is None else known) if change.day >= since]
    days = [change.day for change in in_period if not change.equivalent]
    step = max(-(-(asked.end - asked.start).days // (_MOST_POINTS - 1)), 1)
    step = step if step <= 2 else -(-step // 7) * 7  # whole weeks: every window holds each weekday equally often
    found = metrics.rolling(asked, days=WINDOW_DAYS, step=step, breaks=days)
    moments, before = [], None
    for end, figure in found:
        moments.append(Moment(end, figure, before is not None and any(before < day <= end for day in days)))
        before = end
    return Trend(moments, in_period)


def wording_changes(asked: Asked) -> list[Change]:
    """Return where in the period, or in the 28 days before it, a version began whose scored question reads differently.

    Two statements; definitions are parsed once per process.
    """
    older, day = aliased(SurveyVersion), cast(func.timezone(Brand.zone, SurveyVersion.published_at), SqlDate)
    query = (
        select(day, Survey.name, Survey.key, Survey.id, SurveyVersion.number, SurveyVersion.id, older.id)
        .join(Survey, Survey.id == SurveyVersion.survey_id)
        .join(Brand, Brand.id == Survey.brand_id)
        .join(older, and_(older.survey_id == SurveyVersion.survey_id, older.number == SurveyVersion.number - 1))
        .where(day.between(asked.start - timedelta(days=WINDOW_DAYS), asked.end), older.published_at.is_not(None))
        .order_by(SurveyVersion.published_at)
    )
    if asked.survey_ids:
        query = query.where(Survey.id.in_(asked.survey_ids))
    if asked.brand_ids:
        query = query.where(Survey.brand_id.in_(asked.brand_ids))
    found = db.session.execute(query).all()
    declared = wordings.standing([row[5] for row in found])
    return [
        Change(began, name, number, key, survey_id, equivalent=(new_id, asked.metric) in declared)
        for began, name, key, survey_id, number, new_id, old_id in found
        if _wording(new_id, asked.metric) != _wording(old_id, asked.metric)
    ]


def breaks_between(known: list[Change], start: date, end: date) -> list[Change]:
    """Return the undeclared changes after a first day up to a last one: figures of both sides are not comparable."""
    return [change for change in known if not change.equivalent and start < change.day <= end]


def same_wording(asked: Asked, breaks: list[Change]) -> Asked:
    """Return the question without answers to wordings from before these changes; one statement if there are any."""
    newest = {change.survey_id: change.number for change in breaks}
    if not newest:
        return asked
    older = (
        (SurveyVersion.survey_id == survey_id) & (SurveyVersion.number < number) for survey_id, number in newest.items()
    )
    return replace(asked, without_versions=tuple(db.session.scalars(select(SurveyVersion.id).where(or_(*older)))))


def _wording(version_id: int, metric: str) -> list[tuple[str, dict[str, str]]]:
    return changes.wording_of(versions.definition_of(version_id), metric)
