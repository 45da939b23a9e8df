"""POST /api/v1/complaints: what is kept, what is refused and how, and that a repeated call does nothing twice."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from core.db import db
from customers.models import Brand, Customer
from feedback import trees
from feedback.models import Case, Category, Complaint, Promise
from notifications.models import Message
from tests.client import Client, count_queries
from tests.factories import clock, make_api_key, make_brand, make_customer, make_interaction, make_touchpoint

PATH = "/api/v1/complaints"


@pytest.fixture
def brand(app: Flask) -> Brand:
    return make_brand()


@pytest.fixture
def key(app: Flask) -> dict[str, str]:
    _key, secret = make_api_key("complaints:write")
    return {"Authorization": f"Bearer {secret}"}


def told(**more: Any) -> dict[str, Any]:
    item: dict[str, Any] = {
        "reference": "CHAT-1",
        "customer": {
            "external_id": "C-77",
            "name": "Hanna Keller",
            "email": "hanna@shop.example",
            "phone": "+494055504471",
        },
        "words": "One pole is cracked right through.",
        "contact": "phone",
    }
    return item | more


def rows(model: Any) -> int:
    return db.session.scalar(select(func.count()).select_from(model)) or 0


def test_a_complaint_is_kept_with_its_case_and_acknowledged(client: Client, key: dict[str, str], brand: Brand) -> None:
    late = trees.add(Category, "Late", parent=None, by="system", now=clock.now())
    more = {
        "wish": "refund",
        "happened_on": "2025-02",
        "contact_time": "morning",
        "category": late.key,
        "language": "de",
    }

    answer = client.post(PATH, json=told(**more), headers=key)

    complaint, case = db.session.scalars(select(Complaint)).one(), db.session.scalars(select(Case)).one()
    hanna = db.session.scalars(select(Customer)).one()
    assert answer.status_code == 201
    assert answer.json == {
        "id": complaint.public_id,
        "case": case.label,
        "created": True,
        "received_at": complaint.received_at.isoformat(),
        "first_contact_due_at": case.due_at.isoformat(),
    }
    assert (case.customer_id, case.wants, case.language) == (hanna.id, "phone", "de")
    assert (complaint.wish, complaint.happened_on, complaint.category) == ("refund", "2025-02", late.key)
    assert rows(Promise) == 1
    sent = db.session.scalars(select(Message)).one()
    assert (sent.kind, sent.to_address) == ("complaint_acknowledged", "hanna@shop.example")


def test_the_caller_vouches_for_the_customers_order(client: Client, key: dict[str, str], brand: Brand) -> None:
    hanna = make_customer(external_id="C-77")
    order = make_interaction(make_touchpoint(brand), hanna, reference="NW-1")

    client.post(PATH, json=told(order="NW-1"), headers=key)

    assert db.session.scalars(select(Case.interaction_id)).one() == order.id


def test_the_same_reference_is_one_complaint_whatever_the_key(
    client: Client, key: dict[str, str], brand: Brand
) -> None:
    first = client.post(PATH, json=told(), headers=key | {"Idempotency-Key": "a"})
    second = client.post(PATH, json=told(words="Again"), headers=key | {"Idempotency-Key": "b"})
    other = client.post(PATH, json=told(reference="CHAT-2"), headers=key)

    assert (first.status_code, second.status_code, other.status_code) == (201, 200, 201)
    assert (second.json["id"], second.json["created"]) == (first.json["id"], False)
    assert rows(Case) == 2


def test_a_repeated_idempotency_key_gets_the_first_answer(client: Client, key: dict[str, str], brand: Brand) -> None:
    item = told(reference=None)

    first = client.post(PATH, json=item, headers=key | {"Idempotency-Key": "once"})
    again = client.post(PATH, json=item, headers=key | {"Idempotency-Key": "once"})

    assert again.json == first.json
    assert again.headers["Idempotent-Replayed"] == "true"
    assert rows(Case) == 1


def test_ten_calls_at_once_are_one_case(app: Flask, key: dict[str, str], brand: Brand) -> None:
    db.session.commit()
    together, answers = threading.Barrier(10), []

    def call() -> None:
        visitor = app.test_client()
        together.wait()
        answers.append(visitor.post(PATH, json=told(), headers=key).json["id"])

    threads = [threading.Thread(daemon=True, target=call) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(answers) == 10
    assert len(set(answers)) == 1
    assert (rows(Complaint), rows(Case), rows(Customer), rows(Message)) == (1, 1, 1, 1)


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"words": ""}, "words"),
        ({"words": "a\x00b"}, "words"),
        ({"words": "x" * 10_001}, "words"),
        ({"words": "\x85" + "x" * 10_000}, "words"),
        ({"words": 7}, "words"),
        ({"customer": {"email": "a@b.example\r\nBcc: x@y.example"}}, "customer.email"),
        ({"customer": {"name": "a\nb\x07"}}, "customer.name"),
        ({"customer": "Hanna"}, "customer"),
        ({"happened_on": "2025-13"}, "happened_on"),
        ({"happened_on": "2025-02-30"}, "happened_on"),
        ({"happened_on": "2999-01-01"}, "happened_on"),
        ({"happened_on": "yesterday"}, "happened_on"),
        ({"wish": "money"}, "wish"),
        ({"contact": "pigeon"}, "contact"),
        ({"contact_time": "night"}, "contact_time"),
        ({"category": "nothing"}, "category"),
        ({"language": "tlh"}, "language"),
        ({"brand": "nobody"}, "brand"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_bad_input_is_refused_naming_the_field(
    client: Client, key: dict[str, str], brand: Brand, more: dict[str, Any], field: str
) -> None:
    answer = client.post(PATH, json=told(**more), headers=key)

    assert answer.status_code == 422
    assert answer.content_type == "application/problem+json"
    assert field in [problem["field"] for problem in answer.json["problems"]]
    assert (rows(Complaint), rows(Customer)) == (0, 0)


def test_with_several_brands_the_call_names_one(client: Client, key: dict[str, str], brand: Brand) -> None:
    second = make_brand(key="fjell")

    unnamed = client.post(PATH, json=told(), headers=key)
    named = client.post(PATH, json=told(brand="fjell"), headers=key)

    assert (unnamed.status_code, unnamed.json["field"]) == (422, "brand")
    assert named.status_code == 201
    assert db.session.scalars(select(Complaint.brand_id)).one() == second.id


def test_a_complaint_of_nobody_known_is_a_case_that_cannot_be_written_to(
    client: Client, key: dict[str, str], brand: Brand
) -> None:
    answer = client.post(PATH, json={"words": "It broke."}, headers=key)

    assert answer.status_code == 201
    case = db.session.scalars(select(Case)).one()
    assert (case.customer_id, case.wants) == (None, "none")
    assert (rows(Message), rows(Promise)) == (0, 0)


def test_a_key_of_another_scope_and_no_key_are_refused(client: Client, brand: Brand) -> None:
    _key, secret = make_api_key("interactions:write")

    assert client.post(PATH, json=told(), headers={"Authorization": f"Bearer {secret}"}).status_code == 403
    assert client.post(PATH, json=told()).status_code == 401
    assert rows(Complaint) == 0


def test_a_call_is_few_statements(client: Client, key: dict[str, str], brand: Brand) -> None:
    client.post(PATH, json=told(reference="WARM"), headers=key)

    with count_queries() as queries:
        client.post(PATH, json=told(), headers=key)

    assert len(queries) <= 18, queries
