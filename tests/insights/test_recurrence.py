"""Recurrence: new cases with the same root cause per 1,000 interactions, before and after the corrective action."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from core import clock
from core.db import db
from customers.models import ImportRun
from feedback import trees
from feedback.models import Case, CaseState, CorrectiveAction, Problem, RootCause
from insights import happenings, recurrence, words
from insights.recurrence import Recurrence, Span, Verdict
from tests.client import count_queries
from tests.factories import (
    make_brand,
    make_case,
    make_interaction,
    make_problem,
    make_root_cause,
    make_staff,
    make_team,
    make_touchpoint,
)
from tests.insights.conftest import NOON, TODAY, Shop

ACTED_ON = TODAY - timedelta(days=29)


def happened(
    shop: Shop, on: date, interactions: int, cases: int = 0, *, cause: RootCause | None = None, **more: Any
) -> None:
    """Let interactions happen on a day, and cases be opened; those with a cause are resolved."""
    at = datetime.combine(on, NOON)
    for _ in range(interactions):
        make_interaction(shop.touchpoint, occurred_at=at)
    for _ in range(cases):
        case = make_case(**{"brand": shop.brand, "touchpoint_id": shop.touchpoint.id, **more}, now=at)
        if cause is not None:
            case.root_cause_id, case.state = cause.id, CaseState.RESOLVED
    db.session.flush()


def seen(shop: Shop, *, cause: RootCause | None, **more: Any) -> Recurrence:
    """Return what recurrence says of a problem that was acted upon, by default at the shop's touchpoint."""
    problem = make_problem(**{"touchpoint": shop.touchpoint, "brand_id": shop.brand.id, "root_cause": cause, **more})
    action = CorrectiveAction(
        words="Another courier", acted_on=ACTED_ON, form_key=problem.form_key, by="staff:1", at=clock.now()
    )
    problem.actions.append(action)
    db.session.flush()
    happenings.recount(TODAY - timedelta(days=130), TODAY)
    return recurrence.around(problem, action, today=TODAY)


def test_it_happens_less_where_the_rate_fell_by_more_than_chance(shop: Shop) -> None:
    cause = make_root_cause()
    happened(shop, ACTED_ON - timedelta(days=10), 100, 20, cause=cause)
    happened(shop, ACTED_ON + timedelta(days=10), 100, 2, cause=cause)

    found = seen(shop, cause=cause)

    assert (found.before.cases, found.before.interactions, found.before.days) == (20, 100, 84)
    assert (found.after.cases, found.after.interactions, found.after.days) == (2, 100, 28)
    assert (found.before.per_thousand, found.after.per_thousand) == (200, 20)
    assert found.verdict is Verdict.LESS


def test_the_day_of_the_action_today_and_what_lies_further_away_are_left_out(shop: Shop) -> None:
    cause = make_root_cause()
    outside = (ACTED_ON - timedelta(days=85), ACTED_ON, TODAY)
    for day in (*outside, ACTED_ON - timedelta(days=84), ACTED_ON - timedelta(days=1), ACTED_ON + timedelta(days=1)):
        happened(shop, day, 10, 1, cause=cause)
    happened(shop, TODAY - timedelta(days=1), 10, 1, cause=cause)

    found = seen(shop, cause=cause)

    assert (found.before.cases, found.before.interactions) == (2, 20)
    assert (found.after.cases, found.after.interactions) == (2, 20)


def test_other_causes_places_and_imports_do_not_count_and_causes_below_do(shop: Shop) -> None:
    cause, other = make_root_cause(), make_root_cause()
    below = make_root_cause(parent_id=cause.id)
    day = ACTED_ON - timedelta(days=3)
    happened(shop, day, 40, 1, cause=cause)
    happened(shop, day, 0, 2, cause=below)
    happened(shop, day, 0, 4, cause=other)
    elsewhere = make_touchpoint(shop.brand)
    happened(shop, day, 0, 8, cause=cause, touchpoint_id=elsewhere.id)
    imported = make_case(shop.brand, now=datetime.combine(day, NOON), touchpoint_id=shop.touchpoint.id)
    imported.root_cause_id, imported.state = cause.id, CaseState.RESOLVED
    run = ImportRun(kind="complaints", file_name="f", file_sha256="0", mapping={}, by="import", started_at=clock.now())
    db.session.add(run)
    db.session.flush()
    imported.import_id = run.id

    assert seen(shop, cause=cause).before.cases == 3
    assert seen(shop, cause=cause, touchpoint=None).before.cases == 11
    assert set(db.session.scalars(trees.above(below.id))) == {cause.id, below.id}


