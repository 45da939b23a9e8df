"""GET /api/v1/metrics/…: the figures as the page has them, narrowed, grouped, and withheld where too few answered."""

from __future__ import annotations

import pytest
from flask import Flask

from core import clock
from core.db import db
from insights import rollups
from tests.client import Client
from tests.factories import make_api_key, make_touchpoint
from tests.insights.conftest import TODAY, Shop, open_shop

PERIOD = f"from={TODAY}&to={TODAY}"


@pytest.fixture
def shop(app: Flask) -> Shop:
    return open_shop()


@pytest.fixture
def key(app: Flask) -> dict[str, str]:
    _key, secret = make_api_key("metrics:read")
    return {"Authorization": f"Bearer {secret}"}


def fold() -> None:
    rollups.fold(now=clock.now())
    db.session.commit()


def test_a_figure_is_narrowed_to_a_tier_and_to_a_touchpoint(client: Client, shop: Shop, key: dict[str, str]) -> None:
    other = make_touchpoint(shop.brand)
    shop.answer([10] * 20, tier="Summit")
    shop.answer([0] * 15, tier="Summit", touchpoint_id=other.id)
    shop.answer([0] * 40, tier="Trail")
    fold()

    of_tier = client.get(f"/api/v1/metrics/nps?{PERIOD}&tier=Summit", headers=key).json
    of_both = client.get(f"/api/v1/metrics/nps?{PERIOD}&tier=Summit&touchpoint={other.key}", headers=key).json

    assert (of_tier["n"], of_tier["few"]) == (35, False)
    assert (of_both["n"], of_both["value"], of_both["few"]) == (15, -100, True)


def test_groups_by_tier_add_up_and_customers_without_one_are_none(
    client: Client, shop: Shop, key: dict[str, str]
) -> None:
    shop.answer([10] * 6, tier="Summit")
    shop.answer([3] * 7)
    fold()

    found = client.get(f"/api/v1/metrics/nps?{PERIOD}&group_by=tier", headers=key).json

    assert {group["key"]: group["n"] for group in found["groups"]} == {"none": 7, "Summit": 6}


def test_below_five_answers_nobody_is_given_a_score(client: Client, shop: Shop, key: dict[str, str]) -> None:
    shop.answer([10] * 4)
    fold()

    found = client.get(f"/api/v1/metrics/nps?{PERIOD}&group_by=tier", headers=key).json

    for figure in (found, *found["groups"]):
        assert (figure["n"], figure["value"], figure["low"], figure["high"], figure["few"]) == (
            4,
            None,
            None,
            None,
            True,
        )


def test_an_unknown_touchpoint_is_refused_and_an_unknown_tier_finds_nothing(
    client: Client, shop: Shop, key: dict[str, str]
) -> None:
    shop.answer([10] * 6, tier="Summit")
    fold()

    refused = client.get("/api/v1/metrics/nps?touchpoint=moon", headers=key)
    empty = client.get(f"/api/v1/metrics/nps?{PERIOD}&tier=Moon", headers=key)

    assert refused.status_code == 422
    assert refused.json["problems"][0]["field"] == "touchpoint"
    assert empty.json["n"] == 0
