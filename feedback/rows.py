"""How a case reads as a row of the desk and what it says is next: shapes for templates, no queries but two per page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from babel.dates import format_date
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from core import formats, i18n
from core.db import db
from customers.models import Customer
from customers.scales import Band, band
from feedback.models import Case, CaseClock, CaseState, Origin, Promise, PromiseState

WAITING = (PromiseState.OPEN, PromiseState.BROKEN)
Due = TypeVar("Due", Promise, CaseClock)
HOUR = timedelta(hours=1)
NEXT = {
    "first_contact": _l("First contact"),
    "next_response": _l("Answer the customer"),
    "resolution": _l("Put it right"),
    "follow_up": _l("Ask how it is"),
    "planned": _l("Look at it again"),
    "outcome": _l("Ask again"),
    "none": _l("Nothing"),
}
STATES = {
    CaseState.OPEN: _l("Not contacted yet"),
    CaseState.RECOVERY: _l("In recovery"),
    CaseState.WAITING: _l("Waiting on customer"),
    CaseState.RESOLVED: _l("Resolved"),
    CaseState.CLOSED: _l("Closed"),
}
WANTS = {
    "phone": _l("Wants a call"),
    "email": _l("Wants an e-mail"),
    "sms": _l("Wants a text"),
    "none": _l("No contact wished"),
}


@dataclass(frozen=True)
class Deadline:
    """Time to a deadline as the clock mark shows it: state running, soon, over, paused; share of the room left."""

    state: str
    words: str
    share: float | None


@dataclass(frozen=True)
class Row:
    """What macros/case.html: case_row shows."""

    case: Case
    number: str
    href: str
    score: int | None
    profile: str
    name: str
    detail: str
    words: str
    words_language: str
    icon: str
    touchpoint: str
    priority: str
    next_step: str
    next_detail: str
    clock_state: str
    clock_words: str
    clock_share: float | None
    owner: str
    owner_initials: str


@dataclass(frozen=True)
class Next:
    """What a case asks for next: words ("New tent poles"), detail ("promised for 12:00") and since when it is asked."""

    words: str
    detail: str
    since: datetime


def rows_of(cases: Sequence[Case], *, href: Callable[[Case], str], now: datetime) -> list[Row]:
    """Return the cases as rows, with two more statements; `href` gives a case's address."""
    known = _nexts(cases, now)
    return [_row(case, known[case.id], href, now) for case in cases]


def next_of(case: Case, promises: Sequence[Promise], clocks: Sequence[CaseClock], *, now: datetime) -> Next:
    """Return what one case asks for next, from its promises and clocks, which its page has at hand."""
    alive = [each for each in promises if each.state in WAITING]
    running = [each for each in clocks if each.stopped_at is None]
    return _next(case, _first(alive[::-1]), _first(running[::-1]), now)


def name_of(case: Case) -> str:
    """Return the customer's name, or what stands for it."""
    return name_of_customer(case.customer) if case.customer is not None else _("Nobody known")


def name_of_customer(customer: Customer) -> str:
    if customer.erased_at is not None:
        return _("Erased customer")
    return customer.name or customer.email or customer.external_id or _("No name")


def title(case: Case) -> str:
    """Return the heading of a case for staff: our own words, else what went wrong, else where."""
    return case.summary or matter(case)


def matter(case: Case) -> str:
    """Return what a case is about in words that no person typed: what went wrong, else where."""
    if case.why:
        return formats.listed([humanised(code) for code in case.why[:3]]).capitalize()
    place = case.touchpoint.name if case.touchpoint else None
    if case.origin == Origin.COMPLAINT:
        return _("Complaint about %(touchpoint)s", touchpoint=place) if place else _("A complaint")
    return _("Unhappy after %(touchpoint)s", touchpoint=place) if place else _("An unhappy customer")


def band_of(case: Case) -> Band:
    """Return the band of a case's score; a complaint, which has none, counts as negative."""
    return Band.NEGATIVE if case.metric is None or case.score is None else band(case.metric, case.score)


