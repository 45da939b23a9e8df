"""Keys of connected systems: 256 random bits, shown once and kept as a hash; with scopes, perhaps an end."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final, cast

from flask_babel import LazyString
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import Table, bindparam, select
from sqlalchemy.exc import IntegrityError

from accounts.models import ApiKey, Staff
from core import events
from core.db import constraint_of, db, new_public_id
from core.errors import Conflict, NotFound, Refusal
from core.prepared import Prepared
from core.tokens import hash_secret, new_secret

PREFIX: Final = "amends_"  # secret scanners find a leaked key by it
HINT_LENGTH: Final = len(PREFIX) + 4
MAX_LENGTH: Final = 200  # characters of a header we look at

SCOPES: Final[dict[str, LazyString]] = {
    "interactions:write": _l("Tell us of interactions"),
    "complaints:write": _l("Hand over complaints"),
    "customers:erase": _l("Erase customers"),
    "responses:read": _l("Read answers"),
    "metrics:read": _l("Read figures"),
}


class NoKey(Refusal):
    """No key, or none that we know or that still works; which of these it is stays with us."""

    status, code = 401, "no-key"
    headers = {"WWW-Authenticate": 'Bearer realm="Amends"'}

    def sentence(self) -> str:
        return _("This call needs a valid API key: Authorization: Bearer <key>.")


class MissingScope(Refusal):
    status, code = 403, "missing-scope"

    def __init__(self, scope: str) -> None:
        super().__init__(_("This API key lacks the scope %(scope)s.", scope=scope), scope=scope)
        self.headers = {"WWW-Authenticate": f'Bearer realm="Amends", error="insufficient_scope", scope="{scope}"'}


class AlreadyMade(Conflict):
    code = "already-made"

    def sentence(self) -> str:
        return _("This key was already made, and its secret was shown then. Make another one if it was lost.")


def create(
    name: str,
    scopes: Iterable[str],
    *,
    by: Staff | None,
    now: datetime,
    expires_at: datetime | None = None,
    public_id: str | None = None,
) -> tuple[ApiKey, str]:
    """Return a new key and its secret, which nobody can read again.

    `public_id` may come from the form, so that a form sent twice makes one key (AlreadyMade). Raises ValueError for an
    unknown scope.
    """
    wanted = sorted(set(scopes))
    if not wanted or set(wanted) - SCOPES.keys():
        raise ValueError(f"Scopes are {', '.join(SCOPES)}.")
    secret = new_secret(PREFIX)
    key = ApiKey(
        public_id=public_id or new_public_id(),
        name=name.strip(),
        secret_hash=hash_secret(secret),
        hint=secret[:HINT_LENGTH],
        scopes=wanted,
        created_at=now,
        created_by_id=by.id if by else None,
        expires_at=expires_at,
    )
    _insert(key)
    actor = events.staff_actor(by.id) if by else "system"
    events.record("api_key.created", at=now, actor=actor, key=key.id, scopes=wanted)
    return key, secret


def _insert(key: ApiKey) -> None:
    try:
        with db.session.begin_nested():
            db.session.add(key)
    except IntegrityError as error:
        if constraint_of(error) == "uq_api_key_public_id":
            raise AlreadyMade from error
        raise


def revoke(key: ApiKey, *, by: Staff, now: datetime) -> None:
    """Switch a key off for good; a second time changes nothing."""
    if key.revoked_at is None:
        key.revoked_at = now
        db.session.flush()
        events.record("api_key.revoked", at=now, actor=events.staff_actor(by.id), key=key.id)


_key = cast(Table, ApiKey.__table__)
_BY_HASH: Final = Prepared(
    select(_key.c.id, _key.c.revoked_at, _key.c.expires_at, _key.c.scopes).where(
        _key.c.secret_hash == bindparam("hashed", type_=_key.c.secret_hash.type)
    )
)


def check(header: str | None, scope: str, *, now: datetime) -> int:
    """Return the id of an Authorization header's key if it works now and has the scope. Raises NoKey, MissingScope.

    The secret is looked up by its hash: how long that takes tells nothing of how near a guess was.
    """
    secret = _bearer(header)
    found = _BY_HASH.alone(hashed=hash_secret(secret)) if secret else []
    key = found[0] if found else None
    if key is None or key.revoked_at is not None or (key.expires_at is not None and key.expires_at <= now):
        raise NoKey
    if scope not in key.scopes:
        raise MissingScope(scope)
    return int(key.id)


def _bearer(header: str | None) -> str | None:
    kind, _space, secret = (header or "")[:MAX_LENGTH].partition(" ")
    return secret.strip() if kind.lower() == "bearer" else None


def by_public_id(public_id: str) -> ApiKey:
    key = db.session.scalar(select(ApiKey).where(ApiKey.public_id == public_id))
    if key is None:
        raise NotFound
    return key


def every_key() -> Sequence[ApiKey]:
    """Return all keys, those that work first, newest first."""
    return db.session.scalars(select(ApiKey).order_by(ApiKey.revoked_at.desc().nulls_first(), ApiKey.id.desc())).all()
