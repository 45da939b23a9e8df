"""A brand to write as, and short ways to post."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from core import clock
from core.db import db
from customers.models import Brand, Calendar, Customer
from notifications import messages
from notifications.messages import Draft
from notifications.models import Message
from notifications.samples import sample_values

Post = Callable[..., Message]


@pytest.fixture
def brand(app: Flask) -> Brand:
    calendar = Calendar(name="Always", zone="Europe/Berlin", weekly={})
    brand = Brand(
        key="northwind",
        name="Northwind Outdoor",
        colour="oklch(.42 .085 160)",
        sender_name="Northwind Outdoor",
        sender_address="hello@northwind.example",
        reply_address="care@northwind.example",
        zone="Europe/Berlin",
        currency="EUR",
        language="en",
        calendar=calendar,
    )
    db.session.add(brand)
    db.session.commit()
    return brand


@pytest.fixture
def customer(app: Flask) -> Customer:
    customer = Customer(
        external_id="C-1", name="Hanna Keller", email="hanna@posteo.example", language="de", created_at=clock.now()
    )
    db.session.add(customer)
    db.session.commit()
    return customer


@pytest.fixture
def draft(brand: Brand) -> Callable[..., Draft]:
    """Make a draft with believable values; keywords overrule."""

    def make(number: int = 1, kind: str = "case_opened", **more: Any) -> Draft:
        values = sample_values(kind, "en", fully=False)
        values.pop("unsubscribe_url", None)
        values |= more.pop("values", {})
        known: dict[str, Any] = {
            "kind": kind,
            "reason": f"case:{number}",
            "brand": brand,
            "language": "en",
            "values": values,
            "to_address": f"person{number}@mail.example",
        }
        return Draft(**known | more)

    return make


@pytest.fixture
def post(draft: Callable[..., Draft]) -> Post:
    """Post and commit one message."""

    def post(number: int = 1, kind: str = "case_opened", **more: Any) -> Message:
        message = messages.post_many([draft(number, kind, **more)], now=clock.now())[0]
        assert message is not None
        db.session.commit()
        return message

    return post
