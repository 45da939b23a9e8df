"""What the insights page shows, as a table of one figure a line; withheld where the page says "too few"."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from insights.overview import Overview
from insights.recovery import Share
from surveys.scoring import FEW, Difference, Figure

HEAD: Final = ("figure", "group", "from", "to", "n", "value", "low", "high", "unit")


def lines(found: Overview) -> Iterator[tuple[Any, ...]]:
    """Yield (figure, group, from, to, n, value, low, high, unit); scores in points, times in working minutes."""
    asked, metric = found.asked, str(found.asked.metric)
    period = (asked.start.isoformat(), asked.end.isoformat())
    yield (metric, "", *period, *_figure(found.report.figure))
    if found.earlier and found.compared:
        compared = (found.compared.start.isoformat(), found.compared.end.isoformat())
        yield (metric, "compared", *compared, *_figure(found.earlier.figure))
    if found.difference is not None and found.earlier:
        yield (f"{metric}, difference", "", *period, found.report.figure.n, *_difference(found.difference))
    elif found.reworded:
        yield (f"{metric}, difference", "", *period, found.report.figure.n, "", "", "", "asked in other words")
    for moment in found.trend.moments:
        yield (f"{metric}, 28 days", "", "", moment.day.isoformat(), *_figure(moment.figure))
    for stop in found.stops:
        yield (metric, stop.place.key, *period, *_figure(stop.figure))
    for score, count in sorted(found.report.counts.items() if not found.report.figure.few else ()):
        yield ("answers", str(score), *period, count, count, "", "", "answers")
    yield from ((name, group, *period, *rest) for name, group, *rest in _recovery(found))
    yield from ((name, group, *period, *rest) for name, group, *rest in _rates(found))
    yield from ((name, group, *period, *rest) for name, group, *rest in _happened(found))
    for row in found.moves:
        for became in row.counts:
            yield ("moved", f"{row.route}: {row.was} to {became}", *period, *_share(row.of(became)))


def _figure(figure: Figure) -> tuple[Any, ...]:
    shown = ("", "", "") if figure.few else tuple(map(_two, (figure.value, figure.low, figure.high)))
    return (figure.n, *shown, "points" if figure.metric == "nps" else "percent")


def _difference(moved: Difference) -> tuple[Any, ...]:
    """The distance with its interval; `unit` says whether it is called one: only where the interval leaves zero out."""
    if moved.few:
        return ("", "", "", "too few")
    shown = tuple(map(_two, (moved.value, moved.low, moved.high)))
    return (*shown, "points, different" if moved.different else "points, may be chance")


def _recovery(found: Overview) -> Iterable[tuple[Any, ...]]:
    recovery = found.recovery
    yield ("won back", "of the checked", *_share(recovery.won_back.won))
    yield ("checked", "of the resolved", *_share(recovery.won_back.checked))
    yield ("promises kept", "", *_share(recovery.promises.kept))
    yield ("reopened", "of resolutions", *_share(recovery.reopened))
    first = recovery.first_contact
    for group, wait in (("median", first.median), ("90th percentile", first.slowest_tenth)):
        yield ("first contact", group, first.n, _minutes(wait), "", "", "working minutes")
    for each in recovery.goodwill:
        yield ("goodwill per win-back", "", each.checked, _or_blank(each.per_win_back_minor), "", "", each.currency)


def _rates(found: Overview) -> Iterable[tuple[Any, ...]]:
    for rate in found.rates.channels:
        yield ("response rate RR1", rate.channel, *_share(Share(rate.answered, rate.invited)))
        yield ("response rate RR2", rate.channel, *_share(Share(rate.answered + rate.partial, rate.invited)))
        yield ("started", rate.channel, rate.started, rate.started, "", "", "invitations")
        yield ("completion rate", rate.channel, *_share(Share(rate.answered, rate.started)))
        yield ("bounced", rate.channel, rate.bounced, rate.bounced, "", "", "invitations")
    for each in found.leaving:
        for step in each.steps:
            yield ("left after a question", f"{each.survey}: {step.question}", *_share(step.left))
    for reason, count in found.rates.skipped.items():
        yield ("skipped", reason, count, count, "", "", "interactions")


def _happened(found: Overview) -> Iterable[tuple[Any, ...]]:
    for each in found.happened:
        key, n = each.place.key, each.interactions
        yield ("interactions", key, n, n, "", "", "interactions")
        yield ("left half-done", key, *_share(each.left))
        yield ("cases opened", key, each.cases, each.cases, "", "", "cases")
        for currency, value in each.at_stake.items():
            yield ("value of their interactions", key, each.cases, value, "", "", f"{currency}, minor units")


def _share(share: Share) -> tuple[Any, ...]:
    interval = share.interval
    if share.n < FEW or share.value is None or interval is None:
        return (share.n, "", "", "", "percent")
    return (share.n, *(round(100 * each, 2) for each in (share.value, *interval)), "percent")


def _minutes(wait: Any) -> Any:
    return "" if wait is None else int(wait.total_seconds() // 60)


def _or_blank(value: Any) -> Any:
    return "" if value is None else value


def _two(value: float | None) -> Any:
    return "" if value is None else round(value, 2) + 0.0
