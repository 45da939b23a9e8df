"""Surveys and their published versions, the rules that invite, invitations, decisions and responses."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Boolean, ForeignKey, Index, SmallInteger, Text, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column, relationship

from core.db import Id, Json, Model, PublicId
from customers.models import Brand, Customer, Interaction, Touchpoint
from incentives.models import Programme


class Survey(Model):
    __tablename__ = "survey"
    id: Mapped[Id]
    public_id: Mapped[PublicId]
    key: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    brand_id: Mapped[int] = mapped_column(ForeignKey("brand.id"))
    created_at: Mapped[datetime]
    archived_at: Mapped[datetime | None]
    brand: Mapped[Brand] = relationship()


class SurveyVersion(Model):
    """A definition (surveys.definition). Once published it never changes; the one draft has no published_at."""

    __tablename__ = "survey_version"
    __table_args__ = (
        Index("uq_survey_version_number", "survey_id", "number", unique=True),
        Index(
            "uq_survey_version_draft",
            "survey_id",
            unique=True,
            postgresql_where=text("published_at IS NULL"),
        ),
    )
    id: Mapped[Id]
    survey_id: Mapped[int] = mapped_column(ForeignKey("survey.id"))
    number: Mapped[int]
    definition: Mapped[Json]
    created_at: Mapped[datetime]
    published_at: Mapped[datetime | None]
    published_by: Mapped[str | None]
    saved_at: Mapped[datetime | None]  # of a draft: when and by whom it was last saved
    saved_by: Mapped[str | None]
    survey: Mapped[Survey] = relationship()


class Equivalence(Model):
    """Somebody's word that, from `version_id` on, a scored question asks the same as in the version before it.

    Trends go on over such a change of wording. Withdrawn, it stays as a row that counts no more.
    """

    __tablename__ = "wording_equivalence"
    __table_args__ = (
        Index(
            "uq_wording_equivalence_standing",
            "version_id",
            "metric",
            unique=True,
            postgresql_where=text("withdrawn_at IS NULL"),
        ),
    )
    id: Mapped[Id]
    survey_id: Mapped[int] = mapped_column(ForeignKey("survey.id"))
    version_id: Mapped[int] = mapped_column(ForeignKey("survey_version.id"))
    metric: Mapped[str]  # whose question of both versions is meant: nps, csat or ces
    why: Mapped[str]  # what makes them the same, in words
    declared_at: Mapped[datetime]
    declared_by: Mapped[str]
    withdrawn_at: Mapped[datetime | None]
    withdrawn_by: Mapped[str | None]


class InvitationRule(Model):
    """When a touchpoint's interactions are asked about, and with which survey."""

    __tablename__ = "invitation_rule"
    id: Mapped[Id]
    key: Mapped[str] = mapped_column(unique=True)
    touchpoint_id: Mapped[int] = mapped_column(ForeignKey("touchpoint.id"), unique=True)
    survey_id: Mapped[int] = mapped_column(ForeignKey("survey.id"))
    programme_id: Mapped[int | None] = mapped_column(ForeignKey("programme.id"))  # the reward it advertises
    delay_minutes: Mapped[int] = mapped_column(default=0)
    sample_percent: Mapped[int] = mapped_column(SmallInteger, default=100)
    quarantine_days: Mapped[int] = mapped_column(default=30)
    needs_consent: Mapped[bool] = mapped_column(
        Boolean, default=False
    )  # True: only who said yes; False: who did not say no
    max_age_days: Mapped[int] = mapped_column(default=14)  # an interaction older than this is not asked about
    expires_days: Mapped[int] = mapped_column(default=30)
    conditions: Mapped[Json]
    active: Mapped[bool] = mapped_column(Boolean, default=True)
    touchpoint: Mapped[Touchpoint] = relationship()
    survey: Mapped[Survey] = relationship()
    programme: Mapped[Programme | None] = relationship()


class Decision(Model):
    """Why an interaction led to an invitation, or not: kept with its inputs."""

    __tablename__ = "decision"
    __table_args__ = (Index("ix_decision_decided_at", "decided_at", postgresql_using="brin"),)
    id: Mapped[Id]
    interaction_id: Mapped[int] = mapped_column(ForeignKey("interaction.id"), unique=True)
    outcome: Mapped[str]  # invited, delayed, skipped
    rule: Mapped[
        str
    ]  # which rule decided: invited, sampling, quarantine, consent, suppressed, open_complaint, no_address, …
    send_at: Mapped[datetime | None]
    next_eligible_at: Mapped[datetime | None]
    inputs: Mapped[Json]
    decided_at: Mapped[datetime]


class InvitationState(StrEnum):
    WAITING = "waiting"  # to be sent at send_at
    SENT = "sent"
    ANSWERED = "answered"
    EXPIRED = "expired"
    REVOKED = "revoked"
    SKIPPED = "skipped"  # decided again at send_at, and then against it


