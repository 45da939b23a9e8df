"""Joins this room to the application: sign-in, staff pages, API keys."""

from __future__ import annotations

from flask import Flask

from accounts import models  # noqa: F401  # imported so that migrations know the tables


def init_app(app: Flask) -> None:
    """Register what this room serves."""


def authenticate(scope: str) -> None:
    """Check the Bearer key of an API call for a scope, or raise a Refusal (401 or 403)."""
    raise NotImplementedError
