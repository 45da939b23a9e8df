"""/settings/touchpoints: where customer and company meet, and each one's invitation rule with what it would do."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_login import current_user
from sqlalchemy import or_, select
from sqlalchemy.orm import joinedload
from werkzeug.wrappers import Response

from accounts import history
from accounts.views.settings import frame
from accounts.visibility import visible_to
from core import access, clock, conditions, events
from core.db import db
from core.errors import NotFound, Refusal
from customers import journey, touchpoints
from customers.models import Brand, Stage, Touchpoint
from feedback import policies
from incentives.models import Programme, ProgrammeState, Trigger
from surveys import foreseeing, ruling, versions
from surveys.foreseeing import Foreseen
from surveys.models import InvitationRule, Survey
from surveys.touchpoint_forms import (
    NEW_RULE,
    NewTouchpointForm,
    RuleForm,
    TouchpointForm,
    said,
    values_of_rule,
    values_of_touchpoint,
)
from surveys.versions import NotPublished

blueprint = Blueprint("touchpoint_settings", __name__, url_prefix="/settings/touchpoints")


@blueprint.get("")
@access.needs("settings.see")
def show() -> str:
    """Show the first touchpoint, or the form of a new one where that is asked for, or where there is none."""
    known = _shown()
    if known and not ("new" in request.args and current_user.may("settings.edit")):
        return _page(known[0])
    return _new_page(_new_form())


@blueprint.post("")
@access.needs("settings.edit")
def create() -> Response | tuple[str, int]:
    form = _new_form()
    if not form.validate():
        return _new_page(form), 422
    try:
        touchpoint = touchpoints.create(form.key.data, form.data_of_touchpoint(), by=_actor(), now=clock.now())
    except touchpoints.KeyTaken as taken:
        form.key.errors = [taken.message]
        return _new_page(form), taken.status
    words = _("%(name)s is ready. Say now whether customers are asked about it.", name=touchpoint.name)
    return _saved(touchpoint, words)


@blueprint.get("/<key>")
@access.needs("settings.see")
def one(key: str) -> str:
    return _page(_touchpoint(key))


@blueprint.post("/<key>")
@access.needs("settings.edit")
def change(key: str) -> Response | tuple[str, int]:
    touchpoint = _touchpoint(key, locked=True)
    form = _form_of(touchpoint)
    if not form.validate():
        return _page(touchpoint, form=form), 422
    if form.is_stale():
        return _page(touchpoint, form=form), 409
    touchpoints.change(touchpoint, form.data_of_touchpoint(), by=_actor(), now=clock.now())
    return _saved(touchpoint, _("Saved."))


@blueprint.post("/<key>/use")
@access.needs("settings.edit")
def use(key: str) -> Response:
    """Archive a touchpoint, or take it back into use."""
    touchpoint = _touchpoint(key, locked=True)
    try:
        if request.form.get("act") == "take_back":
            touchpoints.take_back(touchpoint, by=_actor(), now=clock.now())
            words = _("%(name)s is in use again.", name=touchpoint.name)
        else:
            touchpoints.archive(touchpoint, by=_actor(), now=clock.now())
            words = _("%(name)s is archived. What happened there stays.", name=touchpoint.name)
    except Refusal as refusal:
        db.session.rollback()
        flash(refusal.message, "error")
        return redirect(url_for("touchpoint_settings.one", key=key))
    return _saved(touchpoint, words)


@blueprint.get("/<key>/rule")
@access.needs("settings.see")
def rule(key: str) -> Response:
    """Lead to the touchpoint's page, which has the rule: for who reloads or leaves the rule as saved."""
    return redirect(url_for("touchpoint_settings.one", key=_touchpoint(key).key))


@blueprint.post("/<key>/rule")
@access.needs("rules.edit")
def set_rule(key: str) -> Response | tuple[str, int]:
    """Save the rule, or only show what it would have done."""
    touchpoint = _touchpoint(key, locked=True)
    form = _rule_form(touchpoint)
    if not form.validate():
        return _page(touchpoint, rule_form=form), 422
    data = form.data_of_rule()
    try:
        if "preview" in request.form:
            ruling.check(data)
            return _preview(touchpoint, form)
        if form.is_stale():
            return _page(touchpoint, rule_form=form), 409
        ruling.save(touchpoint, data, by=_actor(), now=clock.now())
    except ruling.CanNeverInvite as refusal:
        db.session.rollback()
        form.refuse(refusal)
        return _page(touchpoint, rule_form=form), refusal.status
    return _saved(touchpoint, _("Saved. It holds for interactions from now on."))


def _preview(touchpoint: Touchpoint, form: RuleForm) -> tuple[str, int]:
    drafted = ruling.draft(touchpoint, form.data_of_rule())
    foreseen = foreseeing.foresee(drafted, touchpoint, version_id=_version_id(drafted.survey_id))
    page = _page(touchpoint, rule_form=form, foreseen=foreseen, is_preview=True)
    db.session.rollback()  # nothing was changed; the row is let go
    return page, 200


def _saved(touchpoint: Touchpoint, words: str) -> Response:
    db.session.commit()
    policies.forget()
    flash(words, "success")
    return redirect(url_for("touchpoint_settings.one", key=touchpoint.key))


# What there is


def _shown() -> list[Touchpoint]:
    """Return the touchpoints in the order of the journey, archived ones last."""
    query = (
        select(Touchpoint)
        .join(Stage, Stage.id == Touchpoint.stage_id)
        .order_by(Touchpoint.archived_at.is_not(None), Stage.position, Touchpoint.name, Touchpoint.id)
        .options(joinedload(Touchpoint.brand), joinedload(Touchpoint.stage))
    )
    return list(db.session.scalars(visible_to(current_user, query, Touchpoint.brand_id)))


