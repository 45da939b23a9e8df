"""Two records that may be one customer's: side by side, with what the one that is kept says after they are merged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import ColumnElement, false, func, or_, select

from core import formats, i18n
from core.db import db
from customers import merging
from customers.models import Consent, Customer, Interaction
from feedback.models import OPEN_STATES, Case
from incentives.models import Reward, RewardState
from surveys.models import Response

AGREED: Final = {
    Consent.GIVEN: _l("Agreed"),
    Consent.WITHDRAWN: _l("Refused"),
    Consent.UNKNOWN: _l("Not asked"),
}


@dataclass(frozen=True)
class Row:
    """One line of the comparison, ready to be shown: what both records say, and the kept one after they are merged."""

    label: str
    kept: str
    gone: str
    after: str


def alike(customer: Customer) -> ColumnElement[bool]:
    """Return the condition by which records are offered before anybody searches: the same address, number or name."""
    same: list[ColumnElement[bool]] = []
    if customer.email:
        same.append(func.lower(Customer.email) == customer.email.lower())
    if customer.phone:
        same.append(Customer.phone == customer.phone)
    if customer.name:
        same.append(func.lower(Customer.name) == customer.name.lower())
    return or_(*same) if same else false()


def rows(kept: Customer, gone: Customer) -> list[Row]:
    """Return what both records say and hold; four statements for what they hold."""
    said = [
        _said(_("Number"), kept.external_id, gone.external_id, also=True),
        _said(_("Name"), kept.name, gone.name),
        _said(_("E-mail"), kept.email, gone.email, also=True),
        _said(_("Phone"), kept.phone, gone.phone, also=True),
        _said(_("Language"), *(_language(each.language) for each in (kept, gone))),
        _said(_("Tier"), *((each.tier or "").capitalize() for each in (kept, gone))),
        _since(kept, gone),
        _last_answer(kept, gone),
        _consent(_("Surveys"), kept.survey_consent, gone.survey_consent),
        _consent(_("Marketing"), kept.marketing_consent, gone.marketing_consent),
        _value(kept, gone),
    ]
    return said + [_counted(label, found, kept, gone) for label, found in _counts(kept, gone)]


def _said(label: str, kept: str | None, gone: str | None, *, also: bool = False) -> Row:
    """Blanks are filled; `also`: what the other record had is still found."""
    after = kept or gone or ""
    if also and kept and gone and kept != gone:
        after = _("%(kept)s, found by %(gone)s too", kept=kept, gone=gone)
    return Row(label, kept or "", gone or "", after)


def _language(code: str | None) -> str:
    return i18n.language_name(code) if code else ""


def _since(kept: Customer, gone: Customer) -> Row:
    first = min(kept.created_at, gone.created_at)
    return Row(_("Customer since"), *(formats.day(each, "full") for each in (kept.created_at, gone.created_at, first)))


def _last_answer(kept: Customer, gone: Customer) -> Row:
    newest = max((kept, gone), key=lambda each: each.profile_at.timestamp() if each.profile_at else 0.0)
    return Row(_("Last answer"), _answer(kept), _answer(gone), _answer(newest))


def _answer(customer: Customer) -> str:
    if customer.profile_score is None or customer.profile_at is None:
        return ""
    return _("%(score)s on %(day)s", score=formats.number(customer.profile_score), day=_dated(customer.profile_at))


def _dated(at: datetime) -> str:
    return formats.day(at, "dated")


def _consent(label: str, kept: str, gone: str) -> Row:
    told = [str(AGREED[Consent(each)]) for each in (kept, gone, merging.stricter(kept, gone))]
    return Row(label, *told)


def _value(kept: Customer, gone: Customer) -> Row:
    worth = [(each.value_minor, each.value_currency) for each in (kept, gone)]
    return Row(_("Lifetime value"), *(_money(*each) for each in (*worth, merging.joint_value(kept, gone))))


def _money(minor: int, currency: str | None) -> str:
    return formats.money(minor, currency) if currency else ""


def _counts(kept: Customer, gone: Customer) -> list[tuple[str, Mapping[int, int]]]:
    return [
        (_("Interactions"), _count(Interaction.customer_id, kept, gone)),
        (_("Answers"), _count(Response.customer_id, kept, gone)),
        (_("Open cases"), _count(Case.customer_id, kept, gone, Case.state.in_(OPEN_STATES))),
        (_("Rewards"), _count(Reward.customer_id, kept, gone, Reward.state == RewardState.ISSUED)),
    ]


def _count(column: Any, kept: Customer, gone: Customer, *conditions: ColumnElement[bool]) -> Mapping[int, int]:
    query = select(column, func.count()).where(column.in_([kept.id, gone.id]), *conditions).group_by(column)
    return {row[0]: row[1] for row in db.session.execute(query)}


def _counted(label: str, found: Mapping[int, int], kept: Customer, gone: Customer) -> Row:
    both = [found.get(each.id, 0) for each in (kept, gone)]
    return Row(label, *(formats.number(each) for each in (*both, sum(both))))
