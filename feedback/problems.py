"""Problems: what goes wrong for more than one customer is found out, changed, and closed once it happens less.

Whether it happens less is counted in insights.recurrence; the rules here are told.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from flask_babel import gettext as _
from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import joinedload, selectinload

from accounts import visibility
from accounts.models import Staff
from core import events
from core.db import db, is_public_id, new_public_id
from core.editing import apply
from core.errors import Conflict, NotFound, Refusal
from customers.models import Touchpoint
from feedback import trees
from feedback.models import Case, ClosedBecause, CorrectiveAction, Problem, ProblemState, RootCause

MOST = 200  # that one page lists


class ProblemClosed(Conflict):
    code = "problem-closed"

    def sentence(self) -> str:
        return _("This problem is closed. Open it again to go on with it.")


class NotVerified(Refusal):
    code = "not-verified"

    def sentence(self) -> str:
        return _("It does not happen less yet, as far as the figures can tell. Wait, or close it for another reason.")


class NotYetDone(Refusal):
    code = "not-yet-done"

    def sentence(self) -> str:
        return _("This day is still to come. Write down what was changed once it holds.")


@dataclass(frozen=True)
class ProblemData:
    """What is said of a problem. Without a touchpoint it may be anywhere in what its opener sees."""

    title: str
    touchpoint: Touchpoint | None = None
    cause: RootCause | None = None
    owner: Staff | None = None
    known: str = ""
    tell: str = ""


def visible(staff: Staff) -> Sequence[Problem]:
    """Return the problems somebody may see, the open ones first and the newest of each; one statement."""
    query: Any = (
        select(Problem)
        .options(joinedload(Problem.touchpoint), joinedload(Problem.root_cause), joinedload(Problem.owner))
        .order_by(Problem.closed_at.is_not(None), Problem.id.desc())
        .limit(MOST)
    )
    return db.session.scalars(visibility.visible_to(staff, query, Problem.brand_id)).all()


def live(staff: Staff) -> Sequence[Problem]:
    """Return the problems somebody may see that are not closed, the newest first; one statement."""
    query: Any = select(Problem).where(Problem.closed_at.is_(None)).order_by(Problem.id.desc()).limit(MOST)
    return db.session.scalars(visibility.visible_to(staff, query, Problem.brand_id)).all()


def find(staff: Staff, public_id: str, *, locked: bool = False) -> Problem:
    """Return a problem that somebody may see, with its actions, or raise NotFound."""
    if not is_public_id(public_id):
        raise NotFound
    query: Any = select(Problem).where(Problem.public_id == public_id).options(selectinload(Problem.actions))
    query = visibility.visible_to(staff, query, Problem.brand_id)
    found = db.session.scalar(query.with_for_update(of=Problem) if locked else query)
    if found is None:
        raise NotFound
    return found


def about(case: Case) -> Sequence[Problem]:
    """Return the open problems that a case may be one of, the newest three; one statement, or none.

    A problem fits by its touchpoint and its cause, or by the one that it names. While the cause of a case is not known
    it may be any of those at its touchpoint.
    """
    fits: list[ColumnElement[bool]] = []
    if case.touchpoint_id:
        here = Problem.touchpoint_id == case.touchpoint_id
        fits.append(here & Problem.root_cause_id.is_(None) if case.root_cause_id else here)
    if case.root_cause_id:
        anywhere = Problem.touchpoint_id.is_(None)
        place = or_(anywhere, Problem.touchpoint_id == case.touchpoint_id) if case.touchpoint_id else anywhere
        fits.append(Problem.root_cause_id.in_(trees.above(case.root_cause_id)) & place)
    if not fits:
        return ()
    query = (
        select(Problem)
        .where(Problem.closed_at.is_(None), or_(Problem.brand_id.is_(None), Problem.brand_id == case.brand_id))
        .where(or_(*fits))
        .options(joinedload(Problem.owner))
        .order_by(Problem.id.desc())
        .limit(3)
    )
    return db.session.scalars(query).all()


def begin(data: ProblemData, *, form_key: str, by: Staff, now: datetime) -> Problem:
    """Open a problem; the same form sent twice, also at the same moment, opens one."""
    row = {
        "public_id": new_public_id(),
        "form_key": form_key,
        "state": ProblemState.OPEN,
        "opened_by": events.staff_actor(by.id),
        "opened_at": now,
        **_values(data, by),
    }
    made = insert(Problem).values(row).on_conflict_do_nothing(index_elements=["form_key"]).returning(Problem.id)
    is_new = db.session.scalar(made) is not None
    problem = db.session.scalars(select(Problem).where(Problem.form_key == form_key)).one()
    if is_new:
        _record("opened", problem, by, now, touchpoint=problem.touchpoint_id, cause=problem.root_cause_id)
    return problem


def change(problem: Problem, data: ProblemData, *, by: Staff, now: datetime) -> None:
    """Say something else of a problem. Raises ProblemClosed."""
    _refuse_closed(problem)
    if changed := apply(problem, _values(data, by, kept=problem)):
        _record("changed", problem, by, now, fields=changed)


def act(problem: Problem, words: str, *, on: date, today: date, form_key: str, by: Staff, now: datetime) -> None:
    """Write down what was changed and from which day on it held. Raises ProblemClosed and NotYetDone."""
    if any(each.form_key == form_key for each in problem.actions):
        return
    _refuse_closed(problem)
    if on > today:
        raise NotYetDone(field="on")
    actor = events.staff_actor(by.id)
    problem.actions.append(CorrectiveAction(words=words, acted_on=on, form_key=form_key, by=actor, at=now))
    problem.state = ProblemState.ACTED
    db.session.flush()
    _record("acted", problem, by, now, on=on.isoformat())


def close(problem: Problem, because: ClosedBecause, *, happens_less: bool, by: Staff, now: datetime) -> None:
    """Close a problem. Raises ProblemClosed, and NotVerified where recurrence has not fallen since the last action."""
    _refuse_closed(problem)
    if because is ClosedBecause.VERIFIED and not happens_less:
        raise NotVerified(field="because")
    problem.state, problem.closed_because, problem.closed_at = ProblemState.CLOSED, because, now
    _record("closed", problem, by, now, because=because.value)


def reopen(problem: Problem, *, by: Staff, now: datetime) -> None:
    """Go on with a closed problem; one that is open stays so."""
    if problem.closed_at is None:
        return
    problem.state = ProblemState.ACTED if problem.actions else ProblemState.OPEN
    problem.closed_because = problem.closed_at = None
    _record("reopened", problem, by, now)


def _values(data: ProblemData, by: Staff, kept: Problem | None = None) -> dict[str, Any]:
    """Return the columns; a problem anywhere keeps its brand, and a new one is of the brands its opener sees."""
    anywhere = kept.brand_id if kept and kept.touchpoint_id is None else visibility.brand_of(by)
    return {
        "title": data.title,
        "brand_id": data.touchpoint.brand_id if data.touchpoint else anywhere,
        "touchpoint_id": data.touchpoint.id if data.touchpoint else None,
        "root_cause_id": data.cause.id if data.cause else None,
        "owner_id": data.owner.id if data.owner else None,
        "known": data.known,
        "tell": data.tell,
    }


def _refuse_closed(problem: Problem) -> None:
    if problem.closed_at is not None:
        raise ProblemClosed


def _record(what: str, problem: Problem, by: Staff, now: datetime, **data: Any) -> None:
    events.record(f"problem.{what}", at=now, actor=events.staff_actor(by.id), problem=problem.id, **data)
