"""Everything the insights page and its export show, asked once: both read the same figures."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from insights import abandonment, comments, happenings, journey, metrics, rates, recovery, transitions, trends
from insights.abandonment import Leaving
from insights.asking import Choices, Filters, before
from insights.comments import Comment
from insights.happenings import Happened
from insights.journey import Place, Stop
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
    reworded: bool  # the score was asked for in other words in the period compared with, and nobody called them equal

    @property
    def difference(self) -> Difference | None:
        """How far the score lies above that of the period compared with; None where another wording forbids to say."""
        comparable = self.earlier is not None and not self.reworded
        return scoring.difference(self.report.figure, self.earlier.figure) if comparable and self.earlier else None

    @property
    def worse(self) -> Stop | None:
        """The touchpoint that got worse lately by more than chance explains, the worst of them."""
        return next((stop for stop in self.lately if stop.direction < 0), None)


def overview(asked: Asked, filters: Filters, offered: Choices, *, now: datetime) -> Overview:
    """Return the page's figures in at most twenty-two statements, whatever the number of answers."""
    compared = before(filters, asked)
    recent = journey.lately_and_before(asked.end)
    first = min(asked.start, recent[1][0], *([compared.start] if compared else []))
    changes = trends.wording_changes(asked.moved(start=first, end=asked.end))
    periods = [(asked.start, asked.end), *recent, *([(compared.start, compared.end)] if compared else [])]
    report, lately, until_then, *rest = metrics.reports(asked, periods, group_by=GroupBy.TOUCHPOINT)
    earlier = rest[0] if rest else None
    reworded = bool(compared and trends.breaks_between(changes, compared.start, asked.end))
    if lately_reworded := trends.breaks_between(changes, recent[1][0], asked.end):
        same = trends.same_wording(asked, lately_reworded)
        lately, until_then = metrics.reports(same, recent, group_by=GroupBy.TOUCHPOINT)
    answered = rates.rates(asked)
    wanted = places_of(asked, offered)
    return Overview(
        asked=asked,
        compared=compared,
        report=report,
        earlier=earlier,
        trend=trends.trend(asked, changes),
        recovery=recovery.recovery(asked, now=now),
        rates=answered,
        leaving=abandonment.leaving(answered),
        moves=transitions.transitions(asked),
        stops=journey.stops(wanted, report, None if reworded else earlier),
        lately=journey.changed(wanted, lately, until_then),
        reworded=reworded,
        happened=happenings.happened(asked, wanted),
        comments=comments.newest(asked),
    )


def places_of(asked: Asked, offered: Choices) -> list[Place]:
    """Return those of the touchpoints offered that are asked about."""
    wanted = [place for place in offered.places if not asked.touchpoint_ids or place.id in asked.touchpoint_ids]
    return [place for place in wanted if not asked.brand_ids or place.brand_id in asked.brand_ids]
