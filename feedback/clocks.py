"""The running deadlines of a case, in working time: started, paused while the customer is awaited, resumed, stopped.

Each act is a row in clock_event; due_at and warn_at are stored because lists sort by them, and can be told again from
the events at any time (`deadline`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, Final, cast

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import CTE, String, Table, case, func, insert, literal, null, select, text, update

from core import formats, working_time
from core.db import db
from core.events import Event
from feedback import policies
from feedback.models import Case, CaseClock, ClockEvent, ClockKind

WARN_SHARE: Final = 0.75  # of the target: from then on the deadline is near
EVERY: Final = (ClockKind.FIRST_CONTACT, ClockKind.NEXT_RESPONSE, ClockKind.RESOLUTION)
TITLES: Final = {
    ClockKind.FIRST_CONTACT: _l("First contact"),
    ClockKind.NEXT_RESPONSE: _l("Next response"),
    ClockKind.RESOLUTION: _l("Resolution"),
}
_clock = cast(Table, CaseClock.__table__)
_event = cast(Table, ClockEvent.__table__)


@dataclass(frozen=True)
class Target:
    kind: str
    minutes: int  # of working time


@dataclass(frozen=True)
class Run:
    """A stretch in which a clock ran; still running without an end."""

    start: datetime
    end: datetime | None = None


def due_for(minutes: int, *, since: datetime, calendar: working_time.Calendar) -> datetime:
    """Return the aware UTC moment `minutes` of working time after `since`."""
    return working_time.add(since, timedelta(minutes=minutes), calendar)


def deadline(work: timedelta, runs: Iterable[Run], calendar: working_time.Calendar) -> datetime | None:
    """Return when `work` of working time is used up over the runs; None if all have ended before that."""
    for run in runs:
        if run.end is None:
            return working_time.add(run.start, work, calendar)
        spent = working_time.between(run.start, run.end, calendar)
        if work <= spent:
            return working_time.add(run.start, work, calendar)
        work -= spent
    return None


def start(
    case_id: int, targets: Sequence[Target], *, policy: str, calendar_id: int, actor: str, now: datetime
) -> dict[str, datetime]:
    """Start clocks and write their events, in one statement; return when each is due. One that runs already goes on."""
    calendar = policies.calendar(calendar_id)
    work = {str(target.kind): timedelta(minutes=target.minutes) for target in targets}
    due = {kind: working_time.add(now, each, calendar) for kind, each in work.items()}
    columns = {
        "kinds": list(due),
        "minutes": [target.minutes for target in targets],
        "due": list(due.values()),
        "warn": [working_time.add(now, each * WARN_SHARE, calendar) for each in work.values()],
    }
    shared = {"case": case_id, "calendar": calendar_id, "policy": policy, "actor": actor, "now": now}
    db.session.execute(_START, shared | columns)
    return due


# Written down, because a statement with a list of rows is put together anew each time, and a customer waits for this.
_START: Final = text("""
    WITH started AS (
        INSERT INTO case_clock (case_id, kind, target_minutes, calendar_id, policy, started_at, due_at, warn_at)
        SELECT CAST(:case AS bigint), kind, minutes, CAST(:calendar AS bigint), CAST(:policy AS text),
               CAST(:now AS timestamptz), due_at, warn_at
        FROM unnest(CAST(:kinds AS text[]), CAST(:minutes AS bigint[]), CAST(:due AS timestamptz[]),
                    CAST(:warn AS timestamptz[])) AS target (kind, minutes, due_at, warn_at)
        ON CONFLICT (case_id, kind) WHERE stopped_at IS NULL DO NOTHING
        RETURNING id
    )
    INSERT INTO clock_event (clock_id, kind, actor, at)
    SELECT id, 'start', CAST(:actor AS text), CAST(:now AS timestamptz) FROM started
""")


def pause(case_id: int, *, reason: str, actor: str, now: datetime) -> None:
    """Pause every running clock of a case; while it is paused nothing is due."""
    paused = (
        update(_clock)
        .where(_clock.c.case_id == case_id, _clock.c.stopped_at.is_(None), _clock.c.paused_at.is_(None))
        .values(paused_at=now)
        .returning(_clock.c.id)
        .cte("paused")
    )
    _write(paused, "pause", reason=reason, actor=actor, now=now)


def resume(case_id: int, *, actor: str, now: datetime) -> None:
    """Let every paused clock run on, with what was left of its working time."""
    paused = [clock for clock in of(case_id) if clock.is_paused]
    events = events_of(clock.id for clock in paused)
    for clock in paused:
        calendar = policies.calendar(clock.calendar_id)
        runs = [*runs_of(events.get(clock.id, [])), Run(now)]
        work = timedelta(minutes=clock.target_minutes)
        clock.due_at = deadline(work, runs, calendar) or clock.due_at
        clock.warn_at = deadline(work * WARN_SHARE, runs, calendar) or clock.warn_at
        clock.paused_at = None
        db.session.add(ClockEvent(clock_id=clock.id, kind="resume", reason=None, actor=actor, at=now))
    db.session.flush()


def stop(case_id: int, *, kinds: Sequence[str] = EVERY, reason: str | None = None, actor: str, now: datetime) -> None:
    """Stop a case's clocks of some kinds, in one statement; one that was late keeps since when."""
    late = (_clock.c.due_at < now) & _clock.c.paused_at.is_(None)
    stopped = (
        update(_clock)
        .where(_clock.c.case_id == case_id, _clock.c.stopped_at.is_(None), _clock.c.kind.in_([str(k) for k in kinds]))
        .values(
            stopped_at=now, breached_at=func.coalesce(_clock.c.breached_at, case((late, _clock.c.due_at), else_=null()))
        )
        .returning(_clock.c.id)
        .cte("stopped")
    )
    _write(stopped, "stop", reason=reason, actor=actor, now=now)


