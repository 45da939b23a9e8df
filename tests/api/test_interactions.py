"""POST /api/v1/interactions: what is kept, what is refused and how, and that a repeated call does nothing twice."""

import json
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from core import clock
from core.db import db
from customers.models import Customer, Interaction
from surveys.models import Decision, Invitation
from tests.client import Client, count_queries
from tests.factories import make_api_key, make_rule, make_touchpoint

PATH = "/api/v1/interactions"


@pytest.fixture
def key(app: Flask) -> dict[str, str]:
    _key, secret = make_api_key("interactions:write")
    return {"Authorization": f"Bearer {secret}"}


def told(touchpoint: str, reference: str = "CALL-1", **more: Any) -> dict[str, Any]:
    item: dict[str, Any] = {
        "reference": reference,
        "occurred_at": (clock.now() - timedelta(hours=1)).isoformat(),
        "touchpoint": touchpoint,
        "channel": "phone",
        "customer": {
            "external_id": f"C-{reference}",
            "name": "Hanna Keller",
            "email": f"{reference.lower()}@shop.example",
        },
    }
    return item | more


def rows(model: Any) -> int:
    return db.session.scalar(select(func.count()).select_from(model)) or 0


def test_an_interaction_is_kept_and_answered_with_its_decision(client: Client, key: dict[str, str]) -> None:
    rule = make_rule()

    answer = client.post(
        PATH, json=told(rule.touchpoint.key, value={"amount_minor": 38900, "currency": "EUR"}), headers=key
    )

    assert answer.status_code == 201
    kept = db.session.scalars(select(Interaction)).one()
    decision = db.session.scalars(select(Decision)).one()
    assert answer.json["id"] == kept.public_id
    assert answer.json["decision"]["outcome"] == decision.outcome == "invited"
    assert decision.inputs
    assert (kept.value_minor, kept.currency) == (38900, "EUR")
    assert db.session.scalars(select(Customer)).one().value_minor == 38900


def test_the_same_reference_is_one_interaction_whatever_the_key(client: Client, key: dict[str, str]) -> None:
    rule = make_rule()
    item = told(rule.touchpoint.key)

    first = client.post(PATH, json=item, headers=key | {"Idempotency-Key": "a"})
    second = client.post(PATH, json=item, headers=key | {"Idempotency-Key": "b"})

    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json["id"] == second.json["id"]
    assert first.json["decision"] == second.json["decision"]
    assert rows(Interaction) == rows(Invitation) == 1


def test_a_repeated_key_gets_the_first_answer(client: Client, key: dict[str, str]) -> None:
    touchpoint = make_touchpoint()
    item = told(touchpoint.key)

    first = client.post(PATH, json=item, headers=key | {"Idempotency-Key": "once"})
    again = client.post(PATH, json=item, headers=key | {"Idempotency-Key": "once"})

    assert again.json == first.json
    assert again.status_code == first.status_code == 201
    assert again.headers["Idempotent-Replayed"] == "true"


def test_a_key_used_for_another_request_is_refused(client: Client, key: dict[str, str]) -> None:
    touchpoint = make_touchpoint()
    client.post(PATH, json=told(touchpoint.key), headers=key | {"Idempotency-Key": "once"})

    answer = client.post(PATH, json=told(touchpoint.key, "CALL-2"), headers=key | {"Idempotency-Key": "once"})

    assert answer.status_code == 422
    assert answer.json["code"] == "idempotency-key-reused"
    assert rows(Interaction) == 1


