"""All that happened with a customer, newest first, from all rooms: one statement for each kind, whatever its size."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, literal, or_, select, tuple_
from sqlalchemy.orm import InstrumentedAttribute, joinedload

from core.db import db
from core.events import Event
from customers.models import Customer, Interaction, Touchpoint
from feedback.models import Case, CaseEntry, EntryKind, Promise
from incentives.models import Programme, Reward, RewardState
from notifications.models import Message
from surveys.models import Decision, Invitation, Response, Survey

PAGE: Final = 40
SHOWN: Final = ("all", "interactions", "answers", "cases", "rewards", "messages", "consent")
SHOWN_OTHERWISE: Final = ("invitation", "outcome_check", "case_reply")  # messages that are lines of their own kind
CHOICES: Final = (
    "consent.given",
    "consent.withdrawn",
    "customer.merged",
    "customer.erased",
    "customer.handed_out",
    "complaint.confirmed",
)


@dataclass(frozen=True)
class Line:
    """One thing that happened; `kind` says what else is there.

    interaction (with why nobody was asked about it), asked, answer, contact, case, promise, reward, message, or choice:
    an event of consent or of the record itself.
    """

    kind: str
    at: datetime
    key: int
    interaction: Interaction | None = None
    decision: Decision | None = None
    invitation: Invitation | None = None
    response: Response | None = None
    entry: CaseEntry | None = None
    case: Case | None = None
    promise: Promise | None = None
    reward: Reward | None = None
    message: Message | None = None
    event: Event | None = None


@dataclass(frozen=True, order=True)
class Place:
    """Where a page ends: what happened in one moment is told apart by its kind and its id."""

    at: datetime
    kind: str
    key: int

    def __str__(self) -> str:
        return f"{self.at.isoformat()}~{self.kind}~{self.key}"

    @classmethod
    def read(cls, text: str) -> Place:
        """Read a place from an address. Raises ValueError for anything that is none."""
        at, kind, key = text.split("~")
        place = cls(datetime.fromisoformat(at), kind, int(key))
        if place.at.tzinfo is None or abs(place.key) >= 2**63:
            raise ValueError(text)
        return place


@dataclass(frozen=True)
class _Kind:
    """Lines of one kind: where they come from, whose and when they are, and of which brand; `names` are Line's."""

    name: str
    shown: str
    query: Any  # a statement of the entities that `names` names
    customer: InstrumentedAttribute[Any]
    at: InstrumentedAttribute[Any]
    key: InstrumentedAttribute[int]
    of_brand: Callable[[int], ColumnElement[bool]]
    names: tuple[str, ...]

    def before(self, place: Place) -> ColumnElement[bool]:
        moment = literal(place.at, self.at.type)
        if self.name == place.kind:
            return tuple_(self.at, self.key) < tuple_(moment, literal(place.key))
        return self.at <= moment if self.name < place.kind else self.at < moment


def lines(
    customer: Customer, *, brand_id: int | None = None, shown: str = "all", before: Place | None = None
) -> tuple[list[Line], Place | None]:
    """Return up to 40 things that happened before a place, newest first, and where the next page begins.

    With `brand_id` only what happened with that brand, and what the customer allowed or forbade: that is for all.
    """
    found: list[Line] = []
    for kind in _KINDS:
        if shown not in ("all", kind.shown):
            continue
        query = kind.query.where(kind.customer == customer.id)
        if brand_id is not None:
            query = query.where(kind.of_brand(brand_id))
        if before is not None:
            query = query.where(kind.before(before))
        for row in db.session.execute(query.order_by(kind.at.desc(), kind.key.desc()).limit(PAGE + 1)):
            things = dict(zip(kind.names, row, strict=True))
            found.append(Line(kind.name, getattr(row[0], kind.at.key), row[0].id, **things))
    found.sort(key=_place, reverse=True)
    return found[:PAGE], _place(found[PAGE - 1]) if len(found) > PAGE else None


def _place(line: Line) -> Place:
    return Place(line.at, line.kind, line.key)


def _survey_of(brand_id: int) -> ColumnElement[bool]:
    return Invitation.survey_id.in_(select(Survey.id).where(Survey.brand_id == brand_id))


def _case_of(brand_id: int) -> ColumnElement[bool]:
    return or_(
        Event.case_id.is_(None), select(Case.id).where(Case.id == Event.case_id, Case.brand_id == brand_id).exists()
    )


_KINDS: Final = (
    _Kind(
        "interaction",
        "interactions",
        select(Interaction, Decision)
        .outerjoin(Decision, Decision.interaction_id == Interaction.id)
        .options(joinedload(Interaction.touchpoint)),
        Interaction.customer_id,
        Interaction.occurred_at,
        Interaction.id,
        lambda brand_id: Interaction.touchpoint_id.in_(select(Touchpoint.id).where(Touchpoint.brand_id == brand_id)),
        ("interaction", "decision"),
    ),
    _Kind(
        "asked",
        "answers",
        select(Invitation).where(Invitation.sent_at.is_not(None)),
        Invitation.customer_id,
        Invitation.sent_at,
        Invitation.id,
        _survey_of,
        ("invitation",),
    ),
    _Kind(
        "answer",
        "answers",
        select(Response).options(joinedload(Response.touchpoint)),
        Response.customer_id,
        Response.answered_at,
        Response.id,
        lambda brand_id: Response.brand_id == brand_id,
        ("response",),
    ),
    _Kind(
        "contact",
        "cases",
        select(CaseEntry, Case)
        .join(Case, Case.id == CaseEntry.case_id)
        .where(CaseEntry.kind != EntryKind.NOTE)
        .options(joinedload(CaseEntry.staff)),
        Case.customer_id,
        CaseEntry.at,
        CaseEntry.id,
        lambda brand_id: Case.brand_id == brand_id,
        ("entry", "case"),
    ),
    _Kind(
        "case",
        "cases",
        select(Case).options(joinedload(Case.touchpoint)),
        Case.customer_id,
        Case.opened_at,
        Case.id,
        lambda brand_id: Case.brand_id == brand_id,
        ("case",),
    ),
    _Kind(
        "promise",
        "cases",
        select(Promise, Case).join(Case, Case.id == Promise.case_id),
        Case.customer_id,
        Promise.made_at,
        Promise.id,
        lambda brand_id: Case.brand_id == brand_id,
        ("promise", "case"),
    ),
    _Kind(
        "reward",
        "rewards",
        select(Reward).where(Reward.state == RewardState.ISSUED).options(joinedload(Reward.programme)),
        Reward.customer_id,
        Reward.issued_at,
        Reward.id,
        lambda brand_id: Reward.programme_id.in_(select(Programme.id).where(Programme.brand_id == brand_id)),
        ("reward",),
    ),
    _Kind(
        "message",
        "messages",
        select(Message).where(Message.kind.not_in(SHOWN_OTHERWISE)),
        Message.customer_id,
        Message.created_at,
        Message.id,
        lambda brand_id: Message.brand_id == brand_id,
        ("message",),
    ),
    _Kind(
        "choice",
        "consent",
        select(Event).where(Event.kind.in_(CHOICES)),
        Event.customer_id,
        Event.at,
        Event.id,
        _case_of,
        ("event",),
    ),
)
