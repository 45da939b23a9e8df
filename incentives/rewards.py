"""Rewards: set aside for a reason, handed over once, or given back. One reward per programme and reason, whoever races.

Locks are taken in one order, reward, programme, code, so that verbs that meet wait for each other and never deadlock.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import structlog
from flask_babel import gettext as _
from sqlalchemy import literal, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import joinedload

from core import events, i18n, outbox
from core.db import Moment, db, new_public_id, written
from core.errors import Conflict
from core.inserting import insert_many
from customers.customers import remaining
from customers.models import Customer
from incentives import budgets, codes, eligibility, ledger, public
from incentives.ledger import Kind, Transfer
from incentives.models import Account, Fulfilment, Programme, Reward, RewardState
from notifications import messages

EXPIRING_AT_ONCE: Final = 500
HELD: Final = (RewardState.RESERVED, RewardState.WAITING)

log = structlog.get_logger(__name__)


class NotReserved(Conflict):
    code = "reward-not-reserved"

    def sentence(self) -> str:
        return _("This reward is not reserved any more.")


def reserve(
    programme: Programme, *, customer: Customer | None, reason: str, until: datetime, by: str, now: datetime
) -> Reward | None:
    """Set a reward aside until a moment, for example while an invitation that advertises it can be answered.

    The same reason again gives the same reward. None: the budget, the cap, the dates, the conditions or the state say
    no, or there is nobody to give it to.
    """
    reward, is_new = _set_aside(programme, customer=customer, reason=reason, until=until, by=by, now=now)
    if reward is not None and not is_new:
        _extend(reward, until)
    elif reward is not None:
        post(reward, Kind.RESERVED, Account.BUDGET, Account.RESERVED, by=by, now=now)
        record("reward.reserved", reward, by=by, now=now)
    return reward


def _extend(reward: Reward, until: datetime) -> None:
    if reward.state == RewardState.RESERVED and reward.reserved_until is not None:
        reward.reserved_until = max(reward.reserved_until, until)
        db.session.flush()


def issue_for(
    programme: Programme, *, customer: Customer | None, reason: str, by: str = "rule", now: datetime
) -> Reward | None:
    """Hand over the reward of a reason: spend its reservation, or set aside and spend at once. None as for `reserve`.

    Repeating it changes nothing. With an empty pool the reward stays reserved and goes out with the next codes.
    """
    reward, is_new = _set_aside(programme, customer=customer, reason=reason, until=None, by=by, now=now)
    if reward is None or not is_new:
        return issue(reward, now=now, by=by) if reward is not None else None
    if not hand_over(reward, source=Account.BUDGET, by=by, now=now):
        post(reward, Kind.RESERVED, Account.BUDGET, Account.RESERVED, by=by, now=now)
        record("reward.reserved", reward, by=by, now=now)
    return reward


def issue(reward: Reward, *, now: datetime, by: str = "rule") -> Reward:
    """Spend a reservation and write to the customer; one issued before stays as it is. Raises NotReserved else."""
    held = locked(Reward.id == reward.id)
    assert held is not None  # noqa: S101 -- rewards are never deleted
    if held.state == RewardState.RESERVED:
        hand_over(held, source=Account.RESERVED, by=by, now=now)
    elif held.state != RewardState.ISSUED:
        raise NotReserved
    return held


def release(reward: Reward, *, now: datetime, by: str = "system") -> bool:
    """Give a reservation back to the budget; False when there was none any more."""
    held = locked(Reward.id == reward.id)
    if held is None or held.state not in HELD:
        return False
    give_back([held], by=by, now=now)
    return True


def release_expired(now: datetime) -> int:
    """Give back up to 500 reservations whose time is over; return how many. The caller commits and goes on at 500."""
    expired = db.session.scalars(
        select(Reward)
        .where(written(Reward.state, [RewardState.RESERVED]), Reward.reserved_until <= now)
        .order_by(Reward.reserved_until)
        .limit(EXPIRING_AT_ONCE)
        .options(joinedload(Reward.programme))
        .with_for_update(skip_locked=True, of=Reward)
        .execution_options(populate_existing=True)
    ).all()
    give_back(expired, by="system", now=now)
    return len(expired)


def for_reason(reason: str) -> Reward | None:
    """Return the reward of a reason that still counts, so that the thank-you page can show its code."""
    return db.session.scalars(
        select(Reward)
        .where(Reward.reason == reason, Reward.state != RewardState.RELEASED)
        .options(joinedload(Reward.programme))
        .order_by(Reward.id)
        .limit(1)
    ).first()


@outbox.handler("reward.issue", queue="rewards")
def issue_behind_the_request(
    *,
    now: datetime,
    reward_id: int | None = None,
    programme_id: int | None = None,
    invitation_id: int | None = None,
    customer_id: int | None = None,
) -> None:
    """Hand over one reward by its id, or the one that an answered invitation earned."""
    if reward_id is not None:
        _issue_by_id(reward_id, now=now)
        return
    programme = db.session.get(Programme, programme_id)
    customer = remaining(db.session.get_one(Customer, customer_id)) if customer_id is not None else None
    if programme is None:
        log.warning("no_such_programme", programme=programme_id)
        return
    issue_for(programme, customer=customer, reason=f"invitation:{invitation_id}", now=now)


def _issue_by_id(reward_id: int, *, now: datetime) -> None:
    reward = db.session.get(Reward, reward_id)
    try:
        if reward is not None:
            issue(reward, now=now)
    except NotReserved:  # it lapsed before its turn came; trying again will not bring it back
        log.info("reward_not_reserved", reward=reward_id)


# Setting aside


def _set_aside(
    programme: Programme, *, customer: Customer | None, reason: str, until: datetime | None, by: str, now: datetime
) -> tuple[Reward | None, bool]:
    """Return the reward of a reason and whether it was set aside just now; the ledger is the caller's to write."""
    same_reason = (Reward.programme_id == programme.id, Reward.reason == reason)
    known = locked(*same_reason)
    if known is not None and known.state != RewardState.RELEASED:
        return known, False
    if customer is None or not eligibility.may_get_one(programme, customer, now=now):
        return None, False
    amount = programme.reward_minor
    if not budgets.reserve(programme, amount, now=now):
        return None, False
    # The programme's row is ours until commit: what is counted from here on, nobody else can change.
    if known is not None:
        reward = _revived(known, customer, amount_minor=amount, until=until, now=now)
    else:
        reward = _inserted(programme, customer, amount_minor=amount, reason=reason, until=until, by=by, now=now)
    if reward is None:
        budgets.release(programme, amount)
        return locked(*same_reason, Reward.state != RewardState.RELEASED), False
    return reward, True


