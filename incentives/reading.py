"""What the pages of incentives say: programmes, gestures, the ledger and the history, in the reader's words."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from flask_babel import gettext as _
from flask_babel import ngettext as _n
from sqlalchemy import select

from accounts.models import Staff
from core.db import db
from core.events import Event
from core.formats import amount, day, local, money, number
from customers.models import Customer
from incentives import budgets, cases
from incentives.budgets import Pace
from incentives.cases import CaseName
from incentives.ledger import Kind, Line
from incentives.models import Fulfilment, Programme, ProgrammeState, Reward, RewardState, Trigger

TONES = {ProgrammeState.RUNNING: "fern", ProgrammeState.PAUSED: "ember"}


@dataclass(frozen=True)
class Entry:
    """A programme in the list."""

    public_id: str
    name: str
    state: str
    tone: str
    what: str
    money: str
    bar: list[tuple[float, str]]
    current: bool


@dataclass(frozen=True)
class Row:
    """A line of the ledger as the table shows it; amounts are text, "" where nothing moved."""

    at: datetime
    what: str
    case: CaseName | None
    customer: Customer | None
    by: str
    reserved: str
    spent: str
    left: str


@dataclass(frozen=True)
class Gesture:
    """Goodwill that waits for a second person."""

    reward: Reward
    title: str
    words: str
    giver: str
    at: datetime
    worth: str  # what the customer is worth so far, or ""
    case: CaseName | None
    is_own: bool  # the reader asked for it, and cannot decide


def state_name(programme: Programme) -> str:
    return {
        ProgrammeState.DRAFT: _("Draft"),
        ProgrammeState.RUNNING: _("Running"),
        ProgrammeState.PAUSED: _("Paused"),
        ProgrammeState.ENDED: _("Ended"),
    }[ProgrammeState(programme.state)]


def entries(programmes: Sequence[Programme], *, current: Programme | None) -> list[Entry]:
    """Return the list of programmes at the page's start."""
    return [_entry(programme, current=programme is current) for programme in programmes]


def _entry(programme: Programme, *, current: bool) -> Entry:
    return Entry(
        public_id=programme.public_id,
        name=programme.name,
        state=state_name(programme),
        tone=TONES.get(ProgrammeState(programme.state), ""),
        what=_what_it_gives(programme),
        money=_what_is_left(programme),
        bar=shares(programme),
        current=current,
    )


def _what_it_gives(programme: Programme) -> str:
    worth = money(programme.reward_minor, programme.currency)
    if programme.state == ProgrammeState.ENDED and programme.ends_at:
        return _("Ended %(day)s", day=day(programme.ends_at, "plain"))
    if programme.trigger == Trigger.GOODWILL:
        return _("Up to %(amount)s, in recovery", amount=worth)
    if programme.fulfilment == Fulfilment.MANUAL:
        return _("%(amount)s credit, any score", amount=worth)
    return _("%(amount)s voucher, any score", amount=worth)


def _what_is_left(programme: Programme) -> str:
    budget, left = (money(minor, programme.currency) for minor in (programme.budget_minor, programme.left_minor))
    if programme.state == ProgrammeState.DRAFT:
        return _("%(amount)s planned", amount=budget)
    if programme.state == ProgrammeState.ENDED:
        spent = money(programme.spent_minor, programme.currency)
        return _("%(spent)s of %(budget)s used", spent=spent, budget=budget)
    return _("%(left)s of %(budget)s left", left=left, budget=budget)


def shares(programme: Programme) -> list[tuple[float, str]]:
    """Return what is spent and what is reserved as shares of the budget, for a bar."""
    whole = programme.budget_minor or 1
    spent_tone = "stone" if programme.state == ProgrammeState.ENDED else ""
    return [(programme.spent_minor / whole, spent_tone), (programme.reserved_minor / whole, "soft")]


