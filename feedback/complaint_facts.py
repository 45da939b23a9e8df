"""What staff see of a complaint beside its words: order, day, wish, how to reach who filed it, what is unconfirmed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from flask import url_for
from flask_babel import LazyString
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from core import formats
from core.db import db
from customers.models import Interaction
from feedback import complaints, happened, trees
from feedback.models import Case, Category, Complaint
from feedback.trees import Branch

WISHES: Final[Mapping[str, LazyString]] = {
    "replace": _l("A replacement or a missing part"),
    "refund": _l("A refund, in full or in part"),
    "explain": _l("An explanation or an apology"),
    "other": _l("Something else"),
}
TIMES: Final[Mapping[str, LazyString]] = {
    "morning": _l("in the morning"),
    "afternoon": _l("in the afternoon"),
    "evening": _l("in the evening"),
}


@dataclass(frozen=True)
class Fact:
    """`mark` says what the value is worth: unknown, not confirmed; `href` where it leads."""

    label: str
    value: str
    mark: str = ""
    href: str = ""


@dataclass(frozen=True)
class Facts:
    facts: list[Fact]
    phone: str  # the number to ring for this case, "" for that of the customer's record
    category: str  # name of what it is about
    category_id: str  # public id, "" for none or an imported one
    offered: list[Branch]


def facts_of(case: Case) -> Facts | None:
    """Return what a complaint says of itself; None, and no statement, for a case of another origin."""
    complaint = complaints.of_case(case)
    if complaint is None:
        return None
    offered = trees.branches(Category)
    filed = _category(complaint)
    facts = [
        *_order(complaint, case),
        *_fact(_("Happened"), complaint.happened_on and happened.shown(complaint.happened_on)),
        *_fact(_("Would put it right"), complaint.wish and str(WISHES.get(complaint.wish, complaint.wish))),
        *_reach(complaint, case),
    ]
    return Facts(
        facts=facts,
        phone=complaint.typed_phone or "",
        category=filed.name if filed else complaint.category or "",
        category_id=filed.public_id if filed else "",
        offered=offered,
    )


def _fact(label: str, value: str | None, mark: str = "", href: str = "") -> list[Fact]:
    return [Fact(label, value, mark, href)] if value else []


def _category(complaint: Complaint) -> Category | None:
    if not complaint.category:
        return None
    return db.session.scalar(select(Category).where(Category.key == complaint.category))


def _order(complaint: Complaint, case: Case) -> list[Fact]:
    if not complaint.reference:
        return []
    if case.interaction_id is not None:
        return [Fact(_("Order"), complaint.reference)]
    return [_claimed(complaint.reference, case, complaints.orders([complaint.reference], case.brand_id))]


def _claimed(reference: str, case: Case, found: Sequence[Interaction]) -> Fact:
    """An order that is not known to be this customer's: whose it is helps to find out who is complaining."""
    if not found:
        return Fact(_("Order"), reference, _("no such order with us"))
    owner = found[0].customer
    if owner is None:
        return Fact(_("Order"), reference, _("an order without a customer"))
    mark = _("an order of %(name)s: ask who is complaining", name=owner.name or owner.external_id or _("somebody"))
    return Fact(_("Order"), reference, mark, url_for("customers.show", public_id=owner.public_id))


def _reach(complaint: Complaint, case: Case) -> list[Fact]:
    time = str(TIMES.get(complaint.contact_time or "", ""))
    unproven = "" if complaint.confirmed_at or case.customer_id else _("as typed, not confirmed")
    mail = "" if complaint.confirmed_at else _("not confirmed: nothing is sent there yet")
    return [
        *_fact(_("Name"), complaint.typed_name, unproven),
        *_fact(_("Phone"), complaint.typed_phone, _("as typed")),
        *_fact(_("Likes a call"), time),
        *_fact(_("E-mail"), complaint.typed_email, mail),
    ]


def size_of(size_bytes: int) -> str:
    """Return a file's size as people say it: "340 kB", "1.2 MB"."""
    if size_bytes < 1_000_000:
        return _("%(size)s kB", size=formats.number(max(size_bytes / 1000, 1)))
    return _("%(size)s MB", size=formats.number(size_bytes / 1_000_000, 1))
