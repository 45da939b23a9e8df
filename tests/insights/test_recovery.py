from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import count
from typing import Any

import pytest

from core.db import db
from customers.models import Brand, Touchpoint
from feedback.models import (
    Case,
    CaseState,
    Origin,
    OutcomeCheck,
    OutcomeState,
    Promise,
    PromiseState,
    Resolution,
    RootCause,
)
from incentives.models import Reward, RewardState, Trigger
from insights import recovery
from insights.metrics import Asked
from insights.recovery import quantile
from surveys.scoring import Metric
from tests.client import count_queries
from tests.factories import make_brand, make_programme, make_root_cause, make_touchpoint
from tests.insights.conftest import TODAY, Shop, open_shop

MONDAY_9 = datetime(2026, 3, 30, 7, 0, tzinfo=UTC)  # 09:00 in Berlin, when the shop opens; it closes at 18:00
NOW = MONDAY_9 + timedelta(days=1, hours=3)
HOUR = timedelta(hours=1)
_numbers = count(1)


def a_case(brand: Brand, *, opened_at: datetime = MONDAY_9, touchpoint: Touchpoint | None = None, **more: Any) -> Case:
    values: dict[str, Any] = {
        "reason": f"test:{next(_numbers)}",
        "origin": Origin.ANSWER,
        "brand_id": brand.id,
        "touchpoint_id": touchpoint.id if touchpoint else None,
        "language": "en",
        "state": CaseState.OPEN,
        "opened_at": opened_at,
        "due_at": opened_at,
    }
    case = Case(**{**values, **more})
    db.session.add(case)
    db.session.flush()
    return case


def a_check(case: Case, state: OutcomeState, *, won: bool | None = None) -> OutcomeCheck:
    check = OutcomeCheck(case_id=case.id, state=state, asked_because="resolved", due_at=NOW, won_back=won)
    db.session.add(check)
    db.session.flush()
    return check


def resolved(brand: Brand, state: OutcomeState | None = None, *, won: bool | None = None, **more: Any) -> Case:
    case = a_case(brand, state=CaseState.RESOLVED, resolved_at=NOW, **more)
    if state is not None:
        a_check(case, state, won=won)
    return case


@pytest.fixture
def cause(shop: Shop) -> RootCause:
    return make_root_cause()


def asked(days: int = 30, end: date = TODAY, **more: Any) -> Asked:
    return Asked(Metric.NPS, end - timedelta(days=days - 1), end, **more)


# Won back


def test_won_back_is_counted_over_the_checked_with_the_share_checked_beside_it(shop: Shop) -> None:
    for _ in range(24):
        resolved(shop.brand, OutcomeState.ANSWERED, won=True)
    for _ in range(16):
        resolved(shop.brand, OutcomeState.ANSWERED, won=False)
    for state in (OutcomeState.SILENT, OutcomeState.SILENT, OutcomeState.ASKED, OutcomeState.PENDING):
        resolved(shop.brand, state)
    a_case(shop.brand)

    found = recovery.won_back(asked())

    assert (found.opened, found.resolved, found.silent, found.asking) == (45, 44, 2, 2)
    assert (found.won.k, found.won.n, found.won.value) == (24, 40, 0.6)
    assert (found.checked.k, found.checked.n) == (40, 44)
    assert found.won.interval == pytest.approx((0.446, 0.737), abs=0.001)  # Wilson, by hand


def test_silence_is_never_won(shop: Shop) -> None:
    resolved(shop.brand, OutcomeState.SILENT)

    assert recovery.won_back(asked()).won.k == 0


def test_of_a_case_only_the_newest_check_counts_and_a_cancelled_one_never(shop: Shop) -> None:
    case = resolved(shop.brand, OutcomeState.ANSWERED, won=False)
    a_check(case, OutcomeState.ANSWERED, won=True)
    a_check(case, OutcomeState.CANCELLED)

    found = recovery.won_back(asked())

    assert (found.won.k, found.won.n) == (1, 1)


def test_a_case_worked_on_again_after_its_check_still_counts_as_resolved(shop: Shop) -> None:
    case = a_case(shop.brand, state=CaseState.RECOVERY)
    a_check(case, OutcomeState.ANSWERED, won=False)

    assert recovery.won_back(asked()).checked.n == 1


def test_fewer_than_thirty_give_counts_and_no_share(shop: Shop) -> None:
    for _ in range(29):
        resolved(shop.brand, OutcomeState.ANSWERED, won=True)

    won = recovery.won_back(asked()).won

    assert (won.k, won.n, won.value, won.interval) == (29, 29, None, None)


def test_imported_cases_other_brands_and_other_days_are_left_out(shop: Shop) -> None:
    other = open_shop(make_brand())
    resolved(other.brand)
    a_case(shop.brand, opened_at=datetime(2026, 2, 28, 12, tzinfo=UTC))
    a_case(shop.brand, touchpoint=make_touchpoint(shop.brand))
    mine = a_case(shop.brand, touchpoint=shop.touchpoint)
    assert mine.import_id is None

    narrowed = asked(brand_ids=(shop.brand.id,), touchpoint_ids=(shop.touchpoint.id,))

    assert recovery.won_back(narrowed).opened == 1


def test_a_case_belongs_to_the_day_of_its_brand(shop: Shop) -> None:
    a_case(shop.brand, opened_at=datetime(2026, 3, 30, 22, 30, tzinfo=UTC))  # 00:30 on the 31st in Berlin

    assert recovery.won_back(asked(days=1)).opened == 1
    assert recovery.won_back(asked(days=1, end=TODAY - timedelta(days=1))).opened == 0


