"""Figures made ready for the page's charts and tables: what goes where, in which words. No queries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import groupby, pairwise
from typing import Any, Final

from flask_babel import gettext as _

from core import charts, formats
from insights import transitions, words
from insights.abandonment import Leaving
from insights.happenings import Happened
from insights.journey import Stop
from insights.metrics import Counts
from insights.recovery import Share
from insights.silence import SILENT
from insights.trends import Trend
from surveys import scoring
from surveys.scoring import SCALES, Band, Figure, Metric

STEPS: Final = {Metric.NPS: (0, 15, 30, 45), Metric.CSAT: (50, 60, 70, 80), Metric.CES: (50, 60, 70, 80)}
"""Where the five colours of the journey map meet."""


@dataclass(frozen=True)
class Cell:
    """One cell of a heat table; `step` 0 has no colour: too few."""

    value: str
    sub: str = ""
    step: int = 0
    alarm: bool = False
    mended: bool = False
    name: str = ""
    icon: str = ""
    key: str = ""
    left: str = ""  # what was left half-done there


# The trend


def trend(found: Trend, metric: Metric) -> charts.Trend:
    points = [
        charts.Point(formats.day(each.day, "plain"), *_known(each.figure), breaks=each.breaks) for each in found.moments
    ]
    days = [each.day for each in found.moments]
    events = [
        (_position(change.day, days), _("New wording, %(day)s", day=formats.day(change.day, "plain")))
        for change in found.breaks
        if days and days[0] < change.day <= days[-1]
    ]
    return charts.trend(
        points,
        say=lambda value: words.say(metric, value),
        interval=lambda low, high: words.between(metric, low, high),
        events=events,
        bounds=(-100, 100) if metric is Metric.NPS else (0, 100),
    )


def _known(figure: Figure) -> tuple[float | None, float, float]:
    return (None if figure.few else figure.value, figure.low or 0, figure.high or 0)


def _position(day: Any, days: Sequence[Any]) -> float:
    """Return where a day lies among evenly spaced ones."""
    step = (days[-1] - days[0]) / max(len(days) - 1, 1)
    return (day - days[0]) / step if step > timedelta() else 0.0


def trend_rows(found: Trend, metric: Metric) -> list[list[str]]:
    return [
        [formats.day(each.day, "dated"), *_told(each.figure, metric), formats.number(each.figure.n)]
        for each in found.moments
    ]


def _told(figure: Figure, metric: Metric) -> list[str]:
    if figure.few or figure.value is None or figure.low is None or figure.high is None:
        return [_("too few"), ""]
    return [words.say(metric, figure.value), words.between(metric, figure.low, figure.high)]


# All answers by score


def distribution(counts: Counts, metric: Metric) -> charts.Distribution:
    n = sum(counts.values())
    by_band = shares(counts, metric)
    return charts.distribution(
        [(formats.digits(score), counts.get(score, 0), scoring.band(metric, score)) for score in _scores(metric)],
        groups={
            band: (str(words.bands(metric)[band]), formats.percent(count / n) if n >= scoring.FEW else "")
            for band, count in by_band.items()
        },
        say=formats.number,
    )


def shares(counts: Counts, metric: Metric) -> dict[Band, int]:
    """Return how many answers each band has."""
    found = dict.fromkeys((Band.NEGATIVE, Band.NEUTRAL, Band.POSITIVE), 0)
    for score in _scores(metric):
        found[scoring.band(metric, score)] += counts.get(score, 0)
    return found


def distribution_words(counts: Counts, metric: Metric) -> str:
    named = [f"{words.bands(metric)[band]} {formats.number(count)}" for band, count in shares(counts, metric).items()]
    return _("Answers by score. %(bands)s.", bands=", ".join(named))


def distribution_rows(counts: Counts, metric: Metric) -> list[list[str]]:
    return [[formats.digits(score), formats.number(counts.get(score, 0))] for score in _scores(metric)]


def _scores(metric: Metric) -> range:
    low, high = SCALES[metric]
    return range(low, high + 1)


# How people moved


def moves(rows: list[transitions.Row], metric: Metric) -> list[tuple[dict[str, str], list[Cell]]]:
    """Return the matrix: gold only where recovery won somebody back; a row without anybody is left out."""
    return [(_mover(row, metric), [_move(row, became) for became in transitions.STATES]) for row in rows if row.n]


def _mover(row: transitions.Row, metric: Metric) -> dict[str, str]:
    name = words.state_name(metric, row.was)
    if row.route == transitions.RECOVERY:
        name = _("%(band)s, after recovery", band=name)
    elif row.was == Band.NEGATIVE:
        name = _("%(band)s, otherwise", band=name)
    return {"name": name, "count": formats.number(row.answered)}


def _move(row: transitions.Row, became: str) -> Cell:
    share = row.of(became).value
    if share is None:
        return Cell(_("too few"))
    if became == SILENT:
        return Cell(formats.percent(share))
    mended = row.route == transitions.RECOVERY and became != Band.NEGATIVE
    return Cell(formats.percent(share), step=3 if share < 0.25 else 4 if share < 0.5 else 5, mended=mended)


def moves_rows(rows: list[transitions.Row], metric: Metric) -> list[list[str]]:
    """Return the counts behind the matrix; those of a row with too few people are withheld."""
    return [
        [
            _mover(row, metric)["name"],
            formats.number(row.n),
            *(
                _("too few") if row.of(SILENT).few else formats.number(row.counts[state])
                for state in transitions.STATES
            ),
        ]
        for row in rows
        if row.n
    ]


def moved_up(rows: list[transitions.Row]) -> str:
    """Return the matrix in a sentence."""
    after, otherwise = rows[0], rows[1]
    told = []
    if after.up.value is not None:
        share = formats.percent(after.up.value)
        told.append(_("After recovery, %(share)s of those who answered again in these days moved up.", share=share))
    if otherwise.up.value is not None:
        share = formats.percent(otherwise.up.value)
        told.append(_("Of those not asked after recovery, %(share)s moved up.", share=share))
    later = rows[1:]
    silent = Share(sum(row.counts[SILENT] for row in later), sum(row.n for row in later))
    if silent.value is not None:
        told.append(_("Of all asked another time, %(share)s did not answer.", share=formats.percent(silent.value)))
    return " ".join(told) or _("Too few customers were asked twice to say more.")


# Who leaves at which question


def leaving_rows(found: Leaving) -> list[list[str]]:
    return [
        [
            step.question,
            formats.number(step.left.n),
            formats.number(step.left.k),
            _("too few") if step.left.value is None else formats.percent(step.left.value, 1),
        ]
        for step in found.steps
    ]


# The journey map


def journey(
    stops: list[Stop], lately: list[Stop], happened: list[Happened], metric: Metric
) -> tuple[list[str], list[list[Cell | None]]]:
    """Return the stages that have touchpoints, and rows of cells: under each stage its touchpoints."""
    left = {each.place.id: _left(each) for each in happened}
    falling = {stop.place.id for stop in (*stops, *lately) if stop.direction < 0}
    columns = [
        (stage, [_stop(stop, metric, left.get(stop.place.id, ""), alarm=stop.place.id in falling) for stop in group])
        for stage, group in groupby(stops, key=lambda stop: stop.place.stage)
    ]
    deepest = max((len(cells) for _stage, cells in columns), default=0)
    rows = [[cells[row] if row < len(cells) else None for _stage, cells in columns] for row in range(deepest)]
    return [stage for stage, _cells in columns], rows


def _left(happened: Happened) -> str:
    """Return how much was left half-done at a touchpoint; "" where nothing was."""
    if not happened.half_done:
        return ""
    share = happened.left.value
    if share is None:
        return _("%(count)s left half-done", count=formats.number(happened.half_done))
    return _("%(share)s left half-done", share=formats.percent(share))


def _stop(stop: Stop, metric: Metric, left: str, *, alarm: bool) -> Cell:
    place, figure = stop.place, stop.figure
    named: dict[str, Any] = {"name": place.name, "icon": place.icon, "key": place.key, "left": left}
    if figure.few or figure.value is None:
        return Cell(_("too few"), formats.number(figure.n) if figure.n else _("no answers"), **named)
    return Cell(words.say(metric, figure.value), _stop_sub(stop, alarm=alarm), step(figure), alarm=alarm, **named)


def _stop_sub(stop: Stop, *, alarm: bool) -> str:
    count = formats.number(stop.figure.n)
    if alarm:
        return _("%(count)s answers, falling", count=count)
    if stop.direction > 0:
        return _("%(count)s answers, rising", count=count)
    return _("%(count)s answers", count=count)


def step(figure: Figure) -> int:
    """Return the colour of a score, 1 (worst) to 5; 0 for too few answers."""
    if figure.few or figure.value is None:
        return 0
    return 1 + sum(figure.value >= edge for edge in STEPS[figure.metric])


def journey_legend(metric: Metric) -> list[tuple[str, str]]:
    edges = STEPS[metric]
    first = _("below %(edge)s", edge=formats.number(edges[0]))
    middle = [
        _("%(low)s to %(high)s", low=formats.number(low), high=formats.number(high - 1))
        for low, high in pairwise(edges)
    ]
    last = _("%(edge)s and up", edge=formats.number(edges[-1]))
    return [(f"k{place}", told) for place, told in enumerate([first, *middle, last], 1)]
