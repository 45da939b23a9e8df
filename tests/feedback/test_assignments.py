"""Claiming, giving and putting back."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import func, select

from accounts.models import Staff
from core import clock
from core.db import db
from core.events import Event
from customers.models import Brand
from feedback import assignments
from feedback.assignments import AlreadyTaken
from feedback.models import Case
from tests.amounts import STUCK_SECONDS
from tests.factories import make_case, make_staff, make_team
from tests.feedback.conftest import MONDAY_9

AGENTS = 50


def test_of_fifty_agents_who_claim_one_case_at_once_one_gets_it(app: Flask, brand: Brand) -> None:
    case = make_case(brand)
    agents = [make_staff(name=f"Agent {number}", password=None) for number in range(AGENTS)]
    case_id, ids = case.id, [agent.id for agent in agents]
    db.session.commit()
    start, won, lost = threading.Barrier(AGENTS), [], []

    def claim(staff_id: int) -> None:
        with app.app_context():
            mine, me = db.session.get_one(Case, case_id), db.session.get_one(Staff, staff_id)
            db.session.rollback()
            start.wait(STUCK_SECONDS)
            try:
                assignments.claim(mine, me, clock.now())
                db.session.commit()
                won.append(staff_id)
            except AlreadyTaken as refusal:
                lost.append(str(refusal))
            finally:
                db.session.remove()

    racers = [threading.Thread(daemon=True, target=claim, args=(staff_id,)) for staff_id in ids]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()

    db.session.refresh(case)
    assert (len(won), len(lost)) == (1, AGENTS - 1)
    assert case.assignee_id == won[0]
    assert all("took it" in sentence for sentence in lost)
    assert db.session.scalar(select(func.count()).select_from(Event).where(Event.kind == "case.assigned")) == 1


def test_who_comes_second_reads_who_was_first_and_when(brand: Brand, ana: Staff, alice: Staff) -> None:
    case = make_case(brand)
    assignments.claim(case, ana, MONDAY_9)

    with pytest.raises(AlreadyTaken, match=r"^Ana took it 4 s ago\.$"):
        assignments.claim(case, alice, MONDAY_9 + timedelta(seconds=4))


def test_claiming_ones_own_case_again_changes_nothing(brand: Brand, ana: Staff) -> None:
    case = make_case(brand)
    assignments.claim(case, ana, MONDAY_9)

    assignments.claim(case, ana, MONDAY_9 + timedelta(hours=1))

    assert case.assigned_at == MONDAY_9


def test_a_case_is_given_and_put_back(brand: Brand, ana: Staff, alice: Staff) -> None:
    case = make_case(brand)

    assignments.assign(case, ana, by=alice, now=MONDAY_9)
    assert (case.assignee_id, case.assigned_at) == (ana.id, MONDAY_9)
    assignments.release(case, by=alice, now=MONDAY_9)

    assert (case.assignee_id, case.assigned_at) == (None, None)
    kinds = db.session.scalars(select(Event.kind).where(Event.actor == f"staff:{alice.id}").order_by(Event.id)).all()
    assert kinds == ["case.assigned", "case.released"]


def test_only_who_works_on_a_brands_cases_can_be_given_one(brand: Brand, ana: Staff, alice: Staff, bob: Staff) -> None:
    make_staff("analyst", team=make_team(brand))

    assert assignments.candidates(brand.id) == [alice, ana]
