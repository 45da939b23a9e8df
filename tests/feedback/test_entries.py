"""Notes, calls, replies and the customer's words."""

from __future__ import annotations

import pytest
from sqlalchemy import func, select

from accounts.models import Staff
from core.db import db
from customers.models import Brand
from feedback import entries
from feedback.entries import CannotWrite, StaleReply
from feedback.models import Case, CaseEntry
from notifications.models import Message
from tests.factories import make_case, make_customer
from tests.feedback.conftest import HOUR, MONDAY_9


@pytest.fixture
def case(brand: Brand) -> Case:
    return make_case(brand, wants="email", now=MONDAY_9)


def reply(case: Case, by: Staff, last_seen: int = 0, **more: object) -> CaseEntry:
    return entries.reply(
        case, body="New poles are on their way.", last_seen=last_seen, by=by, now=MONDAY_9 + HOUR, **more
    )  # type: ignore[arg-type]


def test_a_reply_goes_out_by_mail_with_the_way_to_the_case(case: Case, ana: Staff) -> None:
    entry = reply(case, ana)

    message = db.session.scalars(select(Message)).one()
    assert (message.kind, message.reason, message.case_id) == ("case_reply", f"entry:{entry.id}", case.id)
    assert message.to_address == case.customer.email  # type: ignore[union-attr]
    assert message.values["reply"] == "New poles are on their way."
    assert "/c/1" in message.values["case_url"]
    assert entry.message_id == message.id


def test_a_reply_is_the_first_contact_of_who_asked_for_an_e_mail(case: Case, ana: Staff) -> None:
    reply(case, ana)

    assert (case.state, case.first_contact_at, case.next_act) == ("recovery", MONDAY_9 + HOUR, "resolution")


def test_a_reply_is_no_call_to_who_asked_for_one(brand: Brand, ana: Staff) -> None:
    case = make_case(brand, wants="phone", now=MONDAY_9)

    reply(case, ana)

    assert (case.state, case.first_contact_at, case.next_act) == ("open", None, "contact")


def test_a_reply_sent_twice_by_a_double_click_goes_out_once(case: Case, ana: Staff) -> None:
    first = reply(case, ana, form_key="k" * 22)

    assert reply(case, ana, form_key="k" * 22) is first
    assert db.session.scalar(select(func.count()).select_from(Message)) == 1


def test_a_reply_that_did_not_see_the_last_entry_is_held_back_with_what_came_between(
    case: Case, ana: Staff, alice: Staff
) -> None:
    seen = entries.note(case, body="Poles ordered", by=ana, now=MONDAY_9)
    came = entries.customer_reply(case, body="Never mind, I bought some", now=MONDAY_9, form_key="c" * 22)
    noted = entries.note(case, body="Order cancelled", by=alice, now=MONDAY_9)

    with pytest.raises(StaleReply) as refused:
        reply(case, ana, last_seen=seen.id)

    assert refused.value.since == [came, noted]
    assert db.session.scalar(select(func.count()).select_from(Message)) == 0
    assert reply(case, ana, last_seen=noted.id).body


def test_ones_own_note_does_not_hold_ones_reply_back(case: Case, ana: Staff) -> None:
    entries.note(case, body="Poles ordered", by=ana, now=MONDAY_9)

    assert reply(case, ana, last_seen=0).id


def test_nobody_known_cannot_be_written_to(brand: Brand, ana: Staff) -> None:
    case = make_case(brand, customer=None, now=MONDAY_9)

    with pytest.raises(CannotWrite):
        reply(case, ana)
    assert entries.note(case, body="Nobody known", by=ana, now=MONDAY_9).id


def test_a_customer_without_an_address_cannot_be_written_to(brand: Brand, ana: Staff) -> None:
    case = make_case(brand, customer=make_customer(email=None), now=MONDAY_9)

    with pytest.raises(CannotWrite):
        reply(case, ana)


def test_what_the_customer_writes_makes_our_answer_due_and_ends_the_wait(case: Case, ana: Staff) -> None:
    reply(case, ana, wait=True)
    assert case.state == "waiting"

    entries.customer_reply(case, body="Thursday suits me", now=MONDAY_9 + 2 * HOUR, form_key="c" * 22)

    assert (case.state, case.next_act, case.due_at) == ("recovery", "next_response", MONDAY_9 + 25 * HOUR)


def test_our_answer_stops_the_clock_of_the_next_response(case: Case, ana: Staff) -> None:
    reply(case, ana)
    came = entries.customer_reply(case, body="When?", now=MONDAY_9 + 2 * HOUR, form_key="c" * 22)

    reply(case, ana, last_seen=came.id)

    assert case.next_act == "resolution"