def _touchpoint(key: str, *, locked: bool = False) -> Touchpoint:
    query = select(Touchpoint).where(Touchpoint.key == key)
    query = query.options(joinedload(Touchpoint.brand), joinedload(Touchpoint.stage))
    query = query.with_for_update(of=Touchpoint) if locked else query
    is_text = "\0" not in key
    found = db.session.scalar(visible_to(current_user, query, Touchpoint.brand_id)) if is_text else None
    if found is None:
        raise NotFound
    return found


def _rules(shown: list[Touchpoint]) -> dict[int, InvitationRule]:
    query = select(InvitationRule).where(InvitationRule.touchpoint_id.in_([each.id for each in shown]))
    rules = db.session.scalars(query.options(joinedload(InvitationRule.survey), joinedload(InvitationRule.programme)))
    return {rule.touchpoint_id: rule for rule in rules}


def _brands() -> list[Brand]:
    return list(db.session.scalars(visible_to(current_user, select(Brand).order_by(Brand.name), Brand.id)))


def _version_id(survey_id: int) -> int | None:
    try:
        return versions.current(survey_id).id
    except NotPublished:
        return None


# Forms and pages


def _form_of(touchpoint: Touchpoint, *, posted: bool = True) -> TouchpointForm:
    form: TouchpointForm = TouchpointForm.of(values_of_touchpoint(touchpoint), posted=posted)
    form.offer(_brands(), journey.stages(), touchpoint=touchpoint)
    return form


def _new_form() -> NewTouchpointForm:
    form = NewTouchpointForm(data={"icon": "chat"})
    form.offer(_brands(), journey.stages())
    return form


def _rule_form(touchpoint: Touchpoint, *, posted: bool = True) -> RuleForm:
    rule = ruling.of_touchpoint(touchpoint)
    currency = touchpoint.brand.currency
    values = values_of_rule(rule, currency) if rule else dict(NEW_RULE)
    form: RuleForm = RuleForm.of(values, prefix="rule-", posted=posted)
    form.offer(_surveys(touchpoint, rule), _programmes(touchpoint, rule), brand=touchpoint.brand)
    if rule is not None and said(rule.conditions, currency) is None:
        form.kept_conditions = rule.conditions
    return form


def _surveys(touchpoint: Touchpoint, rule: InvitationRule | None) -> list[Survey]:
    """Return the brand's surveys in use, and the one that is asked now."""
    own = (Survey.brand_id == touchpoint.brand_id) & Survey.archived_at.is_(None)
    wanted = or_(own, Survey.id == rule.survey_id) if rule else own
    return list(db.session.scalars(select(Survey).where(wanted).order_by(Survey.name)))


def _programmes(touchpoint: Touchpoint, rule: InvitationRule | None) -> list[Programme]:
    """Return the brand's programmes that thank for answers, and the one that is promised now."""
    own = (
        (Programme.brand_id == touchpoint.brand_id)
        & (Programme.trigger == Trigger.ANSWERED)
        & (Programme.state != ProgrammeState.ENDED)
    )
    wanted = or_(own, Programme.id == rule.programme_id) if rule and rule.programme_id else own
    return list(db.session.scalars(select(Programme).where(wanted).order_by(Programme.name)))


def _page(
    touchpoint: Touchpoint,
    *,
    form: TouchpointForm | None = None,
    rule_form: RuleForm | None = None,
    foreseen: Foreseen | None = None,
    is_preview: bool = False,
) -> str:
    shown = _shown()
    rules = _rules(shown)
    rule = rules.get(touchpoint.id)
    if foreseen is None and rule is not None:
        foreseen = foreseeing.foresee(rule, touchpoint, version_id=_version_id(rule.survey_id))
    form = form or _form_of(touchpoint, posted=False)
    rule_form = rule_form or _rule_form(touchpoint, posted=False)
    return render_template(
        "settings/touchpoint.html",
        touchpoint=touchpoint,
        rule=rule,
        form=form,
        rule_form=rule_form,
        kept=_kept(rule_form),
        foreseen=foreseen,
        reasons=foreseeing.WORDS,
        is_preview=is_preview,
        last=_last(touchpoint, form, rule_form),
        **_around(shown, rules),
    )


def _new_page(form: NewTouchpointForm) -> str:
    shown = _shown()
    return render_template("settings/touchpoint_new.html", touchpoint=None, form=form, **_around(shown, _rules(shown)))


def _around(shown: list[Touchpoint], rules: dict[int, InvitationRule]) -> dict[str, Any]:
    return {
        "touchpoints": shown,
        "rules": rules,
        "may_edit": current_user.may("settings.edit"),
        "may_rule": current_user.may("rules.edit"),
        "now": clock.now(),
        "frame": frame(),
    }


def _last(touchpoint: Touchpoint, form: TouchpointForm, rule_form: RuleForm) -> history.Change | None:
    if form.conflict:
        return history.last_change("touchpoint.changed", touchpoint=touchpoint.id)
    if rule_form.conflict:
        return history.last_change("rule.changed", "rule.created", touchpoint=touchpoint.id)
    return None


def _kept(form: RuleForm) -> list[str]:
    """Return the comparisons of conditions that the form cannot say, for reading."""
    if not form.kept_conditions:
        return []
    found = conditions.leaves(conditions.parse(dict(form.kept_conditions)))
    return [f"{leaf.field} {leaf.op} {'' if leaf.value is None else leaf.value}".strip() for leaf in found]


def _actor() -> str:
    return events.staff_actor(current_user.id)
