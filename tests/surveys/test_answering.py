"""Submitting: few statements, one response per link under any race, and what follows behind."""

from __future__ import annotations

import re
import threading
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from core import clock, outbox, tokens
from core.db import db
from core.outbox import Work
from customers.models import Brand, Customer
from feedback import outcome
from feedback.models import Case, Promise
from incentives import rewards
from incentives.models import Reward, RewardState
from notifications.models import Message
from surveys import answering, opened, versions
from surveys.models import Invitation, InvitationState, Response
from tests.client import Client, count_queries
from tests.customers.races import meanwhile
from tests.factories import (
    make_case,
    make_customer,
    make_invitation,
    make_programme,
    make_rule,
    make_survey,
    make_touchpoint,
)
from tests.surveys.links import link

UNHAPPY = {
    "nps": "2",
    "why": ["cut_off", "not_solved"],
    "comment": "The line went dead.",
    "contact": "phone",
}
PHONE = "+494055504471"


@pytest.fixture
def invitation(app: Flask) -> Invitation:
    return make_invitation(customer=make_customer(phone=PHONE))


def responses() -> int:
    return db.session.scalar(select(func.count()).select_from(Response)) or 0


def warm_up(client: Client) -> None:
    """Let this process learn the version, the form and the policies, as it has after its first answer."""
    client.post(link(make_invitation(survey=make_survey(), customer=make_customer(phone=PHONE))), data=UNHAPPY)


def statements(client: Client, path: str, data: dict[str, object]) -> tuple[TestResponse, list[str]]:
    with count_queries() as queries:
        answer = client.post(path, data=data)
    return answer, list(queries)


def test_a_content_customer_s_answer_costs_two_statements(client: Client, invitation: Invitation) -> None:
    warm_up(client)
    path = link(make_invitation(survey=make_survey(), customer=make_customer()))
    db.session.commit()

    answer, sent = statements(client, path, {"nps": "10", "comment_top": "Quick and kind."})

    assert answer.status_code == 303
    assert len(sent) == 2, sent


def test_an_unhappy_customer_s_answer_costs_two_statements_too(client: Client, invitation: Invitation) -> None:
    warm_up(client)
    path = link(invitation)
    db.session.commit()

    answer, sent = statements(client, path, UNHAPPY)

    assert answer.status_code == 303
    assert db.session.scalar(select(Case).where(Case.customer_id == invitation.customer_id)) is not None
    assert len(sent) == 2, sent


def test_an_unhappy_answer_is_kept_with_its_case_and_promise(client: Client, invitation: Invitation) -> None:
    client.post(link(invitation), data=UNHAPPY)

    response = db.session.scalars(select(Response)).one()
    case = db.session.scalars(select(Case)).one()
    assert (response.score, response.metric, response.question) == (2, "nps", "nps")
    assert response.why == ["cut_off", "not_solved"]
    assert response.comment == "The line went dead."
    assert response.contact == "phone"
    assert response.answers == {"nps": 2, "why": ["cut_off", "not_solved"], "comment": True, "contact": "phone"}
    assert case.reason == f"response:{response.id}"
    assert case.words == "The line went dead."
    assert db.session.scalars(select(Promise)).one().due_at == case.due_at
    assert db.session.get_one(Invitation, invitation.id).state == InvitationState.ANSWERED


def test_a_neutral_answer_opens_no_case(client: Client, invitation: Invitation) -> None:
    client.post(link(invitation), data={"nps": "7"})

    assert responses() == 1
    assert db.session.scalars(select(Case)).all() == []


def test_a_question_left_blank_is_none_and_one_not_asked_is_absent(client: Client, invitation: Invitation) -> None:
    client.post(link(invitation), data={"nps": "8"})

    assert db.session.scalars(select(Response)).one().answers == {"nps": 8, "comment_mid": None}


def test_follow_ups_of_another_band_are_ignored(client: Client, invitation: Invitation) -> None:
    client.post(link(invitation), data={**UNHAPPY, "nps": "9", "comment_mid": "x" * 9000, "comment_top": "Fine."})

    response = db.session.scalars(select(Response)).one()
    assert response.answers == {"nps": 9, "comment_top": True}
    assert response.comment == "Fine."
    assert response.contact is None
    assert response.why == []


def test_a_second_answer_to_a_link_sees_the_thank_you_page_of_the_first(client: Client, invitation: Invitation) -> None:
    client.post(link(invitation), data=UNHAPPY)

    second = client.post(link(invitation), data={"nps": "10"}, follow_redirects=True)

    assert second.status_code == 200
    assert db.session.scalars(select(Case)).one().label in second.text
    assert db.session.scalars(select(Response)).one().score == 2


