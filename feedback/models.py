"""Recovery: cases with their clocks, entries, promises, resolutions and outcome checks; complaints and root causes."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    Index,
    Sequence,
    SmallInteger,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column, relationship

from accounts.models import Staff, Team
from core.db import Id, Json, Model, PublicId, db
from customers.models import Brand, Customer, Interaction, Touchpoint

case_number = Sequence("case_number", start=2000, metadata=db.metadata)


class Origin(StrEnum):
    ANSWER = "answer"
    COMPLAINT = "complaint"
    BROKEN_PROMISE = "broken_promise"
    SILENT = "silent"
    HAND = "hand"


class CaseState(StrEnum):
    OPEN = "open"  # nobody has reached the customer yet
    RECOVERY = "recovery"  # contacted, not yet put right
    WAITING = "waiting"  # for the customer
    RESOLVED = "resolved"  # our word; the outcome check follows
    CLOSED = "closed"  # the outcome is known, or nobody answered


OPEN_STATES = (CaseState.OPEN, CaseState.RECOVERY, CaseState.WAITING)


class Priority(StrEnum):
    URGENT = "urgent"
    HIGH = "high"
    NORMAL = "normal"


ON_DESK = text("state IN ('open','recovery','waiting') AND NOT off_desk")


class Case(Model):
    __tablename__ = "case"
    __table_args__ = (
        Index("ix_case_desk", "due_at", "id", postgresql_where=ON_DESK),
        Index("ix_case_team", "team_id", "due_at", postgresql_where=ON_DESK),
        Index("ix_case_waiting", "due_at", postgresql_where=text("state = 'waiting' AND NOT off_desk")),
        Index(
            "ix_case_unreached",
            "due_at",
            postgresql_where=text("state = 'open' AND first_contact_at IS NULL AND NOT off_desk"),
        ),
        Index(
            "ix_case_assignee",
            "assignee_id",
            "due_at",
            postgresql_where=text("state IN ('open','recovery','waiting')"),
        ),
        Index("ix_case_customer", "customer_id", "opened_at"),
        Index("ix_case_verify", "resolved_at", postgresql_where=text("state = 'resolved'")),
        Index("ix_case_opened_at", "opened_at"),
        Index(
            "ix_case_cause",
            "root_cause_id",
            "opened_at",
            postgresql_where=text("root_cause_id IS NOT NULL AND import_id IS NULL"),
        ),
        Index("uq_case_reason", "reason", unique=True),
        Index("ix_case_merged_into", "merged_into_id", postgresql_where=text("merged_into_id IS NOT NULL")),
        CheckConstraint("state <> 'closed' OR closed_at IS NOT NULL", name="closed_has_time"),
        CheckConstraint("merged_into_id IS NULL OR state = 'closed'", name="merged_is_closed"),
    )
    id: Mapped[Id]
    public_id: Mapped[PublicId]
    number: Mapped[int] = mapped_column(case_number, server_default=case_number.next_value(), unique=True)
    reason: Mapped[str]  # response:<id>, complaint:<id>, …: one case for one reason
    origin: Mapped[str]
    brand_id: Mapped[int] = mapped_column(ForeignKey("brand.id"))
    touchpoint_id: Mapped[int | None] = mapped_column(ForeignKey("touchpoint.id"))
    interaction_id: Mapped[int | None] = mapped_column(ForeignKey("interaction.id"))
    customer_id: Mapped[int | None] = mapped_column(ForeignKey("customer.id"))  # None: can be worked, not written to
    response_id: Mapped[int | None]  # surveys'; no key, because surveys lies above
    survey_id: Mapped[int | None]  # the survey and question that opened it: the outcome check asks the same
    question: Mapped[str | None]
    metric: Mapped[str | None]
    score: Mapped[int | None] = mapped_column(SmallInteger)
    why: Mapped[list[str]] = mapped_column(ARRAY(Text), default=list)  # codes of what went wrong
    summary: Mapped[str | None]  # a heading in our words
    words: Mapped[str | None]  # the customer's own words: personal, erasable
    language: Mapped[str]
    wants: Mapped[str] = mapped_column(default="none")  # phone, email, sms or none: how to reach the customer
    state: Mapped[str] = mapped_column(default=CaseState.OPEN)
    priority: Mapped[str] = mapped_column(default=Priority.NORMAL)
    team_id: Mapped[int | None] = mapped_column(ForeignKey("team.id"))
    assignee_id: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    assigned_at: Mapped[datetime | None]
    opened_at: Mapped[datetime]
    due_at: Mapped[datetime]  # of what is due next: the earliest running clock or open promise
    next_act: Mapped[str] = mapped_column(default="first_contact")  # a code: first_contact, promise, resolution, …
    planned_at: Mapped[datetime | None]  # when somebody wants to look at it again; no clock moves by that
    first_contact_at: Mapped[datetime | None]
    resolved_at: Mapped[datetime | None]
    fixed_at: Mapped[datetime | None]  # the customer's word
    closed_at: Mapped[datetime | None]
    won_back_at: Mapped[datetime | None]
    reopened: Mapped[int] = mapped_column(default=0)
    root_cause_id: Mapped[int | None] = mapped_column(ForeignKey("root_cause.id"))
    last_entry_id: Mapped[int] = mapped_column(default=0)  # replies carry the last they saw
    off_desk: Mapped[bool] = mapped_column(default=False)  # imported: comes to the desk only on request
    import_id: Mapped[int | None] = mapped_column(ForeignKey("import_run.id"))
    link_revoked_at: Mapped[datetime | None]
    merged_into_id: Mapped[int | None] = mapped_column(ForeignKey("case.id"))  # where its work goes on
    brand: Mapped[Brand] = relationship()
    touchpoint: Mapped[Touchpoint | None] = relationship()
    interaction: Mapped[Interaction | None] = relationship()
    customer: Mapped[Customer | None] = relationship()
    assignee: Mapped[Staff | None] = relationship()
    team: Mapped[Team | None] = relationship()

    @property
    def label(self) -> str:
        return f"AM-{self.number}"

    @property
    def is_open(self) -> bool:
        return self.state in OPEN_STATES


class ClockKind(StrEnum):
    FIRST_CONTACT = "first_contact"
    NEXT_RESPONSE = "next_response"
    RESOLUTION = "resolution"


class CaseClock(Model):
    """A service-level deadline in working time. Its events are in clock_event; due_at and warn_at follow from them."""

    __tablename__ = "case_clock"
    __table_args__ = (
        Index(
            "uq_case_clock_running",
            "case_id",
            "kind",
            unique=True,
            postgresql_where=text("stopped_at IS NULL"),
        ),
        Index(
            "ix_case_clock_due",
            "due_at",
            postgresql_where=text("stopped_at IS NULL AND paused_at IS NULL"),
        ),
    )
    id: Mapped[Id]
    case_id: Mapped[int] = mapped_column(ForeignKey("case.id", ondelete="CASCADE"), index=True)
    kind: Mapped[str]
    target_minutes: Mapped[int]  # of working time
    calendar_id: Mapped[int] = mapped_column(ForeignKey("calendar.id"))
    policy: Mapped[str]  # which SLA policy set it, so that "why is this due at 14:12?" can be told
    started_at: Mapped[datetime]
    due_at: Mapped[datetime]
    warn_at: Mapped[datetime]
    paused_at: Mapped[datetime | None]
    stopped_at: Mapped[datetime | None]
    breached_at: Mapped[datetime | None]

    @property
    def is_running(self) -> bool:
        return self.stopped_at is None and self.paused_at is None

    @property
    def is_paused(self) -> bool:
        return self.stopped_at is None and self.paused_at is not None


class ClockEvent(Model):
    __tablename__ = "clock_event"
    id: Mapped[Id]
    clock_id: Mapped[int] = mapped_column(ForeignKey("case_clock.id", ondelete="CASCADE"), index=True)
    kind: Mapped[str]  # start, pause, resume, stop
    reason: Mapped[str | None]
    actor: Mapped[str]
    at: Mapped[datetime]


class SlaPolicy(Model):
    """Deadlines in working minutes for the cases a brand's rule tree picks; the first match by position holds."""

    __tablename__ = "sla_policy"
    id: Mapped[Id]
    public_id: Mapped[PublicId]
    name: Mapped[str] = mapped_column(unique=True)
    brand_id: Mapped[int | None] = mapped_column(ForeignKey("brand.id"))
    position: Mapped[int] = mapped_column(SmallInteger, default=100)
    conditions: Mapped[Json]
    first_contact_minutes: Mapped[int]
    next_response_minutes: Mapped[int]
    resolution_minutes: Mapped[int]
    priority: Mapped[str] = mapped_column(default=Priority.NORMAL)
    team_id: Mapped[int | None] = mapped_column(ForeignKey("team.id"))
    outcome_after_days: Mapped[int] = mapped_column(default=7)  # days after resolving until the customer is asked again


