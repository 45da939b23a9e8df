"""The thread of a case: what was said and what happened, one list, newest last. Shapes for its template."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from flask_babel import gettext as _
from sqlalchemy import select
from sqlalchemy.orm import lazyload

from accounts.models import Staff
from core import formats
from core.db import db
from core.events import Event
from feedback import entries, promises, rows
from feedback.actors import staff_id_of
from feedback.models import Case, CaseEntry, EntryKind, Promise, Resolution, RootCause
from feedback.several import REASONS
from incentives.models import Reward, RewardState
from notifications.models import Message

EVENTS_SHOWN: Final = 500
SILENT_KINDS: Final = {  # told by an entry, by a promise's card or by another line
    "case.noted", "case.called", "case.replied", "case.customer_replied", "case.contacted", "promise.made",
    "promise.kept", "promise.late", "promise.renegotiated", "outcome.requested",
}  # fmt: skip


@dataclass(frozen=True)
class Line:
    """Something that happened; `bold` opens it, `rest` goes on."""

    at: datetime
    icon: str
    bold: str
    rest: str = ""
    tone: str = ""
    order: int = 1
    shape: str = "line"


@dataclass(frozen=True)
class Said:
    """An entry: a card with who said it, how and the words."""

    at: datetime
    icon: str
    who: str
    how: str
    entry: CaseEntry
    kind: str = ""
    tone: str = ""
    trouble: str = ""  # why a reply did not reach the customer
    waits: bool = False  # a reply that is about to be sent
    order: int = 2
    shape: str = "said"


@dataclass(frozen=True)
class Promised:
    at: datetime
    promise: Promise
    words: str
    detail: str
    mark: str
    order: int = 3
    shape: str = "promise"


@dataclass(frozen=True)
class Heard:
    """What opened the case."""

    at: datetime
    heading: str
    how: str
    tags: list[str] = field(default_factory=list)
    order: int = 0
    shape: str = "heard"


Item = Line | Said | Promised | Heard


@dataclass(frozen=True)
class Day:
    heading: str
    items: list[Item]


@dataclass(frozen=True)
class Known:
    """The rows that a case's events name, by id."""

    staff: Mapping[int, Staff]
    causes: Mapping[int, RootCause]
    rewards: Mapping[int, Reward]
    messages: Mapping[int, Message]
    anew: Mapping[int, Event]  # by the promise that was agreed anew
    done: Mapping[datetime, str]  # what was done to resolve it, by when


@dataclass(frozen=True)
class Thread:
    days: list[Day]
    last_entry_id: int
    promises: list[Promise]
    undecided: list[Reward]  # goodwill that waits for a second person


def thread_of(case: Case, *, now: datetime) -> Thread:
    """Return a case's thread by days; eight statements at most, whatever its length (the last 500 events)."""
    said, promised, events = entries.of(case.id), promises.of(case.id), _events(case.id)
    known = _known(case, said, promised, events)
    items: list[Item] = [
        _heard(case),
        *(_said(entry, case, known) for entry in said),
        *(_promised(promise, case, known, now) for promise in promised),
        *(line for event in events if (line := _line(event, known, now)) is not None),
    ]
    items.sort(key=lambda item: (item.at, item.order))
    undecided = [reward for reward in known.rewards.values() if _is_undecided(reward, case)]
    return Thread(_days(items, now), case.last_entry_id, promised, undecided)


def _is_undecided(reward: Reward, case: Case) -> bool:
    return reward.state == RewardState.WAITING and reward.case_id == case.id


def _events(case_id: int) -> list[Event]:
    newest = (
        select(Event).where(Event.case_id == case_id).order_by(Event.at.desc(), Event.id.desc()).limit(EVENTS_SHOWN)
    )
    return list(db.session.scalars(newest))[::-1]


def _known(case: Case, said: Sequence[CaseEntry], promised: Sequence[Promise], events: Sequence[Event]) -> Known:
    staff_ids = {staff_id_of(event.actor) for event in events} | {event.data.get("staff") for event in events}
    staff_ids |= {promise.keeper_id for promise in promised}
    staff_ids |= {staff_id_of(promise.made_by) for promise in promised}
    return Known(
        staff=_by_id(Staff, staff_ids),
        causes=_by_id(RootCause, {event.data.get("cause") for event in events}),
        rewards={reward.id: reward for reward in db.session.scalars(_rewards(case))},
        messages=_by_id(Message, {entry.message_id for entry in said}),
        anew={event.data["promise"]: event for event in events if event.kind == "promise.renegotiated"},
        done=_done(case) if any(event.kind == "case.resolved" for event in events) else {},
    )


