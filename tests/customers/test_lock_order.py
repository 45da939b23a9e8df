"""Locks are taken in one order, customers before cases (docs/architecture.md): two acts that meet wait, and both end.

Each test stops one act where it holds what comes first in the order, lets the other one run until it waits, and then
goes on. Taken the other way round, the two would wait for each other until PostgreSQL ended one of them.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from core import clock
from core.db import db, new_public_id
from core.outbox import Item
from customers import customers, erasure, merging
from customers.customers import CustomerData
from customers.models import Brand, Consent, Customer
from feedback import complaints, outcome, state
from feedback.complaints import ComplaintData, ConfirmEnded
from feedback.models import Case, CaseState, Complaint, OutcomeCheck, OutcomeState
from notifications import events as provider_events
from notifications import suppression
from notifications.events import ProviderEvent
from notifications.models import Message, State, SuppressionReason
from surveys import outcomes, reactions, versions
from surveys.models import Response
from tests.customers.races import meanwhile
from tests.factories import make_brand, make_case, make_customer, make_survey

HOME = "home@x.example"
Act = Callable[[Customer], Any]


def erase(customer: Customer) -> None:
    erasure.erase(customer, by="system", now=clock.now())


def merge(customer: Customer) -> None:
    merging.merge(make_customer(), customer, by="system", now=clock.now())


either = pytest.mark.parametrize("act", [erase, merge])


def run_into(app: Flask, customer: Customer, act: Act, other: Callable[[], Any]) -> Any:
    """Erase or merge a customer, beside another act that begins when only the customer is held; return its result."""
    db.session.commit()
    customers.locked_family(customer)
    with meanwhile(app, other) as second:
        assert second.is_held_up()
        act(customer)
        db.session.commit()
    return second.result


def a_check(customer: Customer) -> OutcomeCheck:
    """The case of a customer is resolved, and they were asked again."""
    case = make_case(make_survey().brand, customer=customer)
    outcome.mark_fixed(case, clock.now())
    check = db.session.scalars(select(OutcomeCheck).where(OutcomeCheck.case_id == case.id)).one()
    outcome.mark_asked(check, now=clock.now())
    return check


@either
def test_the_second_answer_waits_for_an_erasure_or_a_merge_of_its_customer(app: Flask, act: Act) -> None:
    customer = make_customer()
    check_id = a_check(customer).id

    def answer() -> None:
        outcome.record_answer(check_id, metric="nps", score=9, now=clock.now())

    assert run_into(app, customer, act, answer) is None

    case = db.session.scalars(select(Case)).one()
    assert case.state == CaseState.CLOSED
    if act is merge:
        assert case.customer_id != customer.id
        assert case.customer is not None and case.customer.won_back_at is not None


def second_answer(customer: Customer) -> int:
    """Their answer when they were asked again, to the question that opened the case."""
    check, survey = a_check(customer), make_survey()
    response = Response(
        public_id=new_public_id(),
        survey_id=survey.id,
        version_id=versions.current(survey.id).id,
        brand_id=survey.brand_id,
        customer_id=customer.id,
        outcome_check_id=check.id,
        channel="email",
        language="en",
        state="complete",
        scores={"recommend": {"metric": "nps", "score": 9, "scale": None}},
        answers={},
        answered_at=clock.now(),
        received_at=clock.now(),
    )
    db.session.add(response)
    db.session.flush()
    return response.id


def test_a_batch_of_answers_holds_all_its_customers_before_any_case(app: Flask) -> None:
    first, second = make_customer(), make_customer()
    items = [Item(1, {"response_id": second_answer(each)}, 0, 0) for each in (second, first)]
    ids = (first.id, second.id)
    db.session.commit()
    customers.held(select(Customer).where(Customer.id == ids[0]))

    with meanwhile(app, lambda: reactions.react(items, now=clock.now())) as worker:
        assert worker.is_held_up()
        customers.held(select(Customer).where(Customer.id == ids[1]))
        db.session.commit()

    assert worker.result is None
    assert set(db.session.scalars(select(OutcomeCheck.state))) == {OutcomeState.ANSWERED}


def a_complaint(customer: Customer | None) -> Complaint:
    data = ComplaintData(
        words="Cracked.", form_key=new_public_id(), language="en", customer=customer, typed_email=HOME, via="email"
    )
    return complaints.file(data, brand=make_brand(), by="customer", now=clock.now())


def confirm(public_id: str) -> Callable[[], None]:
    return lambda: complaints.confirm(*complaints.by_public_id(public_id), now=clock.now())


@either
def test_confirming_an_address_of_a_known_customer_waits_for_their_erasure_or_merge(app: Flask, act: Act) -> None:
    customer = make_customer(email=None)
    complaint = a_complaint(customer)

    result = run_into(app, customer, act, confirm(complaint.public_id))

    assert isinstance(result, ConfirmEnded) if act is erase else result is None


def test_an_address_that_is_erased_while_it_is_confirmed_makes_no_new_record(app: Flask) -> None:
    customer = make_customer(email=HOME)
    complaint = a_complaint(None)

    result = run_into(app, customer, erase, confirm(complaint.public_id))

    assert isinstance(result, ConfirmEnded)
    assert db.session.scalars(select(Customer.id)).all() == [customer.id]
    assert complaint.typed_email is None


def test_an_address_that_is_merged_while_it_is_confirmed_gives_the_case_to_the_kept_record(app: Flask) -> None:
    customer = make_customer(email=HOME)
    complaint = a_complaint(None)

    assert run_into(app, customer, merge, confirm(complaint.public_id)) is None

    case = db.session.get_one(Case, complaint.case_id)
    assert case.customer_id == customer.merged_into_id


def a_message(brand: Brand, address: str | None, *, customer_id: int | None = None) -> Message:
    message = Message(
        kind="case_reply",
        version=1,
        reason=f"test:{address}",
        language="en",
        brand_id=brand.id,
        customer_id=customer_id,
        to_address=address,
        values={},
        state=State.DELIVERED,
        state_at=clock.now(),
        created_at=clock.now(),
    )
    db.session.add(message)
    db.session.flush()
    return message


@either
def test_a_complaint_about_a_mail_waits_for_an_erasure_or_a_merge_of_its_customer(app: Flask, act: Act) -> None:
    customer, now = make_customer(), clock.now()
    message = a_message(make_brand(), customer.email, customer_id=customer.id)
    told = ProviderEvent("1", message.public_id, "spamreport", now, "")

    assert run_into(app, customer, act, lambda: provider_events.keep([told], now=now)) == 1

    assert customer.survey_consent == Consent.WITHDRAWN or act is merge


# Cases, and what hangs on them


def test_asking_again_does_not_wait_for_who_works_on_the_case(app: Flask) -> None:
    check = a_check(make_customer())
    check.state, check_id = OutcomeState.PENDING, check.id
    case = db.session.get_one(Case, check.case_id)
    case.brand.main_survey_key, case.survey_id = make_survey(case.brand).key, None
    db.session.commit()
    state.lock(case)

    with meanwhile(app, lambda: outcomes.ask(check_id=check_id, now=clock.now() + timedelta(days=30))) as second:
        assert not second.is_held_up()
        outcome.mark_not_fixed(case, clock.now())
        db.session.commit()

    assert second.result is None
    assert db.session.get_one(OutcomeCheck, check_id).state == OutcomeState.CANCELLED


def test_many_cases_are_held_in_one_order(app: Flask) -> None:
    brand = make_survey().brand
    first, second = (make_case(brand) for _ in range(2))
    for case, days in ((first, 0), (second, -1)):
        outcome.mark_fixed(case, clock.now() + timedelta(days=days))
    db.session.commit()
    later = clock.now() + timedelta(days=60)
    state.lock(first)

    with meanwhile(app, lambda: outcome.go_silent(now=later)) as clerk:
        assert clerk.is_held_up()
        state.lock(second)
        db.session.commit()

    assert clerk.result == 2


def test_many_customers_are_held_in_one_order_however_they_are_named(app: Flask) -> None:
    known_by: tuple[dict[str, str | None], ...] = (
        {"external_id": "B"},
        {"external_id": "A"},
        {"external_id": None, "email": HOME},
    )
    told = [CustomerData(external_id="A"), CustomerData(external_id="B"), CustomerData(email=HOME)]
    ids = [make_customer(**each).id for each in known_by]
    db.session.commit()
    customers.held(select(Customer).where(Customer.id == ids[0]))

    with meanwhile(app, lambda: len(customers.upsert_many(told, now=clock.now()))) as second_act:
        assert second_act.is_held_up()
        for customer_id in ids[1:]:
            customers.held(select(Customer).where(Customer.id == customer_id))
        db.session.commit()

    assert second_act.result == 3


def test_two_webhooks_about_the_same_addresses_hold_them_in_one_order(app: Flask) -> None:
    brand, now = make_brand(), clock.now()
    here, there = "a@x.example", "B@x.example"
    told = [
        ProviderEvent(str(number), a_message(brand, address).public_id, "bounce", now)
        for number, address in enumerate((there, here))
    ]
    db.session.commit()
    suppression.suppress(here, "all", SuppressionReason.BOUNCE, now)

    with meanwhile(app, lambda: provider_events.keep(told, now=now)) as second:
        assert second.is_held_up()
        suppression.suppress(there, "all", SuppressionReason.BOUNCE, now)
        db.session.commit()

    assert second.result == 2
