from __future__ import annotations

import threading
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from flask import Flask
from sqlalchemy import func, select, text

from core import clock
from core.db import db
from customers.models import Customer
from insights import rollups
from insights.models import EVERY_TIER, Move, Rollup
from surveys import scoring
from surveys.models import Response
from tests.factories import make_customer
from tests.insights.conftest import TODAY, Shop

BERLIN = ZoneInfo("Europe/Berlin")
YESTERDAY = TODAY - timedelta(days=1)
ALL = Rollup.tier == EVERY_TIER


def fold() -> int:
    folded = rollups.fold(now=clock.now())
    db.session.commit()
    return folded


def counted() -> Counter[tuple[date, str, int]]:
    rows = db.session.execute(select(Rollup.day, Rollup.kind, Rollup.score, Rollup.count).where(ALL))
    found: Counter[tuple[date, str, int]] = Counter()
    for day, kind, score, count in rows:
        found[day, kind, score] += count
    return found


def moved() -> Counter[tuple[str, str, str]]:
    found: Counter[tuple[str, str, str]] = Counter()
    for route, was, became, count in db.session.execute(
        select(Move.route, Move.was, Move.became, Move.count).where(Move.tier == EVERY_TIER)
    ):
        found[route, was, became] += count
    return found


def rows_say() -> Counter[tuple[date, str, int]]:
    """Count the responses one by one, as people would."""
    found: Counter[tuple[date, str, int]] = Counter()
    for each in db.session.scalars(select(Response).where(Response.score.is_not(None))):
        kind = "first" if each.outcome_check_id is None else "outcome"
        found[each.answered_at.astimezone(BERLIN).date(), kind, each.score or 0] += 1
    return found


def test_a_fold_takes_every_answer_once(shop: Shop) -> None:
    shop.answer([10, 10, 3])

    first, again = fold(), fold()

    assert (first, again) == (3, 0)
    assert counted() == {(TODAY, "first", 10): 2, (TODAY, "first", 3): 1}


def test_an_answer_just_after_midnight_counts_on_the_brands_own_day(shop: Shop) -> None:
    shop.answer([9], at=datetime(2026, 3, 30, 22, 30, tzinfo=UTC))  # 00:30 on the 31st in Berlin

    fold()

    assert counted() == {(TODAY, "first", 9): 1}


def test_an_answer_without_a_score_is_in_no_count(shop: Shop) -> None:
    shop.answer([None])

    assert fold() == 1
    assert counted() == {}


def test_each_scored_question_of_a_response_counts_under_its_own_metric(shop: Shop) -> None:
    shop.answer([9], scores={"ease": {"metric": "ces", "score": 6}})

    fold()

    rows = db.session.execute(select(Rollup.metric, Rollup.question, Rollup.score).where(ALL))
    assert set(rows) == {("nps", "nps", 9), ("ces", "ease", 6)}


def test_roll_ups_and_rows_agree_after_folds_in_batches(shop: Shop) -> None:
    for day in range(5):
        shop.answer([day, day + 5, 10], on=TODAY - timedelta(days=day))
    db.session.commit()

    while rollups.fold(now=clock.now(), limit=4):
        db.session.commit()

    assert counted() == rows_say()


def test_folds_at_the_same_time_count_nothing_twice_and_lose_nothing(app: Flask, shop: Shop) -> None:
    for day in range(4):
        shop.answer(list(range(11)) * 5, on=TODAY - timedelta(days=day))
    db.session.commit()
    failures: list[BaseException] = []

    def work() -> None:
        try:
            with app.app_context():
                for _ in range(20):
                    rollups.fold(now=clock.now(), limit=15)
                    db.session.commit()
        except BaseException as error:  # shown by the assertion below
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert not failures
    assert counted() == rows_say()
    assert sum(counted().values()) == 220


def test_rebuilding_a_day_repairs_it_and_leaves_the_others(shop: Shop, hanna: Customer) -> None:
    shop.answer([2], on=YESTERDAY, customer_id=hanna.id)
    shop.answer([9, 9], on=TODAY, customer_id=hanna.id)
    fold()
    before, moves = counted(), moved()
    db.session.execute(text("UPDATE rollup SET count = count + 7"))
    db.session.execute(text("DELETE FROM rollup_move"))

    rollups.rebuild(TODAY)
    db.session.commit()

    assert counted() == before + Counter({(YESTERDAY, "first", 2): 7})
    assert moved() == moves


