"""What every room is told of a customer, so that it tends to its own tables: merged into another record, or erased.

The only signals there are. A receiver works in the caller's transaction and can be called again at any time: it finds
less to do then, or what an answer that was under way has left since.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from blinker import Signal

from customers.models import Customer

ROUNDS: Final = 2
SETTLED_AFTER: Final = timedelta(minutes=10)  # then they are told once more: no request and no work takes longer

customer_merged: Final = Signal("customer-merged")
"""Sent with the record that is kept; `merge` is a Merge."""

customer_erased: Final = Signal("customer-erased")
"""Sent with the record; `erasure` is an Erasure."""


@dataclass(frozen=True)
class Merge:
    """Rows of `gone` become rows of `kept`; `by` is an actor."""

    kept: Customer
    gone: Customer
    by: str
    now: datetime


@dataclass(frozen=True)
class Erasure:
    """Whose words and identifiers go. `ids` are the record's and those of records that were merged into it.

    `addresses` (lower case) and `identifiers` are what they were known by; empty when they are forgotten already.
    """

    ids: Sequence[int]
    addresses: frozenset[str]
    identifiers: frozenset[str]
    by: str
    now: datetime


def tell(signal: Signal, customer: Customer, **about: Any) -> None:
    """Tell every room, twice: receivers have no order, and the first round waits for answers that are under way.

    Whoever answers holds their link's row; the round that ends the link waits for them, and the next one finds what
    they left in rooms that were told before.
    """
    for _round in range(ROUNDS):
        signal.send(customer, **about)
