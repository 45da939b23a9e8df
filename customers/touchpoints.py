"""Where customer and company meet, by the key a connected system names; and how they come, change and go."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask_babel import gettext as _
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import joinedload

from core import editing, events
from core.db import constraint_of, db
from core.errors import Conflict
from customers import journey
from customers.models import Brand, Stage, Touchpoint


def by_key(key: str) -> Touchpoint | None:
    return by_keys([key]).get(key)


def by_keys(keys: Iterable[str]) -> dict[str, Touchpoint]:
    """Return the touchpoints in use among `keys`, with their brands and calendars, in one statement."""
    query = select(Touchpoint).where(Touchpoint.key.in_(set(keys)), Touchpoint.archived_at.is_(None))
    query = query.options(joinedload(Touchpoint.brand), joinedload(Touchpoint.stage))
    return {touchpoint.key: touchpoint for touchpoint in db.session.scalars(query)}


# Settings


class KeyTaken(Conflict):
    code = "touchpoint-key-taken"

    def sentence(self) -> str:
        return _("Another touchpoint has this short name already. Choose a different one.")


@dataclass(frozen=True)
class TouchpointData:
    """What of a touchpoint may change; `phrases` by language, as they stand after "about": "your call"."""

    name: str
    brand: Brand
    stage: Stage
    icon: str
    phrases: Mapping[str, str]


def create(key: str, data: TouchpointData, *, by: str, now: datetime) -> Touchpoint:
    """Add a touchpoint; connected systems name it by its key, which stays. Raises KeyTaken."""
    touchpoint = Touchpoint(key=key, **_columns(data))
    try:
        with db.session.begin_nested():
            db.session.add(touchpoint)
    except IntegrityError as error:
        if constraint_of(error) == "uq_touchpoint_key":
            raise KeyTaken(field="key") from error
        raise
    events.record("touchpoint.created", at=now, actor=by, touchpoint=touchpoint.id)
    return touchpoint


def change(touchpoint: Touchpoint, data: TouchpointData, *, by: str, now: datetime) -> None:
    """Change a touchpoint; figures of before stay with it."""
    changed = [name for name in editing.apply(touchpoint, _columns(data)) if not name.endswith("_id")]
    db.session.flush()
    if changed:
        events.record("touchpoint.changed", at=now, actor=by, touchpoint=touchpoint.id, fields=changed)


def archive(touchpoint: Touchpoint, *, by: str, now: datetime) -> None:
    """Take a touchpoint out of use: connected systems can tell of nothing there any more. What happened stays."""
    if touchpoint.archived_at is None:
        touchpoint.archived_at = now
        db.session.flush()
        events.record("touchpoint.archived", at=now, actor=by, touchpoint=touchpoint.id)


def take_back(touchpoint: Touchpoint, *, by: str, now: datetime) -> None:
    """Put an archived touchpoint into use again, with its stage."""
    if touchpoint.archived_at is not None:
        touchpoint.archived_at = None
        if touchpoint.stage.archived_at is not None:
            journey.take_back(touchpoint.stage, by=by, now=now)
        db.session.flush()
        events.record("touchpoint.taken_back", at=now, actor=by, touchpoint=touchpoint.id)


def _columns(data: TouchpointData) -> dict[str, Any]:
    return {
        "name": data.name,
        "brand": data.brand,
        "brand_id": data.brand.id,
        "stage": data.stage,
        "stage_id": data.stage.id,
        "icon": data.icon,
        "phrases": dict(data.phrases),
    }