def _done(case: Case) -> dict[datetime, str]:
    written = select(Resolution.at, Resolution.words).where(Resolution.case_id == case.id, Resolution.words != "")
    return {row.at: row.words for row in db.session.execute(written)}


def _rewards(case: Case) -> Any:
    """Return the rewards of a case; those of one that was merged lie with the case they went to."""
    return select(Reward).where(Reward.case_id.in_([case.id, case.merged_into_id or case.id]))


def _by_id(model: Any, ids: Iterable[Any]) -> dict[int, Any]:
    wanted = {each for each in ids if isinstance(each, int)}
    if not wanted:
        return {}
    query = select(model).where(model.id.in_(wanted))
    if model is Staff:
        query = query.options(lazyload(Staff.roles))
    return {row.id: row for row in db.session.scalars(query)}


def _heard(case: Case) -> Heard:
    place = case.touchpoint.name if case.touchpoint else ""
    heading = {"complaint": _("Complaint"), "hand": _("Told to us"), "silent": _("Fell silent")}.get(
        case.origin, _("Survey answer")
    )
    tags = [rows.humanised(code).capitalize() for code in case.why]
    how = _("after %(touchpoint)s", touchpoint=place) if place and case.origin == "answer" else place
    return Heard(case.opened_at, heading, how, tags)


def _said(entry: CaseEntry, case: Case, known: Known) -> Said:
    name = entry.staff.first_name if entry.staff else _("Somebody")
    customer = rows.name_of(case) if case.customer is None else case.customer.first_name or rows.name_of(case)
    if entry.kind == EntryKind.CUSTOMER:
        return Said(entry.at, "mail", _("%(name)s wrote", name=customer), _("on the case page"), entry, kind="in")
    if entry.kind == EntryKind.CALL:
        return _called(entry, name, customer)
    if entry.kind == EntryKind.REPLY:
        message = known.messages.get(entry.message_id or 0)
        who = _("%(name)s wrote to %(customer)s", name=name, customer=customer)
        return Said(entry.at, "mail", who, _("by e-mail"), entry, trouble=_trouble(message), waits=_waits(message))
    return Said(entry.at, "form", _("%(name)s noted", name=name), _("for the team only"), entry, kind="note")


def _called(entry: CaseEntry, name: str, customer: str) -> Said:
    how = _("reached") if entry.reached else _("not reached")
    if entry.minutes:
        how = _("%(minutes)s min, %(how)s", minutes=formats.digits(entry.minutes), how=how)
    who = _("%(name)s called %(customer)s", name=name, customer=customer)
    return Said(entry.at, "phone", who, how, entry, tone="fern" if entry.reached else "")


def _trouble(message: Message | None) -> str:
    if message is None:
        return _("This reply was not sent.")
    return {
        "suppressed": _("This reply was not sent: the address must not be written to."),
        "bounced": _("This reply came back: the address does not take mail."),
        "dropped": _("This reply was not delivered: the mail provider refused the address."),
        "failed": _("This reply was not sent. An administrator can see why."),
        "uncertain": _("We don’t know yet whether this reply went out."),
    }.get(str(message.state), "")


def _waits(message: Message | None) -> bool:
    return message is not None and message.state == "created"


def _promised(promise: Promise, case: Case, known: Known, now: datetime) -> Promised:
    words = _(
        "%(promise)s by %(time)s", promise=rows.promise_words(promise, case), time=formats.by_when(promise.due_at, now)
    )
    mark = formats.left(promise.due_at, now) if promise.state == "open" else ""
    if promise.state == "renegotiated" and promise.replaced_by_id is None:
        mark = _("No longer needed")
    return Promised(promise.made_at, promise, words, _about(promise, case, known, now), mark)


def _by_itself(case: Case) -> str:
    if case.origin == "answer":
        return _("Promised by the survey page.")
    return _("Promised when the case was opened.")


