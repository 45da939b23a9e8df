"""Messages we send, what the provider told of them, and the addresses we must not write to."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from core.db import Id, Json, Model, PublicId
from customers.models import Brand, Customer


class State(StrEnum):
    """created -> sending -> accepted -> delivered / bounced / dropped; uncertain waits for the provider's event."""

    CREATED = "created"
    SENDING = "sending"
    ACCEPTED = "accepted"
    DELIVERED = "delivered"
    BOUNCED = "bounced"
    DROPPED = "dropped"
    UNCERTAIN = "uncertain"
    SUPPRESSED = "suppressed"
    FAILED = "failed"


class Message(Model):
    __tablename__ = "message"
    __table_args__ = (
        Index("ix_message_customer", "customer_id", "created_at"),
        Index("ix_message_case", "case_id", "created_at"),
        Index(
            "ix_message_unsettled",
            "state",
            "state_at",
            postgresql_where=text("state IN ('created','sending','uncertain')"),
        ),
        Index("ix_message_failed", "state_at", postgresql_where=text("failure IS NOT NULL")),
        Index("uq_message_reason", "kind", "reason", unique=True),
        Index(
            "ix_message_to_nobody_known",
            text("lower(to_address)"),
            postgresql_where=text("customer_id IS NULL AND to_address IS NOT NULL"),
        ),
        Index("ix_message_kept", "created_at", postgresql_where=text("erased_at IS NULL")),
    )
    id: Mapped[Id]
    public_id: Mapped[PublicId]
    kind: Mapped[str]  # a name of notifications.kinds
    version: Mapped[int]  # of the kind's template
    reason: Mapped[str]  # what it is about, for example invitation:812; a kind goes out once per reason
    language: Mapped[str]
    brand_id: Mapped[int] = mapped_column(ForeignKey("brand.id"))
    customer_id: Mapped[int | None] = mapped_column(ForeignKey("customer.id"))
    case_id: Mapped[int | None]  # feedback's; no key, because notifications lies below it
    to_address: Mapped[str | None]  # erased with the customer, or after its retention
    to_name: Mapped[str | None]
    values: Mapped[Json]  # what is substituted: personal, erasable
    state: Mapped[str] = mapped_column(default=State.CREATED)
    state_at: Mapped[datetime]
    provider_id: Mapped[str | None]
    failure: Mapped[
        str | None
    ]  # a word that says what to do: permanent, temporary, configuration, technical, uncertain, suppressed
    created_at: Mapped[datetime]
    handed_over_at: Mapped[datetime | None]
    repeated_at: Mapped[datetime | None]  # sent a second time, because the first reply was lost and no event came
    erased_at: Mapped[datetime | None]
    brand: Mapped[Brand] = relationship()
    customer: Mapped[Customer | None] = relationship()


class MessageEvent(Model):
    """One event of the provider; its id is unique, so that repeated deliveries change nothing."""

    __tablename__ = "message_event"
    id: Mapped[Id]
    provider_event_id: Mapped[str] = mapped_column(unique=True)
    message_id: Mapped[int] = mapped_column(ForeignKey("message.id", ondelete="CASCADE"), index=True)
    kind: Mapped[str]
    at: Mapped[datetime]
    received_at: Mapped[datetime]


class SuppressionReason(StrEnum):
    BOUNCE = "bounce"
    SPAM_REPORT = "spam_report"
    UNSUBSCRIBE = "unsubscribe"
    ERASED = "erased"


class Suppression(Model):
    """An address we must not write to, and why; the address is kept as a keyed hash, so that it outlives erasure."""

    __tablename__ = "suppression"
    __table_args__ = (Index("uq_suppression_address", "address_hash", "scope", unique=True),)
    id: Mapped[Id]
    address_hash: Mapped[str]
    scope: Mapped[str]  # all, survey or marketing: which purposes it stops
    reason: Mapped[str]
    created_at: Mapped[datetime]


class MailboxMessage(Model):
    """The local mailbox: what would have been sent, for /mailbox (demo and tests only)."""

    __tablename__ = "mailbox_message"
    id: Mapped[Id]
    message_public_id: Mapped[str] = mapped_column(unique=True)
    to_address: Mapped[str] = mapped_column(index=True)
    subject: Mapped[str]
    text: Mapped[str]
    html: Mapped[str]
    headers: Mapped[Json]
    sent_at: Mapped[datetime]
