"""Interactions by touchpoint: how many, how many left half-done, where cases were opened."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from core import clock
from core.db import db
from customers.models import Touchpoint
from insights import happenings, journey, words
from insights.happenings import Happened
from insights.models import Met
from tests.client import count_queries
from tests.factories import make_brand, make_case, make_customer, make_interaction, make_touchpoint
from tests.insights.conftest import NOON, TODAY, Shop

AT = datetime.combine(TODAY, NOON)


def met(shop: Shop, times: int = 1, *, at: datetime = AT, touchpoint: Touchpoint | None = None, **more: Any) -> None:
    for _ in range(times):
        make_interaction(touchpoint or shop.touchpoint, occurred_at=at, **more)


def counted() -> Counter[tuple[str, str, str]]:
    rows = db.session.execute(select(Met.day, Met.tier, Met.status, Met.count))
    return Counter({(day.isoformat(), tier, status): count for day, tier, status, count in rows})


def found(shop: Shop, **more: Any) -> list[Happened]:
    happenings.recount(TODAY - timedelta(days=40), TODAY)
    return happenings.happened(shop.asked(**more), journey.places(None))


def a_case(shop: Shop, touchpoint: Touchpoint | None = None, **more: Any) -> None:
    make_case(shop.brand, now=AT, touchpoint_id=(touchpoint or shop.touchpoint).id, **more)


def test_interactions_are_counted_by_the_brands_day_by_tier_and_by_status(shop: Shop) -> None:
    met(shop, 2, customer=make_customer(tier="Summit"))
    met(shop, status="started")
    met(shop, at=datetime(2026, 3, 30, 22, 30, tzinfo=UTC))  # 00:30 on the 31st in Berlin
    met(shop, at=AT - timedelta(days=1))

    happenings.recount(TODAY, TODAY)

    assert counted() == {
        ("2026-03-31", "Summit", "completed"): 2,
        ("2026-03-31", "", "started"): 1,
        ("2026-03-31", "", "completed"): 1,
    }


def test_counting_anew_repairs_a_day_and_leaves_the_others(shop: Shop) -> None:
    met(shop, 3)
    met(shop, 2, at=AT - timedelta(days=1))
    happenings.recount(TODAY - timedelta(days=1), TODAY)
    for each in db.session.scalars(select(Met)):
        each.count += 7
    db.session.flush()

    happenings.recount(TODAY, TODAY)

    assert counted() == {("2026-03-31", "", "completed"): 3, ("2026-03-30", "", "completed"): 9}


def test_what_is_told_late_is_counted_on_its_own_day(shop: Shop) -> None:
    now = clock.now()
    met(shop, at=AT - timedelta(days=300), received_at=now)
    met(shop, at=AT - timedelta(days=299), received_at=now - timedelta(hours=1))
    met(shop, at=now, status="started", received_at=now)

    happenings.recount_told(now=now)
    told = counted()
    happenings.recount_changing(now=now)

    assert told[((AT - timedelta(days=300)).date().isoformat(), "", "completed")] == 1
    assert told.total() == 2
    assert counted().total() == 3


@pytest.fixture
def recounted(monkeypatch: pytest.MonkeyPatch) -> list[date]:
    """The days that are counted from here on, one by one, by the statement that counts them."""
    days: list[date] = []
    execute = db.session.execute

    def noted(statement: Any, *more: Any, **named: Any) -> Any:
        if statement is happenings._COUNT:
            start, end = (more[0][name] for name in ("start", "end"))
            days.extend(start + timedelta(days=day) for day in range((end - start).days + 1))
        return execute(statement, *more, **named)

    monkeypatch.setattr(db.session, "execute", noted)
    return days


def test_a_year_that_was_imported_is_counted_once_until_more_is_told(shop: Shop, recounted: list[date]) -> None:
    now = AT
    for days in range(100, 130):
        met(shop, at=now - timedelta(days=days), received_at=now)

    for minutes in range(0, 14, 2):
        happenings.recount_told(now=now + timedelta(minutes=minutes))
    assert len(recounted) == 30

    late = now - timedelta(days=110)
    met(shop, at=late, received_at=now + timedelta(minutes=14))
    happenings.recount_told(now=now + timedelta(minutes=14))
    assert recounted[30:] == [late.date()]
    assert counted()[(late.date().isoformat(), "", "completed")] == 2


def test_a_row_that_was_not_committed_yet_has_its_day_counted_again(shop: Shop, recounted: list[date]) -> None:
    now = AT
    met(shop, 2, at=now - timedelta(days=100), received_at=now)
    early = make_interaction(shop.touchpoint, occurred_at=now, received_at=now - timedelta(hours=2))
    met(shop, at=now - timedelta(days=100), received_at=now)
    happenings.recount_told(now=now)

    early.occurred_at, early.received_at = now - timedelta(days=100), now  # of the same day, with a lower id
    db.session.flush()
    happenings.recount_told(now=now + timedelta(minutes=2))

    assert len(recounted) == 2
    assert counted().total() == 4


def test_the_round_of_every_few_hours_counts_each_day_once(shop: Shop, recounted: list[date]) -> None:
    now = AT
    for days in range(30, 60):
        met(shop, at=now - timedelta(days=days), received_at=now)

    happenings.recount_changing(now=now)
    first = len(recounted)
    happenings.recount_changing(now=now + timedelta(hours=6))

    assert first == len(set(recounted)) == 61
    assert set(recounted[first:]) == {(now - timedelta(days=days)).date() for days in range(-1, 46)}


def test_what_is_completed_later_is_no_longer_half_done(shop: Shop) -> None:
    now = clock.now()
    basket = make_interaction(shop.touchpoint, occurred_at=now - timedelta(days=20), status="started")
    happenings.recount_changing(now=now)
    before = [status for _day, _tier, status in counted()]
    basket.status = "completed"
    db.session.flush()

    happenings.recount_changing(now=now)

    assert (before, [status for _day, _tier, status in counted()]) == (["started"], ["completed"])


def test_shares_and_rates_need_thirty_interactions(shop: Shop) -> None:
    other = make_touchpoint(shop.brand)
    met(shop, 30)
    met(shop, 10, status="started")
    met(shop, 29, touchpoint=other, status="started")
    a_case(shop)

    here, there = sorted(found(shop), key=lambda each: -each.interactions)

    assert (here.interactions, here.left.value, here.per_thousand) == (40, 0.25, 25)
    assert (there.half_done, there.left.value, there.per_thousand) == (29, None, None)


def test_the_ten_by_volume_and_by_damage_are_the_largest_first_and_ten(shop: Shop) -> None:
    places = [make_touchpoint(shop.brand) for _ in range(12)]
    for number, touchpoint in enumerate(places):
        met(shop, number + 1, touchpoint=touchpoint)
    for touchpoint, cases in ((places[0], 3), (places[5], 1)):
        for _ in range(cases):
            a_case(shop, touchpoint)

    every = found(shop)

    assert [each.interactions for each in happenings.by_volume(every)] == [12, 11, 10, 9, 8, 7, 6, 5, 4, 3]
    assert [(each.place.id, each.cases) for each in happenings.by_damage(every)] == [
        (places[0].id, 3),
        (places[5].id, 1),
    ]


def test_what_is_at_stake_is_the_value_of_the_cases_interactions_and_no_sum_mixes_currencies(shop: Shop) -> None:
    for value, currency in ((12_000, "EUR"), (3_000, "EUR"), (500, "CHF")):
        order = make_interaction(shop.touchpoint, occurred_at=AT, value_minor=value, currency=currency)
        a_case(shop, interaction_id=order.id)
    a_case(shop)

    [here] = found(shop)

    assert (here.cases, here.at_stake) == (4, {"EUR": 15_000, "CHF": 500})


def test_a_tier_a_brand_and_a_period_leave_others_out(shop: Shop) -> None:
    summit, other = make_customer(tier="Summit"), make_touchpoint(make_brand())
    met(shop, 2, customer=summit)
    met(shop, 3)
    met(shop, 4, touchpoint=other)
    met(shop, 5, at=AT - timedelta(days=35))
    a_case(shop, customer=summit)
    a_case(shop)

    [of_tier] = found(shop, tiers=("Summit",))
    [of_brand] = found(shop, brand_ids=(shop.brand.id,))

    assert (of_tier.interactions, of_tier.cases) == (2, 1)
    assert (of_brand.interactions, of_brand.cases) == (5, 2)


def test_the_finding_names_counts_and_claims_no_more(shop: Shop) -> None:
    met(shop, 30)
    met(shop, 10, status="started")
    a_case(shop)

    every, name = found(shop), shop.touchpoint.name

    assert words.damage(every) == f"Most cases were opened at {name}: 1 of 1."
    assert words.half_done(every) == f"Left half-done: 10 (25%), 10 of them at {name}."
    assert words.damage([]) == "No case was opened in this period."


@pytest.mark.parametrize("rows", [1, 3])
def test_what_happened_costs_two_statements(shop: Shop, rows: int) -> None:
    for _ in range(rows):
        met(shop, touchpoint=make_touchpoint(shop.brand))
    places = journey.places(None)
    happenings.recount(TODAY, TODAY)

    with count_queries() as queries:
        happenings.happened(shop.asked(), places)

    assert queries.count == 2
