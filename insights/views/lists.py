"""The customers' list and the desk's list as files, cut to what the person who asks may see."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from flask import Blueprint, Response, request
from flask_login import current_user

from core import access, clock, money, spreadsheets
from core.db import db
from customers.models import Customer
from customers.scales import Profile
from feedback import queues, rows
from feedback.models import Case
from feedback.views.desk import asked_filters
from insights import record
from surveys import silence

blueprint = Blueprint("lists", __name__)
MOST_CUSTOMERS: Final = 50_000
MOST_CASES: Final = 5_000
CUSTOMER_HEAD: Final = (
    "id", "name", "email", "phone", "language", "tier", "profile", "metric", "score", "answered_at", "won_back_at",
    "value", "currency",
)  # fmt: skip
CASE_HEAD: Final = (
    "case", "state", "opened_at", "due_at", "next", "priority", "touchpoint", "metric", "score", "customer", "tier",
    "assignee", "summary", "words",
)  # fmt: skip


@blueprint.get("/customers.csv")
@access.needs("customers.export")
def customers_csv() -> Response:
    return _customers(spreadsheets.CSV)


@blueprint.get("/customers.xlsx")
@access.needs("customers.export")
def customers_xlsx() -> Response:
    return _customers(spreadsheets.XLSX)


def _customers(form: str) -> Response:
    """Give the customers that the list shows, or those that its search finds; those heard from last first."""
    words = request.args.get("q", "").replace("\x00", "").strip()[:200]
    query = record.visible(current_user).where(Customer.erased_at.is_(None))
    if words:
        query = query.where(record.matching(words))
    found = db.session.scalars(query.order_by(Customer.id.desc()).limit(MOST_CUSTOMERS)).all()
    silent = silence.silent_among([each.id for each in found], now=clock.now())
    lines = (_customer(each, is_silent=each.id in silent) for each in found)
    return spreadsheets.answer(CUSTOMER_HEAD, lines, name="customers", form=form)


@blueprint.get("/desk.csv")
@access.needs("cases.see_all")
def desk_csv() -> Response:
    """Give the cases that the desk's list shows, what is due first on top."""
    return spreadsheets.answer(CASE_HEAD, map(_case, _cases()), name="cases", form=spreadsheets.CSV)


def _cases() -> Iterator[Case]:
    now, filters, after, given = clock.now(), asked_filters(), None, 0
    while given < MOST_CASES:
        page = queues.page(current_user, filters, after=after, now=now)
        yield from page.cases
        given, after = given + len(page.cases), page.after
        if after is None:
            return


def _customer(customer: Customer, *, is_silent: bool) -> tuple[Any, ...]:
    value = None
    if customer.value_minor is not None and customer.value_currency:
        value = customer.value_minor / 10 ** money.exponent(customer.value_currency)
    return (
        customer.external_id,
        customer.name,
        customer.email,
        customer.phone,
        customer.language,
        customer.tier,
        Profile.SILENT if is_silent else customer.profile,
        customer.profile_metric,
        customer.profile_score,
        customer.profile_at,
        customer.won_back_at,
        value,
        customer.value_currency if value is not None else None,
    )


def _case(case: Case) -> tuple[Any, ...]:
    return (
        case.label,
        case.state,
        case.opened_at,
        case.due_at,
        case.next_act,
        case.priority,
        case.touchpoint.name if case.touchpoint else None,
        case.metric,
        case.score,
        rows.name_of(case),
        case.customer.tier if case.customer else None,
        case.assignee.name if case.assignee else None,
        case.summary,
        case.words,
    )
