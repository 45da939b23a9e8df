from __future__ import annotations

from datetime import timedelta

import pytest

from core import clock
from feedback.models import OutcomeState
from insights import metrics, rollups
from insights.metrics import Asked, GroupBy
from surveys.scoring import Metric
from tests.client import count_queries
from tests.factories import make_touchpoint
from tests.insights.conftest import TODAY, Shop, open_shop
from tests.insights.test_recovery import a_case, a_check


def fold() -> None:
    rollups.fold(now=clock.now())


def test_nps_over_a_period_is_that_of_its_answers_alone(shop: Shop) -> None:
    """By hand: 6 promoters and 2 detractors of 10 are +40."""
    shop.answer([9, 9, 9, 10, 10, 10, 7, 8, 0, 6])
    shop.answer([0] * 5, on=TODAY - timedelta(days=30))
    fold()

    found = metrics.report(shop.asked(days=30)).figure

    assert (found.n, found.value, found.few) == (10, 40.0, True)


def test_groups_add_up_to_the_whole(shop: Shop) -> None:
    other = make_touchpoint(shop.brand)
    shop.answer([10, 10, 2])
    shop.answer([8, 3], touchpoint_id=other.id)
    shop.answer([9], touchpoint_id=None)
    fold()

    found = metrics.report(shop.asked(), group_by=GroupBy.TOUCHPOINT)

    assert {group.key: group.figure.n for group in found.groups} == {
        shop.touchpoint.key: 3,
        other.key: 2,
        "none": 1,
    }
    assert found.counts == {2: 1, 3: 1, 8: 1, 9: 1, 10: 2}


def test_an_outcome_checks_answer_is_no_part_of_the_headline(shop: Shop) -> None:
    check = a_check(a_case(shop.brand), OutcomeState.ANSWERED)
    shop.answer([10], outcome_check_id=check.id)
    fold()

    assert metrics.report(shop.asked()).figure.n == 0
    assert metrics.report(Asked(**{**shop.asked().__dict__, "kind": "outcome"})).figure.n == 1


@pytest.mark.parametrize(
    "narrowed",
    [
        {"languages": ("en",)},
        {"channels": ("email",)},
        {"tiers": ("Summit",)},
    ],
)
def test_restrictions_leave_others_out(shop: Shop, narrowed: dict[str, tuple[str, ...]]) -> None:
    shop.answer([9, 9], tier="Summit")
    shop.answer([1], language="ar", channel="link", tier="Trail")
    fold()

    assert metrics.report(shop.asked(**narrowed)).figure.n == 2


def test_another_brands_answers_stay_out(shop: Shop) -> None:
    other = open_shop()
    shop.answer([9])
    other.answer([1, 1])
    fold()

    assert metrics.report(shop.asked(brand_ids=(shop.brand.id,))).counts == {9: 1}


def test_a_rolling_figure_looks_back_over_its_own_days_only(shop: Shop) -> None:
    """By hand: with 3 days to look back, the 28th's answers are in the windows up to the 30th."""
    shop.answer([10] * 5, on=TODAY - timedelta(days=3))
    shop.answer([0] * 5, on=TODAY)
    fold()

    found = metrics.rolling(shop.asked(days=4), days=3, step=1)

    assert [(end.day, figure.n, figure.value) for end, figure in found] == [
        (28, 5, 100.0),
        (29, 5, 100.0),
        (30, 5, 100.0),
        (31, 5, -100.0),
    ]


def test_no_window_reaches_back_over_a_change_of_wording(shop: Shop) -> None:
    shop.answer([10] * 5, on=TODAY - timedelta(days=1))
    shop.answer([0] * 5, on=TODAY)
    fold()

    found = metrics.rolling(shop.asked(days=2), days=28, step=1, breaks=[TODAY])

    assert [(figure.n, figure.value) for _end, figure in found] == [(5, 100.0), (5, -100.0)]


def test_a_report_costs_two_statements_at_any_number_of_answers(shop: Shop) -> None:
    for times in (1, 50):
        shop.answer([9] * times)
        fold()

        with count_queries() as queries:
            metrics.report(shop.asked(), group_by=GroupBy.TOUCHPOINT)

        assert queries.count == 2


def test_periods_that_overlap_meet_and_lie_apart_each_have_their_own_counts(shop: Shop) -> None:
    for back in range(12):
        shop.answer([back % 11] * (back + 1), on=TODAY - timedelta(days=back))
    fold()
    backs = [(9, 0), (9, 4), (3, 0), (4, 4), (11, 11), (9, 0), (30, 20)]
    periods = [(TODAY - timedelta(days=first), TODAY - timedelta(days=last)) for first, last in backs]

    found = metrics.reports(shop.asked(), periods, group_by=GroupBy.TOUCHPOINT)

    alone = [metrics.report(shop.asked().moved(start=start, end=end)).counts for start, end in periods]
    assert [each.counts for each in found] == alone
    assert [sum(counts.values()) for counts in alone] == [55, 45, 10, 5, 12, 55, 0]


def test_every_metric_has_its_own_counts(shop: Shop) -> None:
    shop.answer([9])
    shop.answer([5, 5], metric="csat", question="csat")
    fold()

    assert metrics.report(shop.asked(metric=Metric.CSAT)).counts == {5: 2}
