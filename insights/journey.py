"""The journey map: a score at each touchpoint, in the order of the journey, beside the period before."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta
from statistics import NormalDist
from typing import Final

from sqlalchemy import select

from core.db import db
from customers.models import Stage, Touchpoint
from insights import metrics, trends
from insights.metrics import Asked, GroupBy, Period, Report
from surveys import scoring
from surveys.scoring import Difference, Figure

LATELY_DAYS: Final = 10
BEFORE_DAYS: Final = 80  # the rest of ninety days


@dataclass(frozen=True)
class Place:
    """A touchpoint with its stage, as filters and maps name it."""

    id: int
    key: str
    name: str
    icon: str
    brand_id: int
    stage: str
    position: int
    archived: bool


@dataclass(frozen=True)
class Stop:
    """A touchpoint's score now and, where it was asked for, in the period before."""

    place: Place
    figure: Figure
    before: Figure | None
    looks: int = 1  # touchpoints that are looked at together

    @property
    def difference(self) -> Difference | None:
        return scoring.difference(self.figure, self.before) if self.before else None

    @property
    def direction(self) -> int:
        """1: better than before, -1: worse; 0: nothing that chance could not explain.

        Who looks at six touchpoints sees one of them "change" in every fourth look, so the interval is widened by the
        number of looks (Bonferroni).
        """
        moved = self.difference
        if moved is None or not moved.different or moved.value is None or moved.low is None or moved.high is None:
            return 0
        wider = NormalDist().inv_cdf(1 - 0.025 / self.looks) / scoring.Z95
        if moved.value > 0:
            return 1 if moved.value - wider * (moved.value - moved.low) > 0 else 0
        return -1 if moved.value + wider * (moved.high - moved.value) < 0 else 0


def places(brand_id: int | None) -> list[Place]:
    """Return the touchpoints of a brand, or of all, in the order of the journey; one statement."""
    query = (
        select(Touchpoint, Stage.name, Stage.position)
        .join(Stage, Stage.id == Touchpoint.stage_id)
        .order_by(Stage.position, Stage.id, Touchpoint.name, Touchpoint.id)
    )
    if brand_id is not None:
        query = query.where(Touchpoint.brand_id == brand_id)
    return [
        Place(each.id, each.key, each.name, each.icon, each.brand_id, stage, position, each.archived_at is not None)
        for each, stage, position in db.session.execute(query)
    ]


def stops(known: list[Place], now: Report, before: Report | None) -> list[Stop]:
    """Return the touchpoints that have answers, or are in use; both reports are grouped by touchpoint."""
    current, earlier = _by_key(now), _by_key(before) if before else None
    found = []
    for place in known:
        figure = current.get(place.key)
        if figure is None and place.archived:
            continue
        figure = figure or scoring.figure(now.figure.metric, {})
        old = None if earlier is None else earlier.get(place.key) or scoring.figure(now.figure.metric, {})
        found.append(Stop(place, figure, old, len(known)))
    return found


def lately_and_before(end: date) -> tuple[Period, Period]:
    """Return the last ten days up to `end`, and the eighty before them."""
    start = end - timedelta(days=LATELY_DAYS - 1)
    return (start, end), (start - timedelta(days=BEFORE_DAYS), start - timedelta(days=1))


def changed(known: list[Place], lately: Report, before: Report) -> list[Stop]:
    """Return where the last days differ from those before by more than chance explains, the worst first."""
    found = [stop for stop in stops(known, lately, before) if stop.direction]
    return sorted(found, key=lambda stop: (stop.direction, _value(stop)))


def changed_lately(asked: Asked, known: list[Place]) -> list[Stop]:
    """Return where the last ten days differ from the eighty before, by answers to the same wording; four statements."""
    periods = lately_and_before(asked.end)
    (_first, last), (begun, _last) = periods
    wordings = trends.wording_changes(replace(asked, start=begun))
    same = trends.same_wording(asked, trends.breaks_between(wordings, begun, last))
    lately, before = metrics.reports(same, periods, group_by=GroupBy.TOUCHPOINT)
    return changed(known, lately, before)


def _value(stop: Stop) -> float:
    return (stop.difference.value if stop.difference else None) or 0.0


def _by_key(report: Report) -> dict[str, Figure]:
    return {group.key: group.figure for group in report.groups}
