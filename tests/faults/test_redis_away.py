"""Redis only carries doorbells: without it answers are taken as quickly, and what follows them happens all the same."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from redis import Redis
from sqlalchemy import func, select

from core import outbox
from core.db import db
from core.outbox import Work
from tests.faults import history
from tests.faults.crowd import Attempt, Crowd, forms
from tests.faults.processes import Ground, Nursery, Web, wait_until
from tests.faults.shop import Shop, invite, open_shop
from tests.vendor_sendgrid import Vendor

pytestmark = [pytest.mark.fault, pytest.mark.timeout(300)]


def tries_of(redis: Redis) -> int:
    """How often somebody came to Redis: each with a connection of its own, or with a bell over a kept one."""
    rung = redis.info("commandstats").get("cmdstat_set", {"calls": 0})
    return int(redis.info("stats")["total_connections_received"]) + int(rung["calls"])


@pytest.fixture
def kill(ground: Ground) -> Iterator[Callable[[], None]]:
    yield ground.kill_valkey
    ground.start()


@pytest.fixture
def hang(ground: Ground) -> Iterator[Callable[[], None]]:
    yield ground.hang_valkey
    ground.release_valkey()


def test_answers_are_taken_while_redis_is_dead(app: Flask, web: Web, kill: Callable[[], None]) -> None:
    shop = open_shop(rewards=100)
    warm = answers_until_a_bell_rings(app, web, shop)
    before = web.said().count("bell_not_rung")
    began = time.monotonic()
    kill()

    with Crowd(web, forms(invite(shop, 60)), size=4) as crowd:
        pass

    wait_until(lambda: web.said().count("bell_not_rung") > before)
    silences = (time.monotonic() - began) / outbox.SILENCE_SECONDS
    assert web.said().count("bell_not_rung") - before <= 2 + silences
    assert crowd.outcomes() == {303: 60}
    assert history.faults_of_answers(warm + crowd.attempts, history.responses_by_invitation()) == []


def test_answers_do_not_wait_for_a_redis_that_hangs(
    app: Flask, web: Web, hang: Callable[[], None], ground: Ground
) -> None:
    """While it hangs, whoever comes to Redis waits REDIS_SECONDS: nearly nobody does, a thread behind the answers."""
    redis = app.extensions["redis"]
    shop = open_shop(rewards=100)
    warm = answers_until_a_bell_rings(app, web, shop)
    before = tries_of(redis)
    began = time.monotonic()
    hang()

    with Crowd(web, forms(invite(shop, 60)), size=4) as crowd:
        pass

    silences = (time.monotonic() - began) / outbox.SILENCE_SECONDS
    ground.release_valkey()
    wait_until(lambda: tries_of(redis) > before)  # it reads what came while it hung
    tries = tries_of(redis) - before
    assert crowd.outcomes() == {303: 60}
    assert history.faults_of_answers(warm + crowd.attempts, history.responses_by_invitation()) == []
    # The bell that finds out, over the kept connection; then one in each silence, which needs a new connection.
    assert tries <= 2 + silences, f"{tries} in {silences:.1f} silences"
    took = sorted(attempt.seconds for attempt in crowd.attempts)
    print(f"\nRedis hangs: {tries} tries, slowest answer {took[-1]:.2f} s, median {took[30]:.3f} s")


def answers_until_a_bell_rings(app: Flask, web: Web, shop: Shop) -> list[Attempt]:
    """Let customers answer until the web rings: it may still be silent after an earlier outage."""
    attempts: list[Attempt] = []
    while not app.extensions["redis"].exists("bell:reactions"):
        with Crowd(web, forms(invite(shop, 4)), size=4, rest=0.2) as crowd:
            pass
        attempts += crowd.attempts
    return attempts


def test_a_worker_goes_on_without_redis_and_answers_bells_again_when_it_is_back(
    app: Flask, web: Web, nursery: Nursery, ground: Ground, vendor: Vendor
) -> None:
    shop = open_shop(rewards=100)
    worker = nursery.worker("reactions")
    with Crowd(web, forms(invite(shop, 1))):
        pass
    wait_until(lambda: not _undone("reactions"))

    ground.kill_valkey()
    with Crowd(web, forms(invite(shop, 3))):
        pass
    without = wait_until(lambda: not _undone("reactions"))

    ground.start()
    wait_until(lambda: bool(app.extensions["redis"].smembers("rq:workers")))
    back = answers_until_one_is_reacted_to(web, shop)

    app.extensions["redis"].flushall()
    emptied = answers_until_one_is_reacted_to(web, shop)

    assert worker.code is None  # it is the same process
    assert history.faults_of_reactions() == []
    print(f"\nreacted without Redis after {without:.1f} s, with it again {back:.2f} s, after FLUSHALL {emptied:.2f} s")


def answers_until_one_is_reacted_to(web: Web, shop: Shop) -> float:
    """Let customers answer, for the web may still be silent and not ring; return how long it took until none waits."""
    began, before = time.monotonic(), _done("reactions")
    while _done("reactions") == before:
        with Crowd(web, forms(invite(shop, 1)), rest=0.5):
            pass
    wait_until(lambda: not _undone("reactions"))
    return time.monotonic() - began


def _undone(queue: str) -> int:
    db.session.rollback()
    return db.session.scalar(select(func.count()).where(Work.queue == queue, Work.done_at.is_(None))) or 0


def _done(queue: str) -> int:
    db.session.rollback()
    return db.session.scalar(select(func.count()).where(Work.queue == queue, Work.done_at.is_not(None))) or 0