def test_100_simultaneous_posts_to_one_link_leave_one_response(app: Flask, invitation: Invitation) -> None:
    path = link(invitation)
    db.session.commit()
    start = threading.Barrier(20)
    seen: list[tuple[int, str]] = []

    def post(number: int) -> None:
        client = app.test_client()
        start.wait()
        for turn in range(5):
            answer = client.post(path, data={**UNHAPPY, "nps": str((number + turn) % 7)})
            seen.append((answer.status_code, answer.headers.get("Location", "")))

    threads = [threading.Thread(daemon=True, target=post, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(seen) == 100
    assert {status for status, _ in seen} == {303}
    assert all(location.endswith("/thanks") for _, location in seen)
    assert responses() == 1
    assert db.session.scalar(select(func.count()).select_from(Case)) == 1
    assert db.session.scalar(select(func.count()).select_from(Work).where(Work.handler == "response.react")) == 1


def test_both_of_two_transactions_that_found_the_link_open_cannot_spend_it(app: Flask, invitation: Invitation) -> None:
    """Both have read the link as open; the second waits for the first one's commit and then finds it spent."""
    db.session.commit()
    public_id = invitation.public_id
    now = clock.now()
    asked = versions.definition_of(invitation.version_id)
    answers = answering.Answers({"nps": 9})
    first = opened.by_link(public_id)
    assert first is not None

    def second() -> None:
        mine = opened.by_link(public_id)
        assert mine is not None
        answering.submit(mine, asked, answers, now=now)

    answering.submit(first, asked, answers, now=now)
    with meanwhile(app, second) as other:
        assert other.is_held_up()  # it found the link open, and waits for us
        db.session.commit()

    assert isinstance(other.result, answering.AlreadyAnswered)
    assert responses() == 1


def test_an_answer_in_the_moment_the_link_runs_out_is_refused(app: Flask, invitation: Invitation) -> None:
    link_opened = opened.by_link(invitation.public_id)
    assert link_opened is not None
    asked = versions.definition_of(invitation.version_id)

    with pytest.raises(answering.AlreadyAnswered):
        answering.submit(link_opened, asked, answering.Answers({"nps": 9}), now=invitation.expires_at)


def test_reactions_bring_the_profile_the_log_and_the_advertised_reward(client: Client) -> None:
    brand = make_survey().brand
    customer = make_customer()
    invitation = make_invitation(survey=make_survey(), customer=customer)
    reward = rewards.reserve(
        make_programme(brand),
        customer=customer,
        reason=f"invitation:{invitation.id}",
        until=invitation.expires_at,
        by="rule",
        now=clock.now(),
    )
    assert reward is not None
    invitation.reward_id = reward.id
    client.post(link(invitation), data={"nps": "0"})

    outbox.drain("reactions")
    outbox.drain("rewards")

    db.session.expire_all()
    assert db.session.get_one(Customer, customer.id).profile == "detractor"
    assert db.session.get_one(Reward, reward.id).state == RewardState.ISSUED
    assert db.session.get_one(Reward, reward.id).code in client.get(f"{link(invitation)}/thanks").text


def test_an_outcome_answer_wins_the_customer_back_and_opens_no_second_case(client: Client) -> None:
    survey = make_survey()
    customer = make_customer()
    case = make_case(survey.brand, customer=customer, survey_id=survey.id, response_id=None)
    check = outcome.mark_fixed(case, clock.now())
    assert check is not None
    invitation = make_invitation(survey=survey, customer=customer, outcome_check_id=check.id, case_id=case.id)
    client.post(link(invitation), data={"nps": "9"})

    outbox.drain("reactions")

    db.session.expire_all()
    won = db.session.scalars(select(Case)).one()
    assert won.won_back_at is not None
    assert won.customer is not None
    assert won.customer.profile == "promoter"


def test_a_negative_outcome_answer_leaves_the_case_open_and_alone(client: Client) -> None:
    survey = make_survey()
    customer = make_customer(phone=PHONE)
    case = make_case(survey.brand, customer=customer, survey_id=survey.id, response_id=None)
    check = outcome.mark_fixed(case, clock.now())
    assert check is not None
    invitation = make_invitation(survey=survey, customer=customer, outcome_check_id=check.id, case_id=case.id)
    client.post(link(invitation), data=UNHAPPY)

    outbox.drain("reactions")

    db.session.expire_all()
    assert db.session.scalars(select(Case)).one().won_back_at is None
    assert db.session.scalars(select(Case)).one().is_open


def test_the_customer_s_word_that_all_is_well_puts_the_question_at_once(client: Client) -> None:
    survey = make_survey()
    case = make_case(survey.brand, survey_id=survey.id, response_id=None)
    path = f"/c/{tokens.sign('case', case.public_id)}/fixed"

    first, second = client.post(path), client.post(path)

    assert first.status_code == 303
    assert first.headers["Location"] == second.headers["Location"]
    page = client.get(first.headers["Location"])
    assert page.status_code == 200
    assert case.label in page.text


def test_partial_answers_are_kept_shown_again_and_never_a_response(client: Client, invitation: Invitation) -> None:
    sent = client.post(f"{link(invitation)}/partial", data={"nps": "3", "comment": "Half a thou"})

    assert sent.status_code == 204
    kept = db.session.get_one(Invitation, invitation.id)
    assert kept.partial == {"nps": "3", "comment": "Half a thou"}
    assert kept.partial_at is not None
    assert kept.half_answered
    page = client.get(link(invitation)).text
    assert "Half a thou" in page
    assert 'value="3" required checked' in page
    assert responses() == 0


def test_half_of_the_questions_that_applied_make_a_partial(app: Flask, invitation: Invitation) -> None:
    asked = versions.definition_of(invitation.version_id)

    assert not answering.is_partial(asked, {"nps": "3"})  # one of four
    assert answering.is_partial(asked, {"nps": "3", "why": ["cut_off"]})
    assert answering.is_partial(asked, {"nps": "9"})  # one of two
    assert not answering.is_partial(asked, {})


def test_a_late_partial_cannot_touch_an_answered_link(client: Client, invitation: Invitation) -> None:
    client.post(link(invitation), data={"nps": "9"})

    client.post(f"{link(invitation)}/partial", data={"nps": "1"})

    assert db.session.get_one(Invitation, invitation.id).partial == {}


def test_an_open_form_sent_twice_is_one_response(client: Client) -> None:
    touchpoint = make_touchpoint()
    make_rule(touchpoint)
    page = client.get(f"/t/{touchpoint.key}").text
    match = re.search(r'name="form_key" value="([^"]+)"', page)
    assert match is not None
    data = {"form_key": match[1], "nps": "1", "why": ["other"], "contact": "phone"}

    first = client.post(f"/t/{touchpoint.key}", data=data)
    second = client.post(f"/t/{touchpoint.key}", data=data)

    assert first.headers["Location"] == second.headers["Location"]
    response = db.session.scalars(select(Response)).one()
    assert response.customer_id is None
    assert response.contact is None  # nobody we could call
    case = db.session.scalars(select(Case)).one()
    thanks = client.get(first.headers["Location"]).text
    assert case.label in thanks
    assert "/c/" not in thanks


def test_an_open_form_needs_the_token_that_its_page_gave(client: Client) -> None:
    touchpoint = make_touchpoint()
    make_rule(touchpoint)

    refused = client.post(f"/t/{touchpoint.key}", data={"nps": "1", "form_key": "made-up"})

    assert refused.status_code == 404
    assert responses() == 0


def test_the_clock_moves_on_without_harm_between_page_and_answer(client: Client, invitation: Invitation) -> None:
    client.get(link(invitation))

    with clock.moved(timedelta(days=29)):
        client.post(link(invitation), data={"nps": "9"})

    assert responses() == 1


def test_the_brand_of_the_touchpoint_is_the_answer_s(client: Client, invitation: Invitation) -> None:
    client.post(link(invitation), data={"nps": "9"})

    response = db.session.scalars(select(Response)).one()
    assert db.session.get_one(Brand, response.brand_id).id == response.brand_id


@pytest.mark.parametrize(("contact", "letters"), [("phone", 1), ("none", 0)])
def test_who_may_be_contacted_gets_the_case_by_mail_once(client: Client, contact: str, letters: int) -> None:
    invitation = make_invitation(customer=make_customer(phone=PHONE, language="de"))
    client.post(link(invitation), data={**UNHAPPY, "contact": contact})

    outbox.drain("reactions")

    db.session.expire_all()
    sent = db.session.scalars(select(Message)).all()
    assert len(sent) == letters
    for message in sent:
        case = db.session.scalars(select(Case)).one()
        assert (message.kind, message.language, message.case_id) == ("case_opened", "de", case.id)
        assert message.values["number"] == case.label
        assert "/c/" in message.values["case_url"]
        assert "Uhr" in message.values["promise"]
