"""What happened between customers and us: interactions by touchpoint, what was left half-done, where people were hurt.

Interactions are counted by day (`recount`), anew while a day can still change; pages read the counts. Hurt is counted
in cases, as rows of the period: one case is one customer who was let down once, whichever answer or complaint said so.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Final, cast

from sqlalchemy import ColumnElement, CursorResult, delete, func, insert, select, text

from core.db import db
from customers.models import Interaction
from feedback.models import Case
from insights import recovery
from insights.journey import Place
from insights.metrics import Asked
from insights.models import Met, ToldDay
from insights.recovery import Share

MOST: Final = 10  # of each list
COMPLETED: Final = "completed"
STARTED: Final = "started"
CHANGES_FOR: Final = timedelta(days=45)  # what was left half-done may still be completed
TOLD_LATELY: Final = timedelta(minutes=15)
TOLD_WITHIN: Final = timedelta(days=1)


@dataclass(frozen=True)
class Happened:
    """One touchpoint's interactions of a period, and the cases that were opened there in it.

    `at_stake` is the value of the interactions behind those cases, in minor units by currency.
    """

    place: Place
    completed: int = 0
    half_done: int = 0
    cases: int = 0
    at_stake: dict[str, int] = field(default_factory=dict)

    @property
    def interactions(self) -> int:
        return self.completed + self.half_done

    @property
    def left(self) -> Share:
        """The share that was left half-done."""
        return Share(self.half_done, self.interactions)

    @property
    def per_thousand(self) -> float | None:
        """Cases for each thousand interactions; None below 30 interactions, or where cases outnumber them."""
        few = self.left.few or self.cases > self.interactions
        return None if few else 1000 * self.cases / self.interactions


def happened(asked: Asked, places: Iterable[Place]) -> list[Happened]:
    """Return the touchpoints at which anything happened, in the order of the journey; two statements.

    Restricted by brand, touchpoint and tier: an interaction has no survey, language or metric.
    """
    met, hurt = _met(asked), _hurt(asked)
    found = []
    for place in places:
        counts, (cases, at_stake) = met.get(place.id, {}), hurt.get(place.id, (0, {}))
        if counts or cases:
            done, left = counts.get(COMPLETED, 0), counts.get(STARTED, 0)
            found.append(Happened(place, done, left, cases, at_stake))
    return found


def interactions(asked: Asked) -> int:
    """Return how many interactions there were, whatever their status; one statement."""
    return int(db.session.scalar(select(func.sum(Met.count)).where(*_restrictions(asked))) or 0)


def most(found: Iterable[Happened], count: Callable[[Happened], int]) -> list[Happened]:
    """Return the ten with the highest count, highest first; none without any."""
    ranked = sorted((each for each in found if count(each)), key=lambda each: (-count(each), each.place.name))
    return ranked[:MOST]


def by_volume(found: Iterable[Happened]) -> list[Happened]:
    return most(found, lambda each: each.interactions)


def by_damage(found: Iterable[Happened]) -> list[Happened]:
    return most(found, lambda each: each.cases)


def _met(asked: Asked) -> dict[int, dict[str, int]]:
    columns = (Met.touchpoint_id, Met.status)
    query = select(*columns, func.sum(Met.count)).where(*_restrictions(asked)).group_by(*columns)
    found: dict[int, dict[str, int]] = defaultdict(dict)
    for touchpoint_id, status, count in db.session.execute(query):
        found[touchpoint_id][status] = int(count)
    return found


def _restrictions(asked: Asked) -> Iterable[ColumnElement[bool]]:
    yield Met.day.between(asked.start, asked.end)
    for column, wanted in (
        (Met.touchpoint_id, asked.touchpoint_ids),
        (Met.brand_id, asked.brand_ids),
        (Met.tier, asked.tiers),
    ):
        if wanted:
            yield column.in_(wanted)


def _hurt(asked: Asked) -> dict[int, tuple[int, dict[str, int]]]:
    columns = (Case.touchpoint_id, Interaction.currency)
    query = (
        select(*columns, func.count(), func.sum(Interaction.value_minor))
        .outerjoin(Interaction, Interaction.id == Case.interaction_id)
        .where(Case.touchpoint_id.is_not(None), *recovery.cohort(asked))
        .group_by(*columns)
    )
    found: dict[int, tuple[int, dict[str, int]]] = {}
    for touchpoint_id, currency, count, value in db.session.execute(query):
        cases, at_stake = found.get(int(touchpoint_id or 0), (0, {}))
        more = {currency: int(value)} if currency and value else {}
        found[int(touchpoint_id or 0)] = (cases + int(count), at_stake | more)
    return found


# Counting

_COUNT: Final = text("""
    INSERT INTO rollup_interaction (day, brand_id, touchpoint_id, tier, status, count)
    SELECT (i.occurred_at AT TIME ZONE b.zone)::date AS day, b.id, t.id, coalesce(c.tier, ''), i.status, count(*)
    FROM interaction i
    JOIN touchpoint t ON t.id = i.touchpoint_id
    JOIN brand b ON b.id = t.brand_id
    LEFT JOIN customer c ON c.id = i.customer_id
    WHERE i.occurred_at >= CAST(:start AS date) - interval '1 day'
          AND i.occurred_at < CAST(:end AS date) + interval '2 days'
          AND (i.occurred_at AT TIME ZONE b.zone)::date BETWEEN :start AND :end
    GROUP BY 1, 2, 3, 4, 5
