"""Mails about a case: the one with its number, private link and what happens next, and what was promised."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from flask_babel import gettext as _
from sqlalchemy import select

from accounts.models import Staff
from core import formats, i18n
from core.db import db
from customers.models import Customer
from feedback import entries, public
from feedback.models import Case, Promise, PromiseState
from notifications import messages
from notifications.kinds import greeting_name
from notifications.messages import Draft
from notifications.models import Message


def post_opened(cases: Sequence[Case], *, now: datetime) -> None:
    """Write to the customers of cases just opened, once each; not to who wants no contact or has no address."""
    written_to = [(case, case.customer) for case in cases if case.wants != "none" and case.customer]
    promised = _promises([case.id for case, _customer in written_to])
    drafts = [_opened(case, customer, promised.get(case.id), now) for case, customer in written_to if customer.email]
    if drafts:
        messages.post_many(drafts, now=now)


def post_promise(case: Case, promise: Promise, *, by: Staff, now: datetime) -> None:
    """Write to the customer what was promised. Raises CannotWrite where there is no address, or nobody known."""
    _post("promise_made", case, promise, {}, by=by, now=now)


def post_change(case: Case, promise: Promise, *, was: Promise, because: str, by: Staff, now: datetime) -> None:
    """Write to the customer that `promise` holds instead of `was`, and why. Raises CannotWrite."""
    with i18n.use_language(case.language, zone=case.brand.zone):
        values = {"was": public.by_when(was, case, now), "because": because}
    _post("promise_changed", case, promise, values, by=by, now=now)


def _post(kind: str, case: Case, promise: Promise, more: Mapping[str, str], *, by: Staff, now: datetime) -> None:
    customer = case.customer
    if customer is None or not entries.can_write_to(case):
        raise entries.CannotWrite(
            _("There is no address to tell the customer at. Untick that and promise again."), field="tell"
        )
    with i18n.use_language(case.language, zone=case.brand.zone):
        values = {
            "number": case.label,
            "agent_name": by.name,
            "promise": public.by_when(promise, case, now),
            "promise_detail": formats.day(promise.due_at, "long"),
            "case_url": public.case_url(case),
            "name": greeting_name(customer.first_name),
            **more,
        }
    post(kind, case, customer, reason=f"promise:{promise.id}", language=case.language, values=values, now=now)


def post(
    kind: str, case: Case, customer: Customer, *, reason: str, language: str, values: Mapping[str, Any], now: datetime
) -> Message | None:
    """Write to the customer of a case, at the address of their record."""
    return messages.post(
        kind,
        reason=reason,
        brand=case.brand,
        customer=customer,
        language=language,
        values=values,
        to_address=customer.email,
        to_name=customer.name,
        case_id=case.id,
        now=now,
    )


def _promises(case_ids: Sequence[int]) -> dict[int, Promise]:
    query = select(Promise).where(
        Promise.case_id.in_(case_ids), Promise.kind == "contact", Promise.state == PromiseState.OPEN
    )
    return {promise.case_id: promise for promise in db.session.scalars(query)} if case_ids else {}


def _opened(case: Case, customer: Customer, promise: Promise | None, now: datetime) -> Draft:
    with i18n.use_language(case.language, zone=case.brand.zone):
        values = {
            "number": case.label,
            "case_url": public.case_url(case),
            "name": greeting_name(customer.first_name),
            "promise": public.by_when(promise, case, now) if promise else "",
        }
    return Draft(
        kind="case_opened",
        reason=f"case:{case.id}",
        brand=case.brand,
        language=case.language,
        values=values,
        to_address=customer.email,
        to_name=customer.name,
        customer_id=customer.id,
        case_id=case.id,
    )
