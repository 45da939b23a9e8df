"""What every room is told of a customer, so that it tends to its own tables: merged into another record, or erased.

The only signals there are. A receiver works in the caller's transaction and can be called again at any time: it finds
less to do then, or what an answer that was under way has left since.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from blinker import Signal

from customers.models import Customer

ROUNDS: Final = 2
SHORTEST: Final = 5  # letters of what is looked for in files: a shorter number stands in any of them
SETTLED_AFTER: Final = timedelta(minutes=10)  # then they are told once more: no request and no work takes longer
THAT_MOMENT: Final = timedelta(minutes=1)  # before an erasure and behind it: what came in it was under way

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

    `addresses` (lower case, without those that another customer has too), `numbers` (the shop's, phones) and `names`
    are what they were known by; empty when they are forgotten already.
    """

    ids: Sequence[int]
    addresses: frozenset[str]
    numbers: frozenset[str]
    names: frozenset[str]
    by: str
    now: datetime

    @property
    def words(self) -> list[str]:
        """What names them inside of a sentence; a name of one word is many people's."""
        whole = {each for each in self.names if len(each.split()) > 1}
        return sorted(each for each in self.addresses | self.numbers | whole if len(each) >= SHORTEST)

    def is_named_in(self, sentence: str) -> bool:
        """Whether one of the words stands in it, and not as a part of a longer one."""
        sentence = sentence.lower()
        return any(re.search(rf"(?<!\w){re.escape(word.lower())}(?!\w)", sentence) for word in self.words)


def tell(signal: Signal, customer: Customer, **about: Any) -> None:
    """Tell every room, twice: receivers have no order, and the first round waits for answers that are under way.

    Whoever answers holds their link's row; the round that ends the link waits for them, and the next one finds what
    they left in rooms that were told before.
    """
    for _round in range(ROUNDS):
        signal.send(customer, **about)
