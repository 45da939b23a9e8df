"""Work behind the requests that needs a look: given up, or waiting much longer than it should."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import or_, select

from core import events, outbox
from core.db import db
from core.errors import NotFound
from core.outbox import Work

LATE_AFTER: Final = timedelta(minutes=5)


def dead(*, limit: int = 100) -> Sequence[Work]:
    """Return work that was given up after its last attempt, newest first."""
    return db.session.scalars(
        select(Work).where(Work.dead_at.is_not(None)).order_by(Work.dead_at.desc()).limit(limit)
    ).all()


def stuck(*, now: datetime, limit: int = 100) -> Sequence[Work]:
    """Return work that failed and is tried again, or that has been due for five minutes, oldest first."""
    statement = (
        select(Work)
        .where(Work.done_at.is_(None), Work.dead_at.is_(None))
        .where(or_(Work.attempts > 0, Work.due_at < now - LATE_AFTER))
        .order_by(Work.due_at)
        .limit(limit)
    )
    return db.session.scalars(statement).all()


def revive(work_id: int, *, by: str, now: datetime) -> None:
    """Give dead work its attempts back; raises NotFound when it isn't dead (any more)."""
    if not outbox.revive(work_id, now=now):
        raise NotFound
    events.record("work.revived", at=now, actor=by, work=work_id)
