"""Resolving, asking again, won back or not."""

from __future__ import annotations

from datetime import date, time, timedelta

import pytest
from sqlalchemy import select

from accounts.models import Staff
from core.db import db
from core.events import Event
from core.outbox import Work
from customers.models import Brand
from feedback import clocks, entries, outcome, promises, resolutions
from feedback.models import Case, OutcomeCheck
from feedback.resolutions import AlreadyResolved
from tests.factories import make_case, make_root_cause
from tests.feedback.conftest import HOUR, MONDAY_9


@pytest.fixture
def resolved(brand: Brand, ana: Staff) -> Case:
    case = make_case(brand, now=MONDAY_9)
    entries.log_call(case, reached=True, minutes=7, body=None, by=ana, now=MONDAY_9)
    resolutions.resolve(case, by=ana, cause=make_root_cause(), words="Sent new poles", now=MONDAY_9 + HOUR)
    return case


def check_of(case: Case) -> OutcomeCheck:
    return db.session.scalars(
        select(OutcomeCheck).where(OutcomeCheck.case_id == case.id).order_by(OutcomeCheck.id.desc())
    ).first()  # type: ignore[return-value]


def test_resolving_stops_the_clocks_and_asks_again_after_the_policys_days(resolved: Case) -> None:
    check = check_of(resolved)

    assert (resolved.state, resolved.next_act, resolved.resolved_at) == ("resolved", "outcome", MONDAY_9 + HOUR)
    assert (check.state, check.due_at) == ("pending", MONDAY_9 + HOUR + timedelta(days=7))
    assert not any(clock.is_running for clock in clocks.of(resolved.id))
    work = db.session.scalars(select(Work).where(Work.handler == "outcome.ask")).one()
    assert (work.ids, work.due_at) == ({"check_id": check.id}, check.due_at)


def test_a_case_is_resolved_once(resolved: Case, ana: Staff) -> None:
    with pytest.raises(AlreadyResolved):
        resolutions.resolve(resolved, by=ana, cause=make_root_cause(), words=None, now=MONDAY_9 + HOUR)


def test_a_case_without_a_customer_closes_when_resolved(brand: Brand, ana: Staff) -> None:
    case = make_case(brand, customer=None, now=MONDAY_9)

    resolutions.resolve(case, by=ana, cause=make_root_cause(), words=None, now=MONDAY_9)

    assert (case.state, check_of(case)) == ("closed", None)


def test_fixed_asks_at_once_instead_of_later(resolved: Case) -> None:
    check = outcome.mark_fixed(resolved, MONDAY_9 + 2 * HOUR)

    assert check is check_of(resolved)
    assert (check.asked_because, check.due_at) == ("fixed", MONDAY_9 + 2 * HOUR)
    assert outcome.mark_fixed(resolved, MONDAY_9 + 3 * HOUR) is check
    works = db.session.scalars(select(Work.due_at).where(Work.handler == "outcome.ask").order_by(Work.due_at)).all()
    assert works == [MONDAY_9 + 2 * HOUR, MONDAY_9 + HOUR + timedelta(days=7)]


def test_fixed_ends_an_open_case_and_leaves_its_root_cause_to_be_said(brand: Brand, ana: Staff) -> None:
    case = make_case(brand, now=MONDAY_9)

    outcome.mark_fixed(case, MONDAY_9 + HOUR)

    assert (case.state, case.fixed_at, case.root_cause_id) == ("resolved", MONDAY_9 + HOUR, None)
    cause = make_root_cause()
    resolutions.resolve(case, by=ana, cause=cause, words=None, now=MONDAY_9 + 2 * HOUR)
    assert (case.root_cause_id, case.resolved_at) == (cause.id, MONDAY_9 + HOUR)


def test_not_fixed_opens_a_resolved_case_again(resolved: Case) -> None:
    outcome.mark_not_fixed(resolved, MONDAY_9 + 2 * HOUR)

    assert (resolved.state, resolved.reopened, resolved.resolved_at) == ("recovery", 1, None)
    assert check_of(resolved).state == "cancelled"
    assert resolved.due_at == MONDAY_9 + 2 * HOUR + timedelta(days=4, hours=4)


