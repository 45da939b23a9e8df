"""The outcome check: the same question asked again, bound to the first answer. Only its answer says who is won back."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from flask import current_app
from sqlalchemy import select

from core import outbox
from core.config import Config
from core.db import db, written
from core.errors import NotFound
from customers.scales import Band, band
from feedback import clocks, policies
from feedback.actors import CUSTOMER, RULE, By, actor_of
from feedback.models import Case, CaseState, ClockKind, OutcomeCheck, OutcomeState
from feedback.promises import let_contact_go
from feedback.reopening import live_check, reopen, start_clock
from feedback.state import held, hold_customer, lock_where_it_goes_on, raise_priority, record, settle

SILENT_AFTER: Final = timedelta(days=30)  # as long as an invitation's link works


def due_for(case: Case, *, now: datetime) -> datetime:
    """Return when the customer of a case resolved now is asked: the policy's days later, or the installation's."""
    config: Config = current_app.extensions["config"]
    days = config.outcome_delay_days
    if days is None:
        days = policies.policy_for(case, origin=case.origin).outcome_after_days
    return now + timedelta(days=days)


def request(case: Case, *, because: str, due_at: datetime, now: datetime) -> OutcomeCheck | None:
    """Ask the customer again at `due_at`; None where there is nobody to ask. `because` is resolved or fixed.

    A check that is still to be asked only moves forward. Posts the work `outcome.ask` (check_id), whose handler asks if
    the check is pending and due by then: a check that moved has two rows of work, and the later one finds it asked.
    """
    if case.customer_id is None:
        return None
    check = live_check(case)
    if check is None:
        check = OutcomeCheck(case_id=case.id, asked_because=because, due_at=due_at, state=OutcomeState.PENDING)
        db.session.add(check)
        record(case, "outcome.requested", by=RULE, now=now, because=because)
    elif check.state == OutcomeState.PENDING and due_at < check.due_at:
        check.due_at, check.asked_because = due_at, because
    else:
        return check
    db.session.flush()
    outbox.later("outcome.ask", key=f"{check.id}:{because}", due_at=due_at, check_id=check.id)
    return check


def ask_lost(*, now: datetime, limit: int = 200) -> int:
    """Put the work of up to `limit` checks again that are due and have none; return how many. The caller commits."""
    due = written(OutcomeCheck.state, [OutcomeState.PENDING]) & (OutcomeCheck.due_at < now - outbox.LOST_AFTER)
    lost = select(OutcomeCheck.id).where(due, outbox.has_none("outcome.ask", "check_id", OutcomeCheck.id))
    ids = db.session.scalars(lost.limit(limit)).all()
    outbox.later_many("outcome.ask", [(outbox.lost_key(id, now), {"check_id": id}) for id in ids], due_at=now)
    return len(ids)


def mark_fixed(case: Case, now: datetime) -> OutcomeCheck | None:
    """Take the customer's word that all is well: nothing is due any more, and the outcome check is asked at once.

    Returns the check, so that its question can be put on the next page. A second time changes nothing.
    """
    case = lock_where_it_goes_on(case)
    if case.fixed_at is None and case.state != CaseState.CLOSED:
        case.fixed_at = now
        record(case, "case.fixed", by=CUSTOMER, now=now)
        let_contact_go(case, by=CUSTOMER, now=now)
        if case.is_open:
            clocks.stop(case.id, reason="fixed", actor=CUSTOMER, now=now)
            case.state, case.resolved_at, case.next_act = CaseState.RESOLVED, now, "outcome"
            case.due_at = now
    if case.state == CaseState.CLOSED:
        return live_check(case)
    return request(case, because="fixed", due_at=now, now=now)


def mark_not_fixed(case: Case, now: datetime) -> None:
    """Take the customer's word that it is not put right: the case opens again, or an answer of ours is due."""
    case = lock_where_it_goes_on(case)
    record(case, "case.not_fixed", by=CUSTOMER, now=now)
    if case.is_open:
        _back_to_work(case, now)
        start_clock(case, ClockKind.NEXT_RESPONSE, by=CUSTOMER, now=now)
    else:
        reopen(case, because="not_fixed", by=CUSTOMER, now=now)
    settle(case, now=now)


