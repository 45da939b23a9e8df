"""Joins this room to the application: one blueprint per resource."""

from __future__ import annotations

from flask import Flask

from api import (
    complaints,
    customers,
    document,
    erasure,  # noqa: F401  # imported for what it hears
    interactions,
    metrics,
    models,  # noqa: F401  # imported so that migrations know the tables
)


def init_app(app: Flask) -> None:
    """Register what this room serves."""
    app.register_blueprint(interactions.blueprint)
    app.register_blueprint(complaints.blueprint)
    app.register_blueprint(customers.blueprint)
    app.register_blueprint(metrics.blueprint)
    app.register_blueprint(document.blueprint)
