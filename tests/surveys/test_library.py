"""The library: every survey whole in every language, its page light, and taken up as a draft."""

from __future__ import annotations

import gzip
import re
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from core import clock, i18n, outbox
from core.db import db
from feedback.models import Case
from notifications.models import MailboxMessage
from surveys import definition, invitations, library, versions
from surveys.kinds.choices import SOURCES
from surveys.kinds.contact import Contact
from surveys.library import UnknownTemplate
from surveys.models import Response, Survey
from tests.client import Client, count_queries
from tests.factories import (
    make_brand,
    make_customer,
    make_interaction,
    make_invitation,
    make_rule,
    make_staff,
    make_survey,
    make_team,
)
from tests.surveys.links import link

KEYS = sorted(library.templates())
LIMIT = 14 * 1024
ARABIC = re.compile(r"[\u0600-\u06ff]")


def test_every_stage_has_a_survey_and_there_are_enough() -> None:
    assert len(KEYS) >= 15
    assert {each.stage for each in library.templates().values()} == set(library.STAGES)
    assert {each.asked.main.metric for each in library.templates().values() if each.asked.main} == {
        "nps",
        "csat",
        "ces",
    }


@pytest.mark.parametrize("key", KEYS)
def test_a_survey_of_the_library_is_whole(key: str) -> None:
    template = library.template(key)

    asked = template.asked
    assert asked.key == key
    assert set(asked.languages) == set(i18n.LANGUAGES) == set(template.purpose)
    assert re.search(r"\(\d{4}\)|ISO \d+:\d{4}", template.source)
    assert asked.main is not None and asked.opens_case_at is not None and asked.main.required
    assert asked.main.band(asked.opens_case_at) == "low"
    assert any(isinstance(each, Contact) for each in asked.questions)
    assert asked.seconds <= 90
    assert definition.parse(asked.to_json()) == asked


@pytest.mark.parametrize("key", KEYS)
def test_no_text_of_the_library_was_forgotten_in_translation(key: str) -> None:
    template = library.template(key)

    for texts in [dict(template.purpose), *texts_of(template.asked.to_json()["questions"])]:
        assert ARABIC.search(texts["ar"]), texts
        assert not ARABIC.search(texts["en"] + texts["de"]), texts
        assert texts["en"] != texts["de"] or len(texts["en"]) < 10, texts
        assert len({words.count("{brand}") for words in texts.values()}) == 1, texts


def texts_of(part: Any) -> list[dict[str, str]]:
    if isinstance(part, list):
        return [each for one in part for each in texts_of(one)]
    if not isinstance(part, dict):
        return []
    return [part] if "en" in part else [each for one in part.values() for each in texts_of(one)]


@pytest.mark.parametrize("name", ["sources", "sources_missing"])
def test_the_six_sources_are_ready_as_driver_questions(name: str) -> None:
    question = library.ready_question(name, languages=("en", "ar"))

    assert [choice["code"] for choice in question["choices"]] == list(SOURCES)
    assert all(set(choice["text"]) == {"en", "ar"} for choice in question["choices"])


@pytest.mark.parametrize("key", ["", "../x", "nothing", "ready", "A"])
def test_what_is_not_in_the_library_is_unknown(key: str) -> None:
    with pytest.raises(UnknownTemplate):
        library.template(key)


@pytest.mark.parametrize("key", KEYS)
def test_a_page_of_the_library_costs_one_statement_and_stays_light(client: Client, key: str) -> None:
    brand = make_brand(phone="0800 555 0142", privacy_url="https://northwind.example/privacy")
    path = link(make_invitation(make_survey(brand, key), make_customer(phone="+494055504471")))
    for language in i18n.LANGUAGES:
        client.get(f"{path}?lang={language}")
        with count_queries() as queries:
            page = client.get(f"{path}?lang={language}")
        loaded = re.findall(r'(?:href|src)="(/(?:static|brand)/[^"]+)"', page.text)
        size = len(gzip.compress(page.data, 6))
        for each in loaded:
            with client.get(each) as file:
                size += len(gzip.compress(file.data, 6))

        assert queries.count == 1, list(queries)
        assert f'<html lang="{language}"' in page.text
        assert size <= LIMIT, (key, language, size)


