"""One's own profile: name, language, zone, look, keys, and the way to password and second factor."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_login import current_user
from werkzeug.exceptions import BadRequest
from werkzeug.wrappers import Response

from accounts.forms import ProfileForm
from core import access, web_address
from core.db import db

blueprint = Blueprint("profile", __name__)
LOOKS = ("light", "dark", "device")


@blueprint.get("/profile")
@access.signed_in
def show() -> str:
    return render_template("accounts/profile.html", form=ProfileForm(obj=current_user))


@blueprint.post("/profile")
@access.signed_in
def save() -> Response | tuple[str, int]:
    form = ProfileForm()
    if not form.validate():
        return render_template("accounts/profile.html", form=form), 422
    form.populate_obj(current_user)
    db.session.commit()
    flash(_("Saved."), "success")
    return redirect(url_for("profile.show"))


@blueprint.post("/profile/look")
@access.signed_in
def choose_look() -> Response:
    """Change between light, dark and what the device says, and stay on the page."""
    look = request.form.get("theme", "")
    if look not in LOOKS:
        raise BadRequest
    current_user.theme = look
    db.session.commit()
    return redirect(_back())


def _back() -> str:
    """Return where the reader came from, if that is a page of ours."""
    came_from = web_address.parts_of(request.referrer or "")
    if came_from is None or came_from.netloc != request.host:
        return url_for("profile.show")
    if not came_from.path.startswith("/") or came_from.path.startswith("//"):
        return url_for("profile.show")
    return f"{came_from.path}?{came_from.query}" if came_from.query else came_from.path
