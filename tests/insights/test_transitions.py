from __future__ import annotations

from datetime import timedelta

from core import clock
from feedback.models import OutcomeState
from insights import rollups, transitions
from surveys.scoring import Band
from tests.factories import make_customer
from tests.insights.conftest import TODAY, Shop
from tests.insights.test_recovery import a_case, a_check


def moved(shop: Shop, was: int | None, became: int, *, recovery: bool = False) -> None:
    """Write a customer's two answers; the second may be an outcome check's, and a complaint has no first one."""
    customer = make_customer()
    first = shop.answer([was], on=TODAY - timedelta(days=9), customer_id=customer.id)[0] if was is not None else None
    check = a_check(a_case(shop.brand), OutcomeState.ANSWERED) if recovery else None
    shop.answer(
        [became],
        customer_id=customer.id,
        outcome_check_id=check.id if check else None,
        first_response_id=first if recovery else None,
    )


def rows(shop: Shop) -> list[transitions.Row]:
    rollups.fold(now=clock.now())
    return transitions.transitions(shop.asked())


def test_the_recovered_stand_apart_from_those_simply_asked_another_time(shop: Shop) -> None:
    moved(shop, 2, 9, recovery=True)
    moved(shop, 3, 4)
    moved(shop, 8, 10)
    moved(shop, 9, 9)

    found = rows(shop)

    assert [(row.route, row.was, row.counts) for row in found] == [
        ("recovery", Band.NEGATIVE, {Band.NEGATIVE: 0, Band.NEUTRAL: 0, Band.POSITIVE: 1}),
        ("later", Band.NEGATIVE, {Band.NEGATIVE: 1, Band.NEUTRAL: 0, Band.POSITIVE: 0}),
        ("later", Band.NEUTRAL, {Band.NEGATIVE: 0, Band.NEUTRAL: 0, Band.POSITIVE: 1}),
        ("later", Band.POSITIVE, {Band.NEGATIVE: 0, Band.NEUTRAL: 0, Band.POSITIVE: 1}),
    ]


def test_a_complaint_counts_as_negative_before_its_outcome_check(shop: Shop) -> None:
    moved(shop, None, 8, recovery=True)

    assert rows(shop)[0].counts[Band.NEUTRAL] == 1


def test_an_outcome_check_is_bound_to_the_answer_that_opened_its_case(shop: Shop) -> None:
    customer = make_customer()
    first = shop.answer([1], on=TODAY - timedelta(days=9), customer_id=customer.id)[0]
    shop.answer([10], on=TODAY - timedelta(days=5), customer_id=customer.id)
    check = a_check(a_case(shop.brand), OutcomeState.ANSWERED)
    shop.answer([7], customer_id=customer.id, outcome_check_id=check.id, first_response_id=first)

    found = rows(shop)

    assert found[0].counts[Band.NEUTRAL] == 1
    assert found[3].n == 0


def test_shares_need_thirty_answers(shop: Shop) -> None:
    for place in range(30):
        moved(shop, 2, 9 if place < 18 else 2, recovery=True)
    moved(shop, 8, 8)

    recovered, _otherwise, neutral, _positive = rows(shop)

    assert (recovered.n, recovered.share(Band.POSITIVE), recovered.share(Band.NEGATIVE)) == (30, 0.6, 0.4)
    assert (neutral.n, neutral.share(Band.NEUTRAL)) == (1, None)
