"""Settings for administrators: who works here, the keys of connected systems, and work that needs a look."""

from __future__ import annotations

from flask import Blueprint, current_app, flash, redirect, render_template, request, url_for
from flask_babel import LazyString
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_login import current_user
from werkzeug.wrappers import Response

from accounts import api_keys, sign_in, staff, work
from accounts.forms import KeyForm, NewStaffForm, StaffForm
from accounts.models import Staff
from core import access, clock, events, outbox
from core.db import db
from core.errors import NotFound, Refusal
from core.frame import Frame, Link, Section, build

blueprint = Blueprint("settings", __name__, url_prefix="/settings")

# Every page of settings, whichever room serves it: who may see one finds it in the side column.
GROUPS = (
    (
        _l("How we work"),
        (
            ("brand_settings.show", _l("Brands")),
            ("calendar_settings.show", _l("Calendars")),
            ("journey_settings.show", _l("Journey")),
            ("touchpoint_settings.show", _l("Touchpoints")),
            ("deadline_settings.show", _l("Deadlines")),
            ("trees.show", _l("Categories and causes")),
            ("team_settings.show", _l("Teams")),
        ),
    ),
    (_l("Access"), (("settings.everybody", _l("Staff")), ("settings.keys", _l("API keys")))),
    (
        _l("Behind it"),
        (
            ("messages.settings", _l("Messages")),
            ("imports.everything", _l("Imports")),
            ("settings.waiting_work", _l("Work behind")),
        ),
    ),
)


def frame() -> Frame | None:
    """Return the frame with the settings in its side column."""
    return build(side=sections())


def sections() -> list[Section]:
    """Return the pages of settings that this person may see."""
    every = [Section(heading, [_link(*page) for page in pages if _may_see(page[0])]) for heading, pages in GROUPS]
    return [section for section in every if section.items]


def _link(endpoint: str, label: LazyString) -> Link:
    href = url_for(endpoint)
    return Link(href=href, label=label, current=request.path == href or request.path.startswith(f"{href}/"))


def _may_see(endpoint: str) -> bool:
    rule = access.rule_for(current_app, endpoint)
    return rule is not None and rule.kind is access.Kind.NEEDS and current_user.may(rule.permission)


@blueprint.get("")
@access.needs("settings.see")
def start() -> Response:
    """Lead to the first page that this person may see."""
    first = next(page for _heading, pages in GROUPS for page, _label in pages if _may_see(page))
    return redirect(url_for(first))


# Staff


@blueprint.get("/staff")
@access.needs("staff.manage")
def everybody() -> str:
    return _staff_page(_new_staff_form())


@blueprint.post("/staff")
@access.needs("staff.manage")
def add() -> tuple[str, int]:
    form = _new_staff_form()
    if not form.validate():
        return _staff_page(form), 422
    try:
        person = staff.create(
            form.email.data,
            name=form.name.data,
            roles=form.roles.data,
            team=form.chosen_team,
            by=events.staff_actor(current_user.id),
            now=clock.now(),
        )
    except staff.EmailTaken as taken:
        form.email.errors = [taken.message]
        return _staff_page(form), taken.status
    db.session.commit()
    return _link_page(person), 201


@blueprint.get("/staff/<public_id>")
@access.needs("staff.manage")
def person(public_id: str) -> str:
    shown = staff.by_public_id(public_id)
    form = StaffForm(name=shown.name, roles=shown.role_names, team=shown.team.public_id if shown.team else "")
    form.offer_teams(list(staff.teams()))
    return _person_page(shown, form)


@blueprint.post("/staff/<public_id>")
@access.needs("staff.manage")
def change(public_id: str) -> Response | tuple[str, int]:
    person = staff.by_public_id(public_id)
    form = StaffForm()
    form.offer_teams(list(staff.teams()))
    if not form.validate():
        return _person_page(person, form), 422
    try:
        staff.change(
            person,
            name=form.name.data,
            roles=form.roles.data,
            team=form.chosen_team,
            by=_me(),
            now=clock.now(),
        )
    except staff.LastAdmin as refusal:
        form.roles.errors = [refusal.message]
        return _person_page(person, form), refusal.status
    return _saved(_("Saved."))


