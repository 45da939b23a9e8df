"""A day at the desk for the home page: what is due today, what was mended this week, who has room."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from babel.dates import format_date
from flask import url_for
from flask_babel import gettext as _
from sqlalchemy import func, lateral, literal, select, true

from accounts import visibility
from accounts.models import Staff
from core import events, formats, i18n
from core.db import db, written
from core.events import Event
from core.working_time import local_moment
from customers.models import Customer
from feedback import assignments, queues, rows
from feedback.models import OPEN_STATES, Case, OutcomeCheck
from feedback.queues import CAP, Counts, Filters
from feedback.rows import Row
from surveys import scoring
from surveys.models import Invitation, Response

SHOWN: Final = 12  # lines of a day
LATE_SHOWN: Final = 8  # of those, late ones: what comes must be seen as well
LATER_SHOWN: Final = 4
LOOKED_BACK: Final = 400  # events that are looked through for what happened this week
ROOM_SHOWN: Final = 8
DESK_ROLES: Final = {"lead", "agent"}  # administrators could work on cases, and rarely do
WEEK: Final = timedelta(days=7)


@dataclass(frozen=True)
class Line:
    """One line of a day: a case and what is due next in it."""

    row: Row
    time: str
    detail: str
    late: bool
    due_at: datetime


@dataclass(frozen=True)
class Day:
    """What is due: late or today in `lines`, `more` of them not shown, and the first of what comes `later`."""

    late: list[Line]
    coming: list[Line]
    later: list[Line]
    more: bool
    counted: Counts
    promises: Counts | None

    @property
    def is_empty(self) -> bool:
        return not self.late and not self.coming

    @property
    def late_count(self) -> queues.Count:
        return self.counted.groups["overdue"]

    @property
    def today_count(self) -> queues.Count:
        return _together(self.counted)

    @property
    def promise_count(self) -> queues.Count:
        return _together(self.promises) if self.promises else queues.Count(0)


def _together(counted: Counts) -> queues.Count:
    return queues.Count(counted.groups["soon"].number + counted.groups["today"].number)


def day(staff: Staff, filters: Filters, *, now: datetime) -> Day:
    """Return a day of these cases in five statements: a page of cases, their next acts, and two counts."""
    tonight = end_of_day(staff.zone, now)
    cases = queues.page(staff, filters, after=None, now=now).cases
    late = [each for each in cases if each.due_at < now]
    coming = [each for each in cases if now <= each.due_at < tonight]
    later = [each for each in cases if each.due_at >= tonight]
    some = late[:LATE_SHOWN]
    shown = [*some, *coming[: SHOWN - len(some)], *later[:LATER_SHOWN]]
    known = rows.rows_of(shown, href=lambda case: url_for("case.show", number=case.number), now=now)
    lines = [_line(row, now) for row in known]
    today = [line for line in lines if line.due_at < tonight]
    return Day(
        late=[line for line in today if line.late],
        coming=[line for line in today if not line.late],
        later=[line for line in lines if line.due_at >= tonight],
        more=len(late) + len(coming) > len(today),
        counted=queues.counts(staff, filters, (), now=now),
        promises=queues.counts(staff, Filters(queue="promises", owner=filters.owner), (), now=now),
    )


def end_of_day(zone: str, now: datetime) -> datetime:
    day_after = now.astimezone(ZoneInfo(zone)).date() + timedelta(days=1)
    return local_moment(day_after, time(0, 0), zone)


def start_of_day(zone: str, now: datetime) -> datetime:
    return local_moment(now.astimezone(ZoneInfo(zone)).date(), time(0, 0), zone)


def _line(row: Row, now: datetime) -> Line:
    case = row.case
    return Line(row, _when(case.due_at, now), _detail(row), case.due_at < now, case.due_at)


def _when(at: datetime, now: datetime) -> str:
    """Return the time, or the weekday of another day."""
    if formats.local(at).date() == formats.local(now).date():
        return formats.time(at)
    return str(format_date(formats.local(at).date(), format="EEE", locale=i18n.language()))


def _detail(row: Row) -> str:
    case, parts = row.case, []
    if case.next_act in ("contact", "promise"):
        parts.append(_("%(what)s, promised", what=row.next_step))
    elif case.next_act == "broken_promise":
        parts.append(_("%(what)s, promise broken", what=row.next_step))
    else:
        parts.append(_("%(what)s, %(where)s", what=row.next_step, where=row.touchpoint.lower()))
    if case.language != i18n.language():
        language = i18n.language_name(case.language)
        words = _("Speaks %(language)s") if case.wants == "phone" else _("Writes %(language)s")
        parts.append(words % {"language": language})
    return ". ".join(parts)


# Mended


@dataclass(frozen=True)
class Mended:
    """Who was won back lately: how many (up to CAP), and the newest of them with words, if any."""

    count: int
    case: Case | None = None
    check: OutcomeCheck | None = None
    words: str | None = None
    language: str = ""
    at: datetime | None = None

    @property
    def shown(self) -> str:
        return f"{CAP}+" if self.count > CAP else str(self.count)

    @property
    def name(self) -> str:
        return rows.name_of(self.case) if self.case else ""

    @property
    def profile(self) -> str:
        """What the customer became by this answer, for its mark."""
        if self.case is None or self.check is None or self.check.score is None:
            return ""
        return str(scoring.profile(self.case.metric or scoring.Metric.NPS, self.check.score))


def mended(staff: Staff, *, now: datetime, own: bool = False) -> Mended:
    """Return who was won back in the last seven days (own: in this person's cases), in two statements."""
    recent = (
        select(Event.case_id, Event.at)
        .where(Event.kind == "case.won_back")
        .order_by(Event.id.desc())
        .limit(LOOKED_BACK)
        .subquery()
    )
    query: Any = select(Case.id).join(recent, recent.c.case_id == Case.id)
    query = query.where(recent.c.at >= now - WEEK, recent.c.at <= now, Case.won_back_at.is_not(None))
    if own:
        query = query.where(Case.assignee_id == staff.id)
    query = visibility.visible_to(staff, query, Case.brand_id).order_by(recent.c.at.desc()).limit(CAP + 1)
    ids = list(dict.fromkeys(db.session.scalars(query)))
    return _quoted(ids) if ids else Mended(0)


def _quoted(case_ids: Sequence[int]) -> Mended:
    """Return the newest won back customer who said something, else the newest; one statement."""
    row: Any = db.session.execute(
        select(Case, OutcomeCheck, Response.comment, Response.language, Customer)
        .join(OutcomeCheck, OutcomeCheck.case_id == Case.id)
        .outerjoin(Invitation, Invitation.outcome_check_id == OutcomeCheck.id)
        .outerjoin(Response, Response.invitation_id == Invitation.id)
        .outerjoin(Customer, Customer.id == Case.customer_id)
        .where(Case.id.in_(case_ids), OutcomeCheck.won_back.is_(True))
        .order_by(Response.comment.is_(None), OutcomeCheck.answered_at.desc())
        .limit(1)
    ).first()
    if row is None:
        return Mended(len(case_ids))
    case, check, words, language, _customer = row
    return Mended(len(case_ids), case, check, words, language or "", check.answered_at)


# Who has room


@dataclass(frozen=True)
class Load:
    staff: Staff
    open: int  # up to CAP + 1
    is_me: bool

    @property
    def share(self) -> float:
        return min(self.open / max(self.staff.capacity, 1), 1.0)

    @property
    def name(self) -> str:
        return _("You") if self.is_me else self.staff.first_name


@dataclass(frozen=True)
class Team:
    loads: list[Load]  # most room first
    nobodys: int  # open cases without an owner, up to CAP + 1

    @property
    def owned(self) -> int:
        return sum(load.open for load in self.loads)

    @property
    def busiest(self) -> Load | None:
        """The colleague with most open cases, if there is one to help."""
        others = [load for load in self.loads if not load.is_me and load.open]
        return max(others, key=lambda load: load.open, default=None)


def team(me: Staff) -> Team:
    """Return who works on cases, with how many each has open; three statements, each count capped."""
    people = assignments.candidates(visibility.brand_of(me), limit=40)
    known = {each.id: each for each in people if DESK_ROLES & set(each.role_names)}
    on_desk = (written(Case.state, OPEN_STATES), ~Case.off_desk)
    theirs = lateral(
        select(func.count().label("open")).select_from(
            select(literal(1))
            .where(Case.assignee_id == Staff.id, *on_desk)
            .order_by(Case.due_at)
            .limit(CAP + 1)
            .correlate(Staff)
            .subquery()
        )
    )
    found = db.session.execute(select(Staff.id, theirs.c.open).join(theirs, true()).where(Staff.id.in_(known)))
    loads = [Load(known[staff_id], count, staff_id == me.id) for staff_id, count in found]
    loads.sort(key=lambda load: (load.share, load.staff.name))
    nobodys: Any = select(Case.id).where(Case.assignee_id.is_(None), *on_desk)
    capped = visibility.visible_to(me, nobodys, Case.brand_id).order_by(Case.due_at).limit(CAP + 1).subquery()
    return Team(loads, db.session.scalar(select(func.count()).select_from(capped)) or 0)


def kept_today(staff: Staff, *, now: datetime) -> int:
    """Return how many promises this person kept today; one statement over the newest events of that kind."""
    recent = (
        select(Event.actor, Event.at)
        .where(Event.kind == "promise.kept")
        .order_by(Event.id.desc())
        .limit(LOOKED_BACK)
        .subquery()
    )
    mine = (recent.c.actor == events.staff_actor(staff.id), recent.c.at >= start_of_day(staff.zone, now))
    return db.session.scalar(select(func.count()).select_from(recent).where(*mine)) or 0