class EntryKind(StrEnum):
    NOTE = "note"
    CALL = "call"
    REPLY = "reply"  # ours, by e-mail
    CUSTOMER = "customer"  # theirs


class CaseEntry(Model):
    """Something said in a case: a note, a call, a reply, the customer's words. What happened is in the event log."""

    __tablename__ = "case_entry"
    __table_args__ = (Index("ix_case_entry_case", "case_id", "at", "id"),)
    id: Mapped[Id]
    public_id: Mapped[PublicId]
    case_id: Mapped[int] = mapped_column(ForeignKey("case.id", ondelete="CASCADE"))
    kind: Mapped[str]
    body: Mapped[str | None]  # personal text, erasable
    language: Mapped[str | None]
    reached: Mapped[bool | None]  # of a call: whether the customer was spoken to
    minutes: Mapped[int | None]  # of a call
    staff_id: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    message_id: Mapped[int | None] = mapped_column(ForeignKey("message.id"))
    form_key: Mapped[str | None] = mapped_column(unique=True)  # of the form that made it: a double click makes one
    at: Mapped[datetime]
    erased_at: Mapped[datetime | None]
    staff: Mapped[Staff | None] = relationship()


class PromiseState(StrEnum):
    OPEN = "open"
    KEPT = "kept"
    LATE = "late"  # kept, after its time
    BROKEN = "broken"
    RENEGOTIATED = "renegotiated"


