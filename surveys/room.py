"""Joins this room to the application: blueprints, outbox handlers, commands."""

from __future__ import annotations

from flask import Flask
from flask_babel import lazy_gettext as _l

from core import frame
from customers import brands
from surveys import (  # imported so that migrations know the tables, the outbox its handlers, and signals are heard
    erasure,  # noqa: F401
    invitations,  # noqa: F401
    models,  # noqa: F401
    outcomes,  # noqa: F401
    reactions,  # noqa: F401
    ruling,
)
from surveys.views import drafts, library, public, staff, touchpoints, wordings


def init_app(app: Flask) -> None:
    """Register what this room serves."""
    app.register_blueprint(public.blueprint)
    app.register_blueprint(public.brands)
    app.register_blueprint(staff.blueprint)
    app.register_blueprint(library.blueprint)
    app.register_blueprint(drafts.blueprint)
    app.register_blueprint(wordings.blueprint)
    app.register_blueprint(touchpoints.blueprint)
    brands.main_surveys_told_by(ruling.main_surveys)
    frame.add(frame.Entry("survey_books.index", _l("Surveys"), "form", "surveys.see", 50))
