"""The pages that erase a record or merge two: what they say first, who may, and what was typed to go on."""

from __future__ import annotations

import pytest
from flask import Flask
from sqlalchemy import select

from core import clock
from core.db import db
from core.events import Event
from customers import erasure, merging
from customers.models import Customer
from tests.client import Client, count_queries
from tests.factories import (
    make_brand,
    make_case,
    make_customer,
    make_interaction,
    make_staff,
    make_team,
    make_touchpoint,
)


@pytest.fixture
def hanna(app: Flask) -> Customer:
    return make_customer(name="Hanna Keller", external_id="NW-77", email="hanna@shop.example")


@pytest.fixture
def double(app: Flask) -> Customer:
    return make_customer(name="H. Keller", external_id="NW-12", email="Hanna@shop.example")


@pytest.fixture
def lead(client: Client) -> Client:
    client.sign_in(make_staff("lead"))
    return client


def page_of(customer: Customer, *rest: str) -> str:
    return "/".join(["/customers", customer.public_id, *rest])


# Erasing


def test_the_page_says_what_goes_and_what_stays(lead: Client, hanna: Customer) -> None:
    case = make_case(customer=hanna)

    page = lead.get(page_of(hanna, "erase")).text

    for words in ("This goes", "This stays, and names nobody", case.label, "The customer’s number or name"):
        assert words in page
    assert page_of(hanna, "erase") in lead.get(page_of(hanna)).text


def test_the_page_says_that_an_address_is_another_customer_s_too(lead: Client, hanna: Customer) -> None:
    alone = "so that nobody ever writes to it again"
    assert alone in lead.get(page_of(hanna, "erase")).text
    make_customer(email="hanna@shop.example", erased_at=clock.now())
    assert alone in lead.get(page_of(hanna, "erase")).text

    make_customer(email="Hanna@shop.example")

    page = lead.get(page_of(hanna, "erase")).text
    assert "An address that another customer has too" in page and alone not in page


@pytest.mark.parametrize("typed", ["NW-77", "nw-77", "Hanna  Keller", "hanna@shop.example"])
def test_who_types_number_or_name_erases(lead: Client, hanna: Customer, typed: str) -> None:
    answer = lead.post(page_of(hanna, "erase"), data={"typed": typed})

    assert (answer.status_code, answer.location) == (302, page_of(hanna))
    assert (hanna.name, hanna.external_id) == (None, None)
    page = lead.get(page_of(hanna)).text
    assert "Erased customer" in page and "This record was erased on" in page
    assert "Keller" not in page
    assert db.session.scalars(select(Event.kind).where(Event.customer_id == hanna.id)).all() == ["customer.erased"]


@pytest.mark.parametrize("typed", ["", "NW-78", "Hanna", "yes"])
def test_anything_else_erases_nothing_and_is_kept(lead: Client, hanna: Customer, typed: str) -> None:
    answer = lead.post(page_of(hanna, "erase"), data={"typed": typed})

    assert answer.status_code == 422
    assert 'aria-invalid="true"' in answer.text
    assert f'value="{typed}"' in answer.text
    assert hanna.erased_at is None


def test_an_erased_record_offers_nothing_more(lead: Client, hanna: Customer) -> None:
    erasure.erase(hanna, by="system", now=clock.now())

    page = lead.get(page_of(hanna)).text
    for path in ("erase", "merge", "consent"):
        assert page_of(hanna, path) not in page
    assert "/desk/cases/new" not in page
    assert lead.get(page_of(hanna, "erase")).location == page_of(hanna)
    assert lead.post(page_of(hanna, "erase"), data={"typed": "NW-77"}).location == page_of(hanna)
    assert lead.post(page_of(hanna, "consent"), data={"purpose": "survey", "given": "yes"}).status_code == 404


def test_an_agent_neither_erases_nor_merges(client: Client, hanna: Customer, double: Customer) -> None:
    client.sign_in(make_staff("agent"))

    page = client.get(page_of(hanna)).text

    for path in ("erase", "merge"):
        assert page_of(hanna, path) not in page
        assert client.get(page_of(hanna, path)).status_code == 403
    assert client.post(page_of(hanna, "erase"), data={"typed": "NW-77"}).status_code == 403
    assert client.post(page_of(hanna, "merge", double.public_id)).status_code == 403
    assert hanna.erased_at is None and double.merged_into_id is None


