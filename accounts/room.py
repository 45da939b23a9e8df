"""Joins this room to the application: sign-in, staff pages, API keys."""

from __future__ import annotations

from flask import Flask, g, request
from flask_babel import lazy_gettext as _l

from accounts import api_keys, commands, limits, sign_in
from accounts.views import brands, calendars, journey, profile, settings, teams, welcome
from core import clock, frame
from core.frame import Entry


def init_app(app: Flask) -> None:
    """Register what this room serves."""
    sign_in.init_app(app)
    for view in (profile, settings, brands, calendars, journey, teams, welcome):
        app.register_blueprint(view.blueprint)
    limits.init_app(app, app.extensions["config"].redis_url)
    frame.add(Entry("settings.start", _l("Settings"), "store", "settings.see", 90))
    frame.add_side("/settings", settings.sections)  # also pages that rooms below this one serve
    app.cli.add_command(commands.group)


def authenticate(scope: str) -> None:
    """Check the Bearer key of an API call for a scope; keep its id as g.api_key_id, or raise a Refusal (401 or 403)."""
    g.api_key_id = api_keys.check(request.headers.get("Authorization"), scope, now=clock.now())
