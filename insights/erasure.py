"""What files that somebody imports hold of a customer who is erased: a file that names them is thrown away.

Looking through them is work behind the request (insights.uploads), or of the process whose command imports a file
(insights.commanded); until it is done the files keep what they are looked through for as keyed hashes, and nothing of
them is taken in.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Text, cast, func, or_, select

from core.db import db
from customers.models import Customer
from customers.refusals import INSTEAD
from customers.signals import Erasure, customer_erased
from insights import commanded, named, uploads
from insights.models import Upload

PROBLEMS: Final = "problems"


@customer_erased.connect
def forget(customer: Customer, *, erasure: Erasure) -> None:
    """Have files looked through for the customer, and empty what pages of imports quote of them."""
    if hashes := named.hashes_of(erasure):
        uploads.seek(hashes, key=str(customer.id), now=erasure.now)
        commanded.seek(hashes)
    if erasure.words:
        _empty_told(erasure)


def _empty_told(erasure: Erasure) -> None:
    told = func.lower(cast(Upload.told, Text))
    quotes = or_(*(func.strpos(told, func.lower(word)) > 0 for word in erasure.words))
    for upload in db.session.scalars(select(Upload).where(quotes).order_by(Upload.id).with_for_update(of=Upload)):
        problems = [_emptied(each, erasure) for each in upload.told.get(PROBLEMS, ())]
        upload.told = upload.told | {PROBLEMS: problems}
    db.session.flush()


def _emptied(problem: list[Any], erasure: Erasure) -> list[Any]:
    line, column, reason = problem
    return [line, column, INSTEAD if erasure.is_named_in(str(reason)) else reason]