def _write(changed: CTE, kind: str, *, reason: str | None, actor: str, now: datetime) -> None:
    """Change clocks and append an event for each, in one statement."""
    columns = ["clock_id", "kind", "reason", "actor", "at"]
    rows = select(
        changed.c.id,
        literal(kind, String),
        literal(reason, String),
        literal(actor, String),
        literal(now, _event.c.at.type),
    )
    db.session.execute(insert(_event).from_select(columns, rows).add_cte(changed))


def of(case_id: int) -> list[CaseClock]:
    """Return the clocks of a case, oldest first, as they are now."""
    query = select(CaseClock).where(CaseClock.case_id == case_id).order_by(CaseClock.id)
    return list(db.session.scalars(query, execution_options={"populate_existing": True}))


def events_of(clock_ids: Iterable[int]) -> dict[int, list[ClockEvent]]:
    """Return the events of clocks by clock, oldest first, in one statement."""
    found: dict[int, list[ClockEvent]] = {}
    query = select(ClockEvent).where(ClockEvent.clock_id.in_(list(clock_ids))).order_by(ClockEvent.id)
    for each in db.session.scalars(query):
        found.setdefault(each.clock_id, []).append(each)
    return found


def runs_of(events: Iterable[ClockEvent]) -> list[Run]:
    """Return when a clock ran, by its events."""
    runs: list[Run] = []
    for each in events:
        if each.kind in ("start", "resume"):
            runs.append(Run(each.at))
        elif runs and runs[-1].end is None:
            runs[-1] = Run(runs[-1].start, each.at)
    return runs


def mark_breached(*, now: datetime, limit: int = 500) -> int:
    """Note up to `limit` clocks that ran over since the last time; return how many. For the clock process."""
    late = (
        select(_clock.c.id)
        .where(_clock.c.due_at < now, _clock.c.stopped_at.is_(None), _clock.c.paused_at.is_(None))
        .where(_clock.c.breached_at.is_(None))
        .order_by(_clock.c.due_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .cte("late")  # runs once; a subquery may run again for each row, and then find more than the limit
    )
    marked = (
        update(_clock)
        .where(_clock.c.id.in_(select(late.c.id)))
        .values(breached_at=_clock.c.due_at)
        .returning(_clock.c.id, _clock.c.case_id, _clock.c.kind, _clock.c.due_at)
    )
    rows = db.session.execute(marked).all()
    if not rows:
        return 0
    customers = _customers_of({row.case_id for row in rows})
    db.session.execute(insert(Event), [_breach(row, customers, now) for row in rows])
    return len(rows)


def _customers_of(case_ids: set[int]) -> dict[int, int | None]:
    rows = db.session.execute(select(Case.id, Case.customer_id).where(Case.id.in_(case_ids)))
    return {row.id: row.customer_id for row in rows}


def _breach(row: Any, customers: Mapping[int, int | None], now: datetime) -> dict[str, Any]:
    return {
        "kind": "clock.breached",
        "version": 1,
        "at": now,
        "actor": "rule",
        "customer_id": customers.get(row.case_id),
        "case_id": row.case_id,
        "data": {"clock": row.kind, "due_at": row.due_at.isoformat()},
    }


def explain(clock: CaseClock, *, now: datetime, events: Sequence[ClockEvent] | None = None) -> str:
    """Answer "why is this due at 14:12?" in a sentence; `events` are this clock's, if they are at hand."""
    if events is None:
        events = events_of([clock.id]).get(clock.id, [])
    calendar = policies.calendar(clock.calendar_id)
    work = timedelta(minutes=clock.target_minutes)
    said = _(
        "%(clock)s is due %(due)s: %(work)s of working time after %(start)s, by the rule “%(policy)s”.",
        clock=TITLES[ClockKind(clock.kind)],
        due=formats.moment(clock.due_at, now),
        work=_hours(work),
        start=formats.moment(clock.started_at, now),
        policy=clock.policy,
    )
    return " ".join([said, *_about_pauses(clock, events, calendar, now), _about_calendar(calendar)])


def _about_pauses(
    clock: CaseClock, events: Sequence[ClockEvent], calendar: working_time.Calendar, now: datetime
) -> list[str]:
    runs = runs_of(events)
    gaps = [
        working_time.between(earlier.end, later.start, calendar) for earlier, later in pairwise(runs) if earlier.end
    ]
    said = []
    if paused := sum(gaps, timedelta()):
        said.append(_("It was paused for %(paused)s of working time.", paused=_hours(paused)))
    if clock.is_paused and clock.paused_at:
        said.append(
            _("It is paused since %(since)s: we wait for the customer.", since=formats.moment(clock.paused_at, now))
        )
    return said


def _about_calendar(calendar: working_time.Calendar) -> str:
    open_days = sum(1 for day in calendar.weekly if day)
    hours = sorted({str(interval) for day in calendar.weekly for interval in day})
    return _(
        "We count %(hours)s on %(days)s days a week, time zone %(zone)s.",
        hours=formats.listed(hours),
        days=formats.digits(open_days),
        zone=calendar.zone,
    )


def _hours(work: timedelta) -> str:
    """Return working time in hours and minutes; a day would be ambiguous."""
    minutes = int(work.total_seconds() // 60)
    hours, rest = divmod(minutes, 60)
    if not hours:
        return _("%(minutes)s min", minutes=formats.digits(rest))
    if not rest:
        return _("%(hours)s h", hours=formats.digits(hours))
    return _("%(hours)s h %(minutes)s", hours=formats.digits(hours), minutes=formats.digits(f"{rest:02}"))
