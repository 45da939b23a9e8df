"""What customers read about their case: the sentences that its page, the thank-you page and mails share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from flask import current_app
from flask_babel import LazyString
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import ngettext as _n

from core import formats, i18n, tokens
from core.config import Config
from feedback.models import Case, CaseEntry, CaseState, EntryKind, Promise, PromiseState
from incentives.models import Reward

OUTCOMES = {
    PromiseState.OPEN: _l("Open"),
    PromiseState.KEPT: _l("Kept"),
    PromiseState.LATE: _l("Kept late"),
    PromiseState.BROKEN: _l("Not kept"),
    PromiseState.RENEGOTIATED: _l("Agreed anew"),
}


def case_url(case: Case) -> str:
    """Return the private address of a case's page for its customer."""
    config: Config = current_app.extensions["config"]
    return f"{config.base_url}/c/{tokens.sign('case', case.public_id)}"


def contact_words(wants: str) -> str:
    """Return what a customer is told will happen first, without the time."""
    if wants == "phone":
        return _("A person from our team calls you")
    return _("A person from our team writes to you")


def title(case: Case) -> str:
    """Return the heading of a case for its customer, in the language that is spoken."""
    if case.summary:
        return case.summary
    phrases = case.touchpoint.phrases if case.touchpoint else {}
    phrase = phrases.get(i18n.language()) or phrases.get("en")
    return _("What went wrong with %(occasion)s", occasion=phrase) if phrase else _("What went wrong")


def what(promise: Promise, case: Case) -> str:
    """Return a promise's words; those of a first contact in the language that is spoken."""
    return contact_words(case.wants) if promise.kind == "contact" else promise.words


def by_when(promise: Promise, case: Case, now: datetime) -> str:
    """Return a promise as one sentence: "A person from our team calls you by 16:00 today"."""
    return _("%(promise)s by %(time)s", promise=what(promise, case), time=formats.by_when(promise.due_at, now))


@dataclass(frozen=True)
class Step:
    """What happens next, and who sees to it."""

    kicker: str
    words: str
    detail: str = ""
    initials: str = ""


@dataclass(frozen=True)
class Told:
    """One line of what we promised and what happened; `state` kept, open, broken or "" picks its look."""

    at: datetime
    words: str
    state: str = ""
    mark: str = ""
    detail: str = ""
    voice: str = ""
    language: str = ""


SAID: Final[Mapping[str, LazyString]] = {
    "case.fixed": _l("You told us that it is fixed"),
    "case.not_fixed": _l("You told us that it isn’t fixed"),
    "case.won_back": _l("You told us that all is well"),
}
"""What a customer tells by a button, by the kind of its event."""

LOOKS = {
    PromiseState.OPEN: "open",
    PromiseState.KEPT: "kept",
    PromiseState.LATE: "kept",
    PromiseState.BROKEN: "broken",
    PromiseState.RENEGOTIATED: "",
}


def next_step(case: Case, promises: Sequence[Promise], *, now: datetime) -> Step:
    """Return what a customer can count on now."""
    waiting = sorted((each for each in promises if each.state == PromiseState.OPEN), key=lambda each: each.due_at)
    if waiting:
        first = waiting[0]
        keeper = first.keeper or case.assignee
        kicker = _("%(name)s’s promise to you", name=keeper.first_name) if keeper else _("Our promise to you")
        day = formats.day(first.due_at, "long")
        return Step(kicker, by_when(first, case, now), day, keeper.initials if keeper else "")
    if case.state == CaseState.WAITING:
        return Step(_("It is your turn"), _("We wait for your answer"), _("You can write it below."))
    if case.state == CaseState.CLOSED:
        words = _("You told us that all is well") if case.won_back_at else _("This case is closed")
        return Step(_("Where it stands"), words, _("If it isn’t over for you, write to us below."))
    if case.state == CaseState.RESOLVED and case.fixed_at is not None:
        return Step(
            _("Where it stands"), _("You told us that it is fixed"), _("If it isn’t over for you, write to us below.")
        )
    if case.state == CaseState.RESOLVED:
        return Step(_("Where it stands"), _("We think that it is put right"), _("But only you can say so."))
    who = case.assignee.first_name if case.assignee else None
    words = _("%(name)s looks after your case", name=who) if who else _("Our team looks after your case")
    missed = any(each.state == PromiseState.BROKEN for each in promises)
    detail = _("We didn’t do it in time. That was our mistake.") if missed else ""
    return Step(_("Where it stands"), words, detail, initials=case.assignee.initials if case.assignee else "")


