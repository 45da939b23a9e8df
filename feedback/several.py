"""One act on many cases at once. Each tells what became of it; the statements do not grow with the cases."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import select, update
from sqlalchemy.orm import joinedload

from accounts import visibility
from accounts.models import Staff, Team
from core import formats
from core.db import db
from core.errors import Refusal
from core.events import Event
from core.inserting import among, insert_many
from feedback.actors import By, actor_of
from feedback.assignments import taken_by
from feedback.models import Case, Category, Complaint, Priority, RootCause
from feedback.promises import Appointment, InThePast
from feedback.state import settle_all

MOST: Final = 200  # cases in one go
REASONS: Final = {  # why a case is looked at again
    "customer_asked": _l("The customer asked for it"),
    "third_party": _l("We wait for somebody else"),
    "needs_time": _l("It needs more time"),
    "check_again": _l("To check that it went well"),
}


class TooMany(Refusal):
    code = "too-many-cases"

    def sentence(self) -> str:
        return _("At most %(most)s cases can be changed in one go. Take some out.", most=formats.digits(MOST))


@dataclass(frozen=True)
class Told:
    """What became of one case: `words` say what was done, or why nothing was."""

    case: Case
    is_done: bool
    words: str


def held(staff: Staff, numbers: Collection[int]) -> list[Case]:
    """Return the cases of these numbers that somebody may see, locked in the order of their ids. Raises TooMany.

    They are read only once they are locked: what a join found before a lock was waited for is not read anew.
    """
    wanted = select(Case.id).where(Case.number == among(numbers)).order_by(Case.id).with_for_update(key_share=True)
    if len(numbers) <= MOST:
        db.session.execute(visibility.visible_to(staff, wanted, Case.brand_id))
    return shown(staff, numbers)


def shown(staff: Staff, numbers: Collection[int]) -> list[Case]:
    """Return the same cases only to be looked at. Raises TooMany."""
    if len(numbers) > MOST:
        raise TooMany
    query = visibility.visible_to(staff, select(Case).where(Case.number == among(numbers)), Case.brand_id)
    related = (
        joinedload(Case.brand),
        joinedload(Case.customer),
        joinedload(Case.touchpoint),
        joinedload(Case.assignee).lazyload(Staff.roles),
    )
    query = query.options(*related).order_by(Case.id)
    return list(db.session.scalars(query, execution_options={"populate_existing": True}))


def take(cases: Sequence[Case], *, by: Staff, now: datetime) -> list[Told]:
    """Take the cases that nobody has; of any other tell who has it and since when."""
    free = [case for case in cases if case.assignee_id is None]
    words = {case.id: taken_by(case, now) for case in cases if case.assignee_id not in (None, by.id)}
    told = [_told(case, words.get(case.id), _("Yours.")) for case in cases]
    _to(free, by, how="claimed", by=by, now=now)
    return told


def give(cases: Sequence[Case], to: Staff, *, by: By, now: datetime) -> list[Told]:
    """Give the cases to somebody, whoever has them; not those of a brand that person does not see."""
    brand_id = visibility.brand_of(to)
    theirs = [case for case in cases if brand_id in (None, case.brand_id)]
    done = _("With %(name)s.", name=to.first_name)
    told = [_told(case, None if case in theirs else _stranger(to, case), done) for case in cases]
    _to([case for case in theirs if case.assignee_id != to.id], to, how="given", by=by, now=now)
    return told


def _stranger(staff: Staff, case: Case) -> str:
    return _("%(name)s does not work for %(brand)s.", name=staff.first_name, brand=case.brand.name)


def _to(cases: Sequence[Case], staff: Staff, *, how: str, by: By, now: datetime) -> None:
    for case in cases:
        case.assignee_id, case.assignee, case.assigned_at = staff.id, staff, now
    _record(cases, "case.assigned", lambda case: {"staff": staff.id, "how": how}, by=by, now=now)


def prioritise(cases: Sequence[Case], priority: Priority, *, by: By, now: datetime) -> list[Told]:
    """Set how much it presses. Clocks keep their targets."""
    changed = [case for case in cases if case.is_open and case.priority != priority]
    _record(changed, "case.prioritised", lambda case: {"was": str(case.priority), "is": str(priority)}, by=by, now=now)
    for case in changed:
        case.priority = priority
    db.session.flush()
    levels = {"urgent": _("Urgent now."), "high": _("High priority now.")}
    done = levels.get(str(priority)) or _("Normal priority now.")
    return [_told(case, _is_over(case), done) for case in cases]


def plan(cases: Sequence[Case], when: Appointment | None, because: str, *, by: By, now: datetime) -> list[Told]:
    """Look at the cases again at a time, or take that time away; `because` is a code. Raises InThePast.

    Clocks and promises stay as they are: what they ask for earlier stays due first, and its case says so.
    """
    if when is not None and when.at <= now:
        raise InThePast(_("That time has passed. Choose one that is still to come."), field="on")
    at = when.at if when else None
    changed = [case for case in cases if case.is_open and case.planned_at != at]
    for case in changed:
        case.planned_at = at
    settle_all(changed, now=now)
    data = {"at": at.isoformat() if at else None, "because": because if at else None}
    _record(changed, "case.planned", lambda case: data, by=by, now=now)
    return [_told(case, _is_over(case), _planned(case, now)) for case in cases]


def _planned(case: Case, now: datetime) -> str:
    if case.planned_at is None:
        return _("No time of its own any more.")
    if case.next_act == "planned":
        return _("Due %(time)s.", time=formats.moment(case.due_at, now))
    return _("Noted. A clock or promise stays due first, %(time)s.", time=formats.moment(case.due_at, now))


def find_cause(cases: Sequence[Case], cause: RootCause, *, by: By, now: datetime) -> list[Told]:
    """Say why it happened, before the cases are resolved."""
    changed = [case for case in cases if case.is_open and case.root_cause_id != cause.id]
    for case in changed:
        case.root_cause_id = cause.id
    _record(changed, "case.cause_found", lambda case: {"cause": cause.id}, by=by, now=now)
    return [_told(case, _is_over(case), _("Root cause: %(cause)s.", cause=cause.name)) for case in cases]


def categorise(cases: Sequence[Case], category: Category, *, by: By, now: datetime) -> list[Told]:
    """Say what the complaints are about; a case that no complaint opened has no category."""
    theirs = Complaint.case_id == among([case.id for case in cases])
    known = db.session.execute(select(Complaint.case_id, Complaint.category).where(theirs))
    before = {row.case_id: row.category for row in known}
    changed = [case for case in cases if case.id in before and before[case.id] != category.key]
    filed = update(Complaint).where(Complaint.case_id == among([case.id for case in changed]))
    db.session.execute(filed.values(category=category.key), execution_options={"synchronize_session": False})
    _record(changed, "complaint.categorised", lambda case: {"category": category.id}, by=by, now=now)
    none = _("No complaint opened it, so it has no category.")
    return [
        _told(case, None if case.id in before else none, _("Filed under “%(name)s”.", name=category.name))
        for case in cases
    ]


def move(cases: Sequence[Case], team: Team, *, by: By, now: datetime) -> list[Told]:
    """Move the cases to a team's queue; who has them keeps them. Not to a team of another brand."""
    theirs = [case for case in cases if team.brand_id in (None, case.brand_id)]
    changed = [case for case in theirs if case.team_id != team.id]
    _record(changed, "case.moved", lambda case: {"was": case.team_id, "team": team.id}, by=by, now=now)
    for case in changed:
        case.team_id, case.team = team.id, team
    db.session.flush()
    other = _("This team works for another brand.")
    return [
        _told(case, None if case in theirs else other, _("In the queue of %(team)s.", team=team.name)) for case in cases
    ]


def _told(case: Case, refusal: str | None, done: str) -> Told:
    return Told(case, refusal is None, refusal or done)


def _is_over(case: Case) -> str | None:
    return None if case.is_open else _("It is resolved already.")


def _record(cases: Sequence[Case], kind: str, data: Callable[[Case], dict[str, Any]], *, by: By, now: datetime) -> None:
    """Write one event for each case, in one statement."""
    db.session.flush()
    shared = {"kind": kind, "version": 1, "at": now, "actor": actor_of(by)}
    rows = [shared | {"customer_id": case.customer_id, "case_id": case.id, "data": data(case)} for case in cases]
    insert_many(Event, rows)
