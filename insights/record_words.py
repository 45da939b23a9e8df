"""How a customer's record tells what happened: why nobody was asked, what became of an invitation, what was chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from flask_babel import LazyString
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import Row

from core import formats
from core.events import Event
from feedback.complaint_facts import TIMES
from feedback.models import Promise, PromiseState
from insights.record import Asking
from insights.timeline import Line
from insights.uploads import names_of
from surveys.models import Decision, InvitationState
from surveys.rules import Reason

NOT_ASKED: Final[Mapping[str, LazyString]] = {
    Reason.NOT_PUBLISHED: _l("Not asked: the survey had no published version"),
    Reason.IMPORTED: _l("Not asked: it was imported"),
    Reason.NO_ADDRESS: _l("Not asked: there was no address"),
    Reason.TOO_OLD: _l("Not asked: it came to us too late"),
    Reason.CONDITIONS: _l("Not asked: the rule’s conditions were not met"),
    Reason.CONSENT: _l("Not asked: no consent to surveys"),
    Reason.SUPPRESSED: _l("Not asked: the address must not be written to"),
    Reason.OPEN_COMPLAINT: _l("Not asked: a complaint was open"),
    Reason.OPEN_CASE: _l("Not asked: a case was open"),
    Reason.SAMPLING: _l("Not asked: outside of the sample"),
    Reason.QUARANTINE: _l("Not asked: was asked lately"),
}
"""Where no rule asks at all, there is nothing to tell of each interaction."""

MAY_NOT: Final[Mapping[str, LazyString]] = {
    Reason.NO_ADDRESS: _l("Can’t be asked: there is no address."),
    Reason.CONSENT: _l("Does not want any."),
    Reason.SUPPRESSED: _l("The address must not be written to."),
    Reason.OPEN_COMPLAINT: _l("Not while a complaint is open. Asking again about it is allowed."),
    Reason.OPEN_CASE: _l("Not while a case is open. Asking again about it is allowed."),
}
OUTCOMES: Final[Mapping[str, LazyString]] = {
    InvitationState.SENT: _l("no answer yet"),
    InvitationState.ANSWERED: _l("answered"),
    InvitationState.EXPIRED: _l("never answered"),
    InvitationState.REVOKED: _l("taken back"),
}
PROMISES: Final[Mapping[str, tuple[LazyString, str]]] = {
    PromiseState.OPEN: (_l("Open"), "glaze"),
    PromiseState.KEPT: (_l("Kept"), "fern"),
    PromiseState.LATE: (_l("Kept late"), ""),
    PromiseState.BROKEN: (_l("Broken"), "ember"),
    PromiseState.RENEGOTIATED: (_l("Agreed anew"), ""),
}
WAYS: Final[Mapping[str, LazyString]] = {"phone": _l("A call"), "email": _l("E-mail"), "sms": _l("Text message")}
CHOSEN: Final[Mapping[tuple[str, str], LazyString]] = {
    ("consent.given", "survey"): _l("Agreed to surveys"),
    ("consent.given", "marketing"): _l("Agreed to marketing"),
    ("consent.withdrawn", "survey"): _l("No more surveys"),
    ("consent.withdrawn", "marketing"): _l("No marketing"),
    ("complaint.confirmed", ""): _l("Confirmed the address"),
    ("customer.merged", ""): _l("Another record was merged into this one"),
    ("customer.erased", ""): _l("The record was erased"),
    ("customer.handed_out", ""): _l("All data was exported"),
}


def not_asked(decision: Decision | None) -> str:
    """Return why nobody was asked about an interaction, with the day from which they may be; "" where they were."""
    words = NOT_ASKED.get(decision.rule) if decision is not None else None
    if words is None or decision is None:
        return ""
    if decision.next_eligible_at is None:
        return str(words)
    return _("%(why)s, next from %(day)s", why=words, day=formats.day(decision.next_eligible_at, "dated"))


def asking(found: Asking) -> str:
    """Return whether this customer may be asked now, and from when if not."""
    if found.rule == Reason.QUARANTINE and found.until is not None:
        return _(
            "Rests until %(day)s (rule of %(days)s days). Asking again about a case is allowed.",
            day=formats.day(found.until, "dated"),
            days=formats.number(found.days),
        )
    return str(MAY_NOT.get(found.rule) or _("May be asked, from now on."))


def promised(promise: Promise) -> tuple[LazyString, str]:
    """Return how a promise stands, and its tone; one that ended without another in its place went with its record."""
    if promise.state == PromiseState.RENEGOTIATED and promise.replaced_by_id is None:
        return _l("Let go"), ""
    return PROMISES[promise.state]


def prefers(said: Row[str, str | None]) -> str:
    """Return how a customer wants to be reached: "A call, in the morning"."""
    way, time = said
    return ", ".join(str(each) for each in (WAYS.get(way, way), TIMES.get(time or "", "")) if each)


def chosen(event: Event) -> str:
    return str(CHOSEN.get((event.kind, str(event.data.get("purpose", ""))), event.kind))


def deciders(lines: Sequence[Line]) -> Mapping[str, str]:
    """Return who decided what these lines tell, by actor; one statement if staff are among them."""
    actors = {line.event.actor for line in lines if line.event is not None}
    return {"customer": _("by the customer"), **{key: _("by %(name)s", name=name) for key, name in _names(actors)}}


def _names(actors: set[str]) -> Sequence[tuple[str, str]]:
    return list(names_of(actors).items())
