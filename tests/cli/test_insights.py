"""bin/amends insights recount: counts that are gone come back, and a second time changes nothing."""

from __future__ import annotations

from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from flask import Flask
from sqlalchemy import func, select, text

from core import clock
from core.db import db
from insights import rollups
from insights.models import Invited, Met, Rollup
from surveys.models import Response, ResponseState
from tests.factories import make_brand, make_customer, make_interaction, make_invitation, make_survey, make_touchpoint


def recount(app: Flask, *arguments: str) -> tuple[int, str]:
    db.session.commit()
    result = app.test_cli_runner().invoke(args=["insights", "recount", *arguments])
    db.session.rollback()
    return result.exit_code, result.output


def counted() -> tuple[int, ...]:
    tables = (Rollup, Invited, Met)
    return tuple(int(db.session.scalar(select(func.coalesce(func.sum(each.count), 0))) or 0) for each in tables)


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Europe/Berlin", "Pacific/Honolulu"])
def test_counts_are_made_anew_from_the_rows_up_to_the_brands_own_today(app: Flask, zone: str) -> None:
    now = clock.now()
    place = make_touchpoint(make_brand(zone=zone))
    survey = make_survey(place.brand)
    invitation = make_invitation(survey, make_customer(tier="Summit"), touchpoint=place, created_at=now)
    make_interaction(place)
    row = {"survey_id": survey.id, "version_id": invitation.version_id, "brand_id": place.brand_id, "channel": "email"}
    row |= {"language": "en", "state": ResponseState.COMPLETE, "metric": "nps", "question": "nps", "score": 9}
    moments = {"answered_at": now, "received_at": now}
    db.session.add(Response(**row, **moments, invitation_id=invitation.id, scores={}, why=[], answers={"nps": 9}))
    db.session.flush()
    rollups.fold(now=now)
    day = (now.astimezone(ZoneInfo(zone)) - timedelta(days=1)).date().isoformat()
    recount(app, "--from", day)
    first = counted()
    for table in ("rollup", "rollup_invited", "rollup_interaction"):
        db.session.execute(text(f"DELETE FROM {table}"))

    code, said = recount(app, "--from", day)
    recount(app, "--from", day)

    assert code == 0
    assert said.startswith("Done: 2 days counted anew.")
    assert counted() == first
    assert min(first) > 0


def test_a_span_that_ends_before_it_begins_is_refused(app: Flask) -> None:
    code, said = recount(app, "--from", "2026-02-02", "--to", "2026-02-01")

    assert code == 2
    assert "It comes after --to." in said
