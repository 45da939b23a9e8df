"""The clock process: rings and runs all recurring work. Any number may be started; one works, the others stand by."""

from __future__ import annotations

import signal
from types import FrameType

import click
import structlog
from flask.cli import with_appcontext
from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from cli.recurring import run_due
from core.db import db
from core.stopping import Stopping

log = structlog.get_logger(__name__)
TICK_SECONDS = 1.0
STAND_BY_SECONDS = 3.0


@click.command("clock")
@click.option("--once", is_flag=True, help="Run every job once, then end.")
@with_appcontext
def clock(once: bool) -> None:
    """Run the recurring work until asked to stop."""
    stopping = Stopping()

    def stop(_signal: int, _frame: FrameType | None) -> None:
        stopping.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    last: dict[str, float] = {}
    while not stopping.is_set():
        try:
            with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as guard:
                _lead(guard, stopping, last, once)
        except SQLAlchemyError as error:
            log.warning("database_away", error=type(error).__name__)
            db.session().invalidate()
        if once:
            return
        stopping.wait(STAND_BY_SECONDS)


def _lead(guard: Connection, stopping: Stopping, last: dict[str, float], once: bool) -> None:
    """Work while this session holds the one lock; PostgreSQL drops it with the session, and another takes over."""
    if not guard.scalar(text("SELECT pg_try_advisory_lock(7300, 1)")):
        return
    while not stopping.is_set():
        guard.execute(text("SELECT 1"))
        run_due(last)
        if once:
            return
        stopping.wait(TICK_SECONDS)
