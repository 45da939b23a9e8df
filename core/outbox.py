"""Work to be done behind the request: rows committed with their cause, drained in batches, one worker process a queue.

Redis only carries doorbells. A row is claimed with a lease and a fence, done, and completed in the transaction of its
effects; whoever lost the lease completes nothing. A sweep rings for what is due or whose lease ran out.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, TypeAlias, TypeVar, cast

import structlog
from flask import Flask, current_app, has_request_context
from prometheus_client import Counter
from redis import Redis
from redis.exceptions import RedisError
from rq import Queue
from rq.serializers import JSONSerializer
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    CursorResult,
    Delete,
    FromClause,
    Index,
    Table,
    Update,
    bindparam,
    delete,
    event,
    func,
    literal,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, Insert, insert
from sqlalchemy.orm import InstrumentedAttribute, Mapped, Session, mapped_column

from core import clock
from core.behind import Ringer
from core.db import Id, Json, Model, db, is_under_way
from core.inserting import insert_many
from core.stopping import Stopping

QUEUES: Final = ("messages", "rewards", "reactions", "reports")
LEASE: Final = timedelta(seconds=60)
AGED: Final = timedelta(seconds=10)  # a younger lease is not renewed: nobody else can have got it
MAX_ATTEMPTS: Final = 12
BATCH: Final = 500
LOST_AFTER: Final = timedelta(minutes=1)  # what waits so long past its time without a row of work gets one again
DRAIN_SECONDS: Final = 50.0  # a drain ends before RQ's time-out and rings for the rest
BELL_SECONDS: Final = 30  # a bell whose job was lost can be rung again after this
GATHER_SECONDS: Final = 0.1  # a worker claims together what comes in so short a time: a batch costs much like one row
SILENCE_SECONDS: Final = 5.0  # after Redis failed no bell is rung for so long; then one request tries, the others go on
REDIS_SECONDS: Final = 1.0  # a request waits no longer for a Redis that hangs

log = structlog.get_logger(__name__)
done_total = Counter("amends_outbox_done_total", "Rows of work completed", ["handler"])
failed_total = Counter("amends_outbox_failed_total", "Attempts that failed", ["handler"])
dead_total = Counter("amends_outbox_dead_total", "Rows given up after the last attempt", ["handler"])

gather_seconds = 0.0  # this process waits so long before a claim that may not be full; a worker sets GATHER_SECONDS
stopping = Stopping()  # set when this process is asked to end: its drain ends after the call that is under way


class Work(Model):
    __tablename__ = "outbox"
    __table_args__ = (
        Index(
            "ix_outbox_due",
            "queue",
            "due_at",
            postgresql_where=text("done_at IS NULL AND dead_at IS NULL"),
        ),
        Index("ix_outbox_done", "done_at", postgresql_where=text("done_at IS NOT NULL")),
        Index("ix_outbox_dead", "dead_at", postgresql_where=text("dead_at IS NOT NULL")),
    )
    id: Mapped[Id]
    queue: Mapped[str]
    handler: Mapped[str]
    dedupe_key: Mapped[str] = mapped_column(unique=True)
    ids: Mapped[Json]
    created_at: Mapped[datetime]
    due_at: Mapped[datetime]
    attempts: Mapped[int] = mapped_column(default=0)
    fence: Mapped[int] = mapped_column(default=0)
    leased_until: Mapped[datetime | None]
    last_error: Mapped[str | None]
    done_at: Mapped[datetime | None]
    dead_at: Mapped[datetime | None]


# What a batch's handler may return: item id -> due_at of those that must wait; the others are done.
Waiting: TypeAlias = Mapping[int, datetime]
Run = TypeVar("Run", bound="Callable[..., Waiting | None]")


@dataclass
class Item:
    """One claimed row: its ids, how often it was tried before, the fence that completing it needs.

    `leased_at` is when its lease was taken or last renewed.
    """

    id: int
    ids: dict[str, Any]
    attempts: int
    fence: int
    leased_at: datetime | None = None


@dataclass(frozen=True)
class Handler:
    name: str
    queue: str
    run: Callable[..., Waiting | None]
    batch: int  # 1: called with one item's ids; more: called with a list of Items


class Later(Exception):
    """Raised by a handler that cannot go on before `due_at`, through no fault of the work: no attempt is counted."""

    def __init__(self, due_at: datetime) -> None:
        super().__init__("later")
        self.due_at = due_at


class LeaseLost(Exception):
    """Another worker holds the rows by now; everything done under the old lease is rolled back."""


_handlers: dict[str, Handler] = {}


def handler(name: str, *, queue: str, batch: int = 1) -> Callable[[Run], Run]:
    """Register what does the work called `name`.

    With batch=1 it is called as run(now=…, **ids), otherwise as run(items: list[Item], now=…) with up to `batch` items;
    then it may return {item.id: due_at} for those of them that must wait, as `Later` does for all.
    It flushes and does not commit: the drain commits its effects together with the rows. A handler that calls the
    outside commits its claim first (`sending`), and again what came of it.
    """
    if queue not in QUEUES:
        raise ValueError(f"{queue} is not a queue; they are {', '.join(QUEUES)}.")

    def register(run: Run) -> Run:
        _handlers[name] = Handler(name, queue, run, batch)
        return run

    return register


def later(name: str, *, key: str, due_at: datetime, **ids: int | str | None) -> None:
    """Put work into the caller's transaction; a second call with the same `key` while the row is kept does nothing.

    Rings the queue's bell after the outermost commit. Queues and rows carry ids, never personal data.
    """
    later_many(name, [(key, ids)], due_at=due_at)


def later_many(name: str, rows: Iterable[tuple[str, dict[str, Any]]], *, due_at: datetime) -> None:
    """Put many rows of one kind of work, each (key, ids), in one statement."""
    later_each(name, [(key, ids, due_at) for key, ids in rows])


def later_each(name: str, rows: Iterable[tuple[str, dict[str, Any], datetime]]) -> None:
    """Put many rows of one kind of work, each (key, ids, due_at) with a moment of its own, in one statement."""
    queue = _handlers[name].queue
    values: list[dict[str, Any]] = [
        {
            "queue": queue,
            "handler": name,
            "dedupe_key": f"{name}:{key}",
            "ids": ids,
            "due_at": due_at,
            "created_at": due_at,
        }
        for key, ids, due_at in rows
    ]
    if not values:
        return
    insert_many(Work, values, unless="(dedupe_key)")
    if min(row["due_at"] for row in values) <= clock.now():
        rings(name)


def posting(name: str, source: FromClause, *, key: ColumnElement[str], ids: ColumnElement[Any]) -> Insert:
    """Return the statement that puts one row of work for each row of `source` into the transaction it runs in.

    For a CTE beside what causes the work: it saves a trip to the server. `key` and `ids` (a JSON object) are made of
    the columns of `source`; the parameter `now` is when it is due. Whoever runs it calls `rings(name)` too.
    """
    values: dict[str, ColumnElement[Any]] = {
        "queue": literal(_handlers[name].queue),
        "handler": literal(name),
        "dedupe_key": literal(f"{name}:").concat(key),
        "ids": ids,
        "due_at": bindparam("now", type_=Work.due_at.type),
        "created_at": bindparam("now", type_=Work.created_at.type),
        "attempts": literal(0),
        "fence": literal(0),
    }
    return insert(cast(Table, Work.__table__)).from_select(list(values), select(*values.values()).select_from(source))


def rings(name: str) -> None:
    """Let the queue of this work be rung after the outermost commit; at once for work that is committed already."""
    queue = _handlers[name].queue
    if is_under_way():
        db.session.info.setdefault("bells", set()).add(queue)
    else:
        _ring_all({queue})


@event.listens_for(Session, "after_commit")
def _ring_after_commit(session: Session) -> None:
    if session.in_nested_transaction():  # the event also fires when a savepoint is released
        return
    if queues := session.info.pop("bells", None):
        _ring_all(queues)


def _ring_all(queues: Iterable[str]) -> None:
    """Ring at once, or in the web behind the request. A test's own client looks at the bells when it is answered."""
    if has_request_context() and not current_app.testing:
        current_app.extensions["ringer"].leave(queues)
        return
    for queue in queues:
        ring(queue)


