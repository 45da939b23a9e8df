"""Who changed a setting last, for the page on which somebody else just tried to."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from flask_babel import gettext as _
from sqlalchemy import select

from accounts.models import Staff
from core.db import db
from core.events import Event


@dataclass(frozen=True)
class Change:
    who: str
    at: datetime


def last_change(*kinds: str, **ids: int) -> Change | None:
    """Return the newest event of these kinds that names these ids, with the name of who did it."""
    query = select(Event.actor, Event.at).where(Event.kind.in_(kinds)).order_by(Event.id.desc()).limit(1)
    row = db.session.execute(query.where(Event.data.contains(ids))).first()
    return Change(name_of(row.actor), row.at) if row else None


def name_of(actor: str) -> str:
    """Return the name behind an event's actor, for example of staff:12."""
    kind, _colon, number = actor.partition(":")
    if kind != "staff" or not number.isdigit():
        return _("The system")
    return db.session.scalar(select(Staff.name).where(Staff.id == int(number))) or _("Somebody")