def _about(promise: Promise, case: Case, known: Known, now: datetime) -> str:
    maker = known.staff.get(staff_id_of(promise.made_by) or 0)
    said = _("Promised by %(name)s.", name=maker.first_name) if maker else _by_itself(case)
    keeper = known.staff.get(promise.keeper_id or 0)
    if promise.state == "open" and keeper is not None:
        said += " " + _("%(name)s keeps it.", name=keeper.first_name)
    if promise.ended_at is not None and promise.state in ("kept", "late"):
        early = promise.due_at - promise.ended_at
        length = formats.duration(early)
        said += " " + (
            _("Kept %(time)s early.", time=length) if promise.state == "kept" else _("Kept %(time)s late.", time=length)
        )
    return said + _about_change(known.anew.get(promise.id), known)


def _about_change(event: Event | None, known: Known) -> str:
    """Return who agreed on another time, and why."""
    if event is None:
        return ""
    who = known.staff.get(staff_id_of(event.actor) or 0)
    said = " " + _("Agreed anew by %(name)s.", name=who.first_name) if who else ""
    why = promises.WHY_ANEW.get(str(event.data.get("because")))
    return f"{said} {why}." if why else said


def _line(event: Event, known: Known, now: datetime) -> Line | None:
    if event.kind in SILENT_KINDS:
        return None
    who = known.staff.get(staff_id_of(event.actor) or 0)
    say = LINES.get(event.kind)
    if say is None:
        return None
    icon, tone, words = say(event, who.first_name if who else "", known)
    return Line(event.at, icon, words[0], words[1], tone)


Telling = tuple[str, str, tuple[str, str]]


def _opened(event: Event, who: str, known: Known) -> Telling:
    if who:
        return "mend", "", (_("Case opened"), _("by %(name)s.", name=who))
    rule = str(event.data.get("policy") or "")
    return "mend", "", (_("Case opened"), _("by the rule “%(rule)s”.", rule=rule) if rule else "")


def _assigned(event: Event, who: str, known: Known) -> Telling:
    to = known.staff.get(event.data.get("staff") or 0)
    name = to.first_name if to else _("somebody")
    if event.data.get("how") == "claimed":
        return "people", "", (_("%(name)s took the case.", name=name), "")
    return "people", "", (_("Given to %(name)s", name=name), _("by %(name)s.", name=who) if who else "")


def _resolved(event: Event, who: str, known: Known) -> Telling:
    cause, done = known.causes.get(event.data.get("cause") or 0), known.done.get(event.at)
    words = _("by %(name)s. Root cause: %(cause)s.", name=who, cause=cause.name if cause else "–")
    return "check", "fern", (_("Resolved"), f"{words} {_('“%(words)s”', words=done)}" if done else words)


def _reopened(event: Event, who: str, known: Known) -> Telling:
    why = {
        "not_fixed": _("the customer says it is not fixed."),
        "outcome": _("the customer’s second answer was still unhappy."),
        "broken_promise": _("a promise was broken."),
        "customer_replied": _("the customer wrote again."),
    }.get(str(event.data.get("because")), _("by %(name)s.", name=who) if who else "")
    return "return", "ember", (_("Opened again:"), why)


def _outcome(event: Event, who: str, known: Known) -> Telling:
    score = formats.digits(event.data.get("score", "–"))
    tone = "" if event.data.get("won_back") else "ember"
    return "form", tone, (_("Asked again, the customer answers %(score)s.", score=score), "")


def _rewarded(event: Event, who: str, known: Known) -> Telling:
    reward = known.rewards.get(event.data.get("reward") or event.data.get("reward_id") or 0)
    if reward is None:
        return "gift", "", (_("Goodwill given"), "")
    amount = formats.money(reward.amount_minor, reward.currency)
    words = _("“%(words)s”", words=reward.words) if reward.words else ""
    return (
        "gift",
        "",
        (_("%(amount)s goodwill", amount=amount), f"{_('by %(name)s.', name=who) if who else ''} {words}".strip()),
    )


def _asked_for(event: Event, who: str, known: Known) -> Telling:
    reward = known.rewards.get(event.data.get("reward") or 0)
    amount = formats.money(reward.amount_minor, reward.currency) if reward else ""
    words = _("“%(words)s”", words=reward.words) if reward and reward.words else ""
    rest = _("by %(name)s. A second person must agree.", name=who)
    return "gift", "", (_("%(amount)s goodwill asked for", amount=amount), f"{rest} {words}".strip())


def _merged(event: Event, who: str, known: Known) -> Telling:
    number = f"AM-{event.data.get('number')}"
    return "mend", "", (_("Merged into %(number)s", number=number), _("by %(name)s.", name=who))


