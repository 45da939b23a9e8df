"""A worker that is killed, stopped or cut off from PostgreSQL in the middle of its work, and clocks that die."""

from __future__ import annotations

import signal
import time
from datetime import datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import func, select, text

from core import clock, outbox
from core.db import db
from core.outbox import LEASE, Work
from incentives.models import Reward, RewardState
from notifications.models import Message
from surveys.invitations import reason_of
from tests.faults import history
from tests.faults.processes import Ground, Nursery, wait_until
from tests.faults.shop import Shop, invite, open_shop
from tests.vendor_sendgrid import Fault, Vendor

pytestmark = [pytest.mark.fault, pytest.mark.timeout(300)]
MANY = 200


def owe_rewards(shop: Shop, how_many: int) -> None:
    """Put the work that follows answers: one reward to issue for each. A worker takes seconds for it."""
    invited = invite(shop, how_many)
    rows = db.session.execute(
        text("SELECT id, customer_id FROM invitation WHERE id = ANY(:ids)"), {"ids": [id for id, _ in invited]}
    )
    work = [
        (reason_of(row.id), {"programme_id": shop.thanks.id, "invitation_id": row.id, "customer_id": row.customer_id})
        for row in rows
    ]
    outbox.later_many("reward.issue", work, due_at=clock.now())
    db.session.commit()


def issued() -> int:
    db.session.rollback()
    return db.session.scalar(select(func.count()).where(Reward.state == RewardState.ISSUED)) or 0


def held() -> int:
    """How many rows are leased and not done."""
    db.session.rollback()
    return db.session.scalar(select(func.count()).where(Work.leased_until.is_not(None), Work.done_at.is_(None))) or 0


def lengthen_leases(by: timedelta) -> None:
    db.session.execute(text("UPDATE outbox SET leased_until = leased_until + :by"), {"by": by})
    db.session.commit()


def test_what_a_killed_worker_held_is_done_once_when_its_lease_ran_out(
    app: Flask, nursery: Nursery, vendor: Vendor
) -> None:
    shop = open_shop(rewards=MANY + 1)
    owe_rewards(shop, MANY)
    first = nursery.worker("rewards")
    wait_until(lambda: issued() >= 10, alive=[first])

    first.kill()

    done_by_the_first = issued()
    assert 10 <= done_by_the_first < MANY
    assert held() == MANY - done_by_the_first
    lengthen_leases(timedelta(hours=1))  # whatever a busy machine makes of the next lines
    second = nursery.worker("rewards")
    owe_rewards(shop, 1)
    wait_until(lambda: issued() > done_by_the_first, alive=[second])
    assert issued() == done_by_the_first + 1  # the second took what was free alone: the lease holds
    assert held() == MANY - done_by_the_first
    lengthen_leases(-timedelta(hours=1) - LEASE)
    app.extensions["redis"].flushall()  # also the bells are gone: the sweep rings anew
    ticking = nursery.clock()
    took = wait_until(lambda: issued() == MANY + 1, alive=[second, ticking])

    assert (second.code, ticking.code) == (None, None)
    assert history.faults_of_rewards() == []
    print(f"\nkilled after {done_by_the_first} of {MANY}; the rest took {took:.1f} s from the end of the lease")


def test_a_worker_asked_to_end_finishes_its_call_and_gives_back_the_rest(
    app: Flask, nursery: Nursery, vendor: Vendor
) -> None:
    owe_rewards(open_shop(rewards=MANY), MANY)
    worker = nursery.worker("rewards")
    wait_until(lambda: issued() >= 10, alive=[worker])

    began = time.monotonic()
    worker.signal(signal.SIGTERM)
    assert worker.ended() == 0
    took = time.monotonic() - began

    done = issued()
    assert 10 <= done < MANY
    assert held() == 0
    assert history.faults_of_rewards() == []
    print(f"\nended {took:.2f} s after SIGTERM, with {done} of {MANY} done and none held")


