"""Working time: calendars with any number of intervals a day, holidays and a zone, counted in real UTC time.

Everything is worked out over UTC intervals, so an hour is always sixty minutes, also on the days when clocks change.
Wall times follow one rule: one inside a DST gap means the first valid moment after it, one inside an overlap means its
first occurrence.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import holidays

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
HORIZON: Final = timedelta(days=366)
MIDNIGHT: Final = time(0, 0)
LAST: Final = datetime(9999, 12, 29, tzinfo=UTC)
_WALL = re.compile(r"(?:[01]\d|2[0-3]):[0-5]\d|24:00")


class NoWorkingTime(ValueError):
    """The calendar is closed for the whole of the next 366 days, so no deadline can be set by it."""


@dataclass(frozen=True, order=True)
class Interval:
    """Opening hours on one day, from `start` up to, not including, `end`, in whole minutes of wall time.

    An `end` of 00:00 is the midnight at the end of that day, written "24:00". Hours that run past midnight are two
    intervals, one on each day. Raises ValueError if it ends before it starts.
    """

    start: time
    end: time

    def __post_init__(self) -> None:
        for wall in (self.start, self.end):
            if wall.tzinfo or wall.second or wall.microsecond:
                raise ValueError(f"Opening hours are whole minutes without a zone, not {wall.isoformat()}.")
        if self.end != MIDNIGHT and self.end <= self.start:
            raise ValueError(f"Opening hours must end after they start, and {self} does not.")

    def __str__(self) -> str:
        return "–".join(self.to_json())

    def overlaps(self, later: Interval) -> bool:
        """Tell whether this interval reaches into `later`, which does not start before it."""
        return self.end == MIDNIGHT or later.start < self.end

    def to_json(self) -> list[str]:
        """Return ["09:00", "18:00"]; the end of the day is "24:00"."""
        end = "24:00" if self.end == MIDNIGHT else self.end.isoformat("minutes")
        return [self.start.isoformat("minutes"), end]

    @classmethod
    def from_json(cls, pair: object) -> Interval:
        """Read ["09:00", "18:00"]; raises ValueError on any other shape."""
        if not isinstance(pair, (list, tuple)) or len(pair) != 2:
            raise ValueError(f'Opening hours are a pair such as ["09:00", "18:00"], not {pair!r}.')
        if pair[0] == "24:00":
            raise ValueError("Opening hours can end at 24:00, but not start there.")
        return cls(_wall(pair[0]), _wall(pair[1]))


@dataclass(frozen=True)
class Calendar:
    """When a team works: `weekly` holds Monday to Sunday, `closed_on` whole days off, all in the IANA zone `zone`.

    Raises ValueError with a sentence for an unknown zone, a week without seven days, or intervals that overlap.
    Intervals that touch are fine. Each day is kept sorted, so two calendars with the same hours are equal.
    """

    zone: str
    weekly: tuple[tuple[Interval, ...], ...]
    closed_on: frozenset[date] = frozenset()

    def __post_init__(self) -> None:
        _zone(self.zone)
        if len(self.weekly) != len(DAYS):
            raise ValueError(f"A week has seven days, and this calendar has {len(self.weekly)}.")
        object.__setattr__(self, "weekly", tuple(tuple(sorted(day)) for day in self.weekly))
        for name, day in zip(DAYS, self.weekly, strict=True):
            _refuse_overlap(name, day)

    @classmethod
    def from_json(cls, data: object) -> Calendar:
        """Read {"zone": "Europe/Berlin", "weekly": {"mon": [["09:00", "18:00"]]}, "closed_on": ["2026-12-25"]}.

        A day left out is closed; `closed_on` may be left out. Raises ValueError, naming what is wrong.
        """
        if not isinstance(data, Mapping) or not {"zone", "weekly"} <= set(data) <= {
            "zone",
            "weekly",
            "closed_on",
        }:
            raise ValueError("A calendar has a zone, weekly hours and, if wanted, closed_on, and nothing else.")
        weekly = data["weekly"]
        if not isinstance(weekly, Mapping) or not set(weekly) <= set(DAYS):
            raise ValueError(f"Weekly hours are given by day: {', '.join(DAYS)}.")
        days = tuple(_day(name, weekly.get(name, [])) for name in DAYS)
        return cls(data["zone"], days, frozenset(_dates(data.get("closed_on", []))))

    def to_json(self) -> dict[str, Any]:
        """Return the shape that `from_json` reads, with all seven days and the dates sorted."""
        weekly = {name: [hours.to_json() for hours in day] for name, day in zip(DAYS, self.weekly, strict=True)}
        return {
            "zone": self.zone,
            "weekly": weekly,
            "closed_on": sorted(day.isoformat() for day in self.closed_on),
        }

    def with_holidays(self, country: str, years: Iterable[int], *, subdivision: str | None = None) -> Calendar:
        """Return this calendar closed as well on the public holidays of `country` (ISO 3166, "DE") in `years`.

        `subdivision` is the country's own code for a state or region ("BY"). Raises ValueError for an unknown place.
        """
        try:
            found = holidays.country_holidays(country, subdiv=subdivision, years=set(years), expand=False)
        except NotImplementedError:  # how holidays says that it does not know a place
            place = country if subdivision is None else f"{country}-{subdivision}"
            raise ValueError(f"There are no public holidays known for {place}.") from None
        return replace(self, closed_on=self.closed_on | frozenset(found))

    def is_open(self, at: datetime) -> bool:
        """Tell whether the aware moment `at` lies in working time; the end of an interval does not."""
        at = _utc(at)
        return any(start <= at < end for start, end in self._around(at, at))

    def next_open(self, at: datetime) -> datetime:
        """Return the first moment of working time from the aware `at` on, as aware UTC: `at` itself when it is open.

        Raises NoWorkingTime if there is none in the next 366 days.
        """
        at = _utc(at)
        limit = _later(at, HORIZON)
        for start, end in self._around(at, limit):
            if end > at and start <= max(limit, at):
                return max(start, at)
        raise NoWorkingTime("This calendar has no working time in the next 366 days.")

    def intervals(self, start: datetime, end: datetime) -> Iterator[tuple[datetime, datetime]]:
        """Yield the working time between two aware moments as (start, end) in aware UTC, in order, cut to fit.

        Intervals of one day that touch, and those on both sides of a midnight, come apart.
        """
        start, end = _utc(start), _utc(end)
        for opens, closes in self._around(start, end):
            opens, closes = max(opens, start), min(closes, end)
            if opens < closes:
                yield opens, closes

    def _around(self, start: datetime, end: datetime) -> Iterator[tuple[datetime, datetime]]:
        """Yield every whole interval that may touch `start` to `end`, lazily: most callers stop at the first few."""
        first, last = _local_date(start, self.zone), _local_date(end, self.zone)
        # One day more: clocks set back over midnight show the old date again while the new day's hours already run.
        for number in range(first.toordinal(), last.toordinal() + 2):
            day = date.fromordinal(number)
            if day not in self.closed_on:
                yield from _utc_intervals(self.zone, day, self.weekly[day.weekday()])


def add(start: datetime, work: timedelta, calendar: Calendar) -> datetime:
    """Return the earliest aware UTC moment at which `work` of working time has passed since the aware `start`.

    No work at all is over at `start`; work that fills an interval ends when the interval does, not at the next opening.
    Raises NoWorkingTime if the calendar closes for 366 days before the work is done, ValueError for negative work.
    """
    if work < timedelta(0):
        raise ValueError("Working time can be added, but not taken away.")
    at = _utc(start)
    while work:
        at = calendar.next_open(at)
        if at >= LAST:
            raise NoWorkingTime("This work would not be done before the end of all dates.")
        at, work = _spend(at, work, calendar)
    return at


def between(start: datetime, end: datetime, calendar: Calendar) -> timedelta:
    """Return the working time between two aware moments.

    Raises ValueError if `end` lies before `start`: a clock that runs backwards is a fault in the caller, not zero work.
    """
    if _utc(end) < _utc(start):
        raise ValueError("Working time is counted forwards: the end lies before the start.")
    return sum(
        (closes - opens for opens, closes in calendar.intervals(start, end)),
        timedelta(0),
    )


def local_moment(day: date, wall: time, zone: str) -> datetime:
    """Return the aware UTC moment of the wall time `wall` on `day` in the IANA zone `zone`.

    A wall time that a DST gap skips means the first valid moment after the gap; one that happens twice, the first time.
    Raises ValueError for an unknown zone.
    """
    tz = _zone(zone)
    local = datetime.combine(day, wall.replace(tzinfo=None, fold=0), tz)
    before, after = _offset(local), _offset(local.replace(fold=1))
    naive = local.replace(tzinfo=None)
    if after > before:  # PEP 495: only inside a gap is the second reading's offset the larger one
        return _transition(
            (naive - after).replace(tzinfo=UTC),
            (naive - before).replace(tzinfo=UTC),
            tz,
        )
    return (naive - before).replace(tzinfo=UTC)


def _spend(at: datetime, work: timedelta, calendar: Calendar) -> tuple[datetime, timedelta]:
    """Work from the open moment `at` for up to a horizon; return where that led and the work still left."""
    for opens, closes in calendar.intervals(at, _later(at, HORIZON)):
        if work <= closes - opens:
            return opens + work, timedelta(0)
        work -= closes - opens
        at = closes
    return at, work


def _transition(low: datetime, high: datetime, tz: ZoneInfo) -> datetime:
    """Return the second between the UTC moments `low` and `high` at which the zone's clocks jump forward."""
    old = low.astimezone(tz).utcoffset()
    while high - low > timedelta(seconds=1):
        middle = low + timedelta(seconds=(high - low) // timedelta(seconds=2))
        low, high = (middle, high) if middle.astimezone(tz).utcoffset() == old else (low, middle)
    return high.replace(microsecond=0)


@lru_cache(maxsize=8192)
def _utc_intervals(zone: str, day: date, hours: tuple[Interval, ...]) -> tuple[tuple[datetime, datetime], ...]:
    """Return one day's intervals in UTC; what a DST gap swallows whole is left out."""
    found = ((local_moment(day, each.start, zone), _end(day, each.end, zone)) for each in hours)
    return tuple((start, end) for start, end in found if start < end)


def _end(day: date, wall: time, zone: str) -> datetime:
    return local_moment(day + timedelta(days=1) if wall == MIDNIGHT else day, wall, zone)


def _local_date(at: datetime, zone: str) -> date:
    return at.astimezone(_zone(zone)).date()


def _later(at: datetime, span: timedelta) -> datetime:
    """Return `at` + `span`, or the last moment that every zone can show if that comes first."""
    return at + span if at < LAST - span else LAST


def _utc(at: datetime) -> datetime:
    if at.utcoffset() is None:
        raise ValueError("A moment needs its zone: naive times are refused.")
    return at.astimezone(UTC)


def _offset(local: datetime) -> timedelta:
    return local.utcoffset() or timedelta(0)


@lru_cache(maxsize=512)
def _zone(name: str) -> ZoneInfo:
    """Return the IANA zone `name`; raises ValueError with a sentence for anything else."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError, TypeError, AttributeError):
        raise ValueError(f"{name!r} is not a time zone such as Europe/Berlin.") from None


def _refuse_overlap(name: str, day: tuple[Interval, ...]) -> None:
    for earlier, later in pairwise(day):
        if earlier.overlaps(later):
            raise ValueError(f"On {name}, {earlier} and {later} overlap.")


def _day(name: str, pairs: object) -> tuple[Interval, ...]:
    if not isinstance(pairs, (list, tuple)):
        raise ValueError(f'The hours of {name} are a list such as [["09:00", "18:00"]].')
    return tuple(Interval.from_json(pair) for pair in pairs)


def _wall(text: object) -> time:
    if not isinstance(text, str) or not _WALL.fullmatch(text):
        raise ValueError(f"{text!r} is not a time of day between 00:00 and 24:00.")
    return MIDNIGHT if text == "24:00" else time.fromisoformat(text)


def _dates(texts: object) -> Iterator[date]:
    if not isinstance(texts, (list, tuple)):
        raise ValueError('Closed days are a list of dates such as ["2026-12-25"].')
    for text in texts:
        try:
            yield date.fromisoformat(text)
        except (TypeError, ValueError):
            raise ValueError(f"{text!r} is not a date such as 2026-12-25.") from None


ALWAYS: Final = Calendar("UTC", ((Interval(MIDNIGHT, MIDNIGHT),),) * len(DAYS))
"""Every hour of every day."""
