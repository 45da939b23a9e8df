"""Goodwill: alone within the limits, above them with a second person, and never twice for one form."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from accounts.models import Staff
from core import clock
from core.db import db, new_public_id
from core.errors import Forbidden
from core.events import Event
from customers.models import Brand, Customer
from incentives import cases, goodwill, rewards
from incentives.budgets import BudgetExhausted
from incentives.models import Programme, ProgrammeState, Reward, RewardState, Trigger
from notifications.models import Message
from tests.factories import make_brand, make_customer, make_programme, make_staff

Race = Callable[[int, Callable[[int], Any]], list[Any]]


@dataclass
class Case:
    """As much of a case as goodwill asks for."""

    id: int
    brand_id: int
    customer: Customer | None


@pytest.fixture
def brand(app: Flask) -> Brand:
    return make_brand()


@pytest.fixture
def programme(brand: Brand) -> Programme:
    """€50 alone, €80 a day for one member of staff, €100 a year for one customer, of €600."""
    return make_programme(
        brand,
        name="Goodwill credit",
        trigger=Trigger.GOODWILL,
        budget=60_000,
        reward_minor=5000,
        staff_day_limit_minor=8000,
        customer_limit_minor=10_000,
    )


@pytest.fixture
def case(brand: Brand, programme: Programme) -> Case:
    return Case(id=77, brand_id=brand.id, customer=make_customer())


@pytest.fixture
def case_is_named() -> Iterator[None]:
    before = list(cases._namers)
    cases.named_by(lambda ids: {77: cases.CaseName("AM-2417", "/desk/cases/2417", "p" * 22)})
    yield
    cases._namers[:] = before


def give(case: Case, amount: int, *, by: Staff, **more: Any) -> Reward:
    values = {"words": "The tent came late.", "form_key": new_public_id(), "now": clock.now(), **more}
    return goodwill.give(case, amount=amount, by=by, **values)


def kinds() -> list[str]:
    return list(db.session.scalars(select(Event.kind).where(Event.customer_id.is_not(None)).order_by(Event.id)))


def test_within_the_limit_it_is_issued_and_mailed_at_once(
    case: Case, programme: Programme, case_is_named: None
) -> None:
    ana = make_staff("agent")

    reward = give(case, 2500, by=ana)

    assert (reward.state, reward.amount_minor, reward.case_id) == (RewardState.ISSUED, 2500, 77)
    assert (reward.words, reward.by) == ("The tent came late.", f"staff:{ana.id}")
    assert (programme.spent_minor, programme.reserved_minor) == (2500, 0)
    message = db.session.scalars(select(Message)).one()
    assert message.values["because"] == "goodwill"
    assert message.values["number"] == "AM-2417"
    assert "/c/" in message.values["case_url"]
    assert message.values["reward"] == "€25 voucher"
    assert kinds() == ["reward.issued"]


def test_above_the_limit_it_waits_reserved_and_unsent(case: Case, programme: Programme) -> None:
    reward = give(case, 6000, by=make_staff("agent"))

    assert reward.state == RewardState.WAITING
    assert (programme.spent_minor, programme.reserved_minor) == (0, 6000)
    assert db.session.scalars(select(Message)).all() == []
    assert goodwill.waiting(programme) == [reward]
    assert kinds() == ["goodwill.asked"]


def test_a_second_person_approves_and_it_is_issued(case: Case, programme: Programme) -> None:
    lead = make_staff("lead")
    reward = give(case, 6000, by=make_staff("agent"))

    goodwill.approve(reward, by=lead, now=clock.now())

    assert (reward.state, reward.approved_by) == (RewardState.ISSUED, f"staff:{lead.id}")
    assert (programme.spent_minor, programme.reserved_minor) == (6000, 0)
    assert len(db.session.scalars(select(Message)).all()) == 1
    assert kinds() == ["goodwill.asked", "goodwill.approved", "reward.issued"]


def test_a_second_person_declines_and_the_money_comes_back(case: Case, programme: Programme) -> None:
    reward = give(case, 6000, by=make_staff("agent"))

    goodwill.decline(reward, by=make_staff("lead"), now=clock.now())

    assert reward.state == RewardState.RELEASED
    assert (programme.spent_minor, programme.reserved_minor) == (0, 0)
    assert kinds() == ["goodwill.asked", "goodwill.declined", "reward.released"]


@pytest.mark.parametrize("decide", [goodwill.approve, goodwill.decline])
def test_who_asked_cannot_decide(case: Case, decide: Callable[..., Reward]) -> None:
    lead = make_staff("lead")
    reward = give(case, 6000, by=lead)

    with pytest.raises(goodwill.SamePerson):
        decide(reward, by=lead, now=clock.now())

    assert reward.state == RewardState.WAITING


def test_an_agent_cannot_approve(case: Case) -> None:
    reward = give(case, 6000, by=make_staff("agent"))

    with pytest.raises(Forbidden):
        goodwill.approve(reward, by=make_staff("agent"), now=clock.now())


def test_what_is_decided_is_not_decided_again(case: Case) -> None:
    lead = make_staff("lead")
    reward = give(case, 6000, by=make_staff("agent"))
    goodwill.approve(reward, by=lead, now=clock.now())

    with pytest.raises(goodwill.AlreadyDecided):
        goodwill.decline(reward, by=lead, now=clock.now())


def test_a_limit_of_ones_own_goes_before_the_programmes(case: Case) -> None:
    trainee, head = make_staff("agent"), make_staff("lead")
    trainee.goodwill_limit_minor, head.goodwill_limit_minor = 1000, 7000

    assert give(case, 1001, by=trainee).state == RewardState.WAITING
    assert give(case, 7000, by=head).state == RewardState.ISSUED


def test_above_the_days_limit_it_waits_until_tomorrow_comes(case: Case, brand: Brand) -> None:
    ana = make_staff("agent")
    give(case, 5000, by=ana)
    other = Case(id=78, brand_id=brand.id, customer=make_customer())

    assert give(other, 3001, by=ana).state == RewardState.WAITING
    assert give(other, 3000, by=ana).state == RewardState.ISSUED
    third = Case(id=79, brand_id=brand.id, customer=make_customer())
    assert give(third, 5000, by=ana, now=clock.now() + timedelta(days=1)).state == RewardState.ISSUED


def test_what_a_second_person_agreed_to_leaves_the_day_its_room(case: Case, brand: Brand) -> None:
    ana = make_staff("agent")
    goodwill.approve(give(case, 6000, by=ana), by=make_staff("lead"), now=clock.now())
    other = Case(id=78, brand_id=brand.id, customer=make_customer())

    assert give(other, 5000, by=ana).state == RewardState.ISSUED


def test_above_the_customers_year_it_waits_whoever_gives(case: Case) -> None:
    give(case, 5000, by=make_staff("agent"))
    give(case, 4000, by=make_staff("agent"))

    assert give(case, 1001, by=make_staff("agent")).state == RewardState.WAITING


def test_the_same_form_twice_is_one_gesture(case: Case, programme: Programme) -> None:
    ana, key = make_staff("agent"), new_public_id()

    first, second = give(case, 2000, by=ana, form_key=key), give(case, 2000, by=ana, form_key=key)

    assert first is second
    assert programme.spent_minor == 2000


def test_the_same_form_at_once_is_one_gesture(case: Case, programme: Programme, race: Race) -> None:
    ana, key = make_staff("agent"), new_public_id()
    ids = (ana.id, case.brand_id, case.customer.id if case.customer else 0)

    def act(number: int) -> int:
        again = Case(id=77, brand_id=ids[1], customer=db.session.get_one(Customer, ids[2]))
        return give(again, 2000, by=db.session.get_one(Staff, ids[0]), form_key=key).id

    results = race(8, act)

    assert len(set(results)) == 1
    assert isinstance(results[0], int)
    assert programme.spent_minor == 2000


def test_the_days_limit_holds_under_a_race(case: Case, programme: Programme, race: Race) -> None:
    ana = make_staff("agent")
    programme.customer_limit_minor = None
    ids = (ana.id, case.brand_id, case.customer.id if case.customer else 0)

    def act(number: int) -> str:
        mine = Case(id=100 + number, brand_id=ids[1], customer=db.session.get_one(Customer, ids[2]))
        return give(mine, 2000, by=db.session.get_one(Staff, ids[0])).state

    results = race(8, act)

    assert (results.count(RewardState.ISSUED), results.count(RewardState.WAITING)) == (4, 4)


def test_more_than_the_budget_is_refused_at_the_field(case: Case) -> None:
    with pytest.raises(BudgetExhausted) as refused:
        give(case, 60_001, by=make_staff("agent"))

    assert refused.value.field == "amount"


@pytest.mark.parametrize(
    ("amount", "words", "field"), [(0, "Late.", "amount"), (-5, "Late.", "amount"), (5, " ", "words")]
)
def test_nothing_and_no_reason_are_refused_at_their_field(case: Case, amount: int, words: str, field: str) -> None:
    with pytest.raises(goodwill.NothingGiven) as refused:
        give(case, amount, words=words, by=make_staff("agent"))

    assert refused.value.field == field


def test_without_a_running_programme_nothing_can_be_given(case: Case, programme: Programme) -> None:
    programme.state = ProgrammeState.PAUSED
    db.session.flush()

    with pytest.raises(goodwill.NoGoodwill):
        give(case, 1000, by=make_staff("agent"))


def test_another_brands_programme_is_not_used(programme: Programme) -> None:
    elsewhere = Case(id=1, brand_id=make_brand().id, customer=make_customer())

    with pytest.raises(goodwill.NoGoodwill):
        give(elsewhere, 1000, by=make_staff("agent"))


def test_a_case_without_a_customer_and_a_staff_account_get_nothing(brand: Brand, programme: Programme) -> None:
    ana = make_staff("agent")

    for customer in (None, make_customer(email=ana.email)):
        with pytest.raises(goodwill.CannotReceive):
            give(Case(id=1, brand_id=brand.id, customer=customer), 1000, by=ana)


def test_the_allowance_is_what_can_be_given_without_asking(case: Case, programme: Programme) -> None:
    ana = make_staff("agent")
    give(case, 4500, by=ana)

    room = goodwill.allowance(case, by=ana, now=clock.now())

    assert room is not None
    assert (room.alone_minor, room.most_minor, room.currency) == (3500, 55_500, "EUR")
    assert goodwill.allowance(Case(1, case.brand_id, None), by=ana, now=clock.now()) is None


def test_goodwill_waiting_for_a_second_person_does_not_lapse(case: Case, programme: Programme) -> None:
    give(case, 6000, by=make_staff("agent"))

    assert rewards.release_expired(clock.now() + timedelta(days=400)) == 0
    assert db.session.execute(select(func.sum(Programme.reserved_minor))).scalar_one() == 6000
