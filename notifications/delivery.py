"""Sending what was posted."""

from __future__ import annotations

from datetime import datetime

from core import outbox
from notifications.messages import SEND


@outbox.handler(SEND, queue="messages", batch=outbox.BATCH)
def send(items: list[outbox.Item], *, now: datetime) -> None:
    """Hand messages to the provider."""
    raise outbox.Later(now + outbox.LEASE)


def settle_stuck(*, now: datetime) -> int:
    return 0
