"""The four stations of a case, from heard to won back. Only the customer's own answer makes the last one gold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from flask_babel import gettext as _

from core import formats
from feedback import rows
from feedback.models import Case, CaseClock, ClockKind, Origin, OutcomeCheck, OutcomeState


@dataclass(frozen=True)
class Station:
    """What macros/case.html: mend shows; `state` "", done, now or won; instead of words it may have a clock."""

    title: str
    state: str = ""
    words: str = ""
    detail: str = ""
    tone: str = ""
    clock: tuple[str, str, float | None] | None = None


def stations_of(
    case: Case, *, clocks: Sequence[CaseClock], check: OutcomeCheck | None, following: rows.Next, now: datetime
) -> list[Station]:
    return [
        _heard(case, now),
        _contacted(case, clocks, now),
        _put_right(case, clocks, following, now),
        _won_back(case, check, now),
    ]


def _heard(case: Case, now: datetime) -> Station:
    said = {
        Origin.COMPLAINT: _("A complaint"),
        Origin.HAND: _("Opened by hand"),
        Origin.BROKEN_PROMISE: _("A broken promise"),
        Origin.SILENT: _("Fell silent"),
    }.get(Origin(case.origin))
    if said is None:
        place = case.touchpoint.name if case.touchpoint else None
        said = _("Survey, score %(score)s", score=formats.digits(case.score if case.score is not None else "–"))
        if place:
            said = _("Survey about %(touchpoint)s, score %(score)s", touchpoint=place, score=formats.digits(case.score))
    return Station(_("Heard"), "done", _moment(case.opened_at, now), said)


def _contacted(case: Case, clocks: Sequence[CaseClock], now: datetime) -> Station:
    clock = _newest(clocks, ClockKind.FIRST_CONTACT)
    target = _("Target: %(time)s", time=formats.moment(clock.due_at, now)) if clock else ""
    if case.first_contact_at is not None:
        late = clock is not None and case.first_contact_at > clock.due_at
        at = _moment(case.first_contact_at, now)
        words = _("%(time)s, late", time=at) if late else _("%(time)s, in time", time=at)
        return Station(_("Contacted"), "done", words if clock else at, target, "ember" if late else "fern")
    if not case.is_open:
        return Station(_("Contacted"), "", _("Never reached"))
    return Station(_("Contacted"), "now", _("Not yet"), clock=_ring(clock, now), detail=_due(clock, now))


def _put_right(case: Case, clocks: Sequence[CaseClock], following: rows.Next, now: datetime) -> Station:
    if case.resolved_at is not None:
        said = _("The customer says so") if case.fixed_at else ""
        return Station(_("Put right"), "done", _moment(case.resolved_at, now), said, "fern")
    state = "now" if case.first_contact_at else ""
    if case.next_act in ("promise", "broken_promise"):
        due = rows.deadline(case, since=following.since, now=now)
        words = _("%(promise)s by %(time)s", promise=following.words, time=formats.by_when(case.due_at, now))
        return Station(_("Put right"), state, clock=(due.state, due.words, due.share), detail=words)
    clock = _newest(clocks, ClockKind.RESOLUTION)
    if clock is not None and clock.is_paused:
        return Station(_("Put right"), state, _("Waiting on customer"), _due(clock, now))
    return Station(_("Put right"), state, _("Not yet"), clock=_ring(clock, now), detail=_due(clock, now))


def _won_back(case: Case, check: OutcomeCheck | None, now: datetime) -> Station:
    name = _("Won back")
    if case.won_back_at is not None:
        score = check.score if check and check.score is not None else None
        detail = _("Score %(score)s now", score=formats.digits(score)) if score is not None else ""
        return Station(name, "won", _moment(case.won_back_at, now), detail, "seam")
    if check is None or check.state == OutcomeState.CANCELLED:
        return Station(name, "", _("The customer decides"))
    if check.state == OutcomeState.ASKED:
        return Station(name, "now", _("Asked %(time)s", time=formats.moment(check.asked_at or check.due_at, now)))
    if check.state == OutcomeState.SILENT:
        return Station(name, "", _("No answer"))
    if check.state == OutcomeState.ANSWERED:
        return Station(name, "", _("Not won back"), _("Score %(score)s", score=formats.digits(check.score)), "ember")
    return Station(name, "now", _("Ask again %(time)s", time=formats.moment(check.due_at, now)))


def _moment(at: datetime, now: datetime) -> str:
    """Return a moment that stands by itself: "Today at 11:31", "Wed 12 Nov, 18:20"."""
    words = formats.moment(at, now)
    return words[:1].upper() + words[1:]


def _newest(clocks: Sequence[CaseClock], kind: ClockKind) -> CaseClock | None:
    return next((clock for clock in reversed(clocks) if clock.kind == kind), None)


def _ring(clock: CaseClock | None, now: datetime) -> tuple[str, str, float | None] | None:
    if clock is None or not clock.is_running:
        return None
    room = max((clock.due_at - clock.started_at).total_seconds(), 1)
    state = "over" if clock.due_at < now else "soon" if clock.due_at - now < rows.HOUR else "running"
    share = min(max((clock.due_at - now).total_seconds() / room, 0), 1)
    return state, formats.left(clock.due_at, now), share


def _due(clock: CaseClock | None, now: datetime) -> str:
    return _("Due %(time)s", time=formats.moment(clock.due_at, now)) if clock else ""
