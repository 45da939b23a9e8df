"""The outbox: each piece of work is done, whatever happens to workers and doorbells, and completed once."""

import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, text

from core import backlogs, clock, outbox
from core.db import db
from core.events import Event, record
from core.outbox import Work
from tests.client import count_queries, kept_plan

done: list[int] = []


@outbox.handler("test.one", queue="reports")
def one(*, now: Any, number: int) -> None:
    if number < 0:
        raise ValueError("cannot be done")
    record("test.done", at=now, actor="system", number=number)
    done.append(number)


@outbox.handler("test.many", queue="reports", batch=10)
def many(items: list[outbox.Item], *, now: Any) -> None:
    numbers = [item.ids["number"] for item in items]
    if any(number < 0 for number in numbers):
        raise ValueError("cannot be done")
    for number in numbers:
        record("test.done", at=now, actor="system", number=number)


def put(name: str, *numbers: int, due_in: timedelta = timedelta()) -> None:
    outbox.later_many(name, [(str(number), {"number": number}) for number in numbers], due_at=clock.now() + due_in)
    db.session.commit()


def recorded() -> list[int]:
    return sorted(event.data["number"] for event in db.session.scalars(select(Event).where(Event.kind == "test.done")))


def state() -> Work:
    db.session.expire_all()
    return db.session.scalars(select(Work)).one()


def test_work_is_done_and_completed_with_its_effects(app: Flask) -> None:
    put("test.one", 1, 2, 3)

    assert outbox.drain("reports") == 3

    assert recorded() == [1, 2, 3]
    assert outbox.drain("reports") == 0


def test_the_same_key_is_one_piece_of_work(app: Flask) -> None:
    put("test.one", 7)
    put("test.one", 7)

    outbox.drain("reports")

    assert recorded() == [7]


def test_work_of_a_rolled_back_transaction_never_existed(app: Flask) -> None:
    outbox.later("test.one", key="1", due_at=clock.now(), number=1)
    db.session.rollback()

    assert outbox.drain("reports") == 0


def test_work_waits_until_it_is_due(app: Flask) -> None:
    put("test.one", 1, due_in=timedelta(minutes=5))

    assert outbox.drain("reports") == 0
    with clock.moved(timedelta(minutes=6)):
        assert outbox.drain("reports") == 1


def test_a_failure_is_recorded_and_tried_again_later_and_later(app: Flask) -> None:
    put("test.one", -1)
    before = clock.now()

    outbox.drain("reports")

    failed = state()
    assert (failed.attempts, failed.last_error, failed.done_at) == (1, "ValueError", None)
    assert failed.due_at > before + outbox.backoff(1)
    assert outbox.backoff(2) > outbox.backoff(1)


def test_after_the_last_attempt_it_is_dead_and_can_be_revived(app: Flask) -> None:
    put("test.one", -1)
    for hours in range(outbox.MAX_ATTEMPTS):
        with clock.moved(timedelta(hours=2 * hours)):
            outbox.drain("reports")

    assert state().dead_at is not None
    assert outbox.revive(state().id, now=clock.now())
    assert state().dead_at is None


def test_one_bad_row_of_a_batch_does_not_stop_the_others(app: Flask) -> None:
    put("test.many", 1, -2, 3)

    assert outbox.drain("reports") == 2

    assert recorded() == [1, 3]


def test_a_row_whose_worker_died_is_done_when_its_lease_ran_out(app: Flask) -> None:
    put("test.one", 1)
    outbox.claim("reports", now=clock.now())

    assert outbox.drain("reports") == 0
    with clock.moved(outbox.LEASE + timedelta(seconds=1)):
        assert outbox.sweep(now=clock.now()) == ["reports"]
        assert outbox.drain("reports") == 1


def test_who_lost_the_lease_completes_nothing(app: Flask) -> None:
    put("test.one", 1)
    stale = outbox.claim("reports", now=clock.now())["test.one"]
    with clock.moved(outbox.LEASE + timedelta(seconds=1)):
        outbox.claim("reports", now=clock.now())

        assert outbox._attempt(outbox._handlers["test.one"], stale) == 0

    assert recorded() == []
    assert state().done_at is None


