"""What becomes of a customer's cases when their record is erased or merged: what was said goes, what happened stays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import ColumnElement, Text, Update, cast, func, literal, select, update

from core import files
from core.db import db
from core.files import File
from customers.models import Customer
from customers.signals import THAT_MOMENT, Erasure, Merge, customer_erased, customer_merged
from feedback import clocks, outcome
from feedback.models import (
    Attachment,
    Case,
    CaseEntry,
    Complaint,
    OutcomeCheck,
    OutcomeState,
    Promise,
    PromiseState,
    Resolution,
)
from feedback.state import held, record
from notifications import suppression

TO_BE_ASKED: Final = (OutcomeState.PENDING, OutcomeState.ASKED)


@customer_erased.connect
def forget(customer: Customer, *, erasure: Erasure) -> None:
    """Close a customer's cases and empty them; their links end."""
    cases = held(select(Case).where(Case.customer_id.in_(erasure.ids)))
    for case in cases:
        _close(case, erasure)
        case.words = case.summary = None
        case.link_revoked_at = case.link_revoked_at or erasure.now
    db.session.flush()
    ids = [case.id for case in cases]
    _empty_cases(ids, erasure)
    _empty_complaints(Complaint.case_id.in_(ids))
    _forget_typed(customer, erasure)


def _close(case: Case, erasure: Erasure) -> None:
    """End all that would come to the desk, or to the customer, later on."""
    if case.is_open:
        clocks.stop(case.id, reason="erased", actor=erasure.by, now=erasure.now)
    _change(
        update(Promise)
        .where(Promise.case_id == case.id, Promise.state == PromiseState.OPEN)
        .values(state=PromiseState.RENEGOTIATED, ended_at=erasure.now, ended_by=erasure.by)
    )
    cancelled = update(OutcomeCheck).where(OutcomeCheck.case_id == case.id, OutcomeCheck.state.in_(TO_BE_ASKED))
    _change(cancelled.values(state=OutcomeState.CANCELLED))
    outcome.close(case, because="erased", by=erasure.by, now=erasure.now, was_resolved=False)


def _empty_cases(ids: Sequence[int], erasure: Erasure) -> None:
    said = update(CaseEntry).where(CaseEntry.case_id.in_(ids), CaseEntry.body.is_not(None))
    _change(said.values(body=None, erased_at=erasure.now))
    _change(update(Promise).where(Promise.case_id.in_(ids)).values(words=""))
    _change(update(Resolution).where(Resolution.case_id.in_(ids)).values(words=None))
    attached = select(Attachment.file_id).where(Attachment.case_id.in_(ids))
    files.empty(File.id.in_(attached), now=erasure.now)


def _empty_complaints(which: ColumnElement[bool]) -> None:
    _change(
        update(Complaint)
        .where(which)
        .values(
            reference=None,
            happened_on=None,
            contact_time=None,
            typed_name=None,
            typed_email=None,
            typed_phone=None,
            words=None,
            attributes={},
            form_key=literal("erased:").concat(cast(Complaint.id, Text)),
        )
    )


def _forget_typed(customer: Customer, erasure: Erasure) -> None:
    """Drop who typed one of the addresses without confirming it; the complaint itself may be somebody else's."""
    typed = func.lower(Complaint.typed_email).in_(erasure.addresses)
    if not erasure.addresses:
        typed = Complaint.id.in_(_typed_at_that_moment(customer))
    _change(update(Complaint).where(typed).values(typed_name=None, typed_email=None, typed_phone=None))


def _typed_at_that_moment(customer: Customer) -> list[int]:
    """Return complaints typed with an address of the erased while they were erased; we know it by hash alone."""
    if customer.erased_at is None:
        return []
    moment = Complaint.received_at.between(customer.erased_at - THAT_MOMENT, customer.erased_at + THAT_MOMENT)
    query = select(Complaint.id, Complaint.typed_email).where(Complaint.typed_email.is_not(None), moment)
    typed = {row.id: str(row.typed_email) for row in db.session.execute(query)}
    erased = suppression.erased_among(typed.values())
    return [complaint_id for complaint_id, address in typed.items() if address in erased]


@customer_merged.connect
def move(_kept: Customer, *, merge: Merge) -> None:
    """Give the cases to the record that is kept; each says so in its history."""
    for case in held(select(Case).where(Case.customer_id == merge.gone.id)):
        case.customer_id, case.customer = merge.kept.id, merge.kept
        record(case, "case.customer_merged", by=merge.by, now=merge.now, merged=merge.gone.id)
    db.session.flush()


def _change(statement: Update) -> None:
    db.session.execute(statement, execution_options={"synchronize_session": "fetch"})
