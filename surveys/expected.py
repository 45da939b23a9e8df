"""By when somebody who says "ring me" would be rung: what the desk's policies promise, told before it is sent."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import Final, NamedTuple

from core.working_time import NoWorkingTime
from feedback import clocks, policies
from feedback.models import Origin
from surveys.opened import Firm, Opened, Person

KEPT: Final = 4096
ANYBODY: Final = 0  # who it is changes no deadline


class _Expected(NamedTuple):
    """The unhappy answer that a policy would judge, from what the page's one query brought."""

    brand: Firm
    customer: Person
    touchpoint_id: int | None
    metric: str | None
    score: int | None
    language: str
    why: tuple[str, ...] = ()
    wants: str = "phone"


def first_contact(opened: Opened, *, metric: str | None, score: int | None, now: datetime) -> datetime | None:
    """Return by when we would call, to the minute, or None where the calendar has no working time."""
    return _due(
        policies.edition(),
        _Expected(
            brand=opened.people()[0],
            customer=Person(ANYBODY, opened.tier, opened.value_minor or 0),
            touchpoint_id=opened.touchpoint_id,
            metric=metric,
            score=score,
            language=opened.language,
        ),
        now.replace(second=0, microsecond=0),
    )


@lru_cache(maxsize=KEPT)
def _due(_edition: float, judged: _Expected, minute: datetime) -> datetime | None:
    """Answer once for everybody who would be promised the same in the same minute, by the same edition of the rules."""
    policy = policies.policy_for(judged, origin=Origin.ANSWER)
    try:
        return clocks.due_for(
            policy.first_contact_minutes, since=minute, calendar=policies.calendar(judged.brand.calendar_id)
        )
    except NoWorkingTime:
        return None
