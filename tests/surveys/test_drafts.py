"""Editing a draft in plain forms: faults at their field, what was typed kept, nobody overwritten unseen."""

from __future__ import annotations

import re
from typing import Any

import pytest
from flask import Flask
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from werkzeug.test import TestResponse

from core.db import db
from core.events import Event
from surveys import changes, definition, drafting, library, versions
from surveys.kinds.reading import Fault
from surveys.models import Survey, SurveyVersion
from tests.client import Client
from tests.factories import make_brand, make_staff, make_survey, make_team

URL = "/surveys/nps_after_contact/draft"


@pytest.fixture
def survey(app: Flask) -> Survey:
    return make_survey(make_brand(name="Northwind Outdoor"))


@pytest.fixture
def marketer(client: Client, survey: Survey) -> Client:
    client.sign_in(make_staff("marketer", name="Marta Weiss"))
    return client


def filled(page: str) -> dict[str, str]:
    """Return what a browser would send of the form, as it stands."""
    form = page.partition('<form class="stack loose"')[2].partition("</form>")[0]
    found = dict(re.findall(r'<input[^>]* name="([^"]+)"[^>]* value="([^"]*)"', form.replace(' type="checkbox"', "")))
    found |= dict(re.findall(r'<textarea[^>]* name="([^"]+)"[^>]*>([^<]*)</textarea>', form))
    for name, inner in re.findall(r'<select name="([^"]+)"[^>]*>(.*?)</select>', form, re.DOTALL):
        chosen = re.search(r'<option value="([^"]*)" selected', inner)
        found[name] = chosen[1] if chosen else ""
    if 'name="required" value="yes">' in form:
        found.pop("required", None)
    return found


def change(client: Client, question: str = "nps", **more: str) -> TestResponse:
    """Open the form of a question, change some fields as a person would, and send it."""
    form = filled(client.get(f"{URL}?question={question}").text)
    return client.post(URL, data=form | {name.replace("__", "."): value for name, value in more.items()})


def draft() -> dict[str, Any] | None:
    return db.session.scalar(select(SurveyVersion.definition).where(SurveyVersion.published_at.is_(None)))


def test_looking_makes_no_draft_and_saving_without_a_change_keeps_every_text(marketer: Client, survey: Survey) -> None:
    before = versions.current(survey.id).definition

    for question in before["questions"]:
        assert marketer.get(f"{URL}?question={question['key']}").status_code == 200
    assert draft() is None
    for question in before["questions"]:
        assert change(marketer, question["key"]).status_code == 303

    assert draft() == before


def test_a_text_is_changed_in_each_language_and_the_published_one_stays(marketer: Client, survey: Survey) -> None:
    saved = change(marketer, text__en="Would you tell a friend about {brand}?", low__ar="أبدًا")

    assert saved.status_code == 303
    now = draft()
    assert now is not None
    assert now["questions"][0]["text"]["en"] == "Would you tell a friend about {brand}?"
    assert now["questions"][0]["low"]["ar"] == "أبدًا"
    assert versions.current(survey.id).definition["questions"][0]["text"]["en"].startswith("How likely")


def test_required_band_and_limit_are_set(marketer: Client) -> None:
    change(marketer, "nps", threshold="4")
    change(marketer, "comment_top", when="", required="yes")

    now = draft()
    assert now is not None
    assert now["opens_case_at"] == 4
    assert "show_when" not in now["questions"][5]
    assert now["questions"][5]["required"] is True


