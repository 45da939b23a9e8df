"""A call repeated under the same Idempotency-Key is answered as the first was, and does nothing again."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final, cast

from flask import Response, g, jsonify, request
from sqlalchemy import Table, bindparam, delete, select, update
from sqlalchemy.dialects.postgresql import insert

from api.models import IdempotencyKey
from core.db import db
from core.errors import BadInput, Refusal
from core.prepared import Prepared

KEPT: Final = timedelta(hours=24)
_SHAPE = re.compile(r"[\x21-\x7e]{1,200}")


_key = cast(Table, IdempotencyKey.__table__)
_GIVEN: Final = ("api_key_id", "key", "request_hash", "created_at")
_TAKE: Final = Prepared(
    insert(_key)
    .values({name: bindparam(name, type_=_key.c[name].type) for name in _GIVEN})
    .on_conflict_do_nothing(index_elements=["api_key_id", "key"])
    .returning(_key.c.id)
)
_ANSWERED: Final = Prepared(
    update(_key)
    .where(_key.c.id == bindparam("row_id", type_=_key.c.id.type))
    .values({name: bindparam(name, type_=_key.c[name].type) for name in ("status", "answer")})
    .returning(_key.c.id)
)


class KeyReused(Refusal):
    status, code = 422, "idempotency-key-reused"

    def sentence(self) -> str:
        return "This Idempotency-Key was used for another request. Use a new key for a new request."


def once(work: Callable[[], tuple[int, Any]], *, now: datetime) -> Response:
    """Run `work()` -> (status, JSON answer) once for the request's key, commit, and answer; without a key just run it.

    The key's row is inserted first in the same transaction: a second call waits at the unique index until the first has
    committed, and then finds its answer; if the first was rolled back, the second does the work.
    """
    key = request.headers.get("Idempotency-Key")
    if key is None:
        status, answer = work()
        db.session.commit()
        return _response(status, answer)
    if not _SHAPE.fullmatch(key):
        raise BadInput([{"field": "Idempotency-Key", "detail": "It must have 1 to 200 visible ASCII characters."}])
    row_id = _take(key, now)
    if row_id is None:
        return _replay(key)
    status, answer = work()
    _ANSWERED.run(row_id=row_id, status=status, answer=answer)
    db.session.commit()
    return _response(status, answer)


def _take(key: str, now: datetime) -> int | None:
    taken = _TAKE.run(api_key_id=g.api_key_id, key=key, request_hash=_hash(), created_at=now)
    return int(taken[0].id) if taken else None


def _replay(key: str) -> Response:
    mine = (IdempotencyKey.api_key_id == g.api_key_id) & (IdempotencyKey.key == key)
    first = db.session.scalar(select(IdempotencyKey).where(mine))
    if first is None or first.request_hash != _hash():
        raise KeyReused(field="Idempotency-Key")
    response = _response(first.status or 200, first.answer)
    response.headers["Idempotent-Replayed"] = "true"
    db.session.rollback()
    return response


def _hash() -> str:
    return hashlib.sha256(b"\n".join([request.method.encode(), request.path.encode(), request.get_data()])).hexdigest()


def _response(status: int, answer: Any) -> Response:
    response = jsonify(answer)
    response.status_code = status
    return response


def forget(*, now: datetime) -> int:
    """Delete up to 1,000 keys older than a day; return how many went."""
    old = select(IdempotencyKey.id).where(IdempotencyKey.created_at < now - KEPT).limit(1000)
    gone = db.session.scalars(
        delete(IdempotencyKey).where(IdempotencyKey.id.in_(old)).returning(IdempotencyKey.id)
    ).all()
    return len(gone)
