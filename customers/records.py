"""What one row of an import means: an interaction, a response or a complaint, typed and checked for shape.

Records come from customers.mapping and go to the importers, which look up touchpoints, surveys and customers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from core.money import Money
from customers.scales import Metric


class Missing(StrEnum):
    """Why there is no score: three different things, and none of them is a zero."""

    BLANK = "blank"
    NOT_ASKED = "not_asked"
    NOT_IN_VERSION = "not_in_version"


class State(StrEnum):
    """Where an imported complaint stands."""

    OPEN = "open"
    RESOLVED = "resolved"


@dataclass(frozen=True)
class CustomerFields:
    """The customer as the row names them; blank is None, and nothing is looked up or checked yet."""

    external_id: str | None = None
    name: str | None = None
    email: str | None = None
    phone: str | None = None
    language: str | None = None
    tier: str | None = None


@dataclass(frozen=True, kw_only=True)
class Row:
    """What every record has.

    `line` is the physical line on which its row begins. `key` is the same whenever the same row comes again, in any
    file with this mapping: rows that share a key are one record. `attributes` holds texts as they stood, no blank ones.
    """

    line: int
    key: str
    attributes: Mapping[str, str] = field(default_factory=dict)
    customer: CustomerFields | None = None


@dataclass(frozen=True, kw_only=True)
class InteractionRecord(Row):
    """One interaction; `occurred_at` is aware UTC, `status` is completed or started (left half-done)."""

    reference: str
    occurred_at: datetime
    touchpoint: str
    channel: str | None = None
    value: Money | None = None
    staff: str | None = None
    status: str = "completed"


@dataclass(frozen=True, kw_only=True)
class ResponseRecord(Row):
    """One response; `score` is on `metric`'s scale, or None with the reason in `missing`. `answered_at` is aware UTC.

    `touchpoint` with `reference` names the interaction that it is about, if any.
    """

    survey: str
    metric: Metric
    answered_at: datetime
    score: int | None = None
    missing: Missing | None = None
    question: str | None = None
    comment: str | None = None
    touchpoint: str | None = None
    reference: str | None = None
    channel: str | None = None
    language: str | None = None


@dataclass(frozen=True, kw_only=True)
class ComplaintRecord(Row):
    """One complaint with its historical times (aware UTC); `reopened` if the customer disputed how it ended."""

    received_at: datetime
    text: str
    category: str | None = None
    product: str | None = None
    touchpoint: str | None = None
    reference: str | None = None
    channel: str | None = None
    language: str | None = None
    state: State = State.OPEN
    reopened: bool = False
    resolved_at: datetime | None = None


Record = InteractionRecord | ResponseRecord | ComplaintRecord
