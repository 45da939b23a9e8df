"""What a customer's rewards do when their record is erased or merged: money stays, words go, caps hold."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from sqlalchemy import Select, select, update
from sqlalchemy.orm import joinedload

from core.db import db
from customers.models import Customer
from customers.signals import Erasure, Merge, customer_erased, customer_merged
from incentives import rewards
from incentives.models import Reward, RewardState
from incentives.rewards import HELD


@customer_erased.connect
def forget(_customer: Customer, *, erasure: Erasure) -> None:
    """Drop why a reward was given; its amount, its code and its entries in the ledger stay."""
    db.session.execute(
        update(Reward)
        .where(Reward.customer_id.in_(erasure.ids))
        .values(words=None)
        .execution_options(synchronize_session="fetch")
    )


@customer_merged.connect
def move(_kept: Customer, *, merge: Merge) -> None:
    db.session.execute(
        update(Reward)
        .where(Reward.customer_id == merge.gone.id)
        .values(customer_id=merge.kept.id)
        .execution_options(synchronize_session="fetch")
    )


def give_back_all(customer_ids: Sequence[int], *, by: str, now: datetime) -> None:
    """Return what was set aside for people who can get nothing any more."""
    theirs = select(Reward).where(Reward.customer_id.in_(customer_ids), Reward.state.in_(HELD))
    if held := _locked(theirs):
        rewards.give_back(held, by=by, now=now)


def keep_caps(customer: Customer, *, promised: Collection[int], by: str, now: datetime) -> None:
    """Return what was set aside for two records of one customer beyond the cap of one; the newest first.

    `promised` are rewards that the customer was told of: they stay, as does what was handed over or earned, and what
    waits for a second person, who sees all of it now. docs/decisions/0009-a-merge-keeps-promises.md
    """
    counted: dict[int, int] = defaultdict(int)
    over = []
    theirs = select(Reward).where(Reward.customer_id == customer.id, Reward.state != RewardState.RELEASED)
    for reward in sorted(_locked(theirs), key=lambda each: _may_go_back(each, promised)):
        programme = reward.programme
        if reward.created_at > now - timedelta(days=programme.cap_days):
            counted[programme.id] += 1
            if counted[programme.id] > programme.cap_per_customer and _may_go_back(reward, promised):
                over.append(reward)
    if over:
        rewards.give_back(over, by=by, now=now)


def _may_go_back(reward: Reward, promised: Collection[int]) -> bool:
    """Whether nobody waits for it; what was earned and waits for a code does not lapse."""
    is_earned = reward.reserved_until is None
    return reward.state == RewardState.RESERVED and not is_earned and reward.id not in promised


def _locked(query: Select[Reward]) -> list[Reward]:
    """Return rewards, held until commit: those handed over first, then by age."""
    query = query.order_by(Reward.id).options(joinedload(Reward.programme)).with_for_update(of=Reward)
    found = db.session.scalars(query, execution_options={"populate_existing": True})
    return sorted(found, key=lambda each: (each.issued_at is None, each.created_at, each.id))
