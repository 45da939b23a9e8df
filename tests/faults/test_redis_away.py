"""Redis only carries doorbells: without it answers are taken as quickly, and what follows them happens all the same."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from sqlalchemy import select

from core import outbox
from core.db import db
from core.outbox import Work
from tests.faults import history
from tests.faults.crowd import Attempt, Crowd, forms
from tests.faults.processes import Ground, Nursery, Web, wait_until
from tests.faults.shop import invite, open_shop
from tests.vendor_sendgrid import Vendor

pytestmark = [pytest.mark.fault, pytest.mark.timeout(300)]


@pytest.fixture
def kill(ground: Ground) -> Iterator[Callable[[], None]]:
    yield ground.kill_valkey
    ground.start()


@pytest.fixture
def hang(ground: Ground) -> Iterator[Callable[[], None]]:
    yield ground.hang_valkey
    ground.release_valkey()


@pytest.mark.parametrize("fault", ["kill", "hang"])
def test_answers_are_taken_at_once_while_redis_is_away(
    app: Flask, web: Web, fault: str, request: pytest.FixtureRequest
) -> None:
    lose_redis = request.getfixturevalue(fault)
    shop = open_shop(rewards=100)
    warm: list[Attempt] = []
    while not app.extensions["redis"].exists("bell:reactions"):  # the web may still be silent after an earlier outage
        with Crowd(web, forms(invite(shop, 4)), size=4, rest=0.2) as one:
            pass
        warm += one.attempts
    lose_redis()

    with Crowd(web, forms(invite(shop, 60)), size=4) as crowd:
        pass

    assert crowd.outcomes() == {303: 60}
    assert history.faults_of_answers(warm + crowd.attempts, history.responses_by_invitation()) == []
    # The first request of each of the web's four threads may find out that Redis hangs; then one in five seconds does.
    took = sorted(attempt.seconds for attempt in crowd.attempts)
    assert took[-1] < outbox.REDIS_SECONDS + 1.0, took[-5:]
    assert sum(seconds > outbox.REDIS_SECONDS for seconds in took) <= 8, took[-10:]
    print(f"\nRedis {fault}: slowest {took[-1]:.2f} s, median {took[30]:.3f} s; before {_median(warm):.3f} s")


def _median(attempts: list[Attempt]) -> float:
    return sorted(attempt.seconds for attempt in attempts)[len(attempts) // 2]


def test_a_worker_goes_on_without_redis_and_answers_bells_again_when_it_is_back(
    app: Flask, web: Web, nursery: Nursery, ground: Ground, vendor: Vendor
) -> None:
    shop = open_shop(rewards=100)
    worker = nursery.worker("reactions")
    with Crowd(web, forms(invite(shop, 1))):
        pass
    wait_until(lambda: not _undone("reactions"), seconds=30)

    ground.kill_valkey()
    with Crowd(web, forms(invite(shop, 3))):
        pass
    without = wait_until(lambda: not _undone("reactions"), seconds=30)

    ground.start()
    time.sleep(outbox.SILENCE_SECONDS)
    wait_until(lambda: bool(app.extensions["redis"].smembers("rq:workers")), seconds=30)
    with Crowd(web, forms(invite(shop, 1))):
        pass
    back = wait_until(lambda: not _undone("reactions"), seconds=15)

    app.extensions["redis"].flushall()
    with Crowd(web, forms(invite(shop, 1))):
        pass
    emptied = wait_until(lambda: not _undone("reactions"), seconds=15)

    assert worker.code is None  # it is the same process
    assert history.faults_of_reactions() == []
    print(f"\nreacted without Redis after {without:.1f} s, with it again {back:.2f} s, after FLUSHALL {emptied:.2f} s")


def _undone(queue: str) -> int:
    db.session.rollback()
    return len(db.session.scalars(select(Work.id).where(Work.queue == queue, Work.done_at.is_(None))).all())
