"""Joins this room to the application: blueprints, outbox handlers, commands."""

from __future__ import annotations

from flask import Flask

from surveys import models  # noqa: F401  # imported so that migrations know the tables


def init_app(app: Flask) -> None:
    """Register what this room serves."""