def test_twenty_calls_at_once_with_one_key_do_the_work_once(app: Flask, key: dict[str, str]) -> None:
    rule = make_rule()
    item = told(rule.touchpoint.key)
    db.session.commit()
    answers: list[tuple[int, Any]] = []

    def call() -> None:
        response = app.test_client().post(PATH, json=item, headers=key | {"Idempotency-Key": "race"})
        answers.append((response.status_code, response.json["id"]))

    threads = [threading.Thread(daemon=True, target=call) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    db.session.rollback()
    assert len(answers) == 20
    assert len(set(answers)) == 1
    assert rows(Interaction) == rows(Invitation) == 1


def test_many_are_kept_and_each_refused_one_is_told_in_its_place(client: Client, key: dict[str, str]) -> None:
    touchpoint = make_touchpoint()
    items = [
        told(touchpoint.key, "A"),
        told("nowhere", "B"),
        told(touchpoint.key, "C", occurred_at="2026-01-01T10:00:00"),
    ]

    answer = client.post(PATH, json=items, headers=key)

    assert answer.status_code == 207
    assert [item["index"] for item in answer.json] == [0, 1, 2]
    assert answer.json[0]["created"]
    assert answer.json[1]["problem"]["field"] == "touchpoint"
    assert answer.json[2]["problem"]["field"] == "occurred_at"
    assert "zone" in answer.json[2]["problem"]["detail"]
    assert rows(Interaction) == 1


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"reference": ""}, "reference"),
        ({"reference": "a\x00b"}, "reference"),
        ({"reference": 7}, "reference"),
        ({"occurred_at": "yesterday"}, "occurred_at"),
        ({"occurred_at": "2026-02-30T10:00:00Z"}, "occurred_at"),
        ({"occurred_at": "2026-02-01T10:00:00"}, "occurred_at"),
        ({"occurred_at": "9999-12-31T23:59:59-12:00"}, "occurred_at"),
        ({"occurred_at": 1760000000}, "occurred_at"),
        ({"occurred_at": None}, "occurred_at"),
        ({"touchpoint": ["x"]}, "touchpoint"),
        ({"channel": {"a": 1}}, "channel"),
        ({"customer": "Hanna"}, "customer"),
        ({"customer": {"email": "nobody"}}, "customer.email"),
        ({"customer": {"email": "a@b.example\r\nBcc: x@y.example"}}, "customer.email"),
        ({"customer": {"nick": "x"}}, "customer.nick"),
        ({"value": {"amount_minor": 1.5, "currency": "EUR"}}, "value.amount_minor"),
        ({"value": {"amount_minor": True, "currency": "EUR"}}, "value.amount_minor"),
        ({"value": {"amount_minor": 5, "currency": "euro"}}, "value.currency"),
        ({"value": {"amount_minor": 5}}, "value.currency"),
        ({"attributes": {"deep": {"er": 1}}}, "attributes.deep"),
        ({"attributes": []}, "attributes"),
        ({"status": "perhaps"}, "status"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_bad_input_is_refused_naming_the_field(
    client: Client, key: dict[str, str], more: dict[str, Any], field: str
) -> None:
    touchpoint = make_touchpoint()

    answer = client.post(PATH, json=told(touchpoint.key) | more, headers=key)

    assert answer.status_code == 422
    assert answer.content_type == "application/problem+json"
    assert field in [problem["field"] for problem in answer.json["problems"]]
    assert rows(Interaction) == 0


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"\xff\xfe", 400),
        (b'{"reference": NaN}', 400),
        (b"[" * 100_000, 400),
        (b"[]", 422),
        (b"7", 422),
        (b'"text"', 422),
        (b"null", 422),
        (b'{"reference": "\\ud800"}', 422),
        (b"[" + b",".join([b"{}"] * 1001) + b"]", 422),
        (b'{"attributes": {"n": 1e999}}', 422),
        (b"1" * 5000, 400),
    ],
)
def test_a_malformed_body_is_a_clear_4xx(client: Client, key: dict[str, str], body: bytes, status: int) -> None:
    answer = client.post(PATH, data=body, content_type="application/json", headers=key)

    assert answer.status_code == status
    assert answer.content_type == "application/problem+json"
    assert answer.json["detail"]


def test_an_oversized_body_and_another_type_are_refused(client: Client, key: dict[str, str]) -> None:
    large = client.post(PATH, data=b" " * (5 * 1024 * 1024), content_type="application/json", headers=key)
    form = client.post(PATH, data={"reference": "x"}, headers=key)

    assert large.status_code == 413
    assert form.status_code == 415


def test_no_key_is_401_and_a_missing_scope_403(client: Client) -> None:
    _key, secret = make_api_key("metrics:read")

    nobody = client.post(PATH, json={})
    other = client.post(PATH, json={}, headers={"Authorization": f"Bearer {secret}"})

    assert nobody.status_code == 401
    assert other.status_code == 403
    assert "interactions:write" in json.dumps(other.json)


@pytest.mark.parametrize("size", [1, 30])
def test_the_number_of_statements_does_not_grow_with_the_batch(client: Client, key: dict[str, str], size: int) -> None:
    rule = make_rule()
    client.post(PATH, json=[told(rule.touchpoint.key, "WARM")], headers=key)
    items = [told(rule.touchpoint.key, f"R{number}") for number in range(size)]

    with count_queries() as queries:
        answer = client.post(PATH, json=items, headers=key)

    assert answer.status_code == 200
    assert len(queries) <= 24, queries


