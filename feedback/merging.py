"""Two cases of one customer become one: a complaint told twice is one piece of work.

The merged case closes and points to the one that goes on. What was said and what happened stays where it was; what is
still owed moves: running clocks (of two of a kind the earlier), open promises, broken ones not answered for, rewards.
docs/decisions/0006-merged-cases-stay.md
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from flask_babel import gettext as _
from sqlalchemy import or_, select, update
from sqlalchemy.orm import joinedload

from core.db import db
from core.errors import Conflict
from feedback import clocks
from feedback.actors import By, actor_of
from feedback.models import OPEN_STATES, Case, CaseClock, CaseState, ClockKind, Priority, Promise, PromiseState
from feedback.state import held, record, settle, unanswered
from incentives.models import Reward

RANK: Final = (Priority.NORMAL, Priority.HIGH, Priority.URGENT)


class CannotMerge(Conflict):
    code = "cannot-merge-cases"


def related(case: Case) -> list[Case]:
    """Return the customer's other cases that are open, and those merged into this one, oldest first."""
    if case.customer_id is None:
        return []
    is_open = Case.state.in_(OPEN_STATES) & ~Case.off_desk & (Case.brand_id == case.brand_id)
    query = select(Case).where(
        Case.customer_id == case.customer_id, Case.id != case.id, or_(is_open, Case.merged_into_id == case.id)
    )
    query = query.options(joinedload(Case.touchpoint)).order_by(Case.opened_at, Case.id)
    return list(db.session.scalars(query))


def merged_into(case: Case) -> list[Case]:
    """Return the cases that were merged into this one, oldest first."""
    query = select(Case).where(Case.merged_into_id == case.id)
    return list(db.session.scalars(query.order_by(Case.opened_at, Case.id)))


def merge(case: Case, into: Case, *, by: By, now: datetime) -> None:
    """Close `case` and go on with `into`. A second time changes nothing. Raises CannotMerge.

    Both rows are held in the order of their ids, so that two merges the other way round wait for each other.
    """
    _hold(case, into)
    if case.merged_into_id == into.id:
        return
    _check(case, into)
    _move_clocks(case, into, by=by, now=now)
    _move_what_is_owed(case, into)
    into.priority = max(Priority(case.priority), Priority(into.priority), key=RANK.index)
    if into.wants == "none":
        into.wants = case.wants
    case.state, case.closed_at, case.next_act, case.planned_at = CaseState.CLOSED, now, "none", None
    case.merged_into_id = into.id
    record(case, "case.merged", by=by, now=now, into=into.id, number=into.number)
    record(into, "case.merged_from", by=by, now=now, merged=case.id, number=case.number)
    settle(into, now=now)


def _hold(case: Case, into: Case) -> None:
    held(select(Case).where(Case.id.in_([case.id, into.id])))


def _check(case: Case, into: Case) -> None:
    if case.id == into.id:
        raise CannotMerge(_("A case cannot be merged into itself."))
    if case.customer_id is None or case.customer_id != into.customer_id or case.brand_id != into.brand_id:
        raise CannotMerge(_("Only cases of one customer and one brand can be merged."))
    for each in (case, into):
        if not each.is_open or each.off_desk:
            words = _("Only open cases can be merged, and %(number)s is not open any more.", number=each.label)
            raise CannotMerge(words)


def _move_clocks(case: Case, into: Case, *, by: By, now: datetime) -> None:
    """Keep of each kind the clock that is due first. We wait for the customer only if both cases did."""
    if not case.state == into.state == CaseState.WAITING:
        for each in (case, into):
            _back_to_work(each, by=by, now=now)
    kept = {clock.kind: clock for clock in clocks.of(into.id) if clock.stopped_at is None}
    for clock in clocks.of(case.id):
        # Who was contacted already hears from us by then: there is no second first contact.
        spoken = clock.kind == ClockKind.FIRST_CONTACT and into.first_contact_at is not None
        kind = ClockKind.NEXT_RESPONSE if spoken else clock.kind
        if clock.stopped_at is not None or (kind in kept and kept[kind].due_at <= clock.due_at):
            continue
        clocks.stop(into.id, kinds=[kind], reason="merged", actor=actor_of(by), now=now)
        db.session.execute(update(CaseClock).where(CaseClock.id == clock.id).values(case_id=into.id, kind=kind))
        kept[kind] = clock
    clocks.stop(case.id, reason="merged", actor=actor_of(by), now=now)


def _back_to_work(case: Case, *, by: By, now: datetime) -> None:
    if case.state == CaseState.WAITING:
        clocks.resume(case.id, actor=actor_of(by), now=now)
        case.state = CaseState.RECOVERY if case.first_contact_at else CaseState.OPEN


def _move_what_is_owed(case: Case, into: Case) -> None:
    owed = or_(Promise.state == PromiseState.OPEN, unanswered())
    in_place = {"synchronize_session": "fetch"}
    db.session.execute(
        update(Promise).where(Promise.case_id == case.id, owed).values(case_id=into.id), execution_options=in_place
    )
    db.session.execute(
        update(Reward).where(Reward.case_id == case.id).values(case_id=into.id), execution_options=in_place
    )
    db.session.execute(  # those merged earlier point to where the work goes on
        update(Case).where(Case.merged_into_id == case.id).values(merged_into_id=into.id), execution_options=in_place
    )