@pytest.mark.parametrize(
    ("question", "fields", "name", "words"),
    [
        ("nps", {"text__de": ""}, "text.de", "This has no text yet."),
        ("nps", {"text__en": "Hello {name}"}, "text.en", "which we don&#39;t know"),
        ("nps", {"low__ar": " "}, "low.ar", "This has no text yet."),
        ("nps", {"name": ""}, "name", "up to 120 characters"),
        ("nps", {"threshold": "11"}, "threshold", "is a score from 0 to 10"),
        ("nps", {"text__en": "x" * 2001}, "text.en", "longer than 2000"),
        ("comment", {"max_length": "many"}, "max_length", "is a whole number"),
        ("why", {"choices__cut_off__de": ""}, "choices.cut_off.de", "This has no text yet."),
        ("why", {"choices__+__en": "Too loud"}, "choices.too_loud.de", "This has no text yet."),
    ],
)
def test_a_fault_stands_at_its_field_and_what_was_typed_is_kept(
    marketer: Client, question: str, fields: dict[str, str], name: str, words: str
) -> None:
    page = change(marketer, question, **{**fields, "hint__en": "A typed hint"})

    assert page.status_code == 422
    assert f'href="#{name}"' in page.text
    assert f'id="{name}-e">' in page.text
    assert words in page.text
    assert "A typed hint" in page.text
    assert draft() is None


def test_a_choice_is_added_corrected_and_taken_out(marketer: Client) -> None:
    refused = change(marketer, "why", **{"choices__+__en": "Too loud"})
    form = filled(refused.text) | {"choices.too_loud.de": "Zu laut", "choices.too_loud.ar": "صاخب جدًا"}
    form |= {f"choices.cut_off.{code}": "" for code in ("en", "de", "ar")}

    assert marketer.post(URL, data=form).status_code == 303

    now = draft()
    assert now is not None
    codes = [choice["code"] for choice in now["questions"][1]["choices"]]
    assert codes == ["late_or_damaged", "repeat_myself", "not_solved", "other", "too_loud"]


def test_questions_are_moved_added_and_taken_out(marketer: Client) -> None:
    change(marketer, "comment", act="up")
    added = change(marketer, act="add", ready="sources")
    change(marketer, "comment_mid", act="remove")

    assert added.headers["Location"].endswith("question=sources")
    now = draft()
    assert now is not None
    assert [each["key"] for each in now["questions"]] == ["nps", "comment", "why", "contact", "comment_top", "sources"]


def test_a_follow_up_cannot_go_before_the_score_it_hangs_on(marketer: Client) -> None:
    page = change(marketer, "why", act="up")

    assert page.status_code == 422
    assert "no scored question stands before it" in page.text
    assert draft() is None


@pytest.mark.parametrize("ready", library.ready_names())
def test_every_ready_question_can_be_added(marketer: Client, ready: str) -> None:
    assert change(marketer, act="add", ready=ready).status_code == 303


def test_who_saves_upon_an_older_state_sees_both_and_decides(marketer: Client, survey: Survey) -> None:
    old = filled(marketer.get(URL).text)
    other = marketer.application.test_client()
    assert isinstance(other, Client)
    other.sign_in(make_staff("marketer", name="Ana Silva"))
    change(other, text__en="Ana’s words?")

    page = marketer.post(URL, data=old | {"text.en": "Marta’s words?"})

    assert page.status_code == 409
    assert "Ana Silva saved this draft meanwhile" in page.text
    assert "Ana’s words?" in page.text and "Marta’s words?" in page.text
    now = draft()
    assert now is not None and now["questions"][0]["text"]["en"] == "Ana’s words?"
    assert marketer.post(URL, data=filled(page.text)).status_code == 303
    now = draft()
    assert now is not None and now["questions"][0]["text"]["en"] == "Marta’s words?"


def test_a_question_that_somebody_took_out_meanwhile_is_told(marketer: Client) -> None:
    old = filled(marketer.get(f"{URL}?question=why").text)
    change(marketer, "why", act="remove")

    assert marketer.post(URL, data=old).status_code == 422
    assert marketer.get(f"{URL}?question=nothing").status_code == 422


def test_the_changes_are_told_before_they_are_published_and_a_new_wording_starts_a_trend(
    marketer: Client, survey: Survey
) -> None:
    change(marketer, text__en="Would you tell a friend about {brand}?", threshold="5")
    page = marketer.get("/surveys/nps_after_contact?version=2").text
    stamp = re.findall(r'name="stamp" value="([^"]+)"', page)[0]

    published = marketer.post("/surveys/nps_after_contact/publish", data={"stamp": stamp})

    assert "reads differently in English" in page
    assert page.count("Starts a new trend") == 1
    assert "A case opens at 5 or less" in page
    assert published.status_code == 303
    assert versions.current(survey.id).number == 2
    event = db.session.scalars(select(Event).where(Event.kind == "survey.published").order_by(Event.id)).all()[-1]
    assert event.data["reworded"] == ["nps"]


