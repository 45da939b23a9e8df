"""Each kind of work is ended at each of its boundaries, done by two at once, or twice: the end is always the same.

A boundary is a statement about to run or just done, a commit about to happen or just done, a call to the provider about
to be made or just made. Ended means: the process dies there (nothing more is said on the connection), or something
raises there and the worker lives on.
"""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event, func, select, text
from sqlalchemy.orm import Session

from core import clock, outbox
from core.db import db
from core.events import Event
from core.outbox import LEASE
from customers.models import Customer, Interaction
from feedback import outcome
from feedback.models import Case, OutcomeCheck
from incentives import ledger
from incentives.models import LedgerEntry, Reward
from notifications.models import Message
from notifications.sendgrid import MESSAGE_ARGUMENT
from notifications.transport import Batch, Outcome, Transport
from surveys import invitations
from surveys.models import Invitation, Response
from tests.amounts import few_or_many
from tests.client import Client
from tests.factories import make_case, make_customer, make_interaction
from tests.faults import history
from tests.faults.crowd import FORM, Form, forms
from tests.faults.processes import wait_until
from tests.faults.shop import Shop, invite, open_shop
from tests.vendor_sendgrid import Vendor

pytestmark = [pytest.mark.fault, pytest.mark.timeout(900)]
SWEEPS = 50


class Died(BaseException):
    """The process is gone: nobody catches this, nobody says goodbye."""


class Broke(Exception):
    """Something went wrong at this very place."""


# What is done: each arranges fresh rows, so that exactly one kind of work is due


def an_invitation(shop: Shop, client: Client) -> None:
    interactions = [make_interaction(shop.touchpoint, make_customer()) for _ in range(2)]
    invitations.decide(interactions, now=clock.now())


def a_message(shop: Shop, client: Client) -> None:
    an_invitation(shop, client)
    db.session.commit()
    work_off_only("invitation.send")


def an_answer(shop: Shop, client: Client) -> None:
    for form in forms(invite(shop, 2), unhappy_every=2):
        post(client, form)


def a_reward(shop: Shop, client: Client) -> None:
    a_message(shop, client)
    waiting = select(Invitation).where(Invitation.reward_id.is_not(None), Invitation.state == "sent")
    sent = db.session.scalars(waiting.order_by(Invitation.id.desc()).limit(2)).all()
    for form in forms([(each.id, each.public_id) for each in sent], unhappy_every=9):
        post(client, form)
    work_off_only("response.react")


def an_outcome(shop: Shop, client: Client) -> None:
    case = make_case(shop.brand, customer=make_customer(), survey_id=shop.survey.id, question="nps", now=clock.now())
    case.response_id = None  # the case has no answer here that the second one could name
    outcome.mark_fixed(case, clock.now())


def an_outcome_s_answer(shop: Shop, client: Client) -> None:
    an_outcome(shop, client)
    db.session.commit()
    work_off_only("outcome.ask")
    asked = db.session.scalars(select(Invitation).order_by(Invitation.id.desc()).limit(1)).one()
    form = forms([(asked.id, asked.public_id)], unhappy_every=9)[0]
    post(client, form)


def post(client: Client, form: Form) -> None:
    assert client.post(form.path, data=form.body, headers=FORM).status_code == 303


ARRANGED: dict[str, tuple[str, Callable[[Shop, Client], None]]] = {
    "invitation.send": ("messages", an_invitation),
    "message.send": ("messages", a_message),
    "response.react": ("reactions", an_answer),
    "response.react to an outcome": ("reactions", an_outcome_s_answer),
    "reward.issue": ("rewards", a_reward),
    "outcome.ask": ("reactions", an_outcome),
}


def work_off_only(name: str) -> None:
    """Do the due work of one kind and leave that which follows from it."""
    claimed = outbox.claim(outbox._handlers[name].queue, now=clock.now())
    for other, items in claimed.items():
        if other == name:
            outbox._work_off(name, items)
        else:
            outbox._give_back(items)
    db.session.commit()


