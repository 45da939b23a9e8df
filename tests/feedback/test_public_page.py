"""The customer's page of their case."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape

import pytest
from sqlalchemy import func, select

from accounts.models import Staff
from core import clock, tokens
from core.db import db
from customers.models import Brand
from feedback import assignments, entries, files, outcome, promises
from feedback.models import Case, CaseEntry
from feedback.promises import Appointment
from feedback.views.public import PER_MINUTE
from tests.client import Client, count_queries
from tests.factories import make_brand, make_case, make_customer, make_touchpoint
from tests.feedback.conftest import HOUR


@pytest.fixture
def case(brand: Brand) -> Case:
    place = make_touchpoint(brand)
    return make_case(brand, customer=make_customer(name="Hanna Keller"), touchpoint_id=place.id)


def path(case: Case, more: str = "") -> str:
    return f"/c/{tokens.sign('case', case.public_id)}{more}"


def show(client: Client, case: Case, more: str = "") -> str:
    response = client.get(path(case, more))
    assert response.status_code == 200
    assert "Set-Cookie" not in response.headers
    return unescape(response.get_data(as_text=True))


def promise_for(case: Case, staff: Staff, words: str, hours: int) -> promises.Promise:
    due = (clock.now() + hours * HOUR).replace(second=0, microsecond=0)
    when = Appointment(due.date(), due.time(), "UTC")
    return promises.make(case, words=words, when=when, keeper=staff, by=staff, now=clock.now())


def test_the_page_says_what_is_promised_and_by_when(client: Client, case: Case) -> None:
    page = show(client, case)

    for words in (
        f"Your case \u2068{case.label}\u2069",
        "What went wrong with your call",
        "Our promise to you",
        "Is it fixed?",
    ):
        assert words in page, words
    assert re.search(r"A person from our team calls you by [^<]*\d\d:\d\d", page)
    assert "The tent came four days late." in page


def test_what_the_customer_told_us_stands_first_in_time(client: Client, case: Case) -> None:
    page = show(client, case)

    assert page.index("Promised ") < page.index("You told us what went wrong")  # newest first


def test_promises_are_shown_kept_open_and_broken(client: Client, case: Case, ana: Staff) -> None:
    kept, broken, still = (promise_for(case, ana, words, 5) for words in ("Refund you", "Send the poles", "Ring again"))
    promises.keep(kept, case=case, by=ana, now=clock.now())
    broken.state, broken.ended_at = "broken", clock.now()
    db.session.flush()

    page = show(client, case)

    assert re.search(r"Refund you by [^<]*</strong> <span class=\"kept\">Kept today at", page)
    assert re.search(r"Send the poles by [^<]*</strong> <span class=\"broken\">Not kept<", page)
    assert re.search(r"Ring again by [^<]*</strong> <span class=\"open\">Open<", page)
    assert "We didn’t do it in time. That was our mistake." in page
    assert still.state == "open"


def test_notes_and_what_was_said_on_the_phone_stay_inside(client: Client, case: Case, ana: Staff) -> None:
    entries.note(case, body="Tired of us", by=ana, now=clock.now())
    entries.log_call(case, reached=True, minutes=7, body="Wants a refund at most", by=ana, now=clock.now())
    entries.reply(case, body="We refund you today.", last_seen=case.last_entry_id, by=ana, now=clock.now())

    page = show(client, case)

    assert "Tired of us" not in page
    assert "Wants a refund at most" not in page
    assert "Ana rang and spoke with you" in page
    assert "We refund you today." in page


def test_a_reply_reaches_the_desk_once(client: Client, case: Case) -> None:
    key = re.search(r'name="form_key"[^>]*value="([^"]+)"', show(client, case))[1]  # type: ignore[index]
    data = {"reply": "Thursday suits me", "form_key": key}

    for _ in range(2):
        response = client.post(path(case, "/reply"), data=data)

    assert (response.status_code, response.headers["Location"]) == (303, path(case, "?said=reply"))
    entry = db.session.scalars(select(CaseEntry)).one()
    assert (entry.kind, entry.body) == ("customer", "Thursday suits me")
    assert "Thank you. We have what you wrote, and answer it." in show(client, case, "?said=reply")


def test_an_empty_reply_says_so_and_a_long_one_is_kept(client: Client, case: Case) -> None:
    empty = client.post(path(case, "/reply"), data={"reply": " \0 "})
    long = client.post(path(case, "/reply"), data={"reply": "x" * 10_001})

    assert (empty.status_code, long.status_code) == (422, 422)
    assert "Write what you want to tell us." in unescape(empty.get_data(as_text=True))
    assert "x" * 10_001 in long.get_data(as_text=True)
    assert db.session.scalar(select(func.count()).select_from(CaseEntry)) == 0


@pytest.mark.usefixtures("fresh_minute")
def test_who_writes_again_and_again_is_asked_to_wait_with_their_words_kept(client: Client, case: Case) -> None:
    other = make_case(case.brand)
    for number in range(PER_MINUTE):
        assert client.post(path(case, "/reply"), data={"reply": "x", "form_key": f"{number:022}"}).status_code == 303

    response = client.post(path(case, "/reply"), data={"reply": "One more", "form_key": "z" * 22})

    page = unescape(response.get_data(as_text=True))
    assert response.status_code == 429
    assert "Please wait a minute" in page and "One more</textarea>" in page
    assert client.post(path(case, "/not-fixed")).status_code == 429
    assert db.session.scalar(select(func.count()).select_from(CaseEntry)) == PER_MINUTE
    assert client.post(path(other, "/reply"), data={"reply": "Another case", "form_key": "y" * 22}).status_code == 303


def test_not_fixed_is_heard(client: Client, case: Case) -> None:
    response = client.post(path(case, "/not-fixed"))

    assert response.headers["Location"] == path(case, "?said=not-fixed")
    assert "We go on, and the team knows at once." in show(client, case, "?said=not-fixed")
    assert case.state == "open"


def test_what_the_customer_told_by_a_button_stands_among_what_happened(client: Client, case: Case) -> None:
    outcome.mark_not_fixed(case, clock.now())
    assert "You told us that it isn’t fixed" in show(client, case)

    outcome.mark_fixed(case, clock.now())

    page = show(client, case)
    assert '<p class="due" id="next">You told us that it is fixed</p>' in page
    assert "No longer needed" in page


def test_what_followed_stands_above_what_it_followed(client: Client, case: Case) -> None:
    page = show(client, case)

    told = page[page.index('<ol class="line">') :]
    assert told.index("A person from our team calls you") < told.index("You told us what went wrong")


def test_files_that_came_with_the_words_are_acknowledged(client: Client, case: Case) -> None:
    files.attach(case.id, [files.Upload(b"x", "tent.png", "image/png")], now=clock.now())

    assert "with 1 file" in show(client, case)


def test_the_page_asks_whether_it_is_fixed_through_a_form(client: Client, case: Case) -> None:
    assert f'action="{path(case, "/fixed")}" method="post"' in show(client, case)


@pytest.mark.parametrize(
    ("language", "direction", "words"),
    [("de", "ltr", "Ist es in Ordnung gebracht?"), ("ar", "rtl", "هل أُصلح الأمر؟"), ("en", "ltr", "Is it fixed?")],
)
def test_the_page_speaks_the_cases_language(
    client: Client, brand: Brand, language: str, direction: str, words: str
) -> None:
    case = make_case(brand, language=language)

    page = show(client, case)

    assert words in page
    assert f'<html lang="{language}" dir="{direction}">' in page
    assert "Is it fixed?" in show(client, case, "?lang=en")


def test_the_page_costs_the_same_for_one_and_for_three_of_everything(client: Client, case: Case, ana: Staff) -> None:
    def add() -> None:
        promise_for(case, ana, "A thing", 5)
        entries.reply(case, body="Written", last_seen=case.last_entry_id, by=ana, now=clock.now())

    assignments.claim(case, ana, clock.now())
    address = path(case)
    add()
    client.get(address)
    with count_queries() as one:
        client.get(address)
    add()
    add()
    db.session.commit()
    with count_queries() as three:
        client.get(address)

    assert one.count == three.count
    assert one.count == 7, one


@pytest.mark.parametrize("token", ["x", "1" + "a" * 44, "é", "%00"])
def test_an_unknown_link_offers_a_person(client: Client, token: str) -> None:
    response = client.get(f"/c/{token}")

    assert response.status_code == 404
    assert "talk to a person" in response.get_data(as_text=True)


def test_a_link_made_for_something_else_opens_no_case(client: Client, case: Case) -> None:
    assert client.get(f"/c/{tokens.sign('survey', case.public_id)}").status_code == 404


@pytest.mark.parametrize("ended", ["revoked", "expired"])
def test_a_link_that_has_ended_says_so_and_offers_a_person(
    client: Client, brand: Brand, case: Case, ended: str
) -> None:
    brand.phone = "0800 555 0142"
    if ended == "revoked":
        case.link_revoked_at = clock.now()
    else:
        case.state, case.closed_at = "closed", clock.now() - timedelta(days=91)
    db.session.commit()

    shown, replied = client.get(path(case)), client.post(path(case, "/reply"), data={"reply": "Hello"})

    assert (shown.status_code, replied.status_code) == (410, 410)
    assert "0800 555 0142" in shown.get_data(as_text=True)
    assert "The tent came four days late." not in shown.get_data(as_text=True)
    assert db.session.scalar(select(func.count()).select_from(CaseEntry)) == 0


def test_a_closed_case_can_still_be_written_to_and_opens_again(client: Client, case: Case) -> None:
    case.state, case.closed_at, case.resolved_at = "closed", clock.now(), clock.now()

    page = show(client, case)
    client.post(path(case, "/reply"), data={"reply": "It broke again"})

    assert "Is it fixed?" not in page
    assert case.state == "recovery"


@pytest.mark.parametrize("address", ["/c/abc", "/u/abc", "/u/abc/unsubscribe"])
def test_a_link_that_was_cut_off_still_offers_the_only_brands_person(client: Client, address: str) -> None:
    make_brand(name="Northwind Outdoor", phone="0800 555 0142")
    db.session.commit()

    answer = client.get(address)

    assert answer.status_code == 404
    assert "Northwind Outdoor" in answer.text
    assert "tel:08005550142" in answer.text
