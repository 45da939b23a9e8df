"""The case page: what it shows, and each act."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from html import unescape

import pytest
from flask import Flask
from sqlalchemy import func, select

from accounts.models import Staff
from core import clock, events, tokens
from core.db import db
from core.events import Event
from customers import erasure
from customers.models import Brand
from feedback import assignments, entries, promises
from feedback.models import Case, CaseEntry, OutcomeCheck, Promise, Resolution
from incentives.models import Reward
from notifications.models import Message
from tests.client import Client, count_queries
from tests.factories import (
    make_brand,
    make_case,
    make_customer,
    make_interaction,
    make_programme,
    make_root_cause,
    make_staff,
    make_team,
    make_touchpoint,
)
from tests.feedback.conftest import HOUR


@pytest.fixture
def case(brand: Brand) -> Case:
    return make_case(brand, customer=make_customer(name="Marc Oudin"), words="Third week without my refund.")


@pytest.fixture
def desk(client: Client, ana: Staff) -> Client:
    client.sign_in(ana)
    return client


def show(client: Client, case: Case, query: str = "") -> str:
    response = client.get(f"/desk/cases/{case.number}{query}")
    assert response.status_code == 200
    return unescape(response.get_data(as_text=True))


def test_a_team_of_one_brand_reads_of_its_own_brand_beside_the_case(client: Client, case: Case) -> None:
    own, other = make_touchpoint(case.brand, name="Our shop"), make_touchpoint(make_brand(), name="Their shop")
    for touchpoint, reference, score in ((own, "R-OWN", 3), (other, "R-OTHER", 9), (own, "R-OWN-2", 4)):
        make_interaction(touchpoint, case.customer, reference=reference, occurred_at=clock.now() - timedelta(days=3))
        said = {"metric": "nps", "score": score, "touchpoint": touchpoint.id}
        events.record(
            "response.completed", at=clock.now(), actor="customer", customer=case.customer_id, response=1, **said
        )

    pages = {}
    for name, team in (("own", make_team(case.brand)), ("every", make_team())):
        client.sign_in(make_staff("agent", team=team))
        pages[name] = show(client, case)

    assert "R-OWN" in pages["own"] and "<dt>Interactions</dt><dd>2</dd>" in pages["own"]
    assert "R-OTHER" not in pages["own"] and "Their shop" not in pages["own"]
    assert re.search(r"Scores over time: 3 on [^,]+ and 4 on", pages["own"])
    assert "R-OTHER" in pages["every"] and "<dt>Interactions</dt><dd>3</dd>" in pages["every"]


def test_the_page_tells_the_case(desk: Client, case: Case, ana: Staff) -> None:
    page = show(desk, case)

    for words in (
        "Third week without my refund.", "Late or damaged", "Wants a call", "Marc Oudin", case.label, "Take this case",
        "Case opened", "Call back by", "Promised by the survey page.", "Next: Call back", "First contact is due",
        "Not contacted yet",
    ):  # fmt: skip
        assert words in page, words


def test_the_number_may_be_written_with_its_letters(desk: Client, case: Case) -> None:
    assert desk.get(f"/desk/cases/{case.label}").status_code == 200
    assert desk.get("/desk/cases/AM-999999").status_code == 404
    assert desk.get("/desk/cases/nonsense").status_code == 404


def test_the_page_costs_the_same_for_one_and_for_three_of_everything(
    desk: Client, brand: Brand, case: Case, ana: Staff, alice: Staff
) -> None:
    now = clock.now()

    def add(number: int) -> None:
        customer = case.customer
        make_interaction(make_touchpoint(brand), customer, occurred_at=now - number * HOUR)
        events.record("response.completed", at=now, actor="customer", customer=case.customer_id, metric="nps", score=2)
        entries.note(case, body="A note", by=ana, now=now)
        entries.log_call(case, reached=True, minutes=1, body="Said", by=alice, now=now)
        entries.reply(case, body="Written", last_seen=case.last_entry_id, by=ana, now=now)
        promises.make(case, words="A thing", when=later(number), keeper=alice, by=ana, now=now)
        make_case(brand)

    address = f"/desk/cases/{case.number}"
    add(1)
    desk.get(address)
    with count_queries() as one:
        desk.get(address)
    add(2)
    add(3)
    db.session.commit()
    with count_queries() as three:
        desk.get(address)

    assert one.count == three.count
    assert one.count <= 23, one


def later(number: int) -> promises.Appointment:
    day = clock.now() + timedelta(days=number)
    return promises.Appointment(day.date(), day.time().replace(second=0, microsecond=0), "UTC")


def test_taking_a_case_makes_it_ones_own(desk: Client, case: Case, ana: Staff) -> None:
    response = desk.post(f"/desk/cases/{case.number}/claim?queue=first-contact")

    assert response.headers["Location"] == f"/desk/cases/{case.number}?queue=first-contact"
    assert case.assignee_id == ana.id
    assert "The case is yours." in show(desk, case)


def test_who_comes_second_is_told_so(desk: Client, case: Case, alice: Staff) -> None:
    assignments.claim(case, alice, clock.now())

    desk.post(f"/desk/cases/{case.number}/claim")

    assert re.search(r"Alice took it \d+ s ago\.", show(desk, case))
    assert case.assignee_id == alice.id


def test_a_lead_gives_a_case_and_an_agent_may_not(
    client: Client, case: Case, ana: Staff, alice: Staff, bob: Staff
) -> None:
    client.sign_in(ana)
    assert client.post(f"/desk/cases/{case.number}/assign", data={"to": ana.public_id}).status_code == 403

    client.sign_in(alice)
    assert client.post(f"/desk/cases/{case.number}/assign", data={"to": bob.public_id}).status_code == 404
    client.post(f"/desk/cases/{case.number}/assign", data={"to": ana.public_id})
    assert case.assignee_id == ana.id

    client.post(f"/desk/cases/{case.number}/release")
    assert case.assignee_id is None


def test_a_reply_is_sent_and_said(desk: Client, case: Case, ana: Staff) -> None:
    desk.post(
        f"/desk/cases/{case.number}/reply", data={"reply-body": "Your refund\nis on its way.", "reply-last_seen": "0"}
    )

    entry = db.session.scalars(select(CaseEntry)).one()
    assert (entry.kind, entry.body, entry.staff_id) == ("reply", "Your refund\nis on its way.", ana.id)
    assert db.session.scalars(select(Message.kind)).all() == ["case_reply"]
    assert "Ana wrote to Marc" in show(desk, case)


def test_an_empty_reply_is_refused_with_the_act_open(desk: Client, case: Case) -> None:
    response = desk.post(f"/desk/cases/{case.number}/reply", data={"reply-body": "  ", "reply-wait": "y"})

    page = unescape(response.get_data(as_text=True))
    assert response.status_code == 422
    assert re.search(r'<details name="act" id="reply" open>', page)
    assert "Write what you want to say." in page
    assert 'checked id="reply-wait"' in page
    assert db.session.scalar(select(func.count()).select_from(CaseEntry)) == 0


def test_a_reply_that_crossed_with_the_customers_keeps_its_draft_and_shows_what_came(
    desk: Client, case: Case, ana: Staff
) -> None:
    came = entries.customer_reply(case, body="I have it now, thank you", now=clock.now(), form_key="c" * 22)
    draft = {"reply-body": "Where is it?", "reply-last_seen": "0"}

    response = desk.post(f"/desk/cases/{case.number}/reply", data=draft)

    page = unescape(response.get_data(as_text=True))
    assert response.status_code == 409
    assert "Something was said while you were writing." in page
    assert page.count("I have it now, thank you") == 2
    assert ">\r\nWhere is it?</textarea>" in page
    assert db.session.scalar(select(func.count()).select_from(Message)) == 0

    draft["reply-last_seen"] = re.search(r'name="reply-last_seen" type="hidden" value="(\d+)"', page)[1]  # type: ignore[index]
    assert draft["reply-last_seen"] == str(came.id)
    assert desk.post(f"/desk/cases/{case.number}/reply", data=draft).status_code == 302


def test_a_call_is_logged_with_what_was_said(desk: Client, case: Case) -> None:
    data = {"call-reached": "yes", "call-minutes": "7", "call-body": "Only the poles matter", "call-form_key": "k" * 22}

    for _ in range(2):
        assert desk.post(f"/desk/cases/{case.number}/calls", data=data).status_code == 302

    entry = db.session.scalars(select(CaseEntry)).one()
    assert (entry.kind, entry.reached, entry.minutes) == ("call", True, 7)
    page = show(desk, case)
    assert "7 min, reached" in page
    assert "In recovery" in page
    assert "in time" in page


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"call-body": "Hello"}, "Say whether you spoke with the customer."),
        ({"call-reached": "yes", "call-minutes": "700"}, "A call takes from 0 to 600 minutes."),
        ({"call-reached": "yes", "call-minutes": "x"}, "Not a valid integer value."),
        ({"call-reached": "maybe"}, "Not a valid choice."),
    ],
)
def test_a_call_that_makes_no_sense_is_refused_at_its_field(
    desk: Client, case: Case, data: dict[str, str], words: str
) -> None:
    response = desk.post(f"/desk/cases/{case.number}/calls", data=data)

    assert response.status_code == 422
    assert words in response.get_data(as_text=True)
    assert db.session.scalar(select(func.count()).select_from(CaseEntry)) == 0


def test_a_note_stays_inside(desk: Client, case: Case) -> None:
    desk.post(f"/desk/cases/{case.number}/notes", data={"note-body": "<b>Calm</b>"})

    page = desk.get(f"/desk/cases/{case.number}").get_data(as_text=True)
    assert "&lt;b&gt;Calm&lt;/b&gt;" in page
    assert db.session.scalar(select(func.count()).select_from(Message)) == 0


def test_a_promise_is_made_for_an_offered_time_and_kept(desk: Client, case: Case, ana: Staff) -> None:
    offered = re.findall(r'name="promise-by"[^>]*value="(\d[^"]+)"', show(desk, case))
    data = {
        "promise-words": "New poles",
        "promise-by": offered[-1],
        "promise-keeper": ana.public_id,
        "promise-tell": "y",
    }

    assert desk.post(f"/desk/cases/{case.number}/promises", data=data).status_code == 302

    made = db.session.scalars(select(Promise).where(Promise.kind == "other")).one()
    assert (made.words, made.due_local, made.due_zone, made.keeper_id) == (
        "New poles",
        offered[-1],
        "Europe/Berlin",
        ana.id,
    )
    assert db.session.scalars(select(Message.kind)).all() == ["promise_made"]
    assert "Ana keeps it." in show(desk, case)

    desk.post(f"/desk/cases/{case.number}/promises/{made.public_id}/kept")
    assert made.state == "kept"


def test_a_promise_for_another_time_needs_day_and_time_to_come(desk: Client, case: Case) -> None:
    path = f"/desk/cases/{case.number}/promises"
    data = {"promise-words": "New poles", "promise-by": "other", "promise-keeper": ""}

    missing = desk.post(path, data=data)
    past = desk.post(path, data={**data, "promise-on": "2020-01-01", "promise-at": "10:00"})
    typed = past.get_data(as_text=True)

    assert (missing.status_code, past.status_code) == (422, 422)
    assert "Choose a day." in missing.get_data(as_text=True)
    assert "That time has passed." in typed
    assert 'value="2020-01-01"' in typed
    assert 'value="New poles"' in typed
    assert db.session.scalar(select(func.count()).select_from(Promise)) == 1


def test_a_promise_is_offered_for_the_days_on_which_somebody_works(desk: Client, brand: Brand, case: Case) -> None:
    brand.calendar.weekly = {"sat": [["10:00", "14:00"]]}
    db.session.flush()

    noons = re.findall(r'value="(\d{4}-\d\d-\d\dT12:00)"', show(desk, case))

    assert len(noons) >= 2
    assert {datetime.fromisoformat(noon).weekday() for noon in noons} == {5}


def test_goodwill_is_given_once_within_the_limit(desk: Client, brand: Brand, case: Case) -> None:
    make_programme(brand, trigger="goodwill", reward_minor=2000, budget=10_000)
    data = {"goodwill-amount": "12.50", "goodwill-words": "Four days late", "goodwill-form_key": "g" * 22}

    for _ in range(2):
        assert desk.post(f"/desk/cases/{case.number}/goodwill", data=data).status_code == 302

    reward = db.session.scalars(select(Reward)).one()
    assert (reward.amount_minor, reward.state, reward.case_id) == (1250, "issued", case.id)
    assert "€12.50 goodwill" in show(desk, case)


def test_goodwill_above_the_limit_waits_for_a_second_person(desk: Client, brand: Brand, case: Case) -> None:
    make_programme(brand, trigger="goodwill", reward_minor=2000, budget=10_000)

    desk.post(f"/desk/cases/{case.number}/goodwill", data={"goodwill-amount": "25", "goodwill-words": "Late"})

    assert db.session.scalars(select(Reward.state)).one() == "waiting"
    told, later_on = show(desk, case), show(desk, case)
    assert "waits for a second person" in told
    assert "€25 goodwill asked for" in later_on  # the case goes on saying it, once the toast is gone
    assert "by Ana. A second person must agree. “Late”" in later_on


def test_who_asked_for_goodwill_is_not_told_to_decide_on_it(
    client: Client, brand: Brand, case: Case, alice: Staff
) -> None:
    make_programme(brand, trigger="goodwill", reward_minor=2000, budget=10_000)
    client.sign_in(alice)
    client.post(f"/desk/cases/{case.number}/goodwill", data={"goodwill-amount": "90", "goodwill-words": "Late"})
    asked = show(client, case)
    client.sign_in(make_staff("lead"))

    assert "Decide on it" not in asked
    assert "It was you who asked, so somebody else agrees or declines." in asked
    assert "Decide on it" in show(client, case)


def test_the_stations_tell_every_time_in_the_same_form(desk: Client, case: Case, ana: Staff) -> None:
    entries.log_call(case, reached=True, minutes=3, body=None, by=ana, now=clock.now())

    times = re.findall(r"(Today at|Target: today at|Target: tomorrow at) \d\d:\d\d(, in time)?<", show(desk, case))

    assert [when for when, _in_time in times[:2]] == ["Today at", "Today at"]
    assert times[1] == ("Today at", ", in time")


def test_what_was_done_to_resolve_it_is_told(desk: Client, case: Case) -> None:
    cause = make_root_cause()

    desk.post(
        f"/desk/cases/{case.number}/resolve",
        data={"resolve-cause": cause.public_id, "resolve-words": "Sent new poles."},
    )

    assert "“Sent new poles.”" in show(desk, case)


@pytest.mark.parametrize("limit", ["staff_day_limit_minor", "customer_limit_minor"])
def test_the_page_tells_what_a_limit_of_day_or_customer_leaves(
    desk: Client, brand: Brand, case: Case, limit: str
) -> None:
    make_programme(brand, trigger="goodwill", reward_minor=2000, budget=10_000, **{limit: 3000})
    desk.post(f"/desk/cases/{case.number}/goodwill", data={"goodwill-amount": "15", "goodwill-words": "Late"})

    assert "€15 alone" in show(desk, case)


@pytest.mark.parametrize("amount", ["", "0", "-5", "x", "1.005", "1e9", "NaN", "Infinity"])
def test_an_amount_that_is_none_is_refused_at_its_field(desk: Client, brand: Brand, case: Case, amount: str) -> None:
    make_programme(brand, trigger="goodwill", reward_minor=2000, budget=10_000)

    response = desk.post(
        f"/desk/cases/{case.number}/goodwill", data={"goodwill-amount": amount, "goodwill-words": "Late"}
    )

    assert response.status_code == 422
    assert 'id="goodwill-amount-e"' in response.get_data(as_text=True)
    assert db.session.scalar(select(func.count()).select_from(Reward)) == 0


def test_resolving_needs_a_root_cause(desk: Client, case: Case) -> None:
    cause = make_root_cause(name="Courier damage")
    path = f"/desk/cases/{case.number}/resolve"

    assert desk.post(path, data={"resolve-cause": ""}).status_code == 422
    assert case.state == "open"
    assert desk.post(path, data={"resolve-cause": cause.public_id, "resolve-words": "New poles"}).status_code == 302

    assert case.state == "resolved"
    assert db.session.scalars(select(Resolution.words)).one() == "New poles"
    assert db.session.scalars(select(OutcomeCheck.state)).one() == "pending"
    assert "The customer decides now" in show(desk, case)

    desk.post(f"/desk/cases/{case.number}/reopen")
    assert case.state == "recovery"


def test_a_case_of_nobody_known_can_be_worked_but_not_written_to(desk: Client, brand: Brand) -> None:
    case = make_case(brand, customer=None)

    assert "there is nobody to write to" in show(desk, case)
    assert desk.post(f"/desk/cases/{case.number}/reply", data={"reply-body": "Hello"}).status_code == 422
    assert desk.post(f"/desk/cases/{case.number}/notes", data={"note-body": "Hello"}).status_code == 302


def test_a_link_that_reached_somebody_else_is_stopped_and_can_work_again(desk: Client, app: Flask, case: Case) -> None:
    customer = app.test_client()
    link = f"/c/{tokens.sign('case', case.public_id)}"
    assert "Did the link reach somebody else?" in show(desk, case)

    desk.post(f"/desk/cases/{case.number}/link/stop")

    page = show(desk, case)
    assert "The customer’s link was stopped" in page
    assert link not in page
    stopped = customer.get(link)
    assert stopped.status_code == 410
    assert "We have stopped this link." in unescape(stopped.text)
    assert case.label not in stopped.text  # it may be a stranger who reads this
    assert customer.post(f"{link}/reply", data={"reply": "It was me."}).status_code == 410
    assert customer.post(f"{link}/fixed").location == link
    assert db.session.get_one(Case, case.id).fixed_at is None

    desk.post(f"/desk/cases/{case.number}/link/open")

    assert "The customer’s link works again" in show(desk, case)
    assert customer.get(link).status_code == 200
    kinds = select(Event.kind).where(Event.case_id == case.id, Event.kind.startswith("case.link"))
    assert db.session.scalars(kinds.order_by(Event.id)).all() == ["case.link_stopped", "case.link_opened"]


def test_the_link_of_who_was_erased_stays_stopped(desk: Client, case: Case) -> None:
    assert case.customer is not None
    erasure.erase(case.customer, by="system", now=clock.now())
    db.session.commit()

    assert "Let it work again" not in show(desk, case)
    desk.post(f"/desk/cases/{case.number}/link/open")

    assert db.session.get_one(Case, case.id, populate_existing=True).link_revoked_at is not None


def test_waiting_pauses_the_clocks(desk: Client, case: Case) -> None:
    desk.post(f"/desk/cases/{case.number}/wait")

    assert case.state == "waiting"
    assert "It is paused since today" in show(desk, case)


def test_won_back_shows_in_gold(desk: Client, case: Case) -> None:
    case.state, case.won_back_at, case.closed_at, case.resolved_at = "closed", clock.now(), clock.now(), clock.now()

    page = show(desk, case)

    assert '<li class="won">' in page
    assert "Marc Oudin is content again, and said so." in page


def test_a_case_is_opened_by_hand_for_a_customer(desk: Client, brand: Brand, ana: Staff) -> None:
    customer = make_customer(name="Léa Fontaine", email="Lea@customer.example")
    data = {
        "customer": "lea@CUSTOMER.example", "brand": brand.key, "summary": "Charged twice", "words": "You did it twice",
        "wants": "phone", "language": "de", "touchpoint": "", "form_key": "n" * 22,
    }  # fmt: skip
    assert f'value="{customer.external_id}"' in desk.get(f"/desk/cases/new?customer={customer.public_id}").get_data(
        as_text=True
    )

    for _ in range(2):
        response = desk.post("/desk/cases/new", data=data)

    case = db.session.scalars(select(Case)).one()
    assert response.headers["Location"] == f"/desk/cases/{case.number}"
    assert (case.customer_id, case.origin, case.summary, case.language) == (customer.id, "hand", "Charged twice", "de")
    opened = db.session.scalars(select(Event).where(Event.kind == "case.opened")).one()
    assert opened.actor == f"staff:{ana.id}"


def test_a_case_for_a_customer_we_do_not_know_is_refused_at_the_field(desk: Client, brand: Brand) -> None:
    data = {
        "customer": "nobody@else.example",
        "brand": brand.key,
        "summary": "Lost",
        "wants": "none",
        "language": "en",
        "touchpoint": "",
    }

    response = desk.post("/desk/cases/new", data=data)

    assert response.status_code == 422
    assert "No customer has this address or number." in response.get_data(as_text=True)
    assert 'value="Lost"' in response.get_data(as_text=True)
    assert db.session.scalar(select(func.count()).select_from(Case)) == 0


def test_bobs_team_cannot_open_a_case_for_another_brand(client: Client, brand: Brand, bob: Staff) -> None:
    client.sign_in(bob)
    data = {"customer": "", "brand": brand.key, "summary": "Lost", "wants": "none", "language": "en", "touchpoint": ""}

    assert client.post("/desk/cases/new", data=data).status_code == 422


THIRD_PARTY = {"because": "third_party"}


def again(case: Case, promise: Promise) -> str:
    return f"/desk/cases/{case.number}/promises/{promise.public_id}/again"


def promised(case: Case, ana: Staff) -> Promise:
    made = promises.make(case, words="New poles", when=later(1), keeper=ana, by=ana, now=clock.now())
    db.session.commit()
    return made


def test_a_promise_is_agreed_anew_and_the_customer_told(desk: Client, case: Case, ana: Staff) -> None:
    made = promised(case, ana)
    assert again(case, made) in show(desk, case)
    page = unescape(desk.get(again(case, made)).text)
    assert "New poles by" in page
    assert 'value="New poles"' in page

    day = later(3)
    typed = {"words": "New poles and pegs", "by": "other", "on": day.day.isoformat(), "at": "10:30", **THIRD_PARTY}
    answer = desk.post(again(case, made), data={**typed, "keeper": ana.public_id, "tell": "y", "form_key": "k" * 22})
    twice = desk.post(again(case, made), data={**typed, "keeper": ana.public_id, "form_key": "k" * 22})

    assert (answer.status_code, twice.status_code) == (302, 302)
    db.session.refresh(made)
    fresh = db.session.get_one(Promise, made.replaced_by_id)
    assert (made.state, fresh.state, fresh.words, fresh.keeper_id) == (
        "renegotiated",
        "open",
        "New poles and pegs",
        ana.id,
    )
    assert fresh.due_local == f"{day.day.isoformat()}T10:30"
    assert db.session.scalar(select(func.count()).select_from(Promise).where(Promise.case_id == case.id)) == 3
    message = db.session.scalars(select(Message)).one()
    assert (message.kind, message.reason) == ("promise_changed", f"promise:{fresh.id}")
    assert message.values["because"] == "third_party"
    assert message.values["was"].startswith("New poles by")
    happened = db.session.scalars(select(Event).where(Event.kind == "promise.renegotiated")).one()
    assert happened.data == {"promise": made.id, "because": "third_party"}
    page = show(desk, case)
    assert "Agreed anew by Ana. We wait for somebody else." in page
    assert "New poles and pegs by" in page


def test_a_contact_stays_a_contact_at_another_time(desk: Client, case: Case, ana: Staff) -> None:
    contact = promises.of(case.id)[0]
    page = desk.get(again(case, contact)).text
    assert 'name="words"' not in page
    offered = re.findall(r'name="by"[^>]*value="(\d[^"]+)"', page)

    desk.post(again(case, contact), data={"by": offered[-1], "keeper": "", "form_key": "c" * 22, **THIRD_PARTY})
    entries.log_call(case, reached=True, minutes=2, body=None, by=ana, now=clock.now())

    old, fresh = promises.of(case.id)
    assert (old.state, fresh.state, fresh.kind) == ("renegotiated", "kept", "contact")


def test_agreeing_anew_keeps_what_was_typed_when_it_is_refused(desk: Client, case: Case, ana: Staff) -> None:
    made = promised(case, ana)
    typed = {
        "words": "Poles & pegs",
        "by": "other",
        "on": "2020-01-01",
        "at": "10:00",
        "keeper": "",
        "form_key": "p" * 22,
        **THIRD_PARTY,
    }

    past = desk.post(again(case, made), data=typed)
    nothing = desk.post(again(case, made), data={"words": "", "keeper": ""})

    assert past.status_code == 422
    assert "That time has passed" in past.text
    assert "Poles &amp; pegs" in past.text
    assert nothing.status_code == 422
    assert "Say what we will do." in nothing.text
    assert "Say why." in nothing.text
    db.session.refresh(made)
    assert made.state == "open"


def test_a_promise_whose_time_has_passed_offers_a_new_one_instead(desk: Client, case: Case, ana: Staff) -> None:
    made = promised(case, ana)
    made.due_at = clock.now() - timedelta(seconds=5)  # the clock process has not come by yet
    db.session.commit()

    asked = desk.get(again(case, made))

    assert asked.status_code == 302
    page = show(desk, case)
    assert "The time of this promise has passed" in page
    assert again(case, made) not in page
    assert "Make a new promise" in page


def test_a_promise_that_ended_is_not_agreed_anew(desk: Client, case: Case, ana: Staff) -> None:
    made = promised(case, ana)
    promises.keep(made, case=case, by=ana, now=clock.now())

    asked = desk.get(again(case, made))
    sent = desk.post(
        again(case, made),
        data={"words": "x", "by": "other", "on": later(3).day.isoformat(), "at": "10:30", "keeper": "", **THIRD_PARTY},
    )

    assert (asked.status_code, sent.status_code) == (302, 302)
    assert "already ended" in show(desk, case)
    assert desk.get(f"/desk/cases/{case.number}/promises/{'x' * 22}/again").status_code == 404
    other = make_case(make_brand())
    assert desk.get(f"/desk/cases/{other.number}/promises/{made.public_id}/again").status_code == 404
