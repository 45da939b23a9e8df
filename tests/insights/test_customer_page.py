"""A customer's page: what serving them costs, all that happened, why they are (not) asked, and how they are found."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask

from core import clock, events
from core.db import db, new_public_id
from customers import consent
from customers.models import Brand, Customer
from feedback import complaints, entries, promises, seen
from feedback.complaints import ComplaintData
from feedback.models import Case
from feedback.promises import Appointment
from incentives.models import Reward, RewardState, Trigger
from insights import record, serving, timeline
from insights.serving import Cost
from notifications import suppression
from surveys import invitations, versions
from surveys.models import Response
from surveys.rules import Reason
from tests.client import Client, count_queries
from tests.factories import (
    make_brand,
    make_case,
    make_customer,
    make_interaction,
    make_invitation,
    make_programme,
    make_rule,
    make_staff,
    make_survey,
    make_team,
    make_touchpoint,
)


@pytest.fixture
def hanna(app: Flask) -> Customer:
    return make_customer(name="Hanna Keller", email="hanna@shop.example")


@pytest.fixture
def lead(client: Client) -> Client:
    client.sign_in(make_staff("lead", name="Alice Lind"))
    return client


def test_who_only_answered_another_brand_is_not_this_brands_to_see_or_to_open_a_case_for(app: Flask) -> None:
    """An imported answer has neither interaction nor case: it is a meeting all the same."""
    own, other = make_brand(), make_brand()
    bob = make_staff("lead", team=make_team(brand=own))
    known, shared = make_customer(external_id="NW-1"), make_customer(external_id="NW-2")
    make_case(own, customer=shared)
    survey = make_survey(other)
    for customer in (known, shared):
        row = {"survey_id": survey.id, "version_id": versions.current(survey.id).id, "brand_id": other.id}
        row |= {"customer_id": customer.id, "channel": "email", "language": "en", "state": "complete", "answers": {}}
        db.session.add(Response(**row, scores={}, why=[], answered_at=clock.now(), received_at=clock.now()))
    db.session.commit()

    assert seen.named("NW-1", staff=bob) is None
    assert known not in db.session.scalars(record.visible(bob)).all()
    assert seen.named("NW-2", staff=bob) is shared
    assert not record.is_all_seen(shared, bob)


def look(client: Client, customer: Customer, **more: Any) -> str:
    answer = client.get(f"/customers/{customer.public_id}", query_string=more)
    assert answer.status_code == 200
    return " ".join(answer.text.split())


def give(customer: Customer, amount: int, currency: str = "EUR", **more: Any) -> Reward:
    programme = make_programme(make_brand(currency=currency))
    values: dict[str, Any] = {"reason": new_public_id(), "state": RewardState.ISSUED, "by": "rule"}
    values |= {"amount_minor": amount, "currency": currency, "created_at": clock.now(), "issued_at": clock.now()}
    reward = Reward(programme=programme, customer=customer, **values | more)
    db.session.add(reward)
    db.session.flush()
    return reward


def speak(customer: Customer, brand: Brand, *, calls: int = 1, notes: int = 0) -> Case:
    case, staff = make_case(brand, customer=customer), make_staff()
    for _ in range(calls):
        entries.log_call(case, reached=True, minutes=3, body="Rang.", by=staff, now=clock.now())
    for _ in range(notes):
        entries.note(case, body="To us.", by=staff, now=clock.now())
    return case


# Cost to serve


def test_the_cost_is_what_was_given_and_what_contacts_cost(lead: Client, hanna: Customer) -> None:
    speak(hanna, make_brand(contact_cost_minor=450), calls=3, notes=2)
    give(hanna, 5000)
    give(hanna, 700, state=RewardState.RELEASED)

    assert serving.cost_to_serve(hanna).costs == (Cost("EUR", 5000, 3, 1350),)
    page = look(lead, hanna)
    assert "Cost to serve</dt><dd>€63.50" in page.replace("</dt> <dd>", "</dt><dd>")
    assert "€50 in rewards and goodwill, 3 contacts for €13.50" in page


def test_currencies_are_never_summed(lead: Client, hanna: Customer) -> None:
    speak(hanna, make_brand(contact_cost_minor=450), calls=2)
    speak(hanna, make_brand(contact_cost_minor=600, currency="CHF"))
    give(hanna, 1000, "SEK")

    found = serving.cost_to_serve(hanna)

    assert found.costs == (Cost("EUR", 0, 2, 900), Cost("CHF", 0, 1, 600), Cost("SEK", 1000))
    assert look(lead, hanna).count("Cost to serve") == 3


def test_brands_of_one_currency_may_ask_different_prices(hanna: Customer, app: Flask) -> None:
    speak(hanna, make_brand(contact_cost_minor=450))
    speak(hanna, make_brand(contact_cost_minor=50))

    assert serving.cost_to_serve(hanna).costs == (Cost("EUR", 0, 2, 500),)


def test_contacts_that_nobody_gave_a_price_are_said(lead: Client, hanna: Customer) -> None:
    speak(hanna, make_brand(contact_cost_minor=None))

    assert (serving.cost_to_serve(hanna).costs, serving.cost_to_serve(hanna).unpriced) == ((), 1)
    assert "1 contact without a price" in look(lead, hanna)


def test_who_cost_nothing_is_said_too(lead: Client, hanna: Customer) -> None:
    assert "no contacts, nothing given" in look(lead, hanna)


# All that happened


def live(customer: Customer, brand: Brand) -> None:
    """One of everything."""
    now, staff = clock.now(), make_staff(name="Sofia Lind")
    rule = make_rule()
    decided = [make_interaction(rule.touchpoint, customer) for _ in range(2)]
    invitations.decide(decided, now=now)
    make_invitation(rule.survey, customer, rule.touchpoint)
    case = speak(customer, brand)
    when = Appointment((now + timedelta(days=2)).date(), now.time().replace(microsecond=0), "UTC")
    promises.make(case, words="New poles", when=when, keeper=staff, by=staff, now=now)
    give(customer, 500)
    told = ComplaintData(words="Cracked.", form_key=new_public_id(), language="en", customer=customer, via="email")
    complaints.file(told, brand=brand, by="customer", now=now)
    consent.withdraw(customer, "marketing", by=events.staff_actor(staff.id), now=now)
    consent.give(customer, "marketing", by="customer", now=now)


def test_the_timeline_tells_everything(lead: Client, hanna: Customer) -> None:
    live(hanna, make_brand())

    lines, _more = timeline.lines(hanna)
    kinds = {line.kind for line in lines}
    assert kinds == {kind.name for kind in timeline._KINDS} - {"answer"}  # nobody answered yet
    page = look(lead, hanna)
    for words in (
        "Was asked",
        "Not asked: was asked lately, next from",
        "Sofia",
        "New poles",
        "Complaint acknowledged",
        "No marketing",
        "by Sofia Lind",
        "by the customer",
    ):
        assert words in page


def test_what_happened_in_one_moment_is_on_one_page_or_the_next(hanna: Customer) -> None:
    """A case is opened, and its contact promised, in the same moment; an import has many of one midnight."""
    at, brand = clock.now(), make_brand()
    for _ in range(30):
        make_case(brand, customer=hanna, now=at)
    shown: list[tuple[str, int]] = []
    place, pages = None, 0

    while pages == 0 or place is not None:
        found, place = timeline.lines(hanna, before=timeline.Place.read(str(place)) if place else None)
        shown += [(line.kind, line.key) for line in found]
        pages += 1

    assert (len(shown), len(set(shown)), pages) == (60, 60, 2)


def test_a_team_of_one_brand_sees_what_happened_with_that_brand(client: Client, hanna: Customer) -> None:
    own, other = make_brand(), make_brand()
    mine, theirs = make_case(own, customer=hanna), make_case(other, customer=hanna)
    make_interaction(make_touchpoint(other), hanna, reference="R-OTHER")
    speak(hanna, other, calls=2)
    client.sign_in(make_staff("lead", team=make_team(brand=own)))

    page = look(client, hanna)

    assert mine.label in page
    assert theirs.label not in page
    assert "R-OTHER" not in page
    assert record.totals(hanna, brand_id=own.id).cases == 1
    assert serving.cost_to_serve(hanna, brand_id=own.id).contacts == 0


def test_what_staff_were_told_of_surveys_holds_for_the_address_too(lead: Client, hanna: Customer) -> None:
    assert hanna.email
    at = f"/customers/{hanna.public_id}/consent"

    lead.post(at, data={"purpose": "survey", "given": "no"})
    refused = (hanna.survey_consent, suppression.is_suppressed(hanna.email, "survey"))
    lead.post(at, data={"purpose": "survey", "given": "yes"})

    assert refused == ("withdrawn", True)
    assert (hanna.survey_consent, suppression.is_suppressed(hanna.email, "survey")) == ("given", False)


def test_a_place_that_no_row_has_shows_the_first_page(lead: Client, hanna: Customer) -> None:
    for after in ("9999999999999999999999", "-1", "x", "0", "9" * 5000):
        assert (hanna.name or "") in lead.get(f"/customers?after={after}").text


def test_each_tab_shows_its_own(lead: Client, hanna: Customer) -> None:
    live(hanna, make_brand())

    for shown, there, missing in (
        ("messages", "Complaint acknowledged", "New poles"),
        ("consent", "No marketing", "New poles"),
        ("cases", "New poles", "No marketing"),
        ("answers", "Was asked", "New poles"),
    ):
        page = look(lead, hanna, show=shown)
        assert there in page
        assert missing not in page


def test_the_page_costs_the_same_for_one_and_three(lead: Client, hanna: Customer) -> None:
    brand = make_brand(contact_cost_minor=450)

    path = f"/customers/{hanna.public_id}"

    def cost() -> int:
        with count_queries() as queries:
            assert lead.get(path).status_code == 200
        return len(queries)

    live(hanna, brand)
    cost()
    one = cost()
    for _ in range(2):
        live(hanna, brand)

    assert cost() == one


# Why (not) asked, and when again


@pytest.mark.parametrize(
    ("arrange", "rule", "words"),
    [
        (lambda hanna: None, Reason.INVITED, "May be asked, from now on."),
        (lambda hanna: setattr(hanna, "email", None), Reason.NO_ADDRESS, "there is no address"),
        (lambda hanna: setattr(hanna, "survey_consent", "withdrawn"), Reason.CONSENT, "Does not want any."),
        (
            lambda hanna: suppression.suppress(hanna.email, "survey", "unsubscribe", clock.now()),
            Reason.SUPPRESSED,
            "The address must not be written to.",
        ),
        (lambda hanna: make_case(customer=hanna), Reason.OPEN_CASE, "Not while a case is open."),
        (lambda hanna: make_invitation(None, hanna), Reason.QUARANTINE, "Rests until"),
    ],
)
def test_the_page_says_why_a_customer_is_not_asked(
    lead: Client, hanna: Customer, arrange: Any, rule: Reason, words: str
) -> None:
    make_rule()
    arrange(hanna)
    db.session.flush()

    assert record.asking(hanna, now=clock.now()).rule == rule
    assert words in look(lead, hanna)


def test_an_open_complaint_goes_before_an_open_case(hanna: Customer) -> None:
    make_case(customer=hanna)
    told = ComplaintData(words="Cracked.", form_key=new_public_id(), language="en", customer=hanna)
    complaints.file(told, brand=make_brand(), by="customer", now=clock.now())

    assert record.asking(hanna, now=clock.now()).rule == Reason.OPEN_COMPLAINT


def test_where_every_rule_needs_a_yes_nobody_is_asked_without(hanna: Customer) -> None:
    make_rule(needs_consent=True)
    assert record.asking(hanna, now=clock.now()).rule == Reason.CONSENT

    make_rule()
    assert record.asking(hanna, now=clock.now()).rule == Reason.INVITED


def test_the_next_day_is_that_of_the_longest_rest(hanna: Customer) -> None:
    make_rule(quarantine_days=10)
    make_rule(quarantine_days=40)
    sent = clock.now() - timedelta(days=20)
    make_invitation(None, hanna, sent_at=sent)

    found = record.asking(hanna, now=clock.now())

    assert (found.until, found.days, found.last_asked) == (sent + timedelta(days=40), 40, sent)
    assert record.asking(hanna, now=clock.now() + timedelta(days=21)).rule == Reason.INVITED


# Finding


@pytest.mark.parametrize("place", ["/customers", "/search"])
@pytest.mark.parametrize("words", ["Hanna K", "hanna@shop.example", "NW-48213", "+494055504471", "NW-C77"])
def test_a_customer_is_found_by_name_address_number_and_reference(
    lead: Client, hanna: Customer, place: str, words: str
) -> None:
    hanna.phone, hanna.external_id = "+494055504471", "NW-C77"
    make_interaction(None, hanna, reference="NW-48213")
    other = make_customer(name="Omar Haddad", phone="+4940555")

    page = lead.get(place, query_string={"q": words}).text

    assert hanna.public_id in page
    assert other.public_id not in page


# Before somebody contacts them


def test_the_page_says_how_a_customer_likes_to_be_reached(lead: Client, hanna: Customer) -> None:
    told = ComplaintData(
        form_key=new_public_id(), customer=hanna, words="Cracked", via="phone", contact_time="morning", language="en"
    )
    assert "<dt>Prefers</dt>" not in look(lead, hanna)
    make_case(customer=hanna, wants="email")
    assert "<dt>Prefers</dt><dd>E-mail</dd>" in look(lead, hanna)

    complaints.file(told, brand=make_brand(), by="customer", now=clock.now())

    assert "<dt>Prefers</dt><dd>A call, in the morning</dd>" in look(lead, hanna)


def test_the_page_says_how_much_goodwill_is_left_this_year(lead: Client, hanna: Customer) -> None:
    programme = make_programme(trigger=Trigger.GOODWILL, customer_limit_minor=10_000, cap_days=365)
    assert "€100 of €100 left this year" in look(lead, hanna)
    for amount, state in ((2500, RewardState.ISSUED), (1000, RewardState.WAITING), (4000, RewardState.RELEASED)):
        db.session.add(
            Reward(
                programme=programme, customer=hanna, reason=new_public_id(), state=state, by="rule",
                amount_minor=amount, currency="EUR", created_at=clock.now(),
                issued_at=clock.now(),
            )
        )  # fmt: skip
    db.session.commit()

    assert "€65 of €100 left this year" in look(lead, hanna)
