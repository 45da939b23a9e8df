"""After a calendar has changed: deadlines that run are worked out anew from their events. Promises stay as given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import select

from core import outbox
from core.db import db, new_public_id
from core.working_time import NoWorkingTime
from feedback import clocks, policies, state
from feedback.models import Case, CaseClock, ClockEvent

BATCH: Final = 200  # cases in one transaction


@outbox.handler("clocks.recompute", queue="reactions")
def recompute(*, calendar_id: int, after_id: int, now: datetime) -> None:
    """Work out anew what is due by a calendar, for the cases after `after_id`; the rest follows as work of its own."""
    policies.forget()  # this process may still know the old hours
    running = (CaseClock.calendar_id == calendar_id, CaseClock.stopped_at.is_(None), CaseClock.paused_at.is_(None))
    waiting = select(CaseClock.case_id).where(*running, CaseClock.case_id > after_id)
    case_ids = db.session.scalars(waiting.distinct().order_by(CaseClock.case_id).limit(BATCH)).all()
    cases = state.held(select(Case).where(Case.id.in_(case_ids)))
    found = db.session.scalars(select(CaseClock).where(*running, CaseClock.case_id.in_(case_ids))).all()
    _move(found, clocks.events_of(clock.id for clock in found))
    state.settle_all(cases, now=now)
    if len(case_ids) == BATCH:
        rest = {"calendar_id": calendar_id, "after_id": case_ids[-1]}
        outbox.later("clocks.recompute", key=new_public_id(), due_at=now, **rest)


def _move(found: Sequence[CaseClock], events: Mapping[int, list[ClockEvent]]) -> None:
    for clock in found:
        calendar = policies.calendar(clock.calendar_id)
        runs = clocks.runs_of(events.get(clock.id, []))
        work = timedelta(minutes=clock.target_minutes)
        try:
            clock.due_at = clocks.deadline(work, runs, calendar) or clock.due_at
            clock.warn_at = clocks.deadline(work * clocks.WARN_SHARE, runs, calendar) or clock.warn_at
        except NoWorkingTime:  # the deadline that was known is better than none
            continue
