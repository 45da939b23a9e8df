"""The customer's record: brands with their calendars, the journey, customers, interactions, consent, imports."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import CheckConstraint, ForeignKey, Index, SmallInteger, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column, relationship

from core.db import Id, Json, Model, PublicId


class Calendar(Model):
    """Working time of a brand or a team; `weekly` as core.working_time.Calendar.from_json takes it."""

    __tablename__ = "calendar"
    id: Mapped[Id]
    public_id: Mapped[PublicId]
    name: Mapped[str] = mapped_column(unique=True)
    zone: Mapped[str]  # IANA
    weekly: Mapped[Json]  # {"mon": [["09:00", "18:00"]], …}
    holiday_country: Mapped[str | None]  # ISO 3166, optionally with a subdivision: DE-HH
    closed_on: Mapped[list[str]] = mapped_column(JSONB, default=list)  # ISO dates


class Brand(Model):
    __tablename__ = "brand"
    id: Mapped[Id]
    key: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    colour: Mapped[str]  # a CSS colour: the one thing a brand may set
    sender_name: Mapped[str]
    sender_address: Mapped[str]
    reply_address: Mapped[str | None]
    phone: Mapped[str | None]  # the person one can always turn to
    phone_hours: Mapped[str | None]  # "08:00–20:00", shown in every language
    zone: Mapped[str]  # IANA; fixed at creation because the roll-ups' days are this zone's
    currency: Mapped[str]  # ISO 4217
    contact_cost_minor: Mapped[int | None]  # of one call or reply in a case, in `currency`; None: nobody said
    language: Mapped[str]
    calendar_id: Mapped[int] = mapped_column(ForeignKey("calendar.id"))
    main_survey_key: Mapped[str | None]  # whose first question checks the outcome of a complaint
    privacy_url: Mapped[str | None]
    calendar: Mapped[Calendar] = relationship()


class Stage(Model):
    """A stage of the journey; each installation may change them."""

    __tablename__ = "stage"
    id: Mapped[Id]
    key: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    position: Mapped[int] = mapped_column(SmallInteger)
    archived_at: Mapped[datetime | None]  # no touchpoint in use stands on it, and new ones cannot


class Touchpoint(Model):
    __tablename__ = "touchpoint"
    id: Mapped[Id]
    key: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    brand_id: Mapped[int] = mapped_column(ForeignKey("brand.id"))
    stage_id: Mapped[int] = mapped_column(ForeignKey("stage.id"))
    icon: Mapped[str] = mapped_column(default="chat")  # a symbol of the sprite, without i-
    phrases: Mapped[Json]  # {"en": "your call", "de": "Ihren Anruf", "ar": "مكالمتك"}: "about …"
    archived_at: Mapped[datetime | None]
    brand: Mapped[Brand] = relationship()
    stage: Mapped[Stage] = relationship()


class Consent(StrEnum):
    UNKNOWN = "unknown"
    GIVEN = "given"
    WITHDRAWN = "withdrawn"


class Customer(Model):
    __tablename__ = "customer"
    __table_args__ = (
        Index(
            "ix_customer_email",
            text("lower(email)"),
            postgresql_where=text("email IS NOT NULL"),
        ),
        Index("ix_customer_phone", "phone", postgresql_where=text("phone IS NOT NULL")),
        Index("ix_customer_name", text("lower(name) text_pattern_ops")),
        Index("ix_customer_merged", "merged_into_id", postgresql_where=text("merged_into_id IS NOT NULL")),
    )
    id: Mapped[Id]
    public_id: Mapped[PublicId]
    external_id: Mapped[str | None] = mapped_column(unique=True)
    name: Mapped[str | None]
    email: Mapped[str | None]  # as given by the shop or confirmed by the customer, never as typed by a stranger
    phone: Mapped[str | None]  # E.164
    language: Mapped[str | None]
    tier: Mapped[str | None]
    profile: Mapped[str | None]  # detractor, passive, promoter: by the last score; who is silent: surveys.silence
    profile_metric: Mapped[str | None]
    profile_score: Mapped[int | None] = mapped_column(SmallInteger)
    profile_at: Mapped[datetime | None]
    won_back_at: Mapped[datetime | None]  # the last time
    survey_consent: Mapped[str] = mapped_column(default=Consent.UNKNOWN)
    marketing_consent: Mapped[str] = mapped_column(default=Consent.UNKNOWN)
    last_invited_at: Mapped[datetime | None]  # quarantine counts from here
    value_minor: Mapped[int] = mapped_column(default=0)  # sum of interactions' values, in value_currency
    value_currency: Mapped[str | None]
    created_at: Mapped[datetime]
    merged_into_id: Mapped[int | None] = mapped_column(ForeignKey("customer.id"))
    erased_at: Mapped[datetime | None]

    @property
    def first_name(self) -> str:
        return (self.name or "").split(" ")[0]


class Interaction(Model):
    __tablename__ = "interaction"
    __table_args__ = (
        Index("uq_interaction_reference", "touchpoint_id", "reference", unique=True),
        Index("ix_interaction_customer", "customer_id", "occurred_at"),
        Index("ix_interaction_occurred_at", "occurred_at"),
        Index("ix_interaction_received_at", "received_at", postgresql_using="brin"),  # days are counted anew
        CheckConstraint("(value_minor IS NULL) = (currency IS NULL)", name="money_together"),
    )
    id: Mapped[Id]
    public_id: Mapped[PublicId]
    touchpoint_id: Mapped[int] = mapped_column(ForeignKey("touchpoint.id"))
    customer_id: Mapped[int | None] = mapped_column(ForeignKey("customer.id"))
    reference: Mapped[str]
    occurred_at: Mapped[datetime]
    channel: Mapped[str]
    staff_name: Mapped[str | None]  # who served the customer, as the shop calls them
    value_minor: Mapped[int | None]
    currency: Mapped[str | None]
    status: Mapped[str] = mapped_column(default="completed")  # or started: left half-done
    attributes: Mapped[Json]
    received_at: Mapped[datetime]
    import_id: Mapped[int | None] = mapped_column(ForeignKey("import_run.id"))
    touchpoint: Mapped[Touchpoint] = relationship()
    customer: Mapped[Customer | None] = relationship()


class ImportRun(Model):
    """One import of one file; it can be taken up again at `next_line` and repeated without doubling."""

    __tablename__ = "import_run"
    id: Mapped[Id]
    public_id: Mapped[PublicId]
    kind: Mapped[str]  # interactions, responses, complaints
    file_name: Mapped[str]
    file_sha256: Mapped[str] = mapped_column(index=True)
    mapping: Mapped[Json]
    brand_id: Mapped[int | None] = mapped_column(ForeignKey("brand.id"))  # where one was asked for by name
    by: Mapped[str]
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    next_line: Mapped[int] = mapped_column(default=1)
    rows: Mapped[int] = mapped_column(default=0)
    created: Mapped[int] = mapped_column(default=0)
    repeated: Mapped[int] = mapped_column(default=0)  # rows that were here already, or earlier in the same file
    refused: Mapped[int] = mapped_column(default=0)  # rows; one may have several ImportRefusals


class ImportRefusal(Model):
    __tablename__ = "import_refusal"
    id: Mapped[Id]
    import_id: Mapped[int] = mapped_column(ForeignKey("import_run.id", ondelete="CASCADE"), index=True)
    line: Mapped[int]
    column: Mapped[str | None]
    reason: Mapped[str]


class RefusalSearch(Model):
    """How far refused rows are looked through for somebody who was erased; gone when all are (customers.refusals)."""

    __tablename__ = "refusal_search"
    erased_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    sought: Mapped[list[str]] = mapped_column(JSONB)  # keyed hashes, each with the length of its word
    after_id: Mapped[int]
    until: Mapped[datetime]  # when the newest are looked at once more
