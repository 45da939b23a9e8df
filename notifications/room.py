"""Joins this room to the application: blueprints, outbox handlers, commands."""

from __future__ import annotations

from flask import Flask

from notifications import delivery, models  # noqa: F401  # imported so that migrations and the outbox know them


def init_app(app: Flask) -> None:
    """Register what this room serves."""
