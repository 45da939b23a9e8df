"""How people moved: from which band to which, or into silence and out of it, among customers who were asked twice."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from sqlalchemy import ColumnElement, func, select

from core.db import db
from insights.metrics import Asked
from insights.models import EVERY_TIER, Move
from insights.recovery import Share
from insights.silence import SILENT
from surveys.scoring import Band

BANDS: Final = (Band.NEGATIVE, Band.NEUTRAL, Band.POSITIVE)
STATES: Final = (*map(str, BANDS), SILENT)
RECOVERY: Final = "recovery"  # the second question is an outcome check
LATER: Final = "later"  # we simply asked another time


@dataclass(frozen=True)
class Row:
    """Where those of one band, or of the silent, went when they were asked again; `counts` by what they became."""

    route: str
    was: str
    counts: dict[str, int]

    @property
    def n(self) -> int:
        """All who were asked again."""
        return sum(self.counts.values())

    @property
    def answered(self) -> int:
        return self.n - self.counts[SILENT]

    def of(self, became: str) -> Share:
        """Return how many became this: of a band among those who answered, of the silent among all who were asked.

        So no answer is silent, and is never counted as won or lost; the share of the silent stands beside.
        """
        return Share(self.counts[became], self.n if became == SILENT else self.answered)

    @property
    def up(self) -> Share:
        """Those no longer negative, among those who answered."""
        return Share(self.answered - self.counts[Band.NEGATIVE], self.answered)


def transitions(asked: Asked) -> list[Row]:
    """Return the unhappy who were asked again after recovery, then each band and the silent asked another time.

    A move counts on the day of the second answer, a silence on the day on which its link ran out. From the counts that
    `rollups.fold` and `silence.recount` keep, in one statement.
    """
    columns = (Move.route, Move.was, Move.became)
    query = select(*columns, func.sum(Move.count)).where(*_restrictions(asked)).group_by(*columns)
    found: dict[tuple[str, str], dict[str, int]] = defaultdict(lambda: dict.fromkeys(STATES, 0))
    for route, was, became, count in db.session.execute(query):
        found[route, was][became] += int(count)
    wanted = [(RECOVERY, str(Band.NEGATIVE)), *((LATER, was) for was in STATES)]
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
        (Move.tier, asked.tiers or (EVERY_TIER,)),
    ):
        if wanted:
            yield column.in_(wanted)
