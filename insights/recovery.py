"""How recovery goes: the figures over the cases opened in a period, each with its formula. Imported cases are left out.

Restricted by brand, touchpoint, language and the tier that its customer has today; a case has neither a survey's
channel nor a metric of its own.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from itertools import accumulate
from typing import Any, Final

from sqlalchemy import ColumnElement, Date, Select, cast, exists, func, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import aliased

from core.db import db
from customers.models import Brand, Customer
from feedback import policies
from feedback.models import OPEN_STATES, Case, OutcomeCheck, OutcomeState, Promise, PromiseState, Resolution
from incentives.models import Programme, Reward, RewardState, Trigger
from insights.metrics import Asked
from surveys.scoring import FEW, wilson

MOST_TIMED: Final = 20_000  # cases whose times one page reads: the newest
_A_DAY: Final = timedelta(days=1)


@dataclass(frozen=True)
class Share:
    """`k` of `n`; the share and its 95 % interval (Wilson) are None for fewer than 30."""

    k: int
    n: int

    @property
    def few(self) -> bool:
        return self.n < FEW

    @property
    def value(self) -> float | None:
        return None if self.few else self.k / self.n

    @property
    def interval(self) -> tuple[float, float] | None:
        return None if self.few else wilson(self.k, self.n)


@dataclass(frozen=True)
class WonBack:
    """Won back over the checked, and the checked over the resolved; `silent` did not answer, `asking` may still."""

    opened: int
    resolved: int
    won: Share
    checked: Share
    silent: int
    asking: int


@dataclass(frozen=True)
class Promises:
    kept: Share
    late: int
    broken: int


@dataclass(frozen=True)
class Waiting:
    """Working time to first contact: median and 90th percentile of `n` cases, `censored` of which still wait.

    A quantile is None where too many still wait for it to be known (it is longer than `longest`), or when n < 30.
    """

    n: int
    censored: int
    median: timedelta | None
    slowest_tenth: timedelta | None
    longest: timedelta | None
    capped: bool = False  # only the newest MOST_TIMED cases were read

    @property
    def few(self) -> bool:
        return self.n < FEW


@dataclass(frozen=True)
class Goodwill:
    """Goodwill in one currency: all that was given in checked cases, over those of them that were won back."""

    given_minor: int
    won: int
    currency: str
    checked: int

    @property
    def few(self) -> bool:
        return self.checked < FEW

    @property
    def per_win_back_minor(self) -> int | None:
        return None if self.few or not self.won else round(self.given_minor / self.won)


@dataclass(frozen=True)
class Recovery:
    won_back: WonBack
    promises: Promises
    first_contact: Waiting
    reopened: Share
    goodwill: list[Goodwill] = field(default_factory=list)


def recovery(asked: Asked, *, now: datetime) -> Recovery:
    """Return every figure, in five statements."""
    won = won_back(asked)
    return Recovery(won, promises(asked), first_contact(asked, now=now), reopened(asked), goodwill(asked, won=won))


def won_back(asked: Asked) -> WonBack:
    """Return how many were won back: outcome checks that landed neutral or positive / outcome checks answered.

    Of a case only its newest check counts. Beside it the share checked: answered / resolved. No answer is silent,
    never won. Source: definitions, "Recovery".
    """
    check = _newest_checks(asked)
    # A case whose answer was not won back is worked on again, and was resolved all the same.
    resolved = Case.resolved_at.is_not(None) | (check.c.state == OutcomeState.ANSWERED)
    asking = check.c.state.in_((OutcomeState.PENDING, OutcomeState.ASKED))
    row = db.session.execute(
        select(
            func.count(),
            func.count().filter(resolved),
            func.count().filter(check.c.state == OutcomeState.ANSWERED),
            func.count().filter(check.c.state == OutcomeState.ANSWERED, check.c.won_back),
            func.count().filter(check.c.state == OutcomeState.SILENT),
            func.count().filter(asking),
        )
        .select_from(Case)
        .outerjoin(check, check.c.case_id == Case.id)
        .where(*cohort(asked))
    ).one()
    opened, resolved_count, checked, won, silent, still = map(int, row)
    return WonBack(opened, resolved_count, Share(won, checked), Share(checked, resolved_count), silent, still)


def _newest_checks(asked: Asked) -> Any:
    """Return each case's newest outcome check that was not cancelled."""
    return (
        select(OutcomeCheck.case_id, OutcomeCheck.state, OutcomeCheck.won_back)
        .join(Case, Case.id == OutcomeCheck.case_id)
        .where(OutcomeCheck.state != OutcomeState.CANCELLED, *cohort(asked))
        .ext(distinct_on(OutcomeCheck.case_id))
        .order_by(OutcomeCheck.case_id, OutcomeCheck.id.desc())
        .subquery("newest_check")
    )


def promises(asked: Asked) -> Promises:
    """Return the promises kept rate: kept in time / (kept in time + late + broken), over promises that have ended so.

    One that was agreed anew is counted as the promise that took its place.
    """
    states = (PromiseState.KEPT, PromiseState.LATE, PromiseState.BROKEN)
    query: Any = select(*(func.count().filter(Promise.state == state) for state in states))
    kept, late, broken = db.session.execute(query.join(Case, Case.id == Promise.case_id).where(*cohort(asked))).one()
    return Promises(Share(kept, kept + late + broken), late, broken)


