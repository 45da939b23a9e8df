"""A brand with its team, and Monday 10 November 2025, 09:00 in Berlin as a fixed point in working time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask

from accounts.models import Staff
from customers.models import Brand
from feedback import policies
from tests.factories import make_brand, make_staff, make_team

MONDAY_9 = datetime(2025, 11, 10, 8, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def brand(app: Flask) -> Brand:
    brand = make_brand()
    policies.forget()
    return brand


@pytest.fixture
def ana(brand: Brand) -> Staff:
    """An agent of the brand's team."""
    return make_staff("agent", name="Ana Silva", team=make_team(brand))


@pytest.fixture
def alice(brand: Brand) -> Staff:
    """A lead who sees every brand."""
    return make_staff("lead", name="Alice Lind")


@pytest.fixture
def bob(app: Flask) -> Staff:
    """An agent of another brand."""
    return make_staff("agent", name="Bob Ray", team=make_team(make_brand()))
