"""The kinds of questions: what is kept of an answer, what is refused, and where somebody's own words go."""

from __future__ import annotations

import json
from typing import Any

import pytest
from flask import Flask
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from werkzeug.datastructures import MultiDict

from core import clock, outbox
from core.db import db
from feedback import outcome
from feedback.models import Case
from surveys import answering, definition, outcomes, versions
from surveys.definition import BadDefinition, Definition
from surveys.kinds.choices import SOURCES
from surveys.models import Invitation, Response, Survey
from tests.client import Client
from tests.factories import make_brand, make_customer, make_invitation
from tests.surveys.links import link


def text(words: str) -> dict[str, str]:
    return {"en": words}


ENDS = {"low": text("Low"), "high": text("High")}
COLOURS = [{"code": "red", "text": text("Red")}, {"code": "blue", "text": text("Blue")}]
QUESTIONS: list[dict[str, Any]] = [
    {"key": "ces", "kind": "ces", "text": text("It was easy."), "required": True, **ENDS},
    {"key": "csat", "kind": "csat", "text": text("How satisfied?"), "opens_case_at": 2, **ENDS},
    {"key": "look", "kind": "stars", "text": text("How does it look?"), **ENDS},
    {"key": "solved", "kind": "yes_no", "text": text("Is it solved?")},
    {"key": "colour", "kind": "single", "text": text("Which one?"), "choices": COLOURS, "other": text("Another")},
    {"key": "parts", "kind": "multiple", "text": text("Which ones?"), "choices": COLOURS, "other": text("Another")},
    {
        "key": "drivers",
        "kind": "sources",
        "text": text("What made it good?"),
        "choices": [{"code": code, "text": text(code)} for code in SOURCES],
    },
    {"key": "word", "kind": "line", "text": text("In a word?")},
    {"key": "comment", "kind": "text", "text": text("More?"), "show_when": {"band": "low"}},
]
EVERY: dict[str, Any] = {
    "key": "every_kind",
    "name": "Every kind",
    "languages": ["en"],
    "opens_case_at": 3,
    "questions": QUESTIONS,
}
ASKED = definition.parse(EVERY)
NAMES = [name for question in ASKED.questions for name in question.names]


@pytest.fixture
def invitation(app: Flask) -> Invitation:
    brand = make_brand()
    survey = versions.create(EVERY, brand=brand, by="system", now=clock.now())
    versions.publish(survey, by="system", now=clock.now())
    return make_invitation(survey, make_customer())


def read(*pairs: tuple[str, str], asked: Definition = ASKED) -> answering.Answers | None:
    form = versions.make_form(asked, frozenset())(MultiDict(pairs))
    return answering.read(asked, form)


def told(question: str, coded: Any) -> str:
    found = ASKED.question(question)
    assert found is not None
    return found.told(coded, "en")


def test_every_kind_is_written_as_it_was_read() -> None:
    assert definition.parse(ASKED.to_json()) == ASKED
    assert definition.parse(json.loads(json.dumps(ASKED.to_json()))) == ASKED


@pytest.mark.parametrize(
    ("pairs", "question", "coded", "words"),
    [
        ([("look", "4")], "look", 4, None),
        ([("solved", "no")], "solved", "no", None),
        ([("colour", "blue")], "colour", "blue", None),
        ([("colour", "other"), ("colour_other", " Green ")], "colour", "other", "Green"),
        ([("colour_other", "Green")], "colour", "other", "Green"),
        ([("colour", "red"), ("colour_other", "Green")], "colour", "red", None),
        ([("colour", "other")], "colour", "other", None),
        ([("parts", "other"), ("parts", "red"), ("parts_other", "Green")], "parts", ["red", "other"], "Green"),
        ([("parts_other", "Green")], "parts", ["other"], "Green"),
        ([("drivers", "status"), ("drivers", "recognition")], "drivers", ["recognition", "status"], None),
        ([("word", "Fine")], "word", True, "Fine"),
        ([("word", "\u0000 \u0007")], "word", None, None),
        ([], "look", None, None),
        ([("colour", "")], "colour", None, None),
    ],
)
def test_codes_are_kept_and_own_words_stay_apart(
    app: Flask, pairs: list[tuple[str, str]], question: str, coded: Any, words: str | None
) -> None:
    answers = read(("ces", "6"), *pairs)

    assert answers is not None
    assert answers.coded[question] == coded
    assert answers.words == words
    assert "Green" not in json.dumps(dict(answers.coded))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ces", "8"),
        ("look", "0"),
        ("look", "6"),
        ("look", "٣"),
        ("solved", "maybe"),
        ("solved", "True"),
        ("colour", "green"),
        ("colour_other", "x" * 301),
        ("parts", "\x00"),
        ("drivers", "price"),
        ("word", "x" * 201),
    ],
)
def test_what_no_page_can_send_is_a_fault_of_its_field(app: Flask, name: str, value: str) -> None:
    form = versions.make_form(ASKED, frozenset())(MultiDict([("ces", "6"), (name, value)][name == "ces" :]))

    assert answering.read(ASKED, form) is None
    assert list(form.errors) == [name]


def test_a_required_choice_is_answered_by_words_alone(app: Flask) -> None:
    questions = [{**each, "required": True} for each in QUESTIONS if each["key"] in ("colour", "parts")]
    asked = definition.parse({**EVERY, "opens_case_at": None, "questions": questions})

    assert read(("parts", "red"), asked=asked) is None
    answers = read(("parts", "red"), ("colour_other", "Green"), asked=asked)
    assert answers is not None
    assert answers.coded == {"colour": "other", "parts": ["red"]}


