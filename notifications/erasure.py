"""What leaves with a customer: the addresses and words of messages to them. That they were sent stays."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, case, delete, func, or_, select, update

from core.db import db
from customers.models import Customer
from customers.signals import Erasure, Merge, customer_erased, customer_merged
from notifications import suppression
from notifications.models import MailboxMessage, Message, State, SuppressionReason

UNSENT: Final = (State.CREATED,)


@customer_erased.connect
def forget(_customer: Customer, *, erasure: Erasure) -> None:
    """Empty the messages to a customer and never write to their addresses again."""
    theirs: ColumnElement[bool] = Message.customer_id.in_(erasure.ids)
    if erasure.addresses:
        theirs = or_(theirs, func.lower(Message.to_address).in_(erasure.addresses))
    addresses = db.session.scalars(select(Message.to_address).where(theirs, Message.to_address.is_not(None)).distinct())
    for address in sorted({each.lower() for each in addresses if each} | erasure.addresses):
        suppression.suppress(address, "all", SuppressionReason.ERASED, erasure.now)
    empty(theirs, now=erasure.now)


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
