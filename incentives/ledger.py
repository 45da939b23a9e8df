"""The double-entry ledger: every transfer is two entries of one programme that sum to zero in one currency.

A programme's columns are the till that decides; the ledger tells how they came about. `check` finds where they differ.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, case, func, or_, select
from sqlalchemy.orm import joinedload

from core.db import db, new_public_id
from core.inserting import insert_many
from incentives.models import Account, LedgerEntry, Programme, Reward, RewardState

PAGE = 50


class Kind(StrEnum):
    """What a transfer does, as it is written in the ledger."""

    FUNDED = "funded"  # a negative one takes budget back
    RESERVED = "reserved"
    SPENT = "spent"
    RELEASED = "released"


@dataclass(frozen=True)
class Balance:
    """What the ledger says of a programme, in minor units of its currency."""

    currency: str
    left_minor: int
    reserved_minor: int
    spent_minor: int

    @property
    def budget_minor(self) -> int:
        return self.left_minor + self.reserved_minor + self.spent_minor


@dataclass(frozen=True)
class Transfer:
    """Money moved from one account of a programme to another."""

    programme: Programme
    kind: Kind
    source: Account
    target: Account
    amount_minor: int
    by: str
    at: datetime
    reward_id: int | None = None


@dataclass(frozen=True)
class Line:
    """One transfer as people read it: what it changed, and what was left to spend after it."""

    id: int  # of its newer entry: the key of the next page
    kind: Kind
    at: datetime
    by: str
    reserved_minor: int
    spent_minor: int
    budget_minor: int
    left_minor: int
    reward: Reward | None


@dataclass(frozen=True)
class Fault:
    """Where the ledger and the rest of the books differ."""

    what: str
    id: str
    expected: int
    found: int


def post(*transfers: Transfer) -> None:
    """Write transfers into the ledger, in the transaction that moved the money."""
    insert_many(LedgerEntry, [half for transfer in transfers for half in _halves(transfer)])


def _halves(transfer: Transfer) -> Iterable[dict[str, Any]]:
    shared = {
        "transfer_id": new_public_id(),
        "programme_id": transfer.programme.id,
        "reward_id": transfer.reward_id,
        "currency": transfer.programme.currency,
        "kind": transfer.kind,
        "by": transfer.by,
        "at": transfer.at,
    }
    yield {**shared, "account": transfer.source, "amount_minor": -transfer.amount_minor}
    yield {**shared, "account": transfer.target, "amount_minor": transfer.amount_minor}


def balance(programme: Programme) -> Balance:
    """Return what the entries of a programme add up to."""
    sums = db.session.execute(
        select(_sum_of(Account.BUDGET), _sum_of(Account.RESERVED), _sum_of(Account.SPENT)).where(
            LedgerEntry.programme_id == programme.id
        )
    ).one()
    return Balance(programme.currency, *(int(amount) for amount in sums))


def _sum_of(account: Account) -> ColumnElement[int]:
    return func.coalesce(func.sum(LedgerEntry.amount_minor).filter(LedgerEntry.account == account), 0)


def page(programme: Programme, *, before: int | None = None, limit: int = PAGE) -> tuple[list[Line], int | None]:
    """Return a programme's transfers, newest first, and the key of the next page (None: these were the last).

    Both halves of a transfer stand beside each other: they are written while the programme's row is locked.
    """
    wanted = select(LedgerEntry, Reward).outerjoin(Reward).where(LedgerEntry.programme_id == programme.id)
    wanted = wanted.options(joinedload(Reward.customer)).order_by(LedgerEntry.id.desc()).limit(2 * limit + 2)
    if before is not None:
        wanted = wanted.where(LedgerEntry.id < before)
    rows = db.session.execute(wanted).all()
    lines = _lines([(entry, reward) for entry, reward in rows[: 2 * limit]], left=_left_before(programme, before))
    return lines, rows[2 * limit - 1][0].id if len(rows) > 2 * limit else None


def _left_before(programme: Programme, before: int | None) -> int:
    left = select(_sum_of(Account.BUDGET)).where(LedgerEntry.programme_id == programme.id)
    if before is not None:
        left = left.where(LedgerEntry.id < before)
    return int(db.session.execute(left).scalar_one())


def _lines(rows: Sequence[tuple[LedgerEntry, Reward | None]], *, left: int) -> list[Line]:
    lines = []
    for (newer, reward), (older, _same) in zip(rows[::2], rows[1::2], strict=False):
        moved = {newer.account: newer.amount_minor, older.account: older.amount_minor}
        lines.append(
            Line(
                id=newer.id,
                kind=Kind(newer.kind),
                at=newer.at,
                by=newer.by,
                reserved_minor=moved.get(Account.RESERVED, 0),
                spent_minor=moved.get(Account.SPENT, 0),
                budget_minor=-moved.get(Account.FUNDING, 0),
                left_minor=left,
                reward=reward,
            )
        )
        left -= moved.get(Account.BUDGET, 0)
    return lines


def check() -> list[Fault]:
    """Return where entries do not balance, or differ from the programmes' columns or the rewards; [] if nowhere."""
    return [*_unbalanced(), *_programmes_that_differ(), *_rewards_that_differ()]


def _unbalanced() -> list[Fault]:
    total, halves = func.sum(LedgerEntry.amount_minor), func.count()
    kinds = func.count(LedgerEntry.currency.distinct()) + func.count(LedgerEntry.programme_id.distinct())
    wrong = db.session.execute(
        select(LedgerEntry.transfer_id, total)
        .group_by(LedgerEntry.transfer_id)
        .having(or_(total != 0, halves != 2, kinds != 2))
    )
    return [Fault("transfer", transfer, 0, int(found)) for transfer, found in wrong]


def _programmes_that_differ() -> list[Fault]:
    columns = {
        Account.BUDGET: Programme.budget_minor - Programme.spent_minor - Programme.reserved_minor,
        Account.RESERVED: Programme.reserved_minor,
        Account.SPENT: Programme.spent_minor,
        Account.FUNDING: -Programme.budget_minor,
    }
    faults = []
    for account, column in columns.items():
        found = _sum_of(account)
        wrong = db.session.execute(
            select(Programme.key, column, found).outerjoin(LedgerEntry).group_by(Programme.id).having(column != found)
        )
        faults += [Fault(f"programme {account}", key, int(expected), int(entries)) for key, expected, entries in wrong]
    return faults


def _rewards_that_differ() -> list[Fault]:
    held = Reward.state.in_((RewardState.RESERVED, RewardState.WAITING))
    columns = {
        Account.RESERVED: case((held, Reward.amount_minor), else_=0),
        Account.SPENT: case((Reward.state == RewardState.ISSUED, Reward.amount_minor), else_=0),
    }
    faults = []
    for account, column in columns.items():
        found = _sum_of(account)
        wrong = db.session.execute(
            select(Reward.public_id, column, found).outerjoin(LedgerEntry).group_by(Reward.id).having(column != found)
        )
        faults += [Fault(f"reward {account}", key, int(expected), int(entries)) for key, expected, entries in wrong]
    return faults
