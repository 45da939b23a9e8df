"""Setting a touchpoint's invitation rule. A rule that could never invite anybody is refused, with the way out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Final

from flask_babel import gettext as _
from flask_babel import ngettext as _n
from sqlalchemy import select

from core import conditions, editing, events
from core.contradictions import field_of_contradiction
from core.db import db
from core.errors import Refusal
from customers.models import Brand, Touchpoint
from incentives.models import Programme, ProgrammeState
from surveys import versions
from surveys.models import InvitationRule, Survey

MINUTES_A_DAY: Final = 24 * 60
KNOWN: Final[Mapping[str, tuple[str, ...]]] = {
    "status": ("started", "completed"),
    "profile": ("detractor", "passive", "promoter", "silent"),
}
"""What an interaction's status and a customer's profile can be."""


class CanNeverInvite(Refusal):
    code = "can-never-invite"


@dataclass(frozen=True)
class RuleData:
    """A rule as somebody wants it."""

    survey: Survey
    programme: Programme | None
    delay_minutes: int
    sample_percent: int
    quarantine_days: int
    needs_consent: bool
    max_age_days: int
    expires_days: int
    conditions: Mapping[str, Any]
    active: bool


def main_surveys(brand: Brand | None) -> list[tuple[str, str]]:
    """Return (key, name) of a brand's surveys that could be its main one: in use, published, with a scored question."""
    if brand is None:
        return []
    query = select(Survey).where(Survey.brand_id == brand.id, Survey.archived_at.is_(None)).order_by(Survey.name)
    return [(survey.key, survey.name) for survey in db.session.scalars(query) if versions.is_asked(survey.id)]


def of_touchpoint(touchpoint: Touchpoint, *, locked: bool = False) -> InvitationRule | None:
    query = select(InvitationRule).where(InvitationRule.touchpoint_id == touchpoint.id)
    return db.session.scalar(query.with_for_update() if locked else query)


def save(touchpoint: Touchpoint, data: RuleData, *, by: str, now: datetime) -> InvitationRule:
    """Set the rule of a touchpoint for interactions to come. Raises CanNeverInvite, which names the field.

    The caller holds the touchpoint's row, so that two people do not make two rules at once.
    """
    check(data)
    rule = of_touchpoint(touchpoint)
    if rule is None:
        rule = InvitationRule(key=_free_key(touchpoint.key), touchpoint=touchpoint, **_columns(data))
        db.session.add(rule)
        db.session.flush()
        events.record("rule.created", at=now, actor=by, rule=rule.id, touchpoint=touchpoint.id)
        return rule
    changed = [name for name in editing.apply(rule, _columns(data)) if not name.endswith("_id")]
    db.session.flush()
    if changed:
        events.record("rule.changed", at=now, actor=by, rule=rule.id, touchpoint=touchpoint.id, fields=changed)
    return rule


def draft(touchpoint: Touchpoint, data: RuleData) -> InvitationRule:
    """Return a rule that is kept nowhere, to see what it would do."""
    plain = {name: value for name, value in _columns(data).items() if name not in ("survey", "programme")}
    return InvitationRule(key=touchpoint.key, touchpoint_id=touchpoint.id, **(plain | {"active": True}))


def check(data: RuleData) -> None:
    """Refuse what could never invite. A rule that is switched off may wait for its survey to be published."""
    if data.sample_percent <= 0:
        raise CanNeverInvite(
            _("At 0 % nobody is ever asked. Ask at least 1 %, or switch the rule off."), field="sample_percent"
        )
    _check_expiry(data)
    _check_conditions(data.conditions)
    if data.active:
        _check_survey(data.survey)
        _check_programme(data.programme)


def _check_expiry(data: RuleData) -> None:
    if data.expires_days * MINUTES_A_DAY > data.delay_minutes:
        return
    days = math.floor(data.delay_minutes / MINUTES_A_DAY) + 1
    raise CanNeverInvite(
        _n(
            "The link would end before the mail leaves. Let it work for at least %(num)s day, or wait less.",
            "The link would end before the mail leaves. Let it work for at least %(num)s days, or wait less.",
            days,
        ),
        field="expires_days",
    )


def _check_conditions(tree: Mapping[str, Any]) -> None:
    if not tree:
        return
    try:
        impossible = field_of_contradiction(conditions.parse(dict(tree)), known=KNOWN)
    except conditions.BadCondition as error:
        raise CanNeverInvite(
            _("These conditions cannot be read: %(why)s.", why=error.reason), field="conditions"
        ) from error
    if impossible is not None:
        words = _("No interaction can meet these conditions at once. Take one of them back.")
        raise CanNeverInvite(words, field=impossible or "conditions")


def _check_survey(survey: Survey) -> None:
    if survey.archived_at is not None:
        raise CanNeverInvite(_("This survey is archived. Choose one that is in use."), field="survey")
    if not versions.is_asked(survey.id):
        raise CanNeverInvite(
            _("This survey has no published version with a scored question. Publish it first, or choose another."),
            field="survey",
        )


def _check_programme(programme: Programme | None) -> None:
    if programme is not None and programme.state == ProgrammeState.ENDED:
        raise CanNeverInvite(
            _("This programme has ended: the mail would promise what nobody gets. Choose another, or none."),
            field="programme",
        )


def _columns(data: RuleData) -> dict[str, Any]:
    columns = {each.name: getattr(data, each.name) for each in fields(data)}
    columns["conditions"] = dict(data.conditions)
    programme = data.programme
    return columns | {"survey_id": data.survey.id, "programme_id": programme.id if programme else None}


def _free_key(stem: str) -> str:
    taken = set(
        db.session.scalars(select(InvitationRule.key).where(InvitationRule.key.startswith(stem, autoescape=True)))
    )
    return next(key for key in (stem, *(f"{stem}-{number}" for number in range(2, len(taken) + 3))) if key not in taken)
