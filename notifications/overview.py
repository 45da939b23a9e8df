"""How messages fare, for staff: the last ones and what went wrong lately."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import func, select

from core.db import db
from notifications.models import Message

LAST = 50
LATELY = timedelta(days=7)


def last_messages() -> Sequence[Message]:
    """Return the newest messages, newest first."""
    return db.session.scalars(select(Message).order_by(Message.id.desc()).limit(LAST)).all()


def failures(*, now: datetime) -> Counter[str]:
    """Return how many of the last week's messages have each word of failure."""
    lately = (Message.state_at > now - LATELY) & Message.failure.is_not(None)
    rows = db.session.execute(select(Message.failure, func.count()).where(lately).group_by(Message.failure))
    return Counter({str(word): count for word, count in rows})
