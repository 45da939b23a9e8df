"""Two cases of one customer become one: what is owed moves, what was said stays, and the old link leads on."""

from __future__ import annotations

import threading
from datetime import timedelta
from html import unescape

import pytest
from flask import Flask
from sqlalchemy import func, select

from accounts.models import Staff
from core import clock, tokens
from core.db import db
from core.events import Event
from customers.models import Brand
from feedback import cases, clocks, entries, merging, outcome, promises, resolutions
from feedback.merging import CannotMerge
from feedback.models import Case, CaseEntry, Promise
from feedback.state import CaseMerged
from incentives.models import Reward
from tests.amounts import STUCK_SECONDS
from tests.client import Client
from tests.factories import make_case, make_customer, make_programme, make_root_cause
from tests.feedback.conftest import HOUR, MONDAY_9

FRIDAY = promises.Appointment((MONDAY_9 + timedelta(days=4)).date(), MONDAY_9.time(), "UTC")


@pytest.fixture
def pair(brand: Brand) -> tuple[Case, Case]:
    """The earlier case and the later one, which tells the same by another way."""
    customer = make_customer(name="Hanna Keller")
    return tuple(make_case(brand, customer=customer, now=MONDAY_9 + hours * HOUR) for hours in (0, 1))  # type: ignore[return-value]


def running(case: Case) -> dict[str, object]:
    return {each.kind: each.due_at for each in clocks.of(case.id) if each.stopped_at is None}


def test_the_earlier_deadline_of_each_kind_holds(pair: tuple[Case, Case], alice: Staff) -> None:
    early, late = pair
    due = running(early)

    merging.merge(early, late, by=alice, now=MONDAY_9 + 2 * HOUR)

    assert running(late) == due
    assert running(early) == {}
    assert (early.state, early.merged_into_id, early.closed_at) == ("closed", late.id, MONDAY_9 + 2 * HOUR)
    assert late.due_at == due["first_contact"]
    kinds = {row.case_id: (row.kind, row.data) for row in db.session.scalars(select(Event).where(MERGED))}
    assert kinds == {
        early.id: ("case.merged", {"into": late.id, "number": late.number}),
        late.id: ("case.merged_from", {"merged": early.id, "number": early.number}),
    }


MERGED = Event.kind.in_(("case.merged", "case.merged_from"))


def test_the_survivor_keeps_its_own_deadline_where_that_is_earlier(pair: tuple[Case, Case], alice: Staff) -> None:
    early, late = pair
    due = running(early)

    merging.merge(late, early, by=alice, now=MONDAY_9 + 2 * HOUR)

    assert running(early) == due


def test_a_stopped_link_stays_stopped_when_its_case_is_merged(
    client: Client, pair: tuple[Case, Case], alice: Staff
) -> None:
    early, late = pair
    cases.stop_link(early, by=alice, now=MONDAY_9 + HOUR)
    merging.merge(early, late, by=alice, now=MONDAY_9 + 2 * HOUR)
    db.session.commit()

    stopped, other = (client.get(f"/c/{tokens.sign('case', case.public_id)}") for case in (early, late))

    assert (stopped.status_code, other.status_code) == (410, 200)


def test_who_was_contacted_already_is_owed_an_answer_by_the_other_deadline(
    pair: tuple[Case, Case], ana: Staff, alice: Staff
) -> None:
    early, late = pair
    entries.log_call(early, reached=True, minutes=3, body=None, by=ana, now=MONDAY_9 + HOUR)
    due = running(late)["first_contact"]

    merging.merge(late, early, by=alice, now=MONDAY_9 + 2 * HOUR)

    assert running(early)["next_response"] == due
    assert "first_contact" not in running(early)


def test_a_waiting_case_is_worked_on_again_unless_both_waited(
    pair: tuple[Case, Case], ana: Staff, alice: Staff
) -> None:
    early, late = pair
    entries.wait(early, by=ana, now=MONDAY_9 + 2 * HOUR)

    merging.merge(late, early, by=alice, now=MONDAY_9 + 3 * HOUR)

    assert early.state == "open"
    assert all(clock.paused_at is None for clock in clocks.of(early.id) if clock.stopped_at is None)


