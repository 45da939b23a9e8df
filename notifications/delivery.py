"""Handing messages to the provider, and knowing of each whether it left.

A message is claimed (`created` -> `sending`, committed) before the provider is called, never inside a transaction, and
what came of it is committed at once. What went wrong decides what happens next:

permanent      the address or the message is refused: `failed`.
temporary      the provider is away or busy: `created` again; the messages wait, without a limit, as long as it says
               or a minute.
configuration  our key, sender or template is refused: as temporary, five minutes, an alert and a banner (`trouble`).
uncertain      the reply was lost, or the worker died during the call. Nothing is repeated blindly: for fifteen minutes
               it waits for the provider's event that carries our id; then it is sent again, once. So a message is
               doubled only where its reply was lost and its events did not come in time. A second loss is `failed`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, cast

import structlog
from flask import current_app
from flask_babel import gettext as _
from prometheus_client import Counter, Histogram
from sqlalchemy import CursorResult, case, null, select, update
from sqlalchemy.orm import selectinload

from core import clock, outbox
from core.config import Config, Environment
from core.db import db, written
from core.inserting import among
from notifications import batching, suppression
from notifications.kinds import KINDS
from notifications.mailbox import LocalMailbox
from notifications.messages import SEND
from notifications.models import Message, State
from notifications.no_provider import NoProvider
from notifications.rendering import CompiledTemplate
from notifications.sendgrid import SendGrid
from notifications.transport import Failed, Handed, Outcome, Transport, TransportError

USUAL_WAIT: Final = timedelta(minutes=1)
CONFIGURATION_WAIT: Final = timedelta(minutes=5)
EVENT_WAIT: Final = timedelta(minutes=15)  # how long an uncertain message waits for the provider's event
LOST_CLAIM: Final = timedelta(minutes=10)  # a claim older than this has no worker any more
SETTLED_AT_ONCE: Final = 500
LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)

log = structlog.get_logger(__name__)
messages_total = Counter("amends_messages_total", "What became of messages handed over", ["kind", "outcome"])
hand_over_seconds = Histogram("amends_hand_over_seconds", "Seconds that handing over one batch took")


@dataclass
class Office:
    """This process's way out: one transport, and until when the provider asked us to leave it alone."""

    transport: Transport
    closed_until: datetime = LONG_AGO

    def is_closed(self, now: datetime) -> bool:
        return now < self.closed_until


def transport_for(config: Config) -> Transport:
    """Return SendGrid where its key is given; else the local mailbox, and in production nobody."""
    if not config.sendgrid_api_key:
        return NoProvider() if config.environment is Environment.PRODUCTION else LocalMailbox()
    return SendGrid(
        config.sendgrid_host,
        config.sendgrid_api_key,
        connect_seconds=min(5.0, config.mail_timeout_s),
        reply_seconds=config.mail_timeout_s,
    )


def trouble() -> str | None:
    """Return what to tell staff when messages are held up, or None; one indexed statement."""
    config: Config = current_app.extensions["config"]
    if config.environment is Environment.PRODUCTION and not config.sendgrid_api_key:
        return _("No mail provider is set up: messages stay here. Set SENDGRID_API_KEY.")
    held = select(Message.failure).where(written(Message.state, [State.CREATED]), Message.failure.is_not(None))
    reasons = set(db.session.scalars(held.limit(100)))
    if "configuration" in reasons:
        return _("The mail provider refuses us: messages wait. Check its key and the sender's address.")
    if "temporary" in reasons:
        return _("The mail provider is away: messages wait and leave by themselves once it is back.")
    return None


# --- sending ------------------------------------------------------------------------------------------------------


@outbox.handler(SEND, queue="messages", batch=outbox.BATCH)
def send(items: list[outbox.Item], *, now: datetime) -> outbox.Waiting:
    """Hand these messages over, one call for each group; return which of them must wait until when. Commits."""
    office = _office()
    item_of = {item.ids["message_id"]: item.id for item in items}
    if office.is_closed(now):
        return dict.fromkeys(item_of.values(), office.closed_until)
    waiting: dict[int, datetime] = {}
    for group in batching.grouped(_ready(item_of, now)):
        for message_id, due_at in _hand_over(group, office, items).items():
            waiting[item_of[message_id]] = due_at
    return waiting