@pytest.mark.parametrize("state", [CaseState.OPEN, CaseState.RESOLVED, CaseState.CLOSED])
def test_a_case_without_a_cause_may_be_one(shop: Shop, state: CaseState) -> None:
    """Also one that its customer called fixed before anybody said why it had happened."""
    cause = make_root_cause()
    happened(shop, ACTED_ON - timedelta(days=10), 100, 20, cause=cause)
    happened(shop, ACTED_ON + timedelta(days=10), 100, 2, cause=cause)
    happened(shop, ACTED_ON + timedelta(days=10), 0, 12)
    for case in db.session.scalars(select(Case).where(Case.root_cause_id.is_(None))):
        case.state, case.closed_at = state, clock.now()
    db.session.flush()

    found = seen(shop, cause=cause)

    assert (found.after.cases, found.after.unknown) == (2, 12)
    assert found.verdict is Verdict.SAME
    assert "12 since then, 0 before" in words.without_cause(found)


def test_without_a_cause_every_case_of_the_touchpoint_counts(shop: Shop) -> None:
    happened(shop, ACTED_ON - timedelta(days=10), 50, 3)
    happened(shop, ACTED_ON - timedelta(days=10), 0, 2, cause=make_root_cause())

    found = seen(shop, cause=None)

    assert (found.before.cases, found.before.unknown) == (5, 0)


def span(cases: int, interactions: int, *, unknown: int = 0, days: int = 28) -> Span:
    return Span(date(2026, 1, 1), date(2026, 1, 1) + timedelta(days=days - 1), cases, unknown, interactions)


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        (span(20, 100), span(0, 100, days=27), Verdict.EARLY),
        (span(20, 100), span(0, 100, days=28), Verdict.LESS),
        (span(20, 29), span(0, 100), Verdict.FEW),
        (span(20, 100), span(0, 29), Verdict.FEW),
        (span(200, 100), span(0, 100), Verdict.FEW),  # most complaints were about no interaction we were told of
        (span(20, 100), span(15, 100), Verdict.SAME),
        (span(2, 100), span(20, 100), Verdict.MORE),
        (span(2, 100, unknown=18), span(20, 100), Verdict.SAME),
        (span(20, 100), span(2, 100, unknown=1), Verdict.LESS),
        (span(0, 100), span(0, 100), Verdict.SAME),
    ],
)
def test_the_verdict_claims_no_more_than_the_figures_show(before: Span, after: Span, verdict: Verdict) -> None:
    assert Recurrence(CorrectiveAction(), before, after).verdict is verdict


def test_it_takes_four_statements_whatever_the_number_of_cases(shop: Shop) -> None:
    cause = make_root_cause()
    happened(shop, ACTED_ON - timedelta(days=10), 40, 30, cause=cause)
    action = seen(shop, cause=cause).action
    problem = db.session.get_one(Problem, action.problem_id)

    with count_queries() as counted:
        recurrence.around(problem, action, today=TODAY)

    assert len(counted) == 4


def test_the_newest_cases_are_those_that_somebody_may_see(shop: Shop) -> None:
    cause, other, now = make_root_cause(), make_brand(), datetime.combine(TODAY, NOON)
    for days in range(7):
        happened(shop, TODAY - timedelta(days=days), 0, 1, cause=cause)
    happened(shop, TODAY, 0, 1, cause=cause, brand=other, touchpoint_id=None)
    problem = make_problem(root_cause=cause)

    everywhere = recurrence.newest_cases(problem, staff=make_staff("lead"), now=now)
    own = recurrence.newest_cases(problem, staff=make_staff("lead", team=make_team(shop.brand)), now=now)

    assert [case.brand_id for case in everywhere] == [other.id, *[shop.brand.id] * 4]
    assert [case.opened_at.date() for case in own] == [TODAY - timedelta(days=days) for days in range(5)]
