"""Programmes with budgets, the double-entry ledger, rewards and code pools. Money is minor units with a currency."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from core.db import Id, Json, Model, PublicId
from customers.models import Brand, Customer


class Trigger(StrEnum):
    ANSWERED = "answered"
    GOODWILL = "goodwill"


class Fulfilment(StrEnum):
    POOL = "pool"  # codes uploaded by a marketer
    GENERATED = "generated"  # codes made by us, PREFIX-XXXX
    MANUAL = "manual"  # somebody adds a credit in another system


class ProgrammeState(StrEnum):
    DRAFT = "draft"
    RUNNING = "running"
    PAUSED = "paused"
    ENDED = "ended"


class Programme(Model):
    __tablename__ = "programme"
    __table_args__ = (
        CheckConstraint("spent_minor >= 0 AND reserved_minor >= 0", name="not_negative"),
        CheckConstraint("spent_minor + reserved_minor <= budget_minor", name="within_budget"),
        CheckConstraint("reward_minor > 0", name="worth_something"),
    )
    id: Mapped[Id]
    public_id: Mapped[PublicId]
    key: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    brand_id: Mapped[int] = mapped_column(ForeignKey("brand.id"))
    trigger: Mapped[str]
    state: Mapped[str] = mapped_column(default=ProgrammeState.DRAFT)
    fulfilment: Mapped[str]
    code_prefix: Mapped[str | None]
    reward_minor: Mapped[int]  # of one reward; for goodwill the most that a member of staff gives alone
    currency: Mapped[str]
    budget_minor: Mapped[int]
    reserved_minor: Mapped[int] = mapped_column(default=0)
    spent_minor: Mapped[int] = mapped_column(default=0)
    cap_per_customer: Mapped[int] = mapped_column(default=1)  # rewards per customer in cap_days
    cap_days: Mapped[int] = mapped_column(default=365)
    staff_day_limit_minor: Mapped[int | None]  # goodwill one member of staff may give alone in a day; None: no limit
    customer_limit_minor: Mapped[int | None]  # goodwill one customer may get alone in cap_days; None: no limit
    conditions: Mapped[Json]  # a rule tree of core.conditions; never on the score
    terms: Mapped[Json]  # {"en": "One order over €20", …}: what the customer reads
    valid_days: Mapped[int] = mapped_column(default=90)  # how long a code can be used
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    brand: Mapped[Brand] = relationship()

    @property
    def left_minor(self) -> int:
        return self.budget_minor - self.spent_minor - self.reserved_minor


class Code(Model):
    """One code of a pool; taken by one reward, once."""

    __tablename__ = "code"
    __table_args__ = (
        Index("uq_code_value", "programme_id", "value", unique=True),
        Index(
            "ix_code_free",
            "programme_id",
            "id",
            postgresql_where=text("reward_id IS NULL"),
        ),
    )
    id: Mapped[Id]
    programme_id: Mapped[int] = mapped_column(ForeignKey("programme.id"))
    value: Mapped[str]
    reward_id: Mapped[int | None] = mapped_column(ForeignKey("reward.id"), unique=True)
    added_at: Mapped[datetime]


class RewardState(StrEnum):
    RESERVED = "reserved"  # advertised or waiting for approval: the money is set aside
    ISSUED = "issued"  # spent: the customer has the code
    RELEASED = "released"  # the reservation lapsed or was declined
    WAITING = "waiting"  # above a limit: a second person must agree


class Reward(Model):
    """One thing of value given once for one reason."""

    __tablename__ = "reward"
    __table_args__ = (
        Index("uq_reward_reason", "programme_id", "reason", unique=True),
        Index("ix_reward_reason", "reason"),
        Index("ix_reward_customer", "customer_id", "created_at"),
        Index("ix_reward_case", "case_id", postgresql_where=text("case_id IS NOT NULL")),
        Index(
            "ix_reward_expiring",
            "reserved_until",
            postgresql_where=text("state = 'reserved'"),
        ),
        CheckConstraint("amount_minor > 0", name="worth_something"),
    )
    id: Mapped[Id]
    public_id: Mapped[PublicId]
    programme_id: Mapped[int] = mapped_column(ForeignKey("programme.id"))
    customer_id: Mapped[int | None] = mapped_column(ForeignKey("customer.id"))
    reason: Mapped[str]  # invitation:<id> or goodwill:<uuid of the form>; unique in the programme
    case_id: Mapped[int | None]
    state: Mapped[str]
    amount_minor: Mapped[int]
    currency: Mapped[str]
    code: Mapped[str | None]
    words: Mapped[str | None]  # why, in the giver's words
    by: Mapped[str]  # actor
    approved_by: Mapped[str | None]
    created_at: Mapped[datetime]
    reserved_until: Mapped[datetime | None]
    issued_at: Mapped[datetime | None]
    released_at: Mapped[datetime | None]
    usable_until: Mapped[datetime | None]
    programme: Mapped[Programme] = relationship()
    customer: Mapped[Customer | None] = relationship()


class Account(StrEnum):
    """The ledger's accounts of a programme; every transfer moves between two of them and the sum is zero."""

    BUDGET = "budget"
    RESERVED = "reserved"
    SPENT = "spent"
    FUNDING = "funding"  # where the budget comes from


class LedgerEntry(Model):
    """One half of a transfer: entries of one transfer sum to zero, in one currency."""

    __tablename__ = "ledger_entry"
    __table_args__ = (
        Index("ix_ledger_entry_programme", "programme_id", "id"),
        Index("ix_ledger_entry_transfer", "transfer_id"),
        Index("ix_ledger_entry_reward", "reward_id", postgresql_where=text("reward_id IS NOT NULL")),
    )
    id: Mapped[Id]
    transfer_id: Mapped[str]  # public id shared by the two halves
    programme_id: Mapped[int] = mapped_column(ForeignKey("programme.id"))
    reward_id: Mapped[int | None] = mapped_column(ForeignKey("reward.id"))
    account: Mapped[str]
    amount_minor: Mapped[int]
    currency: Mapped[str]
    kind: Mapped[str]  # funded, reserved, spent, released
    by: Mapped[str]
    at: Mapped[datetime]
