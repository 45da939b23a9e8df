"""How often one network address may send an open form: counted in Redis, and not at all while Redis is away."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from flask_babel import gettext as _
from redis.exceptions import RedisError

from core import outbox
from core.errors import Refusal
from core.tokens import hash_secret

MINUTE: Final = 60  # seconds


class TooFast(Refusal):
    status, code = 429, "too-fast"

    def sentence(self) -> str:
        return _("That was a lot at once from your network. Please wait a minute, then send it again.")


def check(place: str, address: str, *, most: int, seconds: int = MINUTE, now: datetime) -> None:
    """Count one try at `place` from an address; `most` are taken in `seconds`. Raises TooFast, but not without Redis.

    Only a hash of the address is kept, for two such spans of time.
    """
    key = f"pace:{hash_secret(f'{place}:{address}')[:24]}:{int(now.timestamp()) // seconds}"
    try:
        with outbox.connection().pipeline(transaction=False) as pipe:
            pipe.incr(key)
            pipe.expire(key, 2 * seconds)
            tries = pipe.execute()[0]
    except RedisError:
        return
    if tries > most:
        raise TooFast
