"""What refused rows of imports say: one that quotes somebody who is erased is emptied, behind the request.

A refusal belongs to nobody, and no index finds a name inside of a sentence: all of them are read, some at a time. By
then the words are gone, so what is looked for is kept as keyed hashes, each with the length of its word: of a sentence
only what is as long, and stands there as a whole, is hashed and compared.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Final

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert

from core import outbox
from core.db import db, new_public_id
from customers import sought
from customers.models import Customer, ImportRefusal, RefusalSearch
from customers.signals import SETTLED_AFTER, Erasure

BATCH: Final = 5000  # rows read at a time: a third of a second
INSTEAD: Final = "What this said was erased with its customer."
_BETWEEN_WORDS: Final = re.compile(r"\W")


def seek(customer: Customer, erasure: Erasure) -> None:
    """Have every refused row looked through for the words that name a customer who is erased now."""
    if not erasure.words or db.session.scalar(select(ImportRefusal.id).limit(1)) is None:
        return
    words = [word.lower() for word in erasure.words]
    looked_for = sorted(f"{len(word)}:{sought.hashed(word)}" for word in words)
    row = {"erased_id": customer.id, "sought": looked_for, "after_id": 0, "until": erasure.now + SETTLED_AFTER}
    db.session.execute(insert(RefusalSearch).values(row).on_conflict_do_nothing(index_elements=["erased_id"]))
    _go_on(customer.id, due_at=erasure.now)


@outbox.handler("refusals.search", queue="reports")
def search(*, customer_id: int, now: datetime) -> None:
    """Look some of the refused rows through; the rest follows as work of its own.

    Once all are, the newest are looked at once more a little later: an import may have been refusing rows meanwhile.
    """
    place = db.session.get(RefusalSearch, customer_id, with_for_update=True, populate_existing=True)
    if place is None:
        return
    after_id = place.after_id
    query = select(ImportRefusal.id, ImportRefusal.reason).where(ImportRefusal.id > after_id)
    rows = db.session.execute(query.order_by(ImportRefusal.id).limit(BATCH)).all()
    looked_for = _by_length(place.sought)
    _empty([row.id for row in rows if is_named(row.reason, looked_for)])
    if len(rows) == BATCH:
        place.after_id = rows[-1].id
        _go_on(customer_id, due_at=now)
    elif now < place.until:
        place.after_id = max(0, after_id - BATCH)  # who wrote earlier may have committed later
        _go_on(customer_id, due_at=place.until)
    else:
        db.session.delete(place)
    db.session.flush()


def _go_on(customer_id: int, *, due_at: datetime) -> None:
    outbox.later("refusals.search", key=new_public_id(), due_at=due_at, customer_id=customer_id)


def _empty(ids: Collection[int]) -> None:
    db.session.execute(
        update(ImportRefusal)
        .where(ImportRefusal.id.in_(ids))
        .values(reason=INSTEAD)
        .execution_options(synchronize_session="fetch")
    )


def is_named(sentence: str, looked_for: Mapping[int, Collection[str]]) -> bool:
    """Whether one of the words, given as hashes by their lengths, stands in it, and not as a part of a longer one."""
    sentence = sentence.lower()
    between = [found.span() for found in _BETWEEN_WORDS.finditer(sentence)]
    starts, ends = {0, *(end for _start, end in between)}, {len(sentence), *(start for start, _end in between)}
    return any(
        each in hashes
        for length, hashes in looked_for.items()
        for start in starts
        if start + length in ends
        for each in sought.each_hashed(sentence[start : start + length])
    )


def _by_length(looked_for: Collection[str]) -> dict[int, set[str]]:
    found: dict[int, set[str]] = defaultdict(set)
    for each in looked_for:
        length, _colon, hashed = each.partition(":")
        found[int(length)].add(hashed)
    return found
