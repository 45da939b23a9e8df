"""What becomes of a customer's invitations and answers when their record is erased or merged.

Links end first: whoever answers at this moment holds their link's row, so we wait for them and then clear what they
said, or they come second and find the link taken back.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import ScalarSelect, Text, Update, case, cast, func, literal, null, or_, select, update
from sqlalchemy.dialects.postgresql import JSONB

from core.db import db
from customers.models import Customer
from customers.signals import Erasure, Merge, customer_erased, customer_merged
from incentives import records
from notifications.models import Message, State
from surveys.models import Invitation, InvitationState, Response
from surveys.opened import OPEN_STATES

NEVER_READ: Final = (State.BOUNCED, State.DROPPED, State.SUPPRESSED)
KEPT_ATTRIBUTE: Final = "missing"  # why an imported answer has no score


@customer_erased.connect
def forget(_customer: Customer, *, erasure: Erasure) -> None:
    """Take the links back, return the rewards they advertised, and empty the answers; scores and codes stay."""
    theirs = Invitation.customer_id.in_(erasure.ids)
    db.session.scalars(select(Invitation.id).where(theirs).order_by(Invitation.id).with_for_update()).all()
    is_open = Invitation.state.in_(OPEN_STATES)
    state = case((is_open, InvitationState.REVOKED), else_=Invitation.state)
    _change(update(Invitation).where(theirs).values(state=state, partial=_blanked()))
    records.give_back_all(erasure.ids, by=erasure.by, now=erasure.now)
    _change(
        update(Response)
        .where(Response.customer_id.in_(erasure.ids))
        .values(comment=None, contact=None, attributes=_kept_attributes(), import_key=_neutral_key())
    )


def _blanked() -> ScalarSelect[object]:
    """Keep which questions were answered without what was said: else who broke off is counted as silent."""
    keys = func.jsonb_object_keys(Invitation.partial).column_valued("key")
    blanked = func.coalesce(func.jsonb_object_agg(keys, ""), literal({}, JSONB))
    return select(blanked).scalar_subquery()


def _kept_attributes() -> object:
    missing = Response.attributes[KEPT_ATTRIBUTE]
    return case((missing.is_(None), literal({}, JSONB)), else_=func.jsonb_build_object(KEPT_ATTRIBUTE, missing))


def _neutral_key() -> object:
    """An import's key is made of the cells of its row, which may tell who it was."""
    neutral = literal("erased:").concat(cast(Response.id, Text))
    return case((Response.import_key.is_(None), null()), else_=neutral)


@customer_merged.connect
def move(_kept: Customer, *, merge: Merge) -> None:
    """Give invitations and answers to the record that is kept. What a mail promised stays promised, and nothing beyond
    what one customer may get."""
    for model in (Invitation, Response):
        _change(update(model).where(model.customer_id == merge.gone.id).values(customer_id=merge.kept.id))
    records.keep_caps(merge.kept, promised=_promised(merge.kept), by=merge.by, now=merge.now)


def _promised(customer: Customer) -> set[int]:
    """Return the rewards that a customer reads of, or will: in the mail of an invitation, or on the page they answered.

    A mail that waits may be in a worker's hands already, so it counts as read.
    """
    is_told = or_(Message.state.not_in(NEVER_READ), Invitation.state == InvitationState.ANSWERED)
    query = select(Invitation.reward_id).outerjoin(Message, Message.id == Invitation.message_id)
    advertised = query.where(Invitation.customer_id == customer.id, Invitation.reward_id.is_not(None), is_told)
    return {reward_id for reward_id in db.session.scalars(advertised) if reward_id is not None}


def _change(statement: Update) -> None:
    db.session.execute(statement, execution_options={"synchronize_session": "fetch"})
