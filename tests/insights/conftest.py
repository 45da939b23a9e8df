"""Answers in bulk: a shop in Berlin with a published survey, and a function that writes responses on a given day."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import insert

from core import clock
from core.db import db, new_public_id
from customers.models import Brand, Customer, Touchpoint
from insights.metrics import Asked
from surveys import versions
from surveys.models import Response, ResponseState, Survey
from surveys.scoring import Metric
from tests.factories import make_brand, make_customer, make_survey, make_touchpoint

TODAY = date(2026, 3, 31)
NOON = time(12, 0, tzinfo=UTC)


@dataclass
class Shop:
    """Where answers come from; `answer` writes them, without taking them into the roll-ups."""

    brand: Brand
    touchpoint: Touchpoint
    survey: Survey
    version_id: int

    def answer(
        self, given: Iterable[int | None], *, on: date = TODAY, at: datetime | None = None, **more: Any
    ) -> list[int]:
        """Write one response for each score given; `more` are columns."""
        moment = at or datetime.combine(on, NOON)
        values: dict[str, Any] = {
            "survey_id": self.survey.id,
            "version_id": self.version_id,
            "brand_id": self.brand.id,
            "touchpoint_id": self.touchpoint.id,
            "channel": "email",
            "language": "en",
            "state": ResponseState.COMPLETE,
            "metric": "nps",
            "question": "nps",
            "scores": {},
            "why": [],
            "answers": {},
            "answered_at": moment,
            "received_at": moment,
        }
        rows = [{"public_id": new_public_id(), **values, "score": score, **more} for score in given]
        return list(db.session.scalars(insert(Response).returning(Response.id), rows)) if rows else []

    def asked(self, days: int = 30, end: date = TODAY, **more: Any) -> Asked:
        return Asked(more.pop("metric", Metric.NPS), end - timedelta(days=days - 1), end, **more)


def open_shop(brand: Brand | None = None) -> Shop:
    brand = brand or make_brand()
    survey = make_survey(brand)
    return Shop(brand, make_touchpoint(brand), survey, versions.current(survey.id).id)


@pytest.fixture
def shop(app: Flask) -> Shop:
    return open_shop()


@pytest.fixture
def hanna(app: Flask) -> Customer:
    return make_customer()


@pytest.fixture
def to_noon(moved_clock: Callable[[timedelta], None]) -> None:
    """Move the process's clock to noon of TODAY (UTC)."""
    moved_clock(datetime.combine(TODAY, NOON) - clock.now())