def test_a_rebuild_leaves_answers_to_the_fold_that_it_has_not_taken_in(shop: Shop) -> None:
    shop.answer([9])
    fold()
    shop.answer([10])

    rollups.rebuild(TODAY)
    fold()

    assert counted() == {(TODAY, "first", 9): 1, (TODAY, "first", 10): 1}


def test_a_customers_second_answer_is_a_move_from_the_first(shop: Shop, hanna: Customer) -> None:
    shop.answer([2], on=YESTERDAY, customer_id=hanna.id)
    shop.answer([8], on=TODAY, customer_id=hanna.id)
    shop.answer([10], on=TODAY, customer_id=make_customer().id)
    shop.answer([10], on=TODAY)

    fold()

    assert moved() == {("later", "negative", "neutral"): 1}


def test_both_answers_in_one_fold_move_once(shop: Shop, hanna: Customer) -> None:
    for score, hour in ((3, 8), (9, 9), (5, 10)):
        shop.answer([score], at=datetime(2026, 3, 31, hour, tzinfo=UTC), customer_id=hanna.id)

    fold()

    assert moved() == {("later", "negative", "positive"): 1, ("later", "positive", "negative"): 1}


def tiers() -> dict[tuple[str, int], int]:
    return {
        (tier, score): count
        for tier, score, count in db.session.execute(select(Rollup.tier, Rollup.score, Rollup.count))
    }


def moved_by_tier() -> set[tuple[str, str, str]]:
    return {tuple(row) for row in db.session.execute(select(Move.tier, Move.was, Move.became))}


def test_an_answer_counts_under_the_tier_that_its_customer_had_when_it_was_taken_in(shop: Shop) -> None:
    summit = make_customer(tier="Summit")
    shop.answer([9, 9], customer_id=summit.id)
    shop.answer([3], customer_id=make_customer().id)
    shop.answer([4])

    fold()

    assert tiers() == {("Summit", 9): 2, ("", 3): 1, ("", 4): 1, ("*", 9): 2, ("*", 3): 1, ("*", 4): 1}


def test_a_customer_who_moves_up_a_tier_takes_no_earlier_answer_along_not_even_in_a_rebuild(shop: Shop) -> None:
    customer = make_customer(tier="Trail")
    shop.answer([2], on=YESTERDAY, customer_id=customer.id)
    fold()
    customer.tier = "Summit"
    shop.answer([9], on=TODAY, customer_id=customer.id)
    fold()
    before, moves = tiers(), moved_by_tier()

    rollups.rebuild(YESTERDAY)
    rollups.rebuild(TODAY)

    assert tiers() == before == {("Trail", 2): 1, ("Summit", 9): 1, ("*", 2): 1, ("*", 9): 1}
    assert moves == moved_by_tier() == {("*", "negative", "positive"), ("Summit", "negative", "positive")}


def test_another_metric_is_no_move(shop: Shop, hanna: Customer) -> None:
    shop.answer([2], on=YESTERDAY, customer_id=hanna.id)
    shop.answer([5], on=TODAY, customer_id=hanna.id, metric="csat")

    fold()

    assert moved() == {}


def test_an_answer_given_earlier_and_brought_in_later_makes_no_pair_in_fold_or_rebuild(
    shop: Shop, hanna: Customer
) -> None:
    shop.answer([9], on=TODAY, customer_id=hanna.id)
    fold()
    shop.answer([2], on=YESTERDAY, customer_id=hanna.id)
    fold()

    rollups.rebuild(TODAY)
    rollups.rebuild(YESTERDAY)

    assert moved() == {}


def test_bands_of_moves_are_those_of_the_scales(shop: Shop) -> None:
    for metric in scoring.METRICS:
        low, high = scoring.SCALES[metric]
        for score in range(low, high + 1):
            customer = make_customer()
            for day in (YESTERDAY, TODAY):
                shop.answer([score], on=day, customer_id=customer.id, metric=metric)

    fold()

    expected: Counter[tuple[str, str]] = Counter()
    for metric in scoring.METRICS:
        low, high = scoring.SCALES[metric]
        expected.update((metric, scoring.band(metric, score)) for score in range(low, high + 1))
    found = db.session.execute(
        select(Move.metric, Move.was, func.sum(Move.count))
        .where(Move.tier == EVERY_TIER)
        .group_by(Move.metric, Move.was)
    )
    assert {(metric, was): count for metric, was, count in found} == expected
    assert all(was == became for _route, was, became in moved())


def test_a_fold_takes_no_more_than_its_limit(shop: Shop) -> None:
    shop.answer([9] * 12)

    assert rollups.fold(now=clock.now(), limit=5) == 5
