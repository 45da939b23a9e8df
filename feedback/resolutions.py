"""What was done and why it had happened: resolving needs a root cause, and asks the customer again afterwards."""

from __future__ import annotations

from datetime import datetime

from flask_babel import gettext as _
from sqlalchemy import select

from core.db import db
from core.errors import Conflict
from feedback import clocks, outcome
from feedback.actors import By, actor_of
from feedback.models import Case, CaseState, Resolution, RootCause
from feedback.reopening import reopen
from feedback.state import lock, record

__all__ = ["AlreadyResolved", "causes", "reopen", "resolve"]


class AlreadyResolved(Conflict):
    code = "already-resolved"

    def sentence(self) -> str:
        return _("This case is already resolved.")


def resolve(case: Case, *, by: By, cause: RootCause, words: str | None, now: datetime) -> Resolution:
    """Say that a case is put right and why it had happened; the outcome check follows, if there is anybody to ask.

    A case that the customer called fixed still takes its root cause. Raises AlreadyResolved.
    """
    lock(case)
    if not case.is_open and case.root_cause_id is not None:
        raise AlreadyResolved
    resolution = Resolution(case_id=case.id, root_cause_id=cause.id, words=words, by=actor_of(by), at=now)
    db.session.add(resolution)
    was_open, case.root_cause_id = case.is_open, cause.id
    record(case, "case.resolved", by=by, now=now, cause=cause.id)
    if was_open:
        _finish(case, by, now)
    db.session.flush()
    return resolution


def _finish(case: Case, by: By, now: datetime) -> None:
    clocks.stop(case.id, reason="resolved", actor=actor_of(by), now=now)
    case.state, case.resolved_at = CaseState.RESOLVED, now
    check = outcome.request(case, because="resolved", due_at=outcome.due_for(case, now=now), now=now)
    if check is None:
        outcome.close(case, because="nobody_to_ask", by=by, now=now)
    else:
        case.due_at, case.next_act = check.due_at, "outcome"


def causes() -> list[RootCause]:
    """Return the root causes in use, each below its parent."""
    every = db.session.scalars(select(RootCause).where(RootCause.archived_at.is_(None)).order_by(RootCause.name)).all()
    below: dict[int | None, list[RootCause]] = {}
    for each in every:
        below.setdefault(each.parent_id, []).append(each)
    known = {each.id for each in every}
    roots = [each for each in every if each.parent_id not in known]
    return [each for root in roots for each in _branch(root, below)]


def _branch(cause: RootCause, below: dict[int | None, list[RootCause]]) -> list[RootCause]:
    return [cause, *(each for child in below.get(cause.id, ()) for each in _branch(child, below))]
