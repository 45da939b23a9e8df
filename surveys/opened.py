"""What a customer's link opens: everything the survey page needs, found by one indexed query."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Row, func, select

from core.db import db
from customers.models import Brand, Customer, Interaction, Touchpoint
from feedback.models import Case
from incentives.models import Reward
from surveys.models import Invitation, InvitationRule, InvitationState, Survey
from surveys.versions import current_id_of

OPEN_STATES = (InvitationState.WAITING, InvitationState.SENT)


@dataclass(frozen=True)
class Face:
    """What of a brand a public page shows; the pages' unchanging parts are kept per face, so a change shows at once."""

    key: str
    name: str
    phone: str | None
    phone_hours: str | None
    privacy_url: str | None


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
    calendar_id: int | None = None
    tier: str | None = None
    value_minor: int | None = None
    brand: Brand | None = None  # whole rows only where a case may be opened
    customer: Customer | None = None

    def can_be_answered(self, now: datetime) -> bool:
        return self.state in OPEN_STATES and (self.expires_at is None or now < self.expires_at)

    @property
    def was_answered(self) -> bool:
        return self.state == InvitationState.ANSWERED

    @property
    def reachable(self) -> frozenset[str]:
        """The ways in which this customer can be contacted."""
        return frozenset(way for way, address in (("phone", self.phone), ("email", self.email)) if address)

    @property
    def first_name(self) -> str:
        return (self.customer_name or "").split(" ")[0]


_FACE = (Brand.key, Brand.name, Brand.phone, Brand.phone_hours, Brand.privacy_url)
_BY_LINK = (
    select(
        Invitation.id.label("invitation_id"),
        Invitation.public_id,
        Invitation.state,
        Invitation.expires_at,
        Invitation.survey_id,
        Invitation.version_id,
        Invitation.language,
        Invitation.channel,
        Invitation.touchpoint_id,
        Invitation.interaction_id,
        Invitation.customer_id,
        Invitation.outcome_check_id,
        Invitation.partial,
        *(column.label(f"brand_{column.key}") for column in (Brand.id, Brand.zone, *_FACE)),
        Touchpoint.phrases,
        Interaction.occurred_at,
        Customer.public_id.label("customer_public_id"),
        Customer.name.label("customer_name"),
        Customer.email,
        Customer.phone,
        Customer.tier,
        Customer.value_minor,
        Brand.calendar_id,
        Case.number.label("case_number"),
        Case.response_id.label("first_response_id"),
        Reward.amount_minor.label("reward_minor"),
        Reward.currency.label("reward_currency"),
    )
    .join(Survey, Survey.id == Invitation.survey_id)
    .outerjoin(Touchpoint, Touchpoint.id == Invitation.touchpoint_id)
    .join(Brand, Brand.id == func.coalesce(Touchpoint.brand_id, Survey.brand_id))
    .outerjoin(Interaction, Interaction.id == Invitation.interaction_id)
    .outerjoin(Customer, Customer.id == Invitation.customer_id)
    .outerjoin(Case, Case.id == Invitation.case_id)
    .outerjoin(Reward, Reward.id == Invitation.reward_id)
)
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


def by_link(public_id: str, *, to_answer: bool = False) -> Opened | None:
    """Return what an invitation's link opens, in whatever state it is, in one statement.

    `to_answer` brings the brand's and the customer's whole rows along, which opening a case needs.
    """
    query = _BY_LINK.add_columns(Brand, Customer) if to_answer else _BY_LINK
    row = db.session.execute(query.where(Invitation.public_id == public_id)).one_or_none()
    return _opened(row) if row else None


def by_touchpoint(key: str, *, to_answer: bool = False) -> Opened | None:
    """Return the open form of a touchpoint: its survey without an invitation and without a customer. One statement."""
    query = _BY_TOUCHPOINT.add_columns(Brand) if to_answer else _BY_TOUCHPOINT
    row = db.session.execute(query.where(Touchpoint.key == key)).one_or_none()
    if row is None or row.version_id is None:
        return None
    return _opened(row, invitation_id=None, public_id="", state=InvitationState.SENT, expires_at=None, channel="link")


def spoken(place: Opened, language: str) -> Opened:
    """Return the same in the language that its reader chose."""
    return replace(place, language=language)


def _opened(row: Row[Any], **more: Any) -> Opened:
    values = {str(name).lower(): value for name, value in row._mapping.items()} | more
    brand = {name: values.pop(name) for name in list(values) if name.startswith("brand_")}
    face = Face(**{column.key: brand[f"brand_{column.key}"] for column in _FACE})
    return Opened(face=face, brand_id=brand["brand_id"], zone=brand["brand_zone"], **values)
