"""The customers whom somebody at the desk knows: a team of one brand knows those who met that brand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Select, column, exists, func, not_, or_, select, table

from accounts.models import Staff
from accounts.visibility import brand_of
from core.db import db, is_public_id
from customers.models import Customer, Interaction, Touchpoint
from feedback.models import Case

# Answers are kept by surveys, which lies above: of them only these two columns are asked for here.
_answer = table("response", column("customer_id", BigInteger), column("brand_id", BigInteger))


def by(staff: Staff) -> Select[Customer]:
    """Return the statement of customers this person may see."""
    query = select(Customer).where(Customer.merged_into_id.is_(None))
    brand_id = brand_of(staff)
    return query if brand_id is None else query.where(met(brand_id))


def met(brand_id: int) -> ColumnElement[bool]:
    """Return the condition that a customer met a brand: by an interaction, an answer or a case."""
    return or_(*_meetings(lambda column: column == brand_id))


def met_others(brand_id: int) -> ColumnElement[bool]:
    """Return the condition that a customer met any other brand than this one."""
    return or_(*_meetings(lambda column: column != brand_id))


def _meetings(of_brand: Callable[[Any], ColumnElement[bool]]) -> list[ColumnElement[bool]]:
    """Each is looked up for one customer, by its index: a list of all whom a brand ever met grows with the shop."""
    places = select(Touchpoint.id).where(of_brand(Touchpoint.brand_id))
    return [
        exists().where(Interaction.customer_id == Customer.id, Interaction.touchpoint_id.in_(places)),
        exists().where(Case.customer_id == Customer.id, of_brand(Case.brand_id)),
        exists().where(_answer.c.customer_id == Customer.id, of_brand(_answer.c.brand_id)),
    ]


def by_public_id(public_id: str, *, staff: Staff) -> Customer | None:
    """Return the customer for whom somebody may open a case, or None; a merged record leads to the one that remains."""
    if not is_public_id(public_id):
        return None
    return _first_open_to(staff, Customer.public_id == public_id)


def named(text: str, *, staff: Staff) -> Customer | None:
    """Return the customer with this number or e-mail address for whom somebody may open a case, or None.

    Also one that a merged record had; of several the oldest.
    """
    return _first_open_to(staff, or_(Customer.external_id == text, func.lower(Customer.email) == text.lower()))


def _first_open_to(staff: Staff, known: ColumnElement[bool]) -> Customer | None:
    found = select(func.coalesce(Customer.merged_into_id, Customer.id)).where(known, Customer.erased_at.is_(None))
    query = _to_open_for(staff).where(Customer.id.in_(found.scalar_subquery()))
    return db.session.scalars(query.order_by(Customer.id).limit(1)).first()


def _to_open_for(staff: Staff) -> Select[Customer]:
    """Return the statement of whom this person sees, and of who met no brand yet: any may be their first."""
    query = select(Customer).where(Customer.merged_into_id.is_(None), Customer.erased_at.is_(None))
    brand_id = brand_of(staff)
    if brand_id is None:
        return query
    return query.where(or_(met(brand_id), not_(met_others(brand_id))))
