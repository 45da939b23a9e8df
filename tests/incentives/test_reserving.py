"""Rewards set aside for many at once: the rules of one reward, at the cost of one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from core import clock
from core.db import db
from core.events import Event
from customers.models import Customer
from incentives import ledger, rewards
from incentives.models import Programme, ProgrammeState, Reward, RewardState
from incentives.reserving import Wanted, reserve_each
from tests.client import count_queries
from tests.factories import make_customer, make_programme, make_staff

Race = Callable[[int, Callable[[int], Any]], list[Any]]


def reserve(programme: Programme, *customers: Customer, first: int = 1) -> list[str]:
    now = clock.now()
    wanted = [
        Wanted(customer, f"invitation:{number}", now + timedelta(days=14))
        for number, customer in enumerate(customers, first)
    ]
    return list(reserve_each(programme, wanted, by="rule", now=now))


def test_each_gets_its_reward_its_transfer_and_its_event(app: Flask) -> None:
    programme = make_programme()

    held = reserve(programme, make_customer(), make_customer())

    assert held == ["invitation:1", "invitation:2"]
    assert (programme.reserved_minor, programme.left_minor) == (1000, 4000)
    assert {reward.state for reward in db.session.scalars(select(Reward))} == {RewardState.RESERVED}
    assert (
        db.session.scalars(select(Event.kind).where(Event.kind == "reward.reserved")).all() == ["reward.reserved"] * 2
    )
    assert ledger.check() == []


def test_the_budget_goes_to_who_comes_first(app: Flask) -> None:
    programme = make_programme(budget=1400)

    assert reserve(programme, *(make_customer() for _ in range(3))) == ["invitation:1", "invitation:2"]
    assert reserve(programme, make_customer(), first=4) == []
    assert programme.reserved_minor == 1000
    assert ledger.check() == []


def test_the_cap_holds_within_a_batch_and_against_what_was_before(app: Flask) -> None:
    programme, twice, before = make_programme(cap_per_customer=1), make_customer(), make_customer()
    reserve(programme, before)

    assert reserve(programme, twice, twice, before, first=2) == ["invitation:2"]
    assert programme.reserved_minor == 1000


def test_a_reason_that_has_its_reward_keeps_it_for_longer(app: Flask) -> None:
    programme, customer, now = make_programme(), make_customer(), clock.now()
    wanted = [Wanted(customer, "invitation:1", now + timedelta(days=days)) for days in (1, 3)]
    first = reserve_each(programme, wanted[:1], by="rule", now=now)

    again = reserve_each(programme, wanted[1:], by="rule", now=now)

    assert again == first
    assert again["invitation:1"].reserved_until == now + timedelta(days=3)
    assert programme.reserved_minor == 500


def test_whom_conditions_leave_out_and_staff_get_none(app: Flask) -> None:
    programme = make_programme(conditions={"field": "tier", "op": "in", "value": ["summit"]})
    ana = make_staff("agent")

    ours = make_customer(email=ana.email.upper(), tier="summit")

    assert reserve(programme, make_customer(tier="trail"), ours, make_customer(tier="summit")) == ["invitation:3"]


@pytest.mark.parametrize("state", [ProgrammeState.DRAFT, ProgrammeState.PAUSED, ProgrammeState.ENDED])
def test_a_programme_that_does_not_run_gives_none(app: Flask, state: str) -> None:
    programme = make_programme()
    programme.state = state
    db.session.flush()

    assert reserve(programme, make_customer()) == []
    assert programme.reserved_minor == 0


def test_many_cost_as_many_statements_as_one(app: Flask) -> None:
    programme = make_programme()
    counts = []

    for first, many in ((1, 1), (2, 3)):
        people = [make_customer() for _ in range(many)]
        with count_queries() as queries:
            assert len(reserve(programme, *people, first=first)) == many
        counts.append(len(queries))

    assert counts == [8, 8]


def test_batches_that_race_for_a_budget_never_take_more(app: Flask, race: Race) -> None:
    programme_id = make_programme(budget=1500).id
    people = [make_customer().id for _ in range(8)]

    def act(number: int) -> int:
        programme = db.session.get_one(Programme, programme_id)
        mine = [db.session.get_one(Customer, id_) for id_ in people[2 * number : 2 * number + 2]]
        return len(reserve(programme, *mine, first=2 * number + 1))

    assert sum(race(4, act)) == 3
    assert ledger.check() == []


def test_batches_that_race_for_the_same_reasons_set_aside_one_reward_each(app: Flask, race: Race) -> None:
    programme_id = make_programme(cap_per_customer=9).id
    people = [make_customer().id for _ in range(3)]

    def act(_number: int) -> list[str]:
        programme = db.session.get_one(Programme, programme_id)
        return sorted(reserve(programme, *(db.session.get_one(Customer, id_) for id_ in people)))

    assert race(4, act) == [["invitation:1", "invitation:2", "invitation:3"]] * 4
    assert db.session.get_one(Programme, programme_id).reserved_minor == 1500
    assert ledger.check() == []


def test_a_batch_goes_out_with_a_lapsed_reward_taken_up_again(app: Flask) -> None:
    programme, customer, now = make_programme(), make_customer(), clock.now()
    reserve(programme, customer)
    rewards.release_expired(now + timedelta(days=15))

    assert reserve(programme, customer, make_customer()) == ["invitation:1", "invitation:2"]
    assert programme.reserved_minor == 1000
    assert ledger.check() == []