def test_a_lease_is_renewed_once_it_is_some_seconds_old(app: Flask) -> None:
    put("test.many", 1)
    begun = clock.now()
    items = outbox.claim("reports", now=begun)["test.many"]

    with count_queries() as young:
        outbox.renew(items, now=begun + timedelta(seconds=1))
    first = state().leased_until
    outbox.renew(items, now=begun + timedelta(seconds=40))

    assert len(young) == 0
    assert first == begun + outbox.LEASE
    assert state().leased_until == begun + timedelta(seconds=40) + outbox.LEASE


def test_four_drains_at_once_do_each_piece_once(app: Flask) -> None:
    put("test.one", *range(200))

    def drain() -> None:
        with app.app_context():
            outbox.drain("reports")

    threads = [threading.Thread(target=drain) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    db.session.rollback()
    assert recorded() == list(range(200))


def test_a_bell_rings_after_the_commit_and_only_once(app: Flask) -> None:
    redis = outbox.connection()
    outbox.later("test.one", key="1", due_at=clock.now(), number=1)
    assert not redis.exists("bell:reports")

    with db.session.begin_nested():
        pass  # releasing a savepoint is no commit
    assert not redis.exists("bell:reports")
    db.session.commit()

    assert redis.exists("bell:reports")
    put("test.one", 2)
    assert redis.llen("rq:queue:reports") == 1


def test_redis_away_loses_nothing(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    from redis import Redis

    monkeypatch.setitem(app.extensions, "redis", Redis.from_url("redis://127.0.0.1:1"))
    monkeypatch.setattr(outbox, "_silent_until", 0.0)

    put("test.one", 5)

    assert outbox.drain("reports") == 1
    monkeypatch.setattr(outbox, "_silent_until", 0.0)
    assert recorded() == [5]


def test_an_unknown_handler_is_kept_for_whoever_knows_it(app: Flask) -> None:
    put("test.one", 1)
    db.session.execute(text("UPDATE outbox SET handler = 'gone.away'"))
    db.session.commit()

    outbox.drain("reports")

    assert state().last_error == "no such handler"
    assert state().done_at is None


def test_done_rows_are_forgotten_after_a_while(app: Flask) -> None:
    put("test.one", 1)
    outbox.drain("reports")

    assert outbox.forget_done(before=clock.now() - timedelta(days=1)) == 0
    assert outbox.forget_done(before=clock.now() + timedelta(days=1)) == 1


def test_metrics_of_processes_that_share_a_folder_are_added_up(
    app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    hands_over = "from notifications.delivery import messages_total as n; n.labels('reward', 'accepted').inc(2)"
    for _worker in range(2):
        subprocess.run([sys.executable, "-c", hands_over], check=True)

    lines = app.test_client().get("/metrics").get_data(as_text=True).splitlines()

    assert 'amends_messages_total{kind="reward",outcome="accepted"} 4.0' in lines
    assert any(line.startswith("amends_work_due") for line in lines)


def test_metrics_tell_what_waits_in_each_queue(app: Flask) -> None:
    put("test.one", 1, 2, due_in=-timedelta(minutes=5))
    put("test.one", 3, due_in=timedelta(hours=1))
    put("test.one", 4)
    db.session.execute(text("UPDATE outbox SET dead_at = now() WHERE ids->>'number' = '4'"))
    db.session.commit()

    lines = app.test_client().get("/metrics").get_data(as_text=True).splitlines()

    figures = dict(line.rsplit(" ", 1) for line in lines if line.startswith("amends_work_"))
    assert figures['amends_work_due{queue="reports"}'] == "2.0"
    assert 300 <= float(figures['amends_work_late_seconds{queue="reports"}']) < 330
    assert figures['amends_work_dead{queue="reports"}'] == "1.0"
    assert figures['amends_work_due{queue="messages"}'] == "0.0"
    with count_queries() as queries:
        backlogs.backlogs(now=clock.now())
    due, dead = (kept_plan(statement) for statement in queries)  # whatever was done before is not looked at
    assert "ix_outbox_due" in due
    assert "ix_outbox_dead" in dead
