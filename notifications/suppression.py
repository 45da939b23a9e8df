"""Addresses we must not write to. Kept as keyed hashes: they outlive erasure and tell nobody who stands behind them.

Scopes: `all` (the address is dead, or its owner was erased) stops every message but those to staff; `survey` and
`marketing` stop only messages of that purpose, so that somebody who unsubscribed still gets the answer to their
complaint.
"""

from __future__ import annotations

import hmac
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from typing import Final, Literal, cast

from flask import current_app
from sqlalchemy import Table, Text, any_, bindparam, delete, select
from sqlalchemy.dialects.postgresql import ARRAY, insert

from core.config import Config
from core.db import db
from core.prepared import Prepared
from notifications.kinds import Purpose
from notifications.models import Suppression, SuppressionReason

Scope = Literal["all", "survey", "marketing"]


_suppression = cast(Table, Suppression.__table__)
_AMONG: Final = Prepared(
    select(_suppression.c.address_hash, _suppression.c.scope).where(
        _suppression.c.address_hash == any_(bindparam("hashes", type_=ARRAY(Text)))
    )
)


def is_suppressed(address: str, purpose: Purpose | str) -> bool:
    """Whether a message of this purpose must not go to this address."""
    return bool(suppressed_among([address], purpose))


def suppressed_among(addresses: Iterable[str], purpose: Purpose | str) -> set[str]:
    """Return those of `addresses`, as given, that a message of this purpose must not go to; one statement."""
    return {address for address, scopes in scopes_of(addresses).items() if scopes & stopping(purpose)}


def scopes_of(addresses: Iterable[str]) -> dict[str, set[str]]:
    """Return the scopes under which addresses are suppressed, without those that are not; one statement."""
    spelled: dict[str, list[str]] = defaultdict(list)
    for address in set(addresses):
        spelled[_written(address)].append(address)
    owners = {hashed: written for written in spelled for hashed in _hashes(written)}
    found: dict[str, set[str]] = defaultdict(set)
    if owners:
        for hashed, scope in _AMONG.run(hashes=list(owners)):
            for address in spelled[owners[hashed]]:
                found[address].add(scope)
    return dict(found)


def stopping(purpose: Purpose | str) -> set[str]:
    """Return the scopes that stop messages of a purpose."""
    if purpose == Purpose.STAFF:
        return set()
    return {"all"} if purpose == Purpose.SERVICE else {"all", str(purpose)}


def erased_among(addresses: Iterable[str]) -> set[str]:
    """Return those of `addresses`, as given, whose owner was erased."""
    spelled: dict[str, set[str]] = defaultdict(set)
    for address in addresses:
        for hashed in _hashes(address):
            spelled[hashed].add(address)
    query = select(Suppression.address_hash).where(
        Suppression.address_hash.in_(spelled), Suppression.reason == SuppressionReason.ERASED
    )
    return {address for hashed in db.session.scalars(query) for address in spelled[hashed]}


def suppress(address: str, scope: Scope, reason: SuppressionReason | str, now: datetime) -> None:
    """Write to this address no more, as far as `scope` reaches; again changes at most why: erased."""
    row = {
        "address_hash": _hashes(address)[0],
        "scope": scope,
        "reason": SuppressionReason(reason).value,
        "created_at": now,
    }
    statement, same = insert(Suppression).values(row), ["address_hash", "scope"]
    if row["reason"] == SuppressionReason.ERASED:
        statement = statement.on_conflict_do_update(index_elements=same, set_={"reason": row["reason"]})
    else:
        statement = statement.on_conflict_do_nothing(index_elements=same)
    db.session.execute(statement)


def lift(address: str, scope: Scope) -> bool:
    """Allow writing to this address again, because its owner asked for it; return whether it was suppressed.

    Only the scope named is lifted: a dead address stays dead, whatever somebody agrees to.
    """
    mine = Suppression.address_hash.in_(_hashes(address)) & (Suppression.scope == scope)
    return bool(db.session.scalars(delete(Suppression).where(mine).returning(Suppression.id)).all())


def hashes_of(addresses: Iterable[str]) -> list[str]:
    """Return what stands in the list for these addresses, under every key of this installation."""
    return [each for address in addresses for each in _hashes(address)]


def _written(address: str) -> str:
    return address.strip().lower()


def _hashes(address: str) -> list[str]:
    """Return the address's hash under each key of this installation, the present one first."""
    config: Config = current_app.extensions["config"]
    text = f"suppression:{_written(address)}".encode("utf-8", "surrogatepass")
    keys = (config.secret_key, *config.previous_secret_keys)
    return [hmac.digest(key.encode(), text, "sha256").hex() for key in keys]
