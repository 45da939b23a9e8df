"""Joins this room to the application: blueprints, outbox handlers, the way out."""

from __future__ import annotations

from flask import Flask

from core.config import BadConfig, Config
from notifications import (
    delivery,
    erasure,  # noqa: F401  # imported for what it hears
    signature,
)
from notifications.views import hooks, mailbox, public, staff


def init_app(app: Flask) -> None:
    """Register what this room serves. The transport is chosen here, once for each process. Raises BadConfig."""
    config: Config = app.extensions["config"]
    if config.sendgrid_webhook_key and not signature.is_key(config.sendgrid_webhook_key):
        raise BadConfig(
            "SENDGRID_WEBHOOK_KEY is no public key. Copy the verification key of the event webhook's settings whole."
        )
    app.extensions["mail"] = delivery.Office(delivery.transport_for(config))
    for view in (hooks, mailbox, public, staff):
        app.register_blueprint(view.blueprint)