def summary(programmes: Iterable[Programme]) -> str:
    """Return what the running programmes spent together, each currency by itself."""
    totals: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for programme in programmes:
        if programme.state == ProgrammeState.RUNNING:
            columns = (programme.spent_minor, programme.budget_minor, programme.reserved_minor)
            totals[programme.currency] = [sum(pair) for pair in zip(totals[programme.currency], columns, strict=True)]
    if not totals:
        return _("No programme is running.")
    said = [_total(currency, minors) for currency, minors in sorted(totals.items())]
    return _("Running: %(amounts)s. Nothing over budget.", amounts="; ".join(said))


def _total(currency: str, minors: list[int]) -> str:
    spent, budget, reserved = (money(minor, currency) for minor in minors)
    return _("%(spent)s of %(budget)s spent, %(reserved)s reserved", spent=spent, budget=budget, reserved=reserved)


def bar_words(programme: Programme) -> str:
    minors = (programme.spent_minor, programme.reserved_minor, programme.left_minor, programme.budget_minor)
    spent, reserved, left, budget = (money(minor, programme.currency) for minor in minors)
    return _(
        "%(spent)s spent, %(reserved)s reserved, %(left)s left of %(budget)s",
        spent=spent,
        reserved=reserved,
        left=left,
        budget=budget,
    )


def pace_words(pace: Pace, *, now: datetime) -> str:
    until = pace.lasts_until
    if until is None:
        return _("Nothing was spent in the last four weeks")
    if until - now > budgets.FORESEEN:
        return _("At this pace it lasts for years")
    form = "plain" if local(until).year == local(now).year else "dated"
    return _("At this pace it lasts until %(day)s", day=day(until, form))


def given_words(count: int, average_minor: int, programme: Programme) -> str:
    """Return "148 gestures, €22 on average"."""
    average = money(round(average_minor, -2) if average_minor >= 1000 else average_minor, programme.currency)
    if programme.trigger == Trigger.GOODWILL:
        words = _n("%(count)s gesture", "%(count)s gestures", count, count=number(count))
    else:
        words = _n("%(count)s reward", "%(count)s rewards", count, count=number(count))
    return _("%(count)s, %(average)s on average", count=words, average=average) if count else words


def who_can_get_it(programme: Programme) -> list[tuple[bool, str]]:
    """Return sentences for whom a programme is, and for whom it is not (False)."""
    is_goodwill = programme.trigger == Trigger.GOODWILL
    first = _("Any customer with a case") if is_goodwill else _("Everybody who answers, whatever the score")
    sentences = [(True, first), *((True, words) for words in _condition_words(programme.conditions))]
    twice = _("Not twice for one form sent twice") if is_goodwill else _("Not twice for the same answer")
    return [*sentences, (False, _("Not for staff accounts")), (False, twice)]


def _condition_words(tree: Mapping[str, object]) -> list[str]:
    if not tree:
        return []
    parts = tree.get("all", [tree])
    names = {"tier": _("tier"), "language": _("language"), "value_minor": _("worth so far in minor units")}
    words = []
    for part in parts if isinstance(parts, list) else []:
        if not isinstance(part, dict) or "field" not in part:
            return [_("Only whom further conditions choose")]
        value = part.get("value", "")
        said = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        relation = "" if part["op"] in {"in", "=="} else f" {part['op']}"
        words.append(
            _(
                "Only with %(field)s%(relation)s: %(values)s",
                field=names.get(part["field"], part["field"]),
                relation=relation,
                values=said,
            )
        )
    return words or [_("Only whom further conditions choose")]


# The ledger


def rows(programme: Programme, lines: Sequence[Line], *, people: Mapping[str, str]) -> list[Row]:
    """Return the ledger's lines as the table shows them; one query names their cases."""
    named = cases.names([line.reward.case_id for line in lines if line.reward])
    return [_row(programme, line, people, named) for line in lines]


def _row(programme: Programme, line: Line, people: Mapping[str, str], named: Mapping[int, CaseName]) -> Row:
    reward = line.reward
    return Row(
        at=line.at,
        what=_what_moved(programme, line),
        case=named.get(reward.case_id) if reward and reward.case_id else None,
        customer=reward.customer if reward else None,
        by=people.get(line.by, _("Amends")),
        reserved=_signed(line.reserved_minor, programme.currency),
        spent=_signed(line.spent_minor, programme.currency),
        left=amount(line.left_minor, programme.currency),
    )


