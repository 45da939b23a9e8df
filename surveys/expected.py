"""By when somebody who says "ring me" would be rung: what the desk's policies promise, told before it is sent."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from types import SimpleNamespace
from typing import Any

from core.working_time import NoWorkingTime
from feedback import clocks, policies
from feedback.models import Origin
from surveys.opened import Opened


@dataclass(frozen=True)
class _Expected:
    """The unhappy answer that a policy would judge, from what the page's one query brought."""

    brand: Any
    customer: Any
    touchpoint_id: int | None
    metric: str | None
    score: int | None
    language: str
    why: list[str] = field(default_factory=list)
    wants: str = "phone"


def first_contact(opened: Opened, *, metric: str | None, score: int | None, now: datetime) -> datetime | None:
    """Return by when we would call, or None where the calendar has no working time. The process keeps the policies."""
    if opened.calendar_id is None:
        return None
    judged = _Expected(
        brand=SimpleNamespace(id=opened.brand_id, key=opened.face.key),
        customer=SimpleNamespace(tier=opened.tier, value_minor=opened.value_minor or 0),
        touchpoint_id=opened.touchpoint_id,
        metric=metric,
        score=score,
        language=opened.language,
    )
    policy = policies.policy_for(judged, origin=Origin.ANSWER)
    try:
        return clocks.due_for(policy.first_contact_minutes, since=now, calendar=policies.calendar(opened.calendar_id))
    except NoWorkingTime:
        return None