class Promise(Model):
    __tablename__ = "promise"
    __table_args__ = (
        Index("ix_promise_case", "case_id", "made_at"),
        Index("ix_promise_open", "due_at", postgresql_where=text("state = 'open'")),
    )
    id: Mapped[Id]
    public_id: Mapped[PublicId]
    case_id: Mapped[int] = mapped_column(ForeignKey("case.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(default="other")  # contact: kept by the first contact itself; or other
    words: Mapped[str]  # what the customer was told; erasable
    due_at: Mapped[datetime]
    due_local: Mapped[str | None]  # wall time as agreed, with due_zone
    due_zone: Mapped[str | None]
    keeper_id: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))  # None: the team
    made_by: Mapped[str]  # actor
    made_at: Mapped[datetime]
    state: Mapped[str] = mapped_column(default=PromiseState.OPEN)
    ended_at: Mapped[datetime | None]
    ended_by: Mapped[str | None]
    replaced_by_id: Mapped[int | None] = mapped_column(ForeignKey("promise.id"))
    form_key: Mapped[str | None] = mapped_column(unique=True)
    keeper: Mapped[Staff | None] = relationship()


class RootCause(Model):
    """A node of the team's own tree of causes."""

    __tablename__ = "root_cause"
    id: Mapped[Id]
    public_id: Mapped[PublicId]
    key: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("root_cause.id"))
    archived_at: Mapped[datetime | None]


class ProblemState(StrEnum):
    OPEN = "open"  # somebody finds out why
    ACTED = "acted"  # something was changed, and it is watched whether it happens less
    CLOSED = "closed"


class ClosedBecause(StrEnum):
    """Why a problem was closed."""

    VERIFIED = "verified"  # it happens less since something was changed
    ACCEPTED = "accepted"  # it stays as it is, and somebody decided so
    NONE = "none"  # it was none


class Problem(Model):
    """What goes wrong for more than one customer, so that whoever finds out why keeps it from the next ones."""

    __tablename__ = "problem"
    __table_args__ = (Index("ix_problem_live", "id", postgresql_where=text("closed_at IS NULL")),)
    id: Mapped[Id]
    public_id: Mapped[PublicId]
    title: Mapped[str]
    brand_id: Mapped[int | None] = mapped_column(ForeignKey("brand.id"))  # None: all brands
    touchpoint_id: Mapped[int | None] = mapped_column(ForeignKey("touchpoint.id"))  # None: anywhere
    root_cause_id: Mapped[int | None] = mapped_column(ForeignKey("root_cause.id"))  # None: not known yet
    owner_id: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    known: Mapped[str] = mapped_column(default="")  # what was found out so far
    tell: Mapped[str] = mapped_column(default="")  # what agents tell customers meanwhile
    state: Mapped[str] = mapped_column(default=ProblemState.OPEN)
    form_key: Mapped[str] = mapped_column(unique=True)  # a double click opens one problem
    opened_by: Mapped[str]  # actor
    opened_at: Mapped[datetime]
    closed_because: Mapped[str | None]
    closed_at: Mapped[datetime | None]
    touchpoint: Mapped[Touchpoint | None] = relationship()
    root_cause: Mapped[RootCause | None] = relationship()
    owner: Mapped[Staff | None] = relationship()
    actions: Mapped[list[CorrectiveAction]] = relationship(order_by="CorrectiveAction.acted_on, CorrectiveAction.id")