""")
_TOLD: Final = text("""
    SELECT (i.occurred_at AT TIME ZONE b.zone)::date AS day, max(i.id) AS newest_id, count(*) AS rows
    FROM interaction i JOIN touchpoint t ON t.id = i.touchpoint_id JOIN brand b ON b.id = t.brand_id
    WHERE i.received_at >= :since GROUP BY 1 ORDER BY 1
""")


def recount(start: date, end: date) -> int:
    """Count the days from `start` to `end` anew in the caller's transaction; return how many rows they have."""
    _one_at_a_time()
    days = {"start": start, "end": end}
    db.session.execute(text("DELETE FROM rollup_interaction WHERE day BETWEEN :start AND :end"), days)
    return cast("CursorResult[Any]", db.session.execute(_COUNT, days)).rowcount


def recount_told(*, now: datetime) -> int:
    """Count the days anew of which we were told lately, however old they are; for every few minutes.

    A day is counted once, until more is told of it: a year that was imported is not counted again every few minutes.
    """
    return sum(recount(start, end) for start, end in _runs(_told_anew(now, TOLD_LATELY)))


def recount_changing(*, now: datetime) -> int:
    """Count the days anew that can still change, and older ones that we were told of within a day; for every few hours.

    The latter finds what was told in a transaction that was long, or while no clock ran.
    """
    start, end = (now - CHANGES_FOR).date(), (now + TOLD_WITHIN).date()
    older = [day for day in _told_anew(now, TOLD_WITHIN) if not start <= day <= end]
    return sum(recount(*run) for run in _runs(older)) + recount(start, end)


def _one_at_a_time() -> None:
    """Let one count end before another begins: two of the same day would both find it empty."""
    db.session.execute(text("SELECT pg_advisory_xact_lock(hashtext('rollup_interaction'))"))


def _told_anew(now: datetime, within: timedelta) -> list[date]:
    """Return the days of which something was told since they were returned last, for the same `within`; note it.

    Whoever was told of and not yet committed then has a higher id, or makes them more.
    """
    _one_at_a_time()
    minutes = within // timedelta(minutes=1)
    told = db.session.execute(_TOLD, {"since": now - within}).all()
    kept = db.session.scalars(select(ToldDay).where(ToldDay.within_minutes == minutes)).all()
    seen = {each.day: (each.newest_id, each.rows) for each in kept}
    db.session.execute(delete(ToldDay).where(ToldDay.within_minutes == minutes))
    if told:
        db.session.execute(insert(ToldDay), [{"within_minutes": minutes, **row._asdict()} for row in told])
    return [row.day for row in told if row.day not in seen or _is_more(row, *seen[row.day])]


def _is_more(row: Any, newest_id: int, rows: int) -> bool:
    return bool(row.newest_id > newest_id or row.rows > rows)


def _runs(days: Iterable[date]) -> list[tuple[date, date]]:
    """Return consecutive days as (first, last)."""
    runs: list[tuple[date, date]] = []
    for day in days:
        if runs and day - runs[-1][1] == timedelta(days=1):
            runs[-1] = (runs[-1][0], day)
        else:
            runs.append((day, day))
    return runs
