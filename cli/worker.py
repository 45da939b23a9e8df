"""The worker: one process for one queue, answering its bell."""

from __future__ import annotations

import time
from typing import Any

import click
import structlog
from flask import current_app
from flask.cli import with_appcontext
from redis import Redis
from redis.exceptions import RedisError
from rq import Queue, SimpleWorker
from rq.serializers import JSONSerializer
from sqlalchemy.exc import OperationalError

from core import outbox
from core.db import db

log = structlog.get_logger(__name__)
RETRY_SECONDS = 2.0


class Worker(SimpleWorker):
    """Works in its own process without forking, so that connections to the mail provider stay open."""

    def handle_exception(self, job: Any, *exc_info: Any) -> None:
        log.error("drain_failed", queue=job.origin, error=getattr(exc_info[0], "__name__", "unknown"))
        db.session.rollback()


@click.command("worker")
@click.argument("queue", type=click.Choice(outbox.QUEUES))
@click.option("--burst", is_flag=True, help="Do what is due, then end.")
@with_appcontext
def worker(queue: str, burst: bool) -> None:
    """Do the work of QUEUE: what is due now, then whenever its bell rings. Waits where a server is away."""
    while True:
        try:
            outbox.drain(queue)
            if burst or _answer_bells(queue):
                return
        except (RedisError, OperationalError) as error:
            log.warning("server_away", queue=queue, error=type(error).__name__)
            db.session.rollback()
            time.sleep(RETRY_SECONDS)


def _answer_bells(queue: str) -> bool:
    """Wait for bells until asked to stop; return True then."""
    connection = Redis.from_url(current_app.extensions["config"].redis_url)
    bells = [Queue(queue, connection=connection, serializer=JSONSerializer)]
    Worker(bells, connection=connection, serializer=JSONSerializer).work(logging_level="WARNING")
    return True