def _ready(message_ids: Iterable[int], now: datetime) -> list[Message]:
    """Return those that are to be sent; settle those that were under way when a worker died, or may not be sent."""
    query = select(Message).where(Message.id == among(message_ids)).order_by(Message.id)
    query = query.options(selectinload(Message.brand)).execution_options(populate_existing=True)
    messages = list(db.session.scalars(query))
    sendable = _sendable_states()
    if lost := [each.id for each in messages if each.state == State.SENDING and State.SENDING not in sendable]:
        _move(lost, [State.SENDING], state=State.UNCERTAIN, failure="uncertain", state_at=now)
    created = [each for each in messages if each.state in sendable]
    stopped = _stopped(created)
    if stopped:
        _move(stopped, sendable, state=State.SUPPRESSED, failure="suppressed", state_at=now)
    return [each for each in created if each.id not in stopped]


def _sendable_states() -> list[State]:
    """A message under way when its worker died may be sent again only where repeating is harmless."""
    harmless = getattr(_office().transport, "repeats_harmlessly", False)
    return [State.CREATED, State.SENDING] if harmless else [State.CREATED]


def _stopped(messages: Sequence[Message]) -> set[int]:
    scopes = suppression.scopes_of(each.to_address for each in messages if each.to_address)
    return {
        each.id
        for each in messages
        if not each.to_address
        or each.erased_at
        or scopes.get(each.to_address, set()) & suppression.stopping(KINDS[each.kind].purpose)
    }


def _hand_over(group: Sequence[Message], office: Office, items: Sequence[outbox.Item]) -> dict[int, datetime]:
    """Claim a group, call the provider, record what came of it; return which messages wait until when."""
    now = clock.now()
    if office.is_closed(now):
        return {each.id: office.closed_until for each in group}
    template = _compiled(group, now)
    if template is None:
        return {}
    claimed = _claim(group, now)
    outbox.renew(items, now=now)  # commits the claim, or raises where the lease is another worker's by now
    if not claimed:
        return {}
    with hand_over_seconds.time():
        outcomes = office.transport.send(batching.batch_of(claimed, template))
    return _record(claimed, outcomes, office, clock.now())


def _compiled(group: Sequence[Message], now: datetime) -> CompiledTemplate | None:
    try:
        return batching.compiled(group[0])
    except Exception as error:  # the loop's edge: a broken template fails its own messages, never those beside them
        log.error("template_broken", kind=group[0].kind, language=group[0].language, exc_info=error)
        _move([each.id for each in group], [State.CREATED], state=State.FAILED, failure="technical", state_at=now)
        messages_total.labels(group[0].kind, "technical").inc(len(group))
        return None


def _claim(group: Sequence[Message], now: datetime) -> list[Message]:
    statement = (
        update(Message)
        .where(Message.id == among(each.id for each in group), Message.state.in_(_sendable_states()))
        .values(state=State.SENDING, state_at=now)
        .returning(Message.id)
        .execution_options(synchronize_session=False)
    )
    ours = set(db.session.scalars(statement))
    return [each for each in group if each.id in ours]


# --- what came of it ----------------------------------------------------------------------------------------------


def _record(
    messages: Sequence[Message], outcomes: Sequence[Outcome], office: Office, now: datetime
) -> dict[int, datetime]:
    handed: dict[str, list[int]] = defaultdict(list)
    failed: dict[str, list[int]] = defaultdict(list)
    waiting: dict[int, datetime] = {}
    for message, outcome in zip(messages, outcomes, strict=True):
        if isinstance(outcome, Handed):
            handed[outcome.provider_id].append(message.id)
            continue
        word = _word(outcome.error)
        failed[word].append(message.id)
        if word in ("temporary", "configuration"):
            waiting[message.id] = now + _wait(outcome.error)
    for provider_id, ids in handed.items():
        _accept(ids, provider_id, now)
    for word, ids in failed.items():
        _move(ids, [State.SENDING, State.UNCERTAIN], state=_STATE_AFTER[word], failure=word, state_at=now)
    db.session.commit()
    _tell(messages[0].kind, handed, failed, outcomes, office, now)
    return waiting


_STATE_AFTER = {
    "permanent": State.FAILED,
    "uncertain": State.UNCERTAIN,
    "temporary": State.CREATED,
    "configuration": State.CREATED,
}


