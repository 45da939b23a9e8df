"""What it costs to serve one customer: the rewards and goodwill they were given, and the contacts in their cases.

A contact is a call, a reply or a message of the customer in a case; each costs what the case's brand says it does.
Money is told by currency, and never summed across two.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import func, select

from core.db import db
from customers.models import Brand, Customer
from feedback.models import Case, CaseEntry, EntryKind
from incentives.models import Programme, Reward, RewardState


@dataclass(frozen=True)
class Cost:
    """What was spent in one currency, in minor units; `contacts` are those that cost something in it."""

    currency: str
    given_minor: int = 0
    contacts: int = 0
    contacts_minor: int = 0

    @property
    def total_minor(self) -> int:
        return self.given_minor + self.contacts_minor


@dataclass(frozen=True)
class Serving:
    """The costs by currency, the one with most contacts first; `unpriced` contacts are of brands that say no cost."""

    costs: tuple[Cost, ...]
    unpriced: int = 0

    @property
    def contacts(self) -> int:
        return self.unpriced + sum(cost.contacts for cost in self.costs)


def cost_to_serve(customer: Customer, *, brand_id: int | None = None) -> Serving:
    """Return what this customer cost so far, one brand or all of them; two statements."""
    given = dict(_given(customer, brand_id))
    counts: Counter[str] = Counter()
    spent: Counter[str] = Counter()
    unpriced = 0
    for currency, cost_minor, count in _contacts(customer, brand_id):
        if cost_minor is None:
            unpriced += count
        else:
            counts[currency] += count
            spent[currency] += count * cost_minor
    currencies = sorted({*given, *counts}, key=lambda each: (-counts[each], each))
    costs = (Cost(each, given.get(each, 0), counts[each], spent[each]) for each in currencies)
    return Serving(tuple(costs), unpriced)


def _given(customer: Customer, brand_id: int | None) -> Iterable[tuple[str, int]]:
    query = select(Reward.currency, func.sum(Reward.amount_minor)).where(
        Reward.customer_id == customer.id, Reward.state == RewardState.ISSUED
    )
    if brand_id is not None:
        query = query.join(Programme, Programme.id == Reward.programme_id).where(Programme.brand_id == brand_id)
    return [(currency, int(minor)) for currency, minor in db.session.execute(query.group_by(Reward.currency))]


def _contacts(customer: Customer, brand_id: int | None) -> Iterable[tuple[str, int | None, int]]:
    """Return how many contacts there were by what one costs: (currency, minor units or None, count)."""
    query = (
        select(Brand.currency, Brand.contact_cost_minor, func.count())
        .select_from(CaseEntry)
        .join(Case, Case.id == CaseEntry.case_id)
        .join(Brand, Brand.id == Case.brand_id)
        .where(Case.customer_id == customer.id, CaseEntry.kind != EntryKind.NOTE)
        .group_by(Brand.currency, Brand.contact_cost_minor)
    )
    if brand_id is not None:
        query = query.where(Case.brand_id == brand_id)
    return [(currency, cost, count) for currency, cost, count in db.session.execute(query)]
