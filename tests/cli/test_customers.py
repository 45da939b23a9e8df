"""bin/amends customers erase REF: by number or address, asked first, and nobody where more than one is meant."""

from __future__ import annotations

from flask import Flask

from core.db import db
from customers.models import Customer
from tests.factories import make_customer


def erase(app: Flask, *arguments: str, typed: str = "") -> tuple[int, str]:
    db.session.commit()
    result = app.test_cli_runner().invoke(args=["customers", "erase", *arguments], input=typed)
    db.session.rollback()
    db.session.expire_all()
    return result.exit_code, result.output


def test_a_customer_is_erased_by_number_or_address(app: Flask) -> None:
    hanna, omar = make_customer(external_id="NW-77"), make_customer(email="omar@shop.example")

    assert erase(app, "NW-77", "--yes")[0] == 0
    assert erase(app, "Omar@shop.example", "--yes")[0] == 0

    assert hanna.erased_at and omar.erased_at
    assert (hanna.name, omar.email) == (None, None)


def test_it_asks_first(app: Flask) -> None:
    hanna = make_customer(external_id="NW-77", name="Hanna Keller")

    code, said = erase(app, "NW-77", typed="n\n")

    assert (code, "Erase Hanna Keller for good?" in said) == (1, True)
    assert hanna.erased_at is None
    assert erase(app, "NW-77", typed="y\n")[0] == 0
    assert hanna.erased_at is not None


def test_an_address_of_two_customers_erases_neither(app: Flask) -> None:
    for _ in range(2):
        make_customer(email="family@shop.example")

    code, said = erase(app, "family@shop.example", "--yes")

    assert (code, "Nobody, or more than one" in said) == (1, True)
    assert db.session.query(Customer).filter(Customer.erased_at.is_not(None)).count() == 0


def test_nobody_known_is_said(app: Flask) -> None:
    assert erase(app, "NW-1", "--yes")[0] == 1