def test_not_fixed_makes_an_answer_due_in_an_open_case(brand: Brand, ana: Staff) -> None:
    case = make_case(brand, now=MONDAY_9)
    entries.log_call(case, reached=True, minutes=7, body=None, by=ana, now=MONDAY_9)

    outcome.mark_not_fixed(case, MONDAY_9)

    assert (case.next_act, case.due_at) == ("next_response", MONDAY_9 + 8 * HOUR)


@pytest.mark.parametrize("score", [7, 10])
def test_a_neutral_or_happy_second_answer_is_won_back_and_closes_the_case(resolved: Case, score: int) -> None:
    later = MONDAY_9 + timedelta(days=8)

    check = outcome.record_answer(check_of(resolved).id, metric="nps", score=score, now=later)

    assert (check.state, check.won_back, check.score) == ("answered", True, score)
    assert (resolved.state, resolved.won_back_at, resolved.closed_at) == ("closed", later, later)
    assert resolved.customer is not None
    assert resolved.customer.won_back_at == later
    kinds = db.session.scalars(
        select(Event.kind).where(Event.case_id == resolved.id).order_by(Event.id.desc()).limit(2)
    )
    assert set(kinds) == {"case.won_back", "case.closed"}


def test_an_unhappy_second_answer_opens_the_case_again_more_urgent(resolved: Case) -> None:
    check = outcome.record_answer(check_of(resolved).id, metric="nps", score=6, now=MONDAY_9 + 9 * HOUR)

    assert check.won_back is False
    assert (resolved.state, resolved.won_back_at, resolved.priority, resolved.reopened) == ("recovery", None, "high", 1)


def test_the_first_second_answer_counts(resolved: Case) -> None:
    check_id = check_of(resolved).id
    outcome.record_answer(check_id, metric="nps", score=9, now=MONDAY_9 + 9 * HOUR)

    check = outcome.record_answer(check_id, metric="nps", score=0, now=MONDAY_9 + 10 * HOUR)

    assert (check.score, resolved.state) == (9, "closed")


def test_a_check_nobody_answers_goes_silent_and_the_case_closes_not_won(resolved: Case) -> None:
    check = check_of(resolved)
    outcome.mark_asked(check, now=check.due_at)

    early = outcome.go_silent(now=check.due_at + timedelta(days=29))
    ended = outcome.go_silent(now=check.due_at + timedelta(days=31))

    assert (early, ended, check.state) == (0, 1, "silent")
    assert (resolved.state, resolved.won_back_at) == ("closed", None)
    assert outcome.go_silent(now=check.due_at + timedelta(days=31)) == 0


def test_a_customer_who_writes_after_the_end_is_heard(resolved: Case) -> None:
    entries.customer_reply(resolved, body="The poles broke again", now=MONDAY_9 + 2 * HOUR, form_key="r" * 22)

    assert (resolved.state, resolved.next_act) == ("recovery", "next_response")


def test_who_says_that_all_is_well_needs_no_promised_call_and_stays_won_back(brand: Brand) -> None:
    case = make_case(brand, now=MONDAY_9)
    promised = promises.of(case.id)[0]

    outcome.mark_fixed(case, MONDAY_9 + HOUR)
    outcome.record_answer(check_of(case).id, metric="nps", score=9, now=MONDAY_9 + HOUR)
    broken = promises.break_overdue(now=MONDAY_9 + timedelta(days=2))

    assert (broken, promised.kind, promised.state) == (0, "contact", "renegotiated")
    assert (case.state, case.reopened) == ("closed", 0)


def test_what_a_person_promised_still_holds_when_the_customer_says_fixed(brand: Brand, ana: Staff) -> None:
    case = make_case(brand, now=MONDAY_9)
    when = promises.Appointment(date(2025, 11, 10), time(16), "Europe/Berlin")
    own = promises.make(case, words="Send the poles", when=when, keeper=ana, by=ana, now=MONDAY_9)

    outcome.mark_fixed(case, MONDAY_9 + HOUR)

    assert own.state == "open"