def _word(error: TransportError) -> str:
    """Return the failure in a word that says what to do."""
    if error.permanent:
        return "permanent"
    if error.uncertain:
        return "uncertain"
    return "configuration" if error.configuration else "temporary"


def _wait(error: TransportError) -> timedelta:
    return error.retry_after or (CONFIGURATION_WAIT if error.configuration else USUAL_WAIT)


def _accept(ids: Collection[int], provider_id: str, now: datetime) -> None:
    """Note the hand-over. The provider's events may be here already: their state stands."""
    unknown = Message.state.in_([State.SENDING, State.UNCERTAIN])
    _move(
        ids,
        list(State),
        provider_id=provider_id,
        handed_over_at=now,
        failure=case((unknown, null()), else_=Message.failure),
        state=case((unknown, State.ACCEPTED), else_=Message.state),
        state_at=case((unknown, now), else_=Message.state_at),
    )


def _move(ids: Collection[int], states: Sequence[State], **values: Any) -> int:
    """Change messages that are still in one of `states`; return how many."""
    statement = update(Message).where(Message.id == among(ids), Message.state.in_(states)).values(**values)
    result = db.session.execute(statement, execution_options={"synchronize_session": False})
    return cast("CursorResult[Any]", result).rowcount


def _tell(
    kind: str,
    handed: dict[str, list[int]],
    failed: dict[str, list[int]],
    outcomes: Sequence[Outcome],
    office: Office,
    now: datetime,
) -> None:
    """Count, alert, and keep the office closed while the provider wants to be left alone."""
    messages_total.labels(kind, "accepted").inc(sum(map(len, handed.values())))
    for word, ids in failed.items():
        messages_total.labels(kind, word).inc(len(ids))
        error = next(each.error for each in outcomes if isinstance(each, Failed) and _word(each.error) == word)
        say = log.error if word == "configuration" else log.warning
        say("mail_not_sent", kind=kind, failure=word, messages=len(ids), reason=error.message)
        if word == "temporary":
            office.closed_until = max(office.closed_until, now + _wait(error))


def _office() -> Office:
    office: Office = current_app.extensions["mail"]
    return office


# --- what is stuck ------------------------------------------------------------------------------------------------


def settle_stuck(*, now: datetime) -> int:
    """Move on what waits for something that will not come; return how many messages moved. The caller commits."""
    lost = written(Message.state, [State.SENDING]) & (Message.state_at < now - LOST_CLAIM)
    silent = written(Message.state, [State.UNCERTAIN]) & (Message.state_at < now - EVENT_WAIT)
    query = select(Message.id, Message.state, Message.repeated_at).where(lost | silent).order_by(Message.id)
    rows = db.session.execute(query.limit(SETTLED_AT_ONCE).with_for_update(skip_locked=True)).all()
    claims = [row.id for row in rows if row.state == State.SENDING]
    again = [row.id for row in rows if row.state == State.UNCERTAIN and not row.repeated_at]
    over = [row.id for row in rows if row.state == State.UNCERTAIN and row.repeated_at]
    if claims:
        _move(claims, [State.SENDING], state=State.UNCERTAIN, failure="uncertain", state_at=now)
    if again:
        _move(again, [State.UNCERTAIN], state=State.CREATED, failure=None, state_at=now, repeated_at=now)
        outbox.later_many(SEND, [(f"{id}:again", {"message_id": id}) for id in again], due_at=now)
    if over:
        _move(over, [State.UNCERTAIN], state=State.FAILED, failure="uncertain", state_at=now)
    if rows:
        log.warning("messages_settled", lost=len(claims), sent_again=len(again), given_up=len(over))
    return len(rows)


def send_lost(*, now: datetime) -> int:
    """Put the work of messages again that wait past their time without any; return how many. The caller commits."""
    waiting = written(Message.state, [State.CREATED]) & (Message.state_at < now - outbox.LOST_AFTER)
    lost = select(Message.id).where(waiting, outbox.has_none(SEND, "message_id", Message.id)).limit(SETTLED_AT_ONCE)
    ids = db.session.scalars(lost).all()
    outbox.later_many(SEND, [(outbox.lost_key(id, now), {"message_id": id}) for id in ids], due_at=now)
    return len(ids)
