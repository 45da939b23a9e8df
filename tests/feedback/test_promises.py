"""Promises: made with a time, kept, late, broken, agreed anew."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

import pytest
from sqlalchemy import select

from accounts.models import Staff
from core.db import db
from core.events import Event
from customers.models import Brand
from feedback import entries, promises, resolutions
from feedback.models import Case, Promise
from feedback.promises import Appointment, InThePast, PromiseEnded, PromisePassed
from tests.factories import make_case, make_root_cause
from tests.feedback.conftest import HOUR, MONDAY_9

FRIDAY_10 = Appointment(date(2025, 11, 14), time(10, 0), "Europe/Berlin")


@pytest.fixture
def case(brand: Brand) -> Case:
    return make_case(brand, now=MONDAY_9)


def promise_to(case: Case, ana: Staff, when: Appointment = FRIDAY_10, **more: object) -> Promise:
    return promises.make(case, words="New poles", when=when, keeper=ana, by=ana, now=MONDAY_9, **more)  # type: ignore[arg-type]


def test_a_promise_keeps_its_wall_time_its_zone_and_the_moment(case: Case, ana: Staff) -> None:
    promise = promise_to(case, ana)

    assert (promise.due_local, promise.due_zone) == ("2025-11-14T10:00", "Europe/Berlin")
    assert promise.due_at == datetime(2025, 11, 14, 9, 0, tzinfo=UTC)


def test_a_promise_for_a_time_the_clock_skips_means_the_first_moment_after(case: Case, ana: Staff) -> None:
    promise = promise_to(case, ana, Appointment(date(2026, 3, 29), time(2, 30), "Europe/Berlin"))

    assert promise.due_at == datetime(2026, 3, 29, 1, 0, tzinfo=UTC)


def test_a_promise_for_the_past_is_refused(case: Case, ana: Staff) -> None:
    with pytest.raises(InThePast):
        promise_to(case, ana, Appointment(date(2025, 11, 10), time(9, 0), "Europe/Berlin"))


def test_the_same_form_makes_one_promise(case: Case, ana: Staff) -> None:
    first, again = (promise_to(case, ana, form_key="k" * 22) for _ in range(2))

    assert again is first


def test_the_earliest_promise_is_what_is_due_next(case: Case, ana: Staff) -> None:
    promise = promise_to(case, ana, Appointment(date(2025, 11, 10), time(10, 0), "Europe/Berlin"))

    assert (case.due_at, case.next_act) == (promise.due_at, "promise")


def test_a_promise_is_kept_in_time_or_late(case: Case, ana: Staff) -> None:
    kept, late = promise_to(case, ana), promise_to(case, ana)

    promises.keep(kept, case=case, by=ana, now=FRIDAY_10.at)
    promises.keep(late, case=case, by=ana, now=FRIDAY_10.at + HOUR)

    assert (kept.state, late.state) == ("kept", "late")
    promises.keep(late, case=case, by=ana, now=FRIDAY_10.at + 2 * HOUR)
    assert late.ended_at == FRIDAY_10.at + HOUR


def test_a_first_contact_keeps_the_promise_to_call(case: Case, ana: Staff) -> None:
    entries.log_call(case, reached=True, minutes=7, body="All well", by=ana, now=MONDAY_9 + HOUR)

    promise = promises.of(case.id)[0]
    assert (promise.state, promise.ended_at, promise.ended_by) == ("kept", MONDAY_9 + HOUR, f"staff:{ana.id}")
    assert (case.state, case.first_contact_at, case.next_act) == ("recovery", MONDAY_9 + HOUR, "resolution")


def test_a_call_that_reached_nobody_keeps_nothing(case: Case, ana: Staff) -> None:
    entries.log_call(case, reached=False, minutes=None, body=None, by=ana, now=MONDAY_9 + HOUR)

    assert (promises.of(case.id)[0].state, case.state, case.first_contact_at) == ("open", "open", None)


def test_a_promise_agreed_anew_in_time_is_not_broken(case: Case, ana: Staff) -> None:
    old = promise_to(case, ana)
    monday = Appointment(date(2025, 11, 17), time(12, 0), "Europe/Berlin")

    fresh = promises.renegotiate(
        old,
        case=case,
        words="Poles on Monday",
        when=monday,
        keeper=ana,
        because="customer_asked",
        by=ana,
        now=MONDAY_9 + HOUR,
    )

    assert (old.state, old.replaced_by_id, fresh.state) == ("renegotiated", fresh.id, "open")
    with pytest.raises(PromiseEnded):
        promises.keep(old, case=case, by=ana, now=MONDAY_9)


def test_a_promise_whose_time_has_passed_is_not_agreed_anew(case: Case, ana: Staff) -> None:
    old = promise_to(case, ana)
    monday = Appointment(date(2025, 11, 17), time(12, 0), "Europe/Berlin")

    with pytest.raises(PromisePassed):
        promises.renegotiate(
            old,
            case=case,
            words="Later",
            when=monday,
            keeper=ana,
            because="needs_time",
            by=ana,
            now=FRIDAY_10.at + timedelta(seconds=1),
        )

    assert (old.state, len(promises.of(case.id))) == ("open", 2)
    promises.check_renewable(old, now=FRIDAY_10.at)


def test_a_broken_promise_stays_in_view_and_raises_its_case(case: Case, ana: Staff) -> None:
    entries.log_call(case, reached=True, minutes=7, body=None, by=ana, now=MONDAY_9)
    promise = promise_to(case, ana)

    broken = promises.break_overdue(now=FRIDAY_10.at + timedelta(minutes=1))

    db.session.refresh(promise)
    assert broken == 1
    assert (promise.state, case.priority) == ("broken", "high")
    assert (case.next_act, case.due_at) == ("broken_promise", FRIDAY_10.at)
    assert db.session.scalar(select(Event.case_id).where(Event.kind == "promise.broken")) == case.id
    assert promises.break_overdue(now=FRIDAY_10.at + HOUR) == 0


def test_a_broken_promise_is_answered_for_by_talking_to_the_customer(case: Case, ana: Staff) -> None:
    promise_to(case, ana)
    promises.break_overdue(now=FRIDAY_10.at + HOUR)

    entries.log_call(case, reached=True, minutes=2, body="Sorry", by=ana, now=FRIDAY_10.at + 2 * HOUR)

    assert case.next_act == "resolution"


def test_a_broken_promise_opens_a_resolved_case_again(case: Case, ana: Staff) -> None:
    entries.log_call(case, reached=True, minutes=7, body=None, by=ana, now=MONDAY_9)
    promise_to(case, ana)
    resolutions.resolve(case, by=ana, cause=make_root_cause(), words=None, now=MONDAY_9 + HOUR)
    assert case.state == "resolved"

    promises.break_overdue(now=FRIDAY_10.at + HOUR)

    assert (case.state, case.reopened, case.next_act) == ("recovery", 1, "broken_promise")


def test_promises_are_broken_in_batches(brand: Brand) -> None:
    for _ in range(3):
        make_case(brand, now=MONDAY_9)

    assert [promises.break_overdue(now=MONDAY_9 + 5 * HOUR, limit=2) for _ in range(3)] == [2, 1, 0]
