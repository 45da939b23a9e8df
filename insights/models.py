"""Roll-ups: counts of scores a day, so that a page costs the same whatever the number of responses."""

from __future__ import annotations

from datetime import date

from sqlalchemy import Index, SmallInteger
from sqlalchemy.orm import Mapped, mapped_column

from core.db import Model


class Rollup(Model):
    """Count of one score on one day (in the brand's zone). 0 stands for "none" in the keys that may be absent."""

    __tablename__ = "rollup"
    __table_args__ = (
        Index("ix_rollup_survey_day", "survey_id", "day"),
        Index("ix_rollup_day", "day"),
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
    day: Mapped[date] = mapped_column(primary_key=True)
    brand_id: Mapped[int] = mapped_column(primary_key=True)
    survey_id: Mapped[int] = mapped_column(primary_key=True)
    metric: Mapped[str] = mapped_column(primary_key=True)
    touchpoint_id: Mapped[int] = mapped_column(primary_key=True)
    channel: Mapped[str] = mapped_column(primary_key=True)
    language: Mapped[str] = mapped_column(primary_key=True)
    route: Mapped[str] = mapped_column(primary_key=True)
    was: Mapped[str] = mapped_column(primary_key=True)
    became: Mapped[str] = mapped_column(primary_key=True)
    count: Mapped[int] = mapped_column(default=0)


class Invited(Model):
    """What became of the invitations made on one day, and of the interactions nobody was asked about.

    Counted anew by insights.rates while it can still change. `reason` says why somebody was skipped, else it is "".
    """

    __tablename__ = "rollup_invited"
    day: Mapped[date] = mapped_column(primary_key=True)
    brand_id: Mapped[int] = mapped_column(primary_key=True)
    survey_id: Mapped[int] = mapped_column(primary_key=True)
    touchpoint_id: Mapped[int] = mapped_column(primary_key=True)
    channel: Mapped[str] = mapped_column(primary_key=True)
    language: Mapped[str] = mapped_column(primary_key=True)
    outcome: Mapped[str] = mapped_column(primary_key=True)
    reason: Mapped[str] = mapped_column(primary_key=True)
    count: Mapped[int] = mapped_column(default=0)
