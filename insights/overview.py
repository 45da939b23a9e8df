"""Everything the insights page and its export show, asked once: both read the same figures."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from insights import abandonment, comments, happenings, journey, metrics, rates, recovery, transitions, trends
from insights.abandonment import Leaving
from insights.asking import Choices, Filters, before
from insights.comments import Comment
from insights.happenings import Happened
from insights.journey import Stop
from insights.metrics import Asked, GroupBy, Report
from insights.rates import Rates
from insights.recovery import Recovery
from insights.trends import Trend
from surveys import scoring
from surveys.scoring import Difference


@dataclass(frozen=True)
class Overview:
    asked: Asked
    compared: Asked | None
    report: Report
    earlier: Report | None
    trend: Trend
    recovery: Recovery
    rates: Rates
    leaving: list[Leaving]
    moves: list[transitions.Row]
    stops: list[Stop]
    lately: list[Stop]
    happened: list[Happened]
    comments: list[Comment]

    @property
    def difference(self) -> Difference | None:
        """How far the score lies above that of the period compared with."""
        return scoring.difference(self.report.figure, self.earlier.figure) if self.earlier else None

    @property
    def worse(self) -> Stop | None:
        """The touchpoint that got worse lately by more than chance explains, the worst of them."""
        return next((stop for stop in self.lately if stop.direction < 0), None)


def overview(asked: Asked, filters: Filters, offered: Choices, *, now: datetime) -> Overview:
    """Return the page's figures in at most nineteen statements, whatever the number of answers."""
    compared = before(filters, asked)
    periods = [(asked.start, asked.end), *journey.lately_and_before(asked.end)]
    periods += [(compared.start, compared.end)] if compared else []
    report, lately, until_then, *rest = metrics.reports(asked, periods, group_by=GroupBy.TOUCHPOINT)
    earlier = rest[0] if rest else None
    answered = rates.rates(asked)
    wanted = [place for place in offered.places if not asked.touchpoint_ids or place.id in asked.touchpoint_ids]
    wanted = [place for place in wanted if not asked.brand_ids or place.brand_id in asked.brand_ids]
    return Overview(
        asked=asked,
        compared=compared,
        report=report,
        earlier=earlier,
        trend=trends.trend(asked),
        recovery=recovery.recovery(asked, now=now),
        rates=answered,
        leaving=abandonment.leaving(answered),
        moves=transitions.transitions(asked),
        stops=journey.stops(wanted, report, earlier),
        lately=journey.changed(wanted, lately, until_then),
        happened=happenings.happened(asked, wanted),
        comments=comments.newest(asked),
    )
