"""Joins this room to the application: blueprints, outbox handlers, the way out."""

from __future__ import annotations

from flask import Flask

from notifications import (
    delivery,
    erasure,  # noqa: F401  # imported for what it hears
)
from notifications.views import hooks, mailbox, public, staff


def init_app(app: Flask) -> None:
    """Register what this room serves. The transport is chosen here, once for each process."""
    app.extensions["mail"] = delivery.Office(delivery.transport_for(app.extensions["config"]))
    for view in (hooks, mailbox, public, staff):
        app.register_blueprint(view.blueprint)