@pytest.mark.parametrize(
    ("key", "sent", "asked", "not_asked", "cases"),
    [
        ("delivery", {"csat": "1"}, "why", "comment_mid", 1),
        ("delivery", {"csat": "3"}, "comment_mid", "why", 0),
        ("delivery", {"csat": "4"}, "sources", "comment_mid", 0),
        ("effort_after_contact", {"ces": "3"}, "why", "comment_top", 1),
        ("effort_after_contact", {"ces": "4"}, "comment_mid", "why", 0),
        ("effort_after_contact", {"ces": "5"}, "comment_top", "why", 0),
    ],
)
def test_follow_ups_hang_on_satisfaction_and_effort_too(
    client: Client, key: str, sent: dict[str, str], asked: str, not_asked: str, cases: int
) -> None:
    path = link(make_invitation(make_survey(key=key), make_customer()))

    assert client.post(path, data=sent).status_code == 303

    kept = db.session.scalars(select(Response)).one().answers
    assert asked in kept and not_asked not in kept
    assert len(db.session.scalars(select(Case)).all()) == cases


@pytest.mark.parametrize(("key", "marks"), [("delivery", 5), ("returns", 7), ("renewal", 11)])
def test_the_mail_shows_the_scale_of_its_survey(app: Flask, key: str, marks: int) -> None:
    rule = make_rule(survey=make_survey(key=key))
    invitations.decide([make_interaction(rule.touchpoint, make_customer())], now=clock.now())
    db.session.commit()

    outbox.drain("messages")

    mail = db.session.scalars(select(MailboxMessage)).one()
    assert len(re.findall(r'\?score=\d+"', mail.html)) == marks


def test_the_library_shows_every_survey_with_method_length_and_languages(client: Client) -> None:
    make_brand(name="Northwind Outdoor")
    client.sign_in(make_staff("marketer"))

    page = client.get("/surveys/library")

    assert page.status_code == 200
    for template in library.templates().values():
        assert template.asked.name in page.text
    assert page.text.count(">Use this survey</button>") == len(KEYS)
    assert page.text.count(">العربية</a>") == len(KEYS)
    assert "Reichheld, F. F. (2003)" in page.text


def test_an_analyst_looks_and_takes_nothing(client: Client) -> None:
    make_brand()
    client.sign_in(make_staff("analyst"))

    assert "Use this survey" not in client.get("/surveys/library").text
    assert client.post("/surveys/library/delivery/use").status_code == 403


@pytest.mark.parametrize("language", list(i18n.LANGUAGES))
@pytest.mark.parametrize("key", KEYS)
def test_a_survey_is_looked_at_in_each_language(client: Client, key: str, language: str) -> None:
    make_brand(name="Northwind Outdoor")
    client.sign_in(make_staff("analyst"))

    page = client.get(f"/surveys/library/{key}/preview?lang={language}")

    assert page.status_code == 200
    assert f'<html lang="{language}"' in page.text
    assert "{brand}" not in page.text
    assert page.headers["X-Frame-Options"] == "SAMEORIGIN"


def test_a_survey_is_taken_twice_under_two_keys_and_published(client: Client) -> None:
    brand = make_brand()
    client.sign_in(make_staff("marketer"))

    first = client.post("/surveys/library/delivery/use")
    client.post("/surveys/library/delivery/use", data={"brand": brand.key})

    assert first.headers["Location"].endswith("/surveys/delivery/draft")
    surveys = db.session.scalars(select(Survey).order_by(Survey.id)).all()
    assert [each.key for each in surveys] == ["delivery", "delivery_2"]
    assert versions.latest(surveys[0].id) is None
    assert "Publish version 1" in client.get("/surveys/delivery").text


@pytest.mark.parametrize("path", ["/surveys/library/nothing/use", "/surveys/library/..%2Fx/use"])
def test_what_is_not_there_is_not_taken(client: Client, path: str) -> None:
    make_brand()
    client.sign_in(make_staff("marketer"))

    assert client.post(path).status_code == 404
    assert client.post("/surveys/library/delivery/use", data={"brand": "nobody"}).status_code == 404


def test_a_team_of_one_brand_takes_a_survey_for_its_own_brand(client: Client) -> None:
    other, mine = make_brand(), make_brand()
    client.sign_in(make_staff("marketer", team=make_team(mine)))

    assert client.post("/surveys/library/delivery/use", data={"brand": other.key}).status_code == 404
    client.post("/surveys/library/delivery/use")

    assert db.session.scalars(select(Survey)).one().brand_id == mine.id