def timeline(
    case: Case,
    promises: Sequence[Promise],
    entries: Sequence[CaseEntry],
    rewards: Sequence[Reward],
    *,
    said: Sequence[tuple[str, datetime]],
    files: Mapping[int, Mapping[int | None, int]],
    also: Sequence[Case] = (),
    now: datetime,
) -> list[Told]:
    """Return what we promised and what happened, newest first. Notes and calls' contents stay inside.

    `said` is what the customer told by a button, as (kind of event, moment); `files` by case how many came with an
    entry, or under None with what opened it. `also` are the cases merged into this one: what the customer told us there
    stands here too.
    """
    told = [_heard(each, files.get(each.id, {}).get(None, 0), now) for each in (case, *also)]
    told += [_promise(each, case, now) for each in promises]
    came_with = {entry_id: count for counts in files.values() for entry_id, count in counts.items()}
    told += [line for each in entries if (line := _entry(each, came_with.get(each.id, 0), now)) is not None]
    told += [_reward(each, now) for each in rewards if each.issued_at is not None]
    told += [Told(at, str(SAID[kind]), detail=formats.moment(at, now)) for kind, at in said]
    # Of one moment, what followed stands above what it followed.
    return sorted(told, key=lambda line: line.at)[::-1]


def _heard(case: Case, files: int, now: datetime) -> Told:
    return Told(
        case.opened_at,
        _("You told us what went wrong"),
        detail=_when(case.opened_at, files, now),
        voice=case.words or "",
        language=case.language,
    )


def _when(at: datetime, files: int, now: datetime) -> str:
    moment = formats.moment(at, now)
    if not files:
        return moment
    attached = _n("with %(num)s file", "with %(num)s files", files)
    return f"{moment} · {attached}"


def _promise(promise: Promise, case: Case, now: datetime) -> Told:
    state = PromiseState(promise.state)
    mark = str(OUTCOMES[state])
    if state is PromiseState.RENEGOTIATED and promise.replaced_by_id is None:
        mark = _("No longer needed")
    if state is PromiseState.KEPT and promise.ended_at is not None:
        mark = _("Kept %(time)s", time=formats.moment(promise.ended_at, now))
    detail = _("Promised %(time)s", time=formats.moment(promise.made_at, now))
    if state is PromiseState.BROKEN:
        detail += ". " + _("We didn’t do it in time. That was our mistake.")
    return Told(promise.made_at, by_when(promise, case, now), LOOKS[state], mark, detail)


def _entry(entry: CaseEntry, files: int, now: datetime) -> Told | None:
    name = entry.staff.first_name if entry.staff else _("Our team")
    when = formats.moment(entry.at, now)
    if entry.kind == EntryKind.CUSTOMER:
        when = _when(entry.at, files, now)
        return Told(entry.at, _("You wrote to us"), detail=when, voice=entry.body or "", language=entry.language or "")
    if entry.kind == EntryKind.REPLY:
        return Told(entry.at, _("%(name)s wrote to you", name=name), "kept", _("Done"), f"{when}. {entry.body or ''}")
    if entry.kind == EntryKind.CALL:
        words = (
            _("%(name)s rang and spoke with you", name=name)
            if entry.reached
            else _("%(name)s tried to call you", name=name)
        )
        return Told(entry.at, words, "kept" if entry.reached else "", _("Done") if entry.reached else "", when)
    return None


def _reward(reward: Reward, now: datetime) -> Told:
    amount = formats.money(reward.amount_minor, reward.currency)
    at = reward.issued_at or reward.created_at
    detail = _("Given %(time)s. It isn’t a condition of anything.", time=formats.moment(at, now))
    return Told(at, _("%(amount)s from us", amount=amount), "kept", _("Done"), detail)


def works_until(case: Case, *, link_days: int) -> datetime | None:
    """Return until when a customer's link works once the case is closed; None while it is open."""
    return case.closed_at + timedelta(days=link_days) if case.closed_at else None
