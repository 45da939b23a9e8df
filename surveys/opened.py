"""What a customer's link opens: everything the survey page needs, found by one indexed query."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, NamedTuple, cast

from sqlalchemy import Table, bindparam, func, select

from core.db import db, written
from core.prepared import Prepared
from customers.models import Brand, Customer, Interaction, Touchpoint
from feedback.models import Case
from incentives.models import Reward, RewardState
from surveys.models import Invitation, InvitationRule, InvitationState, Survey
from surveys.versions import current_id_of

COMING = (RewardState.RESERVED, RewardState.ISSUED)  # a reward that was released is promised no more
OPEN_STATES = (InvitationState.WAITING, InvitationState.SENT)


@dataclass(frozen=True)
class Face:
    """What of a brand a public page shows; the pages' unchanging parts are kept per face, so a change shows at once."""

    key: str
    name: str
    phone: str | None
    phone_hours: str | None
    reply_address: str | None
    privacy_url: str | None


class Firm(NamedTuple):
    """Of a brand what a policy judges, and by which hours its cases are worked."""

    id: int
    key: str
    zone: str
    calendar_id: int


class Person(NamedTuple):
    """Of a customer what a policy judges."""

    id: int
    tier: str | None
    value_minor: int


@dataclass(frozen=True)
class Opened:
    """A link (or, without an invitation, an open form) that can be answered, and for whom."""

    invitation_id: int | None
    public_id: str
    state: str
    expires_at: datetime | None
    survey_id: int
    version_id: int
    brand_id: int
    face: Face
    zone: str
    calendar_id: int
    language: str
    channel: str
    touchpoint_id: int | None = None
    phrases: Mapping[str, str] | None = None
    interaction_id: int | None = None
    occurred_at: datetime | None = None
    customer_id: int | None = None
    customer_public_id: str | None = None
    customer_name: str | None = None
    email: str | None = None
    phone: str | None = None
    outcome_check_id: int | None = None
    case_number: int | None = None
    first_response_id: int | None = None
    reward_minor: int | None = None
    reward_currency: str | None = None
    partial: Mapping[str, Any] | None = None
    tier: str | None = None
    value_minor: int | None = None
    erased_at: datetime | None = None  # of the customer's record

    def can_be_answered(self, now: datetime) -> bool:
        return self.state in OPEN_STATES and (self.expires_at is None or now < self.expires_at)

    @property
    def was_answered(self) -> bool:
        return self.state == InvitationState.ANSWERED

    @property
    def reachable(self) -> frozenset[str]:
        """The ways in which this customer can be contacted."""
        return frozenset(way for way, address in (("phone", self.phone), ("email", self.email)) if address)

    def people(self) -> tuple[Firm, Person | None]:
        """Return what of brand and customer opening a case needs."""
        firm = Firm(self.brand_id, self.face.key, self.zone, self.calendar_id)
        if self.customer_id is None:
            return firm, None
        return firm, Person(self.customer_id, self.tier, self.value_minor or 0)

    @property
    def first_name(self) -> str:
        return (self.customer_name or "").split(" ")[0]


_FACE = (Brand.key, Brand.name, Brand.phone, Brand.phone_hours, Brand.reply_address, Brand.privacy_url)
_FACE_COLUMNS = tuple(f"brand_{column.key}" for column in _FACE)
# The page's query is made of tables, once: a statement of mapped classes, put together anew for each page, costs more
# than PostgreSQL needs to answer it.
_link, _survey, _place, _brand = (cast(Table, each.__table__) for each in (Invitation, Survey, Touchpoint, Brand))
_event, _person, _case, _reward = (cast(Table, each.__table__) for each in (Interaction, Customer, Case, Reward))
BY_LINK = (
    select(
        _link.c.id.label("invitation_id"),
        _link.c.public_id,
        _link.c.state,
        _link.c.expires_at,
        _link.c.survey_id,
        _link.c.version_id,
        _link.c.language,
        _link.c.channel,
        _link.c.touchpoint_id,
        _link.c.interaction_id,
        _link.c.customer_id,
        _link.c.outcome_check_id,
        _link.c.partial,
        *(_brand.c[name].label(f"brand_{name}") for name in ("id", "zone", *(column.key for column in _FACE))),
        _place.c.phrases,
        _event.c.occurred_at,
        _person.c.public_id.label("customer_public_id"),
        _person.c.name.label("customer_name"),
        _person.c.email,
        _person.c.phone,
        _person.c.tier,
        _person.c.value_minor,
        _person.c.erased_at,
        _brand.c.calendar_id,
        _case.c.number.label("case_number"),
        _case.c.response_id.label("first_response_id"),
        _reward.c.amount_minor.label("reward_minor"),
        _reward.c.currency.label("reward_currency"),
    )
    .select_from(
        _link.join(_survey, _survey.c.id == _link.c.survey_id)
        .outerjoin(_place, _place.c.id == _link.c.touchpoint_id)
        .join(_brand, _brand.c.id == func.coalesce(_place.c.brand_id, _survey.c.brand_id))
        .outerjoin(_event, _event.c.id == _link.c.interaction_id)
        .outerjoin(_person, _person.c.id == _link.c.customer_id)
        .outerjoin(_case, _case.c.id == _link.c.case_id)
        .outerjoin(_reward, (_reward.c.id == _link.c.reward_id) & written(_reward.c.state, COMING))
    )
    .where(_link.c.public_id == bindparam("link"))
)
_FIND = Prepared(BY_LINK)
_BY_TOUCHPOINT = (
    select(
        Touchpoint.id.label("touchpoint_id"),
        Touchpoint.phrases,
        Survey.id.label("survey_id"),
        current_id_of(Survey.id).label("version_id"),
        Brand.language,
        Brand.calendar_id,
        *(column.label(f"brand_{column.key}") for column in (Brand.id, Brand.zone, *_FACE)),
    )
    .join(InvitationRule, InvitationRule.touchpoint_id == Touchpoint.id)
    .join(Survey, Survey.id == InvitationRule.survey_id)
    .join(Brand, Brand.id == Touchpoint.brand_id)
    .where(Touchpoint.archived_at.is_(None))
)


def by_link(public_id: str) -> Opened | None:
    """Return what an invitation's link opens, in whatever state it is, in one statement and outside a transaction."""
    found = _FIND.alone(link=public_id)
    return of_columns(found[0]._asdict()) if found else None


def by_touchpoint(key: str) -> Opened | None:
    """Return the open form of a touchpoint: its survey without an invitation and without a customer. One statement."""
    row: Any = db.session.execute(_BY_TOUCHPOINT.where(Touchpoint.key == key)).one_or_none()
    if row is None or row.version_id is None:
        return None
    nobody = {"invitation_id": None, "public_id": "", "state": InvitationState.SENT, "expires_at": None}
    return of_columns({**row._mapping, **nobody, "channel": "link"})


def spoken(place: Opened, language: str) -> Opened:
    """Return the same in the language that its reader chose."""
    return replace(place, language=language)


def of_columns(row: dict[str, Any]) -> Opened:
    """Make it of a row's columns; those of the brand begin with brand_."""
    face = Face(*(row.pop(name) for name in _FACE_COLUMNS))
    return Opened(face=face, zone=row.pop("brand_zone"), **row)
