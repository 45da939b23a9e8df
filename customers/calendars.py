"""Calendars come and change: opening hours, holidays and closed days, and what they make of the next two weeks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

import holidays
from flask_babel import gettext as _
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from core import editing, events, outbox, working_time
from core.db import constraint_of, db, new_public_id
from core.errors import Conflict, Refusal
from core.working_time import Interval, NoWorkingTime
from customers.models import Brand, Calendar

OUTLOOK_DAYS: Final = 14


class NameTaken(Conflict):
    code = "calendar-name-taken"

    def sentence(self) -> str:
        return _("Another calendar has this name already. Choose a different one.")


class NeverOpens(Refusal):
    """A calendar by which no deadline could ever be set."""

    code = "never-opens"


@dataclass(frozen=True)
class CalendarData:
    """What a calendar says; `weekly` as core.working_time has it, `country` is DE or DE-HH."""

    name: str
    zone: str
    weekly: dict[str, list[list[str]]]
    country: str | None
    closed_on: Sequence[date]


@dataclass(frozen=True)
class Day:
    """One day to come: when it is open, or why it is not (a holiday's name; "" for a day off every week)."""

    day: date
    hours: Sequence[Interval]
    closed_because: str


def create(data: CalendarData, *, by: str, now: datetime) -> Calendar:
    """Add a calendar. Raises NeverOpens or NameTaken."""
    check(data, now=now)
    calendar = Calendar(public_id=new_public_id(), **_columns(data))
    _flush(calendar)
    events.record("calendar.created", at=now, actor=by, calendar=calendar.id)
    return calendar


def change(calendar: Calendar, data: CalendarData, *, by: str, now: datetime) -> None:
    """Change a calendar; running deadlines are worked out anew behind this. Raises NeverOpens or NameTaken."""
    check(data, now=now)
    changed = editing.apply(calendar, _columns(data))
    if not changed:
        return
    _flush(calendar)
    events.record("calendar.changed", at=now, actor=by, calendar=calendar.id, fields=changed)
    if changed != ["name"]:
        outbox.later("clocks.recompute", key=new_public_id(), due_at=now, calendar_id=calendar.id, after_id=0)


def check(data: CalendarData, *, now: datetime) -> None:
    """Refuse a calendar without working time at the field that makes it so. Raises NeverOpens, or ValueError."""
    if not any(data.weekly.values()):
        raise NeverOpens(
            _("This calendar never opens. Give at least one day its hours, for example 09:00–17:00."), field="mon"
        )
    try:
        working_hours(data, now=now).next_open(now)
    except NoWorkingTime as error:
        raise NeverOpens(
            _("The closed days leave no working time in the next year. Take some of them away."), field="closed_on"
        ) from error


def working_hours(data: CalendarData, *, now: datetime) -> working_time.Calendar:
    """Return the working time that these words mean, holidays of this year and the next included."""
    closed = [day.isoformat() for day in data.closed_on]
    plain = working_time.Calendar.from_json({"zone": data.zone, "weekly": data.weekly, "closed_on": closed})
    if not data.country:
        return plain
    code, _dash, subdivision = data.country.partition("-")
    return plain.with_holidays(code, (now.year, now.year + 1), subdivision=subdivision or None)


def outlook(data: CalendarData, *, now: datetime) -> list[Day]:
    """Return the next two weeks, day by day, in the calendar's zone."""
    hours = working_hours(data, now=now)
    named = holiday_names(data.country, (now.year, now.year + 1))
    today = now.astimezone(ZoneInfo(data.zone)).date()
    return [_day(today + timedelta(days=ahead), hours, set(data.closed_on), named) for ahead in range(OUTLOOK_DAYS)]


def _day(day: date, hours: working_time.Calendar, closed: set[date], named: dict[date, str]) -> Day:
    weekly = hours.weekly[day.weekday()]
    if day in closed:
        return Day(day, (), _("a closed day of this calendar"))
    if day in hours.closed_on:
        return Day(day, (), named.get(day, ""))
    return Day(day, weekly, "")


def holiday_names(country: str | None, years: Sequence[int]) -> dict[date, str]:
    if not country:
        return {}
    code, _dash, subdivision = country.partition("-")
    return dict(holidays.country_holidays(code, subdiv=subdivision or None, years=set(years), expand=False).items())


def data_of(calendar: Calendar) -> CalendarData:
    return CalendarData(
        name=calendar.name,
        zone=calendar.zone,
        weekly=calendar.weekly,
        country=calendar.holiday_country,
        closed_on=[date.fromisoformat(day) for day in calendar.closed_on],
    )


def brands_of(calendar: Calendar) -> Sequence[Brand]:
    """Return the brands that work by a calendar."""
    return db.session.scalars(select(Brand).where(Brand.calendar_id == calendar.id).order_by(Brand.name)).all()


def _columns(data: CalendarData) -> dict[str, Any]:
    return {
        "name": data.name,
        "zone": data.zone,
        "weekly": {day: pairs for day, pairs in data.weekly.items() if pairs},
        "holiday_country": data.country,
        "closed_on": sorted({day.isoformat() for day in data.closed_on}),
    }


def _flush(calendar: Calendar) -> None:
    try:
        with db.session.begin_nested():
            db.session.add(calendar)
            db.session.flush()
    except IntegrityError as error:
        if constraint_of(error) == "uq_calendar_name":
            raise NameTaken(field="name") from error
        raise