def test_open_promises_and_rewards_move_and_ended_ones_stay(pair: tuple[Case, Case], ana: Staff, alice: Staff) -> None:
    early, late = pair
    kept = promises.make(early, words="Poles", when=FRIDAY, keeper=ana, by=ana, now=MONDAY_9)
    promises.keep(kept, case=early, by=ana, now=MONDAY_9 + HOUR)
    still = promises.make(early, words="A refund", when=FRIDAY, keeper=ana, by=ana, now=MONDAY_9)
    db.session.flush()

    merging.merge(early, late, by=alice, now=MONDAY_9 + 2 * HOUR)

    assert (kept.case_id, still.case_id) == (early.id, late.id)
    promises.break_overdue(now=FRIDAY.at + HOUR)
    db.session.refresh(still)
    assert (still.state, early.state, late.next_act) == ("broken", "closed", "broken_promise")


def test_nothing_is_done_in_a_merged_case(pair: tuple[Case, Case], ana: Staff, alice: Staff) -> None:
    early, late = pair
    merging.merge(late, early, by=alice, now=MONDAY_9 + 2 * HOUR)

    for act in (
        lambda: entries.note(late, body="x", by=ana, now=MONDAY_9),
        lambda: resolutions.reopen(late, because="staff", by=ana, now=MONDAY_9),
        lambda: promises.make(late, words="x", when=FRIDAY, keeper=ana, by=ana, now=MONDAY_9),
    ):
        with pytest.raises(CaseMerged):
            act()


def test_a_second_time_changes_nothing_and_later_merges_lead_on(
    pair: tuple[Case, Case], brand: Brand, alice: Staff
) -> None:
    early, late = pair
    third = make_case(brand, customer=early.customer, now=MONDAY_9 + 2 * HOUR)

    merging.merge(late, early, by=alice, now=MONDAY_9 + 3 * HOUR)
    merging.merge(late, early, by=alice, now=MONDAY_9 + 4 * HOUR)
    merging.merge(early, third, by=alice, now=MONDAY_9 + 5 * HOUR)

    assert (late.merged_into_id, early.merged_into_id) == (third.id, third.id)
    assert db.session.scalar(select(func.count()).select_from(Event).where(MERGED)) == 4


def test_only_open_cases_of_one_customer_are_merged(pair: tuple[Case, Case], brand: Brand, alice: Staff) -> None:
    early, late = pair
    stranger, nobody = make_case(brand), make_case(brand, customer=None)
    for case, into in ((early, early), (early, stranger), (nobody, make_case(brand, customer=None))):
        with pytest.raises(CannotMerge):
            merging.merge(case, into, by=alice, now=MONDAY_9 + 2 * HOUR)

    resolutions.resolve(late, by=alice, cause=make_root_cause(), words=None, now=MONDAY_9 + 2 * HOUR)
    for case, into in ((early, late), (late, early)):
        with pytest.raises(CannotMerge, match="not open any more"):
            merging.merge(case, into, by=alice, now=MONDAY_9 + 3 * HOUR)


def test_two_merges_the_other_way_round_leave_one_case(app: Flask, pair: tuple[Case, Case], alice: Staff) -> None:
    ids, by = [each.id for each in pair], alice.id
    db.session.commit()
    start, told = threading.Barrier(2), []

    def run(one: int, other: int) -> None:
        with app.app_context():
            case, into = db.session.get_one(Case, one), db.session.get_one(Case, other)
            staff = db.session.get_one(Staff, by)
            start.wait(STUCK_SECONDS)
            try:
                merging.merge(case, into, by=staff, now=MONDAY_9 + 2 * HOUR)
                db.session.commit()
                told.append("merged")
            except CannotMerge:
                db.session.rollback()
                told.append("refused")

    threads = [threading.Thread(daemon=True, target=run, args=order) for order in (ids, ids[::-1])]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    assert sorted(told) == ["merged", "refused"]
    states = db.session.scalars(
        select(Case.state).where(Case.id.in_(ids)), execution_options={"populate_existing": True}
    )
    assert sorted(states) == ["closed", "open"]


def link(case: Case, more: str = "") -> str:
    return f"/c/{tokens.sign('case', case.public_id)}{more}"


def test_the_customers_old_link_leads_to_the_case_that_goes_on(
    client: Client, pair: tuple[Case, Case], ana: Staff, alice: Staff
) -> None:
    early, late = pair
    late.words = "And it is the second time."
    entries.customer_reply(late, body="Where is it?", now=MONDAY_9 + HOUR, form_key="a" * 22)
    merging.merge(late, early, by=alice, now=MONDAY_9 + 2 * HOUR)
    db.session.commit()

    page = unescape(client.get(link(late)).text)
    client.post(link(late, "/reply"), data={"reply": "Still nothing", "form_key": "b" * 22})

    assert early.label in page
    assert "And it is the second time." in page
    assert "Where is it?" in page
    assert db.session.scalars(select(CaseEntry.case_id).order_by(CaseEntry.id)).all() == [late.id, early.id]


