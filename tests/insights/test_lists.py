"""The customers' list and the desk's list as files."""

from __future__ import annotations

import csv
import io

import pytest
from python_calamine import CalamineWorkbook

from core import clock
from tests.client import Client
from tests.factories import make_brand, make_case, make_customer, make_staff, make_team, make_touchpoint

FORMULA = "=cmd|' /C calc'!A0"


def table(client: Client, address: str) -> list[dict[str, str]]:
    answer = client.get(address)
    assert answer.status_code == 200
    return list(csv.DictReader(io.StringIO(answer.get_data(as_text=True).removeprefix("\ufeff"))))


def test_customers_are_given_as_the_search_finds_them_and_no_cell_is_a_formula(client: Client) -> None:
    make_customer(name=FORMULA, email="first@customer.example", value_minor=129900, value_currency="EUR", tier="vip")
    make_customer(name="Second", email="second@customer.example")
    make_customer(name="Gone", erased_at=clock.now())
    client.sign_in(make_staff("marketer"))

    rows = table(client, "/customers.csv")
    found = table(client, "/customers.csv?q=second@customer.example")

    assert [row["name"] for row in rows] == ["Second", f"'{FORMULA}"]
    assert (rows[1]["value"], rows[1]["currency"], rows[1]["tier"]) == ("1299.0", "EUR", "vip")
    assert [row["name"] for row in found] == ["Second"]
    book = CalamineWorkbook.from_filelike(io.BytesIO(client.get("/customers.xlsx").data))
    assert book.get_sheet_by_index(0).to_python()[2][1] == FORMULA


def test_the_desk_is_given_as_it_is_filtered(client: Client) -> None:
    brand = make_brand()
    place, other = make_touchpoint(brand, name="Delivery"), make_touchpoint(brand)
    case = make_case(touchpoint_id=place.id, brand=brand, words="@SUM(1+1)")
    make_case(touchpoint_id=other.id, brand=brand)
    client.sign_in(make_staff("lead"))

    assert len(table(client, "/desk.csv")) == 2
    rows = table(client, f"/desk.csv?touchpoint={place.key}")

    assert [(row["case"], row["touchpoint"], row["words"]) for row in rows] == [(case.label, "Delivery", "'@SUM(1+1)")]


def test_a_team_of_another_brand_gets_none_of_it(client: Client) -> None:
    make_case()
    client.sign_in(make_staff("lead", team=make_team(make_brand())))

    assert (table(client, "/desk.csv"), table(client, "/customers.csv")) == ([], [])


@pytest.mark.parametrize(("role", "address"), [("analyst", "/customers.csv"), ("agent", "/desk.csv")])
def test_who_may_not_export_does_not(role: str, address: str, client: Client) -> None:
    client.sign_in(make_staff(role))

    assert client.get(address).status_code == 403
