"""One act on several cases: what it does, what it tells of each, what it costs."""

from __future__ import annotations

import threading
from datetime import time, timedelta
from html import unescape

import pytest
from flask import Flask
from sqlalchemy import func, select

from accounts.models import Staff
from core import clock
from core.db import db
from core.events import Event
from customers.models import Brand
from feedback import assignments, clocks, complaints, entries, resolutions, several, trees
from feedback.models import Case, CaseState, Category, ClockEvent
from feedback.promises import Appointment
from feedback.state import FOLLOW_UP
from tests.amounts import STUCK_SECONDS
from tests.client import Client, count_queries
from tests.factories import make_brand, make_case, make_root_cause, make_staff, make_team
from tests.feedback.conftest import HOUR


def ticked(cases: list[Case], act: str = "", **fields: str) -> dict[str, object]:
    return {"case": [case.label for case in cases], "act": act} | fields


def page_of(client: Client, cases: list[Case], act: str = "", status: int = 200, **fields: str) -> str:
    response = client.post("/desk/several", data=ticked(cases, act, **fields))
    assert response.status_code == status
    return unescape(response.text)


def events_of(kind: str) -> list[dict[str, object]]:
    return list(db.session.scalars(select(Event.data).where(Event.kind == kind).order_by(Event.id)))


def at_ten(days: int) -> dict[str, str]:
    day = (clock.now() + timedelta(days=days)).date().isoformat()
    return {"plan-by": "other", "plan-on": day, "plan-at": "10:00", "plan-because": "third_party"}


def test_the_page_shows_what_is_ticked_and_changes_nothing(client: Client, brand: Brand, alice: Staff) -> None:
    made = [make_case(brand) for _ in range(2)]
    make_team(brand)
    client.sign_in(alice)

    with count_queries() as queries:
        page = page_of(client, made)

    assert all(case.label in page for case in made)
    assert "Move to a team’s queue" in page
    assert 'id="do-category"' not in page  # there is none to choose
    assert not [each for each in queries if each.lstrip().upper().startswith(("UPDATE", "INSERT", "DELETE"))]
    assert "No case is selected" in page_of(client, [])


def test_a_time_to_look_again_moves_no_clock(client: Client, brand: Brand, alice: Staff) -> None:
    contacted, waiting = make_case(brand), make_case(brand)
    entries.log_call(contacted, reached=True, minutes=3, body=None, by=alice, now=clock.now())
    before = {each.id: each.due_at for case in (contacted, waiting) for each in clocks.of(case.id)}
    turns = db.session.scalar(select(func.count()).select_from(ClockEvent))
    client.sign_in(alice)
    first_due = waiting.due_at

    page = page_of(client, [contacted, waiting], "plan", **at_ten(60))

    assert waiting.due_at == first_due
    assert page.count("A clock or promise stays due first") == 2
    assert {each.id: each.due_at for case in (contacted, waiting) for each in clocks.of(case.id)} == before
    assert db.session.scalar(select(func.count()).select_from(ClockEvent)) == turns
    assert [each["because"] for each in events_of("case.planned")] == ["third_party"] * 2


def test_an_earlier_time_is_due_first_until_the_customer_is_spoken_to(brand: Brand, ana: Staff) -> None:
    case, now = make_case(brand), clock.now()
    entries.log_call(case, reached=True, minutes=3, body=None, by=ana, now=now)
    soon = Appointment((now + timedelta(minutes=90)).date(), (now + timedelta(minutes=90)).time(), "UTC")

    told = several.plan([case], soon, "check_again", by=ana, now=now)

    assert told[0].is_done
    assert (case.next_act, case.due_at) == ("planned", soon.at)
    entries.log_call(case, reached=True, minutes=3, body=None, by=ana, now=now + HOUR)
    assert (case.next_act, case.planned_at) == ("resolution", None)


def test_the_same_time_again_is_told_once(client: Client, brand: Brand, alice: Staff) -> None:
    case = make_case(brand)
    client.sign_in(alice)

    for _ in range(2):
        page_of(client, [case], "plan", **at_ten(2))

    assert len(events_of("case.planned")) == 1


