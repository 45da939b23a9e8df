"""Deadlines in working time: started, paused, resumed, stopped, told in a sentence."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from accounts.models import Staff
from core import working_time
from core.db import db
from core.events import Event
from customers.models import Brand, Calendar
from feedback import clocks, entries
from feedback.clocks import Run
from feedback.models import CaseClock, ClockEvent, SlaPolicy
from tests.factories import make_brand, make_case
from tests.feedback.conftest import HOUR, MONDAY_9

NINE_TO_SIX = working_time.Calendar.from_json(
    {"zone": "Europe/Berlin", "weekly": {day: [["09:00", "18:00"]] for day in ("mon", "tue", "wed", "thu", "fri")}}
)


def clock_of(case_id: int, kind: str = "first_contact") -> CaseClock:
    return next(clock for clock in clocks.of(case_id) if clock.kind == kind)


def test_a_deadline_after_hours_moves_to_the_next_working_day(brand: Brand) -> None:
    friday_17 = datetime(2025, 11, 14, 16, 0, tzinfo=UTC)

    case = make_case(brand, now=friday_17)

    assert clock_of(case.id).due_at == datetime(2025, 11, 17, 11, 0, tzinfo=UTC)


def test_a_deadline_over_the_night_when_clocks_change_counts_real_hours(app: object) -> None:
    always = Calendar(name="Always", zone="Europe/Berlin", weekly={d: [["00:00", "24:00"]] for d in working_time.DAYS})
    brand = make_brand(calendar=always)
    before = datetime(2025, 3, 29, 23, 30, tzinfo=UTC)  # 00:30 in Berlin; 02:00 becomes 03:00

    case = make_case(brand, now=before)

    due = clock_of(case.id).due_at
    assert due == before + 4 * HOUR
    assert due.astimezone(working_time._zone("Europe/Berlin")).hour == 5


def test_a_paused_clock_is_due_later_by_the_working_time_of_the_pause(brand: Brand, ana: Staff) -> None:
    case = make_case(brand, now=MONDAY_9)

    clocks.pause(case.id, reason="customer", actor="staff:1", now=MONDAY_9 + HOUR)
    assert clock_of(case.id).is_paused
    clocks.resume(case.id, actor="customer", now=MONDAY_9 + 3 * HOUR)

    clock = clock_of(case.id)
    assert clock.is_running
    assert clock.due_at == MONDAY_9 + 6 * HOUR
    assert clock.warn_at == MONDAY_9 + 5 * HOUR
    kinds = db.session.scalars(select(ClockEvent.kind).where(ClockEvent.clock_id == clock.id).order_by(ClockEvent.id))
    assert kinds.all() == ["start", "pause", "resume"]


def test_a_pause_outside_working_time_costs_nothing(brand: Brand) -> None:
    case = make_case(brand, now=MONDAY_9)

    clocks.pause(case.id, reason="customer", actor="staff:1", now=MONDAY_9 + 10 * HOUR)
    clocks.resume(case.id, actor="customer", now=MONDAY_9 + 20 * HOUR)

    assert clock_of(case.id, "resolution").due_at == MONDAY_9 + timedelta(days=4, hours=4)


def test_a_clock_that_was_over_when_paused_stays_over(brand: Brand) -> None:
    case = make_case(brand, now=MONDAY_9)

    clocks.pause(case.id, reason="customer", actor="staff:1", now=MONDAY_9 + 6 * HOUR)
    clocks.resume(case.id, actor="customer", now=MONDAY_9 + 7 * HOUR)

    assert clock_of(case.id).due_at == MONDAY_9 + 4 * HOUR


def test_a_clock_stopped_late_keeps_since_when(brand: Brand) -> None:
    case = make_case(brand, now=MONDAY_9)

    clocks.stop(case.id, kinds=["first_contact"], actor="staff:1", now=MONDAY_9 + 5 * HOUR)

    clock = clock_of(case.id)
    assert (clock.stopped_at, clock.breached_at) == (MONDAY_9 + 5 * HOUR, MONDAY_9 + 4 * HOUR)
    assert clock_of(case.id, "resolution").is_running


def test_a_clock_that_runs_is_not_started_twice(brand: Brand) -> None:
    case = make_case(brand, now=MONDAY_9)
    target = clocks.Target("first_contact", 60)

    clocks.start(
        case.id, [target], policy="Other", calendar_id=brand.calendar_id, actor="rule", now=MONDAY_9 + 4 * HOUR
    )

    assert len(clocks.of(case.id)) == 2
    assert clock_of(case.id).due_at == MONDAY_9 + 4 * HOUR


def test_breached_clocks_are_marked_once_in_batches(brand: Brand) -> None:
    made = [make_case(brand, now=MONDAY_9) for _ in range(3)]
    late = MONDAY_9 + 5 * HOUR

    batches = [clocks.mark_breached(now=late, limit=2) for _ in range(3)]

    assert batches == [2, 1, 0]
    told = db.session.scalars(select(Event).where(Event.kind == "clock.breached")).all()
    assert {event.case_id for event in told} == {case.id for case in made}
    assert clock_of(made[0].id).breached_at == MONDAY_9 + 4 * HOUR


def test_a_paused_clock_is_not_breached(brand: Brand) -> None:
    case = make_case(brand, now=MONDAY_9)
    clocks.pause(case.id, reason="customer", actor="staff:1", now=MONDAY_9 + HOUR)

    assert clocks.mark_breached(now=MONDAY_9 + 500 * HOUR) == 0


def test_a_clock_says_why_it_is_due_when_it_is(brand: Brand, ana: Staff) -> None:
    minutes = {"first_contact_minutes": 90, "next_response_minutes": 60, "resolution_minutes": 600}
    db.session.add(SlaPolicy(name="Score 0–6", position=1, conditions={}, **minutes))
    case = make_case(brand, now=MONDAY_9)
    clocks.pause(case.id, reason="customer", actor="staff:1", now=MONDAY_9 + HOUR)
    clocks.resume(case.id, actor="customer", now=MONDAY_9 + 2 * HOUR)

    said = clocks.explain(clock_of(case.id), now=MONDAY_9 + 2 * HOUR)

    assert said == (
        "First contact is due today at 10:30: 1 h 30 of working time after today at 08:00, by the rule “Score 0–6”. "
        "It was paused for 1 h of working time. "
        "We count 09:00–18:00 on 5 days a week, time zone Europe/Berlin."
    )


def test_waiting_for_the_customer_pauses_what_is_due_until_they_answer(brand: Brand, ana: Staff) -> None:
    case = make_case(brand, wants="none", now=MONDAY_9)
    entries.log_call(case, reached=True, minutes=3, body=None, by=ana, now=MONDAY_9 + HOUR)

    entries.wait(case, by=ana, now=MONDAY_9 + HOUR)

    assert (case.state, case.next_act, case.due_at) == ("waiting", "follow_up", MONDAY_9 + HOUR + timedelta(days=7))


@settings(max_examples=60)
@given(
    minutes=st.integers(1, 3000),
    steps=st.lists(st.integers(1, 4000), min_size=1, max_size=5),
)
def test_a_deadline_has_exactly_its_work_before_it(minutes: int, steps: list[int]) -> None:
    moments = [MONDAY_9]
    for step in steps:
        moments.append(moments[-1] + timedelta(minutes=step))
    runs = [Run(start, end) for start, end in zip(moments[::2], moments[1::2], strict=False)]
    runs.append(Run(moments[-1] + HOUR))

    due = clocks.deadline(timedelta(minutes=minutes), runs, NINE_TO_SIX)

    assert due is not None
    worked = sum(
        (working_time.between(run.start, min(run.end or due, due), NINE_TO_SIX) for run in runs if run.start < due),
        timedelta(),
    )
    assert worked == timedelta(minutes=minutes)
