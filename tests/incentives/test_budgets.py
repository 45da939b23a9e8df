"""Budgets, and that the ledger agrees with the columns and the rewards after whatever was done."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from core import clock
from core.db import db
from core.errors import Refusal
from customers.models import Customer
from incentives import budgets, goodwill, ledger, programmes, rewards
from incentives.models import LedgerEntry, Programme, Reward, Trigger
from tests.factories import make_customer, make_programme, make_staff
from tests.incentives.test_goodwill import Case


def test_a_budget_below_what_is_spent_and_reserved_is_refused_with_the_least_allowed(app: Flask) -> None:
    programme, now = make_programme(budget=5000), clock.now()
    rewards.issue_for(programme, customer=make_customer(), reason="invitation:1", now=now)
    until = now + timedelta(days=1)
    rewards.reserve(programme, customer=make_customer(), reason="invitation:2", until=until, by="rule", now=now)

    with pytest.raises(budgets.BudgetBelowCommitted) as refused:
        budgets.change(programme, 999, by="staff:1", now=now)

    assert refused.value.field == "budget"
    assert refused.value.least.amount_minor == 1000
    assert "€10" in refused.value.message
    assert programme.budget_minor == 5000


def test_a_budget_can_shrink_to_what_is_spent_and_grow_again(app: Flask) -> None:
    programme, now = make_programme(budget=5000), clock.now()
    rewards.issue_for(programme, customer=make_customer(), reason="invitation:1", now=now)

    budgets.change(programme, 500, by="staff:1", now=now)
    assert (programme.budget_minor, programme.left_minor) == (500, 0)
    budgets.change(programme, 8000, by="staff:1", now=now)

    assert (programme.budget_minor, programme.left_minor) == (8000, 7500)
    assert ledger.balance(programme).budget_minor == 8000


def test_the_pace_of_four_weeks_says_how_long_the_budget_lasts(app: Flask) -> None:
    programme, now = make_programme(budget=10_000), clock.now()
    assert budgets.pace(programme, now=now) == budgets.Pace(0, None)
    for day in range(14):
        rewards.issue_for(
            programme, customer=make_customer(), reason=f"invitation:{day}", now=now - timedelta(hours=22 - day)
        )

    pace = budgets.pace(programme, now=now)

    assert pace.spent_minor == 7000
    assert pace.lasts_until == now + timedelta(days=3)  # 7,000 in what counts as a week; 3,000 are left


def test_each_line_of_the_ledger_says_what_was_left(app: Flask) -> None:
    programme, now = make_programme(budget=5000), clock.now()
    rewards.issue_for(programme, customer=make_customer(), reason="invitation:1", now=now)
    until = now + timedelta(days=1)
    held = rewards.reserve(programme, customer=make_customer(), reason="invitation:2", until=until, by="rule", now=now)
    assert held is not None
    rewards.issue(held, now=now)

    lines, older = ledger.page(programme, limit=3)

    shown = [(line.kind, line.reserved_minor, line.spent_minor, line.left_minor) for line in lines]
    assert shown == [("spent", -500, 500, 4000), ("reserved", 500, 0, 4000), ("spent", 0, 500, 4500)]
    assert older is not None
    rest, end = ledger.page(programme, before=older)
    assert [(line.kind, line.budget_minor, line.left_minor) for line in rest] == [("funded", 5000, 5000)]
    assert end is None


AMOUNTS = st.integers(min_value=1, max_value=4000)
ACTS = st.one_of(
    st.tuples(st.just("reserve"), st.integers(0, 5), st.integers(0, 2)),
    st.tuples(st.just("issue_for"), st.integers(0, 5), st.integers(0, 2)),
    st.tuples(st.just("issue"), st.integers(0, 5), st.none()),
    st.tuples(st.just("release"), st.integers(0, 5), st.none()),
    st.tuples(st.just("expire"), st.integers(0, 40), st.none()),
    st.tuples(st.just("give"), AMOUNTS, st.integers(0, 2)),
    st.tuples(st.just("approve"), st.integers(0, 3), st.none()),
    st.tuples(st.just("decline"), st.integers(0, 3), st.none()),
    st.tuples(st.just("budget"), st.integers(0, 6000), st.none()),
    st.tuples(st.just("reward"), AMOUNTS, st.none()),
)


class Bookkeeping:
    """A programme of each kind, three customers, and every verb that moves money."""

    def __init__(self, now: datetime) -> None:
        self.now = now
        self.programme = make_programme(budget=4000, cap_per_customer=3, cap_days=10)
        self.goodwill = make_programme(
            self.programme.brand, name="Goodwill", trigger=Trigger.GOODWILL, budget=6000, reward_minor=2000
        )
        self.customers = [make_customer() for _number in range(3)]
        self.ana, self.lead = make_staff("agent"), make_staff("lead")
        self.gestures: list[Reward] = []

    def act(self, verb: str, number: int, more: Any) -> None:
        self.now += timedelta(hours=7)
        try:
            getattr(self, verb)(number, more)
        except Refusal:
            pass  # a refusal is a fine answer, as long as the books agree after it

    def reserve(self, number: int, who: int) -> None:
        until = self.now + timedelta(days=1 + number)
        rewards.reserve(
            self.programme, customer=self.customers[who], reason=f"r:{number}", until=until, by="rule", now=self.now
        )

    def issue_for(self, number: int, who: int) -> None:
        rewards.issue_for(self.programme, customer=self.customers[who], reason=f"r:{number}", now=self.now)

    def issue(self, number: int, _more: None) -> None:
        if reward := rewards.for_reason(f"r:{number}"):
            rewards.issue(reward, now=self.now)

    def release(self, number: int, _more: None) -> None:
        if reward := rewards.for_reason(f"r:{number}"):
            rewards.release(reward, now=self.now)

    def expire(self, hours: int, _more: None) -> None:
        rewards.release_expired(self.now + timedelta(hours=hours))

    def give(self, amount: int, who: int) -> None:
        case = Case(id=1, brand_id=self.goodwill.brand_id, customer=self.customers[who])
        key = f"key-{len(self.gestures)}"
        self.gestures.append(goodwill.give(case, amount=amount, words="Late.", by=self.ana, form_key=key, now=self.now))

    def approve(self, number: int, _more: None) -> None:
        if number < len(self.gestures):
            goodwill.approve(self.gestures[number], by=self.lead, now=self.now)

    def decline(self, number: int, _more: None) -> None:
        if number < len(self.gestures):
            goodwill.decline(self.gestures[number], by=self.lead, now=self.now)

    def budget(self, minor: int, _more: None) -> None:
        budgets.change(self.programme, minor, by="staff:1", now=self.now)

    def reward(self, minor: int, _more: None) -> None:
        rules = programmes.rules_of(self.programme)
        changed = programmes.Rules(**{**rules, "reward_minor": minor})
        programmes.change(self.programme, changed, budget_minor=self.programme.budget_minor, by="staff:1", now=self.now)


@settings(max_examples=25)
@given(acts=st.lists(ACTS, max_size=25))
def test_the_ledger_agrees_with_everything_after_any_sequence_of_acts(app: Flask, acts: list[Any]) -> None:
    books = Bookkeeping(clock.now())
    try:
        for act in acts:
            books.act(*act)

            assert ledger.check() == []
        for programme in (books.programme, books.goodwill):
            db.session.refresh(programme)
            assert ledger.balance(programme).left_minor == programme.left_minor >= 0
        assert db.session.execute(select(func.sum(LedgerEntry.amount_minor))).scalar_one() == 0
    finally:
        db.session.rollback()
        assert db.session.scalars(select(Programme)).all() == []
        assert db.session.scalars(select(Customer)).all() == []
