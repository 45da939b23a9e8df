"""Calls are answered again for a day, and what they are answered with holds references: those go with a customer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeGuard

from sqlalchemy import cast, func, literal, select
from sqlalchemy.dialects.postgresql import ARRAY, JSONPATH
from sqlalchemy.types import Text

from api.idempotency import KEPT
from api.models import IdempotencyKey
from core.db import db
from customers.models import Customer, Interaction
from customers.signals import Erasure, customer_erased


@customer_erased.connect
def forget(_customer: Customer, *, erasure: Erasure) -> None:
    """Blank the references of a customer's interactions in what repeated calls are answered with."""
    query = select(Interaction.public_id).where(
        Interaction.customer_id.in_(erasure.ids), Interaction.received_at > erasure.now - 2 * KEPT
    )
    theirs = set(db.session.scalars(query))
    for kept in _kept_about(theirs) if theirs else ():
        answers = kept.answer if isinstance(kept.answer, list) else [kept.answer]
        blanked = [{**each, "reference": ""} if _is_about(each, theirs) else each for each in answers]
        kept.answer = blanked if isinstance(kept.answer, list) else blanked[0]
    db.session.flush()


def _kept_about(public_ids: set[str]) -> Iterable[IdempotencyKey]:
    """Return the answers that tell of any of these; a day's answers are many, so the database looks through them."""
    named = func.jsonb_path_query_array(
        IdempotencyKey.answer, cast("$.id", JSONPATH)
    )  # of one answer, or of each in a list
    about = func.jsonb_exists_any(named, literal(sorted(public_ids), ARRAY(Text)))
    return db.session.scalars(select(IdempotencyKey).where(about)).all()


def _is_about(answer: Any, public_ids: set[str]) -> TypeGuard[dict[str, Any]]:
    return isinstance(answer, dict) and answer.get("id") in public_ids
