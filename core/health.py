"""Whether this process lives (/healthz), whether it can serve (/readyz), and what it measured (/metrics)."""

from __future__ import annotations

import os
from typing import Final

from flask import Blueprint, Response, current_app, jsonify
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from core import access, backlogs, clock, outbox, schema
from core.db import db

MULTIPROCESS: Final = "PROMETHEUS_MULTIPROC_DIR"  # the library's own setting, which it reads when it is imported

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
@access.public
def healthz() -> Response:
    """Answer that this process lives; it asks nobody, so that no outage elsewhere gets it restarted."""
    return Response("ok", mimetype="text/plain")


@blueprint.get("/readyz")
@access.public
def readyz() -> tuple[Response, int]:
    """Answer whether answers can be taken: the database is there and migrated; Redis only delays what is behind."""
    (database, migrated), doorbells = _database_answers(), _redis_answers()
    return jsonify(database=database, migrated=migrated, redis=doorbells), 200 if migrated else 503


@blueprint.get("/metrics")
@access.public
def metrics() -> Response:
    """Answer in Prometheus' format. Counts and codes only; keep it inside your network (docs/running.md)."""
    return Response(_counted() + _waiting_work(), content_type=CONTENT_TYPE_LATEST)


def _counted() -> bytes:
    """Return what this process counted; with PROMETHEUS_MULTIPROC_DIR, what all that share the folder did."""
    if MULTIPROCESS not in os.environ:
        return generate_latest()
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry)


def _waiting_work() -> bytes:
    """Return what waits in each queue, read from the database: the same from whichever process is asked.

    Nothing while the database is away; the process's own figures must come all the same.
    """
    try:
        found = backlogs.backlogs(now=clock.now())
    except SQLAlchemyError:
        return b""
    finally:
        db.session.rollback()
    registry = CollectorRegistry()
    due = Gauge("amends_work_due", "Pieces of work that are due and not done", ["queue"], registry=registry)
    late = Gauge("amends_work_late_seconds", "How long the oldest of them is due", ["queue"], registry=registry)
    dead = Gauge("amends_work_dead", "Pieces of work that were given up", ["queue"], registry=registry)
    for backlog in found:
        due.labels(backlog.queue).set(backlog.due)
        late.labels(backlog.queue).set(backlog.late_seconds)
        dead.labels(backlog.queue).set(backlog.dead)
    return generate_latest(registry)


def _database_answers() -> tuple[bool, bool]:
    """Return whether the database is there, and whether it has what this code needs."""
    try:
        return True, not schema.is_behind(schema.found())
    except SQLAlchemyError:
        return False, False


def _redis_answers() -> bool:
    try:
        return bool(outbox.connection().ping())
    except RedisError:
        current_app.extensions["redis"].close()
        return False
