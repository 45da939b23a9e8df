from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from core import clock
from core.db import db
from customers.models import Customer
from feedback.models import OutcomeState
from insights import pictures, rollups, silence, transitions
from insights.models import EVERY_TIER, Move
from surveys.models import Invitation, InvitationState
from surveys.scoring import Band
from tests.factories import make_customer, make_invitation
from tests.insights.conftest import NOON, TODAY, Shop
from tests.insights.test_rates import bounced
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

    assert [(row.route, row.was, list(row.counts.values())) for row in found] == [
        ("recovery", "negative", [0, 0, 1, 0]),
        ("later", "negative", [1, 0, 0, 0]),
        ("later", "neutral", [0, 0, 1, 0]),
        ("later", "positive", [0, 0, 1, 0]),
        ("later", "silent", [0, 0, 0, 0]),
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

    recovered, _otherwise, neutral, _positive, _silent = rows(shop)

    assert (recovered.n, recovered.of(Band.POSITIVE).value, recovered.of(Band.NEGATIVE).value) == (30, 0.6, 0.4)
    assert (neutral.n, neutral.of(Band.NEUTRAL).value) == (1, None)


# Silence


def asked(shop: Shop, customer: Customer, on: date, **more: Any) -> Invitation:
    """Ask a customer on a day; the link works for ten days."""
    at = datetime.combine(on, NOON)
    times = {"created_at": at, "send_at": at, "sent_at": at, "expires_at": at + timedelta(days=10)}
    values: dict[str, Any] = {**times, "state": InvitationState.EXPIRED, **more}
    return make_invitation(shop.survey, customer, shop.touchpoint, **values)


def fallen(shop: Shop) -> dict[tuple[str, str, str], int]:
    """Fold and count; return the moves by (route, was, became)."""
    rollups.fold(now=clock.now())
    silence.recount(TODAY - timedelta(days=90), TODAY, now=clock.now())
    found = db.session.execute(select(Move.route, Move.was, Move.became, Move.count).where(Move.tier == EVERY_TIER))
    return {(route, was, became): count for route, was, became, count in found}


def test_who_answered_once_and_then_let_a_link_run_out_fell_silent(shop: Shop) -> None:
    customer = make_customer(tier="Summit")
    shop.answer([3], on=TODAY - timedelta(days=60), customer_id=customer.id)
    asked(shop, customer, TODAY - timedelta(days=20))

    moves = fallen(shop)
    kept = db.session.scalars(select(Move).where(Move.tier != EVERY_TIER)).one()

    assert moves == {("later", "negative", "silent"): 1}
    assert (kept.day, kept.tier, kept.metric) == (TODAY - timedelta(days=10), "Summit", "nps")


def test_who_never_answered_was_nothing_before_and_is_in_no_row_until_asked_twice(shop: Shop) -> None:
    customer = make_customer()
    asked(shop, customer, TODAY - timedelta(days=60))
    first = fallen(shop)
    asked(shop, customer, TODAY - timedelta(days=20))

    assert (first, fallen(shop)) == ({}, {("later", "silent", "silent"): 1})


def test_the_silent_who_answers_again_moves_out_of_silence_and_not_from_the_answer_before(shop: Shop) -> None:
    customer = make_customer()
    shop.answer([9], on=TODAY - timedelta(days=80), customer_id=customer.id)
    asked(shop, customer, TODAY - timedelta(days=60))
    shop.answer([8], on=TODAY, customer_id=customer.id)

    moves = fallen(shop)
    rollups.rebuild(TODAY)

    assert moves == {("later", "positive", "silent"): 1, ("later", "silent", "neutral"): 1}
    assert fallen(shop) == moves


@pytest.mark.parametrize(
    "more",
    [
        {"state": InvitationState.SENT, "expires_at": datetime(2100, 1, 1, tzinfo=UTC)},  # may still answer
        {"state": InvitationState.WAITING, "sent_at": None},
        {"state": InvitationState.REVOKED},
        {"state": InvitationState.SKIPPED, "sent_at": None},
        {"partial": {"nps": 4}},  # began, and is no silent one
    ],
)
def test_who_was_not_asked_or_began_or_may_still_answer_is_not_silent(shop: Shop, more: dict[str, Any]) -> None:
    customer = make_customer()
    shop.answer([3], on=TODAY - timedelta(days=60), customer_id=customer.id)
    asked(shop, customer, TODAY - timedelta(days=20), **more)

    assert fallen(shop) == {}


def test_who_never_got_the_mail_is_not_silent(shop: Shop) -> None:
    customer = make_customer()
    shop.answer([3], on=TODAY - timedelta(days=60), customer_id=customer.id)
    asked(shop, customer, TODAY - timedelta(days=20), message_id=bounced(shop))

    assert fallen(shop) == {}


def test_who_answers_another_survey_meanwhile_is_not_silent(shop: Shop) -> None:
    customer = make_customer()
    shop.answer([3], on=TODAY - timedelta(days=60), customer_id=customer.id)
    asked(shop, customer, TODAY - timedelta(days=20))
    shop.answer([4], on=TODAY - timedelta(days=15), customer_id=customer.id)

    assert fallen(shop) == {("later", "negative", "negative"): 1}


def test_an_outcome_check_that_went_silent_is_silent_after_recovery(shop: Shop) -> None:
    check = a_check(a_case(shop.brand), OutcomeState.SILENT)
    check.due_at = datetime.combine(TODAY, NOON) - timedelta(days=30)
    asked(shop, make_customer(), TODAY - timedelta(days=30), outcome_check_id=check.id)

    assert fallen(shop) == {("recovery", "negative", "silent"): 1}


def test_counting_silences_anew_repairs_them_and_leaves_answers(shop: Shop) -> None:
    customer = make_customer()
    shop.answer([3, 9], on=TODAY - timedelta(days=60), customer_id=customer.id)
    asked(shop, customer, TODAY - timedelta(days=20))
    before = fallen(shop)
    db.session.execute(update(Move).where(Move.became == "silent").values(count=9))

    assert fallen(shop) == before == {("later", "negative", "positive"): 1, ("later", "positive", "silent"): 1}


def test_bands_are_shares_of_those_who_answered_and_silence_of_all_who_were_asked(shop: Shop) -> None:
    counts = {"negative": 12, "neutral": 9, "positive": 9, "silent": 10}
    row = transitions.Row("recovery", "negative", counts)

    assert (row.n, row.answered) == (40, 30)
    assert (row.of("negative").value, row.of("silent").value, row.up.value) == (0.4, 0.25, 0.6)
    told = pictures.moved_up([row, *(transitions.Row("later", was, counts) for was in transitions.STATES)])
    assert told == (
        "After recovery, 60% of those who answered again in these days moved up. "
        "Of those not asked after recovery, 60% moved up. Of all asked another time, 25% did not answer."
    )
