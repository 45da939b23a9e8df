"""Goodwill: what staff give inside a case, alone within the limits, above them with a second person's agreement."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from flask_babel import gettext as _
from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import joinedload

from accounts.models import Staff
from core import events
from core.db import db, new_public_id
from core.errors import Conflict, Forbidden, Refusal
from customers.models import Customer
from incentives import budgets, eligibility, rewards
from incentives.budgets import BudgetExhausted
from incentives.ledger import Kind
from incentives.models import Account, Programme, Reward, RewardState, Trigger

MAX_WORDS = 2000


class Case(Protocol):
    """What goodwill needs to know of a case, whose room lies above this one."""

    @property
    def id(self) -> int: ...
    @property
    def brand_id(self) -> int: ...
    @property
    def customer(self) -> Customer | None: ...


@dataclass(frozen=True)
class Allowance:
    """What one member of staff can give one customer now, in minor units of the programme's currency.

    `alone_minor` needs nobody's agreement; anything above, up to `most_minor`, waits for a second person.
    """

    programme: Programme
    alone_minor: int
    most_minor: int

    @property
    def currency(self) -> str:
        return self.programme.currency


@dataclass(frozen=True)
class Left:
    """What a programme's limit per customer leaves one customer, in minor units of its currency."""

    programme: Programme
    left_minor: int


class NoGoodwill(Conflict):
    code = "no-goodwill"

    def sentence(self) -> str:
        return _("No goodwill programme is running for this brand. Somebody from marketing can start one.")


class CannotReceive(Refusal):
    code = "cannot-receive-goodwill"

    def sentence(self) -> str:
        return _("This customer cannot get goodwill: the programme’s conditions do not hold, or it is a staff account.")


class NothingGiven(Refusal):
    code = "nothing-given"


class SamePerson(Forbidden):
    code = "same-person"

    def sentence(self) -> str:
        return _("A second person must decide this: it was you who asked.")


class AlreadyDecided(Conflict):
    code = "already-decided"

    def sentence(self) -> str:
        return _("Somebody has decided this already.")


def programme_for(brand_id: int, *, now: datetime) -> Programme | None:
    """Return the goodwill programme that runs for a brand; the oldest, should there be several."""
    return db.session.scalars(
        select(Programme)
        .where(Programme.brand_id == brand_id, Programme.trigger == Trigger.GOODWILL, *budgets.runs_at(now))
        .options(joinedload(Programme.brand))
        .order_by(Programme.id)
        .limit(1)
    ).first()


def allowance(case: Case, *, by: Staff, now: datetime) -> Allowance | None:
    """Return what `by` can give in a case now, for its page; None without a programme or anybody to give it to."""
    programme = programme_for(case.brand_id, now=now)
    if programme is None or case.customer is None:
        return None
    alone = min(_room(programme, case.customer, by=by, now=now), programme.left_minor)
    return Allowance(programme, max(alone, 0), programme.left_minor)


def left_this_year(customer: Customer, *, brand_id: int | None, now: datetime) -> list[Left]:
    """Return what each running programme with a limit per customer leaves this one; of one brand, or of all (None).

    A statement for the programmes and one for all their sums.
    """
    query = select(Programme).where(Programme.trigger == Trigger.GOODWILL, *budgets.runs_at(now))
    query = query.where(Programme.customer_limit_minor.is_not(None)).order_by(Programme.id)
    limited = db.session.scalars(query if brand_id is None else query.where(Programme.brand_id == brand_id)).all()
    if not limited:
        return []
    given = db.session.execute(select(*(_given_to(each, customer.id, now=now) for each in limited))).one()
    return [
        Left(each, max((each.customer_limit_minor or 0) - int(sum_), 0))
        for each, sum_ in zip(limited, given, strict=True)
    ]


def give(case: Case, *, amount: int, words: str, by: Staff, form_key: str, now: datetime) -> Reward:
    """Give a customer goodwill of `amount` minor units, for the reason in `words`; the same form again changes nothing.

    Within the giver's limit, the giver's day and the customer's year it is issued; above any of them it waits,
    reserved, for a second person. Raises NoGoodwill, CannotReceive, NothingGiven or BudgetExhausted.
    """
    programme = programme_for(case.brand_id, now=now)
    if programme is None:
        raise NoGoodwill
    reason = f"goodwill:{form_key}"
    known = rewards.locked(Reward.programme_id == programme.id, Reward.reason == reason)
    if known is not None:
        return known
    _check(programme, case.customer, amount=amount, words=words)
    if not budgets.reserve(programme, amount, now=now):
        raise BudgetExhausted(field="amount", left_minor=programme.left_minor)
    # The programme's row is ours until commit, so the sums below cannot change under two gestures given at once.
    within = amount <= _room(programme, case.customer, by=by, now=now)
    reward = _insert(programme, case, amount=amount, words=words, reason=reason, by=by, now=now)
    if reward is None:  # the same form came twice at once
        budgets.release(programme, amount)
        return db.session.scalars(
            select(Reward).where(Reward.programme_id == programme.id, Reward.reason == reason)
        ).one()
    return _settle(reward, within=within, by=events.staff_actor(by.id), now=now)