SENT = st.lists(
    st.tuples(
        st.sampled_from([*NAMES, "form_key", "csrf_token", "__class__"]),
        st.one_of(st.sampled_from(["1", "3", "7", " 1", "yes", "other", "red", "status", ""]), st.text(max_size=40)),
    ),
    max_size=14,
)


@given(pairs=SENT)
@settings(max_examples=150)
def test_whatever_is_sent_is_kept_as_known_codes_or_refused(app: Flask, pairs: list[tuple[str, str]]) -> None:
    answers = read(*pairs)

    narrow = versions.make_form(ASKED, frozenset(), ASKED.band_sent(MultiDict(pairs)))
    assert answering.read(ASKED, narrow(MultiDict(pairs))) == answers  # as the web reads it
    if answers is None:
        return
    for key, coded in answers.coded.items():
        assert isinstance(told(key, coded), str)
        for code in coded if isinstance(coded, list) else [coded]:
            assert code is None or code is True or str(code) in known_codes(key)
    assert "\x00" not in (answers.words or "")
    json.dumps(dict(answers.coded)).encode()


def known_codes(key: str) -> set[str]:
    question: Any = ASKED.question(key)
    return {"yes", "no"} | set(getattr(question, "codes", ())) | set(map(str, getattr(question, "values", ())))


@given(pairs=SENT)
@settings(max_examples=25)
def test_no_post_breaks_the_page(client: Client, invitation: Invitation, pairs: list[tuple[str, str]]) -> None:
    path = link(make_invitation_again(invitation))
    body = {name: [value for key, value in pairs if key == name] for name, _value in pairs}

    answer = client.post(path, data=encodable(body))

    assert answer.status_code in (303, 422)
    assert client.get(path).status_code in (200, 303)


def make_invitation_again(invitation: Invitation) -> Invitation:
    return make_invitation(db.session.get_one(Survey, invitation.survey_id), make_customer())


def encodable(body: dict[str, list[str]]) -> dict[str, list[bytes]]:
    return {name: [value.encode("utf-8", "replace") for value in values] for name, values in body.items()}


def test_scores_are_stored_with_their_scale_and_own_words_in_the_comment(
    client: Client, invitation: Invitation
) -> None:
    client.post(link(invitation), data={"ces": "6", "csat": "4", "colour": "other", "colour_other": "Green"})

    kept = db.session.scalars(select(Response)).one()
    assert (kept.metric, kept.score, kept.scale) == ("ces", 6, "ces-2.0")
    assert kept.scores == {"csat": {"metric": "csat", "score": 4, "scale": "csat-5"}}
    assert kept.comment == "Green"
    assert kept.answers["colour"] == "other"
    assert db.session.scalars(select(Case)).all() == []


@pytest.mark.parametrize(
    ("sent", "question", "score"),
    [
        ({"ces": "2", "csat": "1"}, "ces", 2),
        ({"ces": "6", "csat": "2"}, "csat", 2),
        ({"ces": "3"}, "ces", 3),
    ],
)
def test_each_scored_question_has_its_own_threshold(
    client: Client, invitation: Invitation, sent: dict[str, str], question: str, score: int
) -> None:
    client.post(link(invitation), data=sent)

    case = db.session.scalars(select(Case)).one()
    assert (case.question, case.score) == (question, score)


def test_an_outcome_check_takes_the_answer_to_the_question_that_opened_the_case(
    client: Client, invitation: Invitation
) -> None:
    client.post(link(invitation), data={"ces": "6", "csat": "1"})
    case = db.session.scalars(select(Case)).one()
    check = outcome.mark_fixed(case, clock.now())
    assert check is not None
    again = outcomes.invite_outcome(check, now=clock.now())
    client.post(link(again), data={"ces": "1", "csat": "5"})

    outbox.drain("reactions")

    db.session.expire_all()
    assert db.session.scalars(select(Case)).one().won_back_at is not None


def test_only_the_main_question_shows_and_hides_follow_ups(client: Client, invitation: Invitation) -> None:
    page = client.get(link(invitation)).text

    assert page.count('<label class="low"><input type="radio" name="ces"') == 3
    assert '<label class="low"><input type="radio" name="csat"' not in page
    assert page.count('name="look"') == 5
    assert "4 of 5 stars" in page
    assert '<input id="word" name="word"' in page


def test_what_was_typed_beside_other_is_kept_with_its_fault(client: Client, invitation: Invitation) -> None:
    page = client.post(link(invitation), data={"ces": "6", "colour": "other", "colour_other": "x" * 301})

    assert page.status_code == 422
    assert 'href="#colour_other"' in page.text
    assert "x" * 301 in page.text
    assert 'value="other" checked' in page.text


@pytest.mark.parametrize(
    ("index", "change", "where"),
    [
        (1, {"opens_case_at": 6}, "questions[1].opens_case_at"),
        (0, {"opens_case_at": 3}, "questions[0].opens_case_at"),
        (1, {"opens_case_at": [1]}, "questions[1].opens_case_at"),
        (2, {"low": None}, "questions[2].low"),
        (4, {"other": {"en": ""}}, "questions[4].other.en"),
        (4, {"choices": [*COLOURS, {"code": "other", "text": text("Else")}]}, "questions[4].choices"),
        (5, {"key": "colour_other"}, "questions[5].key"),
        (6, {"choices": COLOURS}, "questions[6].choices"),
        (7, {"max_length": 501}, "questions[7].max_length"),
    ],
)
def test_a_fault_of_a_kind_is_named_with_its_place(index: int, change: dict[str, Any], where: str) -> None:
    questions = [each | change if at == index else each for at, each in enumerate(QUESTIONS)]

    with pytest.raises(BadDefinition) as refused:
        definition.parse({**EVERY, "questions": questions})

    assert where in [fault.where for fault in refused.value.faults]
