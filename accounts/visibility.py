"""Which brands somebody sees: a team bound to one brand works on that brand's records alone."""

from __future__ import annotations

from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Select
from sqlalchemy.orm import InstrumentedAttribute

from accounts.models import Staff

Rows = TypeVar("Rows", bound=Select[Any])


def brand_of(staff: Staff) -> int | None:
    """Return the id of the one brand this person sees, or None for all of them."""
    return staff.team.brand_id if staff.team else None


def visible_to(staff: Staff, statement: Rows, brand_column: InstrumentedAttribute[Any] | ColumnElement[Any]) -> Rows:
    """Return the statement cut to what this person may see; `brand_column` is its column of brand ids.

    Rows of no brand stay hidden from a team of one brand.
    """
    brand_id = brand_of(staff)
    return statement if brand_id is None else statement.where(brand_column == brand_id)


def sees(staff: Staff, brand_id: int | None) -> bool:
    """Whether this person sees a row of this brand (None: of no one brand), as `visible_to` finds it."""
    return brand_of(staff) in (None, brand_id)
