"""What the provider tells of messages it took, and what follows from it.

The rule: a message's state is that of the highest-ranking event known of it, accepted < delivered < dropped < bounced,
and its moment is the earliest such event's. So events that come twice, late or in another order end in the same state.
Any event outranks what we knew ourselves (`uncertain` above all): the provider had the message.

An address that is dead is suppressed for everything. A spam report or an unsubscribe stops surveys and marketing, and
takes the consent back; only an event that is new does so, so that a repeated one cannot undo a later consent.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import structlog
from prometheus_client import Counter
from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import joinedload

from core import events as log_of_events
from core.db import db
from core.errors import BadInput
from customers import customers
from customers.models import Customer
from notifications import preferences, suppression
from notifications.models import Message, MessageEvent, State, SuppressionReason
from notifications.sendgrid import MESSAGE_ARGUMENT

RANKED: Final = (State.ACCEPTED, State.DELIVERED, State.DROPPED, State.BOUNCED)
STATE_OF: Final[Mapping[str, State]] = {
    "processed": State.ACCEPTED,
    "deferred": State.ACCEPTED,
    "delivered": State.DELIVERED,
    "open": State.DELIVERED,
    "click": State.DELIVERED,
    "spamreport": State.DELIVERED,
    "unsubscribe": State.DELIVERED,
    "group_unsubscribe": State.DELIVERED,
    "dropped": State.DROPPED,
    "bounce": State.BOUNCED,
}
LATEST_TIMESTAMP: Final = 2**33
TAKES_CONSENT: Final = (SuppressionReason.SPAM_REPORT, SuppressionReason.UNSUBSCRIBE)

log = structlog.get_logger(__name__)
events_total = Counter("amends_mail_events_total", "Events that the mail provider told, without repetitions", ["kind"])


@dataclass(frozen=True)
class ProviderEvent:
    """One event; `because` is what the provider says of a bounce (its type) or a drop (its reason), in lower case."""

    id: str
    message_public_id: str
    kind: str
    at: datetime
    because: str = ""


def read(body: bytes) -> list[ProviderEvent]:
    """Return the events of a webhook that are about our messages; others are left out. Raises BadInput for no list."""
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        raise BadInput([{"field": None, "detail": "The body is not JSON."}]) from None
    if not isinstance(told, list):
        raise BadInput([{"field": None, "detail": "The body must be a list of events."}])
    return [event for each in told if (event := _event(each))]


def _event(told: Any) -> ProviderEvent | None:
    if not isinstance(told, dict):
        return None
    id, message, kind = (_word(told.get(name)) for name in ("sg_event_id", MESSAGE_ARGUMENT, "event"))
    at = told.get("timestamp")
    if not id or not message or kind not in STATE_OF or not isinstance(at, int) or not 0 < at < LATEST_TIMESTAMP:
        return None
    because = told.get("type") if kind == "bounce" else told.get("reason")
    return ProviderEvent(id, message, kind, datetime.fromtimestamp(at, UTC), str(because or "").lower())


def _word(value: Any) -> str:
    return value if isinstance(value, str) and len(value) <= 200 and value.isprintable() else ""


def keep(events: Sequence[ProviderEvent], *, now: datetime) -> int:
    """Keep what is new and bring the messages to the state that follows; return how many events were new."""
    _hold_customers({event.message_public_id for event in events if _stopping_reason(event) in TAKES_CONSENT})
    messages = _locked({event.message_public_id for event in events})
    ours = {event.id: event for event in events if event.message_public_id in messages}
    new = [ours[id] for id in _insert(ours, messages, now)]
    if not new:
        return 0
    _settle({messages[event.message_public_id].id: messages[event.message_public_id] for event in new})
    # By address, for those are written to the list of whom not to write to: of two webhooks about the same ones, the
    # second waits for the first, and not each for the other.
    for event in sorted(new, key=lambda each: ((messages[each.message_public_id].to_address or "").lower(), each.kind)):
        events_total.labels(event.kind).inc()
        _follow(event, messages[event.message_public_id], now)
    return len(new)


def _hold_customers(public_ids: set[str]) -> None:
    """Hold those whose consent is taken back before their messages, as erasing and merging do."""
    named = select(Message.customer_id).where(Message.public_id.in_(public_ids), Message.customer_id.is_not(None))
    held: set[int | None] = set()
    while public_ids and (more := set(db.session.scalars(named)) - held):  # whoever merges one moves their messages
        held |= {each.id for each in customers.held(select(Customer).where(Customer.id.in_(more)))}


def _locked(public_ids: set[str]) -> dict[str, Message]:
    """Return the messages, locked: of two webhooks at once, the second sees the events of the first."""
    query = select(Message).where(Message.public_id.in_(public_ids)).order_by(Message.id).with_for_update(of=Message)
    query = query.options(joinedload(Message.customer)).execution_options(populate_existing=True)
    return {message.public_id: message for message in db.session.scalars(query)}


def _insert(events: Mapping[str, ProviderEvent], messages: Mapping[str, Message], now: datetime) -> list[str]:
    if not events:
        return []
    rows = [
        {
            "provider_event_id": event.id,
            "message_id": messages[event.message_public_id].id,
            "kind": event.kind,
            "at": event.at,
            "received_at": now,
        }
        for _, event in sorted(events.items())
    ]
    statement = insert(MessageEvent).on_conflict_do_nothing(index_elements=["provider_event_id"])
    return list(db.session.scalars(statement.returning(MessageEvent.provider_event_id), rows))


def _settle(messages: Mapping[int, Message]) -> None:
    columns = select(MessageEvent.message_id, MessageEvent.kind, func.min(MessageEvent.at))
    known: dict[int, list[tuple[int, datetime]]] = {}
    for message_id, kind, at in db.session.execute(
        columns.where(MessageEvent.message_id.in_(messages)).group_by(MessageEvent.message_id, MessageEvent.kind)
    ):
        known.setdefault(message_id, []).append((RANKED.index(STATE_OF[kind]), at))
    for message_id, ranked in known.items():
        highest = max(rank for rank, _ in ranked)
        state = RANKED[highest]
        message = messages[message_id]
        message.state = state
        message.state_at = min(at for rank, at in ranked if rank == highest)
        message.failure = "permanent" if state in (State.DROPPED, State.BOUNCED) else None
    db.session.flush()


# --- what follows -------------------------------------------------------------------------------------------------


def _follow(event: ProviderEvent, message: Message, now: datetime) -> None:
    if event.kind in ("bounce", "dropped"):
        log_of_events.record(
            f"message.{STATE_OF[event.kind]}",
            at=event.at,
            actor="system",
            customer=message.customer_id,
            case=message.case_id,
            message=message.id,
        )
    reason = _stopping_reason(event)
    if reason is SuppressionReason.BOUNCE and message.to_address:
        suppression.suppress(message.to_address, "all", reason, now)
    elif reason is SuppressionReason.SPAM_REPORT:
        preferences.stop_everything(message, reason=reason, by="customer", now=now)
    elif reason is SuppressionReason.UNSUBSCRIBE:
        preferences.stop(message, by="customer", now=now)


def _stopping_reason(event: ProviderEvent) -> SuppressionReason | None:
    """Why this address must not be written to any more, or None: a block passes, a dead address stays dead."""
    if event.kind == "bounce":
        return None if event.because == "blocked" else SuppressionReason.BOUNCE
    if event.kind == "spamreport" or (event.kind == "dropped" and "spam reporting" in event.because):
        return SuppressionReason.SPAM_REPORT
    if "unsubscribe" in event.kind or (event.kind == "dropped" and "unsubscribed" in event.because):
        return SuppressionReason.UNSUBSCRIBE
    is_dead = event.because.startswith("bounced") or event.because in ("invalid", "invalid address")
    return SuppressionReason.BOUNCE if event.kind == "dropped" and is_dead else None
