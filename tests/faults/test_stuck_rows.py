"""Rows that were left in the middle of something: two minutes after their time the recurring work has moved them on."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import delete, select, update

from cli.recurring import JOBS, run_due
from core import clock, outbox
from core.db import db
from core.outbox import LEASE, Work
from feedback import outcome
from feedback.models import Case, CaseClock, Promise
from feedback.outcome import SILENT_AFTER
from incentives import ledger, rewards
from incentives.models import Reward
from notifications.delivery import EVENT_WAIT, LOST_CLAIM
from notifications.models import Message, State
from surveys import invitations
from surveys.models import Invitation
from tests.factories import make_case, make_customer, make_interaction
from tests.faults import history
from tests.faults.shop import Shop, invite, open_shop
from tests.vendor_sendgrid import Vendor

pytestmark = [pytest.mark.fault]
REPAIRED_IN = timedelta(minutes=2)


@pytest.fixture
def shop(app: Flask, vendor: Vendor) -> Shop:
    return open_shop(rewards=100)


def tick(later: timedelta) -> None:
    """Let the clock process and the workers do what they do at a later time."""
    db.session.commit()
    with clock.moved(later):
        ran = run_due({})
        assert len(ran) == len(JOBS), "a recurring job failed"
        history.work_off()


def an_invitation(shop: Shop) -> Invitation:
    """A waiting one, with its row of work."""
    interaction = make_interaction(shop.touchpoint, make_customer())
    invitations.decide([interaction], now=clock.now())
    return db.session.scalars(select(Invitation).where(Invitation.interaction_id == interaction.id)).one()


def a_message(shop: Shop) -> Message:
    """One to be sent, with its row of work."""
    an_invitation(shop)
    db.session.commit()
    claimed = outbox.claim("messages", now=clock.now())
    outbox._work_off("invitation.send", claimed["invitation.send"])
    return db.session.scalars(select(Message)).one()


def sending(shop: Shop) -> Message:
    """Claimed for the provider by a worker that died."""
    message = a_message(shop)
    outbox.claim("messages", now=clock.now())
    message.state, message.state_at = State.SENDING, clock.now()
    return message


def test_leased_work_of_a_dead_worker_is_done(shop: Shop) -> None:
    invitation = an_invitation(shop)
    db.session.commit()
    outbox.claim("messages", now=clock.now())

    tick(LEASE + REPAIRED_IN)

    assert invitation.state == "sent"
    assert history.left_undone() == []


def test_a_message_being_sent_by_a_dead_worker_becomes_uncertain(shop: Shop) -> None:
    message = sending(shop)

    tick(LEASE + REPAIRED_IN)

    assert message.state == State.UNCERTAIN


def test_a_message_being_sent_whose_work_is_gone_becomes_uncertain(shop: Shop) -> None:
    message = sending(shop)
    db.session.execute(delete(Work))

    tick(LOST_CLAIM + REPAIRED_IN)

    assert message.state == State.UNCERTAIN


def test_an_uncertain_message_is_sent_again_when_no_event_came(shop: Shop, vendor: Vendor) -> None:
    message = sending(shop)
    db.session.execute(delete(Work))
    message.state = State.UNCERTAIN

    tick(EVENT_WAIT + REPAIRED_IN)

    assert message.state == State.ACCEPTED
    assert len(vendor.mails) == 1


def test_a_message_without_work_is_sent(shop: Shop, vendor: Vendor) -> None:
    message = a_message(shop)
    db.session.execute(delete(Work))

    tick(REPAIRED_IN)

    assert message.state == State.ACCEPTED
    assert len(vendor.mails) == 1


def test_a_waiting_invitation_without_work_is_sent(shop: Shop, vendor: Vendor) -> None:
    invitation = an_invitation(shop)
    db.session.execute(delete(Work))

    tick(REPAIRED_IN)

    assert invitation.state == "sent"
    assert len(vendor.mails) == 1


def test_what_has_its_work_gets_no_second_one(shop: Shop, vendor: Vendor) -> None:
    an_invitation(shop)
    db.session.execute(update(Work).values(due_at=clock.now() + timedelta(hours=1)))  # tried, and put off

    tick(REPAIRED_IN)

    assert len(db.session.scalars(select(Work)).all()) == 1
    assert vendor.mails == []


def test_an_outcome_check_without_work_is_asked(shop: Shop) -> None:
    case = make_case(shop.brand, survey_id=shop.survey.id, question="nps")
    case.response_id = None
    check = outcome.mark_fixed(case, clock.now())
    assert check
    db.session.execute(delete(Work))

    tick(REPAIRED_IN)

    assert check.state == "asked"


def test_an_outcome_check_nobody_answered_closes_its_case(shop: Shop) -> None:
    case = make_case(shop.brand, survey_id=shop.survey.id, question="nps")
    case.response_id = None
    check = outcome.mark_fixed(case, clock.now())
    assert check
    db.session.execute(update(Promise).values(state="kept"))
    tick(timedelta())

    tick(SILENT_AFTER + REPAIRED_IN)

    assert (check.state, case.state) == ("silent", "closed")


def test_a_reward_reserved_past_its_time_is_given_back(shop: Shop) -> None:
    until = clock.now() + timedelta(minutes=5)
    reward = rewards.reserve(
        shop.thanks, customer=make_customer(), reason="invitation:1", until=until, by="rule", now=clock.now()
    )
    assert reward

    tick(timedelta(minutes=5) + REPAIRED_IN)

    assert reward.state == "released"
    assert shop.thanks.left_minor == shop.thanks.budget_minor
    assert ledger.check() == []


def test_a_link_past_its_time_is_over_and_its_reward_given_back(shop: Shop) -> None:
    invitation = an_invitation(shop)
    tick(timedelta())
    assert db.session.get_one(Reward, invitation.reward_id).state == "reserved"

    tick(invitation.expires_at - clock.now() + REPAIRED_IN)

    assert invitation.state == "expired"
    assert db.session.get_one(Reward, invitation.reward_id).state == "released"


def broken(case: Case) -> Any:
    promise = db.session.scalars(select(Promise).where(Promise.case_id == case.id)).one()
    return promise.due_at, lambda: promise.state == "broken"


def breached(case: Case) -> Any:
    running = db.session.scalars(
        select(CaseClock).where(CaseClock.case_id == case.id, CaseClock.kind == "first_contact")
    ).one()
    return running.due_at, lambda: running.breached_at is not None


@pytest.mark.parametrize("fault", [broken, breached])
def test_an_overdue_promise_is_broken_and_an_overdue_clock_is_marked(shop: Shop, fault: Callable[[Case], Any]) -> None:
    case = make_case(shop.brand)
    due_at, is_repaired = fault(case)

    tick(due_at - clock.now() + REPAIRED_IN)

    assert is_repaired()


def test_an_answer_in_the_last_minute_keeps_its_reward(shop: Shop, vendor: Vendor) -> None:
    """The link's end and the reservation's end are one moment: what was earned before it is not given back after it."""
    invited = invite(shop, 1)
    assert invited
    invitation = an_invitation(shop)
    tick(timedelta())
    reward = db.session.get_one(Reward, invitation.reward_id)
    last_minute = invitation.expires_at - clock.now() - timedelta(seconds=30)
    db.session.execute(update(Invitation).where(Invitation.id == invitation.id).values(state="answered"))
    outbox.later(
        "reward.issue",
        key=f"invitation:{invitation.id}",
        due_at=clock.now() + last_minute,
        programme_id=shop.thanks.id,
        invitation_id=invitation.id,
        customer_id=invitation.customer_id,
    )

    tick(last_minute + REPAIRED_IN)

    assert reward.state == "issued"
    assert ledger.check() == []
