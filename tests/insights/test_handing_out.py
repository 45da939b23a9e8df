"""All that is kept about a customer, in one file: every table, nothing of anybody else, and a note of who took it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import inspect, select

from core import clock
from core.db import db
from core.events import Event
from customers.models import Customer
from feedback import letters
from insights import handing_out
from tests.client import Client
from tests.customers import full_life
from tests.customers.full_life import MARK, PHONE, Life
from tests.customers.test_erasure import MARKED
from tests.factories import make_brand, make_case, make_customer, make_staff, make_team

ELSEWHERE = {
    "idempotency_key.answer",  # what a program was answered, for a day
    "import_refusal.reason",  # rows of a file that were not taken, and so are nobody's
    "import_upload.told",
    "mailbox_message.html",  # of the demo alone
    "mailbox_message.text",
    "mailbox_message.to_address",
    "complaint.typed_email",  # a stranger's until confirmed
    "complaint.typed_name",
    "complaint.typed_phone",
    "file.content",  # in base64
    "response.import_key",  # made by us, of cells that stand in the row itself
}


def take(client: Client, customer: Customer) -> dict[str, Any]:
    answer = client.post(f"/customers/{customer.public_id}/data")
    assert answer.status_code == 200
    assert answer.headers["Content-Disposition"].startswith("attachment")
    found: dict[str, Any] = json.loads(answer.text)
    return found


def test_every_column_that_tells_who_it_is_is_handed_out(client: Client) -> None:
    life: Life = full_life.lead(client)
    client.sign_in(life.lead)

    told = take(client, life.customer)

    found = {
        f"{table}.{column}"
        for table, rows in told.items()
        if isinstance(rows, list)
        for row in rows
        for column, value in row.items()
        if any(mark in json.dumps(value, ensure_ascii=False).lower() for mark in (MARK, PHONE))
    }
    assert found >= MARKED - ELSEWHERE, MARKED - ELSEWHERE - found
    assert told["file"][0]["content"]
    assert {row["external_id"] for row in told["customer"]} == {f"{MARK}-77", f"{MARK}-old"}


def test_every_table_that_leads_to_a_customer_is_in_the_file(app: Flask) -> None:
    led = {"customer", "event", "suppression", "file"}
    while (
        more := {
            table.name
            for table in db.metadata.sorted_tables
            for key in table.foreign_keys
            if key.column.table.name in led - {"file"}
        }
        - led
    ):
        led |= more

    assert {inspect(model).local_table.name for model in handing_out.PARTS} == led


def test_nothing_of_another_customer_is_in_the_file_and_no_link_to_act_by(client: Client) -> None:
    life: Life = full_life.lead(client)
    other = make_case(life.brand, customer=make_customer(name="Tom Fell", email="tom@fell.example"), words="Not hers")
    db.session.commit()
    client.sign_in(life.lead)

    told = json.dumps(take(client, life.customer), ensure_ascii=False)

    assert "Not hers" not in told
    assert "tom@fell.example" not in told
    assert other.public_id not in told
    assert "/c/1" not in told
    assert "/s/1" not in told


def test_who_shares_an_address_is_not_handed_out_with_it(client: Client) -> None:
    brand = make_brand()
    hanna, tom = (make_customer(name=name, email="keller@posteo.example") for name in ("Hanna", "Tom"))
    case = make_case(brand, customer=tom)
    letters.post_opened([case], now=clock.now())
    db.session.commit()
    client.sign_in(make_staff("lead"))

    assert take(client, hanna)["message"] == []
    assert len(take(client, tom)["message"]) == 1


def test_who_took_it_and_when_is_noted(client: Client) -> None:
    hanna, lead = make_customer(), make_staff("lead", name="Alice Lind")
    db.session.commit()
    client.sign_in(lead)

    take(client, hanna)

    event = db.session.scalars(select(Event).where(Event.kind == "customer.handed_out")).one()
    assert (event.customer_id, event.actor) == (hanna.id, f"staff:{lead.id}")
    page = client.get(f"/customers/{hanna.public_id}?show=consent").text
    assert "All data was exported" in page


@pytest.mark.parametrize("role", ["agent", "marketer", "analyst"])
def test_others_can_neither_take_it_nor_see_the_button(client: Client, role: str) -> None:
    hanna = make_customer()
    db.session.commit()
    client.sign_in(make_staff(role))

    assert client.post(f"/customers/{hanna.public_id}/data").status_code == 403
    assert "Export all data" not in client.get(f"/customers/{hanna.public_id}").text


def test_who_sees_one_brand_takes_nothing_of_a_record_with_another(client: Client) -> None:
    hanna, mine = make_customer(), make_brand()
    make_case(mine, customer=hanna)
    make_case(make_brand(), customer=hanna)
    db.session.commit()
    client.sign_in(make_staff("lead", team=make_team(mine)))

    assert client.post(f"/customers/{hanna.public_id}/data").status_code == 403


def test_a_customer_of_whom_nothing_is_known_has_a_file_all_the_same(client: Client) -> None:
    hanna = make_customer(email=None)
    db.session.commit()
    client.sign_in(make_staff("lead"))

    told = take(client, hanna)

    assert told["case"] == []
    assert told["handed_out_at"] <= clock.now().isoformat()
