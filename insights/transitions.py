"""How people moved: from which band to which, among customers who answered twice."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from sqlalchemy import ColumnElement, func, select

from core.db import db
from insights.metrics import Asked
from insights.models import Move
from surveys.scoring import FEW, Band

BANDS: Final = (Band.NEGATIVE, Band.NEUTRAL, Band.POSITIVE)
RECOVERY: Final = "recovery"  # the second answer is an outcome check
LATER: Final = "later"  # we simply asked another time


@dataclass(frozen=True)
class Row:
    """Where those of one band went; `counts` by the band of their second answer."""

    route: str
    was: Band
    counts: dict[Band, int]

    @property
    def n(self) -> int:
        return sum(self.counts.values())

    @property
    def few(self) -> bool:
        return self.n < FEW

    def share(self, became: Band) -> float | None:
        """Return how many of them became this, from 0 to 1; None for fewer than 30 people's answers."""
        return None if self.few else self.counts[became] / self.n


def transitions(asked: Asked) -> list[Row]:
    """Return the unhappy who were asked again after recovery, then each band that was simply asked another time.

    A move counts on the day of the second answer; its share is over all second answers of the row. From the counts
    that `rollups.fold` keeps, in one statement.
    """
    columns = (Move.route, Move.was, Move.became)
    query = select(*columns, func.sum(Move.count)).where(*_restrictions(asked)).group_by(*columns)
    found: dict[tuple[str, str], dict[Band, int]] = defaultdict(lambda: dict.fromkeys(BANDS, 0))
    for route, was, became, count in db.session.execute(query):
        found[route, was][Band(became)] += int(count)
    wanted = [(RECOVERY, Band.NEGATIVE), *((LATER, was) for was in BANDS)]
    return [Row(route, was, found[route, was]) for route, was in wanted]


def _restrictions(asked: Asked) -> Iterable[ColumnElement[bool]]:
    yield Move.day.between(asked.start, asked.end)
    yield Move.metric == asked.metric
    for column, wanted in (
        (Move.survey_id, asked.survey_ids),
        (Move.touchpoint_id, asked.touchpoint_ids),
        (Move.brand_id, asked.brand_ids),
        (Move.channel, asked.channels),
        (Move.language, asked.languages),
        (Move.tier, asked.tiers),
    ):
        if wanted:
            yield column.in_(wanted)