def test_a_plan_does_not_put_off_asking_a_customer_we_wait_for(brand: Brand, ana: Staff) -> None:
    now = clock.now()
    case = make_case(brand, wants="none")
    case.state = CaseState.WAITING
    clocks.pause(case.id, reason="customer", actor="rule", now=now)

    far, soon = (Appointment((now + timedelta(days=days)).date(), time(10), "UTC") for days in (30, 2))

    several.plan([case], far, "third_party", by=ana, now=now)
    first = (case.next_act, case.due_at)
    several.plan([case], soon, "third_party", by=ana, now=now)

    assert first == ("follow_up", now + FOLLOW_UP)
    assert (case.next_act, case.due_at) == ("planned", soon.at)


def test_a_time_can_be_taken_away_again(client: Client, brand: Brand, alice: Staff) -> None:
    case = make_case(brand)
    client.sign_in(alice)
    page_of(client, [case], "plan", **at_ten(2))

    page = page_of(client, [case], "plan", **{"plan-by": "none", "plan-because": "check_again"})

    assert case.planned_at is None
    assert "No time of its own any more." in page


@pytest.mark.parametrize(
    ("act", "fields", "words"),
    [
        ("plan", {}, "Choose a time."),
        ("plan", {"plan-by": "other", "plan-because": "check_again"}, "Choose a day."),
        ("plan", {**at_ten(2), "plan-on": "2020-01-01"}, "Choose one that is still to come."),
        ("priority", {"priority-priority": "loud"}, "Not a valid choice."),
        ("cause", {}, "Choose one."),
        ("team", {"team-one": "x" * 22}, "Not a valid choice."),
    ],
)
def test_what_makes_no_sense_is_refused_at_its_field_and_kept(
    client: Client, brand: Brand, alice: Staff, act: str, fields: dict[str, str], words: str
) -> None:
    case = make_case(brand)
    client.sign_in(alice)

    page = page_of(client, [case], act, status=422, **fields)

    assert words in page
    assert f'id="do-{act}" open' in page
    assert case.label in page
    if "plan-on" in fields:
        assert f'value="{fields["plan-on"]}"' in page


def test_priority_and_root_cause_are_set_and_told(client: Client, brand: Brand, alice: Staff) -> None:
    made, cause = [make_case(brand) for _ in range(2)], make_root_cause()
    over = make_case(brand)
    resolutions.resolve(over, by=alice, cause=make_root_cause(), words=None, now=clock.now())
    client.sign_in(alice)

    page = page_of(client, [*made, over], "priority", **{"priority-priority": "urgent"})
    page_of(client, made, "cause", **{"cause-one": cause.public_id})

    assert [case.priority for case in made] == ["urgent", "urgent"]
    assert over.priority == "normal"
    assert "2 of 3 cases are changed." in page
    assert "It is resolved already." in page
    assert [case.root_cause_id for case in made] == [cause.id, cause.id]
    assert len(events_of("case.prioritised")) == len(events_of("case.cause_found")) == 2
    told = unescape(client.get(f"/desk/cases/{made[0].number}").text)
    assert "Urgent from here" in told
    assert f"Root cause found:</b> {cause.name}, by Alice." in told


def test_complaints_are_filed_under_a_category_and_other_cases_say_why_not(
    client: Client, brand: Brand, alice: Staff
) -> None:
    data = complaints.ComplaintData(words="Torn", form_key="k" * 22, language="en", customer=None)
    kept = complaints.file(data, brand=brand, by=alice, now=clock.now())
    complaint, case = complaints.by_public_id(kept.public_id)
    category = trees.add(Category, "Damaged", parent=None, by=alice, now=clock.now())
    client.sign_in(alice)

    page = page_of(client, [case, make_case(brand)], "category", **{"category-one": category.public_id})

    db.session.refresh(complaint)
    assert complaint.category == category.key
    assert "No complaint opened it, so it has no category." in page
    page_of(client, [case], "category", **{"category-one": category.public_id})
    assert len(events_of("complaint.categorised")) == 1  # a page that is loaded again is told once


