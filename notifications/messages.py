"""Posting messages: a row with its values and the work to send it, in the transaction of what caused it.

A kind goes out once per reason (`invitation:812`): posting again, also at the same moment, gives the row that is there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask import current_app
from sqlalchemy import select, tuple_

from core import outbox, tokens
from core.db import db, new_public_id
from core.i18n import DEFAULT, known_code
from core.inserting import insert_all
from customers.contacts import written_email
from customers.models import Brand, Customer
from notifications import suppression
from notifications.kinds import KINDS, checked
from notifications.models import Message, State

SEND = "message.send"
MOST_NAME = 200  # characters of a recipient's name


@dataclass(frozen=True)
class Draft:
    """One message to be posted. `to_address` is one the shop vouches for or the customer confirmed, never a typed one.

    values: what the kind declares; `unsubscribe_url` is put in here, because it names the message itself.
    """

    kind: str
    reason: str
    brand: Brand
    language: str | None
    values: Mapping[str, object]
    to_address: str | None
    to_name: str | None = None
    customer_id: int | None = None
    case_id: int | None = None
    due_at: datetime | None = None  # None: at once


def post(
    kind: str,
    *,
    reason: str,
    brand: Brand,
    customer: Customer | None,
    language: str | None,
    values: Mapping[str, object],
    to_address: str | None,
    to_name: str | None,
    case_id: int | None = None,
    now: datetime,
    due_at: datetime | None = None,
) -> Message | None:
    """Post one message, to leave at `due_at` (default: now). None where there is no address that can be written to.

    Raises kinds.BadValues for values that do not fit the kind. At most four statements.
    """
    draft = Draft(
        kind=kind,
        reason=reason,
        brand=brand,
        language=language,
        values=values,
        to_address=to_address,
        to_name=to_name,
        customer_id=customer.id if customer else None,
        case_id=case_id,
        due_at=due_at,
    )
    return post_many([draft], now=now)[0]


def post_many(drafts: Sequence[Draft], *, now: datetime) -> list[Message | None]:
    """Post up to 1,000 messages; return them in the order given, None where there is no usable address.

    Three statements however many, and a fourth when some of them had been posted before.
    """
    rows = {(draft.kind, draft.reason): row for draft in drafts if (row := _row(draft, now))}
    due = {(draft.kind, draft.reason): draft.due_at or now for draft in drafts}
    if not rows:
        return [None] * len(drafts)
    _mark_suppressed(rows)
    ordered = [rows[key] for key in sorted(rows)]  # one order, so that two batches cannot lock each other
    new = insert_all(Message, ordered, unless="(kind, reason)")
    known = {(message.kind, message.reason): message for message in new}
    outbox.later_each(
        SEND,
        [
            (str(message.id), {"message_id": message.id}, due[message.kind, message.reason])
            for message in new
            if message.state == State.CREATED
        ],
    )
    known |= _posted_before(rows.keys() - known.keys())
    return [known.get((draft.kind, draft.reason)) for draft in drafts]


def for_reason(kind: str, reason: str) -> Message | None:
    """Return the message of a kind about one thing, or None if none was posted."""
    return db.session.scalar(select(Message).where(Message.kind == kind, Message.reason == reason))


def unsubscribe_url(message: Message) -> str:
    """Return where this message's recipient can stop its kind, by a mail program's button or by a page."""
    return _unsubscribe_url(message.public_id)


def _unsubscribe_url(public_id: str) -> str:
    token = tokens.sign("unsubscribe", public_id)
    return f"{current_app.extensions['config'].base_url}/u/{token}/unsubscribe"


def _row(draft: Draft, now: datetime) -> dict[str, Any] | None:
    kind = KINDS[draft.kind]
    public_id = new_public_id()
    values = dict(draft.values)
    if "unsubscribe_url" in kind.fields:
        values.setdefault("unsubscribe_url", _unsubscribe_url(public_id))
    ready = checked(kind, values)
    address = written_email(draft.to_address or "")
    if address is None:
        return None
    return {
        "public_id": public_id,
        "kind": kind.name,
        "version": kind.version,
        "reason": draft.reason,
        "language": known_code(draft.language) or known_code(draft.brand.language) or DEFAULT,
        "brand_id": draft.brand.id,
        "customer_id": draft.customer_id,
        "case_id": draft.case_id,
        "to_address": address,
        "to_name": (draft.to_name or "").strip()[:MOST_NAME] or None,
        "values": ready,
        "state": State.CREATED,
        "state_at": now,
        "failure": None,
        "created_at": now,
    }


def _mark_suppressed(rows: Mapping[Any, dict[str, Any]]) -> None:
    """Nothing is sent to an address that must not be written to; the row stays to say why nothing came."""
    scopes = suppression.scopes_of(row["to_address"] for row in rows.values())
    for row in rows.values():
        if scopes.get(row["to_address"], set()) & suppression.stopping(KINDS[row["kind"]].purpose):
            row |= {"state": State.SUPPRESSED, "failure": "suppressed"}


def _posted_before(keys: set[tuple[str, str]]) -> dict[tuple[str, str], Message]:
    if not keys:
        return {}
    query = select(Message).where(tuple_(Message.kind, Message.reason).in_(keys))
    return {(message.kind, message.reason): message for message in db.session.scalars(query)}
