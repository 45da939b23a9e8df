"""/settings/journey: the stages that customers go through, in their order."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_login import current_user
from werkzeug.wrappers import Response

from accounts.forms import StageForm
from accounts.views.settings import frame
from accounts.visibility import brand_of
from core import access, clock, events
from core.db import db
from core.errors import Forbidden, NotFound, Refusal
from customers import journey
from customers.models import Stage

blueprint = Blueprint("journey_settings", __name__, url_prefix="/settings/journey")

ACTS = ("up", "down", "archive", "take_back")


@blueprint.get("")
@access.needs("settings.see")
def show() -> str:
    return _page(StageForm(formdata=None))


@blueprint.post("")
@access.needs("settings.edit")
def add() -> Response | tuple[str, int]:
    _refuse_part()
    form = StageForm()
    if not form.validate():
        return _page(form), 422
    try:
        stage = journey.add(form.name.data, by=_actor(), now=clock.now())
    except Refusal as refusal:
        return _refused(form, refusal)
    return _saved(_("%(name)s is the last stage now. Move it where it belongs.", name=stage.name))


@blueprint.post("/<key>")
@access.needs("settings.edit")
def rename(key: str) -> Response | tuple[str, int]:
    _refuse_part()
    stage = journey.by_key(key)
    form = StageForm()
    if not form.validate():
        return _page(StageForm(formdata=None), renaming=stage, rename_form=form), 422
    try:
        journey.rename(stage, form.name.data, by=_actor(), now=clock.now())
    except Refusal as refusal:
        db.session.rollback()
        form.name.errors = [refusal.message]
        return _page(StageForm(formdata=None), renaming=stage, rename_form=form), refusal.status
    return _saved(_("Saved."))


@blueprint.post("/<key>/place")
@access.needs("settings.edit")
def place(key: str) -> Response | tuple[str, int]:
    """Move a stage up or down, archive it or take it back."""
    _refuse_part()
    stage, act = journey.by_key(key), request.form.get("act", "")
    if act not in ACTS:
        raise NotFound
    try:
        words = _act(stage, act)
    except Refusal as refusal:
        db.session.rollback()
        flash(refusal.message, "error")
        return redirect(url_for("journey_settings.show"))
    return _saved(words)


def _act(stage: Stage, act: str) -> str:
    now = clock.now()
    if act == "archive":
        journey.archive(stage, by=_actor(), now=now)
        return _("%(name)s is archived. What happened there stays.", name=stage.name)
    if act == "take_back":
        journey.take_back(stage, by=_actor(), now=now)
        return _("%(name)s is the last stage now. Move it where it belongs.", name=stage.name)
    journey.move(stage, -1 if act == "up" else 1, by=_actor(), now=now)
    return _("Moved.")


def _saved(words: str) -> Response:
    db.session.commit()
    flash(words, "success")
    return redirect(url_for("journey_settings.show"))


def _refused(form: StageForm, refusal: Refusal) -> tuple[str, int]:
    db.session.rollback()
    form.name.errors = [refusal.message]
    return _page(form), refusal.status


def _refuse_part() -> None:
    """The journey is the same for every brand."""
    if brand_of(current_user) is not None:
        raise Forbidden(_("Every brand shares the journey. Somebody who sees all of them can change it."))


def _page(form: StageForm, *, renaming: Stage | None = None, rename_form: StageForm | None = None) -> str:
    return render_template(
        "settings/journey.html",
        stages=journey.stages(),
        archived=journey.archived(),
        used=journey.touchpoints_in_use(),
        form=form,
        renaming=renaming,
        rename_form=rename_form,
        may_edit=current_user.may("settings.edit") and brand_of(current_user) is None,
        frame=frame(),
    )


def _actor() -> str:
    return events.staff_actor(current_user.id)