def humanised(code: str) -> str:
    """Return a code of what went wrong in plain letters: "late_or_damaged" is "late or damaged"."""
    return code.replace("_", " ").replace("-", " ").strip()


def deadline(case: Case, *, since: datetime, now: datetime) -> Deadline:
    if case.state == CaseState.WAITING and case.next_act == "follow_up":
        return Deadline("paused", _("Waiting"), None)
    left = case.due_at - now
    state = "over" if left < timedelta() else "soon" if left < HOUR else "running"
    room = max((case.due_at - since).total_seconds(), 1)
    return Deadline(state, formats.left(case.due_at, now), min(max(left.total_seconds() / room, 0), 1))


def near(at: datetime, now: datetime) -> str:
    """Return a time as short as it can be: "16:00", "Fri 10:00", "Fri 14 Nov"."""
    days = (formats.local(at).date() - formats.local(now).date()).days
    if days == 0:
        return formats.time(at)
    if 0 < days < 7:
        weekday = format_date(formats.local(at).date(), format="EEE", locale=i18n.language())
        return f"{weekday} {formats.time(at)}"
    return formats.day(at, "short" if abs(days) < 300 else "dated")


def _row(case: Case, following: Next, href: Callable[[Case], str], now: datetime) -> Row:
    clock = deadline(case, since=following.since, now=now)
    customer, touchpoint, owner = case.customer, case.touchpoint, case.assignee
    return Row(
        case=case,
        number=case.label,
        href=href(case),
        score=case.score,
        profile=band_of(case),
        name=name_of(case),
        detail=customer.tier.capitalize() if customer and customer.tier else "",
        words=case.words or title(case),
        words_language=case.language if case.words else i18n.language(),
        icon=touchpoint.icon if touchpoint else "form",
        touchpoint=touchpoint.name if touchpoint else _("Complaint"),
        priority=case.priority,
        next_step=following.words,
        next_detail=following.detail,
        clock_state=clock.state,
        clock_words=clock.words,
        clock_share=clock.share,
        owner=owner.name if owner else "",
        owner_initials=owner.initials if owner else "",
    )


def _nexts(cases: Sequence[Case], now: datetime) -> dict[int, Next]:
    ids = [case.id for case in cases]
    promises = _first(
        db.session.scalars(
            select(Promise)
            .where(Promise.case_id.in_(ids), Promise.state.in_(WAITING))
            .order_by(Promise.due_at.desc(), Promise.id.desc())
        ).all()
    )
    clocks = _first(
        db.session.scalars(
            select(CaseClock)
            .where(CaseClock.case_id.in_(ids), CaseClock.stopped_at.is_(None))
            .order_by(CaseClock.due_at.desc(), CaseClock.id.desc())
        ).all()
    )
    return {case.id: _next(case, promises, clocks, now) for case in cases}


def _first(found: Sequence[Due]) -> dict[tuple[int, datetime], Due]:
    return {(each.case_id, each.due_at): each for each in found}


def _next(
    case: Case,
    promises: dict[tuple[int, datetime], Promise],
    clocks: dict[tuple[int, datetime], CaseClock],
    now: datetime,
) -> Next:
    key, when = (case.id, case.due_at), near(case.due_at, now)
    if case.next_act in ("contact", "promise", "broken_promise"):
        promise = promises.get(key)
        words = promise_words(promise, case) if promise else _("Promise")
        return Next(words, _("promised for %(time)s", time=when), promise.made_at if promise else case.opened_at)
    clock = clocks.get(key)
    since = clock.started_at if clock else case.resolved_at or case.opened_at
    words = str(NEXT.get(case.next_act, case.next_act))
    return Next(words, "" if case.next_act == "none" else _("due %(time)s", time=when), since)


def promise_words(promise: Promise, case: Case) -> str:
    """Return what was promised, for staff: a first contact in a word."""
    if promise.kind == "contact":
        return _("Call back") if case.wants == "phone" else _("Write back")
    return promise.words or _("Erased.")