@event.listens_for(Session, "after_rollback")
def _forget_after_rollback(session: Session) -> None:
    if not session.in_nested_transaction():
        session.info.pop("bells", None)


_silent_until = 0.0


def ring(queue: str) -> None:
    """Ring a queue's bell unless it rings already. Redis being away loses nothing: the sweep rings again."""
    global _silent_until
    if time.monotonic() < _silent_until:
        return
    if _silent_until:
        _silent_until = time.monotonic() + SILENCE_SECONDS  # this one tries whether Redis is back
    redis = connection()
    try:
        if redis.set(f"bell:{queue}", 1, nx=True, ex=BELL_SECONDS):
            Queue(queue, connection=redis, serializer=JSONSerializer).enqueue_call(
                "core.outbox.drain",
                args=(queue,),
                timeout=300,
                result_ttl=0,
                failure_ttl=3600,
            )
        _silent_until = 0.0
    except RedisError as error:
        _silent_until = time.monotonic() + SILENCE_SECONDS
        log.warning("bell_not_rung", queue=queue, error=type(error).__name__)


def connection() -> Redis:
    redis: Redis = current_app.extensions["redis"]
    return redis


def init_app(app: Flask, redis_url: str) -> None:
    app.extensions["redis"] = Redis.from_url(
        redis_url,
        socket_connect_timeout=0.5,
        socket_timeout=REDIS_SECONDS,
        retry_on_timeout=False,
    )
    app.extensions["ringer"] = Ringer(app, ring)


