"""Which deadlines, priority and team a case gets: the first SLA policy by position whose conditions hold.

Policies, calendars and touchpoints' names change rarely and are asked for while a customer waits for "thank you", so
each process keeps them for half a minute, and forgets them at once when it changes one itself.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import structlog
from flask import current_app
from sqlalchemy import event, select

from core import clock, conditions, working_time
from core.db import db
from customers.models import Calendar, Touchpoint
from feedback.models import Priority, SlaPolicy

log = structlog.get_logger(__name__)
KEPT_SECONDS: Final = 30.0
YEARS_OF_HOLIDAYS: Final = 3


@dataclass(frozen=True)
class Policy:
    """An SLA policy as it was when it was read; minutes are working time."""

    name: str
    brand_id: int | None
    conditions: conditions.Condition | None  # None: holds for every case
    first_contact_minutes: int
    next_response_minutes: int
    resolution_minutes: int
    priority: str
    team_id: int | None
    outcome_after_days: int


STANDARD: Final = Policy("Standard", None, None, 4 * 60, 8 * 60, 5 * 8 * 60, Priority.NORMAL, None, 7)
"""Holds where no policy does, so that no case is ever without a deadline."""


class JudgedBrand(Protocol):
    """Of a brand what judging and opening a case need: the row, or what a page's query brought of it."""

    @property
    def id(self) -> int: ...
    @property
    def key(self) -> str: ...
    @property
    def zone(self) -> str: ...
    @property
    def calendar_id(self) -> int: ...


class JudgedCustomer(Protocol):
    """The same of a customer."""

    @property
    def id(self) -> int: ...
    @property
    def tier(self) -> str | None: ...
    @property
    def value_minor(self) -> int: ...


class Judged(Protocol):
    """What a policy judges: an unhappy answer, or a case."""

    @property
    def brand(self) -> JudgedBrand: ...
    @property
    def customer(self) -> JudgedCustomer | None: ...
    @property
    def touchpoint_id(self) -> int | None: ...
    @property
    def metric(self) -> str | None: ...
    @property
    def score(self) -> int | None: ...
    @property
    def why(self) -> Sequence[str]: ...
    @property
    def language(self) -> str: ...
    @property
    def wants(self) -> str: ...


def policy_for(judged: Judged, *, origin: str) -> Policy:
    """Return the policy that holds; no statement is sent while what this process knows is fresh."""
    facts = facts_of(judged, origin=origin)
    for policy in _known().policies:
        is_for_brand = policy.brand_id in (None, judged.brand.id)
        if is_for_brand and (policy.conditions is None or conditions.evaluate(policy.conditions, facts)):
            return policy
    return STANDARD


def facts_of(judged: Judged, *, origin: str) -> dict[str, Any]:
    """Return what the conditions of a policy can ask about."""
    customer = judged.customer
    return {
        "origin": origin,
        "metric": judged.metric,
        "score": judged.score,
        "why": list(judged.why),
        "wants": judged.wants,
        "language": judged.language,
        "brand": judged.brand.key,
        "touchpoint": touchpoint_key(judged.touchpoint_id),
        "tier": customer.tier if customer else None,
        "value_minor": customer.value_minor if customer else 0,
    }


def calendar(calendar_id: int) -> working_time.Calendar:
    """Return a calendar by its id, with its country's holidays."""
    if calendar_id not in _known().calendars:
        forget()
    return _known().calendars[calendar_id]


def touchpoint_key(touchpoint_id: int | None) -> str | None:
    if touchpoint_id is None:
        return None
    if touchpoint_id not in _known().touchpoints:
        forget()
    return _known().touchpoints.get(touchpoint_id)


def edition() -> float:
    """Return a number that changes when policies, calendars or touchpoints are read anew; for what is kept of them."""
    return _known().until


def forget(*_event: object) -> None:
    """Read policies and calendars anew the next time."""
    if current_app:
        current_app.extensions.pop("sla", None)


for _model in (SlaPolicy, Calendar, Touchpoint):
    for _moment in ("after_insert", "after_update", "after_delete"):
        event.listen(_model, _moment, forget)


@dataclass(frozen=True)
class _Known:
    policies: tuple[Policy, ...]
    calendars: Mapping[int, working_time.Calendar]
    touchpoints: Mapping[int, str]
    until: float


def _known() -> _Known:
    known: _Known | None = current_app.extensions.get("sla")
    if known is None or known.until < time.monotonic():
        known = current_app.extensions["sla"] = _read()
    return known


def _read() -> _Known:
    names = Policy.__dataclass_fields__
    rows = db.session.execute(
        select(*(getattr(SlaPolicy, name) for name in names)).order_by(SlaPolicy.position, SlaPolicy.id)
    ).all()
    calendars = db.session.execute(
        select(Calendar.id, Calendar.zone, Calendar.weekly, Calendar.holiday_country, Calendar.closed_on)
    ).all()
    touchpoints = db.session.execute(select(Touchpoint.id, Touchpoint.key)).all()
    return _Known(
        policies=tuple(policy for row in rows if (policy := _policy(row._asdict())) is not None),
        calendars={row.id: _calendar(row.zone, row.weekly, row.closed_on, row.holiday_country) for row in calendars},
        touchpoints={row.id: row.key for row in touchpoints},
        until=time.monotonic() + KEPT_SECONDS,
    )


def _policy(row: Mapping[str, Any]) -> Policy | None:
    """Return a policy, or None for one whose conditions cannot be read: it must not keep an answer from being taken."""
    try:
        tree = conditions.parse(row["conditions"]) if row["conditions"] else None
    except conditions.BadCondition as error:
        log.error("bad_sla_policy", policy=row["name"], path=error.path)
        return None
    return Policy(**{**row, "conditions": tree})


def _calendar(zone: str, weekly: Any, closed_on: list[str], country: str | None) -> working_time.Calendar:
    hours = working_time.Calendar.from_json({"zone": zone, "weekly": weekly, "closed_on": closed_on})
    if not country:
        return hours
    code, _, subdivision = country.partition("-")
    this_year = clock.now().year
    years = range(this_year - 1, this_year - 1 + YEARS_OF_HOLIDAYS)
    return hours.with_holidays(code, years, subdivision=subdivision or None)
