"""What the case page tells of its customer: scores over time, what they are worth, where we met them last."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from flask_babel import gettext as _
from sqlalchemy import Select, func, select
from sqlalchemy.orm import joinedload

from accounts import visibility
from accounts.models import Staff
from core import charts, formats
from core.db import db
from core.events import Event
from customers.models import Customer, Interaction, Touchpoint
from customers.scales import METRICS, SCALES, Band, Metric, band
from feedback import rows

SHOWN: Final = 4
SCORES: Final = 12
COUNTED: Final = 99


@dataclass(frozen=True)
class Met:
    """One interaction as a line."""

    icon: str
    words: str
    when: str


@dataclass(frozen=True)
class Card:
    name: str
    href: str
    about: str
    drawing: charts.ScoreLine | None
    drawing_says: str
    facts: list[tuple[str, str]]
    met: list[Met]
    won_back: str


def card_of(customer: Customer, *, staff: Staff, now: datetime) -> Card:
    """Return a customer's card with what a member of staff may see of it; three statements."""
    newest = met_by(customer, staff).order_by(Interaction.occurred_at.desc(), Interaction.id.desc()).limit(SHOWN)
    met = list(db.session.scalars(newest.options(joinedload(Interaction.touchpoint))))
    marks = _marks(customer, staff)
    return Card(
        name=rows.name_of_customer(customer),
        href=f"/customers/{customer.public_id}",
        about=_about(customer),
        drawing=charts.score_line(marks, scale=_scale(marks), edges=_edges(marks)) if len(marks) > 1 else None,
        drawing_says=_says(marks, now),
        facts=_facts(customer, staff),
        met=[_line(each, now) for each in met],
        won_back=_("Won back %(day)s", day=formats.day(customer.won_back_at, "dated")) if customer.won_back_at else "",
    )


def met_by(customer: Customer, staff: Staff) -> Select[Any]:
    """Return a query of a customer's interactions; a team of one brand is told of those with its brand."""
    query: Any = select(Interaction).where(Interaction.customer_id == customer.id)
    own = _own_touchpoints(staff)
    return query if own is None else query.where(Interaction.touchpoint_id.in_(own))


def _own_touchpoints(staff: Staff) -> Select[Any] | None:
    """Return a query of the touchpoints of the one brand somebody sees; None: they see all."""
    brand_id = visibility.brand_of(staff)
    return None if brand_id is None else select(Touchpoint.id).where(Touchpoint.brand_id == brand_id)


@dataclass(frozen=True)
class Answer(charts.Mark):
    metric: str = "nps"


def _marks(customer: Customer, staff: Staff) -> list[Answer]:
    """Return the customer's newest answers to the metric answered last, oldest first."""
    newest = (
        select(Event.at, Event.data)
        .where(Event.customer_id == customer.id, Event.kind == "response.completed")
        .order_by(Event.at.desc(), Event.id.desc())
        .limit(SCORES)
    )
    if (own := _own_touchpoints(staff)) is not None:
        newest = newest.where(Event.data["touchpoint"].as_integer().in_(own))
    found = [(row.at, row.data) for row in db.session.execute(newest) if row.data.get("metric") in METRICS]
    if not found:
        return []
    metric = found[0][1]["metric"]
    return [
        _mark(at, data) for at, data in reversed(found) if data["metric"] == metric and data.get("score") is not None
    ]


def _mark(at: datetime, data: dict[str, object]) -> Answer:
    metric, score = str(data["metric"]), int(str(data["score"]))
    which = band(metric, score)
    mends = data.get("outcome_check") is not None and which is not Band.NEGATIVE
    return Answer(at, score, which, formats.digits(score), mends=mends, metric=metric)


def _scale(marks: Sequence[Answer]) -> tuple[float, float]:
    return SCALES[Metric(marks[0].metric)] if marks else (0, 10)


def _edges(marks: Sequence[Answer]) -> tuple[float, float]:
    """Return where neutral and positive begin on the scale of these answers."""
    metric = Metric(marks[0].metric)
    low, high = SCALES[metric]
    bands = [band(metric, score) for score in range(low, high + 1)]
    return low + bands.index(Band.NEUTRAL) - 0.5, low + bands.index(Band.POSITIVE) - 0.5


def _says(marks: Sequence[Answer], now: datetime) -> str:
    said = [_("%(score)s on %(day)s", score=mark.text, day=formats.day(mark.at, "dated")) for mark in marks]
    return _("Scores over time: %(scores)s.", scores=formats.listed(said)) if said else ""


def _about(customer: Customer) -> str:
    parts = [customer.tier.capitalize()] if customer.tier else []
    if customer.phone:
        parts.append(customer.phone)
    if customer.email:
        parts.append(customer.email)
    return " · ".join(parts)


def _facts(customer: Customer, staff: Staff) -> list[tuple[str, str]]:
    some = met_by(customer, staff).with_only_columns(Interaction.id).limit(COUNTED + 1).subquery()
    count = db.session.scalar(select(func.count()).select_from(some)) or 0
    shown = f"{COUNTED}+" if count > COUNTED else formats.digits(count)
    facts = [(_("Interactions"), shown)]
    if customer.value_minor and customer.value_currency:
        facts.insert(0, (_("Lifetime value"), formats.money(customer.value_minor, customer.value_currency)))
    return facts


def _line(interaction: Interaction, now: datetime) -> Met:
    words = f"{interaction.touchpoint.name}, {interaction.reference}"
    return Met(interaction.touchpoint.icon, words, rows.near(interaction.occurred_at, now))
