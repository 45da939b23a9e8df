"""What a new member of staff opens first: the one-time page on which they choose their password."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, url_for
from flask_babel import gettext as _
from flask_security.proxies import _security
from werkzeug.wrappers import Response

from accounts import sign_in, staff
from accounts.forms import PasswordForm
from core import access, clock, events
from core.db import db

blueprint = Blueprint("welcome", __name__)


@blueprint.get("/welcome/<token>")
@access.public
def show(token: str) -> str:
    person = sign_in.welcomed(token)
    return render_template("accounts/welcome.html", form=PasswordForm(), person=person)


@blueprint.post("/welcome/<token>")
@access.public
def choose_password(token: str) -> Response | tuple[str, int]:
    person = sign_in.welcomed(token)
    form = PasswordForm()
    if not (form.validate() and _is_strong_enough(form)):
        return render_template("accounts/welcome.html", form=form, person=person), 422
    staff.set_password(person, form.password.data, by=events.staff_actor(person.id), now=clock.now())
    db.session.commit()
    flash(_("Your password is set. Sign in with it."), "success")
    return redirect(url_for("security.login"))


def _is_strong_enough(form: PasswordForm) -> bool:
    problems, form.password.data = _security.password_util.validate(form.password.data, False)
    form.password.errors = [*form.password.errors, *(problems or [])]
    return not problems
