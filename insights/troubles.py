"""What an administrator must know of: work given up or stuck, and messages that do not leave."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Select, func, or_, select

from core.db import db, written
from core.outbox import Work
from notifications.models import Message, State

CAP: Final = 99
LATE_AFTER: Final = timedelta(minutes=5)


@dataclass(frozen=True)
class Troubles:
    """Counts up to CAP + 1."""

    dead: int
    stuck: int
    unsent: int  # messages that should have left five minutes ago
    uncertain: int  # whose provider never said whether it took them

    @property
    def none(self) -> bool:
        return not (self.dead or self.stuck or self.unsent or self.uncertain)


def troubles(*, now: datetime) -> Troubles:
    """Return what needs a look in one statement, each count by its own partial index and capped."""
    late = now - LATE_AFTER
    waiting = (Work.done_at.is_(None), Work.dead_at.is_(None))
    unsent = (written(Message.state, (State.CREATED, State.SENDING)), Message.state_at < late)
    wanted: tuple[Select[Any], ...] = (
        select(Work.id).where(Work.dead_at.is_not(None)),
        select(Work.id).where(*waiting, or_(Work.attempts > 0, Work.due_at < late)),
        select(Message.id).where(*unsent),
        select(Message.id).where(written(Message.state, [State.UNCERTAIN])),
    )
    return Troubles(*db.session.execute(select(*map(_capped, wanted))).one())


def _capped(query: Select[Any]) -> Any:
    return select(func.count()).select_from(query.limit(CAP + 1).subquery()).scalar_subquery()


def shown(count: int) -> str:
    return f"{CAP}+" if count > CAP else str(count)