def _merged_from(event: Event, who: str, known: Known) -> Telling:
    number = f"AM-{event.data.get('number')}"
    return "mend", "", (_("%(number)s was merged into this case", number=number), _("by %(name)s.", name=who))


def _closed(event: Event, who: str, known: Known) -> Telling:
    why = {
        "won_back": _("won back."),
        "silent": _("the customer did not answer."),
        "nobody_to_ask": _("there is nobody to ask."),
        "erased": _("the customer’s record was erased."),
    }.get(str(event.data.get("because")), "")
    return "check", "", (_("Closed:") if why else _("Closed."), why)


def _planned(event: Event, who: str, known: Known) -> Telling:
    if not event.data.get("at"):
        return "clock", "", (_("No time of its own any more"), _("by %(name)s.", name=who))
    at = datetime.fromisoformat(str(event.data["at"]))
    why = REASONS.get(str(event.data.get("because")), "")
    title = _("To be looked at again %(time)s", time=f"{formats.day(at)}, {formats.time(at)}")
    return "clock", "", (title, f"{_('by %(name)s.', name=who)} {why}.".strip() if why else _("by %(name)s.", name=who))


def _prioritised(event: Event, who: str, known: Known) -> Telling:
    words = {"urgent": _("Urgent from here"), "high": _("High priority from here")}
    title = words.get(str(event.data.get("is")), _("Normal priority from here"))
    return "alert", "", (title, _("by %(name)s.", name=who))


def _cause_found(event: Event, who: str, known: Known) -> Telling:
    cause = known.causes.get(event.data.get("cause") or 0)
    return "return", "", (_("Root cause found:"), f"{cause.name if cause else '–'}, {_('by %(name)s.', name=who)}")


def _simple(icon: str, tone: str, words: Any) -> Any:
    def tell(event: Event, who: str, known: Known) -> Telling:
        return icon, tone, (words(), _("by %(name)s.", name=who) if who else "")

    return tell


LINES: Final[Mapping[str, Any]] = {
    "case.opened": _opened,
    "case.assigned": _assigned,
    "case.planned": _planned,
    "case.prioritised": _prioritised,
    "case.moved": _simple("people", "", lambda: _("Moved to another team’s queue")),
    "case.cause_found": _cause_found,
    "case.released": _simple("people", "", lambda: _("Put back for anybody to take")),
    "case.link_stopped": _simple("cross", "", lambda: _("The customer’s link was stopped")),
    "case.link_opened": _simple("check", "", lambda: _("The customer’s link works again")),
    "case.waiting": _simple("clock", "", lambda: _("Waiting for the customer")),
    "case.fixed": _simple("check", "fern", lambda: _("The customer says it is fixed.")),
    "case.not_fixed": _simple("alert", "ember", lambda: _("The customer says it is not fixed.")),
    "complaint.confirmed": _simple("mail", "fern", lambda: _("The customer confirmed their e-mail address.")),
    "case.brought_to_desk": _simple("mend", "", lambda: _("Brought to the desk")),
    "case.resolved": _resolved,
    "case.reopened": _reopened,
    "case.customer_merged": _simple("people", "", lambda: _("The customer’s two records became one")),
    "case.merged": _merged,
    "case.merged_from": _merged_from,
    "case.won_back": _simple("mend", "", lambda: _("Won back.")),
    "case.closed": _closed,
    "clock.breached": _simple("alert", "ember", lambda: _("A deadline passed.")),
    "promise.broken": _simple("alert", "ember", lambda: _("A promise was broken.")),
    "outcome.asked": _simple("form", "", lambda: _("The customer was asked again.")),
    "outcome.answered": _outcome,
    "outcome.silent": _simple("form", "", lambda: _("The customer did not answer when asked again.")),
    "reward.issued": _rewarded,
    "goodwill.asked": _asked_for,
    "goodwill.approved": _simple("check", "fern", lambda: _("Goodwill agreed to")),
    "goodwill.declined": _simple("cross", "", lambda: _("Goodwill declined")),
}


def _days(items: Sequence[Item], now: datetime) -> list[Day]:
    found: dict[Any, list[Item]] = {}
    for item in items:
        found.setdefault(formats.local(item.at).date(), []).append(item)
    today = formats.local(now).date()
    return [Day(_heading(day, today), said) for day, said in found.items()]


def _heading(day: Any, today: Any) -> str:
    if day == today:
        return _("Today, %(day)s", day=formats.day(day, "long"))
    return formats.day(day, "long" if day.year == today.year else "full")
