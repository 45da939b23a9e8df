"""Keeping interactions: one for each (touchpoint, reference), however often and under whatever key it is told."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from typing import cast as typed

from sqlalchemy import BigInteger, Table, Text, bindparam, cast, column, func, select, tuple_, update
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.sql.dml import ReturningUpdate

from core.db import db, new_public_id
from core.inserting import insert_all
from core.prepared import Prepared
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
    return record_many([(data, touchpoint.id, customer)], now=now)[0]


def record_many(
    many: Sequence[tuple[InteractionData, int, Customer | None]], *, now: datetime, import_id: int | None = None
) -> list[tuple[Interaction, bool]]:
    """Keep many interactions, each (what, touchpoint's id, customer); return them in order with whether each is new.

    At most four statements, however many, and two where all are new. Told again, an interaction keeps what it was; only
    one that was left half-done is completed, with what was not known of it then.
    """
    if not many:
        return []
    rows = {
        (touchpoint_id, data.reference): _row(data, touchpoint_id, customer, now, import_id)
        for data, touchpoint_id, customer in many
    }
    in_order = [rows[key] for key in sorted(rows)]
    made = insert_all(Interaction, in_order, unless="(touchpoint_id, reference)")
    new = {row.id for row in made}
    kept = {(row.touchpoint_id, row.reference): row for row in made}
    kept |= _known([key for key in rows if key not in kept])
    finished = _complete(
        {
            kept[key].id: row
            for key, row in rows.items()
            if row["status"] == "completed" and kept[key].status == "started"
        }
    )
    _add_value([kept[key] for key in rows if kept[key].id in new and kept[key].status == "completed"] + finished)
    first: set[int] = set()
    answers = []
    for data, touchpoint_id, _customer in many:
        interaction = kept[touchpoint_id, data.reference]
        answers.append((interaction, interaction.id in new and interaction.id not in first))
        first.add(interaction.id)
    return answers


def _known(keys: Sequence[tuple[int, str]]) -> dict[tuple[int, str], Interaction]:
    if not keys:
        return {}
    query = select(Interaction).where(tuple_(Interaction.touchpoint_id, Interaction.reference).in_(keys))
    found = db.session.scalars(query, execution_options={"populate_existing": True})
    return {(row.touchpoint_id, row.reference): row for row in found}


def _row(
    data: InteractionData, touchpoint_id: int, customer: Customer | None, now: datetime, import_id: int | None
) -> dict[str, Any]:
    return {
        "public_id": new_public_id(),
        "touchpoint_id": touchpoint_id,
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


def _complete(told: Mapping[int, Mapping[str, Any]]) -> list[Interaction]:
    """Complete what was left half-done, by id; return those that nobody else completed meanwhile.

    Who it was stays if it was known; the money is what was told last, since a basket changes until it is paid for.
    """
    if not told:
        return []
    names = ("customer_id", "value_minor", "currency", "staff_name")
    given: dict[str, Any] = {"ids": list(told)} | {name: [row[name] for row in told.values()] for name in names}
    given["attributes"] = [json.dumps(row["attributes"]) for row in told.values()]
    changed = db.session.scalars(_COMPLETE, given, execution_options={"populate_existing": True})
    return list(changed)


def _completing() -> ReturningUpdate[Any]:
    types: dict[str, Any] = {
        "ids": BigInteger(),
        "customer_id": BigInteger(),
        "value_minor": BigInteger(),
        "currency": Text(),
        "staff_name": Text(),
        "attributes": Text(),
    }
    arrays = [bindparam(name, type_=ARRAY(type_)) for name, type_ in types.items()]
    columns: list[Any] = [column("id" if name == "ids" else name, type_) for name, type_ in types.items()]
    told = func.unnest(*arrays).table_valued(*columns, name="told").render_derived()
    half_done = (Interaction.id == told.c.id) & (Interaction.status == "started")
    return (
        update(Interaction)
        .where(half_done)
        .values(
            status="completed",
            customer_id=func.coalesce(Interaction.customer_id, told.c.customer_id),
            value_minor=func.coalesce(told.c.value_minor, Interaction.value_minor),
            currency=func.coalesce(told.c.currency, Interaction.currency),
            staff_name=func.coalesce(told.c.staff_name, Interaction.staff_name),
            attributes=Interaction.attributes.concat(cast(told.c.attributes, JSONB)),
        )
        .returning(Interaction)
        .execution_options(synchronize_session=False)
    )


_COMPLETE: Final = _completing()


def _add_value(interactions: Sequence[Interaction]) -> None:
    """Add the money of completed interactions to the customers' totals, in one statement; what was left brings none.

    A customer's total has the currency that came first.
    """
    totals: dict[int, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for interaction in interactions:
        if interaction.customer_id and interaction.value_minor and interaction.currency:
            totals[interaction.customer_id][interaction.currency] += interaction.value_minor
    first = [(customer, *next(iter(sums.items()))) for customer, sums in totals.items()]
    if first:
        ids, currencies, amounts = (list(column) for column in zip(*first, strict=True))
        _ADD_VALUE.run(ids=ids, currencies=currencies, amounts=amounts)


def _adding_value() -> Prepared:
    given: dict[str, Any] = {"ids": BigInteger, "currencies": Text, "amounts": BigInteger}
    arrays = [bindparam(name, type_=ARRAY(type_)) for name, type_ in given.items()]
    more = func.unnest(*arrays).table_valued("id", "currency", "amount", name="more").render_derived()
    total = typed(Table, Customer.__table__)
    adds = (total.c.id == more.c.id) & (func.coalesce(total.c.value_currency, more.c.currency) == more.c.currency)
    added = update(total).where(adds).values(value_minor=total.c.value_minor + more.c.amount)
    return Prepared(added.values(value_currency=more.c.currency).returning(total.c.id))


_ADD_VALUE: Final = _adding_value()