def _back_to_work(case: Case, now: datetime) -> None:
    if case.state == CaseState.WAITING:
        clocks.resume(case.id, actor=CUSTOMER, now=now)
        case.state = CaseState.RECOVERY if case.first_contact_at else CaseState.OPEN


def mark_asked(check: OutcomeCheck, *, now: datetime) -> None:
    """Note that the question is on its way to the customer."""
    if check.state == OutcomeState.PENDING:
        check.state, check.asked_at = OutcomeState.ASKED, now
        case = db.session.get_one(Case, check.case_id)
        record(case, "outcome.asked", by=RULE, now=now, check=check.id)


def record_answer(check_id: int, *, metric: str, score: int, now: datetime) -> OutcomeCheck:
    """Take the answer: neutral or positive is won back and closes the case, negative opens it again, more urgent.

    A second answer changes nothing, nor does one whose customer was erased before it is taken: nobody is left to help.
    Raises NotFound for an unknown check.
    """
    check = db.session.get(OutcomeCheck, check_id)
    if check is None:
        raise NotFound
    case = db.session.get_one(Case, check.case_id)
    hold_customer(case)
    case = lock_where_it_goes_on(case)
    db.session.refresh(check)
    if check.state == OutcomeState.ANSWERED or _is_erased(case):
        return check
    check.state, check.answered_at, check.score = OutcomeState.ANSWERED, now, score
    check.won_back = band(metric, score) is not Band.NEGATIVE
    record(case, "outcome.answered", by=CUSTOMER, now=now, check=check.id, score=score, won_back=check.won_back)
    if check.won_back:
        _win_back(case, now)
    else:
        _lose(case, now)
    return check


def _is_erased(case: Case) -> bool:
    return case.customer is not None and case.customer.erased_at is not None


def _win_back(case: Case, now: datetime) -> None:
    clocks.stop(case.id, reason="won_back", actor=CUSTOMER, now=now)
    case.won_back_at = now
    record(case, "case.won_back", by=CUSTOMER, now=now)
    let_contact_go(case, by=CUSTOMER, now=now)
    if case.customer is not None:
        case.customer.won_back_at = now
    close(case, because="won_back", by=CUSTOMER, now=now)


def _lose(case: Case, now: datetime) -> None:
    reopen(case, because="outcome", by=CUSTOMER, now=now)
    raise_priority(case)
    settle(case, now=now)


def close(case: Case, *, because: str, by: By, now: datetime, was_resolved: bool = True) -> None:
    """Close a case: its outcome is known, nobody answered, or there is nobody to ask; or nobody is left to help."""
    if case.state == CaseState.CLOSED:
        return
    case.state, case.closed_at, case.next_act = CaseState.CLOSED, now, "none"
    if was_resolved:
        case.resolved_at = case.resolved_at or now
    record(case, "case.closed", by=actor_of(by), now=now, because=because)
    db.session.flush()


def go_silent(*, now: datetime, limit: int = 200) -> int:
    """End up to `limit` checks whose link ran out unanswered; their cases close, not won. For the clock process."""
    waiting = OutcomeCheck.state.in_((OutcomeState.PENDING, OutcomeState.ASKED))
    query = select(OutcomeCheck).where(waiting, OutcomeCheck.due_at < now - SILENT_AFTER)
    checks = db.session.scalars(query.order_by(OutcomeCheck.due_at).limit(limit)).all()
    cases = {case.id: case for case in held(select(Case).where(Case.id.in_({check.case_id for check in checks})))}
    ended = 0
    for check in checks:
        case = cases[check.case_id]
        db.session.refresh(check)
        if check.state in (OutcomeState.PENDING, OutcomeState.ASKED):
            _end_silent(check, case, now)
            ended += 1
    return ended


def _end_silent(check: OutcomeCheck, case: Case, now: datetime) -> None:
    check.state = OutcomeState.SILENT
    record(case, "outcome.silent", by=RULE, now=now, check=check.id)
    if case.state == CaseState.RESOLVED:
        close(case, because="silent", by=RULE, now=now)
    db.session.flush()
