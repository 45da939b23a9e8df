"""Joins this room to the application: blueprints, outbox handlers, commands."""

from __future__ import annotations

from flask import Flask
from flask_babel import lazy_gettext as _l

from core import frame
from core.frame import Entry
from incentives import (  # imported for the tables, the outbox handler and what it hears
    models,  # noqa: F401
    records,  # noqa: F401
    rewards,  # noqa: F401
)
from incentives.views import blueprint


def init_app(app: Flask) -> None:
    """Register what this room serves."""
    app.register_blueprint(blueprint)
    frame.add(Entry("incentives.overview", _l("Incentives"), "gift", "incentives.see", 60))