def drain(queue: str) -> int:
    """Do what is due in a queue until nothing is, for about 50 seconds or until `stopping`; return how many rows."""
    try:
        connection().delete(f"bell:{queue}")  # first: who comes later rings again
    except RedisError:
        pass
    until, done, wait = time.monotonic() + DRAIN_SECONDS, 0, gather_seconds
    while not stopping.wait(wait) and (claimed := claim(queue, now=clock.now())):
        wait = gather_seconds if sum(map(len, claimed.values())) < BATCH else 0.0
        for name, items in claimed.items():
            done += _work_off(name, items)
        if time.monotonic() > until:
            ring(queue)
            break
    return done


def claim(queue: str, *, now: datetime, limit: int = BATCH) -> dict[str, list[Item]]:
    """Lease up to `limit` due rows, oldest first, and commit; return them by handler."""
    due = (
        select(Work.id)
        .where(
            Work.queue == queue,
            Work.due_at <= now,
            Work.done_at.is_(None),
            Work.dead_at.is_(None),
        )
        .where(or_(Work.leased_until.is_(None), Work.leased_until < now))
        .order_by(Work.due_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .cte("due")  # runs once; a subquery may run again for each row, and then find more than the limit
    )
    rows = db.session.execute(
        update(Work)
        .where(Work.id.in_(select(due.c.id)))
        .values(leased_until=now + LEASE, fence=Work.fence + 1)
        .returning(Work.id, Work.handler, Work.ids, Work.attempts, Work.fence)
        .execution_options(synchronize_session=False)
    ).all()
    db.session.commit()
    claimed: dict[str, list[Item]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: row.id):
        claimed[row.handler].append(Item(row.id, row.ids, row.attempts, row.fence, leased_at=now))
    return claimed


def renew(items: Sequence[Item], *, now: datetime) -> None:
    """Extend the lease of work that takes long, unless it is young; commits. Raises LeaseLost when others have it."""
    if any(item.leased_at is None or item.leased_at < now - AGED for item in items):
        _fenced_update(items, leased_until=now + LEASE)
        for item in items:
            item.leased_at = now
    db.session.commit()


def _work_off(name: str, items: list[Item]) -> int:
    work = _handlers.get(name)
    if work is None:
        log.error("no_such_handler", handler=name)
        for item in items:
            _failed(item, name, "no such handler", clock.now())
        return 0
    done = 0
    for start in range(0, len(items), work.batch):
        if stopping.is_set():
            _give_back(items[start:])
            break
        done += _attempt(work, items[start : start + work.batch])
    return done


def _give_back(items: Sequence[Item]) -> None:
    """Let go of rows that were claimed and not begun: another worker need not wait until the lease runs out."""
    try:
        _fenced_update(items, leased_until=None)
        db.session.commit()
    except LeaseLost:
        db.session.rollback()


def _attempt(work: Handler, items: list[Item]) -> int:
    """Run one call of a handler and complete its rows with its effects; a batch that fails is tried row by row."""
    now = clock.now()
    waiting: Waiting = {}
    try:
        if work.batch == 1:
            work.run(now=now, **items[0].ids)
        else:
            waiting = work.run(items, now=now) or {}
        _finish(items, waiting, now)
        db.session.commit()
    except Later as later_on:
        db.session.rollback()
        _postpone(items, later_on.due_at)
        return 0
    except LeaseLost:
        db.session.rollback()
        log.warning("lease_lost", handler=work.name)
        return 0
    except (
        Exception
    ) as error:  # the loop's edge: recorded on the row and logged, so that one bad row stops nobody else's work
        db.session.rollback()
        if len(items) > 1:
            return sum(_attempt(work, [item]) for item in items)
        log.error(
            "work_failed",
            handler=work.name,
            work=items[0].id,
            error=type(error).__name__,
            exc_info=error,
        )
        _failed(items[0], work.name, type(error).__name__, now)
        return 0
    done_total.labels(work.name).inc(len(items) - len(waiting))
    return len(items) - len(waiting)


def _finish(items: Sequence[Item], waiting: Waiting, now: datetime) -> None:
    """Complete a handler's rows, but for those that must wait."""
    if done := [item for item in items if item.id not in waiting]:
        _fenced_update(done, done_at=now, leased_until=None, last_error=None)
    for due_at in set(waiting.values()):
        _fenced_update([item for item in items if waiting.get(item.id) == due_at], due_at=due_at, leased_until=None)


def _fenced_update(items: Sequence[Item], **values: Any) -> None:
    ids, fences = ([getattr(item, name) for item in items] for name in ("id", "fence"))
    arrays = (literal(each, ARRAY(BigInteger)) for each in (ids, fences))
    held = func.unnest(*arrays).table_valued("id", "fence", name="held").render_derived()
    ours = (Work.id == held.c.id) & (Work.fence == held.c.fence)
    if _changed(update(Work).where(ours).values(**values)) != len(items):
        raise LeaseLost


def _changed(statement: Update | Delete) -> int:
    """Run a statement and return how many rows it changed."""
    result = db.session.execute(statement, execution_options={"synchronize_session": False})
    return cast("CursorResult[Any]", result).rowcount


def _postpone(items: Sequence[Item], due_at: datetime) -> None:
    try:
        _fenced_update(items, due_at=due_at, leased_until=None)
        db.session.commit()
    except LeaseLost:
        db.session.rollback()


def _failed(item: Item, name: str, error: str, now: datetime) -> int:
    attempts = item.attempts + 1
    gone = attempts >= MAX_ATTEMPTS
    values = {
        "attempts": attempts,
        "last_error": error,
        "leased_until": None,
        "due_at": now + backoff(attempts),
    }
    try:
        _fenced_update([item], **values, dead_at=now if gone else None)
        db.session.commit()
    except LeaseLost:
        db.session.rollback()
        return 0
    (dead_total if gone else failed_total).labels(name).inc()
    return 1


def backoff(attempts: int) -> timedelta:
    """Return the wait after the nth failed attempt: 5 s, 10 s, 20 s … at most an hour."""
    return timedelta(seconds=min(5 * 2 ** (attempts - 1), 3600))


def sweep(*, now: datetime) -> list[str]:
    """Ring for every queue with work that is due or whose lease ran out; return the queues rung."""
    queues = (
        db.session.execute(
            select(Work.queue)
            .where(Work.due_at <= now, Work.done_at.is_(None), Work.dead_at.is_(None))
            .where(or_(Work.leased_until.is_(None), Work.leased_until < now))
            .distinct()
        )
        .scalars()
        .all()
    )
    db.session.rollback()
    for queue in queues:
        ring(queue)
    return list(queues)


def has_none(name: str, id_name: str, id_column: InstrumentedAttribute[int]) -> ColumnElement[bool]:
    """Return the condition that no open or dead row of this work names this id: it was lost, by a person or a restore.

    Whoever finds such a thing, `LOST_AFTER` past its time, puts its work again, under a key of its own (`lost_key`).
    """
    same_id = Work.ids[id_name].as_integer() == id_column
    return ~select(Work.id).where(Work.handler == name, Work.done_at.is_(None), same_id).exists()


def lost_key(thing_id: int, now: datetime) -> str:
    return f"{thing_id}:lost:{now:%Y%m%d%H%M}"


def forget_done(*, before: datetime, limit: int = 5000) -> int:
    """Delete up to `limit` rows completed before a moment; the caller commits and calls again while rows go."""
    old = select(Work.id).where(Work.done_at < before).limit(limit).cte("old").prefix_with("MATERIALIZED")
    return _changed(delete(Work).where(Work.id.in_(select(old.c.id))))


def revive(work_id: int, *, now: datetime) -> bool:
    """Give a dead row its attempts back; return whether there was such a row."""
    dead = (Work.id == work_id) & Work.dead_at.is_not(None)
    values = {"dead_at": None, "attempts": 0, "due_at": now, "leased_until": None}
    return _changed(update(Work).where(dead).values(**values)) == 1