def _signed(minor: int, currency: str) -> str:
    return "" if not minor else ("+" if minor > 0 else "") + amount(minor, currency)


def _what_moved(programme: Programme, line: Line) -> str:
    goodwill = programme.trigger == Trigger.GOODWILL
    if line.kind is Kind.FUNDED:
        signed = money(abs(line.budget_minor), programme.currency)
        words = _("Budget lowered by %(amount)s") if line.budget_minor < 0 else _("Budget raised by %(amount)s")
        return words % {"amount": signed}
    return {
        Kind.RESERVED: _("Waits for approval") if goodwill else _("Reserved"),
        Kind.SPENT: _("Goodwill given") if goodwill else _("Reward sent"),
        Kind.RELEASED: _("Declined") if goodwill else _("Offer lapsed"),
    }[line.kind]


def names_of(actors: Iterable[str]) -> dict[str, str]:
    """Return the names of the staff among these actors, with one query."""
    ids = {int(actor.partition(":")[2]) for actor in actors if actor.startswith("staff:")}
    if not ids:
        return {}
    found = db.session.execute(select(Staff.id, Staff.name).where(Staff.id.in_(ids)))
    return {f"staff:{id_}": name for id_, name in found}


# Gestures and history


def gestures(waiting: Sequence[Reward], *, reader: Staff, people: Mapping[str, str]) -> list[Gesture]:
    """Return what waits for a second person, oldest first; one query names the cases."""
    named = cases.names([reward.case_id for reward in waiting])
    return [_gesture(reward, reader, people, named) for reward in waiting if reward.state == RewardState.WAITING]


def _gesture(reward: Reward, reader: Staff, people: Mapping[str, str], named: Mapping[int, CaseName]) -> Gesture:
    customer = reward.customer
    name = (customer.name if customer else None) or _("a customer")
    is_own = reward.by == f"staff:{reader.id}"
    given = {"amount": money(reward.amount_minor, reward.currency), "name": name}
    title = _("One gesture waits for a second person: %(amount)s for %(name)s", **given)
    if not is_own:
        title = _("One gesture waits for you: %(amount)s for %(name)s", **given)
    worth = ""
    if customer and customer.value_minor and customer.value_currency:
        value = money(round(customer.value_minor, -2), customer.value_currency)
        worth = _("%(name)s is worth %(amount)s so far.", name=customer.first_name or name, amount=value)
    return Gesture(
        reward=reward,
        title=title,
        words=reward.words or "",
        giver=people.get(reward.by, _("Amends")).split(" ")[0],
        at=reward.created_at,
        worth=worth,
        case=named.get(reward.case_id or 0),
        is_own=is_own,
    )


def history_words(event: Event, programme: Programme) -> str:
    """Return what somebody did to a programme."""
    if event.kind == "programme.funded":
        minor = int(event.data.get("amount_minor", 0))
        words = _("lowered the budget by %(amount)s") if minor < 0 else _("raised the budget by %(amount)s")
        return words % {"amount": money(abs(minor), programme.currency)}
    if event.kind == "codes.added":
        count = int(event.data.get("count", 0))
        return _n("uploaded %(count)s code", "uploaded %(count)s codes", count, count=number(count))
    if event.kind == "programme.changed":
        return _("changed %(fields)s", fields=", ".join(dict.fromkeys(map(_field_name, event.data.get("fields", [])))))
    return {
        "programme.created": _("made this programme"),
        "programme.started": _("started it"),
        "programme.paused": _("paused it"),
        "programme.ended": _("ended it"),
    }.get(event.kind, event.kind)


def _field_name(name: str) -> str:
    return {
        "name": _("the name"),
        "reward_minor": _("the amount"),
        "fulfilment": _("the reward"),
        "code_prefix": _("how codes begin"),
        "conditions": _("who can get it"),
        "terms": _("the terms"),
        "starts_at": _("the first day"),
        "ends_at": _("the last day"),
        "valid_days": _("how long it can be used"),
    }.get(name, _("the limits"))