@pytest.mark.parametrize("when", ["just born", "looking for work for the first time", "waiting for a bell"])
def test_an_idle_or_starting_worker_ends_at_once_when_asked(app: Flask, nursery: Nursery, when: str) -> None:
    moment = db.session.scalar(select(func.clock_timestamp()))
    worker = nursery.worker("reports")
    if when == "looking for work for the first time":
        wait_until(lambda: connected_since(moment))
    if when == "waiting for a bell":
        wait_until(lambda: idle_workers(app) == 1)

    worker.signal(signal.SIGTERM)

    assert worker.ended() in (0, -signal.SIGTERM)
    assert "Traceback" not in worker.said()


def test_a_worker_outlives_postgresql(app: Flask, nursery: Nursery, ground: Ground, vendor: Vendor) -> None:
    owe_rewards(open_shop(rewards=MANY), MANY)
    worker, ticking = nursery.worker("rewards"), nursery.clock()
    wait_until(lambda: issued() >= 10, alive=[worker, ticking])

    db.session.rollback()
    ground.kill_postgres()
    wait_until(lambda: "server_away" in worker.said() and "database_away" in ticking.said(), alive=[worker, ticking])
    ground.start()

    assert (worker.code, ticking.code) == (None, None)
    lengthen_leases(-LEASE)
    took = wait_until(lambda: issued() == MANY, alive=[worker, ticking])
    assert (worker.code, ticking.code) == (None, None)
    assert history.faults_of_rewards() == []
    print(f"\nPostgreSQL away until both noticed; the rest took {took:.1f} s once it was back and the lease over")


def test_another_clock_takes_over_when_one_dies(app: Flask, nursery: Nursery) -> None:
    first = nursery.clock()
    wait_until(lambda: leader() is not None)
    backend = leader()
    moment = db.session.scalar(select(func.clock_timestamp()))
    second = nursery.clock()
    wait_until(lambda: connected_since(moment), alive=[first, second])
    assert leader() == backend

    first.kill()

    took = wait_until(lambda: leader() not in (None, backend))
    assert second.code is None
    print(f"\nanother clock led {took:.1f} s after the first died")


def connected_since(moment: datetime | None) -> bool:
    """Whether somebody came to the database after this moment of its own clock."""
    db.session.rollback()
    query = text("SELECT count(*) FROM pg_stat_activity WHERE datname = 'amends' AND backend_start > :moment")
    return bool(db.session.scalar(query, {"moment": moment}))


def idle_workers(app: Flask) -> int:
    """How many workers wait for a bell, as RQ notes it."""
    redis = app.extensions["redis"]
    return sum(redis.hget(key, "state") == b"idle" for key in redis.smembers("rq:workers"))


def leader() -> int | None:
    """The backend that holds the one lock of the clocks."""
    db.session.rollback()
    found = db.session.scalar(
        text("SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND classid = 7300 AND objid = 1 AND granted")
    )
    return int(found) if found else None


def test_a_clock_asked_to_end_ends_at_once_and_frees_its_lock(app: Flask, nursery: Nursery) -> None:
    ticking = nursery.clock()
    wait_until(lambda: leader() is not None)

    ticking.signal(signal.SIGTERM)

    assert ticking.ended() == 0
    assert leader() is None


def test_messages_of_a_worker_killed_while_it_hands_over_wait_for_their_event_and_leave_once(
    app: Flask, nursery: Nursery, vendor: Vendor
) -> None:
    owe_rewards(open_shop(rewards=30), 30)
    history.work_off()  # the rewards; their mails are handed over here
    vendor.recover()
    owe_rewards(open_shop(rewards=30), 30)
    outbox.drain("rewards")
    vendor.script(Fault.HANG)
    worker = nursery.worker("messages")
    wait_until(lambda: len(vendor.mails) == 30, every=0.01)

    worker.kill()

    # The provider has them, and nobody heard its reply.
    history.work_off(later=LEASE + timedelta(seconds=1))
    assert history.messages_by_state()["uncertain"] == 30
    history.tell_all(app, vendor, "delivered")
    history.work_to_the_end()
    assert len(vendor.mails) == 30
    assert history.messages_by_state()["delivered"] == 30
    assert db.session.scalar(select(func.count()).select_from(Message)) == 60
