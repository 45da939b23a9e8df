"""What every verb does to the row of a case: lock it, keep when it is due next, raise it, write its history.

Locks are taken in one order, everywhere: customers, cases, what hangs on a case, rewards, programmes, codes
(docs/architecture.md). Who changes a customer by way of a case holds the customer first: `hold_customer`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from flask_babel import gettext as _
from sqlalchemy import Select, and_, exists, literal, or_, select, union_all
from sqlalchemy import case as sql_case
from sqlalchemy.dialects.postgresql import distinct_on

from core import events
from core.db import db
from core.errors import Conflict
from core.inserting import among
from customers import customers
from customers.models import Customer
from feedback.actors import By, actor_of
from feedback.models import Case, CaseClock, CaseEntry, CaseState, EntryKind, Priority, Promise, PromiseState

FOLLOW_UP: Final = timedelta(days=7)  # waiting for a customer, we ask again after this
RAISED: Final = {Priority.NORMAL: Priority.HIGH, Priority.HIGH: Priority.URGENT}


class CaseClosed(Conflict):
    code = "case-closed"


class CaseMerged(Conflict):
    code = "case-merged"

    def sentence(self) -> str:
        return _("This case was merged into another one. The work goes on there.")


def lock(case: Case) -> None:
    """Hold the case's row until the transaction ends and read it anew: verbs on one case go one after the other.

    Raises CaseMerged: nothing is done in a case that was merged into another one.
    """
    _lock(case)
    if case.merged_into_id is not None:
        raise CaseMerged


def lock_where_it_goes_on(case: Case) -> Case:
    """Hold the case, or the one it was merged into, and return that: a customer's word is heard where the work is."""
    _lock(case)
    while case.merged_into_id is not None:
        case = db.session.get_one(Case, case.merged_into_id)
        _lock(case)
    return case


def _lock(case: Case) -> None:
    held(select(Case).where(Case.id == case.id))


def held(query: Select[Case]) -> list[Case]:
    """Return cases read anew and held until commit, in the order of their ids.

    The lock lets others write rows that name a case: who asks its customer again holds the outcome check, and must not
    wait for whoever works on the case and is about to cancel that check.
    """
    in_order = query.order_by(Case.id).with_for_update(key_share=True)
    return list(db.session.scalars(in_order, execution_options={"populate_existing": True}))


def hold_customer(case: Case) -> None:
    """Hold the customer of a case until commit; before the case itself is held, or else two acts wait for each other.

    While it is held nobody merges it, so that the case stays with it.
    """
    customer_id = None
    while case.customer_id is not None and case.customer_id != customer_id:
        customer_id = case.customer_id
        customers.held(select(Customer).where(Customer.id == customer_id))
        db.session.refresh(case, ["customer_id"])  # whoever merged it while we waited moved the case


def record(case: Case, kind: str, *, by: By, now: datetime, **data: Any) -> None:
    """Append to the case's history; `data` holds ids, codes and numbers only."""
    events.record(kind, at=now, actor=actor_of(by), customer=case.customer_id, case=case.id, **data)


def raise_priority(case: Case) -> None:
    case.priority = RAISED.get(Priority(case.priority), Priority.URGENT)


def settle(case: Case, *, now: datetime) -> None:
    """Set what is due next: the earliest of running clocks, promises, broken ones not answered for, or a plan."""
    settle_all([case], now=now)


def settle_all(cases: Sequence[Case], *, now: datetime) -> None:
    """Set what is due next in each of these cases, in one statement to find it."""
    db.session.flush()
    still_open = [case for case in cases if case.is_open]
    if not still_open:
        return
    first = {row.case_id: row for row in db.session.execute(_due([case.id for case in still_open]))}
    for case in still_open:
        _set_due(case, first.get(case.id), now)
    db.session.flush()


def _set_due(case: Case, first: Any, now: datetime) -> None:
    if case.state == CaseState.WAITING and (first is None or first.act == "planned"):
        is_sooner = first is not None and first.due_at <= now + FOLLOW_UP  # a plan does not put off that we ask again
        case.due_at, case.next_act = (first.due_at, first.act) if is_sooner else (now + FOLLOW_UP, "follow_up")
    elif first is not None:
        case.due_at, case.next_act = first.due_at, first.act
    else:
        case.due_at, case.next_act = now, "resolution"


def _due(case_ids: Sequence[int]) -> Any:
    """Return the first thing due in each case: case_id, due_at, act."""
    clocks = select(
        CaseClock.case_id.label("case_id"),
        CaseClock.due_at.label("due_at"),
        CaseClock.kind.label("act"),
        literal(1).label("rank"),
    ).where(CaseClock.case_id == among(case_ids), CaseClock.stopped_at.is_(None), CaseClock.paused_at.is_(None))
    open_promises = select(Promise.case_id, Promise.due_at, _promise_act("contact", "promise"), literal(0)).where(
        Promise.case_id == among(case_ids), Promise.state == PromiseState.OPEN
    )
    broken = select(Promise.case_id, Promise.due_at, literal("broken_promise"), literal(0)).where(
        Promise.case_id == among(case_ids), unanswered()
    )
    planned = select(Case.id, Case.planned_at, literal("planned"), literal(2)).where(
        Case.id == among(case_ids), Case.planned_at.is_not(None)
    )
    due = union_all(clocks, open_promises, broken, planned).subquery()
    first = select(due.c.case_id, due.c.due_at, due.c.act).ext(distinct_on(due.c.case_id))
    return first.order_by(due.c.case_id, due.c.due_at, due.c.rank)


def unanswered() -> Any:
    """Return the condition of a broken promise after which nobody has talked to the customer."""
    said_since = exists().where(
        CaseEntry.case_id == Promise.case_id,
        CaseEntry.at >= Promise.ended_at,
        or_(CaseEntry.kind == EntryKind.REPLY, and_(CaseEntry.kind == EntryKind.CALL, CaseEntry.reached.is_(True))),
    )
    return and_(Promise.state == PromiseState.BROKEN, ~said_since)


def _promise_act(contact: str, other: str) -> Any:
    return sql_case((Promise.kind == "contact", contact), else_=other)
