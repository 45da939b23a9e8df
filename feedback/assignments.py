"""Who works on a case: claimed by oneself without collisions, given by somebody, put back."""

from __future__ import annotations

from datetime import datetime

from flask_babel import gettext as _
from sqlalchemy import func, or_, select, update
from sqlalchemy.orm import lazyload

from accounts.models import Role, Staff, Team, staff_role
from core import formats
from core.db import db
from core.errors import Conflict
from feedback.actors import By
from feedback.models import Case
from feedback.state import lock, record

WORKERS = ("admin", "lead", "agent")


class AlreadyTaken(Conflict):
    """Somebody else was quicker; the sentence says who and when."""

    code = "already-taken"


def claim(case: Case, staff: Staff, now: datetime) -> None:
    """Take a case that nobody has: one of many at the same moment gets it. Raises AlreadyTaken for all others."""
    taken = db.session.execute(
        update(Case)
        .where(Case.id == case.id, Case.assignee_id.is_(None))
        .values(assignee_id=staff.id, assigned_at=now)
        .returning(Case.id)
        .execution_options(synchronize_session=False)
    ).first()
    db.session.refresh(case, ["assignee_id", "assigned_at", "assignee"])
    if taken is not None:
        record(case, "case.assigned", by=staff, now=now, staff=staff.id, how="claimed")
    elif case.assignee_id != staff.id:
        raise AlreadyTaken(taken_by(case, now))


def taken_by(case: Case, now: datetime) -> str:
    """Return who has a case and since when, as whoever comes second reads it."""
    if case.assignee is None or case.assigned_at is None:
        return _("Somebody else just took this case.")
    return _("%(name)s took it %(ago)s.", name=case.assignee.first_name, ago=formats.ago(case.assigned_at, now))


def assign(case: Case, to: Staff, *, by: By, now: datetime) -> None:
    """Give a case to somebody, whoever has it now."""
    lock(case)
    if case.assignee_id == to.id:
        return
    case.assignee_id, case.assignee, case.assigned_at = to.id, to, now
    record(case, "case.assigned", by=by, now=now, staff=to.id, how="given")
    db.session.flush()


def release(case: Case, *, by: By, now: datetime) -> None:
    """Put a case back, so that anybody can take it."""
    lock(case)
    if case.assignee_id is None:
        return
    case.assignee_id = case.assignee = case.assigned_at = None
    record(case, "case.released", by=by, now=now)
    db.session.flush()


def candidates(brand_id: int | None = None, *, limit: int = 200) -> list[Staff]:
    """Return who can work on cases of a brand (or of any), by name."""
    works = select(staff_role.c.staff_id).join(Role, Role.id == staff_role.c.role_id).where(Role.name.in_(WORKERS))
    query = (
        select(Staff)
        .options(lazyload(Staff.roles))
        .outerjoin(Team, Team.id == Staff.team_id)
        .where(Staff.active, Staff.id.in_(works))
    )
    if brand_id is not None:
        query = query.where(or_(Staff.team_id.is_(None), Team.brand_id.is_(None), Team.brand_id == brand_id))
    return list(db.session.scalars(query.order_by(func.lower(Staff.name), Staff.id).limit(limit)))
