"""What the thank-you page says: who acts next and by when, the case's number, the reward; it says so again later."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import joinedload

from core.db import db
from feedback.models import Case, Promise, PromiseState
from incentives.models import Reward
from surveys import pages, scoring
from surveys.models import Invitation, Response
from surveys.opened import Opened


@dataclass(frozen=True)
class Thanks:
    """All that the page needs; `promise` is the contact that is still to come."""

    opened: Opened
    profile: str | None  # negative, neutral or positive
    is_outcome: bool
    wants: str
    case: Case | None
    promise: Promise | None
    reward: Reward | None
    now: datetime

    @property
    def name(self) -> str:
        return self.opened.first_name

    @property
    def phone(self) -> str:
        return pages.masked_phone(self.opened.phone) if self.opened.phone else ""

    @property
    def keeper_name(self) -> str:
        """The first name of whoever takes care; empty for the team."""
        keeper = self.case.assignee if self.case else None
        return keeper.name.split(" ")[0] if keeper else ""

    @property
    def keeper_initials(self) -> str:
        keeper = self.case.assignee if self.case else None
        return keeper.initials if keeper else ""


def of_link(opened: Opened, *, now: datetime) -> Thanks | None:
    """Return what to say to whoever answered this link; None while nobody has."""
    response = db.session.scalar(select(Response).where(Response.invitation_id == opened.invitation_id))
    return _thanks(opened, response, now=now) if response else None


def of_form(opened: Opened, form_key: str, *, now: datetime) -> Thanks | None:
    """The same for an open form, by the key of the form that was sent; there is no customer to tell more."""
    response = db.session.scalar(select(Response).where(Response.form_key == form_key))
    return _thanks(opened, response, now=now) if response else None


def _thanks(opened: Opened, response: Response, *, now: datetime) -> Thanks:
    band = None
    if response.metric and response.score is not None:
        band = str(scoring.band(response.metric, response.score))
    is_outcome = response.outcome_check_id is not None
    case = _case_of(response, opened)
    return Thanks(
        opened=opened,
        profile=band,
        is_outcome=is_outcome,
        wants=response.contact or "none",
        case=case,
        promise=_contact(case) if case and not is_outcome else None,
        reward=_reward(opened),
        now=now,
    )


def _case_of(response: Response, opened: Opened) -> Case | None:
    """Return the case that this answer opened, or for an outcome check the one it was about."""
    query = select(Case).options(joinedload(Case.assignee))
    if response.outcome_check_id is None:
        return db.session.scalar(query.where(Case.reason == f"response:{response.id}"))
    if opened.case_number is None:
        return None
    return db.session.scalar(query.where(Case.number == opened.case_number))


def _contact(case: Case) -> Promise | None:
    return db.session.scalar(
        select(Promise)
        .where(Promise.case_id == case.id, Promise.kind == "contact", Promise.state == PromiseState.OPEN)
        .order_by(Promise.id.desc())
        .limit(1)
    )


def _reward(opened: Opened) -> Reward | None:
    if opened.invitation_id is None or opened.reward_minor is None:
        return None
    return db.session.scalar(
        select(Reward)
        .join(Invitation, Invitation.reward_id == Reward.id)
        .where(Invitation.id == opened.invitation_id)
        .options(joinedload(Reward.programme))
    )
