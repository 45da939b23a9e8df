"""Complaints: filed once, each with a case, a deadline and an answer; who a stranger claims to be proves nothing."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from accounts.models import Staff
from core import outbox, tokens
from core.db import db
from core.events import Event
from core.pace import TooFast
from customers.models import Brand, Customer
from feedback import assignments, complaints, entries, outcome, policies, promises, resolutions
from feedback.complaints import ComplaintData, ConfirmEnded
from feedback.files import Upload
from feedback.models import Attachment, Case, CaseClock, Complaint, OutcomeCheck, Promise, SlaPolicy
from incentives.models import Reward
from notifications import suppression
from notifications.models import Message
from surveys import outcomes
from tests.client import count_queries
from tests.factories import (
    make_customer,
    make_interaction,
    make_root_cause,
    make_survey,
    make_touchpoint,
)
from tests.feedback.conftest import HOUR, MONDAY_9

DUE = datetime(2025, 11, 10, 12, 0, tzinfo=UTC)  # four working hours after Monday, 09:00 in Berlin


def told(**more: Any) -> ComplaintData:
    values: dict[str, Any] = {
        "words": "One pole is cracked right through.",
        "form_key": "k" * 22,
        "language": "en",
        "via": "phone",
        "typed_phone": "+494055504471",
        "wish": "replace",
        "happened_on": "2025-11-07",
    }
    return ComplaintData(**{**values, **more})


def filed(brand: Brand, **more: Any) -> tuple[Complaint, Case]:
    kept = complaints.file(told(**more), brand=brand, by="customer", now=MONDAY_9)
    return complaints.by_public_id(kept.public_id)


def rows(model: Any) -> int:
    return db.session.scalar(select(func.count()).select_from(model)) or 0


def message(kind: str) -> Message:
    return db.session.scalars(select(Message).where(Message.kind == kind)).one()


def test_a_complaint_opens_a_case_with_clocks_and_a_promise(brand: Brand) -> None:
    complaint, case = filed(brand)

    assert (case.origin, case.reason, case.state) == ("complaint", f"complaint:{complaint.id}", "open")
    assert (case.words, case.due_at, case.next_act) == ("One pole is cracked right through.", DUE, "contact")
    kinds = db.session.scalars(select(CaseClock.kind).where(CaseClock.case_id == case.id)).all()
    assert sorted(kinds) == ["first_contact", "resolution"]
    promise = db.session.scalars(select(Promise)).one()
    assert (promise.kind, promise.due_at, promise.words) == ("contact", DUE, "A person from our team calls you")
    assert db.session.scalars(select(Event.kind).order_by(Event.id)).all() == ["case.opened", "promise.made"]


def test_the_policy_for_complaints_sets_deadline_and_priority(brand: Brand) -> None:
    conditions = {"field": "origin", "op": "==", "value": "complaint"}
    policy = {"first_contact_minutes": 120, "next_response_minutes": 240, "resolution_minutes": 2400}
    db.session.add(SlaPolicy(name="Complaints", conditions=conditions, priority="high", **policy))
    db.session.flush()

    _complaint, case = filed(brand)

    assert (case.due_at, case.priority) == (MONDAY_9 + 2 * HOUR, "high")
    assert complaints.hours_to_contact(brand, language="en") == 2
    policies.forget()


def test_the_same_form_again_is_the_same_complaint(brand: Brand) -> None:
    first, _case = filed(brand)
    again, _case = filed(brand, words="Something else")

    assert again.id == first.id
    assert (rows(Complaint), rows(Case), rows(Promise)) == (1, 1, 1)


def test_twenty_clicks_at_the_same_moment_are_one_case(app: Flask, brand: Brand) -> None:
    customer, together = make_customer(), threading.Barrier(20)
    db.session.commit()
    brand_id, customer_id, numbers = brand.id, customer.id, []

    def click() -> None:
        with app.app_context():
            together.wait()
            mine, hanna = db.session.get_one(Brand, brand_id), db.session.get_one(Customer, customer_id)
            kept = complaints.file(told(customer=hanna), brand=mine, by="customer", now=MONDAY_9)
            db.session.commit()
            numbers.append(complaints.by_public_id(kept.public_id)[1].number)

    threads = [threading.Thread(daemon=True, target=click) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(numbers) == 20
    assert len(set(numbers)) == 1
    assert (rows(Complaint), rows(Case), rows(Message), rows(Promise)) == (1, 1, 1, 1)


def test_filing_takes_few_statements_however_long_it_is(brand: Brand) -> None:
    customer = make_customer()
    filed(brand, form_key="w" * 22, customer=customer)  # policies and calendars are known to the process now
    db.session.flush()

    with count_queries() as queries:
        complaints.file(told(customer=customer, words="x" * 9_000), brand=brand, by="customer", now=MONDAY_9)

    assert len(queries) <= 11, queries


# Who is known


def test_a_known_customer_is_answered_at_once_with_number_and_deadline(brand: Brand) -> None:
    hanna = make_customer(name="Hanna Keller", email="hanna@posteo.example")

    complaint, case = filed(brand, customer=hanna)

    sent = message("complaint_acknowledged")
    assert case.customer_id == hanna.id
    assert (sent.to_address, sent.case_id, sent.reason) == (
        "hanna@posteo.example",
        case.id,
        f"complaint:{complaint.id}",
    )
    assert sent.values["number"] == case.label
    assert sent.values["deadline"] == "Monday 10 November, 13:00"
    assert sent.values["case_url"].endswith(f"/c/{tokens.sign('case', case.public_id)}")
    assert sent.state == "created"


@pytest.mark.parametrize("scope", ["marketing", "survey"])
def test_no_unsubscribe_stops_the_acknowledgement(brand: Brand, scope: Any) -> None:
    hanna = make_customer()
    suppression.suppress(str(hanna.email), scope, "unsubscribe", MONDAY_9)

    filed(brand, customer=hanna)

    assert message("complaint_acknowledged").state == "created"


def test_a_dead_address_is_not_written_to(brand: Brand) -> None:
    hanna = make_customer()
    suppression.suppress(str(hanna.email), "all", "bounce", MONDAY_9)

    filed(brand, customer=hanna)

    assert message("complaint_acknowledged").state == "suppressed"


def test_a_customers_own_order_is_attached_and_anothers_is_not(brand: Brand) -> None:
    hanna, place = make_customer(), make_touchpoint(brand)
    make_interaction(place, hanna, reference="NW-1")
    make_interaction(place, make_customer(), reference="NW-2")

    own = filed(brand, form_key="a" * 22, customer=hanna, reference="NW-1")[1]
    anothers = filed(brand, form_key="b" * 22, customer=hanna, reference="NW-2")[1]
    unknown, case = filed(brand, form_key="c" * 22, customer=hanna, reference="NW-3")

    assert own.interaction_id is not None
    assert own.touchpoint_id == place.id
    assert (anothers.interaction_id, anothers.touchpoint_id) == (None, None)
    assert (unknown.reference, case.interaction_id) == ("NW-3", None)


def test_files_are_kept_with_the_case(brand: Brand) -> None:
    _complaint, case = filed(
        brand, files=[Upload(b"abc", "pole.jpg", "image/jpeg"), Upload(b"d", "b.pdf", "application/pdf")]
    )

    attached = db.session.scalars(select(Attachment)).all()
    assert [(each.case_id, each.entry_id) for each in attached] == [(case.id, None)] * 2


# A stranger


def test_a_strangers_address_attaches_to_nothing_and_is_only_asked_to_confirm(brand: Brand) -> None:
    hanna = make_customer(email="hanna@posteo.example", name="Hanna Keller")
    make_interaction(make_touchpoint(brand), hanna, reference="NW-1")

    complaint, case = filed(
        brand, via="email", typed_phone=None, typed_email="hanna@posteo.example", typed_name="Hanna", reference="NW-1"
    )

    assert (case.customer_id, case.interaction_id, case.touchpoint_id) == (None, None, None)
    assert rows(Customer) == 1
    assert rows(Promise) == 0  # nothing may be promised to an address that nobody proved
    assert db.session.scalars(select(Message.kind)).all() == ["confirm_address"]
    asked = message("confirm_address")
    assert (asked.to_address, asked.customer_id, asked.to_name) == ("hanna@posteo.example", None, None)
    assert "Keller" not in str(asked.values)
    assert tokens.sign("case", case.public_id) not in str(asked.values)
    assert tokens.sign("confirm", complaint.public_id) in asked.values["confirm_url"]


def test_confirming_gives_the_case_to_the_customers_record(brand: Brand) -> None:
    hanna = make_customer(email="Hanna@posteo.example", name="Hanna Keller", phone=None)
    place = make_touchpoint(brand)
    make_interaction(place, hanna, reference="NW-1")
    complaint, case = filed(
        brand, via="email", typed_phone=None, typed_email="hanna@posteo.example", typed_name="Mallory", reference="NW-1"
    )

    complaints.confirm(complaint, case, now=MONDAY_9 + HOUR)

    assert (case.customer_id, case.touchpoint_id) == (hanna.id, place.id)
    assert complaint.confirmed_at == MONDAY_9 + HOUR
    assert (hanna.name, hanna.phone) == ("Hanna Keller", None)  # what was typed overwrites nothing
    promise = db.session.scalars(select(Promise)).one()
    assert (promise.due_at, case.due_at, case.next_act) == (DUE, DUE, "contact")
    assert message("complaint_acknowledged").to_address == "Hanna@posteo.example"
    told_kinds = db.session.scalars(select(Event.kind).where(Event.customer_id == hanna.id).order_by(Event.id)).all()
    assert told_kinds == ["complaint.confirmed", "promise.made"]


def test_confirming_makes_a_record_for_somebody_new_and_twice_is_once(brand: Brand) -> None:
    complaint, case = filed(brand, typed_email="new@posteo.example", typed_name="Nora New", language="de")

    complaints.confirm(complaint, case, now=MONDAY_9 + HOUR)
    complaints.confirm(complaint, case, now=MONDAY_9 + 2 * HOUR)

    customer = db.session.scalars(select(Customer)).one()
    assert (customer.email, customer.name, customer.language) == ("new@posteo.example", "Nora New", "de")
    assert customer.phone is None  # the number was not proved
    assert complaint.confirmed_at == MONDAY_9 + HOUR
    assert (rows(Promise), rows(Message)) == (1, 2)


def test_twenty_confirmations_at_once_make_one_customer(app: Flask, brand: Brand) -> None:
    complaint, _case = filed(brand, typed_email="new@posteo.example")
    db.session.commit()
    public_id, together = complaint.public_id, threading.Barrier(10)

    def click() -> None:
        with app.app_context():
            mine, case = complaints.by_public_id(public_id)
            together.wait()
            complaints.confirm(mine, case, now=MONDAY_9 + HOUR)
            db.session.commit()

    threads = [threading.Thread(daemon=True, target=click) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    db.session.rollback()
    assert (rows(Customer), rows(Promise)) == (1, 1)
    assert len(db.session.scalars(select(Event).where(Event.kind == "complaint.confirmed")).all()) == 1


def test_a_vip_who_confirms_gets_what_is_theirs(brand: Brand) -> None:
    conditions = {"field": "tier", "op": "==", "value": "summit"}
    policy = {"first_contact_minutes": 60, "next_response_minutes": 240, "resolution_minutes": 2400}
    db.session.add(SlaPolicy(name="Summit", conditions=conditions, priority="urgent", **policy))
    make_customer(email="vip@posteo.example", tier="summit")
    complaint, case = filed(brand, typed_email="vip@posteo.example")
    assert case.priority == "normal"

    complaints.confirm(complaint, case, now=MONDAY_9 + HOUR)

    assert case.priority == "urgent"
    policies.forget()


def test_a_link_to_confirm_ends_after_a_week_but_one_that_was_used_still_leads_on(brand: Brand) -> None:
    complaint, case = filed(brand, typed_email="new@posteo.example")
    token = tokens.sign("confirm", complaint.public_id)
    complaints.to_confirm(token, now=MONDAY_9 + timedelta(days=7))

    with pytest.raises(ConfirmEnded):
        complaints.to_confirm(token, now=MONDAY_9 + timedelta(days=8))
    complaints.confirm(complaint, case, now=MONDAY_9)

    assert complaints.to_confirm(token, now=MONDAY_9 + timedelta(days=8))


def test_who_was_spoken_to_before_confirming_gets_the_link_and_no_deadline_of_yesterday(
    brand: Brand, ana: Staff
) -> None:
    complaint, case = filed(brand, typed_email="new@posteo.example")
    assignments.claim(case, ana, MONDAY_9)
    entries.log_call(case, reached=True, minutes=3, body=None, by=ana, now=MONDAY_9 + HOUR)

    complaints.confirm(complaint, case, now=MONDAY_9 + 30 * HOUR)

    kinds = db.session.scalars(select(Message.kind).order_by(Message.id)).all()
    assert kinds == ["confirm_address", "case_opened"]


def test_nobody_is_flooded_with_mails_to_confirm(brand: Brand) -> None:
    for number in range(5):
        filed(
            brand,
            form_key=f"{number}" * 22,
            typed_email="Victim@posteo.example" if number % 2 else "victim@posteo.example",
        )

    assert rows(Complaint) == 5
    assert rows(Message) == complaints.MAILS_TO_CONFIRM


def test_a_stranger_earns_nothing(brand: Brand, ana: Staff) -> None:
    _complaint, case = filed(brand, typed_email="hanna@posteo.example")
    entries.log_call(case, reached=True, minutes=3, body=None, by=ana, now=MONDAY_9 + HOUR)

    resolutions.resolve(case, by=ana, cause=make_root_cause(), words=None, now=MONDAY_9 + 2 * HOUR)

    assert (case.state, case.won_back_at) == ("closed", None)
    assert (rows(OutcomeCheck), rows(Reward)) == (0, 0)


# Signed links


def test_a_signed_link_shows_who_is_filing(brand: Brand) -> None:
    hanna = make_customer()
    _complaint, case = filed(brand, customer=hanna)

    assert complaints.customer_of_link(complaints.link_token(hanna)) is hanna
    assert complaints.customer_of_link(tokens.sign("case", case.public_id)) is hanna


@pytest.mark.parametrize("purpose", ["preferences", "survey", "confirm"])
def test_a_link_for_something_else_shows_a_stranger(brand: Brand, purpose: str) -> None:
    hanna = make_customer()

    assert complaints.customer_of_link(tokens.sign(purpose, hanna.public_id)) is None
    assert complaints.customer_of_link("x" * 45) is None


def test_an_erased_customer_and_a_revoked_link_are_strangers(brand: Brand) -> None:
    hanna = make_customer(erased_at=MONDAY_9)
    _complaint, case = filed(brand, customer=make_customer())
    case.link_revoked_at = MONDAY_9

    assert complaints.customer_of_link(complaints.link_token(hanna)) is None
    assert complaints.customer_of_link(tokens.sign("case", case.public_id)) is None


# The outcome check


def test_the_outcome_check_asks_the_brands_main_question(brand: Brand, ana: Staff) -> None:
    survey = make_survey(brand, "nps_after_contact")
    brand.main_survey_key = "nps_after_contact"
    _complaint, case = filed(brand, customer=make_customer())
    entries.log_call(case, reached=True, minutes=3, body=None, by=ana, now=MONDAY_9 + HOUR)
    resolutions.resolve(case, by=ana, cause=make_root_cause(), words=None, now=MONDAY_9 + 2 * HOUR)
    check = db.session.scalars(select(OutcomeCheck)).one()

    invitation = outcomes.invite_outcome(check, now=MONDAY_9 + 3 * HOUR)
    outcome.record_answer(check.id, metric="nps", score=8, now=MONDAY_9 + 4 * HOUR)

    assert (invitation.survey_id, invitation.case_id) == (survey.id, case.id)
    assert (case.state, case.won_back_at) == ("closed", MONDAY_9 + 4 * HOUR)


def test_a_broken_promise_to_a_stranger_is_shown_like_any_other(brand: Brand) -> None:
    _complaint, case = filed(brand)

    promises.break_overdue(now=DUE + HOUR)

    assert db.session.scalars(select(Promise.state)).all() == ["broken"]
    assert case.priority == "high"


def test_the_acknowledgement_is_delivered_in_the_complaints_language(app: Flask, brand: Brand) -> None:
    filed(brand, customer=make_customer(name="Hanna Keller"), language="de")
    db.session.commit()

    outbox.drain("messages")

    sent = message("complaint_acknowledged")
    assert (sent.language, sent.values["deadline"]) == ("de", "Montag, 10. November, 13:00 Uhr")
    assert sent.state in ("accepted", "delivered", "sending")


def test_the_pace_of_mails_counts_addresses_not_people(app: Flask) -> None:
    from core import pace

    for _ in range(3):
        pace.check("confirm-address", "a@b.example", most=3, seconds=86_400, now=MONDAY_9)

    with pytest.raises(TooFast):
        pace.check("confirm-address", "a@b.example", most=3, seconds=86_400, now=MONDAY_9)
    pace.check("confirm-address", "c@b.example", most=3, seconds=86_400, now=MONDAY_9)
    pace.check("confirm-address", "a@b.example", most=3, seconds=86_400, now=MONDAY_9 + timedelta(days=1))
