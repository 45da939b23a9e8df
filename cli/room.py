"""Joins this room to the application: blueprints, outbox handlers, commands."""

from __future__ import annotations

from flask import Flask


def init_app(app: Flask) -> None:
    """Register what this room serves."""
