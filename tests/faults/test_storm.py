"""Everything at once: workers die every two seconds, Redis is emptied and goes away, and the shop's day goes on.

The till posts interactions until each is acknowledged, customers answer the mails that reach them, the provider tells
what it delivered. At the end nothing may be lost, doubled or over budget.
"""

from __future__ import annotations

import json
import random
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlencode

import pytest
from flask import Flask
from sqlalchemy import func, select, text

from cli.recurring import JOBS
from core import clock
from core.db import db
from core.outbox import LEASE
from customers.models import Interaction
from incentives.models import Reward, RewardState
from notifications.models import Message
from notifications.sendgrid import MESSAGE_ARGUMENT
from surveys.models import Decision, Invitation, Response
from tests.amounts import few_or_many
from tests.faults import history
from tests.faults.crowd import FORM, HAPPY, UNHAPPY, Attempt, send
from tests.faults.processes import Ground, Nursery, Process, Web, wait_until
from tests.faults.shop import Shop, open_shop
from tests.vendor_sendgrid import Mail, Vendor

pytestmark = [pytest.mark.fault, pytest.mark.timeout(900)]
STAFFING = ("messages", "messages", "reactions", "rewards")
KILL_EVERY = 2.0  # seconds
REDISPATCHED_IN = timedelta(seconds=90)
SURVEY = re.compile(r"/s/[\w-]{40,}")


@dataclass
class Storm:
    """How much, and how bad."""

    interactions: int
    seconds: float  # the till takes as long for them at least
    redis_away: float

    @property
    def kills(self) -> int:
        """How many workers die at least."""
        return int(self.seconds / KILL_EVERY / 2)

    @property
    def is_long(self) -> bool:
        return self.interactions > 100


@dataclass
class Day:
    """What happened, as those outside know it."""

    web: Web
    shop: Shop
    vendor: Vendor
    acknowledged: list[str] = field(default_factory=list)  # references
    answers: dict[str, int | None] = field(default_factory=dict)  # what came of each, by the message that asked
    told: set[str] = field(default_factory=set)  # messages whose delivery was told
    chance: random.Random = field(default_factory=random.Random)
    redis_suffered: threading.Event = field(default_factory=threading.Event)
    kills: Counter[str] = field(default_factory=Counter)
    over: threading.Event = field(default_factory=threading.Event)


