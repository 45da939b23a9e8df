"""What is checked at the end of every history of faults."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from datetime import timedelta
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select

from core import clock, outbox
from core.db import db
from core.events import Event
from core.outbox import Work
from feedback.models import Case
from incentives import ledger
from incentives.models import Programme, Reward, RewardState
from notifications import delivery
from notifications.models import Message, State
from surveys.models import Response
from tests.faults.crowd import Attempt
from tests.vendor_sendgrid import Mail, Vendor

QUEUES = ("messages", "reactions", "rewards", "reports")


def work_off(*, later: timedelta = timedelta()) -> None:
    """Do all that is due, as the workers would, until nothing is left; `later`: as if that time had passed."""
    db.session.rollback()
    with clock.moved(later) if later else nullcontext():
        while sum(outbox.drain(queue) for queue in QUEUES):
            pass
    db.session.rollback()
    db.session.expire_all()


def work_to_the_end() -> None:
    """Let leases run out, then what waits for a provider's event that will not come be sent again."""
    work_off(later=outbox.LEASE + timedelta(seconds=1))
    for minutes in (20, 40):
        with clock.moved(timedelta(minutes=minutes)):
            while delivery.settle_stuck(now=clock.now()):
                db.session.commit()
            db.session.commit()
        work_off(later=timedelta(minutes=minutes, seconds=1))


def left_undone() -> list[tuple[str, str | None]]:
    """Return the work that is not done, with its last error; also what was given up."""
    query = select(Work.handler, Work.last_error).where(Work.done_at.is_(None))
    return [(handler, error) for handler, error in db.session.execute(query)]


def responses_by_invitation() -> Counter[int]:
    rows = db.session.execute(select(Response.invitation_id, func.count()).group_by(Response.invitation_id))
    return Counter({int(id or 0): count for id, count in rows})


def faults_of_answers(attempts: Iterable[Attempt], kept: Mapping[int, int]) -> list[str]:
    """Each acknowledged answer is kept exactly once, each other one at most once, and nothing nobody sent."""
    sent = {attempt.invitation_id: attempt for attempt in attempts}
    faults = [f"{id}: kept, never sent" for id in kept.keys() - sent.keys()]
    for id, attempt in sent.items():
        allowed = (1,) if attempt.was_acknowledged else (0, 1)
        if kept.get(id, 0) not in allowed:
            faults.append(f"{id}: answered {attempt.status}, kept {kept.get(id, 0)} times")
    return faults


def faults_of_reactions() -> list[str]:
    """Every response was reacted to exactly once; every unhappy one has its one case."""
    reacted = Counter(
        event.data["response"] for event in db.session.scalars(select(Event).where(Event.kind == "response.completed"))
    )
    cases = Counter(db.session.scalars(select(Case.response_id)))
    faults = []
    for id, score in db.session.execute(select(Response.id, Response.score)):
        if reacted[id] != 1:
            faults.append(f"response {id}: {reacted[id]} reactions")
        if cases[id] != (score is not None and score <= 6):
            faults.append(f"response {id} with score {score}: {cases[id]} cases")
    return faults


def faults_of_rewards() -> list[Any]:
    """No reason has two rewards, no programme gave more than its budget, and the books agree."""
    faults: list[Any] = list(ledger.check())
    twice = select(Reward.reason).where(Reward.state != RewardState.RELEASED).group_by(Reward.reason)
    faults += [f"{reason}: two rewards" for reason in db.session.scalars(twice.having(func.count() > 1))]
    for programme in db.session.scalars(select(Programme)):
        if programme.left_minor < 0:
            faults.append(f"{programme.key}: {-programme.left_minor} over its budget")
    return faults


def messages_by_state() -> Counter[str]:
    rows = db.session.execute(select(Message.state, func.count()).group_by(Message.state))
    return Counter({str(State(state)): count for state, count in rows})


def tell_all(app: Flask, vendor: Vendor, kind: str) -> None:
    """Let the provider tell of all that it took."""
    tell(app, vendor, vendor.mails, kind)


def tell(app: Flask, vendor: Vendor, mails: Sequence[Mail], kind: str) -> None:
    """Let the provider tell of these mails, signed, through the webhook."""
    at = int(clock.now().timestamp())
    post = vendor.signed([vendor.event(mail, kind, at=at) for mail in mails], at=at)
    db.session.rollback()
    answer = FlaskClient(app, app.response_class).post("/hooks/sendgrid", data=post.body, headers=dict(post.headers))
    assert answer.status_code == 204, answer.text
    db.session.rollback()
    db.session.expire_all()
