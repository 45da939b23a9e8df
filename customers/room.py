"""Joins this room to the application: blueprints, outbox handlers, commands."""

from __future__ import annotations

from flask import Flask

from customers import (  # imported so that migrations know the tables and the outbox its handlers
    models,  # noqa: F401
    settling,  # noqa: F401
)


def init_app(app: Flask) -> None:
    """Register what this room serves."""