@blueprint.post("/staff/<public_id>/disable")
@access.needs("staff.manage")
def disable(public_id: str) -> Response:
    person = staff.by_public_id(public_id)
    try:
        staff.disable(person, by=_me(), now=clock.now())
    except Refusal as refusal:
        flash(refusal.message, "error")
        return redirect(url_for("settings.person", public_id=public_id))
    return _saved(_("%(name)s is disabled and signed out everywhere.", name=person.name))


@blueprint.post("/staff/<public_id>/enable")
@access.needs("staff.manage")
def enable(public_id: str) -> Response:
    person = staff.by_public_id(public_id)
    staff.enable(person, by=_me(), now=clock.now())
    return _saved(_("%(name)s can sign in again.", name=person.name))


@blueprint.post("/staff/<public_id>/second-factor")
@access.needs("staff.manage")
def remove_second_factor(public_id: str) -> Response:
    person = staff.by_public_id(public_id)
    staff.remove_second_factor(person, by=_me(), now=clock.now())
    return _saved(_("%(name)s signs in with the password alone now.", name=person.name))


@blueprint.post("/staff/<public_id>/link")
@access.needs("staff.manage")
def new_link(public_id: str) -> str:
    """Make a new one-time link to choose a password; links and sessions made before end."""
    person = staff.by_public_id(public_id)
    staff.renew_link(person, by=_me(), now=clock.now())
    db.session.commit()
    return _link_page(person)


def _saved(words: str) -> Response:
    db.session.commit()
    flash(words, "success")
    return redirect(url_for("settings.everybody"))


def _new_staff_form() -> NewStaffForm:
    form = NewStaffForm()
    form.offer_teams(list(staff.teams()))
    return form


def _staff_page(form: NewStaffForm) -> str:
    everybody = staff.everybody()
    return render_template("accounts/staff.html", form=form, staff=everybody, now=clock.now(), frame=frame())


def _person_page(person: Staff, form: StaffForm) -> str:
    return render_template("accounts/person.html", person=person, form=form, now=clock.now(), frame=frame())


def _link_page(person: Staff) -> str:
    days = sign_in.WELCOME_WITHIN.days
    link = sign_in.welcome_link(person)
    return render_template("accounts/welcome_link.html", person=person, link=link, days=days, frame=frame())


# API keys


@blueprint.get("/keys")
@access.needs("api_keys.manage")
def keys() -> str:
    return _keys_page(KeyForm())


@blueprint.post("/keys")
@access.needs("api_keys.manage")
def make_key() -> tuple[str, int]:
    form = KeyForm()
    if not form.validate():
        return _keys_page(form), 422
    now = clock.now()
    key, secret = api_keys.create(
        form.name.data,
        form.scopes.data,
        by=_me(),
        now=now,
        expires_at=form.expires_at(now),
        public_id=form.form_key.data,
    )
    db.session.commit()
    return render_template("accounts/key_made.html", key=key, secret=secret, frame=frame()), 201


@blueprint.post("/keys/<public_id>/revoke")
@access.needs("api_keys.manage")
def revoke_key(public_id: str) -> Response:
    key = api_keys.by_public_id(public_id)
    api_keys.revoke(key, by=_me(), now=clock.now())
    db.session.commit()
    flash(_("%(name)s no longer works.", name=key.name), "success")
    return redirect(url_for("settings.keys"))


def _keys_page(form: KeyForm) -> str:
    return render_template(
        "accounts/keys.html",
        form=form,
        keys=api_keys.every_key(),
        scopes=api_keys.SCOPES,
        now=clock.now(),
        frame=frame(),
    )


# Work


@blueprint.get("/work")
@access.needs("work.see")
def waiting_work() -> str:
    now = clock.now()
    return render_template("accounts/work.html", dead=work.dead(), stuck=work.stuck(now=now), now=now, frame=frame())


@blueprint.post("/work/<int:work_id>/revive")
@access.needs("work.see")
def revive(work_id: int) -> Response:
    if work_id >= 2**63:
        raise NotFound
    work.revive(work_id, by=events.staff_actor(current_user.id), now=clock.now())
    db.session.commit()
    for queue in outbox.QUEUES:
        outbox.ring(queue)
    flash(_("It is tried again now."), "success")
    return redirect(url_for("settings.waiting_work"))


def _me() -> Staff:
    me: Staff = current_user._get_current_object()
    return me