def test_a_customers_word_that_comes_in_while_cases_are_merged_is_heard_where_the_work_goes_on(
    pair: tuple[Case, Case], alice: Staff
) -> None:
    early, late = pair
    merging.merge(late, early, by=alice, now=MONDAY_9 + 2 * HOUR)

    entry = entries.customer_reply(late, body="Hello?", now=MONDAY_9 + 3 * HOUR, form_key="c" * 22)
    outcome.mark_not_fixed(late, MONDAY_9 + 3 * HOUR)

    assert (entry.case_id, late.state, early.state) == (early.id, "closed", "open")
    outcome.mark_fixed(late, MONDAY_9 + 4 * HOUR)
    assert (late.state, early.state) == ("closed", "resolved")


@pytest.fixture
def lead(client: Client, alice: Staff) -> Client:
    client.sign_in(alice)
    return client


def test_a_lead_merges_on_the_case_page(lead: Client, pair: tuple[Case, Case], brand: Brand, alice: Staff) -> None:
    early, late = pair
    make_programme(brand, trigger="goodwill", reward_minor=2000, budget=10_000)
    db.session.commit()
    lead.post(f"/desk/cases/{late.number}/goodwill", data={"goodwill-amount": "9", "goodwill-words": "Twice"})
    page = unescape(lead.get(f"/desk/cases/{late.number}").text)
    assert early.label in page
    assert f"/desk/cases/{late.number}/merge" in page
    assert early.label in lead.get(f"/desk/cases/{late.number}/merge").text

    nothing = lead.post(f"/desk/cases/{late.number}/merge", data={})
    merged = lead.post(f"/desk/cases/{late.number}/merge", data={"into": early.label})
    again = lead.post(f"/desk/cases/{late.number}/merge", data={"into": early.label})

    assert (nothing.status_code, merged.status_code, again.status_code) == (422, 302, 302)
    assert "Choose the case that goes on." in nothing.text
    assert merged.headers["Location"] == again.headers["Location"] == f"/desk/cases/{early.number}"
    survivor = unescape(lead.get(f"/desk/cases/{early.number}").text)
    assert f"{late.label} was merged into this case" in survivor
    assert "Merged into this" in survivor
    gone = unescape(lead.get(f"/desk/cases/{late.number}").text)
    assert f"Go on with {early.label}" in gone
    assert "€9 goodwill" in gone
    assert 'name="reply-body"' not in gone
    assert db.session.scalars(select(Reward.case_id)).one() == early.id
    assert db.session.scalar(select(func.count()).select_from(Promise).where(Promise.case_id == early.id)) == 2


def test_a_form_that_is_older_than_the_other_cases_end_is_refused(
    lead: Client, pair: tuple[Case, Case], alice: Staff
) -> None:
    early, late = pair
    assert lead.get(f"/desk/cases/{late.number}/merge").status_code == 200
    resolutions.resolve(early, by=alice, cause=make_root_cause(), words=None, now=clock.now())
    db.session.commit()

    sent = lead.post(f"/desk/cases/{late.number}/merge", data={"into": early.label})
    asked = lead.get(f"/desk/cases/{late.number}/merge")

    assert (sent.status_code, asked.status_code) == (302, 302)
    told = lead.get(f"/desk/cases/{late.number}").text
    assert f"{early.label} is not open any more" in told
    assert "no other open case of this customer" in told
    assert (early.state, late.state, late.merged_into_id) == ("resolved", "open", None)


def test_an_agent_sees_the_other_case_and_may_not_merge(client: Client, pair: tuple[Case, Case], ana: Staff) -> None:
    early, late = pair
    db.session.commit()
    client.sign_in(ana)

    page = client.get(f"/desk/cases/{late.number}").text

    assert early.label in page
    assert "/merge" not in page
    assert client.post(f"/desk/cases/{late.number}/merge", data={"into": early.label}).status_code == 403


def test_a_case_of_another_customer_is_not_offered(lead: Client, pair: tuple[Case, Case], brand: Brand) -> None:
    late, stranger = pair[1], make_case(brand)
    db.session.commit()

    assert stranger.label not in lead.get(f"/desk/cases/{late.number}/merge").text
    lead.post(f"/desk/cases/{late.number}/merge", data={"into": stranger.label})
    assert "Only cases of one customer and one brand" in lead.get(f"/desk/cases/{late.number}").text
    assert (late.state, stranger.state) == ("open", "open")
    assert lead.post(f"/desk/cases/{late.number}/merge", data={"into": "AM-9"}).status_code == 404