# The boundaries


@dataclass
class Boundaries:
    """Counts boundaries; at the one numbered `end_at` it raises. Dead is dead: at every later one it raises again."""

    end_at: int = 0
    error: type[BaseException] = Died
    passed: int = 0
    is_on: bool = True
    thread: int = field(default_factory=threading.get_ident)

    def cross(self, *_: Any, **__: Any) -> None:
        if not self.is_on or threading.get_ident() != self.thread:
            return
        self.passed += 1
        if self.passed == self.end_at or (self.error is Died and 0 < self.end_at < self.passed):
            raise self.error

    def cross_committed(self, *_: Any) -> None:
        """Behind a commit only dying is possible: the session has nothing more to do."""
        if self.error is Died:
            self.cross()
        else:
            self.passed += self.is_on


@dataclass
class Watched:
    """A transport with a boundary on either side of each call."""

    inner: Transport
    boundaries: Boundaries

    def send(self, batch: Batch) -> list[Outcome]:
        self.boundaries.cross()
        outcomes = self.inner.send(batch)
        self.boundaries.cross()
        return outcomes


@contextmanager
def watched(app: Flask, boundaries: Boundaries) -> Iterator[None]:
    office = app.extensions["mail"]
    transport = office.transport
    office.transport = Watched(transport, boundaries)
    places: list[tuple[Any, str, Any]] = [
        (db.engine, "before_cursor_execute", boundaries.cross),
        (db.engine, "after_cursor_execute", boundaries.cross),
        (db.engine, "commit", boundaries.cross),
        (Session, "after_commit", boundaries.cross_committed),
    ]
    for place in places:
        event.listen(*place)
    try:
        yield
    finally:
        boundaries.is_on = False
        for place in places:
            event.remove(*place)
        office.transport = transport


# What is compared


def state() -> Counter[Any]:
    """Count everything that work leaves behind, but for ids, times and codes."""
    db.session.rollback()
    found: Counter[Any] = Counter()
    for columns in (
        (Message.kind, Message.state),
        (Reward.state, Reward.amount_minor),
        (LedgerEntry.kind, LedgerEntry.account, LedgerEntry.amount_minor),
        (Event.kind, Event.actor),
        (Invitation.state, Invitation.channel, Invitation.message_id.is_(None), Invitation.reward_id.is_(None)),
        (OutcomeCheck.state, OutcomeCheck.won_back),
        (Case.state, Case.next_act),
        (Response.state, Response.score),
        (Customer.profile, Customer.profile_score, Customer.won_back_at.is_(None), Customer.last_invited_at.is_(None)),
        (Interaction.channel,),
    ):
        for row in db.session.execute(select(*columns, func.count()).group_by(*columns)):
            found[(str(columns[0]), *row[:-1])] = row[-1]
    return found


def run(app: Flask, vendor: Vendor, shop: Shop, client: Client, name: str, do: Callable[[str], None]) -> Counter[Any]:
    """Arrange the work called `name`, do it in some way, let the workers do the rest; return what was left behind."""
    queue, arrange = ARRANGED[name]
    shop = shop.again()
    before = state()
    vendor.recover()
    arrange(shop, client)
    db.session.commit()
    do(queue)
    work_on(app, vendor)
    after = state()
    after.subtract(before)
    assert history.left_undone() == []
    mails = Counter(mail.custom_args[MESSAGE_ARGUMENT] for mail in vendor.mails)
    assert set(mails.values()) <= {1}, "sent twice"
    after["mails", len(mails)] = 1
    return Counter({key: number for key, number in after.items() if number})