def test_who_sees_one_brand_decides_on_no_record_that_another_one_has_too(client: Client, hanna: Customer) -> None:
    ours, theirs = make_brand(), make_brand()
    double = make_customer(name="Hanna Keller")
    for customer in (hanna, double):
        make_interaction(make_touchpoint(ours), customer)
    make_interaction(make_touchpoint(theirs), double)
    client.sign_in(make_staff("lead", team=make_team(ours)))

    assert client.get(page_of(hanna, "erase")).status_code == 200
    assert client.get(page_of(double, "erase")).status_code == 403
    assert client.post(page_of(double, "erase"), data={"typed": "Hanna Keller"}).status_code == 403
    assert client.post(page_of(hanna, "merge", double.public_id)).status_code == 403
    assert double.erased_at is None and double.merged_into_id is None


def test_a_stranger_s_record_is_not_found(client: Client, hanna: Customer) -> None:
    client.sign_in(make_staff("lead", team=make_team(make_brand())))

    for path in ("erase", "merge"):
        assert client.get(page_of(hanna, path)).status_code == 404
        assert client.post(page_of(hanna, path)).status_code in (404, 405)


# Merging


def test_records_that_look_alike_are_offered_first(lead: Client, hanna: Customer, double: Customer) -> None:
    other = make_customer(name="Omar Haddad")

    page = lead.get(page_of(hanna, "merge")).text

    assert page_of(hanna, "merge", double.public_id) in page
    assert other.public_id not in page
    assert page_of(hanna, "merge", hanna.public_id) not in page
    found = lead.get(page_of(hanna, "merge") + "?q=omar").text
    assert page_of(hanna, "merge", other.public_id) in found and double.public_id not in found
    assert "Nobody found" in lead.get(page_of(hanna, "merge") + "?q=nobody").text


def test_both_are_shown_side_by_side_with_what_becomes_of_them(lead: Client, hanna: Customer, double: Customer) -> None:
    double.survey_consent, double.phone = "withdrawn", "+494055504471"
    make_interaction(None, double)

    page = lead.get(page_of(hanna, "merge", double.public_id)).text

    for words in ("This one stays", "H. Keller", "NW-77, found by NW-12 too", "+494055504471", "Refused"):
        assert words in page
    assert page_of(double, "merge", hanna.public_id) in page  # the other way round


def test_merging_leads_to_the_record_that_stays_from_both_addresses(
    lead: Client, hanna: Customer, double: Customer
) -> None:
    answer = lead.post(page_of(hanna, "merge", double.public_id))

    assert answer.location == page_of(hanna)
    assert double.merged_into_id == hanna.id
    assert lead.get(page_of(double)).location == page_of(hanna)
    assert lead.get(page_of(double, "erase")).status_code == 200
    for words in ("NW-12", "H. Kell", "hanna@SHOP.example"):
        assert page_of(hanna) in lead.get(f"/customers?q={words}").text
    assert lead.post(page_of(hanna, "merge", double.public_id)).location == page_of(hanna)  # a second click


def test_what_was_merged_meanwhile_is_shown_anew_and_not_merged(
    lead: Client, hanna: Customer, double: Customer
) -> None:
    third = make_customer(name="Third Keller")
    merging.merge(third, double, by="system", now=clock.now())

    answer = lead.post(page_of(hanna, "merge", double.public_id))

    assert answer.status_code == 409
    assert "was merged meanwhile" in answer.text
    assert double.merged_into_id == third.id


def test_a_record_is_not_compared_with_itself(lead: Client, hanna: Customer) -> None:
    assert lead.get(page_of(hanna, "merge", hanna.public_id)).location == page_of(hanna)
    assert lead.post(page_of(hanna, "merge", hanna.public_id)).status_code == 409


@pytest.mark.parametrize("path", ["merge", "merge?q=Hanna"])
def test_the_search_costs_the_same_for_one_and_three(lead: Client, hanna: Customer, path: str) -> None:
    def cost() -> int:
        with count_queries() as queries:
            assert lead.get(page_of(hanna, path)).status_code == 200
        return len(queries)

    make_customer(name="Hanna Keller")
    cost()
    one = cost()
    for _ in range(2):
        make_customer(name="Hanna Keller")

    assert cost() == one


def test_cases_say_what_became_of_their_customer(lead: Client, hanna: Customer, double: Customer) -> None:
    joined, closed = make_case(customer=double), make_case(customer=hanna)
    lead.post(page_of(hanna, "merge", double.public_id))
    assert "two records became one" in lead.get(f"/desk/cases/{joined.number}").text

    erasure.erase(hanna, by="system", now=clock.now())

    page = lead.get(f"/desk/cases/{closed.number}").text
    assert "record was erased" in page and "Erased customer" in page
    assert "Keller" not in page
