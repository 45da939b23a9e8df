"""Customers' records and interactions: found again, never doubled, many at the cost of one."""

import threading
from datetime import timedelta

import pytest
from email_validator import EmailNotValidError, validate_email
from flask import Flask
from sqlalchemy import func, select

from core import clock
from core.db import db
from customers import consent, customers, interactions, profiles
from customers.contacts import written_email, written_phone
from customers.customers import CustomerData
from customers.interactions import InteractionData
from customers.models import Customer, Interaction
from customers.profiles import Scored
from tests.client import count_queries
from tests.factories import make_customer, make_touchpoint


def people() -> int:
    return db.session.scalar(select(func.count()).select_from(Customer)) or 0


def test_a_customer_is_known_by_the_shops_id_and_brought_up_to_date(app: Flask) -> None:
    customers.upsert(CustomerData(external_id="7", name="Hanna", email="h@shop.example"), now=clock.now())

    again = customers.upsert(CustomerData(external_id="7", name="Hanna Keller"), now=clock.now())

    assert again is not None
    assert (again.name, again.email) == ("Hanna Keller", "h@shop.example")
    assert people() == 1


def test_who_cannot_be_identified_gets_no_record(app: Flask) -> None:
    assert customers.upsert(CustomerData(name="Somebody"), now=clock.now()) is None
    assert people() == 0


def test_one_customer_told_twice_in_a_batch_is_one_record(app: Flask) -> None:
    first, second = customers.upsert_many(
        [CustomerData(external_id="7", name="Hanna"), CustomerData(external_id="7", phone="+494055544711")],
        now=clock.now(),
    )

    assert first is second
    assert first is not None
    assert (first.name, first.phone) == ("Hanna", "+494055544711")


def test_a_new_address_told_by_ten_at_once_makes_one_record(app: Flask) -> None:
    def tell() -> None:
        with app.app_context():
            customers.upsert(CustomerData(email="new@shop.example"), now=clock.now())
            db.session.commit()

    threads = [threading.Thread(target=tell) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert people() == 1


@pytest.mark.parametrize("size", [1, 3, 100])
def test_many_cost_as_many_statements_as_one(app: Flask, size: int) -> None:
    touchpoint = make_touchpoint()
    db.session.commit()
    data = [CustomerData(external_id=str(number)) for number in range(size)]

    with count_queries() as queries:
        found = customers.upsert_many(data, now=clock.now())
        interactions.record_many(
            [
                (InteractionData(f"R{number}", clock.now(), "web"), touchpoint.id, who)
                for number, who in enumerate(found)
            ],
            now=clock.now(),
        )

    assert len(queries) <= 6, queries


def test_a_reference_is_one_interaction_at_its_touchpoint(app: Flask) -> None:
    here, there = make_touchpoint(), make_touchpoint()
    data = InteractionData("R1", clock.now(), "web", 500, "EUR")
    customer = make_customer()

    first, is_new = interactions.record(data, touchpoint=here, customer=customer, now=clock.now())
    again, is_new_again = interactions.record(data, touchpoint=here, customer=customer, now=clock.now())
    other, _ = interactions.record(data, touchpoint=there, customer=customer, now=clock.now())

    assert (is_new, is_new_again) == (True, False)
    assert first.id == again.id != other.id
    assert db.session.scalar(select(Customer.value_minor)) == 1000


def test_money_of_another_currency_is_in_no_sum(app: Flask) -> None:
    touchpoint, customer = make_touchpoint(), make_customer()
    for reference, currency in (("A", "EUR"), ("B", "USD")):
        data = InteractionData(reference, clock.now(), "web", 500, currency)
        interactions.record(data, touchpoint=touchpoint, customer=customer, now=clock.now())

    assert db.session.execute(select(Customer.value_minor, Customer.value_currency)).one() == (500, "EUR")
    assert db.session.scalar(select(func.count()).select_from(Interaction)) == 2


def test_a_late_answer_does_not_overwrite_a_newer_profile(app: Flask) -> None:
    customer = make_customer()
    now = clock.now()

    profiles.update_many([Scored(customer.id, "promoter", "nps", 9, now)])
    profiles.update_many([Scored(customer.id, "detractor", "nps", 1, now - timedelta(days=1))])

    db.session.refresh(customer)
    assert (customer.profile, customer.profile_score) == ("promoter", 9)


def test_consent_is_noted_with_who_changed_it(app: Flask) -> None:
    from core.events import Event

    customer = make_customer()

    consent.withdraw(customer, "survey", by="customer", now=clock.now())
    consent.withdraw(customer, "survey", by="customer", now=clock.now())

    assert consent.of(customer, "survey") == "withdrawn"
    assert db.session.scalars(select(Event.actor).where(Event.kind == "consent.withdrawn")).all() == ["customer"]


@pytest.mark.parametrize(
    ("given", "written"),
    [("Hanna@Shop.EXAMPLE", "Hanna@shop.example"), ("nobody", None), ("a@b\r\nBcc: x@y.example", None), ("", None)],
)
def test_addresses_are_written_one_way(given: str, written: str | None) -> None:
    assert written_email(given) == written


PLAIN = "hanna@shop.example h.k+2@a-b.co.uk info@shop.de h_-@x9.io"
NEARLY = "h..k@shop.example .h@shop.example h@shop h@-a.de h@a-.de h@ab--c.de h@xn--p1ai.de h@a.de. h@a.c0m h@a.1 @a.de"
NOT_OF_THE_WORLD = "h@shop.local h@a.localhost h@a.onion h@a.invalid h@a.arpa h@a.test"
WRITTEN_OTHERWISE = f"Info@shop.de hé@shop.de h@shöp.de h@{'a' * 64}.de h@{'a' * 30}.{'b' * 30}.de"


@pytest.mark.parametrize("address", f"{PLAIN} {NEARLY} {NOT_OF_THE_WORLD} {WRITTEN_OTHERWISE}".split())
def test_plain_addresses_are_read_as_the_library_reads_them(address: str) -> None:
    try:
        read = validate_email(address.strip(), check_deliverability=False, test_environment=True).normalized
    except EmailNotValidError:
        read = None

    assert written_email(address) == read


def test_numbers_are_written_in_e164_where_they_can_be_read() -> None:
    assert written_phone("040 5554 4711", region="DE") == "+4940555 44711".replace(" ", "")
    assert written_phone("ask for Hanna") == "ask for Hanna"
