"""Joins this room to the application: its commands."""

from __future__ import annotations

from flask import Flask

from cli import customers, insights
from cli.clock import clock
from cli.imports import import_
from cli.worker import worker


def init_app(app: Flask) -> None:
    """Register the commands."""
    app.cli.add_command(worker)
    app.cli.add_command(clock)
    app.cli.add_command(import_)
    app.cli.add_command(customers.group)
    app.cli.add_command(insights.group)
