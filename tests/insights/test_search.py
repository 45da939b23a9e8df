from __future__ import annotations

import pytest
from werkzeug.test import TestResponse

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
def lead(client: Client) -> Client:
    client.sign_in(make_staff("lead"))
    return client


def look(client: Client, words: str, **more: str) -> TestResponse:
    return client.get("/search", query_string={"q": words, **more})


def found(client: Client, words: str) -> str:
    answer = look(client, words)
    assert answer.status_code == 200
    return answer.get_data(as_text=True)


def test_a_case_number_leads_to_the_case(lead: Client) -> None:
    case = make_case()

    for words in (str(case.number), f"AM-{case.number}", f" am-{case.number} "):
        assert look(lead, words).headers["Location"] == f"/desk/cases/{case.number}"


def test_a_case_of_another_brand_stays_hidden_behind_its_number(client: Client) -> None:
    case = make_case()
    client.sign_in(make_staff("agent", team=make_team(make_brand())))

    assert "Nothing found" in found(client, f"AM-{case.number}")


def test_a_marketer_who_may_not_see_the_desk_is_led_to_no_case(client: Client) -> None:
    case = make_case()
    client.sign_in(make_staff("marketer"))

    assert "Nothing found" in found(client, f"AM-{case.number}")


@pytest.mark.parametrize("words", ["hanna", "Hanna K", "HANNA@posteo.example", "+49 170 5550123", "NW-C77"])
def test_a_customer_is_found_by_name_address_number_and_id(lead: Client, words: str) -> None:
    make_customer(name="Hanna Keller", email="hanna@posteo.example", phone="+491705550123", external_id="NW-C77")
    make_customer(name="Johanna Stein")

    html = found(lead, words)

    assert "Hanna Keller" in html
    assert "Johanna" not in html


def test_wildcards_are_letters_like_others(lead: Client) -> None:
    make_customer(name="Hanna Keller")

    assert "Keller" not in found(lead, "%a")
    assert "Keller" not in found(lead, "H_nna")


def test_an_interaction_is_found_by_its_reference_within_the_brand(client: Client) -> None:
    touchpoint = make_touchpoint()
    make_interaction(touchpoint, make_customer(name="Hanna Keller"), reference="NW-48213")
    client.sign_in(make_staff("agent", team=make_team(touchpoint.brand)))
    assert "Hanna Keller" in found(client, "NW-48213")

    client.sign_in(make_staff("agent", team=make_team(make_brand())))
    assert "Nothing found" in found(client, "NW-48213")


def test_more_customers_follow_by_name_and_none_comes_twice(lead: Client) -> None:
    made = [make_customer(name=f"Hanna {letter}{number:02}") for letter in "BA" for number in range(20)]

    first = look(lead, "hanna").get_data(as_text=True)
    address = first.split('rel="next"')[0].rsplit('href="', 1)[1].split('"')[0].replace("&amp;", "&")
    second = lead.get(address).get_data(as_text=True)

    names = sorted(str(customer.name) for customer in made)
    assert [name for name in names if name in first] == names[:30]
    assert [name for name in names if name in second] == names[30:]


@pytest.mark.parametrize("after", ["", "x", "~", "99999999999999999999~a", "-1~a", "1~\0"])
def test_a_broken_place_shows_the_first_page(lead: Client, after: str) -> None:
    make_customer(name="Hanna Keller")

    assert "Hanna Keller" in look(lead, "hanna", after=after).get_data(as_text=True) or after == "1~\0"


@pytest.mark.parametrize(
    "words", ["", "  ", "\0", "ß" * 5000, "'; DROP TABLE customer; --", "<script>alert(1)</script>"]
)
def test_any_words_show_a_page(lead: Client, words: str) -> None:
    html = found(lead, words)

    assert "<script>alert" not in html


def test_erased_and_merged_customers_are_not_found(lead: Client) -> None:
    kept = make_customer(name="Hanna Keller")
    make_customer(name="Hanna Merged", merged_into_id=kept.id)
    make_customer(name="Hanna Erased", erased_at=kept.created_at)

    html = found(lead, "hanna")

    assert "Hanna Keller" in html
    assert "Merged" not in html
    assert "Erased" not in html


def test_who_may_not_see_customers_finds_none(client: Client) -> None:
    client.sign_in(make_staff("analyst"))

    assert look(client, "hanna").status_code == 403


def test_a_search_costs_the_same_at_one_and_at_three_customers(lead: Client) -> None:
    def costs(made: list[Customer]) -> int:
        for customer in made:
            make_case(customer=customer)
        found(lead, "hanna")
        with count_queries() as queries:
            found(lead, "hanna")
        return queries.count

    assert costs([make_customer()]) == costs([make_customer(), make_customer()]) <= 8
