"""All recurring work on one page. Each job is bounded, commits by itself and can run twice without harm."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from api import idempotency
from core import clock, outbox
from core.db import db
from feedback import clocks, outcome, promises
from incentives import rewards
from insights import commanded, happenings, rates, rollups, silence, uploads
from notifications import delivery, retention
from surveys import invitations

log = structlog.get_logger(__name__)
DONE_ROWS_KEPT = timedelta(days=3)


@dataclass(frozen=True)
class Job:
    name: str
    every: timedelta
    run: Callable[[datetime], object]


def _rows(verb: Callable[..., int]) -> Callable[[datetime], int]:
    """Return a job that calls a bounded verb and commits, again while there is more, at most twenty times."""

    def run(now: datetime) -> int:
        total = 0
        for _ in range(20):
            changed = verb(now=now)
            db.session.commit()
            total += changed
            if not changed:
                break
        return total

    return run


def _once(verb: Callable[..., int]) -> Callable[[datetime], int]:
    """Return a job that calls a verb once and commits."""

    def run(now: datetime) -> int:
        changed = verb(now=now)
        db.session.commit()
        return changed

    return run


def _forget(now: datetime) -> int:
    return _rows(lambda *, now: outbox.forget_done(before=now - DONE_ROWS_KEPT))(now)


JOBS = (
    Job("sweep", timedelta(seconds=15), lambda now: outbox.sweep(now=now)),
    Job("fold answers into roll-ups", timedelta(seconds=5), _rows(rollups.fold)),
    Job("count who answered lately", timedelta(minutes=2), _once(rates.recount_lately)),
    Job("count who answers", timedelta(hours=6), _once(rates.recount_changing)),
    Job("count who fell silent", timedelta(hours=1), _once(silence.recount_lately)),
    Job("count what happened lately", timedelta(minutes=2), _once(happenings.recount_told)),
    Job("count what happened", timedelta(hours=6), _once(happenings.recount_changing)),
    Job("break overdue promises", timedelta(seconds=30), _rows(promises.break_overdue)),
    Job("mark breached clocks", timedelta(seconds=30), _rows(clocks.mark_breached)),
    Job("expire invitations", timedelta(minutes=1), _rows(invitations.expire)),
    Job("release lapsed rewards", timedelta(minutes=1), _rows(rewards.release_expired)),
    Job("let unanswered outcome checks go silent", timedelta(minutes=1), _rows(outcome.go_silent)),
    Job("settle stuck messages", timedelta(seconds=60), _rows(delivery.settle_stuck)),
    Job("send invitations whose work was lost", timedelta(seconds=60), _rows(invitations.send_lost)),
    Job("send messages whose work was lost", timedelta(seconds=60), _rows(delivery.send_lost)),
    Job("ask for outcomes whose work was lost", timedelta(seconds=60), _rows(outcome.ask_lost)),
    Job("forget calls of the API", timedelta(minutes=10), _rows(idempotency.forget)),
    Job("forget files that were never imported", timedelta(hours=1), _rows(uploads.forget)),
    Job("forget imports that did not end well", timedelta(hours=1), _once(commanded.forget)),
    Job("forget what old messages said", timedelta(hours=1), _rows(retention.forget)),
    Job("forget done work", timedelta(minutes=10), _forget),
)


def run_due(last: dict[str, float]) -> list[str]:
    """Run what is due by a monotonic clock; return the names. `last` keeps when each ran. A failed job is logged."""
    ran = []
    for job in JOBS:
        if time.monotonic() - last.get(job.name, float("-inf")) < job.every.total_seconds():
            continue
        last[job.name] = time.monotonic()
        try:
            job.run(clock.now())
            ran.append(job.name)
        except Exception as error:  # the loop's edge: one failing job must not stop the others
            db.session.rollback()
            log.error("recurring_failed", job=job.name, error=type(error).__name__, exc_info=error)
    return ran
