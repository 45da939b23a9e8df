"""The composition root: granian --interface wsgi --factory wsgi:create_app"""

from __future__ import annotations

import gc

import structlog
from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix
from whitenoise import WhiteNoise

import accounts.room
import api.room
import cli.room
import customers.room
import feedback.room
import incentives.room
import insights.room
import notifications.room
import surveys.room
from core import (
    access,
    db,
    errors,
    events,
    files,
    frame,
    health,
    i18n,
    logs,
    outbox,
    pages,
    schema,
    security,
)
from core.application import Application
from core.config import Config, from_environment

ROOMS = (
    customers,
    notifications,
    accounts,
    incentives,
    feedback,
    surveys,
    insights,
    api,
    cli,
)
TABLES_OF_CORE = (
    events.Event,
    files.File,
    outbox.Work,
)  # imported, so that migrations know them


log = structlog.get_logger(__name__)


def create_app(config: Config | None = None) -> Flask:
    """Return the application. Without a config the environment is read, and the demo's own servers start with it."""
    app = _assembled(config or from_environment())
    if config is None:
        gc.freeze()  # what a process starts with stays as long as it lives: looking through it again finds no garbage
    return app


def _assembled(config: Config) -> Flask:
    app = Application(
        "amends",
        root_path=__file__.rpartition("/")[0],
        static_folder="static",
        template_folder="templates",
    )
    configure(app, config)
    logs.init_app(app, config.log_level)
    for name in config.unknown:
        log.warning("no_such_setting", name=name)
    db.init_app(app, config.database_url)
    outbox.init_app(app, config.redis_url)
    errors.init_app(app)
    security.init_app(app, https=config.is_https)
    i18n.init_app(app)
    pages.init_app(app)
    frame.init_app(app)
    access.init_app(app, authenticate=accounts.room.authenticate)
    app.register_blueprint(health.blueprint)
    access.declare("static", access.Rule(access.Kind.PUBLIC))
    for room in ROOMS:
        room.room.init_app(app)
    access.spare_links(app)
    schema.guard(app, going_on=("worker", "clock"))
    served = WhiteNoise(app.wsgi_app, root=f"{app.root_path}/static", prefix="static/", max_age=3600)
    app.wsgi_app = served  # type: ignore[method-assign]  # how Flask wants middleware set
    if config.proxies:
        count = config.proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=count, x_proto=count, x_host=count)  # type: ignore[method-assign]
    return app


def configure(app: Flask, config: Config) -> None:
    """Set what Flask's own defaults leave open: cookies, body size, host names."""
    app.extensions["config"] = config
    app.config.update(
        SECRET_KEY=config.secret_key,
        SECRET_KEY_FALLBACKS=list(config.previous_secret_keys),
        SESSION_COOKIE_NAME="__Host-amends" if config.is_https else "amends",
        SESSION_COOKIE_SECURE=config.is_https,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        MAX_CONTENT_LENGTH=config.max_body_bytes,
        MAX_FORM_MEMORY_SIZE=1024 * 1024,
        MAX_FORM_PARTS=500,
        TRUSTED_HOSTS=list(config.trusted_hosts) or None,
        PREFERRED_URL_SCHEME="https" if config.is_https else "http",
    )
