"""Erasing a customer: nothing that tells who they were is left in any column, and what counts stays."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import delete, func, select, text
from werkzeug.datastructures import MultiDict

from api.models import IdempotencyKey
from core import clock, outbox, tokens
from core.db import db, new_public_id
from core.events import Event
from core.outbox import Item
from customers import customers, erasure
from customers.customers import CustomerData
from customers.models import Brand, Customer, Interaction
from feedback import complaints, outcome, promises
from feedback.complaints import ComplaintData
from feedback.models import Case, CaseState, Complaint, OutcomeCheck, Promise, PromiseState
from incentives import ledger
from incentives.models import Reward, RewardState
from insights import rates
from insights.models import EVERY_TIER, Invited
from notifications import messages, suppression
from notifications.models import Message, State, Suppression
from surveys import answering, invitations, opened, versions
from surveys.models import Invitation, InvitationState, Response
from tests.client import Client
from tests.customers import full_life
from tests.customers.full_life import MARK, PHONE, Life, work_off
from tests.customers.races import meanwhile
from tests.factories import (
    make_api_key,
    make_brand,
    make_case,
    make_customer,
    make_interaction,
    make_invitation,
    make_rule,
    make_staff,
    make_survey,
)
from tests.surveys.links import link

HOME = "home@x.example"
MARKED = {
    "case.words",
    "case.summary",
    "case_entry.body",
    "complaint.attributes",
    "complaint.reference",
    "complaint.typed_email",
    "complaint.typed_name",
    "complaint.typed_phone",
    "complaint.words",
    "customer.email",
    "customer.external_id",
    "customer.name",
    "customer.phone",
    "customer.tier",
    "file.content",
    "file.name",
    "idempotency_key.answer",
    "import_refusal.reason",
    "import_upload.told",
    "interaction.attributes",
    "interaction.reference",
    "invitation.partial",
    "mailbox_message.html",
    "mailbox_message.text",
    "mailbox_message.to_address",
    "message.to_address",
    "message.to_name",
    "message.values",
    "promise.words",
    "resolution.words",
    "response.attributes",
    "response.comment",
    "response.import_key",
    "reward.words",
}


@pytest.fixture
def life(client: Client) -> Life:
    return full_life.lead(client)


def erase(customer: Customer) -> None:
    erasure.erase(customer, by="system", now=clock.now())
    db.session.commit()
    db.session.expire_all()


def marked() -> set[str]:
    """Every column of every table in which a mark is left, however it is written."""
    sought = (MARK, PHONE)
    found = set()
    for table in db.metadata.sorted_tables:
        for column in table.columns:
            plain = f"""encode("{column.name}", 'escape')""" if column.name == "content" else f'"{column.name}"::text'
            query = text(f'SELECT {plain} FROM "{table.name}" WHERE "{column.name}" IS NOT NULL')
            for value in db.session.execute(query).scalars():
                if any(mark in value.lower() for mark in sought):
                    found.add(f"{table.name}.{column.name}")
    return found


def test_nothing_that_tells_who_it_was_is_left_in_any_column(life: Life) -> None:
    assert marked() >= MARKED, MARKED - marked()

    erase(life.customer)

    behind_the_request = {"file.content", "import_refusal.reason", "import_upload.look"}
    assert marked() <= behind_the_request, "files and refused rows are looked through there"
    work_off()
    assert marked() == set()


def test_scores_money_and_the_skeleton_of_events_stay(life: Life) -> None:
    def kept() -> list[object]:
        rows = select(Response.score, Response.metric, Response.answers, Response.why).order_by(Response.id)
        money = select(Reward.amount_minor, Reward.currency, Reward.code).where(Reward.state == RewardState.ISSUED)
        person = db.session.get_one(Customer, life.customer.id)
        happened = select(func.count()).select_from(Event).where(Event.customer_id == person.id)
        worth = (person.value_minor, person.value_currency, person.profile_score)
        return [
            [tuple(row) for row in db.session.execute(rows)],
            [tuple(row) for row in db.session.execute(money.order_by(Reward.id))],
            worth,
            db.session.scalar(select(func.count()).select_from(Interaction)),
            (db.session.scalar(happened) or 0) > 5,
        ]

    before = kept()

    erase(life.customer)

    assert kept() == before
    assert ledger.check() == []


def test_cases_close_links_end_and_nothing_is_due_any_more(life: Life) -> None:
    erase(life.customer)

    theirs = db.session.scalars(select(Case).where(Case.customer_id == life.customer.id)).all()
    assert {case.state for case in theirs} == {CaseState.CLOSED}
    assert all(case.link_revoked_at for case in theirs)
    closed = select(Event.data["because"].as_string()).where(Event.kind == "case.closed")
    assert set(db.session.scalars(closed)) == {"erased"}
    ids = [case.id for case in theirs]
    due = select(Promise.id).where(Promise.state == PromiseState.OPEN, Promise.case_id.in_(ids))
    assert db.session.scalars(due).all() == []
    asked = select(OutcomeCheck.id).where(OutcomeCheck.state.in_(["pending", "asked"]))
    assert db.session.scalars(asked).all() == []
    assert set(db.session.scalars(select(Invitation.state))) <= {InvitationState.ANSWERED, InvitationState.REVOKED}
    assert db.session.scalars(select(Reward.id).where(Reward.state.in_(["reserved", "waiting"]))).all() == []


def test_what_was_promised_does_not_bring_a_closed_case_back(life: Life) -> None:
    erase(life.customer)

    broken = promises.break_overdue(now=clock.now() + timedelta(days=10))

    assert broken == 0
    assert life.unhappy.state == CaseState.CLOSED


def test_an_answer_that_is_taken_afterwards_does_not_bring_a_closed_case_back(app: Flask) -> None:
    case = make_case()
    check = outcome.mark_fixed(case, clock.now())
    assert check is not None and case.customer is not None
    erase(case.customer)

    outcome.record_answer(check.id, metric="nps", score=0, now=clock.now())

    assert (case.state, case.reopened, check.state, check.score) == (CaseState.CLOSED, 0, "cancelled", None)


def test_their_addresses_are_never_written_to_again(life: Life) -> None:
    addresses = [f"hanna@{MARK}.example", f"old@{MARK}.example"]
    suppression.suppress(addresses[1], "all", "bounce", clock.now())

    erase(life.customer)

    assert suppression.suppressed_among(addresses, "service") == set(addresses)
    assert set(db.session.scalars(select(Suppression.reason))) == {"erased"}


def test_a_message_that_was_waiting_is_not_sent(life: Life) -> None:
    case, complaint = db.session.get_one(Case, life.complaint.case_id), life.complaint
    db.session.query(Message).filter_by(kind="complaint_acknowledged").delete()
    complaints.acknowledge(complaint, case, now=clock.now())
    db.session.commit()

    erase(life.customer)
    work_off()

    message = db.session.scalars(select(Message).where(Message.kind == "complaint_acknowledged")).one()
    assert (message.state, message.to_address, message.values) == (State.SUPPRESSED, None, {})


def test_what_a_call_with_many_is_answered_with_again_loses_their_references_alone(app: Flask) -> None:
    theirs, other = make_interaction(None, make_customer()), make_interaction()
    key, _secret = make_api_key()
    answers: list[Any] = [[{"id": each.public_id, "reference": "R"} for each in (theirs, other)], {"detail": "refused"}]
    for number, answer in enumerate(answers):
        values = {"key": str(number), "request_hash": "0", "status": 200, "created_at": clock.now()}
        db.session.add(IdempotencyKey(api_key_id=key.id, answer=answer, **values))
    db.session.flush()

    erase(db.session.get_one(Customer, theirs.customer_id))

    answers[0][0]["reference"] = ""
    assert db.session.scalars(select(IdempotencyKey.answer).order_by(IdempotencyKey.key)).all() == answers


def test_a_second_time_changes_nothing(life: Life) -> None:
    erase(life.customer)
    count = select(func.count()).select_from(Event)
    before = (db.session.get_one(Customer, life.customer.id).erased_at, db.session.scalar(count))

    erase(life.customer)

    assert (db.session.get_one(Customer, life.customer.id).erased_at, db.session.scalar(count)) == before


def test_erasing_a_merged_record_erases_the_one_it_leads_to(life: Life) -> None:
    erase(life.merged)
    work_off()

    assert life.customer.erased_at is not None
    assert marked() == set()


def test_the_shop_s_next_word_makes_a_new_record(life: Life) -> None:
    erase(life.customer)

    again = customers.upsert(CustomerData(external_id=f"{MARK}-77", email=f"hanna@{MARK}.example"), now=clock.now())

    assert again is not None
    assert again.id not in (life.customer.id, life.merged.id)


def test_an_address_that_was_being_typed_is_cleared_behind_it(app: Flask) -> None:
    customer = make_customer(email=HOME)
    erase(customer)
    typed, later = a_complaint(HOME.upper()), a_complaint(HOME)
    later.received_at += timedelta(minutes=5)
    confirm = to(HOME, "confirm_address")
    db.session.commit()

    with clock.moved(timedelta(minutes=11)):
        work_off()

    assert (typed.typed_email, later.typed_email) == (None, HOME)
    assert confirm.to_address is None


def test_what_comes_a_moment_later_is_cleared_behind_it(life: Life) -> None:
    """Whoever read the record before it was erased, and wrote after it, is found by the work that follows."""
    erase(life.customer)
    late = Message(
        kind="reward",
        version=1,
        reason="late",
        language="en",
        brand_id=life.brand.id,
        customer_id=life.customer.id,
        to_address=f"hanna@{MARK}.example",
        values={"name": MARK},
        state=State.FAILED,
        state_at=clock.now(),
        created_at=clock.now(),
    )
    db.session.add(late)
    db.session.commit()

    with clock.moved(timedelta(minutes=11)):
        work_off()

    assert marked() == set()


# Others at the same address


@pytest.fixture
def spouses(app: Flask) -> tuple[Customer, Customer]:
    first, second = (make_customer(name=name, email=email) for name, email in (("A", "Home@x.example"), ("B", HOME)))
    return first, second


def to(address: str, kind: str = "case_reply", **more: Any) -> Message:
    now = clock.now()
    brand = db.session.scalars(select(Brand)).first() or make_brand()
    message = Message(
        kind=kind,
        version=1,
        reason=f"test:{kind}:{more}",
        language="en",
        brand_id=brand.id,
        to_address=address,
        values={"reply": "words"},
        state=State.CREATED,
        state_at=now,
        created_at=now,
        **more,
    )
    db.session.add(message)
    db.session.flush()
    return message


def a_complaint(typed_email: str) -> Complaint:
    """Somebody typed an address and did not confirm it."""
    data = ComplaintData(words="Cracked.", form_key=new_public_id(), language="en", typed_email=typed_email)
    brand = db.session.scalars(select(Brand)).first() or make_brand()
    kept = complaints.file(data, brand=brand, by="customer", now=clock.now())
    db.session.execute(delete(Message))
    return kept


def test_who_shares_an_address_keeps_their_messages_and_gets_more(spouses: tuple[Customer, Customer]) -> None:
    typed = a_complaint(HOME)
    mine, theirs = (to(HOME, customer_id=each.id) for each in spouses)
    unknown = to(HOME, "confirm_address")

    erase(spouses[0])

    assert (mine.to_address, mine.state) == (None, State.SUPPRESSED)
    for message in (theirs, unknown):
        assert (message.to_address, message.values, message.state) == (HOME, {"reply": "words"}, State.CREATED)
    assert typed.typed_email == HOME
    assert not suppression.is_suppressed(HOME, "service")

    erase(spouses[1])

    assert {message.to_address for message in (theirs, unknown)} == {None}
    assert typed.typed_email is None
    assert suppression.is_suppressed(HOME, "service")


def test_staff_who_are_erased_as_customers_still_get_a_new_password(app: Flask) -> None:
    customer, staff = make_customer(email=HOME), make_staff("agent", email=HOME)
    reset = to(HOME, "staff_reset")

    erase(customer)

    assert (reset.to_address, reset.state) == (HOME, State.CREATED)
    new = messages.post(
        "staff_reset",
        reason="again",
        brand=db.session.get_one(Brand, reset.brand_id),
        customer=None,
        language="en",
        values={"reset_url": "https://amends.example/reset"},
        to_address=HOME,
        to_name=staff.name,
        now=clock.now(),
    )
    assert new is not None and new.state == State.CREATED
    assert suppression.is_suppressed(HOME, "service")


# Races: an answer is submitted at the same moment


def test_an_answer_under_way_is_waited_for_and_then_cleared(app: Flask) -> None:
    customer = make_customer(name=MARK, phone=PHONE)
    invitation = make_invitation(customer=customer)
    db.session.commit()
    given = {"nps": "2", "comment": MARK, "contact": "phone"}

    with app.test_request_context():
        place = opened.by_link(invitation.public_id)
        assert place is not None
        asked = versions.definition_of(place.version_id)
        answers = answering.read(asked, versions.form_of(place.version_id, place.reachable)(MultiDict(given)))
        assert answers is not None
        answering.submit(place, asked, answers, now=clock.now())  # not committed yet

    with meanwhile(app, lambda: erase(db.session.get_one(Customer, customer.id))) as erasing:
        assert erasing.is_held_up()
        db.session.commit()

    assert db.session.scalars(select(Response.score)).all() == [2]
    assert db.session.scalars(select(Case.state)).all() == [CaseState.CLOSED]
    assert marked() == set()


def test_an_answer_that_comes_second_finds_the_link_taken_back(app: Flask, client: Client) -> None:
    customer = make_customer(name=MARK, phone=PHONE)
    invitation = make_invitation(customer=customer)
    path = link(invitation)
    db.session.commit()
    erasure.erase(customer, by="system", now=clock.now())  # not committed yet

    def answer() -> int:
        return app.test_client().post(path, data={"nps": "2", "comment": MARK, "contact": "phone"}).status_code

    with meanwhile(app, answer) as too_late:
        assert too_late.is_held_up()
        db.session.commit()

    assert too_late.result == 303
    assert db.session.scalars(select(Response)).all() == []
    assert db.session.scalars(select(Case)).all() == []
    assert marked() == set()


def waiting_invitation() -> Invitation:
    rule = make_rule()
    link = make_invitation(
        rule.survey,
        make_customer(name=MARK, email=f"hanna@{MARK}.example"),
        rule.touchpoint,
        state=InvitationState.WAITING,
        sent_at=None,
    )
    db.session.commit()
    return link


def send(invitation_id: int) -> None:
    invitations.send([Item(1, {"invitation_id": invitation_id}, 0, 0)], now=clock.now())


def test_an_invitation_that_leaves_at_that_moment_is_emptied_and_not_sent(app: Flask) -> None:
    link = waiting_invitation()
    send(link.id)  # not committed yet
    assert db.session.scalars(select(Message.to_address)).all() == [f"hanna@{MARK}.example"]

    with meanwhile(app, lambda: erase(db.session.get_one(Customer, link.customer_id))) as erasing:
        assert erasing.is_held_up()
        db.session.commit()

    assert erasing.result is None
    message = db.session.scalars(select(Message)).one()
    assert (message.state, link.state) == (State.SUPPRESSED, InvitationState.REVOKED)
    assert marked() == set()


def test_an_invitation_that_comes_second_is_not_sent(app: Flask) -> None:
    link = waiting_invitation()
    erasure.erase(db.session.get_one(Customer, link.customer_id), by="system", now=clock.now())  # not committed yet

    with meanwhile(app, lambda: send(link.id)) as sending:
        assert sending.is_held_up()
        db.session.commit()

    assert sending.result is None
    assert db.session.scalars(select(Message)).all() == []
    assert marked() == set()


# What the customer's own links say afterwards


def test_every_link_of_theirs_answers_kindly(life: Life, client: Client) -> None:
    case = db.session.get_one(Case, life.unhappy.id)
    theirs = select(Message.public_id).where(Message.customer_id == life.customer.id)
    links = [
        link(life.answered),
        f"{link(life.answered)}/thanks",
        link(life.open_link),
        f"/c/{tokens.sign('case', case.public_id)}",
        f"/u/{tokens.sign('preferences', life.customer.public_id)}",
        f"/u/{tokens.sign('unsubscribe', db.session.scalars(theirs.limit(1)).one())}/unsubscribe",
    ]
    erase(life.customer)

    for path in links:
        for code, words in (("en", "was erased"), ("de", "gelöscht"), ("ar", "حُذف")):
            answer = client.get(f"{path}?lang={code}", follow_redirects=True)
            assert answer.status_code == 410, path
            assert words in answer.text, path
            assert MARK not in answer.text.lower()
    assert client.get(f"/complaints/new?for={complaints.link_token(life.customer)}").status_code == 200


def test_answering_through_an_erased_link_keeps_nothing(life: Life, client: Client) -> None:
    erase(life.customer)

    for path in (link(life.open_link), f"{link(life.open_link)}/partial"):
        client.post(path, data={"nps": "1", "comment": MARK})
    for path in ("reply", "not-fixed", "fixed"):
        client.post(f"/c/{tokens.sign('case', life.unhappy.public_id)}/{path}", data={"reply": MARK})
    outbox.drain("reports")

    assert marked() == set()
    assert life.unhappy.state == CaseState.CLOSED
    assert outbox.drain("messages") == 0


# What is counted stays counted


def test_who_broke_off_or_stopped_half_way_is_not_counted_as_silent_afterwards(app: Flask) -> None:
    customer = make_customer()
    over = {"state": InvitationState.EXPIRED, "expires_at": clock.now() - timedelta(hours=1)}
    for half in (False, True):
        make_invitation(make_survey(), customer, partial={"nps": MARK, "comment": MARK}, half_answered=half, **over)
    day = clock.now().date()

    erase(customer)
    rates.recount(day - timedelta(days=1), day + timedelta(days=1))

    counted = select(Invited.outcome, func.sum(Invited.count)).where(Invited.tier == EVERY_TIER)
    assert {tuple(row) for row in db.session.execute(counted.group_by(Invited.outcome))} == {
        ("break_off", 1),
        ("partial", 1),
    }
    assert set(db.session.scalars(select(Invited.reason))) == {"comment"}
    assert db.session.scalars(select(Invitation.partial)).all() == [{"nps": "", "comment": ""}] * 2


def test_a_case_that_erasing_closed_is_not_counted_as_resolved(app: Flask) -> None:
    customer = make_customer()
    is_open, is_resolved = make_case(customer=customer), make_case(customer=customer)
    is_resolved.state, is_resolved.resolved_at = CaseState.RESOLVED, clock.now()

    erase(customer)

    assert (is_open.state, is_open.resolved_at) == (CaseState.CLOSED, None)
    assert is_open.closed_at is not None and is_resolved.resolved_at is not None
