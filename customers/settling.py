"""A little after a customer was erased or merged: whatever was under way at that moment has left its rows by now."""

from __future__ import annotations

from datetime import datetime

from core import outbox
from core.db import db
from customers import customers, erasure, merging
from customers.models import Customer


@outbox.handler("customer.settle", queue="reactions")
def settle(*, customer_id: int, now: datetime) -> None:
    """Clear, or move, what has come since; there is nothing to do but for who raced."""
    customer = db.session.get_one(Customer, customer_id)
    kept = customers.locked_family(customer)[0]
    db.session.refresh(customer)
    if customer.merged_into_id is not None:
        merging.move(kept, customer, by="system", now=now)
    if kept.erased_at is not None:
        erasure.erase(kept, by="system", now=now)