def test_cases_move_to_a_teams_queue(client: Client, brand: Brand, alice: Staff) -> None:
    case, stranger, team = make_case(brand), make_case(make_brand()), make_team(brand)
    client.sign_in(alice)

    page = page_of(client, [case, stranger], "team", **{"team-one": team.public_id})

    assert (case.team_id, stranger.team_id) == (team.id, None)
    assert "This team works for another brand." in page


@pytest.mark.parametrize("act", ["give", "team"])
def test_an_agent_neither_gives_nor_moves(client: Client, brand: Brand, ana: Staff, act: str) -> None:
    case = make_case(brand)
    client.sign_in(ana)

    assert client.post("/desk/several", data=ticked([case], act, **{f"{act}-one": ana.public_id})).status_code == 403
    assert "Move to a team’s queue" not in page_of(client, [case])
    assert (case.assignee_id, case.team_id) == (None, None)


def test_another_brands_cases_are_left_alone(client: Client, brand: Brand, bob: Staff) -> None:
    case = make_case(brand)
    client.sign_in(bob)

    page = page_of(client, [case], "priority", **{"priority-priority": "urgent"})

    assert case.label not in page
    assert case.priority == "normal"


def test_who_takes_several_reads_who_was_quicker(client: Client, brand: Brand, ana: Staff, alice: Staff) -> None:
    free, taken = make_case(brand), make_case(brand)
    assignments.assign(taken, alice, by=alice, now=clock.now())
    client.sign_in(ana)

    page = unescape(client.post("/desk/assign", data=ticked([free, taken])).text)

    assert (free.assignee_id, taken.assignee_id) == (ana.id, alice.id)
    assert "Alice took it" in page
    assert "1 of 2 cases are changed." in page


def test_two_who_take_the_same_cases_at_once_get_each_case_once(app: Flask, brand: Brand, ana: Staff) -> None:
    other = make_brand_mate(brand)
    numbers, ids = {make_case(brand).number for _ in range(5)}, [ana.id, other.id]
    db.session.commit()
    start, told = threading.Barrier(2), []

    def take(staff_id: int) -> None:
        with app.app_context():
            me = db.session.get_one(Staff, staff_id)
            start.wait(STUCK_SECONDS)
            told.extend(several.take(several.held(me, numbers), by=me, now=clock.now()))
            db.session.commit()
            db.session.remove()

    racers = [threading.Thread(daemon=True, target=take, args=(staff_id,)) for staff_id in ids]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()

    assert [each.is_done for each in told].count(True) == 5
    assert sum("took it" in each.words for each in told) == 5
    assert len(events_of("case.assigned")) == 5


def make_brand_mate(brand: Brand) -> Staff:
    return make_staff("agent", name="Mo Lang", team=make_team(brand), password=None)


def test_more_than_two_hundred_are_refused(client: Client, alice: Staff) -> None:
    client.sign_in(alice)

    response = client.post("/desk/several", data={"case": [f"AM-{number}" for number in range(201)]})

    assert response.status_code == 422
    assert "At most 200 cases" in unescape(response.text)


@pytest.mark.parametrize(
    ("act", "fields"),
    [("", {}), ("priority", {"priority-priority": "high"}), ("plan", at_ten(2)), ("cause", {}), ("team", {})],
)
def test_an_act_costs_the_same_for_one_and_for_three(
    client: Client, brand: Brand, alice: Staff, act: str, fields: dict[str, str]
) -> None:
    chosen = {"cause": make_root_cause(), "team": make_team(brand)}.get(act)
    fields = {f"{act}-one": chosen.public_id} if chosen else fields
    first, *others = [make_case(brand).label for _ in range(4)]
    db.session.commit()
    client.sign_in(alice)
    page_of(client, [])

    with count_queries() as one:
        client.post("/desk/several", data={"case": [first], "act": act, **fields})
    with count_queries() as three:
        page = client.post("/desk/several", data={"case": others, "act": act, **fields})

    assert all(label in page.text for label in others)

    assert one.count == three.count, (one, three)
