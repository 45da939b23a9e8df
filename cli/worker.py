"""The worker: one process for one queue, answering its bell.

It outlives its servers. While PostgreSQL is away it tries again every two seconds; while Redis is away it looks for due
work as often, since no bell can ring. Asked to end (SIGTERM, Ctrl-C), it finishes the call of a handler that is under
way, gives back what it had claimed beyond it, and ends with 0.
"""

from __future__ import annotations

import signal
from types import FrameType
from typing import Any

import click
import structlog
from flask import current_app
from flask.cli import with_appcontext
from redis import Redis
from redis.exceptions import RedisError
from rq import Queue, SimpleWorker
from rq.exceptions import StopRequested
from rq.serializers import JSONSerializer
from rq.worker import WorkerStatus
from sqlalchemy.exc import DBAPIError

from core import outbox
from core.db import db

log = structlog.get_logger(__name__)
RETRY_SECONDS = 2.0
WAIT_SECONDS = 30  # a Redis that hangs is noticed within this


class RedisAway(StopRequested):
    """Ends RQ's own waiting for Redis, in which nothing is worked off and which grows to a minute."""


class Worker(SimpleWorker):
    """Works in its own process without forking, so that connections to the mail provider stay open."""

    def handle_exception(self, job: Any, *exc_info: Any) -> None:
        log.error("drain_failed", queue=job.origin, error=getattr(exc_info[0], "__name__", "unknown"))
        db.session.rollback()

    def heartbeat(self, *args: Any, **kwargs: Any) -> None:
        try:
            super().heartbeat(*args, **kwargs)
        except RedisError as error:
            raise RedisAway from error

    def request_stop(self, signum: int, frame: FrameType | None) -> None:
        """End after the handler's call that is under way; while waiting for a bell, at once."""
        outbox.stopping.set()
        self._stop_requested = True
        if self.get_state() != WorkerStatus.BUSY:
            raise StopRequested

    def subscribe(self) -> None:
        """Take no commands through Redis: signals are enough, and the thread for it would outlive an outage."""

    def _install_signal_handlers(self) -> None:
        super()._install_signal_handlers()  # type: ignore[no-untyped-call]
        self._stop_requested = outbox.stopping.is_set()  # asked before these handlers were there


@click.command("worker")
@click.argument("queue", type=click.Choice(outbox.QUEUES))
@click.option("--burst", is_flag=True, help="Do what is due, then end.")
@with_appcontext
def worker(queue: str, burst: bool) -> None:
    """Do the work of QUEUE: what is due now, then whenever its bell rings. Waits where a server is away."""
    if not burst:
        outbox.gather_seconds = outbox.GATHER_SECONDS
    while not outbox.stopping.is_set():
        if not burst:
            _listen_to_signals()  # again after RQ, which leaves its own behind
        try:
            outbox.drain(queue)
            if burst:
                return
            _answer_bells(queue)
        except (RedisError, DBAPIError, StopRequested) as error:
            log.warning("server_away", queue=queue, error=type(error).__name__)
            db.session().invalidate()  # on a broken connection a rollback raises, too
        outbox.stopping.wait(RETRY_SECONDS)


def _listen_to_signals() -> None:
    def stop(_signal: int, _frame: FrameType | None) -> None:
        outbox.stopping.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)


def _answer_bells(queue: str) -> None:
    """Wait for bells until asked to stop, or until Redis is away."""
    connection = Redis.from_url(current_app.extensions["config"].redis_url)
    bells = [Queue(queue, connection=connection, serializer=JSONSerializer)]
    try:
        Worker(bells, connection=connection, serializer=JSONSerializer, worker_ttl=WAIT_SECONDS).work(
            logging_level="WARNING"
        )
    finally:
        connection.close()