def reopened(asked: Asked) -> Share:
    """Return the reopen rate: resolutions after which the case was worked on again / resolutions."""
    later = aliased(Resolution)
    again = Case.state.in_(OPEN_STATES) | exists().where(later.case_id == Resolution.case_id, later.id > Resolution.id)
    query = select(func.count().filter(again), func.count()).select_from(Resolution)
    query = query.join(Case, Case.id == Resolution.case_id).where(*cohort(asked))
    again_count, every = db.session.execute(query).one()
    return Share(int(again_count), int(every))


def goodwill(asked: Asked, *, won: WonBack) -> list[Goodwill]:
    """Return goodwill per win-back: all goodwill given in checked cases / those won back; one figure per currency.

    What was given in vain is part of the price, so it is not left out.
    """
    check = _newest_checks(asked)
    query = (
        select(Reward.currency, func.sum(Reward.amount_minor))
        .join(check, check.c.case_id == Reward.case_id)
        .join(Programme, Programme.id == Reward.programme_id)
        .where(Programme.trigger == Trigger.GOODWILL, Reward.state == RewardState.ISSUED)
        .where(check.c.state == OutcomeState.ANSWERED)
        .group_by(Reward.currency)
        .order_by(func.sum(Reward.amount_minor).desc())
    )
    return [Goodwill(int(given), won.won.k, currency, won.won.n) for currency, given in db.session.execute(query)]


def first_contact(asked: Asked, *, now: datetime) -> Waiting:
    """Return the working time from opening to first contact: median and 90th percentile, by Kaplan and Meier.

    A case nobody has reached yet is censored at `now`; one that ended without a contact, at its end. So a backlog makes
    the figure worse, as it should. Source: Kaplan & Meier 1958.
    """
    ended = func.coalesce(Case.first_contact_at, Case.resolved_at, Case.closed_at, now)
    query: Any = select(Brand.calendar_id, Case.opened_at, ended, Case.first_contact_at.is_not(None))
    rows: Any = db.session.execute(_newest(query.join(Brand, Brand.id == Case.brand_id), asked)).all()
    rulers = {calendar: _ruler(calendar, rows, now) for calendar in {row[0] for row in rows}}
    waits = [(rulers[calendar].between(start, end), reached) for calendar, start, end, reached in rows]
    n, censored = len(waits), sum(not reached for _wait, reached in waits)
    longest = max((wait for wait, _reached in waits), default=None)
    if n < FEW:
        return Waiting(n, censored, None, None, longest)
    return Waiting(n, censored, quantile(waits, 0.5), quantile(waits, 0.9), longest, capped=n == MOST_TIMED)


def _newest(query: Select[Any], asked: Asked) -> Select[Any]:
    return query.where(*cohort(asked)).order_by(Case.opened_at.desc()).limit(MOST_TIMED)


def quantile(waits: Sequence[tuple[timedelta, bool]], share: float) -> timedelta | None:
    """Return the time by which `share` of all have been reached, each wait being (time, reached); None: not yet known.

    Kaplan and Meier: at each time t somebody was reached, S(t) *= 1 - reached / still waiting; the first t with
    S(t) <= 1 - share is it.
    """
    waiting, surviving = len(waits), 1.0
    reached_at: dict[timedelta, int] = {}
    gone_at: dict[timedelta, int] = {}
    for wait, reached in waits:
        reached_at[wait] = reached_at.get(wait, 0) + reached
        gone_at[wait] = gone_at.get(wait, 0) + 1
    for wait in sorted(gone_at):
        surviving *= 1 - reached_at[wait] / waiting
        if surviving <= 1 - share + 1e-9:
            return wait
        waiting -= gone_at[wait]
    return None


@dataclass(frozen=True)
class _Ruler:
    """Working time measured many times over one calendar: its intervals once, then a look-up for each moment."""

    starts: list[datetime]
    ends: list[datetime]
    before: list[timedelta]  # working time before each interval

    def at(self, moment: datetime) -> timedelta:
        place = bisect_right(self.starts, moment) - 1
        if place < 0:
            return timedelta()
        return self.before[place] + min(moment, self.ends[place]) - self.starts[place]

    def between(self, start: datetime, end: datetime) -> timedelta:
        return max(self.at(end) - self.at(start), timedelta())


def _ruler(calendar_id: int, rows: Sequence[tuple[Any, ...]], now: datetime) -> _Ruler:
    first = min(row[1] for row in rows)
    last = max(now, *(row[2] for row in rows))
    open_hours = list(policies.calendar(calendar_id).intervals(first, last))
    passed = accumulate((end - start for start, end in open_hours), initial=timedelta())
    return _Ruler([start for start, _end in open_hours], [end for _start, end in open_hours], list(passed))


def cohort(asked: Asked) -> Iterable[ColumnElement[bool]]:
    """Yield what makes a case one of these: opened in the period (its brand's days), not imported."""
    start, end = (datetime.combine(day, time(), UTC) for day in (asked.start, asked.end))
    yield Case.opened_at.between(start - _A_DAY, end + 2 * _A_DAY)  # wide enough for every zone, and the index finds it
    own = aliased(Brand)
    zone = select(own.zone).where(own.id == Case.brand_id).correlate(Case).scalar_subquery()
    yield cast(func.timezone(zone, Case.opened_at), Date).between(asked.start, asked.end)
    yield Case.import_id.is_(None)
    if asked.brand_ids:
        yield Case.brand_id.in_(asked.brand_ids)
    if asked.touchpoint_ids:
        yield Case.touchpoint_id.in_(asked.touchpoint_ids)
    if asked.languages:
        yield Case.language.in_(asked.languages)
    if asked.tiers:
        yield Case.customer_id.in_(select(Customer.id).where(Customer.tier.in_(asked.tiers)))
