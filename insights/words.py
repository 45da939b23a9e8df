"""How figures are said: names of scores, bands and channels, and findings that claim no more than the figures show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from flask_babel import LazyString
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from core import formats
from feedback.models import ProblemState
from insights.abandonment import Leaving
from insights.asking import Compare
from insights.happenings import Happened
from insights.journey import Stop
from insights.recovery import Share
from insights.recurrence import Recurrence, Span, Verdict
from insights.silence import SILENT
from insights.trends import Trend
from surveys.scoring import Band, Difference, Figure, Metric

NAMES: Final[Mapping[Metric, LazyString]] = {
    Metric.NPS: _l("Net Promoter Score"),
    Metric.CSAT: _l("Customer satisfaction"),
    Metric.CES: _l("Customer effort"),
}
SHORT: Final[Mapping[Metric, str]] = {Metric.NPS: "NPS", Metric.CSAT: "CSAT", Metric.CES: "CES"}
HOW: Final[Mapping[Metric, LazyString]] = {
    Metric.NPS: _l("Promoters less detractors"),
    Metric.CSAT: _l("Share of answers 4 and 5"),
    Metric.CES: _l("Share who found it easy, 5 to 7"),
}
_OF_NPS: Final = {Band.NEGATIVE: _l("Detractors"), Band.NEUTRAL: _l("Passives"), Band.POSITIVE: _l("Promoters")}
_OF_OTHERS: Final = {Band.NEGATIVE: _l("Unhappy"), Band.NEUTRAL: _l("Neutral"), Band.POSITIVE: _l("Happy")}
_ONE_OF_NPS: Final = {Band.NEGATIVE: _l("Detractor"), Band.NEUTRAL: _l("Passive"), Band.POSITIVE: _l("Promoter")}
PROBLEM_STATES: Final[Mapping[ProblemState, LazyString]] = {
    ProblemState.OPEN: _l("looked into"),
    ProblemState.ACTED: _l("watched"),
    ProblemState.CLOSED: _l("closed"),
}
COMPARED: Final[Mapping[Compare, LazyString]] = {
    Compare.BEFORE: _l("Compared with the period before"),
    Compare.YEAR: _l("Compared with last year"),
    Compare.NONE: _l("Not compared"),
}
CHANNELS: Final[Mapping[str, LazyString]] = {
    "email": _l("E-mail"),
    "link": _l("Open link"),
    "sms": _l("Text message"),
    "web": _l("Website"),
    "phone": _l("Phone"),
    "chat": _l("Chat"),
    "app": _l("In the app"),
    "store": _l("In the store"),
    "import": _l("Imported"),
}
SKIPPED: Final[Mapping[str, LazyString]] = {
    "quarantine": _l("asked lately"),
    "sampling": _l("outside the sample"),
    "consent": _l("without consent"),
    "suppressed": _l("whom we must not write to"),
    "open_complaint": _l("waiting for an answer to a complaint"),
    "open_case": _l("waiting for us to put something right"),
    "no_address": _l("without an address"),
    "no_customer": _l("not known to us"),
    "no_rule": _l("at a touchpoint that asks nobody"),
    "rule_inactive": _l("at a touchpoint that asks nobody"),
    "not_published": _l("before the survey was published"),
    "imported": _l("imported"),
    "too_old": _l("too long ago"),
    "conditions": _l("excluded by a rule"),
    "looked_again": _l("no longer to be asked when the time came"),
}


def bands(metric: Metric) -> Mapping[Band, LazyString]:
    return _OF_NPS if metric == Metric.NPS else _OF_OTHERS


def band_name(metric: Metric, band: Band) -> str:
    return str((_ONE_OF_NPS if metric == Metric.NPS else _OF_OTHERS)[band])


def state_name(metric: Metric, state: str) -> str:
    """Return what a customer is called who gave such an answer, or none."""
    return _("Silent") if state == SILENT else band_name(metric, Band(state))


def channel(code: str) -> str:
    return str(CHANNELS.get(code) or code.replace("_", " ").capitalize() or _("Not known"))


def say(metric: Metric, value: float) -> str:
    """Return a score as people read it: "+32" for NPS, "64%" for a share."""
    return formats.signed(value) if metric == Metric.NPS else formats.percent(value / 100)


def between(metric: Metric, low: float, high: float) -> str:
    return _("%(low)s to %(high)s", low=say(metric, low), high=say(metric, high))


def skipped(counts: Mapping[str, int], *, most: int = 3) -> list[str]:
    """Return the commonest reasons for which nobody was asked, each with its count."""
    named: dict[str, int] = {}
    for reason, count in counts.items():
        words = str(SKIPPED.get(reason) or reason.replace("_", " "))
        named[words] = named.get(words, 0) + count
    return [f"{formats.number(count)} {words}" for words, count in list(named.items())[:most]]


def leaving(found: Leaving) -> str:
    """Return how many began a survey and did not finish it, and where most of them left."""
    most = max(found.steps, key=lambda step: step.left.k)
    values = {"survey": found.survey, "left": formats.number(found.begun.k), "begun": formats.number(found.begun.n)}
    if not most.left.k:
        return _("“%(survey)s”: %(left)s of %(begun)s who began did not finish.", **values)
    return _(
        "“%(survey)s”: %(left)s of %(begun)s who began did not finish, %(most)s of them after “%(question)s”.",
        most=formats.number(most.left.k),
        question=most.question,
        **values,
    )


def too_few(n: int) -> str:
    return _("too few: %(count)s", count=formats.number(n))


def reworded(earlier: Figure, compare: Compare) -> str:
    """Return what the score of a period was since whose begin the wording has changed."""
    when = _("Last year") if compare is Compare.YEAR else _("Before")
    if earlier.few or earlier.value is None:
        return _("%(when)s there were too few answers, and the wording has changed since.", when=when)
    value = say(earlier.metric, earlier.value)
    return _(
        "%(when)s %(value)s; the wording has changed since, so the two cannot be compared.", when=when, value=value
    )


def compared(figure: Figure, earlier: Figure, moved: Difference, compare: Compare) -> str:
    """Return how a score stands to that of another period; a change is called real only when its interval says so."""
    when = _("Last year") if compare is Compare.YEAR else _("Before")
    if earlier.few or earlier.value is None:
        return _(
            "%(when)s there were too few answers to compare: %(count)s.", when=when, count=formats.number(earlier.n)
        )
    value = say(figure.metric, earlier.value)
    if figure.few or not moved.different or not moved.value:
        return _("%(when)s %(value)s. The difference could be chance.", when=when, value=value)
    if moved.value > 0:
        return _("%(when)s %(value)s. The rise is real, not noise.", when=when, value=value)
    return _("%(when)s %(value)s. The fall is real, not noise.", when=when, value=value)


def trend(found: Trend, metric: Metric) -> str:
    """Return what a trend shows, from its first to its newest moment with enough answers."""
    told = found.told
    if not told:
        return _("There are too few answers for a trend.")
    first, last = told[0], told[-1]
    values: dict[str, Any] = {
        "first": say(metric, first.figure.value or 0),
        "last": say(metric, last.figure.value or 0),
        "from": formats.day(first.day, "plain"),
        "to": formats.day(last.day, "plain"),
    }
    moved = found.change
    if first is last:
        return _("%(last)s on %(to)s.", **values)
    if moved is None or not moved.different or not moved.value:
        return _("From %(first)s on %(from)s to %(last)s on %(to)s: no clear change.", **values)
    if moved.value > 0:
        return _("Rises from %(first)s on %(from)s to %(last)s on %(to)s.", **values)
    return _("Falls from %(first)s on %(from)s to %(last)s on %(to)s.", **values)


def journey(stops: Sequence[Stop]) -> str:
    """Return the lowest and the highest touchpoint with their intervals; "" if fewer than two have enough answers."""
    told = [stop for stop in stops if not stop.figure.few and stop.figure.value is not None]
    if len(told) < 2:
        return ""
    ranked = sorted(told, key=lambda stop: (stop.figure.value or 0, stop.place.name))
    return _("Lowest %(lowest)s; highest %(highest)s.", lowest=_scored(ranked[0]), highest=_scored(ranked[-1]))


def _scored(stop: Stop) -> str:
    figure = stop.figure
    return _(
        "%(touchpoint)s %(value)s (%(between)s)",
        touchpoint=stop.place.name,
        value=say(figure.metric, figure.value or 0),
        between=between(figure.metric, figure.low or 0, figure.high or 0),
    )


def damage(found: Sequence[Happened]) -> str:
    """Return where most cases were opened."""
    worst = max(found, key=lambda each: each.cases, default=None)
    if worst is None or not worst.cases:
        return _("No case was opened in this period.")
    return _(
        "Most cases were opened at %(touchpoint)s: %(cases)s of %(all)s.",
        touchpoint=worst.place.name,
        cases=formats.number(worst.cases),
        all=formats.number(sum(each.cases for each in found)),
    )


def half_done(found: Sequence[Happened]) -> str:
    """Return which share of all interactions was left half-done, and where most of them were; "" for none."""
    left = Share(sum(each.half_done for each in found), sum(each.interactions for each in found))
    if not left.k:
        return ""
    most = max(found, key=lambda each: each.half_done)
    values = {"count": formats.number(left.k), "most": formats.number(most.half_done), "touchpoint": most.place.name}
    if left.value is None:
        return _("Left half-done: %(count)s, %(most)s of them at %(touchpoint)s.", **values)
    share = formats.percent(left.value)
    return _("Left half-done: %(count)s (%(share)s), %(most)s of them at %(touchpoint)s.", share=share, **values)


def worse(stop: Stop) -> str:
    """Return what got worse lately, in a heading."""
    return _("%(touchpoint)s: lately worse than before", touchpoint=stop.place.name)


def better(stop: Stop) -> str:
    return _("%(touchpoint)s: lately better than before", touchpoint=stop.place.name)


def worse_detail(stop: Stop) -> str:
    """Return from what to what it fell; only for a stop whose fall is no chance."""
    before, now = stop.before, stop.figure
    return _(
        "%(metric)s from %(before)s to %(now)s in ten days, %(count)s answers. Chance alone would rarely do this.",
        metric=SHORT[now.metric],
        before=say(now.metric, (before.value if before else None) or 0),
        now=say(now.metric, now.value or 0),
        count=formats.number(now.n),
    )


def verdict(found: Recurrence) -> str:
    """Return whether a problem happens less since something was changed, in a heading."""
    return {
        Verdict.EARLY: _("Too early to tell. From %(day)s on it is told.", day=formats.day(found.told_on, "plain")),
        Verdict.FEW: _("Too few interactions to tell."),
        Verdict.LESS: _("It happens less."),
        Verdict.SAME: _("No difference yet that chance could not explain."),
        Verdict.MORE: _("It happens more."),
    }[found.verdict]


def without_cause(found: Recurrence) -> str:
    """Return how many cases may be one and are not counted; empty where there is none."""
    if not found.before.unknown and not found.after.unknown:
        return ""
    return _(
        "Cases without a cause may be ones: %(after)s since then, %(before)s before. This holds whichever of them are.",
        after=formats.number(found.after.unknown),
        before=formats.number(found.before.unknown),
    )


def per_thousand(span: Span) -> str:
    return _("none told") if span.per_thousand is None else formats.number(span.per_thousand, 1)


def counted(span: Span) -> str:
    """Return what a recurrence was counted from."""
    return _(
        "%(cases)s of %(interactions)s interactions in %(days)s days",
        cases=formats.number(span.cases),
        interactions=formats.number(span.interactions),
        days=formats.number(span.days),
    )


def working_time(length: timedelta) -> str:
    """Return working time in hours and minutes, "1 h 52" or "26 h 10": a day of work is no day."""
    minutes = int(length.total_seconds() // 60)
    hours, rest = divmod(minutes, 60)
    if not hours:
        return _("%(minutes)s min", minutes=formats.digits(rest))
    return _("%(hours)s h %(minutes)s", hours=formats.digits(hours), minutes=formats.digits(f"{rest:02}"))
