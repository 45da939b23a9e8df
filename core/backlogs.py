"""What waits in the outbox, for alerts: two looks along its partial indexes, so that what was done costs nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select

from core.db import db
from core.outbox import QUEUES, Work


@dataclass(frozen=True)
class Backlog:
    """What waits in one queue: pieces that are due, how long the oldest of them is, and how many were given up."""

    queue: str
    due: int
    late_seconds: float
    dead: int


def backlogs(*, now: datetime) -> list[Backlog]:
    """Return the backlog of every queue, also of the empty ones: an alert needs a zero, not an absence."""
    waiting = select(Work.queue, func.count(), func.min(Work.due_at)).where(
        Work.done_at.is_(None), Work.dead_at.is_(None)
    )
    given_up = select(Work.queue, func.count()).where(Work.dead_at.is_not(None)).group_by(Work.queue)
    due = {
        queue: (count, (now - oldest).total_seconds())
        for queue, count, oldest in db.session.execute(waiting.where(Work.due_at <= now).group_by(Work.queue))
    }
    dead = {row.queue: row[1] for row in db.session.execute(given_up)}
    return [Backlog(queue, *due.get(queue, (0, 0.0)), dead.get(queue, 0)) for queue in QUEUES]