def _inserted(
    programme: Programme,
    customer: Customer,
    *,
    amount_minor: int,
    reason: str,
    until: datetime | None,
    by: str,
    now: datetime,
) -> Reward | None:
    """Insert a reservation unless the customer is at the cap or the reason has its reward, both as of now."""
    values: dict[str, Any] = {
        "public_id": literal(new_public_id()),
        "programme_id": literal(programme.id),
        "customer_id": literal(customer.id),
        "reason": literal(reason),
        "state": literal(str(RewardState.RESERVED)),
        "amount_minor": literal(amount_minor),
        "currency": literal(programme.currency),
        "by": literal(by),
        "created_at": literal(now, Moment),
        "reserved_until": literal(until, Moment),
    }
    below_cap = eligibility.rewards_since(programme, customer, now=now) < programme.cap_per_customer
    return db.session.scalars(
        insert(Reward)
        .from_select(list(values), select(*values.values()).where(below_cap))
        .on_conflict_do_nothing(index_elements=["programme_id", "reason"])
        .returning(Reward)
    ).one_or_none()


def _revived(
    reward: Reward, customer: Customer, *, amount_minor: int, until: datetime | None, now: datetime
) -> Reward | None:
    """Set a lapsed reward aside once more, for whoever answers after all."""
    below_cap = eligibility.rewards_since(reward.programme, customer, now=now) < reward.programme.cap_per_customer
    revived = db.session.execute(
        update(Reward)
        .where(Reward.id == reward.id, Reward.state == RewardState.RELEASED, below_cap)
        .values(state=RewardState.RESERVED, amount_minor=amount_minor, reserved_until=until, released_at=None)
        .returning(Reward.id)
        .execution_options(synchronize_session=False)
    ).first()
    if revived is None:
        return None
    db.session.refresh(reward)
    return reward


