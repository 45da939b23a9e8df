"""Keeping interactions: one for each (touchpoint, reference), however often and under whatever key it is told."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import case, func, select, tuple_, update

from core.db import db, new_public_id
from core.inserting import insert_many
from customers.models import Customer, Interaction, Touchpoint


@dataclass(frozen=True)
class InteractionData:
    """One event as a connected system tells it; `occurred_at` is aware, value and currency come both or not at all."""

    reference: str
    occurred_at: datetime
    channel: str
    value_minor: int | None = None
    currency: str | None = None
    staff_name: str | None = None
    status: str = "completed"
    attributes: Mapping[str, Any] = field(default_factory=dict)


def record(
    data: InteractionData, *, touchpoint: Touchpoint, customer: Customer | None, now: datetime
) -> tuple[Interaction, bool]:
    """Keep one interaction; return it and whether it is new."""
    return record_many([(data, touchpoint, customer)], now=now)[0]


def record_many(
    many: Sequence[tuple[InteractionData, Touchpoint, Customer | None]], *, now: datetime, import_id: int | None = None
) -> list[tuple[Interaction, bool]]:
    """Keep many interactions, return them in order with whether each is new. At most five statements, however many.

    Told again, an interaction keeps what it was; only one that was left half-done is completed.
    """
    if not many:
        return []
    rows = {
        (touchpoint.id, data.reference): _row(data, touchpoint, customer, now, import_id)
        for data, touchpoint, customer in many
    }
    in_order = [rows[key] for key in sorted(rows)]
    new = {row.id for row in insert_many(Interaction, in_order, unless="(touchpoint_id, reference)", returning=("id",))}
    keys = tuple_(Interaction.touchpoint_id, Interaction.reference)
    kept = {
        (row.touchpoint_id, row.reference): row
        for row in db.session.scalars(
            select(Interaction).where(keys.in_(list(rows))), execution_options={"populate_existing": True}
        )
    }
    finished = _complete(
        [kept[key] for key, row in rows.items() if row["status"] == "completed" and kept[key].status == "started"]
    )
    _add_value([kept[key] for key in rows if kept[key].id in new and kept[key].status == "completed"] + finished)
    first: set[int] = set()
    answers = []
    for data, touchpoint, _customer in many:
        interaction = kept[touchpoint.id, data.reference]
        answers.append((interaction, interaction.id in new and interaction.id not in first))
        first.add(interaction.id)
    return answers


def _row(
    data: InteractionData, touchpoint: Touchpoint, customer: Customer | None, now: datetime, import_id: int | None
) -> dict[str, Any]:
    return {
        "public_id": new_public_id(),
        "touchpoint_id": touchpoint.id,
        "customer_id": customer.id if customer else None,
        "reference": data.reference,
        "occurred_at": data.occurred_at,
        "channel": data.channel,
        "staff_name": data.staff_name,
        "value_minor": data.value_minor,
        "currency": data.currency,
        "status": data.status,
        "attributes": dict(data.attributes),
        "received_at": now,
        "import_id": import_id,
    }


def _complete(interactions: Sequence[Interaction]) -> list[Interaction]:
    """Complete what was left half-done; return those that nobody else completed meanwhile."""
    if not interactions:
        return []
    ids = [each.id for each in interactions]
    statement = update(Interaction).where(Interaction.id.in_(ids), Interaction.status == "started")
    changed = set(db.session.scalars(statement.values(status="completed").returning(Interaction.id)))
    return [each for each in interactions if each.id in changed]


def _add_value(interactions: Sequence[Interaction]) -> None:
    """Add the money of completed interactions to the customers' totals, in one statement; what was left brings none.

    A customer's total has the currency that came first.
    """
    totals: dict[int, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for interaction in interactions:
        if interaction.customer_id and interaction.value_minor and interaction.currency:
            totals[interaction.customer_id][interaction.currency] += interaction.value_minor
    first = {customer: next(iter(sums.items())) for customer, sums in totals.items()}
    if not first:
        return
    amount = case({customer: amount for customer, (_, amount) in first.items()}, value=Customer.id)
    currency = case({customer: currency for customer, (currency, _) in first.items()}, value=Customer.id)
    db.session.execute(
        update(Customer)
        .where(Customer.id.in_(first), func.coalesce(Customer.value_currency, currency) == currency)
        .values(value_minor=Customer.value_minor + amount, value_currency=currency)
        .execution_options(synchronize_session=False)
    )
