"""How often one address may fill in an open form: generous, counted in Redis, and not at all while Redis is away."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from redis.exceptions import RedisError

from core import outbox
from core.errors import Refusal
from core.tokens import hash_secret

PER_MINUTE: Final = 20  # a family, a shop's tablet or an office behind one address stays below

KEPT_SECONDS: Final = 120


class TooFast(Refusal):
    status, code = 429, "too-fast"


def check(place: str, address: str, *, now: datetime) -> None:
    """Count one try at `place` from a network address. Raises TooFast; answers are taken while Redis is away."""
    key = f"pace:{hash_secret(f'{place}:{address}')[:24]}:{int(now.timestamp()) // 60}"
    try:
        with outbox.connection().pipeline(transaction=False) as pipe:
            pipe.incr(key)
            pipe.expire(key, KEPT_SECONDS)
            tries = pipe.execute()[0]
    except RedisError:
        return
    if tries > PER_MINUTE:
        raise TooFast
