"""The one append-only log: the case's history, the customer's timeline, the audit trail and the source of webhooks out.

`data` holds ids and codes only. Personal text lives in erasable columns of the rows the ids name.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Index, SmallInteger, insert
from sqlalchemy.orm import Mapped, mapped_column

from core.db import Id, Json, Model, db


class Event(Model):
    __tablename__ = "event"
    __table_args__ = (
        Index("ix_event_customer", "customer_id", "at", "id"),
        Index("ix_event_case", "case_id", "at", "id"),
        Index("ix_event_kind", "kind", "id"),
    )
    id: Mapped[Id]
    kind: Mapped[str]  # noun.verb, for example case.opened
    version: Mapped[int] = mapped_column(SmallInteger, default=1)  # of the shape of data
    at: Mapped[datetime]
    actor: Mapped[str]  # customer, staff:<id>, rule, import or system
    customer_id: Mapped[int | None]  # no foreign key: the log outlives what it tells of, and core knows no rooms
    case_id: Mapped[int | None]
    data: Mapped[Json]


def record(
    kind: str,
    *,
    at: datetime,
    actor: str,
    customer: int | None = None,
    case: int | None = None,
    **data: Any,
) -> None:
    """Append one event in the caller's transaction; `data` takes ids, codes and numbers, never personal text."""
    row = {
        "kind": kind,
        "version": 1,
        "at": at,
        "actor": actor,
        "customer_id": customer,
        "case_id": case,
        "data": data,
    }
    db.session.execute(insert(Event).values(row))


def staff_actor(staff_id: int) -> str:
    return f"staff:{staff_id}"
