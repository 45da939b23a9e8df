"""Setting rewards aside for many at once: a batch of invitations costs as many statements as one.

The rules are those of `rewards.reserve`. All that is counted is counted while the programme's row is locked, so that no
other batch takes what this one saw.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from core.db import db
from core.inserting import insert_all
from customers.models import Customer
from incentives import budgets, eligibility, rewards
from incentives.ledger import Kind
from incentives.models import Account, Programme, Reward, RewardState


@dataclass(frozen=True)
class Wanted:
    """One reward that somebody is to be promised: for whom, for which reason, until when."""

    customer: Customer
    reason: str
    until: datetime


def reserve_each(programme: Programme, wanted: Sequence[Wanted], *, by: str, now: datetime) -> dict[str, Reward]:
    """Set the rewards of a programme aside that its rules allow, first come, first served; return them by reason.

    Eight statements, however many; a reason that has its reward already goes through `rewards.reserve`.
    """
    known = _known(programme, wanted)
    held = {each.reason: _one(programme, each, by=by, now=now) for each in wanted if each.reason in known}
    chosen = _chosen(programme, [each for each in wanted if each.reason not in known], now=now)
    held |= {reward.reason: reward for reward in _inserted(programme, chosen, by=by, now=now)}
    for each in chosen:
        if each.reason not in held:  # another call gave it its reward in this very moment
            held[each.reason] = _one(programme, each, by=by, now=now)
    return {reason: reward for reason, reward in held.items() if reward is not None}


def _one(programme: Programme, wanted: Wanted, *, by: str, now: datetime) -> Reward | None:
    return rewards.reserve(
        programme, customer=wanted.customer, reason=wanted.reason, until=wanted.until, by=by, now=now
    )


def _known(programme: Programme, wanted: Sequence[Wanted]) -> set[str]:
    reasons = [each.reason for each in wanted]
    query = select(Reward.reason).where(Reward.programme_id == programme.id, Reward.reason.in_(reasons))
    return set(db.session.scalars(query))


def _chosen(programme: Programme, wanted: Sequence[Wanted], *, now: datetime) -> list[Wanted]:
    """Return those whom conditions, caps and budget allow a reward, the money for them set aside."""
    eligible = eligibility.eligible_among(programme, [each.customer for each in wanted])
    able = [each for each in wanted if each.customer.id in eligible]
    if not able:
        return []
    db.session.refresh(programme, ["budget_minor", "reserved_minor", "spent_minor"], with_for_update=True)
    given = eligibility.given_since(programme, eligible, now=now)
    room = programme.left_minor // programme.reward_minor
    chosen: list[Wanted] = []
    for each in able:
        if len(chosen) < room and given[each.customer.id] < programme.cap_per_customer:
            given[each.customer.id] += 1
            chosen.append(each)
    runs = bool(chosen) and budgets.reserve(programme, programme.reward_minor * len(chosen), now=now)
    return chosen if runs else []


def _inserted(programme: Programme, chosen: Sequence[Wanted], *, by: str, now: datetime) -> Sequence[Reward]:
    rows = [
        {
            "programme_id": programme.id,
            "customer_id": each.customer.id,
            "reason": each.reason,
            "state": RewardState.RESERVED,
            "amount_minor": programme.reward_minor,
            "currency": programme.currency,
            "by": by,
            "created_at": now,
            "reserved_until": each.until,
        }
        for each in chosen
    ]
    made = insert_all(Reward, rows, unless="(programme_id, reason)")
    if missing := len(chosen) - len(made):
        budgets.release(programme, programme.reward_minor * missing)
    rewards.note(made, Kind.RESERVED, Account.BUDGET, Account.RESERVED, by=by, now=now)
    return made
