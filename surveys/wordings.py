"""Changes of a scored question's wording: where trends break, and where somebody declared both wordings equivalent."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from flask_babel import gettext as _
from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert

from core import events
from core.db import db
from core.errors import Conflict
from surveys import changes, versions
from surveys.models import Equivalence, Survey, SurveyVersion
from surveys.scoring import METRICS, Metric


class NotReworded(Conflict):
    code = "not-reworded"

    def sentence(self) -> str:
        return _("This version asks for the score in the same words as the one before it.")


class NotDeclared(Conflict):
    code = "not-declared"

    def sentence(self) -> str:
        return _("Nobody has declared these wordings equivalent, or somebody has withdrawn it.")


def before(version: SurveyVersion) -> SurveyVersion | None:
    """Return the published version just before a published one, or None."""
    if version.published_at is None:
        return None
    query = select(SurveyVersion).where(SurveyVersion.survey_id == version.survey_id)
    query = query.where(SurveyVersion.published_at.is_not(None), SurveyVersion.number < version.number)
    return db.session.scalar(query.order_by(SurveyVersion.number.desc()).limit(1))


def reworded(version: SurveyVersion) -> list[Metric]:
    """Return the metrics that a published version asks for otherwise than the one before it."""
    older = before(version)
    if older is None:
        return []
    old, new = versions.definition_of(older.id), versions.definition_of(version.id)
    return [metric for metric in METRICS if changes.wording_of(old, metric) != changes.wording_of(new, metric)]


def standing(version_ids: Collection[int]) -> dict[tuple[int, str], Equivalence]:
    """Return what is declared of these versions and not withdrawn, by (version, metric); one statement."""
    query = select(Equivalence).where(Equivalence.version_id.in_(version_ids), Equivalence.withdrawn_at.is_(None))
    return {(each.version_id, each.metric): each for each in db.session.scalars(query)}


def declare(survey: Survey, version: SurveyVersion, metric: Metric, *, why: str, by: str, now: datetime) -> None:
    """Let a metric's trend go on from the version before over this one. Declared twice, the first word stands.

    Raises NotReworded where both ask in the same words anyway.
    """
    if metric not in reworded(version):
        raise NotReworded
    row = {"survey_id": survey.id, "version_id": version.id, "metric": str(metric), "why": why}
    declared = insert(Equivalence).values(**row, declared_at=now, declared_by=by)
    once = declared.on_conflict_do_nothing(
        index_elements=["version_id", "metric"], index_where=Equivalence.withdrawn_at.is_(None)
    )
    if db.session.execute(once.returning(Equivalence.id)).first() is not None:
        _record("wording.declared_equivalent", survey, version, metric, by=by, now=now)


def withdraw(survey: Survey, version: SurveyVersion, metric: Metric, *, by: str, now: datetime) -> None:
    """Let the trend break there again. Raises NotDeclared."""
    ended = (
        update(Equivalence)
        .where(Equivalence.version_id == version.id, Equivalence.metric == metric, Equivalence.withdrawn_at.is_(None))
        .values(withdrawn_at=now, withdrawn_by=by)
        .returning(Equivalence.id)
    )
    if db.session.execute(ended).first() is None:
        raise NotDeclared
    _record("wording.equivalence_withdrawn", survey, version, metric, by=by, now=now)


def _record(kind: str, survey: Survey, version: SurveyVersion, metric: Metric, *, by: str, now: datetime) -> None:
    ids = {"survey": survey.id, "version": version.id, "number": version.number}
    events.record(kind, at=now, actor=by, metric=str(metric), **ids)
