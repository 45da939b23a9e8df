"""An installation of its own that may be killed, with a mail provider that misbehaves when it is told to.

One for all tests of this folder; each test finds it running and empty. PostgreSQL is durable here: what is lost when it
is killed must not be lost because a test made it forget.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask
from redis import Redis
from sqlalchemy import text

from core import outbox
from core.config import Config, Environment
from core.db import db
from notifications.delivery import LONG_AGO
from surveys import pages, versions
from tests.faults.processes import Ground, Nursery, Web, free_port
from tests.vendor_sendgrid import Vendor

SECRET = "a secret of tests alone with 32 characters or more"
MAIL_SECONDS = 30.0  # a provider that is well replies within this, however busy the machine is


@pytest.fixture(scope="session")
def ground() -> Iterator[Ground]:
    ground = Ground()
    yield ground
    ground.end()


@pytest.fixture(scope="session")
def the_vendor() -> Iterator[Vendor]:
    with Vendor() as vendor:
        yield vendor


@pytest.fixture
def vendor(the_vendor: Vendor) -> Iterator[Vendor]:
    """The mail provider, well and empty."""
    the_vendor.recover()  # a worker of the test before may have sent until it was killed
    yield the_vendor
    the_vendor.recover()


@pytest.fixture(scope="session")
def port() -> int:
    return free_port()


@pytest.fixture(scope="session")
def environment(ground: Ground, the_vendor: Vendor, port: int) -> dict[str, str]:
    """What a process of this installation is started with."""
    return {
        "AMENDS_ENV": "test",
        "AMENDS_BASE_URL": f"http://127.0.0.1:{port}",
        "AMENDS_LOG_LEVEL": "warning",
        "SECRET_KEY": SECRET,
        "AMENDS_LINK_KEYS": f"1:{SECRET}",
        "DATABASE_URL": ground.urls.database_url,
        "REDIS_URL": ground.urls.redis_url,
        "SENDGRID_API_KEY": the_vendor.api_key,
        "SENDGRID_HOST": the_vendor.url,
        "SENDGRID_WEBHOOK_KEY": the_vendor.public_key,
        "AMENDS_MAIL_TIMEOUT_S": str(MAIL_SECONDS),
    }


@pytest.fixture(scope="session")
def the_app(ground: Ground, the_vendor: Vendor, port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    """The application in this process, on the same servers: tests arrange and check with it."""
    from wsgi import create_app

    app = create_app(
        Config(
            environment=Environment.TEST,
            secret_key=SECRET,
            database_url=ground.urls.database_url,
            redis_url=ground.urls.redis_url,
            base_url=f"http://127.0.0.1:{port}",
            link_keys=((1, SECRET),),
            sendgrid_api_key=the_vendor.api_key,
            sendgrid_host=the_vendor.url,
            sendgrid_webhook_key=the_vendor.public_key,
            mail_timeout_s=MAIL_SECONDS,
            trusted_hosts=("localhost", "127.0.0.1"),
            var_dir=tmp_path_factory.mktemp("var"),
            log_level="critical",
        )
    )
    app.testing = True
    yield app
    with app.app_context():
        db.engine.dispose()
    app.extensions["redis"].close()
    app.extensions["mail"].transport.close()


@pytest.fixture
def app(the_app: Flask, ground: Ground) -> Iterator[Flask]:
    """The application with its context pushed, on servers that run and hold nothing."""
    ground.start()
    outbox._silent_until = 0.0
    the_app.extensions["mail"].closed_until = LONG_AGO
    forget_versions()
    with the_app.app_context():
        empty(the_app)
        yield the_app
        db.session.remove()
    outbox.stopping.clear()
    forget_versions()


def forget_versions() -> None:
    """Let this process forget what it keeps of surveys: other tests have a database of their own, with the same ids."""
    versions._known.clear()
    versions.form_of.cache_clear()
    pages._parts.cache_clear()


def empty(app: Flask) -> None:
    with db.engine.begin() as connection:
        names = connection.scalars(
            text("SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version'")
        ).all()
        deletes = "; ".join(f'DELETE FROM "{name}"' for name in names)
        settings = "SET LOCAL lock_timeout = '100s'; SET LOCAL session_replication_role = replica"
        connection.execute(text(f"{settings}; {deletes}"))
    redis: Redis = app.extensions["redis"]
    redis.flushall()


@pytest.fixture(scope="session")
def the_nursery(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    nursery = Nursery(environment, tmp_path_factory.mktemp("processes"))
    yield nursery
    nursery.end()


@pytest.fixture
def nursery(app: Flask, the_nursery: Nursery) -> Iterator[Nursery]:
    """Starts workers and clocks; what still runs at the test's end is killed."""
    yield the_nursery
    the_nursery.clear()


@pytest.fixture(scope="session")
def the_web(environment: dict[str, str], port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    web = Web(environment, log=tmp_path_factory.mktemp("web") / "web.log", port=port)
    yield web
    web.end()


@pytest.fixture
def web(app: Flask, the_web: Web) -> Web:
    """The web, which outlives whatever the tests do to its servers."""
    the_web.ready()
    return the_web