def test_only_what_is_completed_adds_to_the_customers_value_and_only_once(client: Client, key: dict[str, str]) -> None:
    touchpoint = make_touchpoint()
    worth = {"amount_minor": 38900, "currency": "EUR"}
    found = []
    for status in ("started", "completed", "completed"):
        client.post(PATH, json=told(touchpoint.key, value=worth, status=status), headers=key)
        found.append(db.session.scalar(select(Customer.value_minor)))

    assert found == [0, 38900, 38900]


def test_a_half_done_interaction_is_completed_by_its_second_telling(client: Client, key: dict[str, str]) -> None:
    touchpoint = make_touchpoint()
    client.post(PATH, json=told(touchpoint.key, status="started"), headers=key)

    client.post(PATH, json=told(touchpoint.key), headers=key)

    assert db.session.scalars(select(Interaction.status)).all() == ["completed"]


def test_completing_brings_what_was_not_known_of_a_basket(client: Client, key: dict[str, str]) -> None:
    touchpoint = make_touchpoint()
    make_rule(touchpoint)
    basket = told(touchpoint.key, status="started", value={"amount_minor": 5000, "currency": "EUR"})
    del basket["customer"]
    client.post(PATH, json=basket | {"attributes": {"from": "phone", "pages": 3}}, headers=key)
    paid = {"value": {"amount_minor": 9900, "currency": "EUR"}, "attributes": {"pages": 4}, "staff": "Ana"}

    answer = client.post(PATH, json=told(touchpoint.key, **paid), headers=key)

    assert (answer.status_code, answer.json["decision"]["outcome"]) == (200, "invited")
    kept, customer = db.session.scalars(select(Interaction)).one(), db.session.scalars(select(Customer)).one()
    assert (kept.customer_id, kept.value_minor, kept.currency, kept.staff_name) == (customer.id, 9900, "EUR", "Ana")
    assert kept.attributes == {"from": "phone", "pages": 4}
    assert customer.value_minor == 9900


def test_completing_keeps_what_was_known_of_a_basket(client: Client, key: dict[str, str]) -> None:
    touchpoint = make_touchpoint()
    worth = {"amount_minor": 5000, "currency": "EUR"}
    client.post(PATH, json=told(touchpoint.key, status="started", value=worth), headers=key)
    before = db.session.scalars(select(Interaction.customer_id)).one()
    somebody = told(touchpoint.key, customer={"email": "else@shop.example"})
    somebody.pop("value", None)

    client.post(PATH, json=somebody, headers=key)

    kept = db.session.scalars(select(Interaction)).one()
    assert (kept.customer_id, kept.value_minor, kept.currency, kept.status) == (before, 5000, "EUR", "completed")


def test_a_customer_is_found_again_by_address_and_blanks_overwrite_nothing(client: Client, key: dict[str, str]) -> None:
    touchpoint = make_touchpoint()
    known = {"email": "Hanna@Shop.example", "name": "Hanna Keller", "phone": "+494055544711"}
    client.post(PATH, json=told(touchpoint.key, "A", customer=known), headers=key)

    client.post(PATH, json=told(touchpoint.key, "B", customer={"email": "hanna@shop.example"}), headers=key)

    hanna = db.session.scalars(select(Customer)).one()
    assert (hanna.name, hanna.phone) == ("Hanna Keller", "+494055544711")
    assert rows(Interaction) == 2


def test_a_moment_is_stored_in_utc(client: Client, key: dict[str, str]) -> None:
    touchpoint = make_touchpoint()

    client.post(PATH, json=told(touchpoint.key, occurred_at="2026-03-01T14:05:00+01:00"), headers=key)

    assert db.session.scalars(select(Interaction.occurred_at)).one() == datetime(2026, 3, 1, 13, 5, tzinfo=UTC)


def test_a_fault_at_a_name_that_cannot_be_stored_is_told_and_kept_with_its_key(
    client: Client, key: dict[str, str]
) -> None:
    items = [told(make_rule().touchpoint.key, attributes={"a\x00\udc80": 1}), told(make_rule().touchpoint.key)]

    first = client.post(PATH, json=items, headers=key | {"Idempotency-Key": "once"})
    again = client.post(PATH, json=items, headers=key | {"Idempotency-Key": "once"})

    assert (first.status_code, again.status_code) == (207, 207)
    assert first.json[0]["problem"]["problems"][0]["field"] == "attributes.a\ufffd\ufffd"
    assert again.json == first.json
