"""Roll-ups, so that a page costs the same whatever the number of responses; and files that somebody is importing."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum
from typing import Final

from sqlalchemy import BigInteger, ForeignKey, Index, SmallInteger, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column, relationship

from core.db import Id, Json, Model, PublicId
from core.files import File
from customers.models import Brand, ImportRun

EVERY_TIER: Final = "*"
"""Counts are kept for each tier ("" for customers without one) and under this name for all of them together: who asks
about everybody reads as many rows as if there were no tiers, and nobody may add up both.
"""


class Rollup(Model):
    """Count of one score on one day (in the brand's zone). 0 or "" stands for "none" in the keys
    that may be absent."""

    __tablename__ = "rollup"
    __table_args__ = (
        Index("ix_rollup_survey_day", "survey_id", "day"),
        Index("ix_rollup_tier_day", "tier", "day"),
    )
    day: Mapped[date] = mapped_column(primary_key=True)
    brand_id: Mapped[int] = mapped_column(primary_key=True)
    survey_id: Mapped[int] = mapped_column(primary_key=True)
    version_id: Mapped[int] = mapped_column(primary_key=True)
    question: Mapped[str] = mapped_column(primary_key=True)
    metric: Mapped[str] = mapped_column(primary_key=True)
    touchpoint_id: Mapped[int] = mapped_column(primary_key=True)
    channel: Mapped[str] = mapped_column(primary_key=True)
    language: Mapped[str] = mapped_column(primary_key=True)
    tier: Mapped[str] = mapped_column(primary_key=True)
    team_id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(
        primary_key=True
    )  # first, or outcome: an outcome check's answer is no part of the headline
    score: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    count: Mapped[int] = mapped_column(default=0)


class Move(Model):
    """Count of customers' moves from one band to another between two answers, on the day of the second one.

    `route` is recovery where the second answer is an outcome check, later where we simply asked another time.
    """

    __tablename__ = "rollup_move"
    __table_args__ = (Index("ix_rollup_move_tier_day", "tier", "day"),)
    day: Mapped[date] = mapped_column(primary_key=True)
    brand_id: Mapped[int] = mapped_column(primary_key=True)
    survey_id: Mapped[int] = mapped_column(primary_key=True)
    metric: Mapped[str] = mapped_column(primary_key=True)
    touchpoint_id: Mapped[int] = mapped_column(primary_key=True)
    channel: Mapped[str] = mapped_column(primary_key=True)
    language: Mapped[str] = mapped_column(primary_key=True)
    tier: Mapped[str] = mapped_column(primary_key=True)
    route: Mapped[str] = mapped_column(primary_key=True)
    was: Mapped[str] = mapped_column(primary_key=True)
    became: Mapped[str] = mapped_column(primary_key=True)
    count: Mapped[int] = mapped_column(default=0)


class Invited(Model):
    """What became of the invitations made on one day, and of the interactions nobody was asked about.

    Counted anew by insights.rates while it can still change. `reason` says why somebody was skipped, or which question
    was the last that somebody answered who did not finish; else it is "".
    """

    __tablename__ = "rollup_invited"
    __table_args__ = (Index("ix_rollup_invited_tier_day", "tier", "day"),)
    day: Mapped[date] = mapped_column(primary_key=True)
    brand_id: Mapped[int] = mapped_column(primary_key=True)
    survey_id: Mapped[int] = mapped_column(primary_key=True)
    touchpoint_id: Mapped[int] = mapped_column(primary_key=True)
    channel: Mapped[str] = mapped_column(primary_key=True)
    language: Mapped[str] = mapped_column(primary_key=True)
    tier: Mapped[str] = mapped_column(primary_key=True)
    outcome: Mapped[str] = mapped_column(primary_key=True)
    reason: Mapped[str] = mapped_column(primary_key=True)
    count: Mapped[int] = mapped_column(default=0)


class Met(Model):
    """Count of one day's interactions at a touchpoint by status: completed, or started and left half-done.

    Counted anew by insights.happenings while it can still change.
    """

    __tablename__ = "rollup_interaction"
    day: Mapped[date] = mapped_column(primary_key=True)
    brand_id: Mapped[int] = mapped_column(primary_key=True)
    touchpoint_id: Mapped[int] = mapped_column(primary_key=True)
    tier: Mapped[str] = mapped_column(primary_key=True)
    status: Mapped[str] = mapped_column(primary_key=True)
    count: Mapped[int] = mapped_column(default=0)


class ToldDay(Model):
    """What was told of a day within so many minutes, when it was counted last: the newest interaction, and how many."""

    __tablename__ = "rollup_told"
    within_minutes: Mapped[int] = mapped_column(primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    newest_id: Mapped[int] = mapped_column(BigInteger)
    rows: Mapped[int]


class UploadState(StrEnum):
    CHOOSING = "choosing"  # its columns are not matched yet
    READY = "ready"  # matched: it can be tried and started
    TRYING = "trying"
    TRIED = "tried"
    RUNNING = "running"
    REFUSED = "refused"  # what the rows name contradicts what is here; `wrong` says what
    DONE = "done"
    ERASED = "erased"  # thrown away, because it named a customer whose record was erased


class Upload(Model):
    """A file that somebody imports on a page: how it looks, its mapping, what a trial told, how far the import is.

    The run's own row (ImportRun) is what the import goes on from; this one is what the page shows of it.
    """

    __tablename__ = "import_upload"
    __table_args__ = (Index("ix_import_upload_created_at", "created_at"),)
    id: Mapped[Id]
    public_id: Mapped[PublicId]
    file_id: Mapped[int] = mapped_column(ForeignKey("file.id"))
    file: Mapped[File] = relationship()
    brand_id: Mapped[int | None] = mapped_column(ForeignKey("brand.id"))  # where one was chosen
    brand: Mapped[Brand | None] = relationship()
    look: Mapped[Json]  # customers.looks.Look; emptied when the file is
    kind: Mapped[str | None]
    mapping: Mapped[Json]  # the table that a mapping file holds, with one kind
    state: Mapped[str] = mapped_column(default=UploadState.CHOOSING)
    turn: Mapped[int] = mapped_column(default=0)  # how often it was tried or started; part of the work's key
    told: Mapped[Json]  # counts of the last trial or of the import so far, and its first refusals
    wrong: Mapped[str | None]
    # Keyed hashes of what an erased customer was known by: the file is looked through before it is gone on with.
    sought: Mapped[list[str]] = mapped_column(JSONB, default=list, server_default=text("'[]'"))
    run_id: Mapped[int | None] = mapped_column(ForeignKey("import_run.id", ondelete="SET NULL"))
    run: Mapped[ImportRun | None] = relationship()
    by: Mapped[str]
    created_at: Mapped[datetime]
    begun_at: Mapped[datetime | None]  # of the trial or the import that is under way, or was last
    finished_at: Mapped[datetime | None]


class ImportAtWork(Model):
    """A file that the command imports at this moment, so that whoever erases a customer can have it looked through."""

    __tablename__ = "import_at_work"
    file_sha256: Mapped[str] = mapped_column(primary_key=True)
    sought: Mapped[list[str]] = mapped_column(JSONB, default=list, server_default=text("'[]'"))  # as an Upload's
    begun_at: Mapped[datetime]
