"""/settings/teams: who works together, and for which brand."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_login import current_user
from sqlalchemy import select
from werkzeug.wrappers import Response

from accounts import history, teams
from accounts.forms import TeamForm
from accounts.models import Staff, Team
from accounts.views.settings import frame
from accounts.visibility import brand_of, visible_to
from core import access, clock
from core.db import db
from core.errors import NotFound, Refusal
from customers.models import Brand

blueprint = Blueprint("team_settings", __name__, url_prefix="/settings/teams")


@blueprint.get("")
@access.needs("settings.see")
def show() -> str:
    """Show the first team, or the form of a new one where that is asked for, or where there is none."""
    known = teams.shown_to(current_user)
    if known and not ("new" in request.args and current_user.may("settings.edit")):
        return _page(known[0], _form_of(known[0]))
    return _page(None, _form_of(None))


@blueprint.post("")
@access.needs("settings.edit")
def create() -> Response | tuple[str, int]:
    form = _form_of(None)
    if not form.validate():
        return _page(None, form), 422
    try:
        chosen = _chosen(form)
        team = teams.create(form.name.data, brand=_brand(form), members=chosen, by=_me(), now=clock.now())
    except Refusal as refusal:
        return _refused(None, form, refusal)
    db.session.commit()
    flash(_("%(name)s is ready. Deadlines can name it, and then its cases have a queue.", name=team.name), "success")
    return redirect(url_for("team_settings.one", public_id=team.public_id))


@blueprint.get("/<public_id>")
@access.needs("settings.see")
def one(public_id: str) -> str:
    team = teams.by_public_id(public_id, staff=current_user)
    return _page(team, _form_of(team))


@blueprint.post("/<public_id>")
@access.needs("settings.edit")
def change(public_id: str) -> Response | tuple[str, int]:
    team = teams.by_public_id(public_id, staff=current_user)
    db.session.execute(select(Team.id).where(Team.id == team.id).with_for_update())
    form = _form_of(team)
    if not form.validate():
        return _page(team, form), 422
    if form.is_stale():
        return _page(team, form), 409
    try:
        chosen = _chosen(form)
        teams.change(team, form.name.data, brand=_brand(form), members=chosen, by=_me(), now=clock.now())
    except Refusal as refusal:
        return _refused(team, form, refusal)
    db.session.commit()
    flash(_("Saved."), "success")
    return redirect(url_for("team_settings.one", public_id=public_id))


def _form_of(team: Team | None) -> TeamForm:
    brand_key = team.brand.key if team and team.brand else ""
    members = sorted(each.public_id for each in teams.members(team)) if team else []
    values = {"name": team.name if team else "", "brand": brand_key, "members": members}
    form: TeamForm = TeamForm.of(values)
    people = teams.people(current_user)
    form.offer(_brands(), people, team=team, every_brand=brand_of(current_user) is None)
    return form


def _chosen(form: TeamForm) -> list[Staff]:
    wanted = set(form.members.data or ())
    return [each for each in teams.people(current_user) if each.public_id in wanted]


def _brands() -> list[Brand]:
    return list(db.session.scalars(visible_to(current_user, select(Brand).order_by(Brand.name), Brand.id)))


def _brand(form: TeamForm) -> Brand | None:
    if not form.brand.data:
        return None
    brand = next((each for each in _brands() if each.key == form.brand.data), None)
    if brand is None:
        raise NotFound
    return brand


def _refused(team: Team | None, form: TeamForm, refusal: Refusal) -> tuple[str, int]:
    db.session.rollback()
    form[refusal.field or "name"].errors = [refusal.message]
    return _page(team, form), refusal.status


def _page(team: Team | None, form: TeamForm) -> str:
    return render_template(
        "settings/team.html",
        team=team,
        teams=teams.shown_to(current_user),
        sizes=teams.sizes(),
        form=form,
        may_edit=current_user.may("settings.edit"),
        last=history.last_change("team.changed", team=team.id) if team and form.conflict else None,
        now=clock.now(),
        frame=frame(),
    )


def _me() -> Staff:
    me: Staff = current_user._get_current_object()
    return me