class Invitation(Model):
    """One survey put to one customer about one interaction, over one channel, with one link (purpose "survey")."""

    __tablename__ = "invitation"
    __table_args__ = (
        Index("ix_invitation_customer", "customer_id", "created_at"),
        Index(
            "ix_invitation_expiring",
            "expires_at",
            postgresql_where=text("state IN ('waiting','sent')"),
        ),
        Index("ix_invitation_waiting", "send_at", postgresql_where=text("state = 'waiting'")),
        Index(
            "uq_invitation_interaction",
            "interaction_id",
            unique=True,
            postgresql_where=text("outcome_check_id IS NULL"),
        ),
        Index("uq_invitation_outcome_check", "outcome_check_id", unique=True),
        Index("ix_invitation_created_at", "created_at", postgresql_using="brin"),  # days are counted anew
        Index("ix_invitation_expires_at", "expires_at", postgresql_using="brin"),
    )
    id: Mapped[Id]
    public_id: Mapped[PublicId]
    survey_id: Mapped[int] = mapped_column(ForeignKey("survey.id"))
    version_id: Mapped[int] = mapped_column(ForeignKey("survey_version.id"))
    interaction_id: Mapped[int | None] = mapped_column(ForeignKey("interaction.id"))
    touchpoint_id: Mapped[int | None] = mapped_column(ForeignKey("touchpoint.id"))
    customer_id: Mapped[int | None] = mapped_column(ForeignKey("customer.id"))
    outcome_check_id: Mapped[int | None] = mapped_column(ForeignKey("outcome_check.id"))
    case_id: Mapped[int | None] = mapped_column(ForeignKey("case.id"))  # of an outcome check
    reward_id: Mapped[int | None] = mapped_column(ForeignKey("reward.id"))  # reserved because it advertises one
    message_id: Mapped[int | None] = mapped_column(ForeignKey("message.id"))
    channel: Mapped[str]  # email, link
    language: Mapped[str]
    state: Mapped[str] = mapped_column(default=InvitationState.WAITING)
    created_at: Mapped[datetime]
    send_at: Mapped[datetime]
    sent_at: Mapped[datetime | None]
    expires_at: Mapped[datetime]
    partial: Mapped[Json]  # answers kept before the form is sent
    partial_at: Mapped[datetime | None]
    half_answered: Mapped[bool] = mapped_column(default=False)  # at least, of what applied


class ResponseState(StrEnum):
    STARTED = "started"
    PARTIAL = "partial"
    COMPLETE = "complete"
    SCREENED_OUT = "screened_out"


class Response(Model):
    """One sitting at a survey. `answers` holds every answer by question; the scored one is also in columns."""

    __tablename__ = "response"
    __table_args__ = (
        Index("ix_response_survey", "survey_id", "answered_at"),
        Index("ix_response_customer", "customer_id", "answered_at"),
        Index("ix_response_touchpoint", "touchpoint_id", "answered_at"),
        Index(
            "uq_response_import_key",
            "survey_id",
            "import_key",
            unique=True,
            postgresql_where=text("import_key IS NOT NULL"),
        ),
        Index("ix_response_unfolded", "id", postgresql_where=text("folded_at IS NULL")),
        Index("ix_response_words", "answered_at", "id", postgresql_where=text("comment IS NOT NULL")),
    )
    id: Mapped[Id]
    public_id: Mapped[PublicId]
    invitation_id: Mapped[int | None] = mapped_column(
        ForeignKey("invitation.id"), unique=True
    )  # one response per invitation
    survey_id: Mapped[int] = mapped_column(ForeignKey("survey.id"))
    version_id: Mapped[int] = mapped_column(ForeignKey("survey_version.id"))
    brand_id: Mapped[int] = mapped_column(ForeignKey("brand.id"))
    touchpoint_id: Mapped[int | None] = mapped_column(ForeignKey("touchpoint.id"))
    interaction_id: Mapped[int | None] = mapped_column(ForeignKey("interaction.id"))
    customer_id: Mapped[int | None] = mapped_column(ForeignKey("customer.id"))
    outcome_check_id: Mapped[int | None] = mapped_column(ForeignKey("outcome_check.id"))
    first_response_id: Mapped[int | None] = mapped_column(
        ForeignKey("response.id")
    )  # of an outcome check: the first answer
    channel: Mapped[str]
    language: Mapped[str]
    tier: Mapped[str | None]  # the customer's when the roll-ups took it in; kept, so that a rebuild counts the same
    state: Mapped[str]
    metric: Mapped[str | None]
    question: Mapped[str | None]
    score: Mapped[int | None] = mapped_column(SmallInteger)
    scale: Mapped[str | None]  # the scale's version, such as ces-2.0; None where it was not written down yet
    scores: Mapped[Json]  # further scored questions: {"question": {"metric", "score", "scale"}}
    why: Mapped[list[str]] = mapped_column(ARRAY(Text), default=list)
    answers: Mapped[Json]  # coded answers: no free text
    comment: Mapped[str | None]  # the customer's words: personal, erasable
    contact: Mapped[str | None]  # phone, email or none
    answered_at: Mapped[datetime]
    received_at: Mapped[datetime]
    import_id: Mapped[int | None] = mapped_column(ForeignKey("import_run.id"))
    import_key: Mapped[str | None]
    attributes: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{}'::jsonb"))  # of an import's row
    folded_at: Mapped[datetime | None]  # when the roll-ups took it in
    form_key: Mapped[str | None] = mapped_column(unique=True)  # of an open link's form: a double click is one response
    touchpoint: Mapped[Touchpoint | None] = relationship()
    customer: Mapped[Customer | None] = relationship()
    interaction: Mapped[Interaction | None] = relationship()
