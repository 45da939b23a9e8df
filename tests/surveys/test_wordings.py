"""Two wordings of a scored question: where a trend breaks, and who may say that they ask the same."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from core import clock
from core.db import db
from core.events import Event
from surveys import versions, wordings
from surveys.models import Equivalence, Survey, SurveyVersion
from surveys.scoring import Metric
from tests.client import Client
from tests.factories import make_brand, make_staff, make_survey, make_team

NEWER = "Would you tell a friend about {brand}?"
PATH = "/surveys/nps_after_contact/versions/2/wordings/nps"


@pytest.fixture
def survey(app: Flask) -> Survey:
    return make_survey(make_brand(name="Northwind Outdoor"))


def reword(survey: Survey, text: str | None = NEWER) -> SurveyVersion:
    """Publish a version with other words for the score, or (None) only for the question after it."""
    data: dict[str, Any] = versions.current(survey.id).definition
    questions = [dict(question) for question in data["questions"]]
    changed = questions[0] if text else questions[1]
    changed["text"] = {**changed["text"], "en": text or "What was it?"}
    versions.draft(survey, {**data, "questions": questions}, by="system", now=clock.now())
    version = versions.publish(survey, by="system", now=clock.now())
    db.session.commit()
    return version


def kinds() -> list[str]:
    return list(db.session.scalars(select(Event.kind).where(Event.kind.like("wording.%")).order_by(Event.id)))


def test_an_analyst_reads_both_wordings_and_declares_them_equivalent(client: Client, survey: Survey) -> None:
    version = reword(survey)
    analyst = make_staff("analyst", name="Ines Carvalho")
    client.sign_in(analyst)

    before = client.get("/surveys/nps_after_contact?version=2").text
    answer = client.post(PATH, data={"nps-why": "Friend stands for friend or colleague."})
    after = client.get("/surveys/nps_after_contact?version=2").text

    assert "Would you tell a friend about Northwind Outdoor?" in before
    assert "Starts a new trend" in before
    assert answer.status_code == 303
    assert "Declared equivalent" in after
    assert "Friend stands for friend or colleague." in after
    assert "Ines Carvalho" in after
    kept = db.session.scalars(select(Equivalence)).one()
    assert (kept.version_id, kept.metric, kept.declared_by) == (version.id, "nps", f"staff:{analyst.id}")
    assert kinds() == ["wording.declared_equivalent"]


def test_without_a_reason_nothing_is_declared_and_the_field_says_so(client: Client, survey: Survey) -> None:
    reword(survey)
    client.sign_in(make_staff("marketer"))

    answer = client.post(PATH, data={"nps-why": "   "})

    assert answer.status_code == 422
    assert "Say in a few words what makes them the same" in answer.text
    assert 'href="#nps-why"' in answer.text
    assert db.session.scalars(select(Equivalence)).all() == []


def test_a_reason_that_is_too_long_is_kept_in_the_form(client: Client, survey: Survey) -> None:
    reword(survey)
    client.sign_in(make_staff("marketer"))

    answer = client.post(PATH, data={"nps-why": "same " * 101})

    assert answer.status_code == 422
    assert "longer than 500 characters" in answer.text
    assert "same same same" in answer.text


def test_withdrawn_the_trend_breaks_again_and_can_be_declared_anew(client: Client, survey: Survey) -> None:
    reword(survey)
    client.sign_in(make_staff("analyst"))
    client.post(PATH, data={"nps-why": "The same."})

    client.post(f"{PATH}/withdrawal")
    again = client.post(f"{PATH}/withdrawal")
    client.post(PATH, data={"nps-why": "The same after all."})

    assert again.status_code == 409
    found = db.session.scalars(select(Equivalence).order_by(Equivalence.id)).all()
    assert [(each.why, each.withdrawn_at is None) for each in found] == [
        ("The same.", False),
        ("The same after all.", True),
    ]
    assert kinds() == [
        "wording.declared_equivalent",
        "wording.equivalence_withdrawn",
        "wording.declared_equivalent",
    ]


def test_declared_twice_the_first_word_stands(client: Client, survey: Survey) -> None:
    reword(survey)
    client.sign_in(make_staff("analyst"))

    for why in ("First.", "Second."):
        assert client.post(PATH, data={"nps-why": why}).status_code == 303

    assert db.session.scalars(select(Equivalence)).one().why == "First."
    assert kinds() == ["wording.declared_equivalent"]


@pytest.mark.parametrize("path", [PATH, "/surveys/nps_after_contact/versions/1/wordings/nps"])
def test_the_same_words_need_no_declaration(client: Client, survey: Survey, path: str) -> None:
    reword(survey, None)
    client.sign_in(make_staff("analyst"))

    assert client.post(path, data={"nps-why": "The same."}).status_code == 409
    assert "New wording" not in client.get("/surveys/nps_after_contact?version=2").text


def test_nobody_else_declares(client: Client, survey: Survey) -> None:
    reword(survey)

    client.sign_in(make_staff("lead"))
    lead = client.post(PATH, data={"nps-why": "The same."})
    page = client.get("/surveys/nps_after_contact?version=2").text
    client.sign_in(make_staff("marketer", team=make_team(make_brand())))
    stranger = client.post(PATH, data={"nps-why": "The same."})

    assert (lead.status_code, stranger.status_code) == (403, 404)
    assert "Starts a new trend" in page
    assert "Declare both wordings equivalent" not in page
    assert db.session.scalars(select(Equivalence)).all() == []


def test_only_the_score_whose_words_changed_is_reworded(survey: Survey) -> None:
    assert wordings.reworded(reword(survey)) == [Metric.NPS]
    assert wordings.reworded(reword(survey, None)) == []