@pytest.mark.parametrize(
    "storm",
    few_or_many(
        Storm(interactions=100, seconds=14, redis_away=5),
        many=Storm(interactions=400, seconds=48, redis_away=20),
        full=Storm(interactions=2000, seconds=240, redis_away=120),
    ),
)
def test_nothing_is_lost_doubled_or_over_budget(
    app: Flask, web: Web, nursery: Nursery, ground: Ground, vendor: Vendor, chance: random.Random, storm: Storm
) -> None:
    shop = open_shop(rewards=storm.interactions * 6 // 10)
    day = Day(web, shop, vendor, chance=chance)
    team = {number: nursery.worker(queue) for number, queue in enumerate(STAFFING)}
    nursery.clock()
    wait_until(lambda: len(app.extensions["redis"].smembers("rq:workers")) == len(STAFFING))

    with (
        going_on(day, customers_answer),
        going_on(day, provider_tells),
        going_on(day, lambda day: workers_die(day, nursery, team)),
        going_on(day, lambda day: redis_suffers(day, app, ground, storm)),
    ):
        till_posts(day, storm)
        day.redis_suffered.wait()
        wait_until(lambda: sum(day.kills.values()) >= storm.kills)
        day.over.set()
    late = wait_for_the_rest(nursery, team, in_full=storm.is_long)

    nursery.clear()
    history.work_to_the_end()
    catch_up(day)
    history.work_to_the_end()
    assert faults_of(day, storm) == []
    assert history.faults_of_answers(attempts_of(day), history.responses_by_invitation()) == []
    assert history.faults_of_reactions() == []
    assert history.faults_of_rewards() == []
    assert history.left_undone() == []
    assert outbox_is_swept_within() <= REDISPATCHED_IN
    states, doubled = history.messages_by_state(), len(vendor.mails) - len({id_of(mail) for mail in vendor.mails})
    print(
        f"\n{storm.interactions} interactions, {sum(day.kills.values())} workers killed, {len(day.answers)} answers, "
        f"{issued()} rewards of {storm.interactions * 6 // 10}, messages {dict(states)}, {doubled} doubled; "
        f"all done {late:.0f} s after the storm"
    )


def faults_of(day: Day, storm: Storm) -> list[str]:
    db.session.rollback()
    faults = []
    counts = {
        "interactions": (db.session.scalar(select(func.count(Interaction.id))), storm.interactions),
        "decisions": (db.session.scalar(select(func.count(Decision.id))), storm.interactions),
        "invitations": (db.session.scalar(select(func.count(Invitation.id))), storm.interactions),
        "acknowledged": (len(set(day.acknowledged)), storm.interactions),
        "answered": (db.session.scalar(select(func.count(Response.id))), storm.interactions),
        "rewards": (issued(), storm.interactions * 6 // 10),
    }
    faults += [f"{name}: {found}, not {wanted}" for name, (found, wanted) in counts.items() if found != wanted]
    sent = Counter(id_of(mail) for mail in day.vendor.mails)
    for message in db.session.scalars(select(Message)):
        if message.state not in ("accepted", "delivered"):
            faults.append(f"{message.kind} {message.id} is {message.state}, {message.failure}")
        most = 2 if message.repeated_at else 1
        if not 1 <= sent[message.public_id] <= most:
            faults.append(f"{message.kind} {message.id} was handed over {sent[message.public_id]} times")
    return faults


def issued() -> int:
    return db.session.scalar(select(func.count()).where(Reward.state == RewardState.ISSUED)) or 0


def id_of(mail: Mail) -> str:
    return mail.custom_args[MESSAGE_ARGUMENT]


# Who does what


@contextmanager
def going_on(day: Day, act: Callable[[Day], None]) -> Iterator[None]:
    """Let something go on in a thread while the block runs; what it raises fails the test."""
    failed: list[BaseException] = []

    def run() -> None:
        try:
            act(day)
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        day.over.set()
        thread.join()
    if failed:
        raise failed[0]


def till_posts(day: Day, storm: Storm) -> None:
    """The shop's till posts five interactions a call, and repeats a call until it is acknowledged."""
    connection, calls = day.web.connection(), storm.interactions // 5
    headers = {"Authorization": f"Bearer {day.shop.key}", "Content-Type": "application/json"}
    began = time.monotonic()
    for call in range(calls):
        references = [f"till-{call}-{number}" for number in range(5)]
        body = json.dumps([an_interaction(day.shop, reference) for reference in references])
        while send(connection, "POST", "/api/v1/interactions", body, {**headers, "Idempotency-Key": f"{call}"}) != 200:
            time.sleep(0.3)
        day.acknowledged += references
        time.sleep(max(0.0, began + storm.seconds * (call + 1) / calls - time.monotonic()))
    connection.close()


def an_interaction(shop: Shop, reference: str) -> dict[str, Any]:
    customer = {"external_id": reference, "name": "Hanna Keller", "email": f"{reference}@customer.example"}
    return {
        "reference": reference,
        "occurred_at": clock.now().isoformat(),
        "touchpoint": shop.touchpoint.key,
        "channel": "store",
        "customer": customer,
    }


def customers_answer(day: Day) -> None:
    """Whoever finds an invitation answers it, once."""
    seen = 0
    connection = day.web.connection()
    while not day.over.wait(0.05):
        seen = answer_from(day, seen, connection)
    connection.close()


def answer_from(day: Day, seen: int, connection: HTTPConnection) -> int:
    mails = list(day.vendor.mails)
    for mail in mails[seen:]:
        if (found := SURVEY.search(mail.text)) and id_of(mail) not in day.answers:
            form = urlencode(UNHAPPY if len(day.answers) % 7 == 0 else HAPPY)
            day.answers[id_of(mail)] = send(connection, "POST", found.group(), form, FORM)
    return len(mails)


def provider_tells(day: Day) -> None:
    while not day.over.wait(0.2):
        tell(day)


def tell(day: Day) -> None:
    mails = [mail for mail in list(day.vendor.mails) if id_of(mail) not in day.told]
    if not mails:
        return
    at = int(time.time())
    post = day.vendor.signed([day.vendor.event(mail, "delivered", at=at) for mail in mails], at=at)
    connection = day.web.connection()
    if send(connection, "POST", "/hooks/sendgrid", post.body, post.headers) == 204:
        day.told |= {id_of(mail) for mail in mails}
    connection.close()


def workers_die(day: Day, nursery: Nursery, team: dict[int, Process]) -> None:
    """Every two seconds one of them is killed, and a supervisor starts another."""
    while not day.over.wait(KILL_EVERY):
        number = day.chance.choice(list(team))
        assert team[number].code is None, team[number].said()[-2000:]  # nobody ends by themselves
        team[number].kill()
        day.kills[STAFFING[number]] += 1
        team[number] = nursery.worker(STAFFING[number])


def redis_suffers(day: Day, app: Flask, ground: Ground, storm: Storm) -> None:
    """It is emptied three times, and once it is away."""
    try:
        for number in range(4):
            day.over.wait((storm.seconds - storm.redis_away) / 5)
            if number == 1:
                ground.kill_valkey()
                day.over.wait(storm.redis_away)
                ground.start()
            else:
                app.extensions["redis"].flushall()
    finally:
        day.redis_suffered.set()


# The end


def wait_for_the_rest(nursery: Nursery, team: dict[int, Process], *, in_full: bool) -> float:
    """In full: wait until the workers have taken up all that was left lying, and return how long that took.

    In short: leases are let run out by the test's own clock, which is not waited for here.
    """
    began = time.monotonic()
    if in_full:
        wait_until(lambda: open_work() == 0, alive=team.values(), every=0.5)
    else:
        wait_until(lambda: open_work(leased=False) == 0, alive=team.values(), every=0.2)
    assert all(process.code is None for process in team.values())
    return time.monotonic() - began


def open_work(*, leased: bool = True) -> int:
    db.session.rollback()
    query = "SELECT count(*) FROM outbox WHERE done_at IS NULL AND dead_at IS NULL AND due_at <= now()"
    return db.session.scalar(text(query if leased else f"{query} AND leased_until IS NULL")) or 0


def outbox_is_swept_within() -> timedelta:
    """How long after a worker died its work is rung for, at the latest: its lease runs out, and the clock comes by."""
    [sweep] = [job for job in JOBS if job.name == "sweep"]
    return LEASE + sweep.every


def catch_up(day: Day) -> None:
    """Customers answer and the provider tells of what left at the end."""
    connection = day.web.connection()
    answer_from(day, 0, connection)
    connection.close()
    tell(day)


def attempts_of(day: Day) -> list[Attempt]:
    db.session.rollback()
    asked = select(Message.public_id, Invitation.id).join(Invitation, Invitation.message_id == Message.id)
    return [
        Attempt(id, day.answers[message], 0.0) for message, id in db.session.execute(asked) if message in day.answers
    ]
