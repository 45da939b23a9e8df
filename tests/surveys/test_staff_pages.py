"""What staff see of surveys."""

from __future__ import annotations

import pytest
from flask import Flask

from core import clock
from core.db import db
from surveys import library, versions
from surveys.models import Survey
from tests.client import Client, count_queries
from tests.factories import make_brand, make_rule, make_staff, make_survey, make_team, make_touchpoint


@pytest.fixture
def survey(app: Flask) -> Survey:
    return make_survey(make_brand(name="Northwind Outdoor"))


def test_the_list_shows_version_and_open_link(client: Client, survey: Survey) -> None:
    rule = make_rule(make_touchpoint(survey.brand), survey)
    client.sign_in(make_staff("marketer"))

    page = client.get("/surveys").text

    assert "Recommendation after a contact" in page
    assert "Version 1 is live" in page
    assert f"/t/{rule.touchpoint.key}" in page


def test_the_list_costs_the_same_at_one_and_at_three(client: Client, survey: Survey) -> None:
    client.sign_in(make_staff("marketer"))
    client.get("/surveys")
    counts = []
    for turn in range(2):
        with count_queries() as queries:
            assert client.get("/surveys").status_code == 200
        counts.append(queries.count)
        for number in range(2):
            data = {**library.survey("nps_after_contact").to_json(), "key": f"another_{turn}_{number}"}
            other = versions.create(data, brand=survey.brand, by="system", now=clock.now())
            make_rule(make_touchpoint(survey.brand), other)
        db.session.commit()

    assert counts[0] == counts[1]


@pytest.mark.parametrize("language", ["en", "de", "ar"])
def test_a_version_reads_in_every_language_with_its_preview(client: Client, survey: Survey, language: str) -> None:
    client.sign_in(make_staff("analyst"))

    page = client.get(f"/surveys/{survey.key}?language={language}&score=2")
    preview = client.get(f"/surveys/{survey.key}/preview?version=1&lang={language}&score=2")

    assert page.status_code == 200
    assert "frame-src 'self'" in page.headers["Content-Security-Policy"]
    assert "If 0 to 6" in page.text
    assert preview.headers["X-Frame-Options"] == "SAMEORIGIN"
    assert f'<html lang="{language}"' in preview.text
    assert 'value="2" checked' in preview.text
    assert 'method="get"' in preview.text


@pytest.mark.parametrize("path", ["/surveys/nothing", "/surveys/%00", "/surveys/nps_after_contact?version=9"])
def test_a_survey_that_is_not_there_is_not_found(client: Client, survey: Survey, path: str) -> None:
    client.sign_in(make_staff("analyst"))

    assert client.get(path).status_code == 404


def test_a_team_of_another_brand_does_not_see_a_survey(client: Client, survey: Survey) -> None:
    stranger = make_staff("marketer", team=make_team(make_brand()))
    client.sign_in(stranger)

    assert client.get(f"/surveys/{survey.key}").status_code == 404
    assert survey.name not in client.get("/surveys").text


def test_a_stranger_is_sent_to_sign_in(client: Client, survey: Survey) -> None:
    assert client.get("/surveys").status_code == 302
