"""/settings/deadlines: which cases get which deadlines, tried in one order; the last ones hold for every other case."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_login import current_user
from sqlalchemy import select
from werkzeug.wrappers import Response

from accounts import history
from accounts.models import Team
from accounts.views.settings import frame
from accounts.visibility import brand_of
from core import access, clock, conditions, events
from core.db import db
from core.errors import Forbidden, NotFound, Refusal
from customers.models import Brand, Touchpoint
from feedback import deadlines, policies
from feedback.forms.deadlines import NEW, DeadlinesForm, hours_words, values_of
from feedback.models import SlaPolicy

blueprint = Blueprint("deadline_settings", __name__, url_prefix="/settings/deadlines")

LAST = "last"  # in place of a public id: what holds for every other case


@blueprint.get("")
@access.needs("settings.see")
def show() -> str:
    """Show the first deadlines, or the form of new ones where that is asked for."""
    if "new" in request.args and _may_edit():
        return _page(None, _new_form())
    known, last = deadlines.in_order()
    return _page(known[0], _form_of(known[0])) if known else _page(last, _last_form(last), is_last=True)


@blueprint.post("")
@access.needs("settings.edit")
def create() -> Response | tuple[str, int]:
    _refuse_part()
    form = _new_form()
    if not form.validate():
        return _page(None, form), 422
    try:
        policy = deadlines.add(form.data_of_policy(), by=_actor(), now=clock.now())
    except Refusal as refusal:
        return _refused(None, form, refusal)
    return _saved(policy, _("%(name)s holds for cases from now on.", name=policy.name))


@blueprint.get(f"/{LAST}")
@access.needs("settings.see")
def last() -> str:
    policy = deadlines.in_order()[1]
    return _page(policy, _last_form(policy), is_last=True)


@blueprint.post(f"/{LAST}")
@access.needs("settings.edit")
def change_last() -> Response | tuple[str, int]:
    _refuse_part()
    policy = deadlines.in_order(locked=True)[1]
    form = _last_form(policy)
    if not form.validate():
        return _page(policy, form, is_last=True), 422
    if form.is_stale():
        return _page(policy, form, is_last=True), 409
    try:
        policy = deadlines.change_last(form.data_of_policy(), by=_actor(), now=clock.now())
    except Refusal as refusal:
        return _refused(policy, form, refusal, is_last=True)
    return _saved(None, _("Saved. It holds for cases from now on."))


@blueprint.get("/<public_id>")
@access.needs("settings.see")
def one(public_id: str) -> str:
    policy = _policy(public_id)
    return _page(policy, _form_of(policy))


@blueprint.post("/<public_id>")
@access.needs("settings.edit")
def change(public_id: str) -> Response | tuple[str, int]:
    _refuse_part()
    deadlines.in_order(locked=True)
    policy = _policy(public_id)
    form = _form_of(policy)
    if not form.validate():
        return _page(policy, form), 422
    if form.is_stale():
        return _page(policy, form), 409
    try:
        deadlines.change(policy, form.data_of_policy(), by=_actor(), now=clock.now())
    except Refusal as refusal:
        return _refused(policy, form, refusal)
    return _saved(policy, _("Saved. It holds for cases from now on."))


@blueprint.post("/<public_id>/place")
@access.needs("settings.edit")
def place(public_id: str) -> Response:
    """Try deadlines earlier or later, or remove them."""
    _refuse_part()
    policy, act = _policy(public_id), request.form.get("act", "")
    if act not in ("up", "down", "remove"):
        raise NotFound
    try:
        if act == "remove":
            deadlines.remove(policy, by=_actor(), now=clock.now())
            return _saved(None, _("Removed. Cases that have these deadlines keep them."))
        deadlines.move(policy, -1 if act == "up" else 1, by=_actor(), now=clock.now())
    except Refusal as refusal:
        db.session.rollback()
        flash(refusal.message, "error")
        return redirect(url_for("deadline_settings.one", public_id=public_id))
    return _saved(policy, _("Moved."))


def _saved(policy: SlaPolicy | None, words: str) -> Response:
    db.session.commit()
    policies.forget()
    flash(words, "success")
    if policy is None:
        return redirect(url_for("deadline_settings.show"))
    return redirect(url_for("deadline_settings.one", public_id=policy.public_id))


def _refused(
    policy: SlaPolicy | None, form: DeadlinesForm, refusal: Refusal, *, is_last: bool = False
) -> tuple[str, int]:
    db.session.rollback()
    form.refuse(refusal)
    return _page(policy, form, is_last=is_last), refusal.status


# What there is


def _policy(public_id: str) -> SlaPolicy:
    """Return a policy that somebody may see: those of their brand, and those of every brand."""
    policy = deadlines.by_public_id(public_id)
    if brand_of(current_user) is not None and policy.brand_id not in (None, brand_of(current_user)):
        raise NotFound
    return policy


def _refuse_part() -> None:
    """The deadlines of every brand stand in one order."""
    if brand_of(current_user) is not None:
        raise Forbidden(_("The deadlines of all brands stand in one order. Somebody who sees them all can change it."))


def _may_edit() -> bool:
    return bool(current_user.may("settings.edit")) and brand_of(current_user) is None


def _brands() -> list[Brand]:
    return list(db.session.scalars(select(Brand).order_by(Brand.name)))


def _teams() -> list[Team]:
    return list(db.session.scalars(select(Team).order_by(Team.name)))


def _touchpoints() -> list[Touchpoint]:
    in_use = select(Touchpoint).where(Touchpoint.archived_at.is_(None))
    return list(db.session.scalars(in_use.order_by(Touchpoint.name)))


def _form_of(policy: SlaPolicy) -> DeadlinesForm:
    form: DeadlinesForm = DeadlinesForm.of(values_of(policy, _brands(), _teams()))
    form.offer(_brands(), _teams(), _touchpoints())
    if deadlines.said(policy.conditions) is None:
        form.kept_conditions = policy.conditions
    return form


def _new_form() -> DeadlinesForm:
    form: DeadlinesForm = DeadlinesForm.of(NEW)
    form.offer(_brands(), _teams(), _touchpoints())
    return form


def _last_form(policy: SlaPolicy | None) -> DeadlinesForm:
    form: DeadlinesForm = DeadlinesForm.of(values_of(policy or deadlines.standard(), (), _teams()))
    form.offer((), _teams(), ())
    form.only_times()
    return form


# The page


def _page(policy: SlaPolicy | None, form: DeadlinesForm, *, is_last: bool = False) -> str:
    known, last_one = deadlines.in_order()
    own = brand_of(current_user)
    shown = [each for each in known if own is None or each.brand_id in (None, own)]
    return render_template(
        "settings/deadline.html",
        policy=policy,
        is_last=is_last,
        entries=[_entry(each, current=each is policy) for each in shown] + [_last_entry(last_one, current=is_last)],
        place=shown.index(policy) if policy in shown else None,
        count=len(shown),
        form=form,
        kept=_kept(form),
        may_edit=_may_edit(),
        last=_last_change(policy) if form.conflict else None,
        now=clock.now(),
        frame=frame(),
    )


def _entry(policy: SlaPolicy, *, current: bool) -> dict[str, Any]:
    return {
        "href": url_for("deadline_settings.one", public_id=policy.public_id),
        "name": policy.name,
        "detail": _times(policy),
        "current": current,
    }


def _last_entry(policy: SlaPolicy | None, *, current: bool) -> dict[str, Any]:
    held = policy or deadlines.standard()
    return {
        "href": url_for("deadline_settings.last"),
        "name": held.name,
        "detail": _("Every other case: %(times)s", times=_times(held)),
        "current": current,
    }


def _times(policy: Any) -> str:
    first, last = hours_words(policy.first_contact_minutes), hours_words(policy.resolution_minutes)
    return _("in touch in %(first)s, put right in %(last)s", first=first, last=last)


def _last_change(policy: SlaPolicy | None) -> history.Change | None:
    return history.last_change("policy.changed", "policy.created", policy=policy.id) if policy else None


def _kept(form: DeadlinesForm) -> list[str]:
    """Return the comparisons of conditions that the sentence cannot say, for reading."""
    if not form.kept_conditions:
        return []
    found = conditions.leaves(conditions.parse(dict(form.kept_conditions)))
    return [f"{leaf.field} {leaf.op} {'' if leaf.value is None else leaf.value}".strip() for leaf in found]


def _actor() -> str:
    return events.staff_actor(current_user.id)
