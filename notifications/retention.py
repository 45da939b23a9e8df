"""Messages keep their words for a time (AMENDS_MESSAGE_DAYS), then only that they were sent and what became of them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from flask import current_app
from sqlalchemy import select

from core.config import Config
from core.db import db
from notifications import erasure
from notifications.models import Message

BATCH: Final = 1000


def forget(*, now: datetime) -> int:
    """Empty up to 1,000 messages whose time is over, the oldest first; return how many.

    The local mailbox's copies go with them. The caller commits, and goes on while there are any.
    """
    config: Config = current_app.extensions["config"]
    over = now - timedelta(days=config.message_days)
    old = select(Message.id).where(Message.erased_at.is_(None), Message.created_at < over).order_by(Message.created_at)
    ids = db.session.scalars(old.limit(BATCH).with_for_update(skip_locked=True)).all()
    return erasure.empty(Message.id.in_(ids), now=now) if ids else 0