def test_a_draft_that_was_saved_since_is_not_published_unseen(marketer: Client, survey: Survey) -> None:
    change(marketer, text__en="One?")
    page = marketer.get("/surveys/nps_after_contact?version=2").text
    stamp = re.findall(r'name="stamp" value="([^"]+)"', page)[0]
    change(marketer, text__en="Two?")

    marketer.post("/surveys/nps_after_contact/publish", data={"stamp": stamp})

    assert versions.current(survey.id).number == 1


def test_without_a_draft_there_is_nothing_to_publish_or_discard(marketer: Client) -> None:
    assert marketer.post("/surveys/nps_after_contact/publish").status_code == 409
    assert marketer.post(f"{URL}/discard").status_code == 409


def test_a_draft_is_discarded_and_begun_anew(marketer: Client) -> None:
    change(marketer, text__en="One?")
    assert marketer.post(f"{URL}/discard").status_code == 303
    assert draft() is None

    assert change(marketer, text__en="Two?").status_code == 303


@pytest.mark.parametrize("role", ["analyst", "lead", "agent"])
def test_who_may_not_edit_does_not(client: Client, survey: Survey, role: str) -> None:
    client.sign_in(make_staff(role))

    assert client.get(URL).status_code == 403
    assert client.post(URL).status_code == 403
    assert client.post("/surveys/nps_after_contact/publish").status_code == 403


def test_a_team_of_another_brand_edits_nothing(client: Client, survey: Survey) -> None:
    client.sign_in(make_staff("marketer", team=make_team(make_brand())))

    assert client.get(URL).status_code == 404
    assert client.post(URL).status_code == 404


TYPED = st.dictionaries(
    st.one_of(
        st.sampled_from(
            ["text.en", "low.de", "name", "threshold", "when", "max_length", "act", "ready", "choices.+.en", "required"]
        ),
        st.text(max_size=20),
    ),
    st.one_of(st.sampled_from(["", "low", "add", "remove", "up", "-1", "١", "9" * 40]), st.text(max_size=40)),
    max_size=8,
)


@given(question=st.sampled_from(["nps", "why", "comment", "contact", "x"]), typed=TYPED)
@settings(max_examples=40)
def test_nothing_that_is_typed_breaks_the_editor(marketer: Client, question: str, typed: dict[str, str]) -> None:
    stamp = re.findall(r'name="stamp" value="([^"]+)"', marketer.get(URL).text)[0]
    body = {name.encode("utf-8", "replace").decode(): value.encode("utf-8", "replace") for name, value in typed.items()}

    answer = marketer.post(URL, data={**body, "stamp": stamp, "question": question})

    assert answer.status_code in (303, 422)


def test_a_language_is_to_be_checked_once_its_source_changed() -> None:
    before = library.survey("delivery")
    data = before.to_json()
    data["questions"][0]["text"] = {**data["questions"][0]["text"], "en": "New?", "de": "Neu?"}
    after = definition.parse(data)

    assert drafting.to_check(before, after.questions[0], after.languages) == {"ar"}
    assert drafting.to_check(None, after.questions[0], after.languages) == set()
    assert [each.breaks for each in changes.between(before, after)] == [True, True]


def test_faults_find_their_fields() -> None:
    data = library.survey("nps_after_contact").to_json()

    assert drafting.field_of(Fault("questions[1].choices[0].text.ar", ""), data, "why") == "choices.cut_off.ar"
    assert drafting.field_of(Fault("questions[1].show_when", ""), data, "why") == "when"
    assert drafting.field_of(Fault("questions[2].text.ar", ""), data, "why") == ""
    assert drafting.field_of(Fault("opens_case_at", ""), data, "nps") == "threshold"


def test_the_editor_tells_who_saved(marketer: Client) -> None:
    change(marketer, text__en="One?")

    assert "by Marta Weiss" in marketer.get(URL).text
