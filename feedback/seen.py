"""The customers whom somebody at the desk knows: a team of one brand knows those who met that brand."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Select, exists, func, not_, or_, select

from accounts.models import Staff
from accounts.visibility import brand_of
from core.db import db, is_public_id
from customers.models import Customer, Interaction, Touchpoint
from feedback.models import Case


def by(staff: Staff) -> Select[Customer]:
    """Return the statement of customers this person may see."""
    query = select(Customer).where(Customer.merged_into_id.is_(None))
    brand_id = brand_of(staff)
    return query if brand_id is None else query.where(Customer.id.in_(met(brand_id)))


def met(brand_id: int) -> Select[Any]:
    """Return the ids of customers who met a brand, or have a case with it."""
    met = select(Interaction.customer_id).join(Touchpoint).where(Touchpoint.brand_id == brand_id)
    return met.union(select(Case.customer_id).where(Case.brand_id == brand_id)).subquery().select()


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
    interactions = exists().where(Interaction.customer_id == Customer.id)
    cases = exists().where(Case.customer_id == Customer.id)
    return query.where(or_(Customer.id.in_(met(brand_id)), not_(or_(interactions, cases))))
