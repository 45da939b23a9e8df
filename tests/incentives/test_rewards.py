"""Rewards: reserved, spent, lapsed; one per reason, never beyond the budget or the cap, whoever races."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select, text
from sqlalchemy.exc import IntegrityError

from core import clock, outbox
from core.db import constraint_of, db
from core.events import Event
from customers.models import Customer
from incentives import codes, ledger, rewards
from incentives.models import Code, Fulfilment, LedgerEntry, Programme, ProgrammeState, Reward, RewardState
from notifications.models import Message
from tests.factories import make_brand, make_customer, make_programme, make_staff

Race = Callable[[int, Callable[[int], Any]], list[Any]]


def reserve(programme: Programme, customer: Customer | None = None, reason: str = "invitation:1", **more: Any):
    now = more.pop("now", clock.now())
    until = more.pop("until", now + timedelta(days=14))
    return rewards.reserve(
        programme, customer=customer or make_customer(), reason=reason, until=until, by="rule", now=now, **more
    )


def issue_for(programme: Programme, customer: Customer | None, reason: str = "invitation:1"):
    return rewards.issue_for(programme, customer=customer, reason=reason, now=clock.now())


def count(model: type, *conditions: Any) -> int:
    return int(db.session.execute(select(func.count()).select_from(model).where(*conditions)).scalar_one())


def test_a_reservation_is_spent_when_it_is_issued(app: Flask) -> None:
    programme, customer = make_programme(), make_customer()

    reward = reserve(programme, customer)

    assert reward is not None
    assert (programme.reserved_minor, programme.spent_minor, programme.left_minor) == (500, 0, 4500)
    issued = issue_for(programme, customer)
    assert issued is reward
    assert reward.state == RewardState.ISSUED
    assert (programme.reserved_minor, programme.spent_minor, programme.left_minor) == (0, 500, 4500)
    assert ledger.balance(programme) == ledger.Balance("EUR", left_minor=4500, reserved_minor=0, spent_minor=500)


def test_a_reward_that_nobody_reserved_is_spent_in_one_transfer(app: Flask) -> None:
    programme = make_programme()

    reward = issue_for(programme, make_customer())

    assert reward is not None
    entries = db.session.scalars(select(LedgerEntry).where(LedgerEntry.reward_id == reward.id)).all()
    assert {(entry.account, entry.amount_minor) for entry in entries} == {("budget", -500), ("spent", 500)}
    assert len({entry.transfer_id for entry in entries}) == 1


def test_an_issued_reward_has_a_code_an_end_and_a_mail_in_the_customers_language(app: Flask) -> None:
    programme = make_programme(terms={"en": "One order over €20.", "de": "Einmalig ab 20 €."}, valid_days=30)
    customer = make_customer(language="de")

    reward = issue_for(programme, customer)

    assert reward is not None
    assert reward.code is not None
    assert reward.code.startswith("THANKS-")
    assert set(reward.code.removeprefix("THANKS-").replace("-", "")) <= set(codes.ALPHABET)
    assert reward.usable_until == reward.issued_at + timedelta(days=30)
    message = db.session.scalars(select(Message)).one()
    assert (message.kind, message.to_address, message.language) == ("reward", customer.email, "de")
    assert message.values["code"] == reward.code
    assert message.values["conditions"] == "Einmalig ab 20 €."
    assert "5\xa0€" in message.values["reward"]


def test_issuing_again_spends_nothing_and_writes_nothing_more(app: Flask) -> None:
    programme, customer = make_programme(), make_customer()
    first = issue_for(programme, customer)

    second = issue_for(programme, customer)

    assert second is first
    assert programme.spent_minor == 500
    assert count(Message) == 1
    assert count(Code) == 1


def test_a_customer_without_an_address_gets_a_reward_but_no_mail(app: Flask) -> None:
    reward = issue_for(make_programme(), make_customer(email=None))

    assert reward is not None
    assert reward.state == RewardState.ISSUED
    assert count(Message) == 0


def test_nobody_known_gets_no_reward(app: Flask) -> None:
    assert issue_for(make_programme(), None) is None


def test_a_staff_accounts_own_address_gets_none(app: Flask) -> None:
    ana = make_staff("agent")

    assert issue_for(make_programme(), make_customer(email=ana.email.upper())) is None


def test_a_reservation_lapses_and_its_money_comes_back(app: Flask) -> None:
    programme, now = make_programme(), clock.now()
    reward = reserve(programme, until=now + timedelta(days=1))
    kept = reserve(programme, reason="invitation:2", until=now + timedelta(days=3))

    released = rewards.release_expired(now + timedelta(days=2))

    assert released == 1
    assert reward is not None
    assert kept is not None
    assert (reward.state, kept.state) == (RewardState.RELEASED, RewardState.RESERVED)
    assert (programme.reserved_minor, programme.left_minor) == (500, 4500)
    assert rewards.release_expired(now + timedelta(days=2)) == 0
    assert "reward.released" in db.session.scalars(select(Event.kind)).all()


def test_who_answers_after_the_reservation_lapsed_still_gets_the_reward(app: Flask) -> None:
    programme, customer, now = make_programme(), make_customer(), clock.now()
    reserve(programme, customer, until=now + timedelta(days=1))
    rewards.release_expired(now + timedelta(days=2))

    reward = issue_for(programme, customer)

    assert reward is not None
    assert reward.state == RewardState.ISSUED
    assert programme.spent_minor == 500
    assert count(Reward) == 1


def test_releasing_what_is_spent_changes_nothing(app: Flask) -> None:
    programme = make_programme()
    reward = issue_for(programme, make_customer())
    assert reward is not None

    assert rewards.release(reward, now=clock.now()) is False
    assert programme.spent_minor == 500


def test_a_released_reward_cannot_be_issued_by_its_id(app: Flask) -> None:
    reward = reserve(make_programme())
    assert reward is not None
    rewards.release(reward, now=clock.now())

    with pytest.raises(rewards.NotReserved):
        rewards.issue(reward, now=clock.now())


def test_a_reminder_keeps_the_reservation_longer(app: Flask) -> None:
    programme, customer, now = make_programme(), make_customer(), clock.now()
    reserve(programme, customer, until=now + timedelta(days=1))

    reward = reserve(programme, customer, until=now + timedelta(days=5))

    assert reward is not None
    assert reward.reserved_until == now + timedelta(days=5)
    assert programme.reserved_minor == 500


@pytest.mark.parametrize("state", [ProgrammeState.DRAFT, ProgrammeState.PAUSED, ProgrammeState.ENDED])
def test_a_programme_that_does_not_run_reserves_nothing(app: Flask, state: ProgrammeState) -> None:
    programme = make_programme()
    programme.state = state
    db.session.flush()

    assert reserve(programme) is None


def test_nothing_is_reserved_before_the_start_or_after_the_end(app: Flask) -> None:
    programme, now = make_programme(ends_at=clock.now() + timedelta(days=5)), clock.now()

    assert reserve(programme, now=now - timedelta(days=2)) is None
    assert reserve(programme, now=now + timedelta(days=5)) is None
    assert reserve(programme, now=now + timedelta(days=4)) is not None


def test_what_was_reserved_is_honoured_after_the_programme_ended(app: Flask) -> None:
    programme, customer = make_programme(), make_customer()
    reserve(programme, customer)
    programme.state = ProgrammeState.ENDED

    reward = issue_for(programme, customer)

    assert reward is not None
    assert reward.state == RewardState.ISSUED


def test_conditions_choose_customers(app: Flask) -> None:
    programme = make_programme(conditions={"field": "tier", "op": "in", "value": ["gold"]})

    assert issue_for(programme, make_customer(tier="silver")) is None
    assert issue_for(programme, make_customer(tier="gold"), "invitation:2") is not None


def test_the_cap_counts_the_days_before(app: Flask) -> None:
    programme, customer, now = make_programme(cap_per_customer=1, cap_days=30), make_customer(), clock.now()
    first = rewards.issue_for(programme, customer=customer, reason="invitation:1", now=now)

    second = rewards.issue_for(programme, customer=customer, reason="invitation:2", now=now + timedelta(days=29))
    third = rewards.issue_for(programme, customer=customer, reason="invitation:3", now=now + timedelta(days=31))

    assert first is not None
    assert second is None
    assert third is not None


def test_the_budget_says_no_when_it_is_used_up(app: Flask) -> None:
    programme = make_programme(budget=900)

    assert reserve(programme, reason="invitation:1") is not None
    assert reserve(programme, reason="invitation:2") is None
    assert programme.left_minor == 400


def test_a_reward_is_found_by_its_reason(app: Flask) -> None:
    reward = issue_for(make_programme(), make_customer(), "invitation:7")

    assert rewards.for_reason("invitation:7") is reward
    assert rewards.for_reason("invitation:8") is None


# Races


def test_200_racers_on_a_budget_for_50_leave_exactly_50(app: Flask, race: Race) -> None:
    programme = make_programme(budget=50 * 500)
    customers = [make_customer() for _racer in range(200)]
    programme_id, ids = programme.id, [customer.id for customer in customers]

    def act(number: int) -> bool:
        reward = rewards.issue_for(
            db.session.get_one(Programme, programme_id),
            customer=db.session.get_one(Customer, ids[number]),
            reason=f"invitation:{number}",
            now=clock.now(),
        )
        return reward is not None

    results = race(200, act)

    assert results.count(True) == 50
    assert results.count(False) == 150
    assert (programme.spent_minor, programme.left_minor) == (25_000, 0)
    assert count(Reward, Reward.state == RewardState.ISSUED) == 50
    assert count(Code, Code.reward_id.is_not(None)) == 50
    assert db.session.execute(select(func.sum(LedgerEntry.amount_minor))).scalar_one() == 0
    assert ledger.balance(programme).spent_minor == 25_000


def test_the_database_itself_refuses_more_than_the_budget(app: Flask) -> None:
    programme = make_programme(budget=500)

    with pytest.raises(IntegrityError) as refused, db.session.begin_nested():
        db.session.execute(text("UPDATE programme SET reserved_minor = 501 WHERE id = :id"), {"id": programme.id})

    assert constraint_of(refused.value) == "ck_programme_within_budget"


def test_a_second_reward_for_one_reason_is_refused_by_the_database(app: Flask) -> None:
    reward = issue_for(make_programme(), make_customer())
    assert reward is not None
    columns = "programme_id, customer_id, reason, amount_minor, currency, by, created_at"
    copy = f"INSERT INTO reward (public_id, state, {columns}) SELECT 'again', 'issued', {columns} FROM reward"

    with pytest.raises(IntegrityError) as refused, db.session.begin_nested():
        db.session.execute(text(copy))

    assert constraint_of(refused.value) == "uq_reward_reason"


def test_one_reason_gives_one_reward_under_a_race(app: Flask, race: Race) -> None:
    programme_id, customer_id = make_programme(cap_per_customer=99).id, make_customer().id

    def act(number: int) -> int | None:
        reward = rewards.issue_for(
            db.session.get_one(Programme, programme_id),
            customer=db.session.get_one(Customer, customer_id),
            reason="invitation:1",
            now=clock.now(),
        )
        return reward.id if reward else None

    results = race(12, act)

    assert len(set(results)) == 1
    assert isinstance(results[0], int)
    assert count(Reward) == 1
    assert count(Message) == 1
    assert db.session.get_one(Programme, programme_id).spent_minor == 500


def test_the_cap_holds_under_a_race(app: Flask, race: Race) -> None:
    programme_id, customer_id = make_programme(cap_per_customer=2).id, make_customer().id

    def act(number: int) -> bool:
        reward = rewards.issue_for(
            db.session.get_one(Programme, programme_id),
            customer=db.session.get_one(Customer, customer_id),
            reason=f"invitation:{number}",
            now=clock.now(),
        )
        return reward is not None

    results = race(12, act)

    assert (results.count(True), results.count(False)) == (2, 10)
    assert db.session.get_one(Programme, programme_id).spent_minor == 1000


def test_no_code_of_a_pool_goes_out_twice_under_a_race(app: Flask, race: Race) -> None:
    programme = make_programme(fulfilment=Fulfilment.POOL, budget=100_000)
    codes.upload(programme, "\n".join(f"CODE{number}" for number in range(8)), by="system", now=clock.now())
    programme_id, ids = programme.id, [make_customer().id for _racer in range(12)]

    def act(number: int) -> str | None:
        reward = rewards.issue_for(
            db.session.get_one(Programme, programme_id),
            customer=db.session.get_one(Customer, ids[number]),
            reason=f"invitation:{number}",
            now=clock.now(),
        )
        assert reward is not None
        return reward.code

    results = race(12, act)

    given = [code for code in results if code is not None]
    assert sorted(given) == [f"CODE{number}" for number in range(8)]
    assert results.count(None) == 4
    assert programme.reserved_minor == 4 * 500  # earned, and waiting for codes
    assert programme.spent_minor == 8 * 500


def test_an_answer_and_the_lapse_of_its_reservation_meet_without_losing_money(app: Flask, race: Race) -> None:
    programme, now = make_programme(budget=50_000), clock.now()
    customers = [make_customer() for _pair in range(6)]
    for number, customer in enumerate(customers):
        reserve(programme, customer, reason=f"invitation:{number}", until=now)
    programme_id, ids = programme.id, [customer.id for customer in customers]

    def act(number: int) -> Any:
        if number % 2:
            return rewards.release_expired(now)
        return rewards.issue_for(
            db.session.get_one(Programme, programme_id),
            customer=db.session.get_one(Customer, ids[number // 2]),
            reason=f"invitation:{number // 2}",
            now=now,
        )

    results = race(12, act)

    assert [result for result in results if isinstance(result, Exception)] == []
    assert count(Reward, Reward.state == RewardState.ISSUED) == 6
    assert (programme.spent_minor, programme.reserved_minor) == (3000, 0)


# Behind the request


def test_the_outbox_issues_what_an_answered_invitation_earned(app: Flask) -> None:
    programme, customer = make_programme(), make_customer()
    ids = {"programme_id": programme.id, "invitation_id": 12, "customer_id": customer.id}
    outbox.later("reward.issue", key="invitation:12", due_at=clock.now(), **ids)
    db.session.commit()

    assert outbox.drain("rewards") == 1

    reward = rewards.for_reason("invitation:12")
    assert reward is not None
    assert reward.state == RewardState.ISSUED
    assert count(Message) == 1


def test_work_for_a_reward_that_lapsed_ends_quietly(app: Flask) -> None:
    reward = reserve(make_programme())
    assert reward is not None
    rewards.release(reward, now=clock.now())
    outbox.later("reward.issue", key=f"reward:{reward.id}", due_at=clock.now(), reward_id=reward.id)
    db.session.commit()

    assert outbox.drain("rewards") == 1
    assert count(Message) == 0


def test_new_codes_go_to_those_who_waited_for_one(app: Flask) -> None:
    programme = make_programme(fulfilment=Fulfilment.POOL)
    reward = issue_for(programme, make_customer())
    assert reward is not None
    assert (reward.state, reward.code) == (RewardState.RESERVED, None)
    assert rewards.release_expired(clock.now() + timedelta(days=900)) == 0

    codes.upload(programme, "FJELL-1", by="system", now=clock.now())
    db.session.commit()
    outbox.drain("rewards")

    db.session.refresh(reward)
    assert (reward.state, reward.code) == (RewardState.ISSUED, "FJELL-1")


def test_manual_rewards_have_no_code(app: Flask) -> None:
    reward = issue_for(make_programme(fulfilment=Fulfilment.MANUAL, code_prefix=None), make_customer())

    assert reward is not None
    assert (reward.state, reward.code) == (RewardState.ISSUED, None)


def test_brands_keep_their_own_currency(app: Flask) -> None:
    euros, yen = make_programme(), make_programme(make_brand(currency="JPY"))

    issue_for(euros, make_customer())
    reward = issue_for(yen, make_customer(), "invitation:2")

    assert reward is not None
    assert reward.currency == "JPY"
    assert ledger.balance(yen).currency == "JPY"
    assert ledger.check() == []


def test_the_check_finds_money_that_was_moved_past_the_ledger(app: Flask) -> None:
    programme = make_programme()
    issue_for(programme, make_customer())
    db.session.execute(text("UPDATE programme SET spent_minor = spent_minor + 1"))

    faults = ledger.check()

    assert {(fault.what, fault.found - fault.expected) for fault in faults} == {
        ("programme spent", -1),
        ("programme budget", 1),
    }
