"""What every verb does to the row of a case: lock it, keep when it is due next, raise it, write its history."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import and_, exists, literal, or_, select, union_all
from sqlalchemy import case as sql_case

from core import events
from core.db import db
from core.errors import Conflict
from feedback.actors import By, actor_of
from feedback.models import Case, CaseClock, CaseEntry, CaseState, EntryKind, Priority, Promise, PromiseState

FOLLOW_UP: Final = timedelta(days=7)  # waiting for a customer, we ask again after this
RAISED: Final = {Priority.NORMAL: Priority.HIGH, Priority.HIGH: Priority.URGENT}


class CaseClosed(Conflict):
    code = "case-closed"


def lock(case: Case) -> None:
    """Hold the case's row until the transaction ends and read it anew: verbs on one case go one after the other."""
    db.session.execute(
        select(Case).where(Case.id == case.id).with_for_update(), execution_options={"populate_existing": True}
    )


def record(case: Case, kind: str, *, by: By, now: datetime, **data: Any) -> None:
    """Append to the case's history; `data` holds ids, codes and numbers only."""
    events.record(kind, at=now, actor=actor_of(by), customer=case.customer_id, case=case.id, **data)


def raise_priority(case: Case) -> None:
    case.priority = RAISED.get(Priority(case.priority), Priority.URGENT)


def settle(case: Case, *, now: datetime) -> None:
    """Set what is due next: the earliest of running clocks, open promises, and broken ones nobody has answered for."""
    db.session.flush()
    if not case.is_open:
        return
    first = db.session.execute(_due(case).order_by("due_at", "rank").limit(1)).first()
    if first is not None:
        case.due_at, case.next_act = first.due_at, first.act
    elif case.state == CaseState.WAITING:
        case.due_at, case.next_act = now + FOLLOW_UP, "follow_up"
    else:
        case.due_at, case.next_act = now, "resolution"
    db.session.flush()


def _due(case: Case) -> Any:
    clocks = select(CaseClock.due_at.label("due_at"), CaseClock.kind.label("act"), literal(1).label("rank")).where(
        CaseClock.case_id == case.id, CaseClock.stopped_at.is_(None), CaseClock.paused_at.is_(None)
    )
    said_since = exists().where(
        CaseEntry.case_id == Promise.case_id,
        CaseEntry.at >= Promise.ended_at,
        or_(CaseEntry.kind == EntryKind.REPLY, and_(CaseEntry.kind == EntryKind.CALL, CaseEntry.reached.is_(True))),
    )
    open_promises = select(Promise.due_at, _promise_act("contact", "promise"), literal(0)).where(
        Promise.case_id == case.id, Promise.state == PromiseState.OPEN
    )
    broken = select(Promise.due_at, literal("broken_promise"), literal(0)).where(
        Promise.case_id == case.id, Promise.state == PromiseState.BROKEN, ~said_since
    )
    due = union_all(clocks, open_promises, broken).subquery()
    return select(due.c.due_at, due.c.act, due.c.rank)


def _promise_act(contact: str, other: str) -> Any:
    return sql_case((Promise.kind == "contact", contact), else_=other)
