"""Where customer and company meet, by the key a connected system names."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import select
from sqlalchemy.orm import joinedload

from core.db import db
from customers.models import Touchpoint


def by_key(key: str) -> Touchpoint | None:
    return by_keys([key]).get(key)


def by_keys(keys: Iterable[str]) -> dict[str, Touchpoint]:
    """Return the touchpoints in use among `keys`, with their brands and calendars, in one statement."""
    query = select(Touchpoint).where(Touchpoint.key.in_(set(keys)), Touchpoint.archived_at.is_(None))
    query = query.options(joinedload(Touchpoint.brand), joinedload(Touchpoint.stage))
    return {touchpoint.key: touchpoint for touchpoint in db.session.scalars(query)}
