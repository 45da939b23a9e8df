"""What leaves with a customer: the addresses and words of messages to them. That they were sent stays."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, and_, case, delete, func, or_, select, update

from core.db import db
from customers.erasure import shared
from customers.models import Customer
from customers.signals import THAT_MOMENT, Erasure, Merge, customer_erased, customer_merged
from notifications import suppression
from notifications.kinds import TO_STAFF
from notifications.models import MailboxMessage, Message, State, SuppressionReason

UNSENT: Final = (State.CREATED,)


@customer_erased.connect
def forget(customer: Customer, *, erasure: Erasure) -> None:
    """Empty the messages to a customer and never write again to addresses that are theirs alone."""
    theirs = Message.customer_id.in_(erasure.ids)
    used = select(func.lower(Message.to_address)).where(theirs, Message.to_address.is_not(None))
    earlier = set(db.session.scalars(used.distinct()))
    addresses = erasure.addresses | (earlier - shared(earlier, besides=erasure.ids)) | _written_at_that_moment(customer)
    for address in sorted(addresses):
        suppression.suppress(address, "all", SuppressionReason.ERASED, erasure.now)
    empty(theirs, now=erasure.now)
    if addresses:
        empty(_to_nobody_known(addresses), now=erasure.now)


def _to_nobody_known(addresses: Collection[str]) -> ColumnElement[bool]:
    """Messages to these addresses that belong to no customer's record; those to staff stay."""
    is_theirs = func.lower(Message.to_address).in_(addresses)
    return and_(Message.customer_id.is_(None), is_theirs, Message.kind.not_in(TO_STAFF))


def _written_at_that_moment(customer: Customer) -> set[str]:
    """Return addresses of the erased to which we wrote while they were erased; by then we know them by hash alone."""
    if customer.erased_at is None:
        return set()
    moment = Message.created_at.between(customer.erased_at - THAT_MOMENT, customer.erased_at + THAT_MOMENT)
    said = Message.erased_at.is_(None)  # as the index by time has it
    unknown = and_(Message.customer_id.is_(None), Message.to_address.is_not(None), Message.kind.not_in(TO_STAFF))
    written = db.session.scalars(select(Message.to_address).where(said, moment, unknown))
    return {address.lower() for address in suppression.erased_among(each for each in written if each)}


@customer_merged.connect
def move(_kept: Customer, *, merge: Merge) -> None:
    db.session.execute(
        update(Message)
        .where(Message.customer_id == merge.gone.id)
        .values(customer_id=merge.kept.id)
        .execution_options(synchronize_session="fetch")
    )


def empty(which: ColumnElement[bool], *, now: datetime) -> int:
    """Take address and words from messages; what waits to be sent is not sent. Returns how many held any."""
    unsent = Message.state.in_(UNSENT)
    emptied = db.session.scalars(
        update(Message)
        .where(which, or_(Message.erased_at.is_(None), Message.to_address.is_not(None)))
        .values(
            to_address=None,
            to_name=None,
            values={},
            erased_at=func.coalesce(Message.erased_at, now),
            state=case((unsent, State.SUPPRESSED), else_=Message.state),
            failure=case((unsent, "suppressed"), else_=Message.failure),
            state_at=case((unsent, now), else_=Message.state_at),
        )
        .returning(Message.public_id)
        .execution_options(synchronize_session="fetch")
    ).all()
    _empty_mailbox(emptied)
    return len(emptied)


def _empty_mailbox(public_ids: Sequence[str]) -> None:
    if public_ids:
        mine = MailboxMessage.message_public_id.in_(public_ids)
        db.session.execute(delete(MailboxMessage).where(mine), execution_options={"synchronize_session": False})
