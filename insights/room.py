"""Joins this room to the application: blueprints, outbox handlers, commands."""

from __future__ import annotations

from flask import Flask

from core import frame
from insights import (  # imported so that migrations know the tables, and signals are heard
    erasure,  # noqa: F401
    models,  # noqa: F401
)
from insights.views import customers, home, imports, lists, problems, records, search
from insights.views import insights as figures


def init_app(app: Flask) -> None:
    """Register what this room serves."""
    for view in (home, customers, figures):
        app.register_blueprint(view.blueprint)
        frame.add(view.entry)
    app.register_blueprint(search.blueprint)
    app.register_blueprint(imports.blueprint)
    app.register_blueprint(lists.blueprint)
    app.register_blueprint(problems.blueprint)
    app.register_blueprint(records.blueprint)
