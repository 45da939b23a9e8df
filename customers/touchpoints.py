"""Where customer and company meet, by the key a connected system names; and how they come, change and go."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, cast

from flask_babel import gettext as _
from sqlalchemy import Table, Text, any_, bindparam, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.exc import IntegrityError

from core import editing, events
from core.db import constraint_of, db
from core.errors import Conflict
from core.prepared import Prepared
from customers import journey
from customers.models import Brand, Stage, Touchpoint

_touchpoint = cast(Table, Touchpoint.__table__)
_IN_USE: Final = Prepared(
    select(_touchpoint.c.key, _touchpoint.c.id).where(
        _touchpoint.c.key == any_(bindparam("keys", type_=ARRAY(Text))), _touchpoint.c.archived_at.is_(None)
    )
)


def ids_by_key(keys: Iterable[str]) -> dict[str, int]:
    """Return the ids of the touchpoints in use among `keys`, in one statement."""
    return {row.key: row.id for row in _IN_USE.run(keys=list(set(keys)))}


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