def work_on(app: Flask, vendor: Vendor) -> None:
    """Let the next worker go on once the lease is over, and the provider tell of what it took."""
    history.work_off(later=LEASE + timedelta(seconds=1))
    # What failed is tried again. What the dead one had locked is passed over until the database has noticed.
    for sweep in range(1, SWEEPS + 1):
        if not history.left_undone():
            break
        wait_until(lambda: not orphaned_locks())
        history.work_off(later=timedelta(minutes=3 * sweep))
    if vendor.mails:
        history.tell_all(app, vendor, "delivered")
    if history.messages_by_state().keys() & {"sending", "uncertain"}:
        history.work_to_the_end()
        history.tell_all(app, vendor, "delivered")


def orphaned_locks() -> int:
    """How many other connections of this database hold a row or wait to end."""
    db.session.rollback()
    query = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND pid <> pg_backend_pid() AND backend_xid IS NOT NULL"
    )
    return db.session.scalar(query) or 0


def drain_until(app: Flask, boundaries: Boundaries) -> Callable[[str], None]:
    def do(queue: str) -> None:
        with watched(app, boundaries):
            try:
                outbox.drain(queue)
            except (Died, Broke):
                pass
        db.session().invalidate()

    return do


@pytest.fixture
def shop(app: Flask, vendor: Vendor) -> Iterator[Shop]:
    yield open_shop(rewards=10_000)
    db.session.rollback()
    assert ledger.check() == []


@pytest.fixture
def client(app: Flask) -> Client:
    app.test_client_class = Client
    client = app.test_client()
    assert isinstance(client, Client)
    return client


@pytest.mark.parametrize("most", few_or_many(4, many=60, full=1000))
@pytest.mark.parametrize("name", ARRANGED)
def test_work_ended_at_any_boundary_comes_to_the_same_end(
    app: Flask, vendor: Vendor, shop: Shop, client: Client, chance: random.Random, name: str, most: int
) -> None:
    counting = Boundaries()
    expected = run(app, vendor, shop, client, name, drain_until(app, counting))
    ends = [(end_at, error) for end_at in range(1, counting.passed + 1) for error in (Died, Broke)]
    chosen = sorted(chance.sample(range(len(ends)), min(most, len(ends))))
    assert len(chosen) >= min(most, 20)

    for end_at, error in (ends[number] for number in chosen):
        ended = run(app, vendor, shop, client, name, drain_until(app, Boundaries(end_at, error)))
        assert ended == expected, f"{error.__name__} at boundary {end_at} of {counting.passed}"
    print(f"\n{name}: {counting.passed} boundaries, ended {len(chosen)} times")


@pytest.mark.parametrize("times", few_or_many(1, many=8, full=25))
@pytest.mark.parametrize("name", ARRANGED)
def test_work_that_two_workers_held_is_done_once(
    app: Flask, vendor: Vendor, shop: Shop, client: Client, name: str, times: int
) -> None:
    expected = run(app, vendor, shop, client, name, lambda queue: None)

    def at_once(queue: str) -> None:
        """One worker holds the rows, its lease runs out, another takes them: now both work."""
        first = outbox.claim(queue, now=clock.now())
        second = outbox.claim(queue, now=clock.now() + LEASE + timedelta(seconds=1))
        assert second.keys() == first.keys()
        gate = threading.Barrier(2)

        def work(claimed: dict[str, list[outbox.Item]]) -> None:
            with app.app_context():
                gate.wait()
                for handler, items in claimed.items():
                    outbox._work_off(handler, items)
                db.session.remove()

        threads = [threading.Thread(daemon=True, target=work, args=(claimed,)) for claimed in (first, second)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def too_late(queue: str) -> None:
        """The first one was slow, and comes to its work when another has done it."""
        stale = outbox.claim(queue, now=clock.now())
        with clock.moved(LEASE + timedelta(seconds=1)):
            outbox.drain(queue)
        for handler, items in stale.items():
            assert outbox._work_off(handler, items) == 0
            db.session.rollback()

    for turn in range(times):
        assert run(app, vendor, shop, client, name, at_once) == expected, f"at once, turn {turn}"
    assert run(app, vendor, shop, client, name, too_late) == expected, "too late"