def _check(programme: Programme, customer: Customer | None, *, amount: int, words: str) -> None:
    if customer is None:
        raise CannotReceive(_("This case has no customer to give anything to."))
    if amount <= 0:
        raise NothingGiven(_("Say how much, for example 20."), field="amount")
    if not words.strip():
        raise NothingGiven(_("Say in a few words why."), field="words")
    if customer.erased_at or not eligibility.meets(programme, customer) or eligibility.is_staff(customer):
        raise CannotReceive


def _room(programme: Programme, customer: Customer | None, *, by: Staff, now: datetime) -> int:
    """Return the most, in minor units, that `by` may give this customer alone now; sums come as Decimal."""
    own_limit = programme.reward_minor if by.goodwill_limit_minor is None else by.goodwill_limit_minor
    given_alone = (
        Reward.by == events.staff_actor(by.id),
        Reward.approved_by.is_(None),
        Reward.state != RewardState.WAITING,
        Reward.created_at >= _start_of_day(programme, now),
    )
    today, this_year = db.session.execute(
        select(_sum(programme, *given_alone), _given_to(programme, customer.id if customer else None, now=now))
    ).one()
    limits = [own_limit]
    if programme.staff_day_limit_minor is not None:
        limits.append(programme.staff_day_limit_minor - int(today))
    if programme.customer_limit_minor is not None:
        limits.append(programme.customer_limit_minor - int(this_year))
    return min(limits)


def _given_to(programme: Programme, customer_id: int | None, *, now: datetime) -> Any:
    """Return the statement of what a customer got, or is to get, in the days that their limit counts."""
    year = now - timedelta(days=programme.cap_days)
    return _sum(programme, Reward.customer_id == customer_id, Reward.created_at > year)


def _sum(programme: Programme, *conditions: Any) -> Any:
    return (
        select(func.coalesce(func.sum(Reward.amount_minor), 0))
        .where(Reward.programme_id == programme.id, Reward.state != RewardState.RELEASED, *conditions)
        .scalar_subquery()
    )


def _start_of_day(programme: Programme, now: datetime) -> datetime:
    local = now.astimezone(ZoneInfo(programme.brand.zone))
    return local.replace(hour=0, minute=0, second=0, microsecond=0)


def _insert(
    programme: Programme, case: Case, *, amount: int, words: str, reason: str, by: Staff, now: datetime
) -> Reward | None:
    return db.session.scalars(
        insert(Reward)
        .values(
            public_id=new_public_id(),
            programme_id=programme.id,
            customer_id=case.customer.id if case.customer else None,
            case_id=case.id,
            reason=reason,
            state=RewardState.WAITING,
            amount_minor=amount,
            currency=programme.currency,
            words=words.strip()[:MAX_WORDS],
            by=events.staff_actor(by.id),
            created_at=now,
        )
        .on_conflict_do_nothing(index_elements=["programme_id", "reason"])
        .returning(Reward)
    ).one_or_none()


def _settle(reward: Reward, *, within: bool, by: str, now: datetime) -> Reward:
    if within and rewards.hand_over(reward, source=Account.BUDGET, by=by, now=now):
        return reward
    rewards.post(reward, Kind.RESERVED, Account.BUDGET, Account.RESERVED, by=by, now=now)
    rewards.record("goodwill.asked" if not within else "reward.reserved", reward, by=by, now=now)
    return reward


def approve(reward: Reward, *, by: Staff, now: datetime) -> Reward:
    """Agree, as a second person, to goodwill above a limit: it is issued. Raises SamePerson or AlreadyDecided."""
    held = _to_decide(reward, by=by)
    held.approved_by = events.staff_actor(by.id)
    rewards.record("goodwill.approved", held, by=held.approved_by, now=now)
    rewards.hand_over(held, source=Account.RESERVED, by=held.approved_by, now=now)
    return held


def decline(reward: Reward, *, by: Staff, now: datetime) -> Reward:
    """Refuse, as a second person, goodwill above a limit: the money goes back to the budget."""
    held = _to_decide(reward, by=by)
    rewards.record("goodwill.declined", held, by=events.staff_actor(by.id), now=now)
    rewards.give_back([held], by=events.staff_actor(by.id), now=now)
    return held


def _to_decide(reward: Reward, *, by: Staff) -> Reward:
    if not by.may("goodwill.approve"):
        raise Forbidden
    held = rewards.locked(Reward.id == reward.id)
    if held is None or held.state != RewardState.WAITING:
        raise AlreadyDecided
    if held.by == events.staff_actor(by.id):
        raise SamePerson
    return held


def waiting(programme: Programme) -> list[Reward]:
    """Return what waits for a second person, oldest first."""
    return list(
        db.session.scalars(
            select(Reward)
            .where(Reward.programme_id == programme.id, Reward.state == RewardState.WAITING)
            .options(joinedload(Reward.customer))
            .order_by(Reward.id)
            .limit(50)
        )
    )
