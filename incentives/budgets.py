"""A programme's money: set aside, spent or released by conditional updates, so that no race takes more than the budget.

These move the programme's columns. Who calls them posts the transfer into the ledger in the same transaction
(`fund` and `change` do so themselves); `ledger.check` finds one that was forgotten.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from flask_babel import gettext as _
from sqlalchemy import ColumnElement, func, or_, select, update

from core import events
from core.db import db
from core.errors import Conflict, Refusal
from core.formats import money
from core.money import Money
from incentives import ledger
from incentives.ledger import Kind, Transfer
from incentives.models import Account, LedgerEntry, Programme, ProgrammeState

PACE_DAYS: Final = 28  # how far back "at this pace" looks
FURTHEST_DAYS: Final = 3650  # and how far ahead
FORESEEN: Final = timedelta(days=730)  # beyond this no day is named: four weeks of spending cannot tell it


@dataclass(frozen=True)
class Pace:
    """What was spent in the last 28 days, in minor units, and until when the budget lasts; None: nothing was spent."""

    spent_minor: int
    lasts_until: datetime | None


class BudgetExhausted(Conflict):
    code = "budget-exhausted"

    def sentence(self) -> str:
        return _("The budget of this programme does not have that much left.")


class BudgetBelowCommitted(Refusal):
    """A budget cannot be less than what is spent and reserved already."""

    code = "budget-below-committed"

    def __init__(self, least: Money) -> None:
        self.least = least
        super().__init__(field="budget", least_minor=least.amount_minor, currency=least.currency)

    def sentence(self) -> str:
        return _(
            "%(least)s are spent or reserved already, so the budget cannot be less.",
            least=money(self.least.amount_minor, self.least.currency),
        )


class NotSetAside(Conflict):
    """More was to be spent or released than is reserved: the books are wrong, and nothing is moved."""

    code = "not-set-aside"


def fund(programme: Programme, amount_minor: int, *, by: str, now: datetime) -> None:
    """Add money to a programme's budget."""
    _move(programme, {"budget_minor": Programme.budget_minor + amount_minor})
    _post_funding(programme, amount_minor, by=by, now=now)


def change(programme: Programme, budget_minor: int, *, by: str, now: datetime) -> None:
    """Set a programme's budget. Raises BudgetBelowCommitted with the least that is allowed."""
    before, committed = _locked(programme)
    if budget_minor < committed:
        raise BudgetBelowCommitted(Money(committed, programme.currency))
    if budget_minor == before:
        return
    _move(programme, {"budget_minor": budget_minor})
    _post_funding(programme, budget_minor - before, by=by, now=now)


def _locked(programme: Programme) -> tuple[int, int]:
    row = db.session.execute(
        select(Programme.budget_minor, Programme.spent_minor + Programme.reserved_minor)
        .where(Programme.id == programme.id)
        .with_for_update()
    ).one()
    return row[0], row[1]


def _post_funding(programme: Programme, amount_minor: int, *, by: str, now: datetime) -> None:
    ledger.post(Transfer(programme, Kind.FUNDED, Account.FUNDING, Account.BUDGET, amount_minor, by, now))
    events.record("programme.funded", at=now, actor=by, programme=programme.id, amount_minor=amount_minor)


def reserve(programme: Programme, amount_minor: int, *, now: datetime) -> bool:
    """Set money aside; False when the budget has not that much left, or the programme is not running at `now`.

    One conditional UPDATE: who comes second waits for the first to commit and is then judged by what that one left.
    """
    return _move(
        programme,
        {"reserved_minor": Programme.reserved_minor + amount_minor},
        Programme.spent_minor + Programme.reserved_minor + amount_minor <= Programme.budget_minor,
        *runs_at(now),
    )


def runs_at(now: datetime) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions of a programme that gives rewards at `now`."""
    return (
        Programme.state == ProgrammeState.RUNNING,
        Programme.starts_at <= now,
        or_(Programme.ends_at.is_(None), Programme.ends_at > now),
    )


def spend(programme: Programme, amount_minor: int) -> None:
    """Turn what was set aside into what is spent; also after the programme ended: what was promised is kept."""
    after = {
        "reserved_minor": Programme.reserved_minor - amount_minor,
        "spent_minor": Programme.spent_minor + amount_minor,
    }
    if not _move(programme, after, Programme.reserved_minor >= amount_minor):
        raise NotSetAside


def release(programme: Programme, amount_minor: int) -> None:
    """Give back what was set aside."""
    after = {"reserved_minor": Programme.reserved_minor - amount_minor}
    if not _move(programme, after, Programme.reserved_minor >= amount_minor):
        raise NotSetAside


def _move(programme: Programme, values: dict[str, Any], *conditions: ColumnElement[bool]) -> bool:
    moved = db.session.execute(
        update(Programme)
        .where(Programme.id == programme.id, *conditions)
        .values(values)
        .returning(Programme.id)
        .execution_options(synchronize_session=False)
    ).first()
    if moved is not None:
        db.session.expire(programme, list(values))  # read anew by whoever asks
    return moved is not None


def pace(programme: Programme, *, now: datetime) -> Pace:
    """Return how fast the programme spends, from the last 28 days; a programme's first days count as a week."""
    spent, since = db.session.execute(
        select(func.coalesce(func.sum(LedgerEntry.amount_minor), 0), func.min(LedgerEntry.at)).where(
            LedgerEntry.programme_id == programme.id,
            LedgerEntry.account == Account.SPENT,
            LedgerEntry.at > now - timedelta(days=PACE_DAYS),
        )
    ).one()
    if spent <= 0:
        return Pace(0, None)
    days = max((now - since) / timedelta(days=1), 7.0)
    left = timedelta(days=min(programme.left_minor * days / int(spent), FURTHEST_DAYS))
    return Pace(int(spent), now + left)