def locked(*conditions: Any) -> Reward | None:
    """Return a reward as it is now, locked until commit."""
    return db.session.scalars(
        select(Reward)
        .where(*conditions)
        .options(joinedload(Reward.programme))
        .with_for_update(of=Reward)
        .execution_options(populate_existing=True)
    ).first()


# Handing over and giving back


def hand_over(reward: Reward, *, source: Account, by: str, now: datetime) -> bool:
    """Spend what is set aside, give the code and write; False when the pool is empty: the reward waits for a code."""
    programme = reward.programme
    code = codes.take(programme, reward, now=now)
    if code is None and programme.fulfilment == Fulfilment.POOL:
        reward.state, reward.reserved_until = RewardState.RESERVED, None  # earned: it does not lapse
        db.session.flush()
        return False
    reward.state, reward.issued_at, reward.reserved_until = RewardState.ISSUED, now, None
    reward.code = code
    reward.usable_until = now + timedelta(days=programme.valid_days)
    db.session.flush()
    budgets.spend(programme, reward.amount_minor)
    post(reward, Kind.SPENT, source, Account.SPENT, by=by, now=now)
    record("reward.issued", reward, by=by, now=now)
    _write_to(reward, now=now)
    return True


def _write_to(reward: Reward, *, now: datetime) -> None:
    customer, brand = reward.customer, reward.programme.brand
    if customer is None or not customer.email:
        return
    language = customer.language or brand.language
    with i18n.use_language(language, zone=brand.zone):
        values = public.letter(reward, i18n.language())
    messages.post(
        "reward",
        reason=f"reward:{reward.id}",
        brand=brand,
        customer=customer,
        language=language,
        values=values,
        to_address=customer.email,
        to_name=customer.name,
        case_id=reward.case_id,
        now=now,
    )


def give_back(rewards: Sequence[Reward], *, by: str, now: datetime) -> None:
    """Release rewards that the caller holds locked, programme by programme in the order of their ids."""
    by_programme: dict[int, list[Reward]] = defaultdict(list)
    for reward in rewards:
        reward.state, reward.released_at, reward.reserved_until = RewardState.RELEASED, now, None
        by_programme[reward.programme_id].append(reward)
    db.session.flush()
    for _programme_id, released in sorted(by_programme.items()):
        budgets.release(released[0].programme, sum(reward.amount_minor for reward in released))
    note(rewards, Kind.RELEASED, Account.RESERVED, Account.BUDGET, by=by, now=now)


def note(rewards: Sequence[Reward], kind: Kind, source: Account, target: Account, *, by: str, now: datetime) -> None:
    """Write what was done with rewards into the ledger and into the log; two statements, however many."""
    ledger.post(*(_transfer(reward, kind, source, target, by=by, now=now) for reward in rewards))
    insert_many(events.Event, [_event(f"reward.{kind}", reward, by, now) for reward in rewards])


def post(reward: Reward, kind: Kind, source: Account, target: Account, *, by: str, now: datetime) -> None:
    ledger.post(_transfer(reward, kind, source, target, by=by, now=now))


def _transfer(reward: Reward, kind: Kind, source: Account, target: Account, *, by: str, now: datetime) -> Transfer:
    return Transfer(reward.programme, kind, source, target, reward.amount_minor, by, now, reward.id)


def record(kind: str, reward: Reward, *, by: str, now: datetime) -> None:
    """Append what happened to a reward to the log."""
    events.record(kind, at=now, actor=by, customer=reward.customer_id, case=reward.case_id, **_ids_of(reward))


def _event(kind: str, reward: Reward, by: str, now: datetime) -> dict[str, Any]:
    about = {"customer_id": reward.customer_id, "case_id": reward.case_id, "data": _ids_of(reward)}
    return {"kind": kind, "version": 1, "at": now, "actor": by, **about}


def _ids_of(reward: Reward) -> dict[str, Any]:
    return {
        "reward": reward.id,
        "programme": reward.programme_id,
        "amount_minor": reward.amount_minor,
        "currency": reward.currency,
    }
