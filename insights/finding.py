"""Finding by one box: a case by its number, customers by name, address, number or id, interactions by reference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import func, select, tuple_
from sqlalchemy.orm import contains_eager

from accounts import visibility
from accounts.models import Staff
from core.db import db
from core.errors import NotFound
from customers.models import Customer, Interaction, Touchpoint
from feedback import cases
from feedback.models import Case
from insights import record

PAGE: Final = 30
INTERACTIONS_SHOWN: Final = 10
LONGEST: Final = 200


@dataclass(frozen=True)
class Place:
    """Where a page of customers begins: after this name (lower case) and id."""

    name: str
    id: int

    def __str__(self) -> str:
        return f"{self.id}~{self.name}"

    @classmethod
    def read(cls, text: str | None) -> Place | None:
        """Read a place from an address; None for anything that is none."""
        number, mark, name = (text or "").replace("\0", "").partition("~")
        if not mark or not number.isascii() or not number.isdigit() or int(number) >= 2**63:
            return None
        return cls(name[:LONGEST], int(number))


@dataclass(frozen=True)
class Found:
    customers: Sequence[Customer]
    after: Place | None
    interactions: Sequence[Interaction]

    @property
    def nothing(self) -> bool:
        return not self.customers and not self.interactions


def words_of(text: str | None) -> str:
    """Return what was typed as it can be looked for."""
    return (text or "").replace("\0", "").strip()[:LONGEST]


def case_number(staff: Staff, words: str) -> int | None:
    """Return the number of the case that the words name, AM-2417 or 2417, if this person may see it."""
    if cases.number_of(words) is None or not staff.may("desk.see"):
        return None
    try:
        return cases.visible(staff, words).number
    except NotFound:
        return None


def find(staff: Staff, words: str, *, after: Place | None = None) -> Found:
    """Return a page of customers by name; on the first page also interactions of that reference. Three statements."""
    name = func.coalesce(func.lower(Customer.name), "")
    query = record.visible(staff).where(Customer.erased_at.is_(None), record.matching(words))
    if after is not None:
        query = query.where(tuple_(name, Customer.id) > (after.name, after.id))
    rows = list(db.session.scalars(query.order_by(name, Customer.id).limit(PAGE + 1)))
    last = rows[PAGE - 1] if len(rows) > PAGE else None
    following = Place((last.name or "").lower(), last.id) if last else None
    return Found(rows[:PAGE], following, _interactions(staff, words) if after is None else ())


def _interactions(staff: Staff, words: str) -> Sequence[Interaction]:
    query: Any = (
        select(Interaction)
        .join(Interaction.touchpoint)
        .outerjoin(Interaction.customer)
        .where(Interaction.reference == words)
        .options(contains_eager(Interaction.touchpoint), contains_eager(Interaction.customer))
        .order_by(Interaction.occurred_at.desc(), Interaction.id.desc())
        .limit(INTERACTIONS_SHOWN)
    )
    return db.session.scalars(visibility.visible_to(staff, query, Touchpoint.brand_id)).all()


def open_cases(staff: Staff, customers: Sequence[Customer]) -> dict[int, Case]:
    """Return each customer's newest case that is not closed; one statement."""
    query: Any = select(Case).where(
        Case.customer_id.in_([each.id for each in customers]), Case.closed_at.is_(None), Case.off_desk.is_(False)
    )
    found = db.session.scalars(visibility.visible_to(staff, query, Case.brand_id).order_by(Case.opened_at, Case.id))
    return {case.customer_id: case for case in found}
