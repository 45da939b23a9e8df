"""DELETE /api/v1/customers/<external_id>: who may, who is meant, and a call that comes twice."""

from __future__ import annotations

import pytest
from flask import Flask
from sqlalchemy import select

from core import clock
from core.db import db
from core.events import Event
from customers import merging
from customers.models import Customer
from tests.client import Client
from tests.factories import make_api_key, make_customer


@pytest.fixture
def key(app: Flask) -> dict[str, str]:
    _key, secret = make_api_key("customers:erase")
    return {"Authorization": f"Bearer {secret}"}


def test_a_customer_is_erased_by_the_shop_s_number(client: Client, key: dict[str, str]) -> None:
    hanna, other = make_customer(external_id="NW-77"), make_customer()

    answer = client.delete("/api/v1/customers/NW-77", headers=key)

    assert answer.status_code == 200
    assert answer.json == {"id": hanna.public_id, "erased_at": hanna.erased_at.isoformat() if hanna.erased_at else ""}
    assert (hanna.name, hanna.email, hanna.external_id) == (None, None, None)
    assert other.erased_at is None
    actor = db.session.scalars(select(Event.actor).where(Event.kind == "customer.erased")).one()
    assert actor.startswith("api_key:")


def test_a_number_may_hold_any_letter(client: Client, key: dict[str, str]) -> None:
    hanna = make_customer(external_id="shop/7 ü?")

    assert client.delete("/api/v1/customers/shop/7%20%C3%BC%3F", headers=key).status_code == 200
    assert hanna.erased_at is not None


def test_nobody_by_that_number_is_a_404_also_after_erasing(client: Client, key: dict[str, str]) -> None:
    make_customer(external_id="NW-77")
    client.delete("/api/v1/customers/NW-77", headers=key)

    for number in ("NW-77", "NW-78", "hanna@shop.example"):
        answer = client.delete(f"/api/v1/customers/{number}", headers=key)
        assert (answer.status_code, answer.json["code"]) == (404, "not-found")


def test_a_call_repeated_under_its_key_gets_the_first_answer(client: Client, key: dict[str, str]) -> None:
    make_customer(external_id="NW-77")
    headers = key | {"Idempotency-Key": "erase-77"}

    first = client.delete("/api/v1/customers/NW-77", headers=headers)
    again = client.delete("/api/v1/customers/NW-77", headers=headers)

    assert (first.status_code, again.status_code) == (200, 200)
    assert first.json == again.json
    assert again.headers["Idempotent-Replayed"] == "true"


def test_the_number_of_a_merged_record_erases_the_one_it_leads_to(client: Client, key: dict[str, str]) -> None:
    kept, gone = make_customer(external_id="NEW"), make_customer(external_id="OLD")
    merging.merge(kept, gone, by="system", now=clock.now())

    answer = client.delete("/api/v1/customers/OLD", headers=key)

    assert answer.json["id"] == kept.public_id
    assert set(db.session.scalars(select(Customer.name))) == {None}


def test_a_key_without_the_scope_erases_nobody(client: Client) -> None:
    hanna = make_customer(external_id="NW-77")
    _key, secret = make_api_key("interactions:write")

    answer = client.delete("/api/v1/customers/NW-77", headers={"Authorization": f"Bearer {secret}"})

    assert answer.status_code == 403
    assert hanna.erased_at is None
