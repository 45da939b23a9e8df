"""Opening cases and finding them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import func, select

from accounts.models import Staff
from core import clock
from core.db import db
from core.errors import NotFound
from core.events import Event
from customers.models import Brand
from feedback import cases, policies
from feedback.models import Case, CaseClock, ClockEvent, Promise, SlaPolicy
from tests.client import count_queries
from tests.factories import make_case, make_customer, make_touchpoint, open_for_answer
from tests.feedback.conftest import HOUR, MONDAY_9


def opened(brand: Brand, **more: object) -> Case | None:
    values: dict[str, object] = {
        "response_id": 1, "now": MONDAY_9, "survey_id": 1, "question": "recommend", "metric": "nps", "score": 3,
        "brand": brand, "touchpoint_id": None, "interaction_id": None, "customer": None, "why": [], "words": None,
        "language": "en", "wants": "none",
    }  # fmt: skip
    return open_for_answer(**{**values, **more})  # type: ignore[arg-type]


def test_an_unhappy_answer_opens_a_case_with_clocks_a_promise_and_its_history(brand: Brand) -> None:
    case = make_case(brand, now=MONDAY_9)

    clocks = db.session.scalars(select(CaseClock).order_by(CaseClock.id)).all()
    promise = db.session.scalars(select(Promise)).one()
    kinds = db.session.scalars(select(Event.kind).where(Event.case_id == case.id).order_by(Event.id)).all()
    assert [(clock.kind, clock.due_at) for clock in clocks] == [
        ("first_contact", MONDAY_9 + 4 * HOUR),
        ("resolution", MONDAY_9 + timedelta(days=4, hours=4)),
    ]
    assert db.session.scalar(select(func.count()).select_from(ClockEvent)) == 2
    assert (promise.kind, promise.due_at, promise.state) == ("contact", MONDAY_9 + 4 * HOUR, "open")
    assert kinds == ["case.opened", "promise.made"]
    assert (case.due_at, case.next_act, case.label) == (promise.due_at, "contact", f"AM-{case.number}")


def test_a_content_answer_opens_no_case(brand: Brand) -> None:
    assert opened(brand, score=7) is None
    assert db.session.scalar(select(func.count()).select_from(Case)) == 0


def test_a_survey_may_set_its_own_threshold(brand: Brand) -> None:
    assert opened(brand, score=8, threshold=8) is not None
    assert opened(brand, response_id=2, score=6, threshold=5) is None


def test_a_case_is_opened_in_one_statement(brand: Brand) -> None:
    customer = make_customer()
    make_case(brand, now=MONDAY_9)

    with count_queries() as queries:
        opened(brand, customer=customer, wants="phone", response_id=77)

    assert queries.count == 2, queries  # the second finds it for the test


def test_one_answer_has_one_case(brand: Brand) -> None:
    first = opened(brand)
    again = opened(brand)

    assert first is not None
    assert again is first
    assert db.session.scalar(select(func.count()).select_from(CaseClock)) == 2


def test_an_anonymous_answer_is_promised_nothing(brand: Brand) -> None:
    case = opened(brand, wants="phone")

    assert case is not None
    assert (case.wants, case.next_act) == ("none", "first_contact")
    assert db.session.scalar(select(func.count()).select_from(Promise)) == 0


def test_the_first_policy_by_position_whose_conditions_hold_sets_deadlines_priority_and_team(brand: Brand) -> None:
    policy = {"next_response_minutes": 60, "resolution_minutes": 600, "brand_id": brand.id}
    vip = {"all": [{"field": "tier", "op": "==", "value": "summit"}, {"field": "score", "op": "<=", "value": 3}]}
    db.session.add(
        SlaPolicy(name="All", position=20, conditions={}, first_contact_minutes=120, priority="normal", **policy)
    )
    db.session.add(
        SlaPolicy(name="VIP", position=10, conditions=vip, first_contact_minutes=30, priority="urgent", **policy)
    )
    db.session.flush()

    urgent = make_case(brand, customer=make_customer(tier="summit"), now=MONDAY_9)
    other = make_case(brand, customer=make_customer(tier="trail"), now=MONDAY_9)

    assert (urgent.priority, urgent.due_at) == ("urgent", MONDAY_9 + HOUR / 2)
    assert (other.priority, other.due_at) == ("normal", MONDAY_9 + 2 * HOUR)


def test_a_policy_that_cannot_be_read_does_not_keep_an_answer_from_being_taken(brand: Brand) -> None:
    broken = {"field": "tier", "op": "resembles", "value": "x"}
    minutes = {"first_contact_minutes": 1, "next_response_minutes": 1, "resolution_minutes": 1}
    db.session.add(SlaPolicy(name="Broken", position=1, conditions=broken, priority="urgent", **minutes))
    db.session.flush()

    assert make_case(brand, now=MONDAY_9).priority == policies.STANDARD.priority


def test_a_case_by_hand_is_opened_once_however_often_its_form_is_sent(brand: Brand, ana: Staff) -> None:
    touchpoint = make_touchpoint(brand)
    data = cases.ByHand(brand, make_customer(), "Paid twice", None, "k" * 22, touchpoint_id=touchpoint.id)

    first = cases.open_by_hand(data, by=ana, now=MONDAY_9)
    again = cases.open_by_hand(data, by=ana, now=MONDAY_9)

    assert again is first
    assert (first.origin, first.summary, first.due_at) == ("hand", "Paid twice", MONDAY_9 + 4 * HOUR)


def test_imported_cases_keep_their_time_and_stay_off_the_desk(brand: Brand) -> None:
    imported = [
        cases.ImportedCase(
            f"response:{number}", "answer", brand.id, MONDAY_9 - number * HOUR, "pt", metric="csat", score=1
        )
        for number in range(1, 4)
    ]

    with count_queries() as queries:
        new = cases.open_many_imported(imported, now=clock.now())
    again = cases.open_many_imported(imported, now=clock.now())

    kept = db.session.scalars(select(Case).order_by(Case.opened_at)).all()
    assert (len(new), again, queries.count) == (3, [], 2)
    assert [case.opened_at for case in kept] == [MONDAY_9 - number * HOUR for number in (3, 2, 1)]
    assert all(case.off_desk for case in kept)
    assert db.session.scalar(select(func.count()).select_from(CaseClock)) == 0


def test_an_imported_case_brought_to_the_desk_runs_from_now(brand: Brand, ana: Staff) -> None:
    imported = cases.ImportedCase("response:9", "answer", brand.id, MONDAY_9 - 900 * HOUR, "en", metric="csat", score=1)
    case = cases.open_imported(imported, now=MONDAY_9)

    cases.bring_to_desk(case, by=ana, now=MONDAY_9)

    assert (case.off_desk, case.due_at, case.next_act) == (False, MONDAY_9 + 4 * HOUR, "first_contact")


def test_a_case_is_seen_by_its_brands_team_and_by_who_sees_all(
    brand: Brand, alice: Staff, ana: Staff, bob: Staff
) -> None:
    case = make_case(brand)

    assert cases.visible(alice, case.label) is case
    assert cases.visible(ana, str(case.number)) is case
    with pytest.raises(NotFound):
        cases.visible(bob, case.label)


@pytest.mark.parametrize("number", ["", "AM-", "x", "1e3", "9" * 16, "-1", "AM-1\0"])
def test_what_is_no_number_of_a_case_is_not_found(alice: Staff, number: str) -> None:
    with pytest.raises(NotFound):
        cases.visible(alice, number)
