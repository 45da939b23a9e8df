"""Definitions: read with every fault named, written back as they were, and published versions that never change."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from flask import Flask

from core import clock
from core.db import db
from core.errors import NotFound
from surveys import definition, library, versions
from surveys.definition import BadDefinition
from surveys.versions import NothingToPublish
from tests.factories import make_brand, make_survey

NPS: dict[str, Any] = library.survey("nps_after_contact").to_json()


def changed(path: str, value: Any) -> dict[str, Any]:
    """Return the built-in definition with one member changed, or taken out for ...; `path` as questions.1.key."""
    data = copy.deepcopy(NPS)
    at: Any = data
    *steps, last = path.split(".")
    for step in steps:
        at = at[int(step)] if step.isdigit() else at[step]
    if value is ...:
        del at[last]
    else:
        at[last] = value
    return data


def test_a_definition_is_written_as_it_was_read() -> None:
    parsed = definition.parse(NPS)

    assert definition.parse(parsed.to_json()) == parsed


@pytest.mark.parametrize(
    ("path", "value", "where"),
    [
        ("key", "Not A Key", "key"),
        ("name", "", "name"),
        ("languages", ["en", "xx"], "languages"),
        ("languages", [], "languages"),
        ("languages", [["en"]], "languages"),
        ("questions", [], "questions"),
        ("questions", "nps", "questions"),
        ("opens_case_at", 11, "opens_case_at"),
        ("opens_case_at", True, "opens_case_at"),
        ("opens_case_at", "6", "opens_case_at"),
        ("questions.0.kind", "stars!", "questions[0].kind"),
        ("questions.0.text.de", ..., "questions[0].text.de"),
        ("questions.0.text.de", "Wie {firma}?", "questions[0].text.de"),
        ("questions.0.text.fr", "Bonjour", "questions[0].text.fr"),
        ("questions.0.low", ..., "questions[0].low"),
        ("questions.0.show_when", {"band": "low"}, "questions[0].show_when"),
        ("questions.0.requird", True, "questions[0].requird"),
        ("questions.0.required", "yes", "questions[0].required"),
        ("questions.1.key", "nps", "questions[1].key"),
        ("questions.1.key", "validate", "questions[1].key"),
        ("questions.1.show_when", {"band": "high"}, "questions[1].show_when"),
        ("questions.1.show_when", {"question": "later", "is": ["yes"]}, "questions[1].show_when"),
        ("questions.1.choices.1.code", "cut_off", "questions[1].choices"),
        ("questions.1.choices", [], "questions[1].choices"),
        ("questions.2.max_length", 5, "questions[2].max_length"),
        ("colour", "red", "colour"),
    ],
)
def test_a_fault_is_named_with_its_place(path: str, value: Any, where: str) -> None:
    with pytest.raises(BadDefinition) as refused:
        definition.parse(changed(path, value))

    assert where in [fault.where for fault in refused.value.faults]


@pytest.mark.parametrize("data", [None, [], "x", 3, {}])
def test_what_is_no_definition_is_refused(data: Any) -> None:
    with pytest.raises(BadDefinition):
        definition.parse(data)


def test_all_faults_are_named_at_once() -> None:
    data = changed("questions.0.text.de", ...)
    data["name"] = ""

    with pytest.raises(BadDefinition) as refused:
        definition.parse(data)

    assert len(refused.value.faults) == 2


def test_follow_ups_can_hang_on_an_answer() -> None:
    data = changed("questions.2.show_when", {"question": "why", "is": ["other"]})

    asked = definition.parse(data)

    comment = asked.questions[2]
    assert asked.applies(comment, {"nps": 2, "why": ["other", "cut_off"]})
    assert not asked.applies(comment, {"nps": 2, "why": ["cut_off"]})
    assert not asked.applies(comment, {"nps": 2, "why": None})


def test_three_scored_questions_are_one_too_many() -> None:
    data = copy.deepcopy(NPS)
    data["questions"] += [{**NPS["questions"][0], "key": key} for key in ("second", "third")]

    with pytest.raises(BadDefinition, match="more than 2"):
        definition.parse(data)


def test_a_draft_is_not_asked_until_it_is_published(app: Flask) -> None:
    survey = make_survey()
    first = versions.current(survey.id)

    versions.draft(survey, changed("questions.0.text.en", "Would you recommend us?"), by="staff:1", now=clock.now())
    assert versions.current(survey.id).id == first.id
    second = versions.publish(survey, by="staff:1", now=clock.now())

    assert versions.current(survey.id).id == second.id
    assert (first.number, second.number) == (1, 2)
    assert first.definition["questions"][0]["text"]["en"] != second.definition["questions"][0]["text"]["en"]


def test_a_draft_taken_up_again_stays_one(app: Flask) -> None:
    survey = make_survey()

    drafts = [versions.draft(survey, NPS, by="staff:1", now=clock.now()).id for _ in range(2)]

    assert drafts[0] == drafts[1]


def test_without_a_draft_there_is_nothing_to_publish(app: Flask) -> None:
    with pytest.raises(NothingToPublish):
        versions.publish(make_survey(), by="staff:1", now=clock.now())


def test_a_draft_keeps_its_survey_s_key(app: Flask) -> None:
    with pytest.raises(BadDefinition, match="key"):
        versions.draft(make_survey(), changed("key", "another"), by="staff:1", now=clock.now())


def test_a_draft_cannot_be_answered(app: Flask) -> None:
    survey = versions.create({**NPS, "key": "fresh"}, brand=make_brand(), by="staff:1", now=clock.now())
    db.session.flush()

    with pytest.raises(NotFound):
        versions.current(survey.id)
