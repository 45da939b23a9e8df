"""What waits for a marketer: goodwill that needs a second person, budgets, and drafts of surveys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import contains_eager, joinedload

from accounts import visibility
from accounts.models import Staff
from core.db import db
from incentives import budgets
from incentives.models import Programme, ProgrammeState, Reward, RewardState
from surveys.models import Survey, SurveyVersion

SHOWN: Final = 4


@dataclass(frozen=True)
class Budget:
    """A running programme's money, and until when it lasts at the pace of the last 28 days, if that can tell."""

    programme: Programme
    lasts_until: datetime | None

    @property
    def spent(self) -> float:
        return self.programme.spent_minor / max(self.programme.budget_minor, 1)

    @property
    def reserved(self) -> float:
        return self.programme.reserved_minor / max(self.programme.budget_minor, 1)

    @property
    def is_short(self) -> bool:
        """Whether less than a tenth is left."""
        return self.programme.left_minor * 10 < self.programme.budget_minor


@dataclass(frozen=True)
class Draft:
    survey: Survey
    number: int


def waiting(staff: Staff) -> Sequence[Reward]:
    """Return goodwill that waits for a second person, oldest first, at most four and one more; one statement."""
    query: Any = (
        select(Reward)
        .join(Programme, Programme.id == Reward.programme_id)
        .where(Reward.state == RewardState.WAITING)
        .options(contains_eager(Reward.programme), joinedload(Reward.customer))
        .order_by(Reward.id)
        .limit(SHOWN + 1)
    )
    return db.session.scalars(visibility.visible_to(staff, query, Programme.brand_id)).all()


def running(staff: Staff, *, now: datetime) -> list[Budget]:
    """Return the budgets of running programmes, the newest four; at most five statements."""
    query: Any = select(Programme).where(Programme.state == ProgrammeState.RUNNING).order_by(Programme.id.desc())
    found = db.session.scalars(visibility.visible_to(staff, query, Programme.brand_id).limit(SHOWN)).all()
    return [Budget(each, _lasts_until(each, now)) for each in found]


def _lasts_until(programme: Programme, now: datetime) -> datetime | None:
    until = budgets.pace(programme, now=now).lasts_until
    return until if until is not None and until - now <= budgets.FORESEEN else None


def drafts(staff: Staff) -> list[Draft]:
    """Return the surveys with a draft, the newest first; one statement."""
    query: Any = (
        select(Survey, SurveyVersion.number)
        .join(SurveyVersion, SurveyVersion.survey_id == Survey.id)
        .where(SurveyVersion.published_at.is_(None), Survey.archived_at.is_(None))
        .order_by(SurveyVersion.created_at.desc())
        .limit(SHOWN)
    )
    found = db.session.execute(visibility.visible_to(staff, query, Survey.brand_id))
    return [Draft(survey, number) for survey, number in found]