class CorrectiveAction(Model):
    """What was changed so that it happens to nobody else; whether it helped is seen by recurrence."""

    __tablename__ = "corrective_action"
    id: Mapped[Id]
    problem_id: Mapped[int] = mapped_column(ForeignKey("problem.id", ondelete="CASCADE"), index=True)
    words: Mapped[str]
    acted_on: Mapped[date]  # the first day on which it held
    form_key: Mapped[str] = mapped_column(unique=True)  # a double click tells of one
    by: Mapped[str]  # actor
    at: Mapped[datetime]


class Category(Model):
    """A node of the team's own tree of what complaints are about."""

    __tablename__ = "category"
    id: Mapped[Id]
    public_id: Mapped[PublicId]
    key: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("category.id"))
    archived_at: Mapped[datetime | None]


class Resolution(Model):
    """What was done and why it had happened; a reopened case gets another."""

    __tablename__ = "resolution"
    id: Mapped[Id]
    case_id: Mapped[int] = mapped_column(ForeignKey("case.id", ondelete="CASCADE"), index=True)
    root_cause_id: Mapped[int] = mapped_column(ForeignKey("root_cause.id"))
    words: Mapped[str | None]
    by: Mapped[str]
    at: Mapped[datetime]


class OutcomeState(StrEnum):
    PENDING = "pending"  # to be asked at due_at
    ASKED = "asked"
    ANSWERED = "answered"
    SILENT = "silent"  # asked, and the link ran out
    CANCELLED = "cancelled"  # reopened before it was asked


class OutcomeCheck(Model):
    """The same question asked again, bound to the first answer. Only its answer decides who was won back."""

    __tablename__ = "outcome_check"
    __table_args__ = (
        Index(
            "uq_outcome_check_live",
            "case_id",
            unique=True,
            postgresql_where=text("state IN ('pending','asked')"),
        ),
        Index("ix_outcome_check_case", "case_id"),
        Index("ix_outcome_check_silent", "due_at", postgresql_where=text("state = 'silent'")),
    )
    id: Mapped[Id]
    public_id: Mapped[PublicId]
    case_id: Mapped[int] = mapped_column(ForeignKey("case.id", ondelete="CASCADE"))
    state: Mapped[str] = mapped_column(default=OutcomeState.PENDING)
    asked_because: Mapped[str]  # resolved, or fixed: the customer said so
    due_at: Mapped[datetime]
    asked_at: Mapped[datetime | None]
    answered_at: Mapped[datetime | None]
    score: Mapped[int | None] = mapped_column(SmallInteger)
    won_back: Mapped[bool | None]


class Complaint(Model):
    """A customer says, unasked, that something is wrong (ISO 10002)."""

    __tablename__ = "complaint"
    __table_args__ = (
        Index("ix_complaint_typed_email", text("lower(typed_email)"), postgresql_where=text("typed_email IS NOT NULL")),
    )
    id: Mapped[Id]
    public_id: Mapped[PublicId]
    case_id: Mapped[int | None] = mapped_column(ForeignKey("case.id"), unique=True)
    brand_id: Mapped[int] = mapped_column(ForeignKey("brand.id"))
    form_key: Mapped[str] = mapped_column(unique=True)  # a double click makes one complaint
    reference: Mapped[str | None]
    happened_on: Mapped[str | None]  # as exact as the customer knows it: ISO date, month or year
    category: Mapped[str | None]  # the key of a Category; of an imported one what its file said
    wish: Mapped[str | None]  # what would put it right: replace, refund, explain or other
    via: Mapped[str | None]  # how to reach the customer: phone, email or sms
    contact_time: Mapped[str | None]  # when they like to be rung: morning, afternoon or evening; None: any time
    typed_name: Mapped[str | None]  # what a stranger typed attaches to nothing until confirmed by mail; erasable
    typed_email: Mapped[str | None]
    typed_phone: Mapped[str | None]
    confirmed_at: Mapped[datetime | None]
    received_at: Mapped[datetime]
    words: Mapped[str | None]
    language: Mapped[str]
    attributes: Mapped[Json]
    import_id: Mapped[int | None] = mapped_column(ForeignKey("import_run.id"))


class Attachment(Model):
    __tablename__ = "attachment"
    __table_args__ = (Index("ix_attachment_entry", "entry_id", postgresql_where=text("entry_id IS NOT NULL")),)
    id: Mapped[Id]
    case_id: Mapped[int] = mapped_column(ForeignKey("case.id", ondelete="CASCADE"), index=True)
    entry_id: Mapped[int | None] = mapped_column(ForeignKey("case_entry.id", ondelete="CASCADE"))
    file_id: Mapped[int] = mapped_column(ForeignKey("file.id"))
