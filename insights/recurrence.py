"""Recurrence: whether what was changed keeps a problem from the customers who come after.

New cases with the same root cause per 1,000 interactions, before and after the corrective action (definitions,
"Recovery"). The day of the action, and days that have not ended, are in neither. Why it is judged once, and against
twelve weeks: docs/decisions/0008-recurrence-is-judged-once.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import func, select
from sqlalchemy.orm import joinedload

from accounts import visibility
from accounts.models import Staff
from core.db import db
from feedback import trees
from feedback.models import Case, CorrectiveAction, Problem
from insights import happenings, recovery
from insights.metrics import Asked
from surveys import scoring
from surveys.scoring import FEW, Metric

BEFORE_DAYS: Final = 84
AFTER_DAYS: Final = 28
CASES_SHOWN: Final = 5


class Verdict(StrEnum):
    EARLY = "early"  # the 28 days are not over
    FEW = "few"  # too few interactions to tell
    LESS = "less"
    SAME = "same"  # nothing that chance could not explain
    MORE = "more"


@dataclass(frozen=True)
class Span:
    """New cases of a problem in a period, both days included, and the interactions they came from.

    `unknown` are cases without a cause: each of them may be one.
    """

    start: date
    end: date
    cases: int
    unknown: int
    interactions: int

    @property
    def days(self) -> int:
        return max((self.end - self.start).days + 1, 0)

    @property
    def at_most(self) -> int:
        return self.cases + self.unknown

    @property
    def per_thousand(self) -> float | None:
        """New cases for each thousand interactions; None below 30 interactions, or where cases outnumber them."""
        few = self.interactions < FEW or self.cases > self.interactions
        return None if few else 1000 * self.cases / self.interactions


@dataclass(frozen=True)
class Recurrence:
    action: CorrectiveAction
    before: Span
    after: Span

    @property
    def told_on(self) -> date:
        """The day from which on the verdict is told."""
        return self.action.acted_on + timedelta(days=AFTER_DAYS + 1)

    @property
    def verdict(self) -> Verdict:
        """Whether it happens less or more: only if it does so whichever cases of unknown cause turn out to be one."""
        before, after = self.before, self.after
        if after.days < AFTER_DAYS:
            return Verdict.EARLY
        spans = (before, after)
        if any(each.interactions < FEW or each.at_most > each.interactions for each in spans):
            return Verdict.FEW
        most = scoring.share_difference(after.at_most, after.interactions, before.cases, before.interactions)
        if most.different and (most.value or 0) < 0:
            return Verdict.LESS
        least = scoring.share_difference(after.cases, after.interactions, before.at_most, before.interactions)
        return Verdict.MORE if least.different and (least.value or 0) > 0 else Verdict.SAME


def around(problem: Problem, action: CorrectiveAction, *, today: date) -> Recurrence:
    """Return the twelve weeks before an action and up to four after it; four statements."""
    day, one = action.acted_on, timedelta(days=1)
    before = _span(problem, day - timedelta(days=BEFORE_DAYS), day - one)
    after = _span(problem, day + one, min(day + timedelta(days=AFTER_DAYS), today - one))
    return Recurrence(action, before, after)


def happens_less(problem: Problem, *, today: date) -> bool:
    """Whether a problem happens less since the newest thing that was changed about it."""
    return bool(problem.actions) and around(problem, problem.actions[-1], today=today).verdict is Verdict.LESS


def newest_cases(problem: Problem, *, staff: Staff, now: datetime) -> Sequence[Case]:
    """Return the newest five cases of a problem that somebody may see, of twelve weeks; one statement."""
    query: Any = select(Case).where(Case.import_id.is_(None), Case.opened_at > now - timedelta(days=BEFORE_DAYS))
    if problem.root_cause_id is not None:
        query = query.where(Case.root_cause_id.in_(trees.below(problem.root_cause_id)))
    if problem.touchpoint_id is not None:
        query = query.where(Case.touchpoint_id == problem.touchpoint_id)
    elif problem.brand_id is not None:
        query = query.where(Case.brand_id == problem.brand_id)
    query = (
        query.options(joinedload(Case.touchpoint)).order_by(Case.opened_at.desc(), Case.id.desc()).limit(CASES_SHOWN)
    )
    return db.session.scalars(visibility.visible_to(staff, query, Case.brand_id)).all()


def _span(problem: Problem, start: date, end: date) -> Span:
    """Count a problem's cases in two statements; as long as nobody knows its cause, every case is one."""
    if end < start:
        return Span(start, end, 0, 0, 0)
    asked = Asked(
        Metric.NPS,  # neither cases nor interactions have one
        start,
        end,
        touchpoint_ids=(problem.touchpoint_id,) if problem.touchpoint_id else (),
        brand_ids=(problem.brand_id,) if problem.brand_id else (),
    )
    every = select(func.count()).select_from(Case).where(*recovery.cohort(asked))
    met = happenings.interactions(asked)
    if problem.root_cause_id is None:
        return Span(start, end, db.session.scalar(every) or 0, 0, met)
    known = every.where(Case.root_cause_id.in_(trees.below(problem.root_cause_id)))
    unknown = every.where(Case.root_cause_id.is_(None), Case.merged_into_id.is_(None))
    cases, open_ones = db.session.execute(select(known.scalar_subquery(), unknown.scalar_subquery())).one()
    return Span(start, end, int(cases), int(open_ones), met)
