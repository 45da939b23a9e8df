"""A resolved or closed case that is worked on again."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select, update

from core.db import db
from feedback import clocks, policies
from feedback.actors import By, actor_of
from feedback.models import Case, CaseState, ClockKind, OutcomeCheck, OutcomeState
from feedback.state import lock, record, settle


def reopen(case: Case, *, because: str, by: By, now: datetime) -> None:
    """Work on a case again: an outcome check nobody answered yet is cancelled, the resolution clock starts anew.

    `because` is a code: not_fixed, outcome, broken_promise, customer_replied or staff. An open case is left as it is.
    """
    lock(case)
    if case.is_open:
        return
    db.session.execute(
        update(OutcomeCheck)
        .where(OutcomeCheck.case_id == case.id, OutcomeCheck.state.in_((OutcomeState.PENDING, OutcomeState.ASKED)))
        .values(state=OutcomeState.CANCELLED)
        .execution_options(synchronize_session="fetch")
    )
    case.state, case.reopened, case.off_desk = CaseState.RECOVERY, case.reopened + 1, False
    case.resolved_at = case.fixed_at = case.closed_at = case.planned_at = None
    record(case, "case.reopened", by=by, now=now, because=because)
    start_clock(case, ClockKind.RESOLUTION, by=by, now=now)
    settle(case, now=now)


def start_clock(case: Case, kind: ClockKind, *, by: By, now: datetime) -> None:
    """Start one clock of a case by the policy that holds for it today; one that runs already goes on."""
    policy = policies.policy_for(case, origin=case.origin)
    minutes = {
        ClockKind.FIRST_CONTACT: policy.first_contact_minutes,
        ClockKind.NEXT_RESPONSE: policy.next_response_minutes,
        ClockKind.RESOLUTION: policy.resolution_minutes,
    }[kind]
    clocks.start(
        case.id,
        [clocks.Target(kind, minutes)],
        policy=policy.name,
        calendar_id=case.brand.calendar_id,
        actor=actor_of(by),
        now=now,
    )


def live_check(case: Case) -> OutcomeCheck | None:
    """Return the outcome check of a case that is to be asked or answered, if there is one."""
    return db.session.scalar(
        select(OutcomeCheck).where(
            OutcomeCheck.case_id == case.id, OutcomeCheck.state.in_((OutcomeState.PENDING, OutcomeState.ASKED))
        )
    )
