"""What a changed calendar does to deadlines that run, and what it leaves alone."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from flask import Flask
from sqlalchemy import select

from core import outbox
from core.db import db
from customers import calendars
from feedback import clocks, policies, recomputing
from feedback.models import CaseClock, ClockKind, Promise
from tests.factories import make_brand, make_case

FRIDAY = datetime(2026, 11, 13, 16, 0, tzinfo=UTC)  # 17:00 in Berlin, an hour before the weekend


def first_contact(case_id: int) -> datetime:
    query = select(CaseClock.due_at).where(CaseClock.case_id == case_id, CaseClock.kind == ClockKind.FIRST_CONTACT)
    return db.session.scalars(query).one()


def open_on_saturdays(calendar_id: int, now: datetime) -> None:
    from customers.models import Calendar

    calendar = db.session.get_one(Calendar, calendar_id)
    data = calendars.data_of(calendar)
    weekly = {**data.weekly, "sat": [["09:00", "18:00"]]}
    changed = calendars.CalendarData(data.name, data.zone, weekly, None, ())
    calendars.change(calendar, changed, by="system", now=now)
    db.session.commit()


def test_new_hours_bring_a_running_deadline_forward_and_leave_the_promise(app: Flask) -> None:
    brand = make_brand()
    case = make_case(brand, now=FRIDAY)
    promised = db.session.scalars(select(Promise.due_at).where(Promise.case_id == case.id)).one()
    assert first_contact(case.id) == datetime(2026, 11, 16, 11, 0, tzinfo=UTC)

    open_on_saturdays(brand.calendar_id, FRIDAY)
    outbox.drain("reactions")
    db.session.expire_all()

    assert first_contact(case.id) == datetime(2026, 11, 14, 11, 0, tzinfo=UTC)
    assert case.due_at == datetime(2026, 11, 14, 11, 0, tzinfo=UTC)
    assert db.session.scalars(select(Promise.due_at).where(Promise.case_id == case.id)).one() == promised


def test_paused_and_stopped_clocks_and_other_calendars_are_left_alone(app: Flask) -> None:
    brand = make_brand()
    paused, stopped, other = make_case(brand, now=FRIDAY), make_case(brand, now=FRIDAY), make_case(now=FRIDAY)
    clocks.pause(paused.id, reason="customer", actor="system", now=FRIDAY)
    clocks.stop(stopped.id, actor="system", now=FRIDAY)
    before = [first_contact(case.id) for case in (paused, stopped, other)]

    open_on_saturdays(brand.calendar_id, FRIDAY)
    outbox.drain("reactions")
    db.session.expire_all()

    assert [first_contact(case.id) for case in (paused, stopped, other)] == before


def test_many_cases_are_worked_off_in_batches(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recomputing, "BATCH", 2)
    brand = make_brand()
    cases = [make_case(brand, now=FRIDAY) for _number in range(3)]

    open_on_saturdays(brand.calendar_id, FRIDAY)
    outbox.drain("reactions")
    db.session.expire_all()

    assert {first_contact(case.id).day for case in cases} == {14}


def test_a_calendar_that_only_changed_its_name_posts_no_work(app: Flask) -> None:
    calendar = make_brand().calendar
    data = calendars.data_of(calendar)

    renamed = calendars.CalendarData("Service", data.zone, data.weekly, None, ())
    calendars.change(calendar, renamed, by="system", now=FRIDAY)

    assert db.session.scalars(select(outbox.Work)).all() == []
    assert policies.calendar(calendar.id).zone == data.zone