# Promises, reopening, goodwill


def test_promises_kept_leaves_open_and_renegotiated_ones_out(shop: Shop) -> None:
    case = a_case(shop.brand)
    ends = {
        PromiseState.KEPT: 27,
        PromiseState.LATE: 2,
        PromiseState.BROKEN: 1,
        PromiseState.OPEN: 5,
        PromiseState.RENEGOTIATED: 3,
    }
    for state, times in ends.items():
        db.session.add_all(
            Promise(case_id=case.id, words="", due_at=NOW, made_by="rule", made_at=NOW, state=state)
            for _ in range(times)
        )

    found = recovery.promises(asked())

    assert (found.kept.k, found.kept.n, found.kept.value) == (27, 30, 0.9)
    assert (found.late, found.broken) == (2, 1)


def test_a_resolution_counts_as_reopened_when_the_case_is_open_again_or_was_resolved_twice(
    shop: Shop, cause: RootCause
) -> None:
    twice = a_case(shop.brand, state=CaseState.RESOLVED)
    open_again = a_case(shop.brand, state=CaseState.RECOVERY)
    once = a_case(shop.brand, state=CaseState.RESOLVED)
    for case, times in ((twice, 2), (open_again, 1), (once, 1)):
        for _ in range(times):
            db.session.add(Resolution(case_id=case.id, root_cause_id=cause.id, by="system", at=NOW))
            db.session.flush()

    found = recovery.reopened(asked())

    assert (found.k, found.n) == (2, 4)


def test_goodwill_per_win_back_includes_what_was_given_in_vain(shop: Shop) -> None:
    programme = make_programme(shop.brand, budget=100_000, trigger=Trigger.GOODWILL, reward_minor=5000)
    cases = [resolved(shop.brand, OutcomeState.ANSWERED, won=place < 20) for place in range(30)]
    unchecked = resolved(shop.brand, OutcomeState.ASKED)
    for place, case in enumerate((cases[0], cases[29], unchecked)):
        db.session.add(
            Reward(
                programme_id=programme.id,
                reason=f"goodwill:{place}",
                case_id=case.id,
                state=RewardState.ISSUED,
                amount_minor=2000,
                currency="EUR",
                by="system",
                created_at=NOW,
            )
        )
    db.session.flush()

    [found] = recovery.goodwill(asked(), won=recovery.won_back(asked()))

    assert (found.given_minor, found.won, found.currency) == (4000, 20, "EUR")
    assert found.per_win_back_minor == 200


# First contact


def test_quantiles_without_waiting_cases_are_those_of_the_sorted_times() -> None:
    times = [(timedelta(minutes=minutes), True) for minutes in range(1, 11)]

    assert quantile(times, 0.5) == timedelta(minutes=5)
    assert quantile(times, 0.9) == timedelta(minutes=9)


def test_waiting_cases_push_the_quantiles_up() -> None:
    """By hand: 6 waits, S(1)=5/6; at 2 one is censored; S(3)=5/6*3/4=0.625; S(4)=0.625*2/3=0.4167 <= 0.5."""
    waits = [(1, True), (2, False), (3, True), (4, True), (5, False), (6, False)]

    assert quantile([(timedelta(hours=hours), reached) for hours, reached in waits], 0.5) == timedelta(hours=4)
    assert quantile([(timedelta(hours=hours), reached) for hours, reached in waits], 0.9) is None


def test_first_contact_is_counted_in_working_time(shop: Shop) -> None:
    for _ in range(15):
        a_case(shop.brand, first_contact_at=MONDAY_9 + HOUR)
    friday_17 = datetime(2026, 3, 27, 16, 0, tzinfo=UTC)  # in winter time; clocks went forward on that Sunday
    for _ in range(15):  # an hour on Friday, none at the weekend, two on Monday
        a_case(shop.brand, opened_at=friday_17, first_contact_at=MONDAY_9 + 2 * HOUR)

    found = recovery.first_contact(asked(), now=NOW)

    assert (found.n, found.censored) == (30, 0)
    assert (found.median, found.slowest_tenth) == (HOUR, 3 * HOUR)


def test_cases_that_nobody_reached_yet_count_as_waiting_and_never_as_zero(shop: Shop) -> None:
    for _ in range(20):
        a_case(shop.brand)  # waiting since Monday 9: a day of nine hours and three more
    for _ in range(10):
        a_case(shop.brand, first_contact_at=MONDAY_9 + HOUR)

    found = recovery.first_contact(asked(), now=NOW)

    assert (found.n, found.censored, found.median, found.slowest_tenth) == (30, 20, None, None)
    assert found.longest == 12 * HOUR


def test_under_thirty_cases_there_is_no_time(shop: Shop) -> None:
    a_case(shop.brand, first_contact_at=MONDAY_9 + HOUR)

    found = recovery.first_contact(asked(), now=NOW)

    assert (found.n, found.few, found.median) == (1, True, None)


def test_every_figure_together_costs_the_same_at_one_and_at_forty_cases(shop: Shop) -> None:
    resolved(shop.brand, OutcomeState.ANSWERED, won=True)
    recovery.recovery(asked(), now=NOW)  # calendars are read once
    with count_queries() as one:
        recovery.recovery(asked(), now=NOW)
    for _ in range(40):
        resolved(shop.brand, OutcomeState.ANSWERED, won=True, first_contact_at=NOW)

    with count_queries() as forty:
        found = recovery.recovery(asked(), now=NOW)

    assert one.count == forty.count == 5
    assert found.won_back.won.value == 1.0
