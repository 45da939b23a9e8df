"""Touchpoints and their invitation rules: saved, refused with the way out, tried on what happened; nothing is sent."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from accounts.models import Staff
from core import clock
from core.db import db
from core.events import Event
from customers.models import Consent, Touchpoint
from surveys import foreseeing, versions
from surveys.models import Decision, Invitation, InvitationRule
from surveys.rules import Reason
from tests.client import Client, count_queries
from tests.factories import (
    make_brand,
    make_case,
    make_customer,
    make_interaction,
    make_programme,
    make_rule,
    make_staff,
    make_survey,
    make_team,
    make_touchpoint,
)
from tests.settings_pages import fields, words


@pytest.fixture
def boss(client: Client) -> Staff:
    boss = make_staff("admin", name="Bo Berg")
    client.sign_in(boss)
    return boss


@pytest.fixture
def touchpoint(app: Flask) -> Touchpoint:
    touchpoint = make_touchpoint()
    make_survey(touchpoint.brand)
    return touchpoint


def page_of(touchpoint: Touchpoint) -> str:
    return f"/settings/touchpoints/{touchpoint.key}"


def rule_form(client: Client, touchpoint: Touchpoint, **typed: Any) -> dict[str, Any]:
    page = page_of(touchpoint)
    return fields(client, page, f"{page}/rule") | {f"rule-{name}": value for name, value in typed.items()}


def post_rule(client: Client, touchpoint: Touchpoint, **typed: Any) -> Any:
    return client.post(f"{page_of(touchpoint)}/rule", data=rule_form(client, touchpoint, **typed))


def the_rule() -> InvitationRule:
    return db.session.scalars(select(InvitationRule)).one()


# The touchpoint


def test_leads_read_what_others_change(client: Client, touchpoint: Touchpoint) -> None:
    make_rule(touchpoint)
    client.sign_in(make_staff("lead"))

    read = client.get(page_of(touchpoint))

    assert "An administrator can change" in read.text
    assert "Save the rule" not in read.text
    for path in (page_of(touchpoint), f"{page_of(touchpoint)}/rule", f"{page_of(touchpoint)}/use"):
        assert client.post(path).status_code == 403


def test_a_marketer_sets_the_rule_of_a_touchpoint_and_leaves_the_touchpoint_alone(
    client: Client, touchpoint: Touchpoint
) -> None:
    make_rule(touchpoint)
    client.sign_in(make_staff("marketer"))

    page = client.get(page_of(touchpoint)).text
    saved = post_rule(client, touchpoint, sample_percent="50")

    assert "Save the rule" in page
    assert "Save the touchpoint" not in page
    assert (saved.status_code, the_rule().sample_percent) == (302, 50)
    for path in (page_of(touchpoint), f"{page_of(touchpoint)}/use"):
        assert client.post(path).status_code == 403


def test_a_touchpoint_is_added_and_keeps_its_key(client: Client, boss: Staff, touchpoint: Touchpoint) -> None:
    form = fields(client, "/settings/touchpoints?new=1", "/settings/touchpoints")
    typed = {"key": "call-centre", "name": "Calls", "icon": "phone", "phrase_en": "your call", "phrase_ar": "مكالمتك"}

    made = client.post("/settings/touchpoints", data=form | typed | {"stage": touchpoint.stage.key})

    assert made.headers["Location"] == "/settings/touchpoints/call-centre"
    calls = db.session.scalars(select(Touchpoint).where(Touchpoint.key == "call-centre")).one()
    assert (calls.phrases, calls.brand_id) == ({"en": "your call", "ar": "مكالمتك"}, touchpoint.brand_id)
    assert "key" not in fields(client, "/settings/touchpoints/call-centre")


@pytest.mark.parametrize(
    ("typed", "field", "way_out"),
    [
        ({"key": "Call Centre"}, "key", "small letters"),
        ({"key": ""}, "key", "Give it a short name"),
        ({"key": "taken"}, "key", "has this short name already"),
        ({"name": ""}, "name", "Give it a name"),
        ({"icon": "skull"}, "icon", "valid choice"),
        ({"phrase_en": ""}, "phrase_en", "Say what customers call it"),
        ({"phrase_de": "<b>" * 30}, "phrase_de", "at most 80"),
        ({"stage": "nowhere"}, "stage", "valid choice"),
    ],
)
def test_a_touchpoint_that_does_not_fit_is_refused_at_its_field(
    client: Client, boss: Staff, typed: dict[str, str], field: str, way_out: str
) -> None:
    make_touchpoint(key="taken")
    form = fields(client, "/settings/touchpoints?new=1", "/settings/touchpoints")
    sound = {"key": "calls", "name": "Kept as typed", "phrase_en": "your call"}

    refused = client.post("/settings/touchpoints", data=form | sound | typed)

    assert refused.status_code in {409, 422}
    assert way_out in words(refused.text)
    assert f'id="{field}-e"' in refused.text
    assert "Kept as typed" in refused.text or "name" in typed
    assert db.session.scalar(select(func.count()).select_from(Touchpoint)) == 1


def test_two_people_who_edit_a_touchpoint_see_both_versions(
    app: Flask, client: Client, boss: Staff, touchpoint: Touchpoint
) -> None:
    page, hers = page_of(touchpoint), app.test_client()
    hers.sign_in(make_staff("admin", name="Ana Lima"))
    mine = fields(client, page)

    hers.post(page, data=fields(hers, page) | {"name": "Hotline"})
    conflict = client.post(page, data=mine | {"name": "Phone"})

    assert conflict.status_code == 409
    assert "Ana Lima saved this" in words(conflict.text)
    assert "Name Hotline Phone" in words(conflict.text)
    assert touchpoint.name == "Hotline"


def test_archiving_and_taking_back(client: Client, boss: Staff, touchpoint: Touchpoint) -> None:
    client.post(f"{page_of(touchpoint)}/use", data={"act": "archive"})
    assert touchpoint.archived_at is not None
    client.post(f"/settings/journey/{touchpoint.stage.key}/place", data={"act": "archive"})

    client.post(f"{page_of(touchpoint)}/use", data={"act": "take_back"})

    assert touchpoint.archived_at is None
    assert touchpoint.stage.archived_at is None


def test_a_team_of_one_brand_finds_its_own_touchpoints_alone(client: Client, touchpoint: Touchpoint) -> None:
    client.sign_in(make_staff("admin", team=make_team(make_brand())))

    assert client.get(page_of(touchpoint)).status_code == 404
    assert client.post(f"{page_of(touchpoint)}/rule").status_code == 404


# The rule


def test_a_rule_is_made_and_changed_with_events(client: Client, boss: Staff, touchpoint: Touchpoint) -> None:
    thanks = make_programme(touchpoint.brand)
    made = post_rule(client, touchpoint, sample_percent="70", delay_minutes="1440")
    changed = post_rule(
        client, touchpoint, programme=thanks.key, needs_consent="yes", status="started", tiers="Gold, Summit"
    )

    assert (made.status_code, changed.status_code) == (302, 302)
    rule = the_rule()
    assert (rule.sample_percent, rule.delay_minutes, rule.needs_consent, rule.active) == (70, 1440, True, True)
    assert rule.programme_id == thanks.id
    assert rule.conditions == {
        "all": [
            {"field": "status", "op": "==", "value": "started"},
            {"field": "tier", "op": "in", "value": ["Gold", "Summit"]},
        ]
    }
    kinds = db.session.scalars(select(Event.kind).where(Event.kind.like("rule.%")).order_by(Event.id)).all()
    assert kinds == ["rule.created", "rule.changed"]


def test_a_rule_shows_again_what_was_saved(client: Client, boss: Staff, touchpoint: Touchpoint) -> None:
    typed = {
        "channels": "phone, chat",
        "languages": ["de"],
        "profiles": ["detractor"],
        "value_from": "50",
        "value_to": "80.50",
    }
    post_rule(client, touchpoint, **typed)

    form = rule_form(client, touchpoint)

    assert (form["rule-channels"], form["rule-languages"], form["rule-profiles"]) == (
        ["phone, chat"],
        ["de"],
        ["detractor"],
    )
    assert post_rule(client, touchpoint).status_code == 302
    asked = {(part["field"], part["op"]): part["value"] for part in the_rule().conditions["all"]}
    assert (asked["value_minor", ">="], asked["value_minor", "<="], asked["currency", "=="]) == (5000, 8050, "EUR")


@pytest.mark.parametrize(
    ("typed", "field", "way_out"),
    [
        ({"sample_percent": "0"}, "sample_percent", "Ask at least 1 %, or switch the rule off"),
        ({"sample_percent": "101"}, "sample_percent", "a number from 1 to 100"),
        ({"expires_days": "1", "delay_minutes": "2880"}, "expires_days", "at least 3 days, or wait less"),
        ({"expires_days": "0"}, "expires_days", "from 1 to 3650"),
        ({"value_from": "80", "value_to": "50"}, "value_to", "Swap the two"),
        ({"value_from": "much"}, "value_from", "amount"),
        ({"survey": "nothing"}, "survey", "valid choice"),
        ({"quarantine_days": ""}, "quarantine_days", "from 0 to 3650"),
    ],
)
def test_a_rule_that_can_never_invite_is_refused_at_its_field_and_kept(
    client: Client, boss: Staff, touchpoint: Touchpoint, typed: dict[str, str], field: str, way_out: str
) -> None:
    refused = post_rule(client, touchpoint, tiers="Kept as typed", **typed)

    assert refused.status_code == 422
    assert way_out in words(refused.text)
    assert f'id="rule-{field}-e"' in refused.text
    assert "Kept as typed" in refused.text
    assert db.session.scalars(select(InvitationRule)).all() == []


def test_a_survey_that_is_not_published_is_refused_until_the_rule_is_off(
    client: Client, boss: Staff, touchpoint: Touchpoint
) -> None:
    published = versions.current(make_survey(touchpoint.brand).id)
    draft = {**published.definition, "key": "drafted", "name": "Drafted"}
    versions.create(draft, brand=touchpoint.brand, by="system", now=clock.now())

    refused = post_rule(client, touchpoint, survey="drafted")
    off = rule_form(client, touchpoint, survey="drafted")
    off.pop("rule-active")
    waiting = client.post(f"{page_of(touchpoint)}/rule", data=off)

    assert refused.status_code == 422
    assert "Publish it first, or choose another" in words(refused.text)
    assert 'id="rule-survey-e"' in refused.text
    assert waiting.status_code == 302
    assert not the_rule().active


def test_an_archived_survey_is_refused(client: Client, boss: Staff, touchpoint: Touchpoint) -> None:
    rule = make_rule(touchpoint)
    rule.survey.archived_at = clock.now()

    refused = post_rule(client, touchpoint, sample_percent="50")

    assert refused.status_code == 422
    assert "This survey is archived" in words(refused.text)


def test_conditions_that_cannot_hold_together_are_refused(client: Client, boss: Staff, touchpoint: Touchpoint) -> None:
    parts = [{"field": "status", "op": "==", "value": "started"}, {"field": "status", "op": "==", "value": "completed"}]
    make_rule(touchpoint, conditions={"all": [*parts, {"field": "attributes.vip", "op": "is_set"}]})

    refused = post_rule(client, touchpoint, sample_percent="50")

    assert refused.status_code == 422
    assert "No interaction can meet these conditions at once" in words(refused.text)


def test_conditions_that_the_page_cannot_say_are_shown_and_kept(
    client: Client, boss: Staff, touchpoint: Touchpoint
) -> None:
    tree = {"any": [{"field": "attributes.vip", "op": "is_set"}, {"field": "tier", "op": "==", "value": "Gold"}]}
    make_rule(touchpoint, conditions=tree)

    shown = client.get(page_of(touchpoint)).text
    post_rule(client, touchpoint, sample_percent="50")

    assert "attributes.vip is_set" in words(shown)
    assert (the_rule().conditions, the_rule().sample_percent) == (tree, 50)


def test_two_people_who_edit_a_rule_see_both_versions(
    app: Flask, client: Client, boss: Staff, touchpoint: Touchpoint
) -> None:
    make_rule(touchpoint)
    hers = app.test_client()
    hers.sign_in(make_staff("admin", name="Ana Lima"))
    mine = rule_form(client, touchpoint, sample_percent="30")

    post_rule(hers, touchpoint, sample_percent="60")
    conflict = client.post(f"{page_of(touchpoint)}/rule", data=mine)

    assert conflict.status_code == 409
    assert "Ana Lima saved this" in words(conflict.text)
    assert "Share of them 60 30" in words(conflict.text)
    assert the_rule().sample_percent == 60


# What it would have done


def test_the_preview_says_whom_the_rule_would_have_invited_and_writes_nothing(
    client: Client, boss: Staff, touchpoint: Touchpoint
) -> None:
    twice, refuses = make_customer(), make_customer(survey_consent=Consent.WITHDRAWN)
    for customer in (twice, twice, refuses, None):
        make_interaction(touchpoint, customer, occurred_at=clock.now() - timedelta(days=3), received_at=clock.now())

    shown = client.post(f"{page_of(touchpoint)}/rule", data=rule_form(client, touchpoint) | {"preview": "1"})

    said = words(shown.text)
    assert shown.status_code == 200
    assert "not saved yet" in said
    assert "Of the last 4 interactions here this rule would have invited 1 ." in said
    assert "the customer had been asked lately 1" in said
    assert "did not agree to surveys 1" in said
    assert "we did not know the customer 1" in said
    for table in (InvitationRule, Decision, Invitation):
        assert db.session.scalar(select(func.count()).select_from(table)) == 0


def test_the_preview_asks_about_what_was_left_half_done(client: Client, boss: Staff, touchpoint: Touchpoint) -> None:
    for status in ("started", "completed", "completed"):
        make_interaction(touchpoint, make_customer(), status=status)

    def invited(status: str) -> str:
        form = rule_form(client, touchpoint, status=status) | {"preview": "1"}
        return words(client.post(f"{page_of(touchpoint)}/rule", data=form).text)

    assert "would have invited 1 ." in invited("started")
    assert "would have invited 2 ." in invited("completed")
    assert "would have invited 3 ." in invited("")
    assert "1 of them was left half-done" in invited("")


def test_each_interaction_is_judged_as_of_its_own_day(touchpoint: Touchpoint) -> None:
    rule, day = make_rule(touchpoint, quarantine_days=30), timedelta(days=1)
    hurt, often, now = make_customer(), make_customer(), clock.now()
    make_case(touchpoint.brand, customer=hurt, now=now - 10 * day)
    for customer, ago in ((hurt, 20), (hurt, 5), (often, 200), (often, 190), (often, 100)):
        at = now - ago * day
        make_interaction(touchpoint, customer, occurred_at=at, received_at=at)
    db.session.flush()

    foreseen = foreseeing.foresee(rule, touchpoint, version_id=versions.current(rule.survey_id).id)

    assert (foreseen.looked_at, foreseen.invited) == (5, 3)
    assert dict(foreseen.skipped) == {Reason.OPEN_CASE: 1, Reason.QUARANTINE: 1}


@pytest.mark.parametrize("many", [1, 3])
def test_the_preview_takes_four_statements_however_many_there_are(touchpoint: Touchpoint, many: int) -> None:
    rule = make_rule(touchpoint)
    for _number in range(many):
        make_interaction(touchpoint, make_customer())
    db.session.commit()

    with count_queries() as queries:
        foreseeing.foresee(rule, touchpoint, version_id=1)

    assert queries.count == 4, queries
