"""What the tests of faults arrange, in few statements: a shop that asks and rewards, and many customers of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import count
from typing import Any

from sqlalchemy import insert, inspect

from core import clock
from core.db import db, new_public_id
from customers.models import Brand, Customer, Interaction, Touchpoint
from feedback import policies
from incentives.models import Programme
from surveys import versions
from surveys.models import Invitation, InvitationState, Survey
from tests.factories import make_api_key, make_brand, make_programme, make_rule, make_survey, make_touchpoint

_numbers = count(1)


@dataclass(frozen=True)
class Shop:
    brand: Brand
    touchpoint: Touchpoint
    survey: Survey
    thanks: Programme
    key: str  # of the API

    def again(self) -> Shop:
        """Return the same, read anew: a session that was given up leaves its rows behind."""
        return replace(
            self, **{name: _again(getattr(self, name)) for name in ("brand", "touchpoint", "survey", "thanks")}
        )


def _again(row: Any) -> Any:
    return db.session.get_one(type(row), inspect(row).identity)


def open_shop(*, rewards: int) -> Shop:
    """A shop that asks after every interaction at once, and thanks with €5 for as many answers as `rewards`."""
    policies.forget()
    brand = make_brand(reply_address="care@northwind.example", main_survey_key="nps_after_contact")
    touchpoint, survey = make_touchpoint(brand), make_survey(brand)
    thanks = make_programme(brand, budget=rewards * 500)
    make_rule(touchpoint, survey, programme=thanks)
    shop = Shop(brand, touchpoint, survey, thanks, make_api_key()[1])
    db.session.commit()
    return shop


def invite(shop: Shop, how_many: int, **more: Any) -> list[tuple[int, str]]:
    """Return (id, public id) of sent invitations, each of a customer of its own. Commits."""
    now, version = clock.now(), versions.current(shop.survey.id)
    numbers = [next(_numbers) for _ in range(how_many)]
    people = [_customer(number) for number in numbers]
    customer_ids = _ids_of(Customer, people)
    interactions = [_interaction(shop, number, id) for number, id in zip(numbers, customer_ids, strict=True)]
    about = _ids_of(Interaction, interactions)
    rows = [
        {
            "public_id": new_public_id(),
            "survey_id": shop.survey.id,
            "version_id": version.id,
            "interaction_id": interaction_id,
            "touchpoint_id": shop.touchpoint.id,
            "customer_id": customer_id,
            "channel": "email",
            "language": "en",
            "state": InvitationState.SENT,
            "created_at": now,
            "send_at": now,
            "sent_at": now,
            "expires_at": now + timedelta(days=30),
            "partial": {},
            **more,
        }
        for interaction_id, customer_id in zip(about, customer_ids, strict=True)
    ]
    kept = db.session.execute(insert(Invitation).returning(Invitation.id, Invitation.public_id), rows).all()
    db.session.commit()
    return [(id, public_id) for id, public_id in kept]


def _ids_of(model: type[Customer | Interaction], rows: list[dict[str, Any]]) -> list[int]:
    return list(db.session.scalars(insert(model).returning(model.id, sort_by_parameter_order=True), rows))


def _customer(number: int) -> dict[str, Any]:
    return {
        "public_id": new_public_id(),
        "external_id": f"F-{number}",
        "name": "Hanna Keller",
        "email": f"faults-{number}@customer.example",
        "language": "en",
        "created_at": clock.now(),
    }


def _interaction(shop: Shop, number: int, customer_id: int) -> dict[str, Any]:
    return {
        "public_id": new_public_id(),
        "touchpoint_id": shop.touchpoint.id,
        "customer_id": customer_id,
        "reference": f"F-{number}",
        "occurred_at": clock.now(),
        "received_at": clock.now(),
        "channel": "phone",
        "attributes": {},
    }
